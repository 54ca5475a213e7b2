// This file is a transaction: two round trips, tried again when it failed for no reason of its own.

package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// nowMicros is the database's time at the start of the transaction. As an expression of now() an index answers it.
const nowMicros = `(extract(epoch FROM now()) * 1000000)::bigint`

// tx is a transaction. What is to be written waits in writes for the second round trip.
type tx struct {
	ledger *Ledger
	ctx    context.Context
	conn   *pgxpool.Conn
	now    time.Time // the database's
	slot   int16
	writes *pgx.Batch
	due    []string        // targets to wake after the commit
	met    []ledger.Merged // told after the commit
	then   []func()        // called after the commit, before anybody is woken

	// What many operations add to the same few rows is written once, at the end.
	counts map[string]row.Counts
	totals map[string]int64
	hooks  map[string]time.Time
}

// lostError means that the connection broke while a commit was under way: it may have happened.
type lostError struct{ err error }

func (e *lostError) Error() string {
	return "the connection to the database was lost: " + e.err.Error()
}
func (e *lostError) Unwrap() error { return e.err }

// transact runs one transaction. read queues what is locked and read, in the first round trip; think decides on what
// came and queues what is written, in the second. operations is how many callers it is for.
func (l *Ledger) transact(ctx context.Context, slot int16, operations int, read func(*pgx.Batch), think func(*tx) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, transactionTimeout)
	defer cancel()
	started := time.Now()
	conn, err := l.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil && !conn.Conn().IsClosed() {
			// Else the locks would stay until the server notices that the connection is gone. If this fails, they do.
			_, _ = conn.Exec(ctx, `ROLLBACK`)
		}
		conn.Release()
	}()
	t := &tx{
		ledger: l, ctx: ctx, conn: conn, slot: slot, writes: &pgx.Batch{},
		counts: map[string]row.Counts{}, totals: map[string]int64{}, hooks: map[string]time.Time{},
	}
	var b pgx.Batch
	b.Queue(`BEGIN`)
	b.Queue(`SELECT ` + nowMicros).QueryRow(func(r pgx.Row) error {
		var now int64
		err := r.Scan(&now)
		t.now = row.FromMicros(now)
		return err
	})
	read(&b)
	if err := t.send(&b); err != nil {
		return err
	}
	if err := think(t); err != nil {
		return err
	}
	t.flush()
	committing := errors.New("commit refused")
	t.writes.Queue(`COMMIT`).Exec(func(tag pgconn.CommandTag) error {
		if tag.String() != "COMMIT" {
			return committing
		}
		return nil
	})
	if err := t.send(t.writes); err != nil {
		if _, answered := errors.AsType[*pgconn.PgError](err); !answered || isLost(err) {
			return &lostError{err}
		}
		return err
	}
	for _, do := range t.then {
		do()
	}
	l.tell(time.Since(started), operations, t.due, t.met)
	return nil
}

// send makes one round trip.
func (t *tx) send(b *pgx.Batch) error { return t.conn.SendBatch(t.ctx, b).Close() }

// byIndex keeps the planner to indexes for the rest of the transaction. Whoever works on a few rows of large tables asks for
// it: a statement that is planned while a table is small, or before the server has counted it, would read all of it, and
// that plan is kept until the table is counted the next time. All who use a text that hooks use ask for it, for a plan
// belongs to the text.
func byIndex(b *pgx.Batch) {
	b.Queue(`SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)`)
}

