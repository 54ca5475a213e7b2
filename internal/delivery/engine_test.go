// This file tests the engine on the SQLite ledger: outages, limits, shutdown, reload.

package delivery

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

func TestDeliver(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k := new(desk)
		w.start(target("help", k))
		a := w.accept("ann")
		w.pass(time.Millisecond)
		w.want("help", ledger.Counts{Delivered: 1})
		sent := k.seen()
		equal(t, "requests", len(sent), 1)
		equal(t, "body", sent[0].body, "ann hello")
		equal(t, "object", sent[0].object, "afterchat:"+a.ID+":help")
		equal(t, "key", sent[0].key, "afterchat:"+a.ID+":help:1")
		equal(t, "attempts", w.attempts("ann"), "1 ok")
		if s := w.status("help"); s.LastSuccess.IsZero() || s.Paused || s.InFlight != 0 {
			t.Errorf("status: %+v", s)
		}
		if strings.Contains(w.log.String(), "hello") {
			t.Error("the log holds payload")
		}
	})
}

func TestARenamedTargetKeepsItsObjects(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k := new(desk)
		renamed := target("help", k)
		renamed.ObjectName = "desk"
		w.start(renamed)
		a := w.accept("ann")
		w.pass(time.Millisecond)
		equal(t, "object", k.seen()[0].object, "afterchat:"+a.ID+":desk")
	})
}

// TestOutage: what comes in during an outage of a minute is kept, tried with backoff, and arrives once.
func TestOutage(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		const seconds = 60
		perSecond := 50
		if testing.Short() {
			perSecond = 5
		}
		begin := time.Now()
		k := &desk{behave: func(r request) fault {
			return fault{refused: r.at.Sub(begin) < seconds*time.Second}
		}}
		wide := target("help", k)
		wide.Workers = 64
		w.start(wide)
		for second := range seconds {
			var group sync.WaitGroup
			for i := range perSecond {
				group.Go(func() { w.accept(fmt.Sprintf("visitor %d/%d", second, i)) })
			}
			group.Wait()
			w.pass(time.Second)
		}
		w.settles("help", 3*time.Minute)
		w.want("help", ledger.Counts{Delivered: int64(perSecond * seconds)})
		equal(t, "tickets", len(k.held()), perSecond*seconds)
		w.tidy(k)
	})
}

func TestAHangEndsAtTheTimeout(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var calls atomic.Int32
		k := &desk{behave: func(request) fault { return fault{hang: calls.Add(1) == 1} }}
		w.start(target("help", k))
		w.accept("ann")
		w.pass(9 * time.Second)
		equal(t, "in flight", w.status("help").InFlight, 1)
		w.settles("help", time.Minute)
		equal(t, "attempts", w.attempts("ann"), "1 temporary, 2 ok")
		sent := k.seen()
		equal(t, "the second one knows that the first may have been taken", sent[1].uncertain, true)
		equal(t, "wait", sent[1].at.Sub(sent[0].at), 10*time.Second+2500*time.Millisecond)
		w.tidy(k)
	})
}

// TestThrottled: one 429 stops all workers of the target for as long as it says, and no other target.
func TestThrottled(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		begin := time.Now()
		k, other := new(desk), new(desk)
		k.behave = func(r request) fault {
			if r.at.Sub(begin) < 90*time.Second {
				return fault{status: http.StatusTooManyRequests, after: 2 * time.Minute}
			}
			return fault{}
		}
		one := target("help", k)
		one.Workers = 1
		w.start(one, target("log", other))
		for i := range 10 {
			w.accept(fmt.Sprint("visitor ", i))
		}
		w.pass(time.Second)
		w.want("log", ledger.Counts{Delivered: 10})
		equal(t, "requests before the wait", len(k.seen()), 1)
		if held := w.status("help").HeldUntil; !held.Equal(begin.Add(2 * time.Minute)) {
			t.Errorf("held until %s, want two minutes", held.Sub(begin))
		}
		w.pass(2*time.Minute - 2*time.Second)
		equal(t, "requests during the wait", len(k.seen()), 1)
		w.settles("help", 10*time.Second)
		w.want("help", ledger.Counts{Delivered: 10})
		for _, r := range k.seen() {
			equal(t, "attempt number, which a 429 leaves alone", r.attempt, 1)
		}
	})
}

