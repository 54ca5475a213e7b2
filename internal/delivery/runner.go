// This file runs one target: it claims what is due as workers, rate and pauses allow. One goroutine owns all of a
// runner's state; workers report to it and wait for its ruling.

package delivery

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/trace"
)

// watchInterval is how often the ledger is asked for due deliveries when nobody has said that there are any. It is a
// safety net: a lost call of Wake, a clock that was set.
const watchInterval = time.Minute

// claimGap is the least time between two claims that found less than they asked for, unless Wake came between.
const claimGap = 10 * time.Millisecond

// plan is a target with the mapping that goes with it. It never changes.
type plan struct {
	target   Target
	renderer *renderer
}

// report is a worker's request for a ruling.
type report struct {
	plan     *plan // that the attempt was made under
	delivery *ledger.Delivery
	probe    bool // it was the probe of a paused target
	result   result
	span     trace.Attempt
	ruled    chan outcome
}

// finished tells that a worker is free again.
type finished struct {
	probe bool
	look  time.Time // when its delivery falls due again; zero: never
}

// probing is how far the probe of a paused target is.
type probing struct {
	open   bool     // what Check had to say is said: one delivery may try
	said   evidence // by Check
	flying bool     // that delivery is on its way
}

// checkup is the answer of a Check.
type checkup struct {
	account string // that was checked
	err     error
}

// runner is the state of one target, and the goroutine that owns it.
type runner struct {
	name   string
	engine *Engine
	log    *slog.Logger
	pushes context.Context    // ends the attempts in flight
	cancel context.CancelFunc // ends the claims

	wake     chan struct{}
	reports  chan *report
	finished chan finished
	checked  chan checkup
	commands chan command
	claimed  chan claimed
	workers  workers

	// The following belong to the goroutine of run.
	plan      *plan
	limiter   *rate.Limiter // nil: there is no limit, or shared has it
	shared    Shared        // nil: this is the only engine
	stateAt   time.Time     // when state was read
	tokenAt   time.Time     // the shared rate allows nothing before
	state     ledger.TargetState
	unsaved   bool // state is not in the ledger yet
	suspicion suspicion
	probing   probing
	checking  bool
	waiting   []*report // denials that wait for what Check says
	claiming  *plan     // of the claim that is on its way; its answer comes to took; nil: there is none
	withdraw  func()    // ends the waiting of that claim
	inFlight  int       // attempts that are not settled yet
	unsettled int       // of these, attempts that have ended and been ruled on: their workers are free
	lookAt    time.Time // when to ask the ledger next
	hold      time.Time // the target asked for no more until then
	ledgerAt  time.Time // the ledger failed; when to try it again
	failures  int       // of the ledger in a row

	mu       sync.Mutex
	next     *plan        // replaces plan; nil: nothing does
	callBack func()       // ends the waiting of the newest claim; nil: there was none
	seen     TargetStatus // what Status shows
	meter    meter
	rate     Rate // that meter counts by
}

func newRunner(e *Engine, name string, p *plan) *runner {
	return &runner{
		name: name, engine: e, log: e.options.Logger.With("target", name),
		wake: make(chan struct{}, 1), reports: make(chan *report), finished: make(chan finished), checked: make(chan checkup, 1),
		commands: make(chan command), claimed: make(chan claimed, 1),
		plan: p, limiter: limiterOf(e.options.Ledger, p.target.Rate), shared: share(e.options.Ledger), suspicion: make(suspicion), seen: TargetStatus{Name: name},
	}
}

