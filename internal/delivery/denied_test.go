// This file tests the pause protocol on the engine, hour by hour.

package delivery

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/ledger"
)

// denying is a desk that denies everything while its switch is on, and records of visitors named bad always.
func denying() (*desk, *atomic.Bool) {
	denies := new(atomic.Bool)
	return &desk{behave: func(r request) fault {
		if denies.Load() || strings.HasPrefix(r.body, "bad") {
			return fault{status: http.StatusUnauthorized, slow: 50 * time.Millisecond}
		}
		return fault{slow: 100 * time.Millisecond}
	}}, denies
}

// honest returns a target whose Check says whether the desk denies everything.
func honest(k *desk, denies *atomic.Bool) Target {
	t := target("help", k)
	t.Connector = checkedClient{client{k}, func() error {
		if denies.Load() {
			return &connectors.Error{Kind: connectors.Denied, Err: errors.New("the token has expired")}
		}
		return nil
	}}
	return t
}

// TestDeniedIsConfirmedByCheck: the target is paused, nothing is lost, and it resumes by itself.
func TestDeniedIsConfirmedByCheck(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k, denies := denying()
		denies.Store(true)
		w.start(honest(k, denies))
		for i := range 20 {
			w.accept(fmt.Sprint("visitor ", i))
		}
		w.pass(time.Second)
		s := w.status("help")
		equal(t, "paused", s.Paused, true)
		equal(t, "reason", s.Reason, "the desk answered 401")
		equal(t, "next probe", s.NextProbe.Sub(s.Since), firstProbe)
		equal(t, "requests until the pause", len(k.seen()), 4)
		w.pass(24 * time.Hour)
		equal(t, "requests during the pause", len(k.seen()), 4)
		w.want("help", ledger.Counts{Pending: 20})

		w.restart()
		equal(t, "paused after a restart", w.status("help").Paused, true)

		denies.Store(false)
		w.settles("help", longestProbe+time.Minute)
		w.want("help", ledger.Counts{Delivered: 20})
		equal(t, "paused", w.status("help").Paused, false)
		w.tidy(k)
	})
}

// TestDeniedIsConfirmedByAnother: without a Check a second, different delivery tells, and one at a time probes.
func TestDeniedIsConfirmedByAnother(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k, denies := denying()
		denies.Store(true)
		w.start(target("help", k))
		for i := range 20 {
			w.accept(fmt.Sprint("visitor ", i))
		}
		w.pass(time.Second)
		equal(t, "paused", w.status("help").Paused, true)
		before := len(k.seen())
		if before > 5 { // four workers, one of which may have been free again
			t.Errorf("%d requests until the pause", before)
		}
		w.pass(time.Hour)
		probes := len(k.seen()) - before
		if probes < 6 || probes > 8 { // after 0.5, 1, 2, 4, 8, 15, 15, 15 minutes
			t.Errorf("%d probes in an hour", probes)
		}
		objects := make(map[string]bool)
		for _, r := range k.seen()[before:] {
			objects[r.object] = true
		}
		equal(t, "different deliveries that probed", len(objects), probes)

		denies.Store(false)
		w.settles("help", longestProbe+time.Minute)
		w.want("help", ledger.Counts{Delivered: 20})
		w.tidy(k)
	})
}

// TestOneBadRecord is dead in the end, and neither pauses the target nor takes a good one with it.
func TestOneBadRecord(t *testing.T) {
	for _, withCheck := range []bool{false, true} {
		t.Run(fmt.Sprintf("check %v", withCheck), func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				k, denies := denying()
				one := target("help", k)
				if withCheck {
					one = honest(k, denies)
				}
				w.start(one)
				for i := range 10 {
					w.accept(fmt.Sprint("visitor ", i))
				}
				w.accept("bad")
				for i := range 10 {
					w.accept(fmt.Sprint("late visitor ", i))
				}
				w.settles("help", time.Minute)
				w.want("help", ledger.Counts{Delivered: 20, Dead: 1})
				equal(t, "attempts", w.attempts("bad"), "1 denied, 2 rejected")
				if reason := w.reason("bad"); !strings.Contains(reason, "denied twice although the target takes others") {
					t.Errorf("reason: %s", reason)
				}
				if strings.Contains(w.log.String(), "delivery.paused") {
					t.Errorf("the target was paused:\n%s", w.log.tail())
				}
			})
		})
	}
}

// TestManyBadRecords die one by one, whatever pauses they cause, and the good ones pass.
func TestManyBadRecords(t *testing.T) {
	for _, withCheck := range []bool{false, true} {
		t.Run(fmt.Sprintf("check %v", withCheck), func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				k, denies := denying()
				one := target("help", k)
				if withCheck {
					one = honest(k, denies)
				}
				w.start(one)
				for i := range 40 {
					w.accept(fmt.Sprint("visitor ", i))
					if i%4 == 0 {
						w.accept(fmt.Sprint("bad", i))
					}
					if i%10 == 0 {
						w.pass(time.Minute)
					}
				}
				w.accept("the last one")
				w.pass(time.Hour)
				w.accept("the very last one")
				w.pass(time.Hour)
				c := w.counts("help")
				equal(t, "delivered", c.Delivered, 42)
				if c.Dead < 9 {
					t.Errorf("%d of the 10 bad ones are dead, %d pending", c.Dead, c.Pending)
				}
			})
		})
	}
}

