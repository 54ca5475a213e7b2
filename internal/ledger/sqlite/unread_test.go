// This file tests what becomes of leases whose conversations cannot be read.

package sqlite

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

// What cannot be read for a while, for want of file descriptors for one, is leased again when it can, not at the end of
// a lease that nobody has had; that counts as no claim of it.
func TestClaimUnreadable(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := open(t, path, Options{})
	for _, id := range []string{"c1", "c2", "c3"} {
		accept(t, l, hook(id, "help"))
	}
	if err := l.Close(); err != nil { // so that nothing is remembered
		t.Fatal(err)
	}
	l = open(t, path, Options{})
	nowhere, err := connect(filepath.Join(t.TempDir(), "nothing", "ledger.db"), 1)
	if err != nil {
		t.Fatal(err)
	}
	readers := l.readers.Swap(nowhere)
	for range 7 { // more often than a delivery may crash
		got, err := l.Claim(t.Context(), ledger.Claim{Target: "help", Limit: 2, Lease: time.Hour})
		if !isReadError(err) {
			t.Fatalf("claimed %+v, %v, want a failure to read", got, err)
		}
		if err := l.write(t.Context(), func(x *tx) error { return x.exec(`UPDATE delivery SET due_at = 1`) }); err != nil {
			t.Fatal(err)
		}
	}
	l.readers.Store(readers)
	if err := nowhere.Close(); err != nil {
		t.Error(err)
	}
	got := claim(t, l, "help", time.Hour)
	if len(got.Deliveries) != 3 {
		t.Fatalf("claimed %+v", got)
	}
	for _, d := range got.Deliveries {
		if d.Uncertain || d.Attempt != 1 {
			t.Errorf("a delivery that nobody has tried: %+v", d)
		}
	}
	sound(t, l)
}
