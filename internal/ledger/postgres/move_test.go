// This file settles deliveries while retention moves their conversations from day to day.

package postgres

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

// No line of the log of attempts stays behind in a day that is dropped.
func TestE2EPostgresAttemptsMove(t *testing.T) {
	t.Parallel()
	l := open(t, url(t), Options{Retention: ledger.Retention{Delivered: 24 * time.Hour}})
	const talks, tries = 40, 25
	for i := range talks {
		accept(t, l, hook(fmt.Sprint("c", i), "help"))
	}
	var ended atomic.Bool
	var all, retaining sync.WaitGroup
	retaining.Go(func() {
		for days := 3; !ended.Load(); days += 3 {
			if err := l.Retain(t.Context(), time.Now().Add(time.Duration(days)*24*time.Hour)); err != nil {
				t.Error(err)
				return
			}
		}
	})
	settled := make([]atomic.Int64, talks)
	for range 8 {
		all.Go(func() {
			for range talks * tries / 8 {
				c, err := l.Claim(t.Context(), ledger.Claim{Target: "help", Limit: 1, Lease: time.Hour})
				if err != nil {
					t.Error(err)
					return
				}
				for _, d := range c.Deliveries {
					s := ledger.Settlement{
						ID: d.ID, Target: d.Target, Revision: 1, Fence: d.Fence, DueAt: time.Now(), Tried: true,
						Attempt: &ledger.Attempt{At: time.Now(), Number: d.Attempt, Kind: "temporary"},
					}
					if _, err := l.Settle(t.Context(), s); err != nil {
						t.Error(err)
						return
					}
					var n int
					_, _ = fmt.Sscanf(d.ID, "c%d", &n)
					settled[n].Add(1)
				}
			}
		})
	}
	all.Wait()
	ended.Store(true)
	retaining.Wait()
	for i := range talks {
		id := fmt.Sprint("c", i)
		lines, err := l.Attempts(t.Context(), id, "help")
		if err != nil || int64(len(lines)) != settled[i].Load() {
			t.Errorf("%s: %d lines of %d attempts (%v)", id, len(lines), settled[i].Load(), err)
		}
	}
	sound(t, l)
}
