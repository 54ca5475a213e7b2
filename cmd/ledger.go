// This file is `afterchat ledger`: the audit, backups, the schema, and repairs of what is stored.

package cmd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/afterchat/afterchat/internal/gateway"
)

type ledgerCommand struct {
	Verify   ledgerVerifyCommand   `cmd:"" help:"Audit the ledger: that it is whole, that its counters are right, that nothing is missing. A gateway may run."`
	Repair   ledgerRepairCommand   `cmd:"" help:"Recover what can be read of a damaged ledger. A gateway may run, or the ledger in use is looked at first and set aside if it is damaged."`
	Backup   ledgerBackupCommand   `cmd:"" help:"Write one moment of the ledger into a new file, and audit it; of a ledger in PostgreSQL, a dump by pg_dump. A gateway may run."`
	Restored ledgerRestoredCommand `cmd:"" help:"Say that the ledger was restored from a copy that is older than what has been sent: what waits is in doubt. What ledger backup has written says so by itself. The gateway is stopped meanwhile."`
	Migrate  ledgerMigrateCommand  `cmd:"" help:"Bring the schema up to date; serve does it, too."`
	Copy     ledgerCopyCommand     `cmd:"" help:"Move the ledger from its file to a PostgreSQL database. The gateway is stopped meanwhile."`
}

type ledgerVerifyCommand struct{}

// Run prints a line for each finding and ends with 1 if there is one.
func (ledgerVerifyCommand) Run(p *program) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	ctx, cancel := untilSignal()
	defer cancel()
	findings, err := gateway.VerifyLedger(ctx, cfg)
	if err != nil {
		return err
	}
	for _, f := range findings {
		of := "ledger"
		if f.Target != "" {
			of = "target " + f.Target
		}
		_, _ = fmt.Fprintf(p.stdout, "%s: %s\n", of, f.Text)
	}
	remarks, err := gateway.LedgerRemarks(ctx, cfg)
	if err == nil { // else the findings tell why
		for _, text := range remarks {
			_, _ = fmt.Fprintf(p.stdout, "remark: %s\n", text)
		}
	}
	if len(findings) > 0 {
		return errFindings
	}
	_, err = fmt.Fprintln(p.stdout, "The ledger is sound: nothing is damaged, nothing is missing, the books balance.")
	return err
}

type ledgerBackupCommand struct {
	File string `arg:"" help:"New file. Put in the place of the ledger while nothing runs, or restored by pg_restore, it goes on from there, with what may have been sent since in doubt."`
}

// Run writes the copy.
func (c ledgerBackupCommand) Run(p *program) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	ctx, cancel := untilSignal()
	defer cancel()
	if err := gateway.BackupLedger(ctx, cfg, c.File); err != nil {
		return err
	}
	text := "%s is a copy of the ledger, and sound.\n"
	if cfg.Ledger.URL.Shared() {
		text = "%[1]s is a dump of the ledger, which is sound. Into an empty database it comes by pg_restore --no-owner --dbname=postgres://… %[1]s\n"
	}
	_, err = fmt.Fprintf(p.stdout, text, c.File)
	return err
}

type ledgerRestoredCommand struct{}

// Run puts in doubt what may have been sent.
func (ledgerRestoredCommand) Run(p *program) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	ctx, cancel := untilSignal()
	defer cancel()
	doubtful, err := gateway.RestoredLedger(ctx, cfg)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(p.stdout, "%d pending and dead deliveries are in doubt: targets are looked at before anything is created there.\nSo is what comes again of chats that began before now.\n", doubtful)
	return err
}

type ledgerMigrateCommand struct{}

// Run opens the ledger, which migrates it.
func (ledgerMigrateCommand) Run(p *program) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	ctx, cancel := untilSignal()
	defer cancel()
	done, err := gateway.MigrateLedger(ctx, cfg, logger(p.stderr, cfg.Log))
	if err != nil {
		return err
	}
	for _, file := range done.SetAside {
		_, _ = fmt.Fprintf(p.stdout, "The ledger was damaged and was set aside as %s: run afterchat ledger repair.\n", file)
	}
	switch {
	case len(done.SetAside) > 0:
		_, err = fmt.Fprintf(p.stdout, "A fresh ledger was made in its place, with schema version %d.\n", done.After)
	case done.Before == 0:
		_, err = fmt.Fprintf(p.stdout, "There was no ledger. One was made, with schema version %d.\n", done.After)
	case done.Before >= done.After:
		_, err = fmt.Fprintf(p.stdout, "The schema of the ledger is up to date, version %d. Nothing was changed.\n", done.Before)
	default:
		_, err = fmt.Fprintf(p.stdout, "The schema of the ledger was version %d and is version %d now. Lists and searches know what was there when a gateway has run for a while.\n", done.Before, done.After)
	}
	return err
}