// poke makes the runner look for work.
func (r *runner) poke() {
	select {
	case r.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// replace gives the runner another plan, and calls back the claim that waits: what falls due from now on is delivered by it.
func (r *runner) replace(p *plan) {
	r.mu.Lock()
	r.next = p
	if r.callBack != nil {
		r.callBack()
	}
	r.mu.Unlock()
	r.poke()
}

// retire ends the runner after what is in flight.
func (r *runner) retire() {
	if r.cancel != nil {
		r.cancel()
	}
}

func (r *runner) status() TargetStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen, now := r.seen, time.Now()
	seen.WaitsUntil, seen.Attempts, seen.Rate = r.meter.bound, r.meter.durations(now), r.meter.rate(r.rate, now)
	return seen
}

// measure lets the meter take something in.
func (r *runner) measure(take func(m *meter)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rate = r.plan.target.Rate
	take(&r.meter)
}

// waits notes that deliveries wait until then for something that is not the engine's to change.
func (r *runner) waits(until time.Time) { r.measure(func(m *meter) { m.waits(until) }) }

// waitsForRate notes that deliveries wait until then for the target's rate.
func (r *runner) waitsForRate(until time.Time) { r.measure(func(m *meter) { m.waitsForRate(until) }) }

// run delivers until ctx ends, and returns when nothing is in flight any more.
func (r *runner) run(ctx context.Context) {
	r.adopt(time.Now())
	if !r.load(ctx) {
		return
	}
	r.waits(time.Now()) // nobody could try before
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		next := r.advance(ctx, time.Now())
		r.publish()
		if next.IsZero() {
			timer.Stop()
		} else {
			timer.Reset(time.Until(next))
		}
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-r.wake:
			r.woken()
		case a := <-r.reports:
			r.judge(ctx, a)
		case f := <-r.finished:
			r.free(f)
		case c := <-r.checked:
			r.learn(c)
		case c := <-r.commands:
			r.obey(c)
		case c := <-r.claimed:
			r.took(ctx, c)
		}
		r.catchUp(ctx)
	}
	r.drain(ctx)
}

// catchUp takes in all that has happened meanwhile, so that one claim asks for every worker that is free: a claim waits
// for a commit, and one claim per worker would be one delivery per commit.
func (r *runner) catchUp(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-r.wake:
			r.woken()
		case a := <-r.reports:
			r.judge(ctx, a)
		case f := <-r.finished:
			r.free(f)
		case c := <-r.checked:
			r.learn(c)
		case c := <-r.claimed:
			r.took(ctx, c)
		default:
			return
		}
	}
}

// woken looks for a new plan and for work.
func (r *runner) woken() {
	r.adopt(time.Now())
	r.lookAt = time.Time{}
}

// drain serves the workers that are still at it.
func (r *runner) drain(ctx context.Context) {
	for _, a := range r.waiting {
		r.rule(a, denialRetryNow)
	}
	r.waiting = nil
	if r.claiming != nil {
		r.withdraw()
	}
	for r.inFlight > 0 || r.claiming != nil {
		select {
		case c := <-r.claimed:
			r.took(ctx, c)
		case a := <-r.reports:
			r.judge(ctx, a)
		case f := <-r.finished:
			r.free(f)
		}
	}
	if r.unsaved {
		r.save(time.Now())
	}
	r.publish()
}

// load reads the target's state, for as long as that takes; false when ctx ended before.
func (r *runner) load(ctx context.Context) bool {
	for n := 1; ; n++ {
		state, err := r.engine.options.Ledger.TargetState(ctx, r.name)
		if err == nil {
			r.state, r.stateAt = state, time.Now()
			break
		}
		if ctx.Err() != nil {
			return false
		}
		r.log.Warn("delivery.ledger", "error", err, "next", ledgerWait(n))
		select {
		case <-ctx.Done():
			return false
		case <-time.After(ledgerWait(n)):
		}
	}
	if settingsChanged(r.state, r.plan.target.Account) {
		r.resume(time.Now(), "its settings changed")
	}
	return true
}

// adopt takes over a plan that a reload brought.
func (r *runner) adopt(now time.Time) {
	r.mu.Lock()
	p := r.next
	r.next = nil
	r.mu.Unlock()
	if p == nil {
		return
	}
	old := r.plan.target
	r.plan = p
	if p.target.Rate != old.Rate {
		r.limiter, r.tokenAt = limiterOf(r.engine.options.Ledger, p.target.Rate), time.Time{}
	}
	if p.target.Account == old.Account {
		return
	}
	r.hold = time.Time{}
	clear(r.suspicion)
	r.probing = probing{}
	if settingsChanged(r.state, p.target.Account) {
		r.resume(now, "its settings changed")
	}
}

