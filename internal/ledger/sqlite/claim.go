// This file leases deliveries to workers.

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

const rowColumns = `conversation, target, state, want, have, trying, doubt, lapsed, due_at, pending_since, settled_at, fence, claims, tries,
	first_at, planned, ignore, routes, config, tried, receipt, class, reason, failed_at, pinned, imported`

func scanRow(scan func(...any) error, more ...any) (*row.Delivery, error) {
	var r row.Delivery
	var receipt string
	err := scan(append([]any{
		&r.Conversation, &r.Target, &r.State, &r.Want, &r.Have, &r.Trying, &r.Doubt, &r.Lapsed, &r.DueAt, &r.PendingSince, &r.SettledAt,
		&r.Fence, &r.Claims, &r.Tries, &r.FirstAt, &r.Planned, &r.Ignore, &r.Routes, &r.Config, &r.Tried, &receipt,
		&r.Class, &r.Reason, &r.FailedAt, &r.Pinned, &r.Imported,
	}, more...)...)
	if err != nil {
		return nil, err
	}
	r.Receipt, err = row.UnpackReceipt(receipt)
	return &r, err
}

// deliveries reads all rows of a conversation.
func (t *tx) deliveries(conversation int64) (rows []*row.Delivery, err error) {
	err = t.rows(`SELECT `+rowColumns+` FROM delivery WHERE conversation = ?`, []any{conversation}, func(found *sql.Rows) error {
		r, err := scanRow(found.Scan)
		rows = append(rows, r)
		return err
	})
	return rows, err
}