type ledgerRepairCommand struct {
	File string `arg:"" optional:"" help:"Damaged ledger; the default is the one in use, if it is damaged, and every one that lies beside it and has not been repaired."`
}

// Run repairs one file after the other.
func (c ledgerRepairCommand) Run(p *program) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	ctx, cancel := untilSignal()
	defer cancel()
	files := []string{c.File}
	if c.File == "" || sameFile(c.File, cfg.LedgerFile()) {
		looked, err := gateway.InspectLedger(ctx, cfg, logger(p.stderr, cfg.Log))
		if err != nil {
			return err
		}
		if files, err = gateway.SetAsideLedgers(cfg); err != nil {
			return err
		}
		if len(files) == 0 {
			also := ", and that one is not damaged."
			if !looked {
				also = ". That one is not looked at while a gateway has it open: afterchat ledger verify does."
			}
			_, err = fmt.Fprintln(p.stdout, "There is nothing to repair: no damaged ledger lies beside the one in use"+also)
			return err
		}
	}
	for _, file := range files {
		if file, err = filepath.Abs(file); err != nil {
			return err
		}
		done, err := gateway.RepairRunning(ctx, cfg, adminBase(cfg), os.Getenv(tokenVariable), file, p.repairProgress(file))
		if errors.Is(err, gateway.ErrNotRunning) {
			done, err = gateway.RepairLedger(ctx, cfg, logger(p.stderr, cfg.Log), file, p.repairProgress(file))
		}
		if err != nil {
			return err
		}
		writeRepaired(p.stdout, done)
	}
	return nil
}

// sameFile tells whether two paths name the same file, which may be missing.
func sameFile(a, b string) bool {
	a, errA := filepath.Abs(a)
	b, errB := filepath.Abs(b)
	return errA == nil && errB == nil && a == b
}

// repairProgress prints a line for every tenth of the way.
func (p *program) repairProgress(file string) func(what string, done, of int) {
	last := ""
	return func(what string, done, of int) {
		if of == 0 {
			return
		}
		if line := fmt.Sprintf("%s: %s %d %%", filepath.Base(file), what, done*10/of*10); line != last {
			last = line
			_, _ = fmt.Fprintln(p.stderr, line)
		}
	}
}

// writeRepaired tells what came back and what did not.
func writeRepaired(w io.Writer, done gateway.Repaired) {
	_, _ = fmt.Fprintf(w, "%s\n", done.File)
	for _, line := range []struct {
		n    int
		text string
	}{
		{done.Conversations, "conversations recovered"},
		{done.Known, "conversations were in the ledger already and learned what was missing"},
		{done.Bodies, "bodies of hooks recovered"},
		{done.Deliveries, "deliveries recovered, all in doubt: targets are looked at before anything is created there"},
		{done.Pending, "of them are being delivered now"},
		{done.Planned, "of them could not be read and were planned by the routes of today"},
		{done.Attempts, "attempts recovered"},
		{done.Quarantined, "hooks in quarantine"},
		{done.Audited, "lines of the audit log"},
		{done.Jobs, "replays, those that were under way as cancelled"},
		{done.Points, "points of series"},
		{done.LostPages, "pages lost: nothing on them can be read"},
		{done.LostRows, "rows lost on other pages"},
		{done.LostBodies, "bodies of hooks lost"},
		{done.LostDeliveries, "deliveries lost, of conversations that cannot be told"},
		{done.Undeliverable, "deliveries are dead, because what they would send is lost"},
	} {
		if line.n > 0 {
			_, _ = fmt.Fprintf(w, "  %d %s\n", line.n, line.text)
		}
	}
	if done.Conversations+done.Known+done.Quarantined+done.Audited == 0 {
		_, _ = fmt.Fprintln(w, "  nothing of it can be read")
	}
}
