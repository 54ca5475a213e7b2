// This file is `afterchat ledger copy`: the move from the ledger in a file to PostgreSQL.

package cmd

import (
	"errors"
	"fmt"
	"io"

	"github.com/afterchat/afterchat/internal/gateway"
)

type ledgerCopyCommand struct {
	To   string `placeholder:"URL" env:"AFTERCHAT_COPY_TO" help:"PostgreSQL database, empty or begun by a copy that was cut: postgres://user:password@host:5432/database."`
	Undo bool   `help:"Take the ledger back into use after a copy. The copy may have sent what waits in it, so that is in doubt."`
}

var errCopyUsage = errors.New("ledger copy: name the database with --to postgres://user@host/database")

// Run copies, and tells what to do next.
func (c ledgerCopyCommand) Run(p *program) error {
	if c.To == "" && !c.Undo {
		return errCopyUsage
	}
	cfg, err := p.load()
	if err != nil {
		return err
	}
	ctx, cancel := untilSignal()
	defer cancel()
	if c.Undo {
		back, err := gateway.ReturnLedger(ctx, cfg)
		if err != nil {
			return err
		}
		text := "The ledger had not been copied. Nothing was changed."
		if back {
			text = "The ledger is in use again. No gateway may use the copy from here on; what waits in the ledger is in doubt."
		}
		_, err = fmt.Fprintln(p.stdout, text)
		return err
	}
	done, err := gateway.CopyLedger(ctx, cfg, c.To, p.repairProgress(cfg.LedgerFile()))
	if err != nil {
		return err
	}
	writeCopied(p.stdout, done)
	return nil
}

func writeCopied(w io.Writer, done gateway.Copied) {
	const next = "Now let ledger.url name that database and start the gateway. The file is marked as moved: no gateway opens it."
	if done.Before {
		_, _ = fmt.Fprintf(w, "The ledger was copied before, nothing is left to do.\n%s\n", next)
		return
	}
	_, _ = fmt.Fprintf(w, "The ledger was copied, both sides were compared and are equal, and the books balance.\n")
	_, _ = fmt.Fprintf(w, "  %d conversations, %d bodies of hooks, %d attempts, %d hooks in quarantine\n", done.Conversations, done.Bodies, done.Attempts, done.Quarantined)
	_, _ = fmt.Fprintf(w, "  %d deliveries: %d pending, %d of them in doubt, %d dead\n", done.Deliveries, done.Pending, done.Doubtful, done.Dead)
	_, _ = fmt.Fprintln(w, next)
}
