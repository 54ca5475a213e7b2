// Package sqlite is the ledger in one SQLite file: the engine for one process.
//
// A Ledger is safe for use by several goroutines. Every change goes through one writer goroutine, which commits all
// that waits in one transaction with one fsync; when a method returns without an error, its change is on disk. Reads
// have connections of their own and never wait for the writer.
//
// Times come from the program and not from SQLite, so that a ledger works under testing/synctest.
//
// This file opens and closes.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// Options are what a caller may choose. The zero value keeps everything for ever and is heard by nobody.
type Options struct {
	Retention ledger.Retention
	Observer  ledger.Observer
	Logger    *slog.Logger // nil: silent
	// BatchLimit is how many operations share a transaction at most; 0: 256. An operation that waits longer than a
	// transaction takes is a sign of a slow disk, not of a low limit.
	BatchLimit int
	// Patience is how long a settlement waits, if nobody else has anything to commit, for somebody to share a commit with.
	// It is durable when Settle returns all the same. 0: not at all.
	Patience time.Duration

	clock     func() time.Time // nil: time.Now
	indexWait time.Duration    // how long a list waits for the indexer; 0: patience
}

const (
	defaultBatch = 256
	// identityAge is how long it takes at least until a conversation whose bodies are gone is forgotten altogether: a
	// hook that comes later makes a new one, with the same id.
	identityAge = 365 * 24 * time.Hour
)

// Ledger is an open ledger. Open makes one.
type Ledger struct {
	options Options
	path    string
	codec   row.Codec
	lock    *os.File
	readers atomic.Pointer[sql.DB]

	aside      atomic.Int64 // damaged files beside it that have not been repaired
	restored   atomic.Int64 // when it was restored from a copy, in microseconds; 0: never
	busyAt     atomic.Int64 // when many committed together last, in nanoseconds
	generation atomic.Int64 // how often it was replaced by a fresh one
	configs    sync.Map     // hash to packed snapshot: what SaveConfig has kept, for a fresh ledger
	pruned     atomic.Int64 // when snapshots that nobody needs were looked for, in microseconds

	fresh        row.Fresh // conversations that were accepted just now
	checkpointer *checkpointer
	indexer      *indexer              // nil in a ledger that is only looked at
	renew        atomic.Bool           // the full-text index is damaged and is to be made anew
	clock        func() time.Time      // time.Now, but in tests of clocks that jump
	names        atomic.Pointer[names] // nil: nothing has been renamed
	retention    atomic.Pointer[ledger.Retention]
	crowd        row.Crowd
	squeezing    chan struct{} // held by the one who makes room for a hook

	queue   chan *operation
	stopped chan struct{} // closed when the writer goroutine has ended

	mu     sync.RWMutex // guards closed; held while somebody joins users
	closed bool
	users  sync.WaitGroup // reads under way, and operations on their way into queue
}

// Open opens the ledger at path, a file that is created if it is not there, and brings its schema up to date. Damaged
// files are set aside, see SetAside. Leases of an earlier run are void at once; what waits in a backup is in doubt, see Restored. It returns ledger.ErrLocked if another process has it open, ledger.ErrNewer if a
// newer version wrote it, and ledger.ErrMoved if it was copied to another database. Close ends it.
func Open(ctx context.Context, path string, o Options) (_ *Ledger, err error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.clock == nil {
		o.clock = time.Now
	}
	if o.indexWait <= 0 {
		o.indexWait = patience
	}
	if o.BatchLimit <= 0 {
		o.BatchLimit = defaultBatch
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	l := &Ledger{options: o, path: path, clock: o.clock, queue: make(chan *operation, o.BatchLimit), squeezing: make(chan struct{}, 1), stopped: make(chan struct{})}
	l.Keep(o.Retention)
	var left mark
	if l.lock, left, err = lock(path + ".lock"); err != nil {
		return nil, homeless(path, err)
	}
	if l.codec, err = row.NewCodec(); err != nil {
		return nil, errors.Join(err, l.lock.Close())
	}
	w, err := l.openSound(ctx, left)
	if err != nil {
		l.codec.Close()
		_ = l.lock.Close()
		return nil, fmt.Errorf("ledger %s: %w", path, advise(err))
	}
	_ = running.write(l.lock) // a hint for people and for the next start
	l.checkpointer = startCheckpointer(l)
	go w.run()
	l.indexer = startIndexer(l)
	return l, nil
}

// homeless says what to do when there is no place for the ledger.
func homeless(path string, err error) error {
	folder := filepath.Dir(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the folder %s does not exist; make it, or write ledger.url with a file in a folder that is there (%w)", folder, err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("nothing can be written in %s; let this user write there, or write ledger.url with a file elsewhere (%w)", folder, err)
	}
	return fmt.Errorf("ledger %s: %w", path, err)
}

// advise says what to do about an error of a file that cannot be opened or brought up to date.
func advise(err error) error {
	code := 0
	if failure, ok := errors.AsType[*sqlite.Error](err); ok {
		code = failure.Code() & 0xff
	}
	switch {
	case code == sqlite3.SQLITE_FULL, errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%w: its disk has no space left; make room and start again, nothing of it was lost (%w)", ledger.ErrFull, err)
	case code == sqlite3.SQLITE_BUSY, code == sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("another program, such as a SQLite shell, has the file open; close that and start again (%w)", err)
	case code == sqlite3.SQLITE_READONLY, code == sqlite3.SQLITE_CANTOPEN, code == sqlite3.SQLITE_PERM, errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("it cannot be written; let this user write the file, those beside it and their folder (%w)", err)
	case code == sqlite3.SQLITE_IOERR:
		return fmt.Errorf("its disk cannot be read or written; look at the system's log, and restore a backup on another disk if this one fails (%w)", err)
	}
	return err
}

// create makes an empty file that only its owner reads, for what visitors wrote is nobody else's. SQLite gives the same
// rights to the files beside it. A file that is there keeps its rights.
func create(path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o600)
	if err != nil {
		return err
	}
	return file.Close()
}

