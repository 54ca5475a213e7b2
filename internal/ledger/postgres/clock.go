// This file is about the clock of the database, which all replicas go by. One that is set ahead ends leases early: the
// delivery is leased again, in doubt, and the settle of the first lease is refused. One that is set back leaves what was
// stored before due in the future; that is noticed here.

package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

const (
	// clockSlack is how far ahead of the clock a time may be that was taken from it, in microseconds. Backoffs and holds
	// are no such times. No lease is longer, either.
	clockSlack = 3_600_000_000
	// clockBatch is how many deliveries a transaction sets right.
	clockBatch = 1000
)

// setRight makes due what was accepted or tried in the future. A lease that ends later than any that was taken today ends
// within the slack. It looks at the end of an index, so it costs nothing while clocks are right. What somebody else has
// locked is changing anyway.
var setRight = fmt.Sprintf(`WITH late AS MATERIALIZED (
		SELECT d.conversation, d.target FROM (SELECT DISTINCT target FROM counter) c, LATERAL (
			SELECT conversation, target FROM delivery WHERE target = c.target AND state = 0 AND due_at > %[1]s + %[2]d
			AND (trying > 0 OR pending_since > %[1]s + %[2]d OR settled_at > %[1]s + %[2]d)
			LIMIT %[3]d FOR NO KEY UPDATE SKIP LOCKED) d)
	UPDATE delivery d SET due_at = CASE WHEN trying > 0 THEN %[1]s + %[2]d ELSE %[1]s END,
		pending_since = least(pending_since, %[1]s), settled_at = least(settled_at, %[1]s)
	FROM late WHERE d.conversation = late.conversation AND d.target = late.target RETURNING d.target`, nowMicros, clockSlack, clockBatch)

// setClockRight repairs the times of pending deliveries after the database's clock was set back.
func (l *Ledger) setClockRight(ctx context.Context) error {
	for {
		found := 0
		err := l.once(ctx, patience, func() error {
			found = 0
			late := map[string]bool{}
			read := func(b *pgx.Batch) {
				each(b, func(rows pgx.Rows) error {
					var target string
					err := rows.Scan(&target)
					late[target] = true
					found++
					return err
				}, setRight)
			}
			return l.transact(ctx, l.slot+1, 1, read, func(t *tx) error {
				for target := range late {
					t.wake(target)
				}
				return nil
			})
		})
		if err != nil || found == 0 {
			return err
		}
	}
}