// delivery reads the row of a conversation and a target; ledger.ErrNotFound if there is none. bodies tells whether the
// bodies of the conversation are still here.
func (t *tx) delivery(id, target string) (r *row.Delivery, bodies bool, err error) {
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
func (t *tx) store(r *row.Delivery, changes []row.Counts) error {
	receipt, err := row.PackReceipt(r.Receipt)
	if err != nil {
		return err
	}
	for _, c := range changes {
		t.count(r.Target, c)
	}
	return t.exec(`INSERT INTO delivery (`+rowColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (conversation, target) DO UPDATE SET state = excluded.state, want = excluded.want, have = excluded.have,
		trying = excluded.trying, doubt = excluded.doubt, lapsed = excluded.lapsed, due_at = excluded.due_at, pending_since = excluded.pending_since,
		settled_at = excluded.settled_at, fence = excluded.fence, claims = excluded.claims, tries = excluded.tries,
		first_at = excluded.first_at, planned = excluded.planned, ignore = excluded.ignore, routes = excluded.routes,
		config = excluded.config, tried = excluded.tried, receipt = excluded.receipt,
		class = excluded.class, reason = excluded.reason, failed_at = excluded.failed_at, pinned = excluded.pinned,
		imported = excluded.imported`,
		r.Conversation, r.Target, int(r.State), r.Want, r.Have, r.Trying, r.Doubt, r.Lapsed, r.DueAt, r.PendingSince, r.SettledAt, r.Fence,
		r.Claims, r.Tries, r.FirstAt, r.Planned, r.Ignore, r.Routes, r.Config, r.Tried, receipt,
		r.Class, r.Reason, r.FailedAt, r.Pinned, r.Imported)
}

// dueQuery finds what is due without reading its rows: all but the id is in an index. See claimQuery.
const dueQuery = `SELECT (SELECT id FROM conversation WHERE number = conversation)
	FROM delivery WHERE target = ? AND state = 0 AND due_at <= ? ORDER BY due_at LIMIT 0 + ?`

// claimQuery finds what is due. The state is a literal so that the partial index answers it. The limit is a sum, because
// SQLite plans a statement anew each time that a limit is bound to it as it is.
const claimQuery = `SELECT ` + rowColumns + `, (SELECT id FROM conversation WHERE number = conversation)
	FROM delivery WHERE target = ? AND state = 0 AND due_at <= ? ORDER BY due_at LIMIT 0 + ?`

// nextQuery finds what falls due next.
const nextQuery = `SELECT conversation, due_at FROM delivery WHERE target = ? AND state = 0 ORDER BY due_at LIMIT 0 + ?`

// leased is a claim that has been written: what a worker gets, but for the conversation.
type leased struct {
	number   int64
	delivery *ledger.Delivery
}

// unreadPause is how long a delivery waits that could not be read.
const unreadPause = time.Second

// claims collects the answer to a Claim.
type claims struct {
	ctx     context.Context // of the caller: nothing is leased after it has ended
	asked   ledger.Claim
	room    []ledger.Delivery // what leased points to, in its order
	leased  []leased
	crashed []leased
	next    time.Time
	parked  chan time.Time // see park.go
}

// Claim leases what is due, the longest due first. Nobody else gets a leased delivery before its lease ends.
// Once begun it goes to its end, even if ctx ends: a lease that nobody has would leave its delivery in doubt. If nothing is
// due it waits as it is asked to, see park.go.
func (l *Ledger) Claim(ctx context.Context, c ledger.Claim) (ledger.Claimed, error) {
	got := claims{asked: c, ctx: ctx}
	if err := l.await(ctx, &got); err != nil {
		return ledger.Claimed{}, err
	}
	ctx = context.WithoutCancel(ctx)
	var unread error
	answer := ledger.Claimed{Next: got.next, Waits: true, Deliveries: got.room[:0]}
	for i, err := range l.loadAll(ctx, got.leased) {
		g := got.leased[i]
		switch {
		case err == nil:
			answer.Deliveries = append(answer.Deliveries, *g.delivery) // to its own place, or that of one which is not delivered
		case errors.Is(err, ledger.ErrClosed):
			return ledger.Claimed{}, err // the leases end with this ledger
		case isReadError(err):
			unread = err
			l.giveBack(ctx, g)
		default:
			if err := l.bury(ctx, g, err); err != nil {
				return ledger.Claimed{}, err
			}
			answer.Crashed = append(answer.Crashed, *g.delivery)
		}
	}
	clear(got.room[len(answer.Deliveries):])
	if unread != nil && len(answer.Deliveries)+len(answer.Crashed)+len(got.crashed) == 0 {
		return ledger.Claimed{}, unread
	}
	for _, g := range got.crashed {
		// The conversation is a courtesy to the log here; it may be what crashes.
		if err := l.load(ctx, &g); err != nil {
			l.options.Logger.Warn("a crashed delivery cannot be read", "conversation", g.delivery.ID, "target", g.delivery.Target, "error", err)
		}
		answer.Crashed = append(answer.Crashed, *g.delivery)
	}
	return answer, nil
}

// giveBack ends a lease that nobody has had, because what it is for cannot be read just now: there is no file descriptor,
// the disk fails.
func (l *Ledger) giveBack(ctx context.Context, g leased) {
	d := g.delivery
	_, err := l.Settle(ctx, ledger.Settlement{
		ID: d.ID, Target: d.Target, Revision: d.Revision, Fence: d.Fence, State: ledger.Pending, DueAt: l.clock().Add(unreadPause),
	})
	if err != nil {
		l.options.Logger.Warn("a delivery that cannot be read waits for the end of its lease", "conversation", d.ID, "target", d.Target, "error", err)
	}
}

func (c *claims) do(t *tx) error {
	if err := c.ctx.Err(); err != nil {
		return err
	}
	c.begin(0)
	c.next = time.Time{}
	rows, ids, err := c.due(t)
	if err != nil {
		return err
	}
	most := len(rows)
	for _, p := range t.planted[t.sown:] {
		if p.row.Target == c.asked.Target && p.row.Trying == 0 {
			most++
		}
	}
	c.begin(min(most, c.asked.Limit))
	end := t.now.Add(c.asked.Lease)
	for i, r := range rows {
		if err := c.lease(t, r, ids[i], end, true); err != nil {
			return err
		}
	}
	for _, p := range t.planted[t.sown:] { // what came in this transaction comes after what is in the table
		if p.row.Target != c.asked.Target || p.row.Trying > 0 {
			continue
		}
		if p.row.DueAt > row.Micros(t.now) || len(c.leased)+len(c.crashed) >= c.asked.Limit {
			c.expect(p.row.DueAt)
		} else if err := c.lease(t, p.row, p.id, end, false); err != nil {
			return err
		}
	}
	if c.asked.Wait > 0 && len(c.leased) > 0 {
		return nil // who waits claims again at once
	}
	mine := make(map[int64]bool, len(c.leased))
	for _, g := range c.leased {
		mine[g.number] = true
	}
	return t.rowsAsTheyAre(nextQuery, []any{c.asked.Target, len(mine) + 1}, func(found *sql.Rows) error {
		var number, due int64
		err := found.Scan(&number, &due)
		if !mine[number] {
			c.expect(due)
		}
		return err
	})
}

// begin forgets what has been leased, and makes room for as many leases as there may be.
func (c *claims) begin(most int) {
	c.room, c.leased, c.crashed = make([]ledger.Delivery, 0, most), make([]leased, 0, most), nil
}

// expect notes that something falls due.
func (c *claims) expect(due int64) {
	if at := row.FromMicros(due); c.next.IsZero() || at.Before(c.next) {
		c.next = at
	}
}

// due returns the rows that are due in the table and the ids of their conversations: from memory if all of them are there.
func (c *claims) due(t *tx) (rows []*row.Delivery, ids []string, err error) {
	args := []any{c.asked.Target, row.Micros(t.now), c.asked.Limit}
	err = t.rowsAsTheyAre(dueQuery, args, func(found *sql.Rows) error {
		var id string
		err := found.Scan(&id)
		ids = append(ids, id)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	for _, id := range ids {
		r, ok := t.recent.take(id, c.asked.Target)
		if !ok {
			return c.read(t, args)
		}
		rows = append(rows, &r)
	}
	return rows, ids, nil
}

// read is due out of the file.
func (c *claims) read(t *tx, args []any) (rows []*row.Delivery, ids []string, err error) {
	err = t.rowsAsTheyAre(claimQuery, args, func(found *sql.Rows) error {
		var id string
		r, err := scanRow(found.Scan, &id)
		rows, ids = append(rows, r), append(ids, id)
		return err
	})
	return rows, ids, err
}

// lease claims one row, or makes it dead. The row of a delivery that has just been planted may be written with its lease.
func (c *claims) lease(t *tx, r *row.Delivery, id string, end time.Time, written bool) error {
	was := *r
	d, changes, crashed, err := r.Lease(id, c.asked.Config, row.Micros(t.now), row.Micros(end))
	if err == nil && written {
		err = t.update(r, &was, changes)
	}
	if err != nil {
		return err
	}
	if crashed {
		crash := d // so that others need no memory of their own
		c.crashed = append(c.crashed, leased{r.Conversation, &crash})
		return t.log(r, r.Want, row.Crash(d, t.now))
	}
	t.recent.put(id, r)
	c.room = append(c.room, d)
	c.leased = append(c.leased, leased{r.Conversation, &c.room[len(c.room)-1]})
	return nil
}

// loaders is how many conversations of a claim are decoded at once. Under load each has the processor as often as each
// hook that is coming in; one after the other they would fall behind.
const loaders = 16

// loadAll reads the conversations of deliveries, outside the writer, and returns the error of each.
func (l *Ledger) loadAll(ctx context.Context, all []leased) []error {
	errs := make([]error, len(all))
	var missing []int
	for i := range all {
		if !l.recall(&all[i]) {
			missing = append(missing, i)
		}
	}
	packed := l.packed(ctx, all, missing)
	var work sync.WaitGroup
	slots := make(chan struct{}, loaders)
	for _, i := range missing {
		slots <- struct{}{}
		work.Go(func() {
			defer func() { <-slots }()
			g := &all[i]
			body, ok := packed[g.number]
			if !ok {
				errs[i] = l.fetch(ctx, g)
				return
			}
			g.delivery.Conversation, errs[i] = l.codec.UnpackConversation(body, g.delivery.ID, g.delivery.Revision)
		})
	}
	work.Wait()
	return errs
}

// packedQuery finds the bodies of a JSON list of pairs of numbers and revisions.
const packedQuery = `SELECT b.conversation, b.decoded FROM json_each(?) j CROSS JOIN body b
	ON b.conversation = json_extract(j.value, '$[0]') AND b.revision = json_extract(j.value, '$[1]')`

// packed reads what several deliveries need at once, by number of the conversation. What is not in its answer, because
// it is not there or because something cannot be read, is to be fetched by itself.
func (l *Ledger) packed(ctx context.Context, all []leased, missing []int) map[int64][]byte {
	if len(missing) < 2 || l.enter() != nil {
		return nil
	}
	defer l.users.Done()
	pairs := []byte{'['}
	for n, i := range missing {
		if n > 0 {
			pairs = append(pairs, ',')
		}
		pairs = fmt.Appendf(pairs, "[%d,%d]", all[i].number, all[i].delivery.Revision)
	}
	rows, err := l.readers.Load().QueryContext(ctx, packedQuery, string(append(pairs, ']')))
	if err != nil {
		return nil
	}
	bodies := make(map[int64][]byte, len(missing))
	err = each(rows, func(rows *sql.Rows) error {
		var number int64
		var body []byte
		err := rows.Scan(&number, &body)
		bodies[number] = body
		return err
	})
	if err != nil {
		return nil
	}
	return bodies
}

// load reads the conversation of one delivery.
func (l *Ledger) load(ctx context.Context, g *leased) error {
	if l.recall(g) {
		return nil
	}
	return l.fetch(ctx, g)
}

// recall takes the conversation of a delivery from memory, if it was accepted just now.
func (l *Ledger) recall(g *leased) bool {
	c, ok := l.fresh.Take(g.delivery.ID, g.delivery.Revision)
	if ok {
		g.delivery.Conversation = c
	}
	return ok
}

// fetch reads the conversation of a delivery from the file.
func (l *Ledger) fetch(ctx context.Context, g *leased) error {
	if err := l.enter(); err != nil {
		return err
	}
	defer l.users.Done()
	var packed []byte
	generation := l.generation.Load()
	err := l.readers.Load().QueryRowContext(ctx, `SELECT decoded FROM body WHERE conversation = ? AND revision = ?`, g.number, g.delivery.Revision).Scan(&packed)
	if errors.Is(err, sql.ErrNoRows) {
		return row.ErrNoBody
	}
	if err != nil {
		l.suspect(err, generation)
		return &readError{err}
	}
	g.delivery.Conversation, err = l.codec.UnpackConversation(packed, g.delivery.ID, g.delivery.Revision)
	return err
}

// readError is a failure of the disk or of SQLite to read, which says nothing about what is stored.
type readError struct{ err error }

func (e *readError) Error() string { return "reading the ledger: " + e.err.Error() }
func (e *readError) Unwrap() error { return e.err }

func isReadError(err error) bool {
	_, ok := errors.AsType[*readError](err)
	return ok
}

// bury makes a delivery dead whose conversation cannot be read, so that it is seen and stops nobody else.
func (l *Ledger) bury(ctx context.Context, g leased, cause error) error {
	_, err := l.Settle(ctx, row.Unreadable(*g.delivery, cause, time.Now()))
	return err
}
