// This file leases deliveries to workers.

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

const rowColumns = `conversation, target, state, want, have, trying, doubt, lapsed, due_at, pending_since, settled_at, fence, claims, tries,
	first_at, planned, ignore, routes, config, tried, receipt`

func scanRow(scan func(...any) error, more ...any) (*row, error) {
	var r row
	var receipt string
	err := scan(append([]any{
		&r.conversation, &r.target, &r.state, &r.want, &r.have, &r.trying, &r.doubt, &r.lapsed, &r.dueAt, &r.pendingSince, &r.settledAt,
		&r.fence, &r.claims, &r.tries, &r.firstAt, &r.planned, &r.ignore, &r.routes, &r.config, &r.tried, &receipt,
	}, more...)...)
	if err != nil {
		return nil, err
	}
	r.receipt, err = unpackReceipt(receipt)
	return &r, err
}

// deliveries reads all rows of a conversation.
func (t *tx) deliveries(conversation int64) (rows []*row, err error) {
	err = t.rows(`SELECT `+rowColumns+` FROM delivery WHERE conversation = ?`, []any{conversation}, func(found *sql.Rows) error {
		r, err := scanRow(found.Scan)
		rows = append(rows, r)
		return err
	})
	return rows, err
}

// delivery reads the row of a conversation and a target; ledger.ErrNotFound if there is none. bodies tells whether the
// bodies of the conversation are still here.
func (t *tx) delivery(id, target string) (r *row, bodies bool, err error) {
	if target, err = t.current(id, target); err != nil {
		return nil, false, err
	}
	s, err := t.statement(`SELECT ` + rowColumns + `, (SELECT bodies FROM conversation WHERE number = conversation)
		FROM delivery WHERE conversation = (SELECT number FROM conversation WHERE id = ?) AND target = ?`)
	if err != nil {
		return nil, false, err
	}
	r, err = scanRow(s.QueryRowContext(context.Background(), id, target).Scan, &bodies)
	if errors.Is(err, sql.ErrNoRows) {
		err = ledger.ErrNotFound
	}
	return r, bodies, err
}

