// This file is what a runner does when its ledger is shared: engines of other processes deliver to the same target, so
// its rate is taken out of one bucket, and its pause may begin or end elsewhere.

package delivery

import (
	"context"
	"time"

	"golang.org/x/time/rate"

	"github.com/afterchat/afterchat/internal/ledger"
)

// Shared is what a Ledger offers, too, when engines of other processes deliver from it.
type Shared interface {
	// Take takes up to n attempts out of what the target's rate allows all engines now, and says how long to wait if
	// that is none. With n below 0 it gives back what was taken and not used.
	Take(ctx context.Context, target string, r ledger.Rate, n int) (granted int, wait time.Duration, err error)
}

// stateInterval is how often the state of a target is read from a shared ledger, and its deliveries are looked for: a
// replica that dies before it tells the others of a delivery delays it by no more.
const stateInterval = 5 * time.Second

// share returns the shared side of a ledger, nil if it has none.
func share(l Ledger) Shared {
	s, _ := l.(Shared)
	return s
}

// limiterOf makes the token bucket of a target: its own, unless the ledger has it.
func limiterOf(l Ledger, r Rate) *rate.Limiter {
	if share(l) != nil {
		return nil
	}
	return newLimiter(r)
}

// watch is how often the ledger is asked for due deliveries when nobody has said that there are any.
func (r *runner) watch() time.Duration {
	if r.shared != nil {
		return stateInterval
	}
	return watchInterval
}

// bounded returns when to look again: at next, or earlier if the state has to be read before.
func (r *runner) bounded(next time.Time) time.Time {
	if r.shared == nil {
		return next
	}
	if read := r.stateAt.Add(stateInterval); next.IsZero() || read.Before(next) {
		return read
	}
	return next
}

// follow takes over what other replicas have made of the target's state. What this one has decided is saved before.
func (r *runner) follow(ctx context.Context, now time.Time) {
	r.stateAt = now
	state, err := r.engine.options.Ledger.TargetState(ctx, r.name)
	if ctx.Err() != nil || !r.ledgerAnswered(err, now) {
		return
	}
	before := r.state.Pause
	r.state = state
	switch {
	case before.Active() && !state.Pause.Active():
		r.waits(now)
		r.probing, r.lookAt = probing{flying: r.probing.flying}, time.Time{}
		r.log.Info("delivery.resumed", "reason", "another replica says so", "paused", now.Sub(before.Since).Round(time.Second))
	case !before.Active() && state.Pause.Active():
		r.probing = probing{}
		r.log.Warn("delivery.paused", "reason", state.Pause.Reason, "hint", "another replica says so", "next", state.Pause.Until)
	}
	if settingsChanged(r.state, r.plan.target.Account) {
		r.resume(now, "its settings changed")
	}
}

// take returns how many of want attempts the shared rate grants; if none, when to ask again.
func (r *runner) take(ctx context.Context, want int, now time.Time) (int, time.Time) {
	limit, limited := r.sharedRate()
	if !limited {
		return want, time.Time{}
	}
	granted, wait, err := r.shared.Take(context.WithoutCancel(ctx), r.name, limit, want)
	switch {
	case !r.ledgerAnswered(err, now):
		return 0, r.ledgerAt
	case granted == 0:
		r.tokenAt = now.Add(max(wait, time.Millisecond))
		r.waitsForRate(r.tokenAt)
		return 0, r.tokenAt
	}
	return granted, time.Time{}
}

// giveBack returns what was taken for attempts that were not claimed. If that fails, the target gets a little less.
func (r *runner) giveBack(ctx context.Context, n int) {
	if limit, limited := r.sharedRate(); limited && n > 0 {
		if _, _, err := r.shared.Take(context.WithoutCancel(ctx), r.name, limit, -n); err != nil {
			r.log.Debug("delivery.ledger", "error", err)
		}
	}
}

// sharedRate returns the target's rate for the bucket in the ledger, and whether there is one.
func (r *runner) sharedRate() (ledger.Rate, bool) {
	t := r.plan.target.Rate
	if r.shared == nil || t.Count <= 0 || t.Per <= 0 {
		return ledger.Rate{}, false
	}
	return ledger.Rate{PerSecond: float64(t.Count) / t.Per.Seconds(), Burst: burst(t)}, true
}
