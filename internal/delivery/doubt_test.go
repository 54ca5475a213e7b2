// This file tests what is sent when an earlier attempt may have been taken, and a ledger that fails.

package delivery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/pipeline"
)

// TestInDoubtTheBytesStay: a reload between an attempt that may have been taken and the next one does not change what
// is sent under the same key; what was never sent is rendered with the configuration of today.
func TestInDoubtTheBytesStay(t *testing.T) {
	for _, restart := range []bool{false, true} {
		t.Run(fmt.Sprintf("restart %v", restart), func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				var calls atomic.Int32
				k := &desk{behave: func(r request) fault {
					return fault{lost: strings.Contains(r.body, "ann") && calls.Add(1) < 3, refused: strings.Contains(r.body, "bob") && calls.Load() < 3}
				}}
				help := target("help", k)
				w.startWith(w.setupOf(definition("old: ", help), help))
				w.accept("ann")
				w.accept("bob")
				w.pass(time.Second)
				w.want("help", ledger.Counts{Pending: 2})
				if restart {
					w.setup = w.setupOf(definition("new: ", help), help)
					w.restart()
				} else {
					w.apply(definition("new: ", help), help)
				}
				w.settles("help", time.Minute)
				equal(t, "tickets", fmt.Sprint(k.held()), "[new: bob hello old: ann hello]")
				w.tidy(k)
			})
		})
	}
}

// TestARouteThatIsGone: the delivery is rendered as it was accepted.
func TestARouteThatIsGone(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var up atomic.Bool
		k := &desk{behave: func(request) fault { return fault{refused: !up.Load()} }}
		help := target("help", k)
		w.startWith(w.setupOf(definition("old: ", help), help))
		w.accept("ann")
		w.pass(time.Second)
		d := definition("new: ", help)
		d.Routes[0].Name = "another"
		w.apply(d, help)
		up.Store(true)
		w.settles("help", time.Minute)
		equal(t, "tickets", fmt.Sprint(k.held()), "[old: ann hello]")
	})
}

// TestMappingError: the delivery is dead at once, visibly; the corrected mapping and a replay heal it.
func TestMappingError(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k := new(desk)
		help := target("help", k)
		d := definition("", help)
		broken := &brokenMapper{Mapper: w.setupOf(d, help).Mapper}
		s := w.setupOf(d, help)
		s.Mapper = broken
		w.startWith(s)
		a := w.accept("ann")
		w.pass(time.Second)
		w.want("help", ledger.Counts{Dead: 1})
		equal(t, "attempts", w.attempts("ann"), "1 mapping")
		equal(t, "requests", len(k.seen()), 0)
		if !strings.Contains(w.log.String(), "correct the mapping") {
			t.Error("the log has no hint")
		}
		if n := testutil.CollectAndCount(w.metrics.Registry(), "afterchat_mapping_errors_total"); n != 1 {
			t.Errorf("%d series of mapping errors, want 1", n)
		}

		w.apply(d, help)
		if err := w.ledger.Replay(t.Context(), a.ID, "help"); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Second)
		w.want("help", ledger.Counts{Delivered: 1})
	})
}

// brokenMapper finds the subject absent in everything.
type brokenMapper struct{ Mapper }

func (*brokenMapper) Map(_ *chat.Conversation, target string, routes []string) (pipeline.Rendered, error) {
	return pipeline.Rendered{}, &pipeline.MappingError{Route: routes[0], Target: target, Field: "subject", Err: pipeline.ErrAbsent}
}

// TestUncertain: where nothing at the target holds one object, the policy decides between twice and perhaps not at all.
func TestUncertain(t *testing.T) {
	for policy, want := range map[string]struct {
		tickets  int
		attempts string
		counts   ledger.Counts
	}{
		"resend": {2, "1 temporary, 2 ok", ledger.Counts{Delivered: 1}},
		"dead":   {1, "1 uncertain", ledger.Counts{Dead: 1}},
	} {
		t.Run(policy, func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				var calls atomic.Int32
				k := &desk{forgetful: true, behave: func(request) fault { return fault{lost: calls.Add(1) == 1} }}
				help := target("help", k)
				help.Once, help.Policy.OnUncertain = connectors.OnceNone, policy
				w.start(help)
				a := w.accept("ann")
				w.pass(time.Minute)
				w.want("help", want.counts)
				equal(t, "tickets", len(k.held()), want.tickets)
				equal(t, "attempts", w.attempts("ann"), want.attempts)
				if want.counts.Dead == 0 {
					return
				}
				// A person has looked and says that it is not there.
				if err := w.ledger.Replay(t.Context(), a.ID, "help"); err != nil {
					t.Fatal(err)
				}
				w.pass(time.Minute)
				w.want("help", ledger.Counts{Delivered: 1})
			})
		})
	}
}

