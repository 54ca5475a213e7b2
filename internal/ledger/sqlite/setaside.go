// This file puts damaged files aside, so that hooks are taken on a fresh ledger at once and without a person. What the
// damaged one held waits for Recover; until then every new delivery begins in doubt, because the target may have it.

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

const (
	asideMiddle    = ".damaged-"
	repairedMiddle = ".repaired-"
	asideTime      = "20060102T150405.000000Z"
	// asideEvery is how soon a running ledger is set aside again at most. A disk that damages everything at once gets
	// answers of 503 instead of a folder full of files.
	asideEvery = time.Minute
)

var errDamagedAgain = errors.New("damaged again within a minute: the disk or the memory fails, replace it")

// suffixes of the files of a database.
var suffixes = [...]string{"", "-wal", "-shm", "-journal"}

// SetAside returns the damaged files that lie beside the ledger at path and have not been repaired, the oldest first.
func SetAside(path string) (files []string, err error) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if stamp, ok := strings.CutPrefix(entry.Name(), filepath.Base(path)+asideMiddle); ok {
			if _, err := time.Parse(asideTime, stamp); err == nil {
				files = append(files, filepath.Join(filepath.Dir(path), entry.Name()))
			}
		}
	}
	return files, nil // ReadDir sorts, and so do the times
}

// setAside renames the files of the ledger at path. The database's name comes last, so that a crash in between leaves it
// for the next start to find damaged. One that is missing gets an empty file in its place, for the damage to be seen.
func setAside(path string, now time.Time) (aside string, err error) {
	aside = path + asideMiddle + now.UTC().Format(asideTime)
	for _, suffix := range slices.Backward(suffixes[:]) {
		err := os.Rename(path+suffix, aside+suffix)
		if suffix == "" && errors.Is(err, os.ErrNotExist) {
			err = create(aside)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
	}
	return aside, syncFolder(filepath.Dir(path))
}

// markRepaired takes a file out of those that SetAside returns. Its content stays.
func markRepaired(aside string) (string, error) {
	repaired := strings.Replace(aside, asideMiddle, repairedMiddle, 1)
	if repaired == aside {
		return aside, nil
	}
	for _, suffix := range suffixes {
		if err := os.Rename(aside+suffix, repaired+suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
	}
	return repaired, syncFolder(filepath.Dir(aside))
}

// openSound opens the database, or a fresh one if it is damaged.
func (l *Ledger) openSound(ctx context.Context, left mark) (*writer, error) {
	if err := l.parkLog(); err != nil {
		return nil, err
	}
	cause := inspect(l.path, left)
	if cause == nil {
		if err := create(l.path); err != nil {
			return nil, err
		}
		var w *writer
		if w, cause = l.open(ctx); cause == nil {
			return w, l.countAside()
		}
	}
	if !isDamage(cause) || left == unmarked && !marked(l.path) {
		return nil, cause
	}
	if err := l.putAside(cause); err != nil {
		return nil, err
	}
	return l.open(ctx)
}

// Inspect reads the whole ledger at path and sets it aside if it is damaged; the next Open makes a fresh one. It says so
// to the logger. It returns ledger.ErrLocked if somebody has it open. Where there is none, or something else, it does
// nothing.
func Inspect(ctx context.Context, path string, logger *slog.Logger) (err error) {
	if path, err = filepath.Abs(path); err != nil {
		return err
	}
	if _, err := os.Stat(path + ".lock"); errors.Is(err, os.ErrNotExist) {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			return nil
		}
	}
	db, done, err := connectTo(ctx, path, false)
	if err == nil {
		err = wholeCheck(ctx, db)
		done()
	}
	if !isDamage(err) {
		if errors.Is(err, ledger.ErrLocked) || ctx.Err() != nil {
			return err
		}
		return nil // sound, or Open says what is wrong
	}
	held, left, locked := lock(path + ".lock")
	if locked != nil {
		return locked
	}
	defer func() { _ = unlock(held) }()
	if left == unmarked && !marked(path) {
		return nil
	}
	l := &Ledger{options: Options{Logger: logger}, path: path}
	if err := l.putAside(err); err != nil {
		return err
	}
	return unmarked.write(held) // nothing is missing beside the fresh file
}

// wholeCheck has SQLite look into everything. A full-text index that contradicts itself is no damage.
func wholeCheck(ctx context.Context, db *sql.DB) error {
	rows, err := db.QueryContext(ctx, "PRAGMA integrity_check(100)")
	if err != nil {
		return err
	}
	return each(rows, func(rows *sql.Rows) error {
		var text string
		if err := rows.Scan(&text); err != nil {
			return err
		}
		if text == "ok" || strings.Contains(strings.ToLower(text), "fts5") {
			return nil
		}
		return &damageError{text}
	})
}

// marked tells whether a file has the application id of a ledger.
func marked(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return errors.Is(err, os.ErrNotExist) // its log is there, else nobody would ask
	}
	defer func() { _ = file.Close() }()
	header := make([]byte, 100)
	n, _ := file.ReadAt(header, 0)
	return n == 0 || string(header[68:72]) == "aftc"
}

