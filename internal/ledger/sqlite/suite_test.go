// This file runs the suite that every engine passes.

package sqlite

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/ledger/ledgertest"
)

func openSuite(t testing.TB, dir string, o ledgertest.Options) ledgertest.Engine {
	t.Helper()
	l, err := Open(t.Context(), filepath.Join(dir, "ledger.db"), Options{Retention: o.Retention, Observer: o.Observer, indexWait: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestSuite(t *testing.T) {
	t.Parallel()
	ledgertest.Run(t, ledgertest.Suite{Open: openSuite, Killed: ledgertest.Killed{Test: "TestKilledChild"}})
}

// TestKilledChild is no test but the process that the suite kills.
func TestKilledChild(t *testing.T) { ledgertest.Child(t, openSuite) }
