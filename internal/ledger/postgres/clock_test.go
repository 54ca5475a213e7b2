// This file tests clocks that are wrong by hours: of replicas, and of the database.

package postgres

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

// wrong opens a replica whose clock is off.
func wrong(t *testing.T, at string, off time.Duration) (l *Ledger, clock func() time.Time) {
	t.Helper()
	clock = func() time.Time { return time.Now().Add(off) }
	return open(t, at, Options{clock: clock, Retention: ledger.Retention{Delivered: time.Hour, Dead: time.Hour}}), clock
}

// near tells whether two times are the same but for what a test takes.
func near(a, b time.Time) bool { return a.Sub(b).Abs() < 20*time.Second }

// A replica whose clock is off by hours, either way, takes nobody's lease, loses none of its own, and lets no delivery
// wait; what it says in its own time others read in theirs.
func TestE2EPostgresClocks(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]time.Duration{"fast": 5 * time.Hour, "slow": -5 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := url(t)
			right := open(t, at, Options{})
			odd, clock := wrong(t, at, off)

			// Leases of the right one.
			accept(t, right, hook("c1", "help"))
			d := claim(t, right, "help", time.Hour).Deliveries[0]
			if got := claim(t, odd, "help", time.Hour); len(got.Deliveries) > 0 || !near(got.Next, clock().Add(time.Hour)) {
				t.Errorf("the odd one claimed %d, the next at %s in its time; want none for an hour", len(got.Deliveries), got.Next.Sub(clock()))
			}
			if _, err := right.Settle(t.Context(), ledger.Settlement{ID: "c1", Target: "help", Revision: 1, Fence: d.Fence, State: ledger.Delivered, Tried: true}); err != nil {
				t.Error(err)
			}

			// Leases of the odd one.
			accept(t, odd, hook("c2", "help"))
			d = claim(t, odd, "help", time.Hour).Deliveries[0]
			if !near(d.LeaseEnd, clock().Add(time.Hour)) || !near(d.DueAt, clock()) {
				t.Errorf("the odd one has a lease until %s, due %s of its time", d.LeaseEnd.Sub(clock()), d.DueAt.Sub(clock()))
			}
			if got := claim(t, right, "help", time.Hour); len(got.Deliveries) > 0 || !near(got.Next, time.Now().Add(time.Hour)) {
				t.Errorf("the right one claimed %d, the next in %s; want none for an hour", len(got.Deliveries), time.Until(got.Next))
			}

			// A backoff that the odd one has decided on, and when it began to try.
			again := ledger.Settlement{
				ID: "c2", Target: "help", Revision: 1, Fence: d.Fence, Tried: true, DueAt: clock().Add(2 * time.Second), FirstAt: clock(),
				Attempt: &ledger.Attempt{At: clock(), Number: 1, Kind: "temporary"},
			}
			if _, err := odd.Settle(t.Context(), again); err != nil {
				t.Error(err)
			}
			decided := time.Now()
			back := await(t, func() (ledger.Delivery, bool) {
				got := claim(t, right, "help", 100*time.Millisecond)
				if len(got.Deliveries) == 0 {
					return ledger.Delivery{}, false
				}
				return got.Deliveries[0], true
			})
			if waited := time.Since(decided); waited < 500*time.Millisecond || waited > 10*time.Second {
				t.Errorf("a backoff of 2 s took %s", waited)
			}
			if !near(back.FirstAt, time.Now()) {
				t.Errorf("its first attempt was %s ago", time.Since(back.FirstAt))
			}
			if lines, err := right.Attempts(t.Context(), "c2", "help"); err != nil || len(lines) != 1 || !near(lines[0].At, time.Now()) {
				t.Errorf("the log of attempts: %+v, %v", lines, err)
			}

			// The odd one takes over when a lease is really over, and the late settle is refused.
			late := ledger.Settlement{ID: "c2", Target: "help", Revision: 1, Fence: back.Fence, State: ledger.Delivered, Tried: true}
			await(t, func() (bool, bool) {
				got := claim(t, odd, "help", time.Hour)
				return true, len(got.Deliveries) == 1 && got.Deliveries[0].Lapsed
			})
			if _, err := right.Settle(t.Context(), late); !errors.Is(err, ledger.ErrFenced) {
				t.Errorf("late settle: %v, want ErrFenced", err)
			}

			clocksOfStates(t, right, odd, clock)
			sound(t, odd)
			audited(t, at)
		})
	}
}