// putAside sets the files aside, says so, and makes an empty file in their place.
func (l *Ledger) putAside(cause error) error {
	aside, err := setAside(l.path, time.Now())
	if err != nil {
		return fmt.Errorf("%w; setting it aside failed: %w", cause, err)
	}
	l.options.Logger.Error("the ledger is damaged and was set aside; hooks are stored in a fresh one; what the damaged one holds is not delivered before it is repaired",
		"ledger", l.path, "set_aside", aside, "cause", cause.Error(), "remedy", "afterchat ledger repair")
	if err := l.countAside(); err != nil {
		return err
	}
	return create(l.path)
}

// countAside notes how many damaged files lie beside the ledger.
func (l *Ledger) countAside() error {
	files, err := SetAside(l.path)
	l.aside.Store(int64(len(files)))
	return err
}

// doubtful puts a new delivery in doubt while a damaged ledger has not been repaired, and of a conversation that began
// before this one was restored: another ledger may have sent it. c is nil if nobody knows when it began.
func (l *Ledger) doubtful(r *row.Delivery, c *chat.Conversation) {
	r.Misgive(c, l.restored.Load())
	if l.aside.Load() > 0 && r.State == ledger.Pending && r.Have == 0 && r.Doubt == 0 {
		r.Doubt = r.Want
	}
}

// replace sets a ledger aside that turned out to be damaged while it was open, and goes on with a fresh one. Leases of
// the damaged one find no delivery any more when they are settled.
func (w *writer) replace(cause error) error {
	l := w.ledger
	if now := time.Now(); now.Sub(w.replaced) < asideEvery {
		return fmt.Errorf("%w (%w)", errDamagedAgain, cause)
	}
	w.replaced = time.Now()
	l.checkpointer.moving.Lock()
	defer l.checkpointer.moving.Unlock()
	w.release()
	// The last connection to the damaged files must be gone before others have their names: it removes its log by name.
	_ = l.readers.Load().Close()
	if err := l.putAside(cause); err != nil {
		return err
	}
	return w.reopen()
}

// reopen connects anew after release. What the gateway had put in for all deliveries is put in again.
func (w *writer) reopen() error {
	ctx := context.Background()
	if err := create(w.ledger.path); err != nil {
		return err
	}
	next, err := w.ledger.open(ctx)
	if err != nil {
		return err
	}
	w.db, w.conn, w.statements, w.commands, w.recent, w.number = next.db, next.conn, next.statements, next.commands, next.recent, 0
	w.ledger.generation.Add(1)
	w.ledger.configs.Range(func(hash, packed any) bool {
		_, err = w.conn.ExecContext(ctx, `INSERT INTO config VALUES (?, ?) ON CONFLICT (hash) DO NOTHING`, hash, packed)
		return err == nil
	})
	return err
}

// release closes the writer's connection without touching the log.
func (w *writer) release() {
	w.closeStatements()
	if w.conn != nil {
		_ = w.conn.Close()
		_ = w.db.Close()
	}
	w.statements, w.commands, w.conn, w.db = nil, nil, nil, nil
}

// suspect passes damage that a reader has met on to the writer. generation is from before the read: damage of a ledger
// that has been set aside since is no news.
func (l *Ledger) suspect(err error, generation int64) {
	if err == nil || !isDamage(err) {
		return
	}
	_ = l.write(context.Background(), func(*tx) error {
		if l.generation.Load() != generation {
			return nil
		}
		return err
	})
}
