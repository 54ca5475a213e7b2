// This file looks after the ledger of a configuration: audits, backups, the schema, repairs.

package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/internal/console"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/postgres"
	"github.com/afterchat/afterchat/internal/ledger/sqlite"
)

// errSQLiteOnly means that a command is for ledgers in a file.
var errSQLiteOnly = errors.New("the ledger is in PostgreSQL, which has its own tools for that: a damaged database is restored from a backup, or from a standby")

// ErrNotRunning means that no gateway listens at the admin address.
var ErrNotRunning = errors.New("no gateway runs")

// Repaired is what the repair of a damaged ledger came to.
type Repaired = ledger.Repaired

// VerifyLedger audits the ledger, beside a running gateway if there is one, and changes nothing.
func VerifyLedger(ctx context.Context, cfg *config.Config) ([]ledger.Finding, error) {
	if !cfg.Ledger.URL.Shared() {
		return sqlite.Verify(ctx, cfg.LedgerFile())
	}
	return postgres.Verify(ctx, cfg.Ledger.URL.Reveal())
}

// LedgerRemarks tells what is worth knowing of a ledger that was audited and is no fault.
func LedgerRemarks(ctx context.Context, cfg *config.Config) ([]string, error) {
	if !cfg.Ledger.URL.Shared() {
		return sqlite.Remarks(ctx, cfg.LedgerFile())
	}
	return postgres.Remarks(ctx, cfg.Ledger.URL.Reveal())
}

// BackupLedger writes one moment of the ledger into a new file, beside a running gateway if there is one. Of a ledger in
// PostgreSQL it is a dump by pg_dump.
func BackupLedger(ctx context.Context, cfg *config.Config, to string) error {
	if cfg.Ledger.URL.Shared() {
		return postgres.Backup(ctx, cfg.Ledger.URL.Reveal(), to)
	}
	return sqlite.Backup(ctx, cfg.LedgerFile(), to)
}

// RestoredLedger says that the ledger was restored from a copy that may be older than what has been sent, and returns how
// many deliveries are in doubt. No gateway may run.
func RestoredLedger(ctx context.Context, cfg *config.Config) (doubtful int64, err error) {
	if cfg.Ledger.URL.Shared() {
		return postgres.Restored(ctx, cfg.Ledger.URL.Reveal())
	}
	return sqlite.Restored(ctx, cfg.LedgerFile())
}

// Migrated is what MigrateLedger has done.
type Migrated struct {
	Before, After int      // versions of the schema; Before is 0 if there was no ledger
	SetAside      []string // files that were damaged and have been set aside by it
}

// MigrateLedger brings the schema up to date, as the start of a gateway does. No gateway may have a file open.
func MigrateLedger(ctx context.Context, cfg *config.Config, logger *slog.Logger) (done Migrated, err error) {
	if cfg.Ledger.URL.Shared() {
		done.Before, done.After, err = postgres.Version(ctx, cfg.Ledger.URL.Reveal())
		if err != nil {
			return done, err
		}
		l, err := postgres.Open(ctx, cfg.Ledger.URL.Reveal(), postgres.Options{Logger: logger})
		if err != nil {
			return done, err
		}
		done.After = max(done.Before, done.After) // a newer program's schema stays
		return done, l.Close()
	}
	path := cfg.LedgerFile()
	if done.Before, done.After, err = sqlite.Version(path); err != nil {
		return done, err
	}
	before, _ := sqlite.SetAside(path) // Open says what is wrong with the folder
	l, err := sqlite.Open(ctx, path, sqlite.Options{Logger: logger})
	if errors.Is(err, ledger.ErrLocked) {
		return done, fmt.Errorf("%w; a gateway that runs has brought the schema to its own version when it started", err)
	}
	if err != nil {
		return done, err
	}
	aside, err := sqlite.SetAside(path)
	done.SetAside = slices.DeleteFunc(aside, func(file string) bool { return slices.Contains(before, file) })
	return done, errors.Join(err, l.Close())
}

