// This file tests what a replica does that is cut off from the database.

package postgres

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/postgrestest"
)

// Every operation of a replica that is cut off fails in bounded time, what it had leased goes to the other one when the
// lease ends, its settle is refused after the network has healed, and it goes on as before.
func TestE2EPostgresNetworkCut(t *testing.T) {
	t.Parallel()
	at := url(t)
	wire, err := postgrestest.NewWire(t.Context(), shared.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(wire.Remove)
	limited := Options{Retention: ledger.Retention{Delivered: time.Hour, MaxSize: 1 << 40}}
	near, far := open(t, at, limited), open(t, strings.Replace(at, shared.Address(), wire.Address(), 1), limited)
	accept(t, far, hook("c1", "help"))
	leased := claim(t, far, "help", 3*time.Second).Deliveries[0]
	settlement := ledger.Settlement{ID: leased.ID, Target: "help", Revision: 1, Fence: leased.Fence, State: ledger.Delivered, Tried: true}
	wire.Cut()

	type answer struct {
		what string
		err  error
		took time.Duration
	}
	operations := map[string]func(context.Context) error{
		"accept": func(ctx context.Context) error { _, err := far.Accept(ctx, hook("c2", "help")); return err },
		"settle": func(ctx context.Context) error { _, err := far.Settle(ctx, settlement); return err },
		"claim": func(ctx context.Context) error {
			_, err := far.Claim(ctx, ledger.Claim{Target: "help", Limit: 1, Lease: time.Second})
			return err
		},
		"ready":  far.Ready,
		"retain": func(ctx context.Context) error { return far.Retain(ctx, time.Now()) },
		"stats":  func(ctx context.Context) error { _, err := far.Stats(ctx); return err },
		"take": func(ctx context.Context) error {
			_, _, err := far.Take(ctx, "help", ledger.Rate{PerSecond: 1, Burst: 1}, 1)
			return err
		},
		"state":        func(ctx context.Context) error { _, err := far.TargetState(ctx, "help"); return err },
		"conversation": func(ctx context.Context) error { _, err := far.Conversation(ctx, "c1"); return err },
	}
	began := time.Now()
	answers := make(chan answer, len(operations))
	for what, do := range operations {
		go func() {
			err := do(context.Background())
			answers <- answer{what, err, time.Since(began)}
		}()
	}
	second := await(t, func() (ledger.Delivery, bool) {
		got := claim(t, near, "help", time.Hour)
		if len(got.Deliveries) == 0 {
			return ledger.Delivery{}, false
		}
		return got.Deliveries[0], true
	})
	if !second.Uncertain || !second.Lapsed {
		t.Errorf("after the lease the other one got %+v, want it in doubt", second)
	}
	for range operations {
		select {
		case a := <-answers:
			if a.err == nil {
				t.Errorf("%s succeeded over a network that is cut", a.what)
			}
			t.Logf("%s gave up after %s: %v", a.what, a.took.Round(time.Millisecond), a.err)
		case <-time.After(time.Until(began.Add(40 * time.Second))):
			t.Fatal("an operation hangs 40 s after the network was cut")
		}
	}
	wire.Heal()
	got := await(t, func() (error, bool) {
		_, err := far.Settle(t.Context(), settlement)
		return err, err == nil || errors.Is(err, ledger.ErrFenced)
	})
	if !errors.Is(got, ledger.ErrFenced) {
		t.Errorf("the settle of a lease that has gone to the other one: %v, want ErrFenced", got)
	}
	settlement.Fence = second.Fence
	if _, err := near.Settle(t.Context(), settlement); err != nil {
		t.Error(err)
	}
	accept(t, far, hook("c3", "help"))
	sound(t, far)
	audited(t, at)
}
