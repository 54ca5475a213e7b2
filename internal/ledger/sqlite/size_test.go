// This file holds a ledger against the bound on its size that README.md gives.

package sqlite

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

// Hooks come until the ledger is full, finished or old ones go, again and again: the files never take more than max_size, the free
// pages that are kept, and the log.
func TestSizeIsBounded(t *testing.T) {
	t.Parallel()
	const limit, kept, log, transaction = 4 << 20, keepPages * 4096, 33 << 20, 1 << 20
	l := open(t, filepath.Join(t.TempDir(), "ledger.db"), Options{Retention: ledger.Retention{Delivered: time.Hour, Dead: time.Hour, MaxSize: limit}})
	most, refused := int64(0), 0
	now := time.Now()
	for round := range 4 {
		for i := range 600 {
			h := hook(fmt.Sprintf("c%d-%d", round, i), "help")
			h.Raw = append(noise(12<<10), fmt.Sprint(round, " ", i)...)
			_, err := l.Accept(t.Context(), h)
			if errors.Is(err, ledger.ErrFull) {
				refused++
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if i%20 == 0 {
				s, err := l.Stats(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				most = max(most, s.Bytes)
			}
		}
		for more := true; more; {
			c := claim(t, l, "help", time.Hour)
			for _, d := range c.Deliveries {
				s := ledger.Settlement{ID: d.ID, Target: "help", Revision: 1, Fence: d.Fence, State: ledger.Delivered, Tried: true}
				if _, err := l.Settle(t.Context(), s); err != nil {
					t.Fatal(err)
				}
			}
			more = len(c.Deliveries) > 0
		}
		at := now // nothing is old: what is finished goes because of the size
		if round%2 == 1 {
			at = now.Add(time.Duration(round+3) * time.Hour)
		}
		if err := l.Retain(t.Context(), at); err != nil {
			t.Fatal(err)
		}
	}
	if refused < 3 {
		t.Errorf("it was full %d times of 4: the test does not reach the bound", refused)
	}
	if bound := int64(limit + kept + log + transaction); most > bound {
		t.Errorf("the ledger took %d bytes of at most %d", most, bound)
	}
	t.Logf("at most %d bytes with max_size %d", most, limit)
	sound(t, l)
}
