// This file tests what looks after a ledger while no gateway runs.

package gateway

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/internal/ledger/postgrestest"
)

// TestE2EMaintainPostgres: whoever migrates is told what was done, and whoever audits a wrong address that it is one; a
// backup is made by pg_dump, or its command is told.
func TestE2EMaintainPostgres(t *testing.T) {
	server, err := postgrestest.Start(t.Context())
	if errors.Is(err, postgrestest.ErrNone) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Remove)
	cfg := &config.Config{}
	cfg.Ledger.URL = config.LedgerURL(server.URL(""))
	if _, err := VerifyLedger(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "no ledger here") {
		t.Errorf("an audit without a ledger: %v", err)
	}
	first, err := MigrateLedger(t.Context(), cfg, nil)
	if err != nil || first.Before != 0 || first.After < 1 {
		t.Errorf("the first migration: %+v, %v", first, err)
	}
	if again, err := MigrateLedger(t.Context(), cfg, nil); err != nil || again.Before != first.After || again.After != first.After {
		t.Errorf("the second migration: %+v, %v; want %d", again, err, first.After)
	}
	file := filepath.Join(t.TempDir(), "ledger.dump")
	t.Setenv("PATH", t.TempDir())
	if err := BackupLedger(t.Context(), cfg, file); err == nil || !strings.Contains(err.Error(), "run (the password comes from PGPASSWORD or ~/.pgpass): pg_dump --format=custom --schema=afterchat --file="+file) {
		t.Errorf("a backup without pg_dump: %v", err)
	}
	t.Setenv("PATH", os.Getenv(postgrestest.Variable))
	if err := BackupLedger(t.Context(), cfg, file); err != nil {
		t.Errorf("a backup: %v", err)
	}
	if n, err := RestoredLedger(t.Context(), cfg); err != nil || n != 0 {
		t.Errorf("in doubt: %d, %v; there is nothing", n, err)
	}
	if remarks, err := LedgerRemarks(t.Context(), cfg); err != nil || len(remarks) != 1 || !strings.Contains(remarks[0], "it was restored on") {
		t.Errorf("remarks: %q, %v", remarks, err)
	}
	if findings, err := VerifyLedger(t.Context(), cfg); err != nil || len(findings) > 0 {
		t.Errorf("the audit: %v, %v", findings, err)
	}
}
