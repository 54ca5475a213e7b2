// This file moves a ledger from a file to a database.

package gateway

import (
	"context"
	"errors"
	"strings"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/postgres"
	"github.com/afterchat/afterchat/internal/ledger/sqlite"
)

// Copied is what is in a ledger that was copied.
type Copied = ledger.Copied

var (
	errCopyFrom = errors.New("ledger.url names a PostgreSQL database already; a copy is made of the ledger in a file, while ledger.url still names that")
	errCopyTo   = errors.New("a copy goes to a PostgreSQL database; write --to postgres://user@host:5432/database")
)

// CopyLedger copies the ledger of the configuration, which is in a file, to the PostgreSQL database that to names, and
// marks the file so that no gateway opens it any more. No gateway may run. A copy that was cut goes on when it is done
// again.
func CopyLedger(ctx context.Context, cfg *config.Config, to string, progress func(what string, done, of int)) (done Copied, err error) {
	if cfg.Ledger.URL.Shared() {
		return done, errCopyFrom
	}
	if to = strings.TrimSpace(to); !config.LedgerURL(to).Shared() {
		return done, errCopyTo
	}
	from, err := sqlite.Leave(ctx, cfg.LedgerFile())
	if errors.Is(err, ledger.ErrLocked) {
		return done, errors.Join(errors.New("the gateway must not run while its ledger is copied: stop it, and start it again with ledger.url changed"), err)
	}
	if err != nil {
		return done, err
	}
	defer from.Close()
	return postgres.Copy(ctx, to, postgres.Options{}, from, progress)
}

// ReturnLedger takes a ledger that was copied back into use, with all that is pending in doubt. It returns false if it
// had not been copied.
func ReturnLedger(ctx context.Context, cfg *config.Config) (bool, error) {
	if cfg.Ledger.URL.Shared() {
		return false, errCopyFrom
	}
	return sqlite.Return(ctx, cfg.LedgerFile())
}