// TestLapsed: a worker that crashed may have sent it, so the cautious do not send it again before a person has looked.
func TestLapsed(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k := new(desk)
		help := target("help", k)
		help.Once, help.Policy.OnUncertain = connectors.OnceNone, OnUncertainDead
		w.setup = w.setupOf(definition("", help), help)
		a := w.accept("ann")
		w.crashedWorker(time.Second)
		w.pass(time.Minute)
		w.startWith(w.setup)
		w.pass(time.Second)
		w.want("help", ledger.Counts{Dead: 1})
		equal(t, "requests", len(k.seen()), 0)
		equal(t, "attempts", w.attempts("ann"), "1 uncertain")

		if err := w.ledger.Replay(t.Context(), a.ID, "help"); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Second)
		w.want("help", ledger.Counts{Delivered: 1})
	})
}

// TestALookupWaitsForWhatIsUnderWay: a request that was cut may still be on its way to the target, or at work there, and
// until it is done a lookup does not find it. So what is looked for gets as long as an attempt may take.
func TestALookupWaitsForWhatIsUnderWay(t *testing.T) {
	const patience = 20 * time.Second
	for _, crashed := range []bool{false, true} {
		t.Run(fmt.Sprintf("crash %v", crashed), func(t *testing.T) {
			run(t, func(t *testing.T, w *world) {
				var calls atomic.Int32
				k := &desk{behave: func(request) fault { return fault{lost: !crashed && calls.Add(1) == 1} }}
				help := target("help", k)
				help.Once, help.Timeout, help.Policy.Min = connectors.OnceLookup, patience, time.Second
				w.setup = w.setupOf(definition("", help), help)
				w.accept("ann")
				cut := time.Now()
				if crashed {
					w.crashedWorker(time.Second)
				}
				w.startWith(w.setup)
				w.settles("help", time.Minute)
				seen := k.seen()
				last := seen[len(seen)-1]
				if waited := last.at.Sub(cut); waited < patience || waited > 2*patience || !last.uncertain {
					t.Errorf("looked after %s, uncertain %v; want %s", waited, last.uncertain, patience)
				}
				equal(t, "tickets", len(k.held()), 1)
			})
		})
	}
}

// TestTheLedgerFails: the engine waits, neither spins nor dies, and what was delivered is not sent again.
func TestTheLedgerFails(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k := &desk{behave: func(request) fault { return fault{slow: time.Second} }}
		flaky := &failingLedger{Ledger: w.ledger}
		w.use = flaky
		w.start(target("help", k))
		w.accept("ann")
		w.pass(500 * time.Millisecond)
		flaky.fails.Store(true)
		w.accept("bob")
		w.pass(20 * time.Second)
		w.want("help", ledger.Counts{Pending: 2})
		if calls := flaky.calls.Load(); calls < 5 || calls > 25 {
			t.Errorf("%d calls of a ledger that fails, in 20 s", calls)
		}
		flaky.fails.Store(false)
		w.settles("help", 20*time.Second)
		w.want("help", ledger.Counts{Delivered: 2})
		equal(t, "requests", len(k.seen()), 2)
		w.tidy(k)
	})
}

// TestTheLedgerFailsAtTheStart: the target's state is read as soon as it can be.
func TestTheLedgerFailsAtTheStart(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k := new(desk)
		flaky := &failingLedger{Ledger: w.ledger}
		flaky.fails.Store(true)
		w.use = flaky
		w.start(target("help", k))
		w.accept("ann")
		w.pass(time.Minute)
		flaky.fails.Store(false)
		w.settles("help", 10*time.Second)
		w.want("help", ledger.Counts{Delivered: 1})
	})
}

// failingLedger fails while its switch is on.
type failingLedger struct {
	Ledger
	fails atomic.Bool
	calls atomic.Int32 // that failed
}

var errDisk = errors.New("disk I/O error")

func (l *failingLedger) err() error {
	if l.fails.Load() {
		l.calls.Add(1)
		return errDisk
	}
	return nil
}

func (l *failingLedger) Claim(ctx context.Context, c ledger.Claim) (ledger.Claimed, error) {
	if err := l.err(); err != nil {
		return ledger.Claimed{}, err
	}
	return claimNow(ctx, l.Ledger, c)
}