// InspectLedger sets the ledger of the configuration aside if it is damaged. One that a gateway has open is left alone,
// and looked is false: the gateway does it itself.
func InspectLedger(ctx context.Context, cfg *config.Config, logger *slog.Logger) (looked bool, err error) {
	if cfg.Ledger.URL.Shared() {
		return false, errSQLiteOnly
	}
	err = sqlite.Inspect(ctx, cfg.LedgerFile(), logger)
	if errors.Is(err, ledger.ErrLocked) {
		return false, nil
	}
	return err == nil, err
}

// SetAsideLedgers returns the damaged ledgers that lie beside the one of the configuration, the oldest first.
func SetAsideLedgers(cfg *config.Config) ([]string, error) {
	if cfg.Ledger.URL.Shared() {
		return nil, errSQLiteOnly
	}
	return sqlite.SetAside(cfg.LedgerFile())
}

// RepairLedger takes what can be read of the damaged ledger in file into the one of the configuration. No gateway may
// run; one that does repairs through its admin listener.
func RepairLedger(ctx context.Context, cfg *config.Config, logger *slog.Logger, file string, progress func(what string, done, of int)) (done Repaired, err error) {
	if cfg.Ledger.URL.Shared() {
		return done, errSQLiteOnly
	}
	l, err := sqlite.Open(ctx, cfg.LedgerFile(), sqlite.Options{Logger: logger})
	if err != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	if err := l.Rename(ctx, renames(cfg)); err != nil {
		return done, err
	}
	return l.Repair(ctx, file, sqlite.RepairOptions{Plan: New(cfg, Options{Logger: logger}).planner(cfg.Pipeline), Progress: progress})
}

// repair is RepairLedger for the ledger in use. Only files beside it are read.
func (g *Gateway) repair(l *sqlite.Ledger) console.Repair {
	return func(ctx context.Context, file string, progress func(what string, done, of int)) (Repaired, error) {
		path, err := filepath.Abs(g.boot.LedgerFile())
		if err != nil {
			return Repaired{}, err
		}
		if !strings.HasPrefix(file, path+".") {
			return Repaired{}, fmt.Errorf("%q does not lie beside the ledger %s: move it there, or stop the gateway", file, path)
		}
		done, err := l.Repair(ctx, file, sqlite.RepairOptions{Plan: g.planner(g.setup.Load().config.Pipeline), Progress: progress})
		if err != nil {
			g.Logger.Error("the repair of a ledger failed", "file", file, "error", err)
			return done, err
		}
		g.Logger.Info("a damaged ledger was repaired", "file", done.File, "conversations", done.Conversations, "known", done.Known,
			"deliveries", done.Deliveries, "pending", done.Pending, "lost_pages", done.LostPages, "lost_bodies", done.LostBodies)
		return done, nil
	}
}

// RepairRunning asks the gateway of a configuration, with its admin listener at base, to repair file. token is as in
// OpenAPI. It returns ErrNotRunning if no gateway runs.
func RepairRunning(ctx context.Context, cfg *config.Config, base, token, file string, progress func(what string, done, of int)) (Repaired, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/-/ledger/repair?file="+url.QueryEscape(file), nil)
	if err != nil {
		return Repaired{}, err
	}
	if token = tokenFor(cfg, token, Admin); token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	transport, err := AdminTransport(cfg)
	if err != nil {
		return Repaired{}, err
	}
	response, err := (&http.Client{Transport: transport}).Do(request) // as long as it takes
	if err != nil {
		return Repaired{}, notRunning(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 4<<10))
		return Repaired{}, fmt.Errorf("the gateway at %s does not repair: %s: %s", base, response.Status, bytes.TrimSpace(text))
	}
	for lines := json.NewDecoder(response.Body); ; {
		var line console.RepairLine
		switch err := lines.Decode(&line); {
		case err != nil:
			return Repaired{}, fmt.Errorf("the gateway stopped in the middle of the repair, ask again: %w", err)
		case line.Error != "":
			return Repaired{}, errors.New(line.Error)
		case line.Repaired != nil:
			return *line.Repaired, nil
		}
		progress(line.What, line.Done, line.Of)
	}
}