// each queues a query and calls scan for each of its rows.
func each(b *pgx.Batch, scan func(pgx.Rows) error, sql string, args ...any) {
	b.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			if err := scan(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// write queues a statement that answers nothing.
func (t *tx) write(sql string, args ...any) { t.writes.Queue(sql, args...) }

// wake tells the observer after the commit that target has something due.
func (t *tx) wake(target string) { t.due = append(t.due, target) }

// count adds to the counters of target.
func (t *tx) count(target string, changes ...row.Counts) {
	for _, change := range changes {
		t.counts[target] = t.counts[target].Add(change)
	}
}

// add adds to a total.
func (t *tx) add(name string, n int64) { t.totals[name] += n }

// heard notes that source has sent something.
func (t *tx) heard(source string, at time.Time) {
	if at = shift(at, t.ledger.skew(t.now)); at.IsZero() {
		at = t.now
	}
	if source = clean(source); at.After(t.hooks[source]) {
		t.hooks[source] = at
	}
}

// flush queues what was added up. Names are sorted so that two transactions never wait for each other.
func (t *tx) flush() {
	for _, target := range sortedKeys(t.counts) {
		c := t.counts[target]
		if c == (row.Counts{}) {
			continue
		}
		t.write(`INSERT INTO counter (target, slot, accepted, pending, delivered, dead, skipped, superseded, dead_rows)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (target, slot) DO UPDATE SET
			accepted = counter.accepted + excluded.accepted, pending = counter.pending + excluded.pending,
			delivered = counter.delivered + excluded.delivered, dead = counter.dead + excluded.dead,
			skipped = counter.skipped + excluded.skipped, superseded = counter.superseded + excluded.superseded,
			dead_rows = counter.dead_rows + excluded.dead_rows`,
			target, t.slot, c.Accepted, c.Pending, c.Delivered, c.Dead, c.Skipped, c.Superseded, c.DeadRows)
	}
	for _, name := range sortedKeys(t.totals) {
		t.write(`INSERT INTO total (name, slot, n) VALUES ($1, $2, $3) ON CONFLICT (name, slot) DO UPDATE SET n = total.n + excluded.n`,
			name, t.slot, t.totals[name])
	}
	for _, source := range sortedKeys(t.hooks) {
		t.write(`INSERT INTO source (name, slot, last_hook) VALUES ($1, $2, $3)
			ON CONFLICT (name, slot) DO UPDATE SET last_hook = greatest(source.last_hook, excluded.last_hook)`,
			source, t.slot, row.Micros(t.hooks[source]))
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// clean makes text that a database takes: no NUL, valid UTF-8.
func clean(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\uFFFD")
}

// persist runs do until it succeeds, fails for a reason of its own, or has failed for as long as allowed. It returns an
// error that callers can test and operators can read.
func (l *Ledger) persist(ctx context.Context, allowed time.Duration, do func() error) error {
	deadline := time.Now().Add(allowed)
	for n := 0; ; n++ {
		err := do()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil && !isOwn(err) {
			return fmt.Errorf("the database did not answer in time: %w", ctx.Err())
		}
		cure := remedy(err)
		if cure == cureReconnect {
			l.fresh.Forget() // a server that takes over may know less
		}
		wait := time.Duration(rand.Int64N(int64(min(10*time.Millisecond<<min(n, 6), 500*time.Millisecond)))) + time.Millisecond
		if answer, ok := errors.AsType[*pgconn.PgError](err); ok && answer.Code == diskFull {
			l.room.lacking.Store(true)
		}
		if cure == cureNone || time.Now().Add(wait).After(deadline) {
			return explain(err)
		}
		switch cure {
		case cureReconnect:
			l.pool.Reset() // the other connections are as dead
		case cureDays:
			if err := l.ensureDays(ctx); err != nil {
				return explain(err)
			}
		case cureNone, cureAgain:
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// isOwn tells whether an error is the ledger's answer, and not that of the way to it.
func isOwn(err error) bool {
	return errors.Is(err, ledger.ErrFenced) || errors.Is(err, ledger.ErrNotFound) || errors.Is(err, ledger.ErrFull) ||
		errors.Is(err, ledger.ErrState)
}

// diskFull is the code of a server whose disk has no space left.
const diskFull = "53100"

// cure is what helps against an error.
type cure int

const (
	cureNone      cure = iota
	cureAgain          // it was somebody else's doing: try again
	cureReconnect      // the connection is gone: try again on another one
	cureDays           // a partition is missing: make it and try again
)

// remedy reads an error.
// Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
func remedy(err error) cure {
	if isLost(err) {
		return cureReconnect
	}
	answer, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case !ok:
		return cureNone
	case answer.Code == "40001", answer.Code == "40P01", answer.Code == "55P03": // serialization, deadlock, lock timeout
		return cureAgain
	case answer.Code == "23505" && answer.ConstraintName == "conversation_id": // another replica was faster
		return cureAgain
	case answer.Code == "23514" && strings.HasPrefix(answer.Message, "no partition of relation"):
		return cureDays
	}
	return cureNone
}

// isLost tells whether the server is gone, stops, or starts.
func isLost(err error) bool {
	if _, ok := errors.AsType[*lostError](err); ok {
		return true
	}
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok {
		// 08: connection exceptions; 57P01–57P05: shut down, starting, ended as idle; 25P03: idle in a transaction;
		// 25006: a standby by now.
		return strings.HasPrefix(answer.Code, "08") || strings.HasPrefix(answer.Code, "57P0") || answer.Code == "25P03" || answer.Code == "25006"
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, errStandby) || pgconn.SafeToRetry(err)
}

// explain turns an error of the database into what callers test for, with a hint.
func explain(err error) error {
	answer, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		if _, dialed := errors.AsType[*pgconn.ConnectError](err); dialed {
			return fmt.Errorf("no server was reached; is it running, and does ledger.url name its host and port: %w", err)
		}
		return err
	}
	switch {
	case answer.Code == "28P01", answer.Code == "28000":
		return fmt.Errorf("the server does not let this user in; look at user and password in ledger.url, and at pg_hba.conf: %w", err)
	case answer.Code == "3D000":
		return fmt.Errorf("CREATE DATABASE … OWNER … makes it, or ledger.url names another one: %w", err)
	case answer.Code == diskFull:
		return fmt.Errorf("%w: the database's disk has no space left (%w)", ledger.ErrFull, err)
	case answer.Code == "42501":
		return fmt.Errorf("the database does not let this user in: GRANT CREATE ON DATABASE …, or make the schema for it: %w", err)
	case answer.Code == "53300":
		return fmt.Errorf("the database has no connection left: raise max_connections, each replica uses up to %d: %w", defaultConnections+1, err)
	case strings.HasPrefix(answer.Code, "XX"):
		return fmt.Errorf("the database is damaged, look at its log: %w", err)
	}
	return err
}
