// This file looks at a ledger that may be open elsewhere: audits and copies of one moment.

package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// look connects to the ledger at path for reading. While a gateway has it open, the connection may not write at all;
// else it holds the lock, and SQLite brings the log of a killed process in order.
func look(ctx context.Context, path string) (*sql.DB, func(), error) {
	return connectTo(ctx, path, true)
}

// connectTo is look; with beside false it returns ledger.ErrLocked while a gateway has the ledger open.
func connectTo(ctx context.Context, path string, beside bool) (_ *sql.DB, done func(), err error) {
	if _, err := os.Stat(path); err != nil {
		return nil, nil, fmt.Errorf("ledger: %w", err)
	}
	held, left, err := lock(path + ".lock")
	mode := "mode=rw"
	switch {
	case err == nil:
		strange, err := strangeLog(path)
		if err == nil && strange {
			err = fmt.Errorf("ledger %s: %w", path, errStrangeLog)
		}
		if err != nil {
			return nil, nil, errors.Join(err, unlock(held))
		}
		if err := inspect(path, left); err != nil {
			return nil, nil, errors.Join(err, unlock(held))
		}
	case errors.Is(err, ledger.ErrLocked) && beside:
		mode = "mode=ro"
	default:
		return nil, nil, fmt.Errorf("ledger %s: %w", path, err)
	}
	db, err := connect(path, 1, mode, "_pragma=busy_timeout(10000)")
	done = func() {
		if held != nil && left != unmarked {
			_ = closing.write(held) // the last connection moves the log into the file
		}
		if db != nil {
			_ = db.Close()
		}
		if held != nil {
			_ = unlock(held)
		}
	}
	if err == nil {
		err = known(ctx, db)
	}
	if err != nil {
		done()
		return nil, nil, fmt.Errorf("ledger %s: %w", path, err)
	}
	return db, done, nil
}

// known refuses what is not a ledger of the schema of this program.
func known(ctx context.Context, db *sql.DB) error {
	steps, err := versions()
	if err != nil {
		return err
	}
	var version, application int
	err = db.QueryRowContext(ctx, `SELECT (SELECT user_version FROM pragma_user_version), (SELECT application_id FROM pragma_application_id)`).
		Scan(&version, &application)
	switch {
	case err != nil:
		return err
	case application != applicationID:
		return errForeign
	case version > len(steps):
		return fmt.Errorf("%w: its schema is version %d, this program knows %d", ledger.ErrNewer, version, len(steps))
	case version < len(steps):
		return fmt.Errorf("its schema is version %d of %d: run afterchat ledger migrate", version, len(steps))
	}
	return nil
}

// Verify audits the ledger at path as Ledger.Verify does, beside a running gateway if there is one, and changes nothing.
// Damage that the next start would set aside, and files that were set aside and not repaired, are findings, too.
func Verify(ctx context.Context, path string) (findings []ledger.Finding, err error) {
	db, done, err := look(ctx, path)
	switch {
	case isDamage(err):
		findings = append(findings, ledger.Finding{Text: err.Error()})
	case err != nil:
		return nil, err
	default:
		defer done()
		if findings, err = audit(ctx, db); err != nil {
			return nil, err
		}
	}
	if slices.ContainsFunc(findings, tellsDamage) {
		findings = append(findings, ledger.Finding{Text: "what can be read of it is not lost: stop the gateway if one runs, and run afterchat ledger repair"})
	}
	aside, err := SetAside(path)
	for _, file := range aside {
		findings = append(findings, ledger.Finding{Text: file + " was set aside and has not been repaired: run afterchat ledger repair"})
	}
	return findings, err
}

// tellsDamage tells whether a finding of an audit is about the file and not about the books.
func tellsDamage(f ledger.Finding) bool { return strings.Contains(f.Text, " is damaged") }

// Version returns the version of the schema of the file at path, 0 if there is none, and the one of this program.
func Version(path string) (is, want int, err error) {
	steps, err := versions()
	if err != nil {
		return 0, 0, err
	}
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, len(steps), nil
	}
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = file.Close() }()
	header := make([]byte, 100)
	if _, err := file.ReadAt(header, 0); err != nil && !errors.Is(err, io.EOF) {
		return 0, 0, err
	}
	return int(binary.BigEndian.Uint32(header[60:])), len(steps), nil
}

// Backup writes one moment of the ledger at path into a new file, beside a running gateway if there is one, and audits
// the copy. The copy is a ledger: put in the place of the file, with nothing else beside it, it goes on from there. It is
// marked as a copy, so what may have been sent since it was made is in doubt then.
func Backup(ctx context.Context, path, to string) (err error) {
	if _, err := os.Stat(to); err == nil {
		return fmt.Errorf("backup: %s is there already", to)
	}
	db, done, err := look(ctx, path)
	if err != nil {
		return err
	}
	defer done()
	part := to + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("backup: %w", err)
	}
	if err := create(part); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(part)
		}
	}()
	if _, err := db.ExecContext(ctx, `VACUUM INTO ?`, part); err != nil {
		return fmt.Errorf("backup of %s: %w", path, err)
	}
	if err := markBackup(ctx, part, time.Now()); err != nil {
		return fmt.Errorf("backup of %s: %w", path, err)
	}
	if err := checkBackup(ctx, part); err != nil {
		return fmt.Errorf("backup of %s: %w", path, err)
	}
	if err := os.Rename(part, to); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return syncFolder(filepath.Dir(to))
}

// checkBackup audits and syncs a copy.
func checkBackup(ctx context.Context, path string) error {
	db, err := connect(path, 1, "mode=ro")
	if err != nil {
		return err
	}
	findings, err := audit(ctx, db)
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	if len(findings) > 0 {
		return fmt.Errorf("the copy has %d faults that the ledger has, too, the first: %s %s", len(findings), findings[0].Target, findings[0].Text)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// audit runs the audits on a database.
func audit(ctx context.Context, db *sql.DB) ([]ledger.Finding, error) {
	codec, err := row.NewCodec()
	if err != nil {
		return nil, err
	}
	defer codec.Close()
	l := &Ledger{codec: codec}
	l.readers.Store(db)
	return l.Verify(ctx)
}
