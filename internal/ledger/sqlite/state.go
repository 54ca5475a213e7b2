// This file keeps what is beside conversations: the state of targets, notes, and whether something can be stored.

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// TargetState returns the state of a target; the zero value if none was saved.
func (l *Ledger) TargetState(ctx context.Context, name string) (ledger.TargetState, error) {
	var s ledger.TargetState
	var since, until, paused int64
	err := l.read(ctx, `SELECT account, since, until, reason, by_operator, probes, paused FROM target WHERE name = ?`, []any{name},
		&s.Account, &since, &until, &s.Pause.Reason, &s.Pause.ByOperator, &s.Pause.Probes, &paused)
	if errors.Is(err, ledger.ErrNotFound) {
		return ledger.TargetState{}, nil
	}
	s.Pause.Since, s.Pause.Until, s.Paused = row.FromMicros(since), row.FromMicros(until), time.Duration(paused)*time.Microsecond
	return s, err
}

// SaveTargetState keeps the state of a target in place of the one before.
func (l *Ledger) SaveTargetState(ctx context.Context, name string, s ledger.TargetState) error {
	return l.write(ctx, func(t *tx) error {
		return t.exec(`INSERT OR REPLACE INTO target VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, name, s.Account, row.Micros(s.Pause.Since),
			row.Micros(s.Pause.Until), s.Pause.Reason, s.Pause.ByOperator, s.Pause.Probes, s.Paused.Microseconds())
	})
}

// Note returns what is remembered under a name; the zero value if nothing is.
func (l *Ledger) Note(ctx context.Context, name string) (n ledger.Note, err error) {
	err = l.read(ctx, `SELECT version, text FROM note WHERE name = ?`, []any{name}, &n.Version, &n.Text)
	if errors.Is(err, ledger.ErrNotFound) {
		return ledger.Note{}, nil
	}
	return n, err
}

// SaveNote keeps a text under a name in place of the one that has n's version, and returns ledger.ErrChanged if there is
// another one.
func (l *Ledger) SaveNote(ctx context.Context, name string, n ledger.Note) error {
	return l.write(ctx, func(t *tx) error {
		var version int64
		if err := t.row(`SELECT version FROM note WHERE name = ?`, []any{name}, &version); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if version != n.Version {
			return fmt.Errorf("note %s: %w", name, ledger.ErrChanged)
		}
		return t.exec(`INSERT OR REPLACE INTO note VALUES (?, ?, ?)`, name, n.Version+1, n.Text)
	})
}

// readyRoom is how much must still fit for hooks to be taken, in bytes: enough for a long chat.
const readyRoom = 256 << 10

// Ready commits something now, fsync included, and returns why that is not possible, or that a hook would not fit any
// more.
func (l *Ledger) Ready(ctx context.Context) error {
	if free, known := freeSpace(filepath.Dir(l.path)); known && free < readyRoom {
		return fmt.Errorf("%w: the disk that holds %s has %d bytes left", ledger.ErrFull, l.path, free)
	}
	return l.writeRoomy(ctx, readyRoom, func(t *tx) error {
		if err := t.reserve(readyRoom); err != nil {
			return err
		}
		t.add("ready", 1)
		return nil
	})
}

// read reads the one row of a query on a reader; ledger.ErrNotFound if there is none.
func (l *Ledger) read(ctx context.Context, query string, args []any, into ...any) error {
	if err := l.enter(); err != nil {
		return err
	}
	defer l.users.Done()
	generation := l.generation.Load()
	err := l.readers.Load().QueryRowContext(ctx, query, args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return ledger.ErrNotFound
	}
	l.suspect(err, generation)
	return err
}