func TestPanic(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var calls atomic.Int32
		k := &desk{behave: func(request) fault { return fault{panics: calls.Add(1) == 1} }}
		w.start(target("help", k))
		w.accept("ann")
		w.settles("help", time.Minute)
		equal(t, "attempts", w.attempts("ann"), "1 panic, 2 ok")
		if !strings.Contains(w.log.String(), "RoundTrip") {
			t.Error("the log has no stack")
		}
		w.tidy(k)
	})
}

// TestARevisionNeverOvertakes: it waits for the attempt in flight, then updates the same ticket.
func TestARevisionNeverOvertakes(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k := &desk{behave: func(request) fault { return fault{slow: 5 * time.Second} }}
		w.start(target("help", k))
		w.accept("ann", "first")
		w.pass(time.Second)
		a := w.accept("ann", "second")
		equal(t, "result", string(a.Result), "revised")
		w.pass(3 * time.Second)
		equal(t, "requests during the first", len(k.seen()), 1)
		w.settles("help", time.Minute)
		equal(t, "tickets", fmt.Sprint(k.held()), "[ann second]")
		sent := k.seen()
		equal(t, "requests", len(sent), 2)
		equal(t, "the second updates", sent[1].update, "1")
		w.want("help", ledger.Counts{Delivered: 2})
		w.tidy(k)
	})
}

// TestARevisionOfAFailureTakesItsPlace: the older revision is superseded, and only the newer one is sent.
func TestARevisionOfAFailureTakesItsPlace(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k := &desk{behave: func(r request) fault {
			if strings.Contains(r.body, "first") {
				return fault{status: http.StatusUnprocessableEntity, slow: 5 * time.Second}
			}
			return fault{}
		}}
		w.start(target("help", k))
		w.accept("ann", "first")
		w.pass(time.Second)
		w.accept("ann", "second")
		w.settles("help", time.Minute)
		equal(t, "tickets", fmt.Sprint(k.held()), "[ann second]")
		w.want("help", ledger.Counts{Delivered: 1, Superseded: 1})
	})
}

func TestRate(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k := &desk{behave: func(request) fault { return fault{slow: 300 * time.Millisecond} }}
		limited := target("help", k)
		limited.Rate, limited.Workers = Rate{Count: 60, Per: time.Minute}, 16
		w.start(limited)
		for i := range 180 {
			w.accept(fmt.Sprint("visitor ", i))
		}
		w.settles("help", 4*time.Minute)
		sent := k.seen()
		for from := range sent {
			to := from
			for to < len(sent) && sent[to].at.Sub(sent[from].at) < time.Minute {
				to++
			}
			if to-from > 72 {
				t.Fatalf("%d requests within a minute from %s on, at most 72 are wanted", to-from, sent[from].at)
			}
		}
		if took := sent[len(sent)-1].at.Sub(sent[0].at); took > 181*time.Second {
			t.Errorf("180 requests at one a second took %s", took)
		}
	})
}

// TestOneHangingTargetSlowsNobody: each target has its own workers.
func TestOneHangingTargetSlowsNobody(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		hanging := &desk{behave: func(request) fault { return fault{hang: true} }}
		targets := []Target{target("t0", hanging)}
		good := make(map[string]*desk)
		for i := 1; i < 10; i++ {
			name := fmt.Sprint("t", i)
			good[name] = new(desk)
			targets = append(targets, target(name, good[name]))
		}
		w.start(targets...)
		for i := range 20 {
			w.accept(fmt.Sprint("visitor ", i))
		}
		w.pass(time.Millisecond)
		for name, k := range good {
			w.want(name, ledger.Counts{Delivered: 20})
			w.tidy(k)
		}
		w.want("t0", ledger.Counts{Pending: 20})
		equal(t, "in flight at the hanging one", w.status("t0").InFlight, 4)
	})
}

// TestCrash: a delivery that was leased five times without an outcome is dead, and stops nobody else.
func TestCrash(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k := new(desk)
		w.setupOf(definition("", target("help", k)), target("help", k))
		w.accept("ann")
		for range ledger.CrashLimit {
			got, err := w.ledger.Claim(t.Context(), ledger.Claim{Target: "help", Limit: 1, Lease: time.Second, Config: "x"})
			if err != nil || len(got.Deliveries) != 1 {
				t.Fatalf("claim: %d deliveries, %v", len(got.Deliveries), err)
			}
			w.pass(2 * time.Second)
		}
		w.accept("bob")
		w.start(target("help", k))
		w.pass(time.Second)
		w.want("help", ledger.Counts{Delivered: 1, Dead: 1})
		equal(t, "tickets", fmt.Sprint(k.held()), "[bob hello]")
		equal(t, "attempts", w.attempts("ann"), "1 crash")
	})
}

