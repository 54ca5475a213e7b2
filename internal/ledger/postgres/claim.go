// This file leases deliveries to workers.

package postgres

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// claimQuery finds what is due and nobody else is at. The state is a literal and the time an expression of now(), so
// that the partial index answers it.
const claimQuery = `WITH due AS MATERIALIZED (SELECT ` + rowColumns + ` FROM delivery
		WHERE target = $1 AND state = 0 AND due_at <= ` + nowMicros + ` ORDER BY due_at LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED)
	SELECT due.*, c.id, c.day FROM due JOIN conversation c ON c.number = due.conversation ORDER BY due.due_at`

// nextQuery finds what falls due next.
const nextQuery = `SELECT conversation, due_at FROM delivery WHERE target = $1 AND state = 0 ORDER BY due_at LIMIT $2`

// leased is a claim: what a worker gets, and where its conversation is kept.
type leased struct {
	row      *row.Delivery
	id       string
	day      int
	delivery ledger.Delivery
	fresh    bool   // its conversation is there already
	packed   []byte // the conversation; nil: it is missing
}

// claims collects the answer to a Claim.
type claims struct {
	asked   ledger.Claim
	found   []*leased
	leased  []*leased
	crashed []*leased
	next    time.Time
	skew    time.Duration
}

// Claim leases what is due, the longest due first. Nobody else, of any replica, gets a leased delivery before its lease
// ends. Once begun it goes to its end, even if ctx ends: a lease that nobody has would leave its delivery in doubt.
func (l *Ledger) Claim(ctx context.Context, c ledger.Claim) (ledger.Claimed, error) {
	if err := ctx.Err(); err != nil {
		return ledger.Claimed{}, err
	}
	ctx = context.WithoutCancel(ctx)
	got := claims{asked: c}
	err := l.once(ctx, patience, func() error {
		got = claims{asked: c}
		return l.transact(ctx, l.slot+1, 1, got.find, got.lease)
	})
	if err != nil {
		return ledger.Claimed{}, err
	}
	answer := ledger.Claimed{Next: shift(got.next, -got.skew)}
	for _, g := range got.leased {
		if err := l.findBody(ctx, g); err != nil {
			return ledger.Claimed{}, err
		}
		if err := l.unpack(g); err != nil {
			if _, err := l.Settle(ctx, row.Unreadable(g.delivery, err, time.Now())); err != nil {
				return ledger.Claimed{}, err
			}
			answer.Crashed = append(answer.Crashed, g.delivery)
			continue
		}
		answer.Deliveries = append(answer.Deliveries, g.delivery)
	}
	for _, g := range got.crashed {
		// The conversation is a courtesy to the log here; it may be what crashes.
		if err := l.unpack(g); err != nil {
			l.options.Logger.Warn("a crashed delivery cannot be read", "conversation", g.id, "target", g.row.Target, "error", err)
		}
		answer.Crashed = append(answer.Crashed, g.delivery)
	}
	return answer, nil
}

func (c *claims) find(b *pgx.Batch) {
	c.found = nil
	byIndex(b)
	each(b, func(rows pgx.Rows) error {
		g := &leased{}
		r, err := scanRow(rows, &g.id, &g.day)
		g.row = r
		c.found = append(c.found, g)
		return err
	}, claimQuery, c.asked.Target, c.asked.Limit)
}