// open opens both sides of the database behind the lock.
func (l *Ledger) open(ctx context.Context) (_ *writer, err error) {
	var undo []func()
	defer func() {
		if err != nil {
			for _, f := range undo {
				f()
			}
		}
	}()
	writing, err := connect(l.path, 1, "_pragma=busy_timeout(10000)", "_pragma=auto_vacuum(incremental)", "_pragma=journal_mode(wal)",
		"_pragma=synchronous(full)", fmt.Sprintf("_pragma=wal_autocheckpoint(%d)", logPages), "_pragma=journal_size_limit(67108864)", "_pragma=cache_size(-4096)", "_txlock=immediate")
	if err != nil {
		return nil, err
	}
	undo = append(undo, func() { _ = writing.Close() })
	conn, err := writing.Conn(ctx)
	if err != nil {
		return nil, err
	}
	renew, err := quickCheck(ctx, conn)
	if err != nil {
		return nil, err
	}
	l.renew.Store(renew)
	if err := migrate(ctx, conn); err != nil {
		return nil, err
	}
	if err := refuseMoved(ctx, conn); err != nil {
		return nil, err
	}
	if err := l.noticeBackup(ctx, conn); err != nil {
		return nil, err
	}
	if err := voidLeases(ctx, conn, l.clock()); err != nil {
		return nil, err
	}
	if err := setRight(ctx, conn, l.clock()); err != nil {
		return nil, err
	}
	if err := syncFolder(filepath.Dir(l.path)); err != nil {
		return nil, err
	}
	// One more than may read at once, for the checkpointer.
	readers, err := connect(l.path, 1+max(2, runtime.GOMAXPROCS(0)), "_pragma=busy_timeout(10000)", "_pragma=query_only(1)", "_pragma=cache_size(-1024)")
	if err != nil {
		return nil, err
	}
	l.readers.Store(readers)
	return &writer{ledger: l, db: writing, conn: conn, statements: map[string]*sql.Stmt{}, commands: map[string]command{}, recent: recent{}, parked: map[string][]*operation{}}, nil
}

func connect(path string, connections int, parameters ...string) (*sql.DB, error) {
	address := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: strings.Join(parameters, "&")}
	connector, err := sqlite.NewConnector(address.String())
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// voidLeases makes what an earlier run had leased due now. It stays in doubt, because its request may have gone out.
func voidLeases(ctx context.Context, conn *sql.Conn, now time.Time) error {
	_, err := conn.ExecContext(ctx, `UPDATE delivery INDEXED BY due SET fence = fence + 1, due_at = min(due_at, ?)
		WHERE state = 0 AND trying > 0`, row.Micros(now))
	return err
}

// syncFolder makes the name of a new file as durable as its content.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil // a folder cannot be synced there
	}
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// Close lets the operations that are under way finish, moves the log into the file and lets go of the lock. After it
// every method returns ledger.ErrClosed.
func (l *Ledger) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return ledger.ErrClosed
	}
	l.closed = true
	l.mu.Unlock()

	l.indexer.close()
	l.users.Wait()
	l.checkpointer.close()
	err := closing.write(l.lock)
	err = errors.Join(err, l.readers.Load().Close()) // first, so that the log can be moved as a whole
	close(l.queue)
	<-l.stopped
	l.codec.Close()
	return errors.Join(err, unlock(l.lock))
}

// enter joins users, unless the ledger is closed. The caller leaves with users.Done.
func (l *Ledger) enter() error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return ledger.ErrClosed
	}
	l.users.Add(1)
	return nil
}
