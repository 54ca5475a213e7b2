// This file tests that what was accepted just now is handed over in memory.

package sqlite

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

// A body that nobody can read does not matter before the second attempt.
func TestFreshIsHandedOver(t *testing.T) {
	t.Parallel()
	l := open(t, filepath.Join(t.TempDir(), "ledger.db"), Options{})
	accept(t, l, hook("c1", "help"))
	err := l.write(t.Context(), func(tx *tx) error { return tx.exec(`UPDATE body SET decoded = x''`) })
	if err != nil {
		t.Fatal(err)
	}
	for n, readable := range []bool{true, false} {
		got, err := l.Claim(t.Context(), ledger.Claim{Target: "help", Limit: 1, Lease: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Deliveries) == 1 != readable || len(got.Crashed) == 1 == readable {
			t.Fatalf("claim %d: %+v, want it readable: %v", n+1, got, readable)
		}
		for _, d := range got.Deliveries {
			s := ledger.Settlement{ID: d.ID, Target: d.Target, Revision: d.Revision, Fence: d.Fence, Tried: true, DueAt: time.Now()}
			if _, err := l.Settle(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
	}
}
