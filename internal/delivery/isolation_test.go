// This file tests what a bad target does to others, and what an outage leaves behind: in fake time, so that a wait of any
// length is seen.

package delivery

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/ledger"
)

// TestBadTargetsDelayNobody: with one hanging, one at its limit, one failing and one that denies, each of six good targets
// gets every record in the very moment that it was accepted.
func TestBadTargetsDelayNobody(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		bad := []fault{{hang: true}, {status: 429}, {status: 500}, {status: 401}}
		var targets []Target
		for i, f := range bad {
			targets = append(targets, target(fmt.Sprint("bad", i), &desk{behave: func(request) fault { return f }}))
		}
		var good []*desk
		for i := range 6 {
			good = append(good, new(desk))
			targets = append(targets, target(fmt.Sprint("good", i), good[i]))
		}
		w.start(targets...)
		const rounds, perRound = 12, 5
		var accepted []time.Time
		for round := range rounds { // an hour: every way of waiting has begun by then
			for n := range perRound {
				accepted = append(accepted, time.Now())
				w.accept(fmt.Sprintf("visitor %d of round %d", n, round))
			}
			w.pass(5 * time.Minute)
		}
		for i, k := range good {
			w.want(fmt.Sprint("good", i), ledger.Counts{Delivered: rounds * perRound})
			for n, got := range k.seen() {
				if late := got.at.Sub(accepted[n/perRound*perRound]); late != 0 {
					t.Fatalf("good target %d got record %d %s late", i, n, late)
				}
			}
			w.tidy(k)
		}
		if s := w.status("bad3"); !s.Paused {
			t.Error("the target that denies is not paused")
		}
	})
}

// TestDrainAfterAnOutage: the retries of an hour never come faster than the configured rate, and when the target is back,
// the backlog drains at that rate.
func TestDrainAfterAnOutage(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		const outage, count = time.Hour, 600
		const limit = 30 // a minute; a conversation comes every six seconds
		down := true
		k := &desk{behave: func(request) fault {
			if down {
				return fault{status: 503}
			}
			return fault{}
		}}
		help := target("help", k)
		help.Rate = Rate{Count: limit, Per: time.Minute}
		w.start(help)
		for n := range count {
			w.accept(fmt.Sprint("visitor ", n))
			w.pass(outage / count)
		}
		down = false
		back := time.Now()
		w.settles("help", 2*time.Hour)
		peak, last := 0, time.Time{}
		sent := k.seen()
		for from, to := 0, 0; from < len(sent); from++ {
			for to < len(sent) && sent[to].at.Sub(sent[from].at) < time.Minute {
				to++
			}
			peak, last = max(peak, to-from), sent[from].at
		}
		perMinute := count / last.Sub(back).Minutes()
		// `make bench` reads this line.
		t.Logf("%d deliveries after an outage of %s: peak %d a minute, drained at %.0f a minute of %d", count, outage, peak, perMinute, limit)
		if peak > limit*12/10 {
			t.Errorf("%d requests within a minute, the rate is %d", peak, limit)
		}
		if perMinute < 0.9*limit {
			t.Errorf("the backlog drained at %.0f a minute, the rate is %d", perMinute, limit)
		}
		w.tidy(k)
	})
}

// slowSettles is a ledger whose settles wait for a gate.
type slowSettles struct {
	Ledger
	gate chan struct{}
}

func (s slowSettles) Settle(ctx context.Context, one ledger.Settlement) (ledger.Settled, error) {
	<-s.gate
	return s.Ledger.Settle(ctx, one)
}

// TestSettlesKeepNoWorkerWaiting: while settles wait for a commit, their workers go on, up to as many again; the target
// never sees more at once than it has workers, and nothing twice.
func TestSettlesKeepNoWorkerWaiting(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		slow := slowSettles{w.ledger, make(chan struct{})}
		w.use = slow
		k := new(desk)
		help := target("help", k)
		help.Once = connectors.OnceKey
		w.start(help)
		for n := range 20 {
			w.accept(fmt.Sprint("visitor ", n))
		}
		w.pass(time.Second)
		equal(t, "requests while no settle ends", len(k.seen()), 2*help.Workers)
		equal(t, "in flight", w.status("help").InFlight, 2*help.Workers)
		close(slow.gate)
		w.pass(time.Second)
		w.want("help", ledger.Counts{Delivered: 20})
		equal(t, "requests", len(k.seen()), 20)
		w.tidy(k)
	})
}
