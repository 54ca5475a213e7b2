// This file tests what is measured of a target: what is overdue and what only waits, the use of the rate, durations.

package delivery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

// overdue is for how long a delivery to a target could have been tried and was not.
func (w *world) overdue(target string) time.Duration {
	w.t.Helper()
	stats, err := w.ledger.Stats(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	now := time.Now()
	since := w.status(target).OverdueSince(stats.Targets[target].Overdue, now)
	if since.IsZero() {
		return 0
	}
	return now.Sub(since)
}

// TestWaitingForTheRateIsNotOverdue: after an outage everything is due at once, and goes out as the rate allows.
func TestWaitingForTheRateIsNotOverdue(t *testing.T) {
	for name, rate := range map[string]Rate{"one a second": {60, time.Minute}, "one in ten minutes": {6, time.Hour}} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				k := &desk{behave: func(request) fault { return fault{slow: 300 * time.Millisecond} }}
				limited := target("help", k)
				limited.Rate = rate
				w.start(limited)
				for i := range 12 + rate.Count {
					w.accept(fmt.Sprint("visitor ", i))
				}
				throttled := false
				for end := time.Now().Add(4 * time.Hour); w.counts("help").Pending > 0 && time.Now().Before(end); w.pass(17 * time.Second) {
					if late := w.overdue("help"); late > time.Second {
						t.Fatalf("overdue for %s while the rate is used up", late)
					}
					s := w.status("help")
					throttled = throttled || s.Rate.UsedUp
					if s.Rate.Over != rate.Per || s.Rate.Used > rate.Count*6/5 {
						t.Fatalf("%d used within %s, at most %d in %s are allowed", s.Rate.Used, s.Rate.Over, rate.Count, rate.Per)
					}
				}
				equal(t, "throttled", throttled, true)
				w.want("help", ledger.Counts{Delivered: int64(12 + rate.Count)})
				w.pass(2 * rate.Per)
				equal(t, "used when nothing is left", w.status("help").Rate, RateUse{Over: rate.Per})
			})
		})
	}
}

// TestPausedIsNotOverdue: neither while the target is paused, nor at once afterwards.
func TestPausedIsNotOverdue(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k := &desk{}
		w.start(target("help", k))
		if err := w.engine.Pause(t.Context(), "help", "maintenance"); err != nil {
			t.Fatal(err)
		}
		w.accept("visitor")
		w.pass(time.Hour)
		equal(t, "while it is paused", w.overdue("help"), 0)
		if err := w.engine.Resume(t.Context(), "help", "done"); err != nil {
			t.Fatal(err)
		}
		equal(t, "just resumed", w.overdue("help") < time.Second, true)
		w.settles("help", time.Minute)
	})
}

// TestHeldIsNotOverdue: a target that asks for no more until then is waited for.
func TestHeldIsNotOverdue(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var asked atomic.Bool
		k := &desk{behave: func(request) fault {
			if !asked.Swap(true) {
				return fault{status: http.StatusTooManyRequests, after: 10 * time.Minute}
			}
			return fault{}
		}}
		w.start(target("help", k))
		w.accept("visitor 1")
		w.pass(time.Second)
		w.accept("visitor 2")
		w.pass(9 * time.Minute)
		equal(t, "while it is held", w.overdue("help"), 0)
		w.settles("help", time.Hour)
	})
}

// stuckLedger is a ledger that cannot lease.
type stuckLedger struct {
	Ledger
	stuck atomic.Bool
}

func (l *stuckLedger) Claim(ctx context.Context, c ledger.Claim) (ledger.Claimed, error) {
	if l.stuck.Load() {
		return ledger.Claimed{}, errors.New("stuck")
	}
	return claimNow(ctx, l.Ledger, c)
}

// TestOverdue: what could be tried and is not, is overdue, with and without a rate, and whatever keeps it.
func TestOverdue(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		stuck := &stuckLedger{Ledger: w.ledger}
		w.use = stuck
		limited := target("help", &desk{})
		limited.Rate = Rate{60, time.Minute}
		hanging := target("crm", &desk{behave: func(request) fault { return fault{slow: 50 * time.Second} }})
		hanging.Workers, hanging.Timeout = 1, time.Minute
		w.start(limited, hanging)
		w.pass(time.Minute)
		for i := range 4 {
			w.accept(fmt.Sprint("visitor ", i))
		}
		w.pass(2 * time.Minute)
		equal(t, "nothing of the limited one", w.overdue("help"), 0)
		equal(t, "its only worker is busy", w.overdue("crm"), 2*time.Minute)
		stuck.stuck.Store(true)
		w.accept("visitor 9")
		w.pass(5 * time.Minute)
		equal(t, "nothing can be leased", w.overdue("help") > 4*time.Minute, true)
		stuck.stuck.Store(false)
		w.pass(time.Hour)
		equal(t, "at the end", w.overdue("help")+w.overdue("crm"), 0)
	})
}

// TestDurations: half and 95 of a hundred attempts took no longer, and what is older than an hour is forgotten.
func TestDurations(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var m meter
	equal(t, "of none", m.durations(now), Durations{})
	m.attempt(now, 7*time.Second)
	equal(t, "of one", m.durations(now), Durations{1, 7 * time.Second, 7 * time.Second})
	now = now.Add(recentTime)
	equal(t, "an hour later", m.durations(now), Durations{})
	for i := range 100 {
		m.attempt(now, time.Duration(100-i)*time.Millisecond)
	}
	equal(t, "of a hundred", m.durations(now), Durations{100, 50 * time.Millisecond, 95 * time.Millisecond})
	for i := range 5 * recentAttempts {
		m.attempt(now, time.Duration(i)*time.Second)
	}
	equal(t, "remembered", m.durations(now).Count, recentAttempts)
	equal(t, "of the newest", m.durations(now).P50, 4*recentAttempts*time.Second+(recentAttempts/2-1)*time.Second)
}

// TestRateUse: what was used longer ago than the rate reaches does not count.
func TestRateUse(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var m meter
	equal(t, "without a rate", m.rate(Rate{}, now), RateUse{})
	rate := Rate{5, time.Second}
	for range 120 {
		m.use(rate, 3, now)
		now = now.Add(time.Second)
	}
	now = now.Add(-time.Second)
	m.waitsForRate(now.Add(time.Second))
	equal(t, "of a minute", m.rate(rate, now), RateUse{Used: 180, Over: time.Minute, UsedUp: true})
	equal(t, "half a minute later", m.rate(rate, now.Add(30*time.Second)), RateUse{Used: 90, Over: time.Minute})
	equal(t, "a day later", m.rate(rate, now.Add(24*time.Hour)), RateUse{Over: time.Minute})
	equal(t, "with another rate", m.rate(Rate{1, time.Hour}, now), RateUse{Over: time.Hour, UsedUp: true})
}
