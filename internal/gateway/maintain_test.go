// This file tests what looks after a ledger while no gateway runs.

package gateway

import (
	"errors"
	"strings"
	"testing"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/internal/ledger/postgrestest"
)

// TestE2EMaintainPostgres: whoever migrates is told what was done, and whoever audits a wrong address that it is one.
func TestE2EMaintainPostgres(t *testing.T) {
	t.Parallel()
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
	before, after, err := MigrateLedger(t.Context(), cfg)
	if err != nil || before != 0 || after < 1 {
		t.Errorf("the first migration: from %d to %d, %v", before, after, err)
	}
	if is, same, err := MigrateLedger(t.Context(), cfg); err != nil || is != after || same != after {
		t.Errorf("the second migration: from %d to %d, %v; want %d", is, same, err, after)
	}
	if findings, err := VerifyLedger(t.Context(), cfg); err != nil || len(findings) > 0 {
		t.Errorf("the audit: %v, %v", findings, err)
	}
}
