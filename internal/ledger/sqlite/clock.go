// This file is about clocks that jump. One that runs ahead ends leases early: the delivery is leased again, in doubt, and
// the settle of the first lease is refused. One that is set back leaves what was stored before due in the future; that
// is noticed here.

package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/afterchat/afterchat/internal/ledger/row"
)

// clockSlack is how far ahead of the clock a time may be that was taken from it. Backoffs and holds are no such times.
const clockSlack = time.Hour

// What was accepted or tried in the future is made due, and is pending since now at the latest. What is leased is let be.
const (
	backToday = `SET due_at = ?1, pending_since = min(pending_since, ?1), settled_at = min(settled_at, ?1)
		WHERE target IN (SELECT target FROM counter) AND state = 0 AND trying = 0`
	backTodayDue     = `UPDATE delivery INDEXED BY due ` + backToday + ` AND due_at > ?2 AND (pending_since > ?2 OR settled_at > ?2)`
	backTodayWaiting = `UPDATE delivery INDEXED BY waiting ` + backToday + ` AND due_at <> pending_since AND pending_since > ?2`
)

// setRight repairs the times of pending deliveries after the clock was set back. It looks at the ends of indexes first,
// and while clocks are right at nothing else but what waits for longer than clockSlack. What has not been tried yet falls
// due when it is pending since.
func setRight(ctx context.Context, conn *sql.Conn, now time.Time) error {
	ahead := row.Micros(now.Add(clockSlack))
	var suspicious bool
	err := conn.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM counter c WHERE
		(SELECT max(pending_since) FROM delivery d WHERE d.target = c.target AND d.state = 0 AND d.due_at <> d.pending_since) > ?1 OR
		(SELECT max(due_at) FROM delivery d WHERE d.target = c.target AND d.state = 0) > ?1)`, ahead).Scan(&suspicious)
	if err != nil || !suspicious {
		return err
	}
	for _, query := range []string{backTodayDue, backTodayWaiting} {
		if _, err := conn.ExecContext(ctx, query, row.Micros(now), ahead); err != nil {
			return err
		}
	}
	return nil
}

// setClockRight is setRight for a ledger that is open.
func (l *Ledger) setClockRight(ctx context.Context) (more bool, err error) {
	return false, l.write(ctx, func(t *tx) error {
		t.wrote = true
		if err := t.sow(); err != nil {
			return err
		}
		if err := setRight(context.Background(), t.conn, t.now); err != nil {
			return err
		}
		return t.rows(`SELECT target FROM counter WHERE pending > 0`, nil, func(rows *sql.Rows) error {
			var target string
			err := rows.Scan(&target)
			t.wake(target)
			return err
		})
	})
}
