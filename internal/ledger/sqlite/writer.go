// This file is the writer: one goroutine, one connection, group commit.

package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// operation is one change that waits for the writer. do runs inside a transaction; it runs again, from the start, when
// the transaction that it shared was rolled back for the sake of another operation.
type operation struct {
	ctx  context.Context
	do   func(*tx) error
	due  []string        // targets to wake after the commit, set by do through tx.wake
	met  []ledger.Merged // told after the commit, set by do
	then func()          // called after the commit, before anybody is woken; set by do; may be nil
	err  error
	done chan struct{} // closed after the commit

	yields    bool       // it lets others commit before it
	patient   bool       // it may wait for others to share its commit
	claim     *claims    // that it is, if it may wait for something to fall due
	withdrawn *operation // no change, but the end of such a wait
}

// rank orders what comes after everything else in a batch, which has 0.
func (op *operation) rank() int {
	switch {
	case op.yields:
		return 2
	case op.claim != nil:
		return 1
	}
	return 0
}

// run keeps a panic in what a caller handed in from taking down the writer, and with it everybody's hooks.
func (op *operation) run(t *tx) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			t.wrote = true // perhaps half of it
			err = fmt.Errorf("panic in the ledger's transaction: %v", cause)
		}
	}()
	return op.do(t)
}

// writePatiently is write of a change that nobody waits for: alone, it waits a moment for others to share a commit with.
func (l *Ledger) writePatiently(ctx context.Context, do func(*tx) error) error {
	return l.commit(ctx, &operation{ctx: ctx, do: do, done: make(chan struct{}), patient: l.options.Patience > 0})
}

// writeLast is write of a change that takes its time. It gets a commit of its own, behind those of who have come by then;
// but on a disk where a commit takes longer than the change it is the last in a commit of others.
func (l *Ledger) writeLast(ctx context.Context, do func(*tx) error) error {
	return l.commit(ctx, &operation{ctx: ctx, do: do, done: make(chan struct{}), yields: true})
}

// write has do executed and committed. When ctx ends first, its error comes back and do may still happen, even now: what
// do writes to must not be read after an error.
func (l *Ledger) write(ctx context.Context, do func(*tx) error) error {
	return l.commit(ctx, &operation{ctx: ctx, do: do, done: make(chan struct{})})
}