// clocksOfStates looks at what is beside deliveries: pauses, gauges, retention.
func clocksOfStates(t *testing.T, right, odd *Ledger, clock func() time.Time) {
	t.Helper()
	pause := ledger.Pause{Since: clock(), Until: clock().Add(time.Minute), Reason: "401"}
	if err := odd.SaveTargetState(t.Context(), "help", ledger.TargetState{Pause: pause}); err != nil {
		t.Error(err)
	}
	if s, err := right.TargetState(t.Context(), "help"); err != nil || !near(s.Pause.Since, time.Now()) || !near(s.Pause.Until, time.Now().Add(time.Minute)) {
		t.Errorf("the pause of the odd one is from %s to %s of now (%v)", time.Until(s.Pause.Since), time.Until(s.Pause.Until), err)
	}
	if s, err := odd.TargetState(t.Context(), "help"); err != nil || !near(s.Pause.Until, pause.Until) {
		t.Errorf("its own pause comes back as %+v (%v)", s.Pause, err)
	}
	h := hook("c3", "log")
	h.Conversation.ReceivedAt = clock()
	accept(t, odd, h)
	for _, l := range []*Ledger{right, odd} {
		now := l.options.clock()
		stats, err := l.Stats(t.Context())
		if err != nil {
			t.Error(err)
		}
		if got := stats.Targets["log"]; !near(got.OldestPending, now) || !near(got.Overdue, now) || !near(stats.LastHook["shop"], now) {
			t.Errorf("gauges of %s: oldest %s, overdue %s, last hook %s", now, got.OldestPending, got.Overdue, stats.LastHook["shop"])
		}
	}
	// Retention counts from the database's time.
	d := claim(t, right, "log", time.Hour).Deliveries[0]
	if _, err := right.Settle(t.Context(), ledger.Settlement{ID: "c3", Target: "log", Revision: 1, Fence: d.Fence, State: ledger.Delivered, Tried: true}); err != nil {
		t.Error(err)
	}
	if err := odd.Retain(t.Context(), clock()); err != nil {
		t.Error(err)
	}
	if _, err := right.Conversation(t.Context(), "c3"); err != nil {
		t.Errorf("what was delivered just now, after retention: %v", err)
	}
	if err := odd.Retain(t.Context(), clock().Add(90*time.Minute)); err != nil {
		t.Error(err)
	}
	if _, err := right.Conversation(t.Context(), "c3"); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("what is older than its retention: %v, want ErrNotFound", err)
	}
}

// After the database's clock was set back, what was accepted or tried before is due at once, and a lease of before ends
// within the hour. A long hold is no such thing.
func TestE2EPostgresClockSetBack(t *testing.T) {
	t.Parallel()
	at := url(t)
	l := open(t, at, Options{})
	accept(t, l, hook("tried", "help"))
	d := claim(t, l, "help", time.Hour).Deliveries[0]
	again := ledger.Settlement{ID: "tried", Target: "help", Revision: 1, Fence: d.Fence, Tried: true, DueAt: time.Now().Add(time.Minute), FirstAt: time.Now()}
	if _, err := l.Settle(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	accept(t, l, hook("leased", "help"))
	claim(t, l, "help", 30*time.Second)
	accept(t, l, hook("accepted", "help"))
	ahead := (5 * time.Hour).Microseconds() // it was, when they came
	sql(t, at, fmt.Sprintf(`UPDATE delivery SET due_at = due_at + %[1]d, pending_since = pending_since + %[1]d,
		settled_at = CASE WHEN settled_at > 0 THEN settled_at + %[1]d ELSE 0 END`, ahead))
	held := hook("held", "help")
	plan := held.Plan("", 0)
	plan.Deliveries[0].Hold = 48 * time.Hour
	held.Plan = func(string, int) ledger.Plan { return plan }
	accept(t, l, held)
	if got := claim(t, l, "help", time.Hour); len(got.Deliveries) > 0 {
		t.Fatalf("%d are due before anybody has looked", len(got.Deliveries))
	}
	if err := l.Retain(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	got := claim(t, l, "help", 2*time.Hour)
	var ids []string
	for _, d := range got.Deliveries {
		ids = append(ids, d.ID)
	}
	slices.Sort(ids)
	if want := []string{"accepted", "tried"}; !slices.Equal(ids, want) {
		t.Errorf("claimed %v, want %v", ids, want)
	}
	if !near(got.Next, time.Now().Add(time.Hour)) {
		t.Errorf("the lease ends in %s, want an hour", time.Until(got.Next))
	}
	sound(t, l)
	audited(t, at)
}