// TestShutdownIsNoAttempt: what was cut off is due at once after the restart, and its target can tell whether it was taken.
func TestShutdownIsNoAttempt(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var calls atomic.Int32
		k := &desk{behave: func(request) fault { return fault{hang: calls.Add(1) == 1} }}
		patient := target("help", k)
		patient.Timeout = time.Minute
		w.start(patient)
		w.accept("ann")
		w.pass(time.Second)
		begin := time.Now()
		w.stop()
		equal(t, "grace", time.Since(begin), 10*time.Second)
		w.want("help", ledger.Counts{Pending: 1})
		w.restart()
		w.pass(time.Millisecond)
		w.want("help", ledger.Counts{Delivered: 1})
		equal(t, "attempts", w.attempts("ann"), "1 shutdown, 2 ok")
		w.tidy(k)
	})
}

// TestShutdownWaits: what ends within the grace is settled as ever.
func TestShutdownWaits(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k := &desk{behave: func(request) fault { return fault{slow: 4 * time.Second} }}
		w.start(target("help", k))
		for i := range 9 {
			w.accept(fmt.Sprint("visitor ", i))
		}
		w.pass(time.Second)
		begin := time.Now()
		w.stop()
		equal(t, "shutdown", time.Since(begin), 3*time.Second)
		w.want("help", ledger.Counts{Delivered: 4, Pending: 5})
	})
}

func TestApply(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		first, second, third := new(desk), new(desk), new(desk)
		first.behave = func(request) fault { return fault{slow: 5 * time.Second} }
		a, b := target("a", first), target("b", second)
		w.start(a, b)
		w.accept("ann")
		w.pass(time.Second)
		w.want("a", ledger.Counts{Pending: 1})

		// a goes to another desk now, b is gone, c is new. What is in flight to a ends where it began.
		moved := target("a", third)
		moved.Account = "account 2"
		w.apply(definition("new: ", moved, target("c", third)), moved, target("c", third))
		w.accept("bob")
		w.pass(time.Minute)
		equal(t, "tickets at the first desk", fmt.Sprint(first.held()), "[ann hello]")
		equal(t, "tickets at the second desk", fmt.Sprint(second.held()), "[ann hello]")
		equal(t, "tickets at the third desk", fmt.Sprint(third.held()), "[new: bob hello new: bob hello]")
		equal(t, "targets", len(w.engine.Status()), 2)
	})
}

// TestARemovedTargetKeepsItsDeliveries, and has them again when it comes back.
func TestARemovedTargetKeepsItsDeliveries(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		down := atomic.Bool{}
		down.Store(true)
		k := &desk{behave: func(request) fault { return fault{refused: down.Load()} }}
		a, b := target("a", k), target("b", new(desk))
		w.start(a, b)
		w.accept("ann")
		w.pass(time.Second)
		w.apply(definition("", b), b)
		down.Store(false)
		sent := len(k.seen())
		w.pass(time.Hour)
		w.want("a", ledger.Counts{Pending: 1})
		equal(t, "requests to a target that is gone", len(k.seen())-sent, 0)
		w.apply(definition("", a, b), a, b)
		w.settles("a", time.Minute)
		w.want("a", ledger.Counts{Delivered: 1})
	})
}

// TestWakeIsNotNeeded: without anybody's word the engine looks by itself.
func TestWakeIsNotNeeded(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k := new(desk)
		w.start(target("help", k))
		w.heard.Store(nil)
		w.accept("ann")
		synctest.Wait()
		w.settles("help", watchInterval+time.Second)
		w.want("help", ledger.Counts{Delivered: 1})
	})
}

// TestDefaults: a target that says nothing is tried with the usual waits, one attempt at a time.
func TestDefaults(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k := &desk{behave: func(request) fault { return fault{refused: true} }}
		begin := time.Now()
		w.start(Target{Name: "help", Connector: client{k}})
		w.accept("ann")
		w.pass(10 * time.Minute)
		n := len(strings.Split(w.attempts("ann"), ", "))
		if n < 5 || n > 10 { // half of 5, 10, 20, … seconds
			t.Errorf("%d attempts in %s", n, time.Since(begin))
		}
	})
}