func (c *claims) lease(t *tx) error {
	c.skew = t.ledger.skew(t.now)
	end := t.now.Add(c.asked.Lease)
	var stored []*row.Delivery
	var lines []line
	for _, g := range c.found {
		d, changes, crashed, err := g.row.Lease(g.id, c.asked.Config, row.Micros(t.now), row.Micros(end))
		if err != nil {
			return err
		}
		g.delivery = d
		g.delivery.LeaseEnd, g.delivery.DueAt = shift(d.LeaseEnd, -c.skew), shift(d.DueAt, -c.skew)
		g.delivery.FirstAt = shift(d.FirstAt, -c.skew)
		t.count(g.row.Target, changes...)
		stored = append(stored, g.row)
		if crashed {
			c.crashed = append(c.crashed, g)
			lines = append(lines, line{g.day, g.row, g.row.Fence, g.row.Want, row.Crash(d, t.now)})
			continue
		}
		c.leased = append(c.leased, g)
	}
	if err := t.storeRows(stored); err != nil {
		return err
	}
	if err := t.storeLines(lines); err != nil {
		return err
	}
	c.readBodies(t)
	c.readNext(t)
	return nil
}

// readBodies reads the conversations with the commit, day by day, so that other partitions are left alone. What this
// replica has just accepted it knows.
func (c *claims) readBodies(t *tx) {
	byDay := map[int][]*leased{}
	for _, g := range c.found {
		if g.delivery.Conversation, g.fresh = t.ledger.fresh.Take(g.id, g.row.Want); !g.fresh {
			byDay[g.day] = append(byDay[g.day], g)
		}
	}
	for day, all := range byDay {
		numbers, revisions := make([]int64, len(all)), make([]int32, len(all))
		for i, g := range all {
			numbers[i], revisions[i] = g.row.Conversation, int32(g.row.Want)
		}
		each(t.writes, func(rows pgx.Rows) error {
			var number int64
			var revision int
			var packed []byte
			err := rows.Scan(&number, &revision, &packed)
			for _, g := range all {
				if g.row.Conversation == number && g.row.Want == revision {
					g.packed = packed
				}
			}
			return err
		}, `SELECT conversation, revision, decoded FROM body WHERE day = $1 AND conversation = ANY ($2) AND revision = ANY ($3)`,
			day, numbers, revisions)
	}
}

func (c *claims) readNext(t *tx) {
	each(t.writes, func(rows pgx.Rows) error {
		var number, due int64
		err := rows.Scan(&number, &due)
		mine := slices.ContainsFunc(c.leased, func(g *leased) bool { return g.row.Conversation == number })
		if !mine && c.next.IsZero() {
			c.next = row.FromMicros(due)
		}
		return err
	}, nextQuery, c.asked.Target, len(c.leased)+1)
}

// findBody looks again for a body that was not where it had been when the delivery was locked: retention, or a revision
// of a conversation that had lost its bodies, has moved it to another day meanwhile. What is leased keeps its body, so
// what is not found now is missing.
func (l *Ledger) findBody(ctx context.Context, g *leased) error {
	if g.fresh || g.packed != nil {
		return nil
	}
	err := l.read(ctx, `SELECT b.decoded FROM conversation c JOIN body b ON b.day = c.day AND b.conversation = c.number AND b.revision = $2
		WHERE c.number = $1`, []any{g.row.Conversation, g.row.Want}, &g.packed)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	return err
}

func (l *Ledger) unpack(g *leased) (err error) {
	switch {
	case g.fresh:
		return nil
	case g.packed == nil:
		return row.ErrNoBody
	}
	g.delivery.Conversation, err = l.codec.UnpackConversation(g.packed, g.delivery.ID, g.delivery.Revision)
	return err
}

// skew is how far the database's clock is ahead of this machine's, to the second: what workers are told, and what they
// say, is of their machine's clock, and clocks that agree well enough are left alone.
func (l *Ledger) skew(now time.Time) time.Duration {
	d := now.Sub(l.options.clock()).Round(time.Second)
	if d.Abs() < 2*time.Second { // a transaction may have taken that long
		return 0
	}
	return d
}

// shift moves a time that is not zero.
func shift(t time.Time, d time.Duration) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(d)
}

// once runs do for a caller who waits, see persist.
func (l *Ledger) once(ctx context.Context, allowed time.Duration, do func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := l.enter(); err != nil {
		return err
	}
	defer l.users.Done()
	return l.persist(ctx, allowed, do)
}
