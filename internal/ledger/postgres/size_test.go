// This file holds a ledger against the bound on its size that README.md gives.

package postgres

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

// Hooks come at two replicas until the ledger is full, and go on when what was pending is delivered, again and again:
// tables and indexes never take more than max_size, what both add before they measure, and a transaction.
func TestE2EPostgresSizeIsBounded(t *testing.T) {
	t.Parallel()
	const limit, transaction, rounds = 16 << 20, 1 << 20, 3
	at := url(t)
	options := Options{Retention: ledger.Retention{Delivered: time.Hour, Dead: time.Hour, MaxSize: limit}}
	replicas := []*Ledger{open(t, at, options), open(t, at, options)}
	random := rand.NewChaCha8([32]byte{9})
	most, refused, taken := int64(0), 0, 0
	for round := range rounds {
		for i := range 2000 {
			h := hook(fmt.Sprintf("c%d-%d", round, i), "help")
			h.Raw = make([]byte, 20<<10)
			_, _ = random.Read(h.Raw)
			_, err := replicas[i%2].Accept(t.Context(), h)
			if errors.Is(err, ledger.ErrFull) {
				refused++
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			taken++
			if i%20 == 0 {
				most = max(most, sizeOf(t, replicas[0]))
			}
		}
		most = max(most, sizeOf(t, replicas[0]))
		for more := true; more; {
			c := claim(t, replicas[round%2], "help", time.Hour)
			for _, d := range c.Deliveries {
				end(t, replicas[0], d, ledger.Delivered)
			}
			more = len(c.Deliveries) > 0
		}
		most = max(most, sizeOf(t, replicas[0]))
	}
	if refused < rounds {
		t.Errorf("it was full %d times of %d: the test does not reach the bound", refused, rounds)
	}
	if bound := int64(limit + 2*limit/measureShare + transaction); most > bound {
		t.Errorf("the ledger took %d bytes of at most %d", most, bound)
	}
	t.Logf("%d hooks of 20 KiB, full %d times, at most %d bytes with max_size %d", taken, refused, most, limit)
	sound(t, replicas[0])
}

func sizeOf(t testing.TB, l *Ledger) int64 {
	t.Helper()
	size, err := l.size(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return size
}