func (l *Ledger) commit(ctx context.Context, op *operation) error {
	if err := l.enqueue(ctx, op); err != nil {
		return err
	}
	select {
	case <-op.done:
		return op.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *Ledger) enqueue(ctx context.Context, op *operation) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := l.enter(); err != nil {
		return err
	}
	defer l.users.Done()
	select {
	case l.queue <- op:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// writer owns the writing connection. Only its goroutine touches it.
type writer struct {
	ledger     *Ledger
	db         *sql.DB
	conn       *sql.Conn
	statements map[string]*sql.Stmt
	commands   map[string]command // the statements of exec, at the driver
	args       []driver.NamedValue
	synced     time.Duration // what a commit took lately
	replaced   time.Time     // when the files were set aside last

	// What the file says, too, so that it need not be read again. It is forgotten when a transaction fails.
	number int64 // of the newest conversation; 0: not known
	recent recent

	parked map[string][]*operation // claims that wait, by target
	served []*operation            // claims that waited and have something, to be answered after the commit
}

// run commits what comes until the queue is closed. It adds no delay: what queued up during a commit is the next batch,
// with what those have to say who are ready to run now. Without letting them, the first one to speak would have a commit
// for himself whenever all processors are busy.
func (w *writer) run() {
	defer close(w.ledger.stopped)
	defer w.close()
	defer w.unpark()
	batch := make([]*operation, 0, w.ledger.options.BatchLimit)
	for op := range w.ledger.queue {
		batch = w.join(batch[:0], op)
		for before := 0; len(batch) > before; {
			before = len(batch)
			runtime.Gosched()
			batch = w.drain(batch)
		}
		if !slices.ContainsFunc(batch, func(op *operation) bool { return !op.patient }) {
			batch = w.linger(batch)
		}
		w.commitInTurn(batch)
		w.moveRest()
		clear(batch[:cap(batch)])
	}
}

// mostTurns is how many commits of others an operation that yields lets go first.
const mostTurns = 4

// shareAbove is how long a commit takes where one more of them is worse than a change that takes its time.
const shareAbove = 2 * indexFor

// commitInTurn commits a batch, and what yields last and by itself.
func (w *writer) commitInTurn(batch []*operation) {
	if w.synced > shareAbove {
		w.commit(batch)
		return
	}
	var last []*operation
	for turn := 1; len(batch) > 0; turn++ {
		first := batch[:0]
		for _, op := range batch {
			if op.yields {
				last = append(last, op)
			} else {
				first = append(first, op)
			}
		}
		if len(first) > 0 {
			w.commit(first)
		}
		if len(last) == 0 || turn == mostTurns {
			break
		}
		batch = w.drain(batch[:0])
	}
	if len(last) > 0 {
		w.commit(last)
	}
}

// join adds an operation to a batch, unless it is none.
func (w *writer) join(batch []*operation, op *operation) []*operation {
	if op.withdrawn != nil {
		w.withdraw(op)
		return batch
	}
	return append(batch, op)
}

// drain adds what has queued.
func (w *writer) drain(batch []*operation) []*operation {
	for len(batch) < cap(batch) {
		select {
		case op, ok := <-w.ledger.queue:
			if !ok {
				return batch
			}
			batch = w.join(batch, op)
		default:
			return batch
		}
	}
	return batch
}

// patientEnough is how many patient operations are worth a commit of their own.
const patientEnough = 32

// linger waits for somebody who is in a hurry to share a commit with.
func (w *writer) linger(batch []*operation) []*operation {
	if len(batch) == 0 {
		return batch
	}
	timer := time.NewTimer(w.ledger.options.Patience)
	defer timer.Stop()
	for len(batch) < min(cap(batch), patientEnough) {
		select {
		case op, ok := <-w.ledger.queue:
			if !ok {
				return batch
			}
			batch = w.join(batch, op)
			if !op.patient && op.withdrawn == nil {
				return w.drain(batch)
			}
		case <-timer.C:
			return batch
		}
	}
	return batch
}

func (w *writer) close() {
	defer w.release()
	if w.conn == nil {
		return
	}
	w.closeStatements()
	// What is in the log is durable already; a checkpoint that fails costs the next start some milliseconds.
	if _, err := w.conn.ExecContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		w.ledger.options.Logger.Warn("the ledger's log was not moved into its file", "error", err)
	}
}

// commit executes batch in one transaction. If that fails, each operation gets a transaction of its own, so that one
// bad record refuses nobody else's.
func (w *writer) commit(batch []*operation) {
	// Claims that may wait come last, so that none waits for what others here make due.
	slices.SortStableFunc(batch, func(a, b *operation) int { return a.rank() - b.rank() })
	if len(batch) >= busyBatch {
		w.ledger.busyAt.Store(time.Now().UnixNano())
	}
	err := w.transact(batch)
	if isDamage(err) {
		if err = w.replace(err); err == nil {
			err = w.transact(batch)
		}
	}
	for _, op := range batch {
		alone := err
		if err != nil && len(batch) > 1 {
			alone = w.transact([]*operation{op})
		}
		if alone != nil { // otherwise op has its own: it may have been refused, and nothing else failed
			op.err = alone
		}
	}
	observer := w.ledger.options.Observer
	var due []string
	for _, op := range batch {
		if op.err != nil {
			continue
		}
		due = append(due, op.due...)
		if observer.Merged != nil {
			for _, m := range op.met {
				observer.Merged(m)
			}
		}
		if op.then != nil {
			op.then()
		}
	}
	// Who is woken last runs first when the writer waits again: that shall be the one whose sender waits.
	served := w.handOver()
	if observer.Due != nil {
		slices.Sort(due)
		for _, target := range slices.Compact(due) {
			if !slices.Contains(served, target) {
				observer.Due(target)
			}
		}
	}
	for _, op := range batch {
		if op.err == nil && op.claim.waits() {
			w.park(op)
		} else {
			close(op.done)
		}
	}
}

// transact commits batch as a whole or nothing of it. An operation that refuses before it has changed anything, or whose
// caller has gone, is left out.
func (w *writer) transact(batch []*operation) error {
	started := time.Now()
	if w.conn == nil { // a fresh ledger could not be opened when the damaged one was set aside
		if err := w.reopen(); err != nil {
			return w.explain(err)
		}
	}
	t := &tx{writer: w, now: w.ledger.clock(), counts: map[string]row.Counts{}, totals: map[string]int64{}, hooks: map[string]time.Time{}}
	if err := t.exec("BEGIN IMMEDIATE"); err != nil {
		return w.explain(err)
	}
	committed := false
	defer func() {
		if !committed {
			w.number = 0
			clear(w.recent)
			w.unserve()
			// After some errors SQLite has rolled back by itself; then this one fails and means nothing.
			_ = t.exec("ROLLBACK")
		}
	}()
	if err := t.measure(); err != nil {
		return w.explain(err)
	}
	for _, op := range batch {
		if err := t.run(op); err != nil {
			return err
		}
	}
	served, err := t.serve(batch)
	if err == nil {
		err = t.sow()
	}
	if err == nil {
		err = t.flush()
	}
	if err != nil {
		return w.explain(err)
	}
	begun := time.Now()
	if err := t.exec("COMMIT"); err != nil {
		return w.explain(err)
	}
	committed = true
	w.synced += (time.Since(begun) - w.synced) / 8
	if t.changed {
		w.ledger.checkpointer.committed()
	}
	w.keepServed(served)
	if observer := w.ledger.options.Observer; observer.Committed != nil {
		observer.Committed(time.Since(started), len(batch))
	}
	w.ledger.crowd.Tell(t.size, w.ledger.retention.Load().MaxSize, w.ledger.options.Observer.Crowded)
	return nil
}

// run runs one operation of a batch. Its error is that of the batch, which cannot be committed; that of the operation alone
// is in op.err.
func (t *tx) run(op *operation) error {
	if op.err = op.ctx.Err(); op.err != nil {
		return nil
	}
	t.op, op.due, op.met, op.then, t.wrote = op, nil, nil, nil, false
	err := op.run(t)
	t.changed = t.changed || t.wrote
	if err != nil {
		op.err = t.explain(err)
		if _, broken := errors.AsType[*sqlite.Error](err); broken || t.wrote || isDamage(err) {
			return op.err
		}
	}
	return nil
}

// explain turns an error of SQLite into what callers test for, with a hint.
func (w *writer) explain(err error) error {
	failure, ok := errors.AsType[*sqlite.Error](err)
	if !ok {
		return err
	}
	switch failure.Code() & 0xff {
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w: the disk that holds %s has no space left (%w)", ledger.ErrFull, w.ledger.path, err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		return fmt.Errorf("ledger %s cannot be written, check its disk and its permissions: %w", w.ledger.path, err)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("ledger %s is damaged: %w", w.ledger.path, err)
	}
	return fmt.Errorf("ledger %s: %w", w.ledger.path, err)
}

// tx is the transaction that a batch shares.
type tx struct {
	*writer

	op      *operation
	now     time.Time
	wrote   bool // the operation at hand has changed something, so its failure rolls back the batch
	changed bool // any has

	size int64 // bytes in use, what this transaction adds included

	// What many operations add to the same few rows is written once, at the end.
	counts map[string]row.Counts
	totals map[string]int64
	hooks  map[string]time.Time

	planted []planted // new deliveries
	sown    int       // how many of them are in the table
	touched bool      // what is planted may have been changed there
}

// statement prepares a text once per connection.
func (w *writer) statement(text string) (*sql.Stmt, error) {
	if s, ok := w.statements[text]; ok {
		return s, nil
	}
	s, err := w.conn.PrepareContext(context.Background(), text)
	if err == nil {
		w.statements[text] = s
	}
	return s, err
}

// statement prepares a text. What it may read has been written.
func (t *tx) statement(text string) (*sql.Stmt, error) {
	if t.sown < len(t.planted) && strings.Contains(text, "delivery") {
		if err := t.sow(); err != nil {
			return nil, err
		}
	}
	return t.writer.statement(text)
}

// row reads the one row of a query; sql.ErrNoRows if there is none.
func (t *tx) row(text string, args []any, into ...any) error {
	s, err := t.statement(text)
	if err != nil {
		return err
	}
	return s.QueryRowContext(context.Background(), args...).Scan(into...)
}

// rows calls scan for each row of a query.
func (t *tx) rows(text string, args []any, scan func(*sql.Rows) error) error {
	s, err := t.statement(text)
	return query(s, err, args, scan)
}

// rowsAsTheyAre is rows without what has been planted and is not in its table yet.
func (t *tx) rowsAsTheyAre(text string, args []any, scan func(*sql.Rows) error) error {
	s, err := t.writer.statement(text)
	return query(s, err, args, scan)
}

// query calls scan for each row of a statement, which may not have been prepared.
func query(s *sql.Stmt, err error, args []any, scan func(*sql.Rows) error) error {
	if err != nil {
		return err
	}
	found, err := s.QueryContext(context.Background(), args...)
	if err != nil {
		return err
	}
	return each(found, scan)
}

// each calls scan for each row and closes rows.
func each(rows *sql.Rows, scan func(*sql.Rows) error) error {
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// wake tells the observer after the commit that target has something due.
func (t *tx) wake(target string) { t.op.due = append(t.op.due, target) }

// count adds to the counters of target.
func (t *tx) count(target string, change row.Counts) {
	t.wrote = true
	t.counts[target] = t.counts[target].Add(change)
}

// add adds to a total.
func (t *tx) add(name string, n int64) {
	t.wrote = true
	t.totals[name] += n
}

// heard notes that source has sent something.
func (t *tx) heard(source string, at time.Time) {
	if at.IsZero() {
		at = t.now
	}
	t.wrote = true
	if at.After(t.hooks[source]) {
		t.hooks[source] = at
	}
}

// flush writes what was added up.
func (t *tx) flush() error {
	for target, c := range t.counts {
		err := t.exec(`INSERT INTO counter VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (target) DO UPDATE SET
			accepted = accepted + excluded.accepted, pending = pending + excluded.pending, delivered = delivered + excluded.delivered,
			dead = dead + excluded.dead, skipped = skipped + excluded.skipped, superseded = superseded + excluded.superseded,
			dead_rows = dead_rows + excluded.dead_rows`,
			target, c.Accepted, c.Pending, c.Delivered, c.Dead, c.Skipped, c.Superseded, c.DeadRows)
		if err != nil {
			return err
		}
	}
	for name, n := range t.totals {
		if err := t.exec(`INSERT INTO total VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET n = n + excluded.n`, name, n); err != nil {
			return err
		}
	}
	for source, at := range t.hooks {
		err := t.exec(`INSERT INTO source VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET last_hook = max(last_hook, excluded.last_hook)`, source, row.Micros(at))
		if err != nil {
			return err
		}
	}
	return nil
}

// measure finds the bytes in use, if there is a limit to hold them against.
func (t *tx) measure() error {
	if t.ledger.retention.Load().MaxSize <= 0 {
		return nil
	}
	var pages, free, size int64
	for pragma, into := range map[string]*int64{"PRAGMA page_count": &pages, "PRAGMA freelist_count": &free, "PRAGMA page_size": &size} {
		if err := t.row(pragma, nil, into); err != nil {
			return err
		}
	}
	t.size = (pages - free) * size
	return nil
}

// fits tells whether n more bytes may be stored.
func (t *tx) fits(n int) bool {
	limit := t.ledger.retention.Load().MaxSize
	return limit <= 0 || t.size+int64(n) <= limit
}

// reserve counts n more bytes that are stored, or says that they do not fit.
func (t *tx) reserve(n int) error {
	if !t.fits(n) {
		return t.full()
	}
	t.size += int64(n)
	return nil
}

// full is the error of what does not fit.
func (t *tx) full() error {
	return fmt.Errorf("%w: it holds %d bytes of at most %d; raise ledger.retention.max_size or shorten retention", ledger.ErrFull, t.size,
		t.ledger.retention.Load().MaxSize)
}
