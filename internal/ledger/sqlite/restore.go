// This file is about ledgers that were restored from a copy. A backup says of itself that it is one, so the first start
// on it puts in doubt what may have been sent since; of any other copy somebody has to say so.

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/afterchat/afterchat/internal/ledger/row"
)

// querier is a connection, a database or a transaction.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// totalOf reads one of the totals; 0 if it is not there.
func totalOf(ctx context.Context, from querier, name string) (n int64, err error) {
	err = from.QueryRowContext(ctx, `SELECT coalesce((SELECT n FROM total WHERE name = ?), 0)`, name).Scan(&n)
	return n, err
}

// errStrangeLog means that a log lies beside a file that it is not of.
var errStrangeLog = errors.New("the log beside it is not of this file, but of the one in whose place it was put: move that log away, or start the gateway, which does")

// strangeLog tells whether the log beside the file at path is of another one. A backup has never been written to by way of
// a log, which its header says, and SQLite would play whatever log it finds into it.
func strangeLog(path string) (bool, error) {
	log, err := os.Stat(path + "-wal")
	if errors.Is(err, fs.ErrNotExist) || err == nil && log.Size() == 0 {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = file.Close() }()
	header := make([]byte, 100)
	n, err := file.ReadAt(header, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	// https://www.sqlite.org/fileformat2.html#file_format_version_numbers: 1 is without, 2 with a log.
	return n == len(header) && headerDamage(header) == "" && header[18] == 1 && header[19] == 1, nil
}

// parkLog moves the log of another file out of the way, under a name that says what it was.
func (l *Ledger) parkLog() error {
	strange, err := strangeLog(l.path)
	if err != nil || !strange {
		return err
	}
	parked := l.path + ".before-restore-" + l.clock().UTC().Format(asideTime) + "-wal"
	if err := os.Rename(l.path+"-wal", parked); err != nil {
		return err
	}
	if err := os.Remove(l.path + "-shm"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	l.options.Logger.Warn("the log beside the ledger was of another file, in whose place a backup was put; it was moved out of the way", "ledger", l.path, "log", parked)
	return syncFolder(filepath.Dir(l.path))
}

// markBackup marks a copy as one.
func markBackup(ctx context.Context, path string, now time.Time) error {
	db, err := connect(path, 1, "mode=rw")
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	_, err = db.ExecContext(ctx, `INSERT INTO total (name, n) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET n = excluded.n`, row.BackedUp, row.Micros(now))
	return err
}

// noticeBackup puts in doubt what waits in a backup that is opened for the first time, and finds out when the ledger was
// restored, if it ever was.
func (l *Ledger) noticeBackup(ctx context.Context, conn *sql.Conn) error {
	made, err := totalOf(ctx, conn, row.BackedUp)
	if err != nil {
		return err
	}
	if made > 0 {
		why := "a backup of " + row.FromMicros(made).UTC().Format(time.RFC3339) + " was put in the place of the ledger"
		doubtful, err := restored(ctx, conn, why, l.clock())
		if err != nil {
			return err
		}
		l.options.Logger.Warn("the ledger is a backup that was restored: what may have been sent since is in doubt, and targets are looked at before anything is created there",
			"ledger", l.path, "backup_of", row.FromMicros(made).UTC(), "in_doubt", doubtful)
	}
	at, err := totalOf(ctx, conn, row.Restored)
	l.restored.Store(at)
	return err
}

// restored puts in doubt what a ledger may send although it was sent, and notes why.
func restored(ctx context.Context, on interface {
	BeginTx(ctx context.Context, o *sql.TxOptions) (*sql.Tx, error)
}, why string, now time.Time,
) (doubtful int64, err error) {
	t, err := on.BeginTx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = t.Rollback() }()
	if _, err := t.ExecContext(ctx, row.PutInDoubt); err != nil {
		return 0, err
	}
	if err := t.QueryRowContext(ctx, row.CountInDoubt).Scan(&doubtful); err != nil {
		return 0, err
	}
	line := row.RestoredLine(why, doubtful, now)
	for _, statement := range []struct {
		sql  string
		args []any
	}{
		{`INSERT INTO total (name, n) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET n = excluded.n`, []any{row.Restored, row.Micros(now)}},
		{`DELETE FROM total WHERE name IN (?, ?)`, []any{row.BackedUp, row.Moved}},
		{
			`INSERT INTO audit (at, who, address, action, object, detail) VALUES (?, ?, ?, ?, ?, ?)`,
			[]any{row.Micros(line.At), line.Who, line.Address, line.Action, line.Object, line.Detail},
		},
	} {
		if _, err := t.ExecContext(ctx, statement.sql, statement.args...); err != nil {
			return 0, err
		}
	}
	return doubtful, t.Commit()
}

// Restored says that the ledger at path was restored from a copy that may be older than what has been sent: what is
// pending or dead is in doubt from here on, and so is what comes again of conversations that began before. It returns how
// many deliveries are in doubt, and ledger.ErrLocked if somebody has the ledger open.
func Restored(ctx context.Context, path string) (doubtful int64, err error) {
	db, done, err := connectTo(ctx, path, false)
	if err != nil {
		return 0, err
	}
	defer done()
	at, err := movedAt(ctx, db)
	if err == nil {
		err = movedError(at)
	}
	if err == nil {
		doubtful, err = restored(ctx, db, "somebody said that the ledger was restored from a copy", time.Now())
	}
	if err != nil {
		return 0, fmt.Errorf("ledger %s: %w", path, err)
	}
	return doubtful, nil
}

// Remarks tells what is worth knowing of the ledger at path and no fault. It changes nothing.
func Remarks(ctx context.Context, path string) ([]string, error) {
	db, done, err := look(ctx, path)
	if err != nil {
		return nil, err
	}
	defer done()
	var at [3]int64
	for i, name := range []string{row.Moved, row.BackedUp, row.Restored} {
		if at[i], err = totalOf(ctx, db, name); err != nil {
			return nil, fmt.Errorf("ledger %s: %w", path, err)
		}
	}
	return row.Remarks(at[0], at[1], at[2]), nil
}