// advance does one thing that can be done now and returns when to look again; zero: when something happens.
func (r *runner) advance(ctx context.Context, now time.Time) time.Time {
	if r.claiming != nil && (r.claiming != r.plan || r.state.Pause.Active() || now.Before(r.hold)) {
		r.withdraw() // it waits for something that must not be sent now, or not like this
	}
	if now.Before(r.ledgerAt) {
		return r.ledgerAt
	}
	if r.unsaved {
		r.save(now)
		return now
	}
	if r.shared != nil && !now.Before(r.stateAt.Add(stateInterval)) {
		r.follow(ctx, now)
		return now
	}
	want, next := r.wanted(now)
	if want > 0 && r.shared != nil {
		want, next = r.take(ctx, want, now)
	}
	if want == 0 {
		return r.bounded(next)
	}
	r.claim(ctx, want, now)
	return now
}

// wanted returns how many deliveries may be claimed now, and if none, when to ask again.
func (r *runner) wanted(now time.Time) (int, time.Time) {
	// A settle that waits for its commit keeps no worker waiting. While the ledger is slow, as many again may wait for it.
	workers := r.plan.target.Workers
	want := min(workers-(r.inFlight-r.unsettled), 2*workers-r.inFlight)
	if r.claiming != nil {
		return 0, time.Time{}
	}
	if r.state.Pause.Active() {
		if ready, next := r.mayProbe(now); !ready {
			return 0, next
		}
		want = min(want, 1)
	}
	switch {
	case want <= 0:
		return 0, time.Time{}
	case now.Before(r.hold):
		r.waits(r.hold)
		return 0, r.hold
	case now.Before(r.lookAt):
		return 0, r.lookAt
	case now.Before(r.tokenAt):
		return 0, r.tokenAt
	}
	granted, next := allowed(r.limiter, want, now)
	if granted == 0 {
		r.waitsForRate(next)
	}
	return granted, next
}

// ledgerAnswered notes whether the ledger works, and if not, when to try again.
func (r *runner) ledgerAnswered(err error, now time.Time) bool {
	if err == nil {
		r.failures = 0
		return true
	}
	r.failures++
	r.ledgerAt = now.Add(ledgerWait(r.failures))
	r.log.Warn("delivery.ledger", "error", err, "next", ledgerWait(r.failures))
	return false
}

// save writes the target's state to the ledger.
func (r *runner) save(now time.Time) {
	err := r.engine.options.Ledger.SaveTargetState(context.WithoutCancel(r.pushes), r.name, r.state)
	if r.ledgerAnswered(err, now) {
		r.unsaved = false
	}
}

// free notes that a worker is free.
func (r *runner) free(f finished) {
	r.inFlight--
	r.unsettled--
	if f.probe {
		r.probing.flying = false
	}
	if !f.look.IsZero() && f.look.Before(r.lookAt) {
		r.lookAt = f.look
	}
}

// note keeps what Status shows of an attempt.
func (r *runner) note(res result, o outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case res.err == nil:
		r.seen.LastSuccess = res.ended
	case o.kind != kindShutdown:
		r.seen.LastFailure, r.seen.LastError = res.ended, join(o.reason, o.hint)
	}
	if o.tried {
		r.meter.attempt(res.ended, res.ended.Sub(res.started))
	}
}

// publish shows the state of the target to Status.
func (r *runner) publish() {
	r.mu.Lock()
	defer r.mu.Unlock()
	pause := r.state.Pause
	r.rate = r.plan.target.Rate
	r.seen.Paused, r.seen.Since, r.seen.Reason, r.seen.InFlight = pause.Active(), pause.Since, pause.Reason, r.inFlight
	r.seen.NextProbe, r.seen.HeldUntil = pause.Until, time.Time{}
	r.seen.ByOperator = pause.ByOperator
	if pause.ByOperator {
		r.seen.NextProbe = time.Time{}
	}
	if time.Now().Before(r.hold) {
		r.seen.HeldUntil = r.hold
	}
}
