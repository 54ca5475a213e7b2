// This file tests that a repair knows what was imported.

package sqlite

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/afterchat/afterchat/internal/ledger"
)

// TestRepairKnowsImports: what only an import has asked for is so in the repaired ledger.
func TestRepairKnowsImports(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := open(t, path, Options{})
	imported := hook("c1", "help")
	imported.Import = true
	accept(t, l, imported)
	accept(t, l, hook("c2", "help"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	fresh := open(t, filepath.Join(t.TempDir(), "fresh.db"), Options{})
	if done, err := fresh.Repair(t.Context(), path, RepairOptions{}); err != nil || done.Deliveries != 2 {
		t.Fatalf("%+v, %v", done, err)
	}
	list, err := fresh.Deliveries(t.Context(), ledger.Filter{Live: true}, ledger.Page{})
	if err != nil {
		t.Fatal(err)
	}
	var live []string
	for _, d := range list.Items {
		live = append(live, d.ID)
	}
	if !slices.Equal(live, []string{"c2"}) {
		t.Errorf("live are %q, want c2", live)
	}
}