// store writes a row, new or old, and counts what changed.
func (t *tx) store(r *row, changes []counts) error {
	receipt, err := packReceipt(r.receipt)
	if err != nil {
		return err
	}
	for _, c := range changes {
		t.count(r.target, c)
	}
	return t.exec(`INSERT INTO delivery (`+rowColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (conversation, target) DO UPDATE SET state = excluded.state, want = excluded.want, have = excluded.have,
		trying = excluded.trying, doubt = excluded.doubt, lapsed = excluded.lapsed, due_at = excluded.due_at, pending_since = excluded.pending_since,
		settled_at = excluded.settled_at, fence = excluded.fence, claims = excluded.claims, tries = excluded.tries,
		first_at = excluded.first_at, planned = excluded.planned, ignore = excluded.ignore, routes = excluded.routes,
		config = excluded.config, tried = excluded.tried, receipt = excluded.receipt`,
		r.conversation, r.target, int(r.state), r.want, r.have, r.trying, r.doubt, r.lapsed, r.dueAt, r.pendingSince, r.settledAt, r.fence,
		r.claims, r.tries, r.firstAt, r.planned, r.ignore, r.routes, r.config, r.tried, receipt)
}

// claimQuery finds what is due. The state is a literal so that the partial index answers it.
const claimQuery = `SELECT ` + rowColumns + `, (SELECT id FROM conversation WHERE number = conversation)
	FROM delivery WHERE target = ? AND state = 0 AND due_at <= ? ORDER BY due_at LIMIT ?`

// nextQuery finds what falls due next.
const nextQuery = `SELECT conversation, due_at FROM delivery WHERE target = ? AND state = 0 ORDER BY due_at LIMIT ?`

// leased is a claim that has been written: what a worker gets, but for the conversation.
type leased struct {
	number   int64
	delivery ledger.Delivery
}

// claims collects the answer to a Claim.
type claims struct {
	ctx     context.Context // of the caller: nothing is leased after it has ended
	asked   ledger.Claim
	leased  []leased
	crashed []leased
	next    time.Time
}

// Claim leases what is due, the longest due first. Nobody else gets a leased delivery before its lease ends.
// Once begun it goes to its end, even if ctx ends: a lease that nobody has would leave its delivery in doubt.
func (l *Ledger) Claim(ctx context.Context, c ledger.Claim) (ledger.Claimed, error) {
	got := claims{asked: c, ctx: ctx}
	ctx = context.WithoutCancel(ctx)
	if err := l.write(ctx, got.do); err != nil {
		return ledger.Claimed{}, err
	}
	answer := ledger.Claimed{Next: got.next}
	for _, g := range got.leased {
		err := l.load(ctx, &g)
		switch {
		case err == nil:
			answer.Deliveries = append(answer.Deliveries, g.delivery)
		case errors.Is(err, ledger.ErrClosed):
			return ledger.Claimed{}, err // the next start makes the leases void
		default:
			if err := l.bury(ctx, g, err); err != nil {
				return ledger.Claimed{}, err
			}
			answer.Crashed = append(answer.Crashed, g.delivery)
		}
	}
	for _, g := range got.crashed {
		// The conversation is a courtesy to the log here; it may be what crashes.
		if err := l.load(ctx, &g); err != nil {
			l.options.Logger.Warn("a crashed delivery cannot be read", "conversation", g.delivery.ID, "target", g.delivery.Target, "error", err)
		}
		answer.Crashed = append(answer.Crashed, g.delivery)
	}
	return answer, nil
}

func (c *claims) do(t *tx) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	c.leased, c.crashed, c.next = nil, nil, time.Time{}
	var rows []*row
	var ids []string
	err := t.rows(claimQuery, []any{c.asked.Target, micros(t.now), c.asked.Limit}, func(found *sql.Rows) error {
		var id string
		r, err := scanRow(found.Scan, &id)
		rows, ids = append(rows, r), append(ids, id)
		return err
	})
	if err != nil {
		return err
	}
	end := t.now.Add(c.asked.Lease)
	for i, r := range rows {
		if err := c.lease(t, r, ids[i], end); err != nil {
			return err
		}
	}
	mine := make(map[int64]bool, len(c.leased))
	for _, g := range c.leased {
		mine[g.number] = true
	}
	return t.rows(nextQuery, []any{c.asked.Target, len(mine) + 1}, func(found *sql.Rows) error {
		var number, due int64
		err := found.Scan(&number, &due)
		if !mine[number] && c.next.IsZero() {
			c.next = fromMicros(due)
		}
		return err
	})
}

// lease claims one row, or makes it dead.
func (c *claims) lease(t *tx, r *row, id string, end time.Time) error {
	routes, err := unpackRoutes(r.routes)
	if err != nil {
		return err
	}
	d := ledger.Delivery{
		ID: id, Target: r.target, Revision: r.want, Held: r.have, Attempt: r.tries + 1, Receipt: r.receipt,
		Routes: routes, Accepted: r.config, DueAt: fromMicros(r.dueAt), FirstAt: fromMicros(r.firstAt),
	}
	tried := r.tried
	changes, crashed := r.claim(c.asked.Config, micros(t.now), micros(end))
	d.Fence, d.Uncertain, d.Resend, d.Lapsed = r.fence, r.doubt > 0, r.resend(), r.lapsed
	if r.tries > 0 || d.Resend {
		d.Tried = tried
	}
	if err := t.store(r, changes); err != nil {
		return err
	}
	if crashed {
		c.crashed = append(c.crashed, leased{r.conversation, d})
		return t.log(r, r.want, ledger.Attempt{At: t.now, Number: d.Attempt, Kind: "crash", Reason: "claimed again and again without an outcome: it may crash the process"})
	}
	d.LeaseEnd = fromMicros(micros(end))
	c.leased = append(c.leased, leased{r.conversation, d})
	return nil
}

// load reads the conversation of a delivery, outside the writer.
func (l *Ledger) load(ctx context.Context, g *leased) error {
	if err := l.enter(); err != nil {
		return err
	}
	defer l.users.Done()
	var packed []byte
	err := l.readers.QueryRowContext(ctx, `SELECT decoded FROM body WHERE conversation = ? AND revision = ?`, g.number, g.delivery.Revision).Scan(&packed)
	if errors.Is(err, sql.ErrNoRows) {
		return errNoBody
	}
	if err != nil {
		return err
	}
	g.delivery.Conversation, err = l.codec.unpackConversation(packed, g.delivery.ID, g.delivery.Revision)
	return err
}

// bury makes a delivery dead whose conversation cannot be read, so that it is seen and stops nobody else.
func (l *Ledger) bury(ctx context.Context, g leased, cause error) error {
	d := g.delivery
	_, err := l.Settle(ctx, ledger.Settlement{
		ID: d.ID, Target: d.Target, Revision: d.Revision, Fence: d.Fence, State: ledger.Dead,
		Attempt: &ledger.Attempt{At: time.Now(), Number: d.Attempt, Kind: "crash", Reason: "the stored conversation cannot be read: " + cause.Error()},
	})
	return err
}