// claimNow claims from a ledger that does not wait.
func claimNow(ctx context.Context, l Ledger, c ledger.Claim) (ledger.Claimed, error) {
	c.Wait = 0
	got, err := l.Claim(ctx, c)
	got.Waits = false
	return got, err
}

func (l *failingLedger) Settle(ctx context.Context, s ledger.Settlement) (ledger.Settled, error) {
	if err := l.err(); err != nil {
		return ledger.Settled{}, err
	}
	return l.Ledger.Settle(ctx, s)
}

func (l *failingLedger) TargetState(ctx context.Context, name string) (ledger.TargetState, error) {
	if err := l.err(); err != nil {
		return ledger.TargetState{}, err
	}
	return l.Ledger.TargetState(ctx, name)
}

// TestShutdownWhileTheLedgerFails ends all the same. What was delivered and not written down is sent once more, and the
// target knows its key.
func TestShutdownWhileTheLedgerFails(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k := &desk{behave: func(request) fault { return fault{slow: time.Second} }}
		flaky := &failingLedger{Ledger: w.ledger}
		w.use = flaky
		w.start(target("help", k))
		w.accept("ann")
		w.pass(500 * time.Millisecond)
		flaky.fails.Store(true)
		w.pass(5 * time.Second)
		w.stop()
		w.restart()
		w.settles("help", time.Minute)
		w.want("help", ledger.Counts{Delivered: 1})
		equal(t, "requests", len(k.seen()), 2)
		equal(t, "the second one knows", k.seen()[1].uncertain, true)
		w.tidy(k)

		w.stop()
		flaky = &failingLedger{Ledger: w.ledger}
		flaky.fails.Store(true)
		w.use = flaky
		w.startWith(w.setup)
		w.pass(time.Second)
		w.stop() // before the target's state could be read
	})
}

// TestPanicInAMapping is retried, and certain: nothing was sent.
func TestPanicInAMapping(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k := new(desk)
		help := target("help", k)
		s := w.setupOf(definition("", help), help)
		s.Mapper = &panickingMapper{Mapper: s.Mapper}
		w.startWith(s)
		w.accept("ann")
		w.settles("help", time.Minute)
		equal(t, "attempts", w.attempts("ann"), "1 panic, 2 ok")
		equal(t, "uncertain", k.seen()[0].uncertain, false)
	})
}

// panickingMapper panics the first time.
type panickingMapper struct {
	Mapper
	calls atomic.Int32
}

func (m *panickingMapper) Map(c *chat.Conversation, target string, routes []string) (pipeline.Rendered, error) {
	if m.calls.Add(1) == 1 {
		panic("a mapping has a bug")
	}
	return m.Mapper.Map(c, target, routes)
}

// TestFenced: a lease that has gone to somebody else is no error of the engine.
func TestFenced(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		var calls atomic.Int32
		k := &desk{behave: func(request) fault {
			if calls.Add(1) == 1 {
				return fault{slow: 9 * time.Second}
			}
			return fault{status: http.StatusBadRequest}
		}}
		help := target("help", k)
		help.Workers = 1 // so that it is not this engine that takes the lease over
		w.use = shortLeases{w.ledger}
		w.start(help)
		w.accept("ann")
		w.pass(5 * time.Second)
		got, err := w.ledger.Claim(t.Context(), ledger.Claim{Target: "help", Limit: 1, Lease: time.Hour, Config: "x"})
		if err != nil || len(got.Deliveries) != 1 {
			t.Fatalf("claim: %d deliveries, %v", len(got.Deliveries), err)
		}
		equal(t, "lapsed", got.Deliveries[0].Lapsed, true)
		w.pass(10 * time.Second)
		if !strings.Contains(w.log.String(), ledger.ErrFenced.Error()) {
			t.Errorf("the log does not say that the lease was lost:\n%s", w.log.tail())
		}
		if n := testutil.CollectAndCount(w.metrics.Registry(), "afterchat_fenced_total"); n != 1 {
			t.Errorf("%d series tell of lost leases", n)
		}
		w.want("help", ledger.Counts{Pending: 1})
	})
}

// shortLeases makes leases end before the attempt does.
type shortLeases struct{ Ledger }

func (l shortLeases) Claim(ctx context.Context, c ledger.Claim) (ledger.Claimed, error) {
	c.Lease = 4 * time.Second
	return l.Ledger.Claim(ctx, c)
}