// TestTheOnlyRecordIsNeverGivenUp: without another delivery nobody can tell whose fault it is.
func TestTheOnlyRecordIsNeverGivenUp(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k, denies := denying()
		denies.Store(true)
		w.start(target("help", k))
		w.accept("ann")
		w.pass(80 * time.Hour)
		w.want("help", ledger.Counts{Pending: 1})
		equal(t, "paused", w.status("help").Paused, false)
		if !strings.Contains(w.status("help").LastError, "401") {
			t.Errorf("status: %+v", w.status("help"))
		}
		denies.Store(false)
		w.settles("help", 2*time.Hour)
		w.want("help", ledger.Counts{Delivered: 1})
	})
}

// TestACheckThatPassesWhileNothingIsTaken: a token that may read and not write does not kill a whole queue.
func TestACheckThatPassesWhileNothingIsTaken(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k, denies := denying()
		denies.Store(true)
		w.start(honest(k, new(atomic.Bool)))
		for i := range 50 {
			w.accept(fmt.Sprint("visitor ", i))
		}
		w.pass(24 * time.Hour)
		equal(t, "paused", w.status("help").Paused, true)
		if c := w.counts("help"); c.Dead > deniedAgainstCheck-1 {
			t.Errorf("%d are dead, at most %d are wanted", c.Dead, deniedAgainstCheck-1)
		}
		denies.Store(false)
		w.settles("help", longestProbe+time.Minute)
	})
}

// TestACheckThatCannotTell is as good as none.
func TestACheckThatCannotTell(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k, denies := denying()
		denies.Store(true)
		vague := target("help", k)
		vague.Connector = checkedClient{client{k}, func() error { return errors.New("no route to host") }}
		w.start(vague)
		w.accept("ann")
		w.pass(time.Minute)
		equal(t, "paused", w.status("help").Paused, false)
		w.accept("bob")
		w.pass(time.Minute)
		equal(t, "paused", w.status("help").Paused, true)
		denies.Store(false)
		w.settles("help", longestProbe+time.Minute)
		w.want("help", ledger.Counts{Delivered: 2})
	})
}

// TestChangedSettingsEndAPause, at a reload and at a restart.
func TestChangedSettingsEndAPause(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart %v", restart), func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				k, denies := denying()
				denies.Store(true)
				w.start(honest(k, denies))
				w.accept("ann")
				w.pass(24 * time.Hour)
				equal(t, "paused", w.status("help").Paused, true)

				denies.Store(false)
				mended := honest(k, denies)
				mended.Account = "account 2"
				if restart {
					w.setup = w.setupOf(definition("", mended), mended)
					w.restart()
				} else {
					w.apply(definition("", mended), mended)
				}
				w.pass(time.Second)
				w.want("help", ledger.Counts{Delivered: 1})
				equal(t, "paused", w.status("help").Paused, false)
			})
		})
	}
}

// TestAPauseByAPersonStays until a person ends it.
func TestAPauseByAPersonStays(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k := new(desk)
		w.setup = w.setupOf(definition("", target("help", k)), target("help", k))
		err := w.ledger.SaveTargetState(t.Context(), "help", ledger.TargetState{
			Account: "account 0", Pause: ledger.Pause{Since: time.Now(), Until: time.Now(), Reason: "maintenance", ByOperator: true},
		})
		if err != nil {
			t.Fatal(err)
		}
		w.startWith(w.setup)
		w.accept("ann")
		w.pass(48 * time.Hour)
		w.want("help", ledger.Counts{Pending: 1})
		equal(t, "requests", len(k.seen()), 0)
		equal(t, "reason", w.status("help").Reason, "maintenance")
	})
}

// TestGiveUp: 72 hours of failures after the first attempt, of which a pause of a week is no part.
func TestGiveUp(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k := new(desk)
		var denies, gone atomic.Bool
		gone.Store(true)
		k.behave = func(request) fault {
			switch {
			case denies.Load():
				return fault{status: http.StatusForbidden}
			case gone.Load():
				return fault{refused: true}
			}
			return fault{}
		}
		w.start(honest(k, &denies))
		w.accept("ann")
		w.pass(40 * time.Hour)
		denies.Store(true)
		w.pass(7 * 24 * time.Hour)
		equal(t, "paused", w.status("help").Paused, true)
		denies.Store(false)
		w.pass(30 * time.Hour)
		equal(t, "paused", w.status("help").Paused, false)
		w.want("help", ledger.Counts{Pending: 1})
		w.pass(5 * time.Hour)
		w.want("help", ledger.Counts{Dead: 1})
		if reason := w.reason("ann"); !strings.HasPrefix(reason, "gave up after 72h0m0s: connection refused") {
			t.Errorf("reason: %s", reason)
		}

		gone.Store(false)
		if err := w.ledger.Replay(t.Context(), w.accept("ann").ID, "help"); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Second)
		w.want("help", ledger.Counts{Delivered: 1})
	})
}

