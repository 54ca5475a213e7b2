// This file lets the clock jump while deliveries are under way, and counts.

package sqlite

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// However the clock jumps, every hook is delivered, at once as soon as retention has looked, and the books balance.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	var offset atomic.Int64 // the indexer looks at the clock, too
	o := Options{clock: func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }}
	l := open(t, path, o)
	accepted, delivered, fenced := 0, map[string]int{}, 0
	settle := func(d ledger.Delivery) {
		_, err := l.Settle(t.Context(), ledger.Settlement{
			ID: d.ID, Target: d.Target, Revision: d.Revision, Fence: d.Fence, State: ledger.Delivered, Tried: true,
		})
		switch {
		case errors.Is(err, ledger.ErrFenced):
			fenced++
		case err != nil:
			t.Fatal(err)
		default:
			delivered[d.ID]++
		}
	}
	for i, jump := range []time.Duration{48 * time.Hour, -96 * time.Hour, time.Minute, 10 * 365 * 24 * time.Hour, -20 * 365 * 24 * time.Hour, 0} {
		for n := range 5 {
			accept(t, l, hook(fmt.Sprintf("c%d-%d", i, n), "help"))
			accepted++
		}
		held := claim(t, l, "help", time.Hour).Deliveries
		for _, d := range held[:2] {
			_, err := l.Settle(t.Context(), ledger.Settlement{
				ID: d.ID, Target: "help", Revision: 1, Fence: d.Fence, DueAt: o.clock().Add(30 * time.Second), Tried: true,
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		offset.Add(int64(jump))
		for _, d := range claim(t, l, "help", time.Hour).Deliveries {
			settle(d) // leases that the jump has ended are somebody else's now
		}
		for _, d := range held[2:] {
			settle(d)
		}
		if i == 2 {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = open(t, path, o)
		}
	}
	if err := l.Retain(t.Context(), o.clock()); err != nil {
		t.Fatal(err)
	}
	offset.Add(int64(time.Minute))
	for _, d := range claim(t, l, "help", time.Hour).Deliveries {
		settle(d)
	}
	for id, n := range delivered {
		if n != 1 {
			t.Errorf("%s was delivered %d times", id, n)
		}
	}
	if len(delivered) != accepted || fenced == 0 {
		t.Errorf("%d of %d delivered, %d leases ended by a jump", len(delivered), accepted, fenced)
	}
	sound(t, l)
}

// A hold that is longer than the slack is no jump of the clock.
func TestLongHold(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := open(t, path, Options{})
	h := hook("c1", "help")
	p := h.Plan("", 0)
	p.Deliveries[0].Hold = 48 * time.Hour
	h.Plan = func(string, int) ledger.Plan { return p }
	accept(t, l, h)
	if err := l.Retain(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, path, Options{})
	if c := claim(t, l, "help", time.Hour); len(c.Deliveries) != 0 || time.Until(c.Next) < 47*time.Hour {
		t.Errorf("claimed %+v, want one in two days", c)
	}
}

// What was tried again before the clock was noticed to be set back is due already, and no longer pending since the future.
func TestPendingSinceTheFuture(t *testing.T) {
	t.Parallel()
	l := open(t, filepath.Join(t.TempDir(), "ledger.db"), Options{})
	accept(t, l, hook("c1", "help"))
	now := time.Now()
	alter(t, l, fmt.Sprintf(`UPDATE delivery SET pending_since = %d, due_at = %d`, row.Micros(now.Add(5*time.Hour)), row.Micros(now)))
	if _, err := l.setClockRight(t.Context()); err != nil {
		t.Fatal(err)
	}
	page, err := l.Deliveries(t.Context(), ledger.Filter{}, ledger.Page{})
	if err != nil || len(page.Items) != 1 {
		t.Fatal(page, err)
	}
	if since := page.Items[0].Since; since.After(time.Now()) {
		t.Errorf("pending since %s", since)
	}
}