// slowCheck returns a target whose Check takes five seconds and then says what answer returns.
func slowCheck(k *desk, answer func() error) Target {
	t := target("help", k)
	t.Connector = checkedClient{client{k}, func() error {
		<-time.After(5 * time.Second)
		return answer()
	}}
	return t
}

func tokenExpired() error {
	return &connectors.Error{Kind: connectors.Denied, Err: errors.New("the token has expired")}
}

// TestOneCheckForAll: denials that come while a Check is under way wait for it, and all of them go back.
func TestOneCheckForAll(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k, denies := denying()
		denies.Store(true)
		var checks atomic.Int32
		w.start(slowCheck(k, func() error {
			checks.Add(1)
			return tokenExpired()
		}))
		for i := range 8 {
			w.accept(fmt.Sprint("visitor ", i))
		}
		w.pass(20 * time.Second)
		equal(t, "checks", checks.Load(), 1)
		equal(t, "paused", w.status("help").Paused, true)
		equal(t, "in flight", w.status("help").InFlight, 0)
		w.want("help", ledger.Counts{Pending: 8})
	})
}

// TestACheckOfOtherSettings says nothing of those that a reload brought meanwhile.
func TestACheckOfOtherSettings(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k, denies := denying()
		denies.Store(true)
		help := slowCheck(k, tokenExpired)
		w.start(help)
		w.accept("ann")
		w.pass(time.Second)
		denies.Store(false)
		mended := target("help", k)
		mended.Account, mended.Rate = "account 2", Rate{Count: 10, Per: time.Second}
		w.apply(definition("", mended), mended)
		w.pass(5 * time.Second)
		equal(t, "paused", w.status("help").Paused, false)
		w.want("help", ledger.Counts{Delivered: 1})
	})
}

// TestShutdownDuringACheck does not wait for it, and settles the denial that does.
func TestShutdownDuringACheck(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k, denies := denying()
		denies.Store(true)
		w.start(slowCheck(k, tokenExpired))
		w.accept("ann")
		w.pass(time.Second)
		w.stop()
		w.want("help", ledger.Counts{Pending: 1})
		equal(t, "attempts", w.attempts("ann"), "1 denied")
	})
}

// TestAPauseEndsWithoutWork: when a Check passes and nothing is pending, the target runs again.
func TestAPauseEndsWithoutWork(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k, denies := denying()
		denies.Store(true)
		help := honest(k, denies)
		w.start(help)
		w.accept("ann", "first")
		w.pass(time.Second)
		equal(t, "paused", w.status("help").Paused, true)

		elsewhere := definition("", help)
		elsewhere.Routes[0].When = "visitor.name == 'bob'"
		w.apply(elsewhere, help)
		w.accept("ann", "second")
		w.want("help", ledger.Counts{Superseded: 1})
		denies.Store(false)
		w.pass(time.Minute)
		equal(t, "paused", w.status("help").Paused, false)
	})
}

// TestWhatAProbeProves: any answer to a record but a denial shows that we are let in; no answer at all shows nothing,
// unless a Check has passed just before.
func TestWhatAProbeProves(t *testing.T) {
	for name, c := range map[string]struct {
		answer    fault
		withCheck bool
		paused    bool
	}{
		"taken":                           {fault{}, false, false},
		"rejected":                        {fault{status: http.StatusUnprocessableEntity}, false, false},
		"throttled":                       {fault{status: http.StatusTooManyRequests, after: time.Hour}, false, false},
		"denied":                          {fault{status: http.StatusForbidden}, false, true},
		"unreachable":                     {fault{refused: true}, false, true},
		"broken":                          {fault{panics: true}, false, true},
		"unreachable, but a check passes": {fault{refused: true}, true, false},
		"denied, though a check passes":   {fault{status: http.StatusForbidden}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				var denies atomic.Bool
				denies.Store(true)
				k := &desk{behave: func(request) fault {
					if denies.Load() {
						return fault{status: http.StatusUnauthorized}
					}
					return c.answer
				}}
				help := target("help", k)
				if c.withCheck {
					help = honest(k, &denies)
				}
				w.start(help)
				w.accept("ann")
				w.accept("bob")
				w.pass(time.Second)
				equal(t, "paused", w.status("help").Paused, true)
				denies.Store(false)
				w.pass(firstProbe)
				equal(t, "paused after the probe", w.status("help").Paused, c.paused)
			})
		})
	}
}
