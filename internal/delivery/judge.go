// This file rules on what attempts come to, for the whole target: holds, denials, pauses and their probes. It runs in the
// goroutine of the runner; the decisions themselves are in decide.go and pause.go.

package delivery

import (
	"context"
	"time"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/ledger"
)

// judge rules on what a worker reports. A denial may have to wait for what Check says.
func (r *runner) judge(ctx context.Context, a *report) {
	denied := describe(a.result).kind == connectors.Denied.String()
	current := a.plan.target.Account == r.plan.target.Account
	switch {
	case !denied && a.probe && current && r.state.Pause.Active():
		r.probed(a)
	case !denied:
		r.rule(a, denialRetry)
	case !current || ctx.Err() != nil:
		r.rule(a, denialRetryNow) // it says nothing of the settings of today
	case r.state.Pause.Active() && a.probe:
		r.change(probedInVain(r.state, oneLine(a.result.err.Error()), a.result.ended))
		r.probing = probing{flying: true}
		r.rule(a, denialProbe)
	case r.state.Pause.Active():
		r.rule(a, denialPauses)
	case r.check() || r.checking:
		r.waiting = append(r.waiting, a)
	default:
		r.convict(a, checkSilent)
	}
}

// convict rules on a denial, knowing what Check said.
func (r *runner) convict(a *report, said evidence) {
	d, now := a.delivery, time.Now()
	verdict := r.suspicion.deny(d.ID, d.Revision, now, said)
	if verdict == denialPauses {
		reason := oneLine(a.result.err.Error())
		r.change(paused(r.state, r.plan.target.Account, reason, now))
		r.probing = probing{}
		r.log.Error("delivery.paused", "reason", reason, "hint", describe(a.result).hint, "next", r.state.Pause.Until)
	}
	r.rule(a, verdict)
}

// probed rules on a probe that was not denied.
func (r *runner) probed(a *report) {
	switch kind := describe(a.result).kind; {
	case kind == kindOK:
		r.resume(a.result.ended, "a delivery passed")
	case kind == connectors.Throttled.String() || kind == connectors.Rejected.String():
		r.resume(a.result.ended, "it answers records again")
	case kind == connectors.Temporary.String() || kind == kindPanic:
		if r.probing.said == checkPassed {
			r.resume(a.result.ended, "its check passes")
			break
		}
		r.change(probedInVain(r.state, "", a.result.ended))
		r.probing = probing{flying: true}
	}
	r.rule(a, denialRetry)
}

// rule decides, draws the consequences for the whole target, and lets the worker settle.
func (r *runner) rule(a *report, verdict denial) {
	now := time.Now()
	t := a.plan.target
	o := decide(*a.delivery, a.result, circumstances{
		policy: t.Policy, once: t.Once, patience: t.Timeout, now: now, paused: pausedFor(r.state, now), denial: verdict,
		probe: r.state.Pause.Until, random: r.engine.options.Jitter(),
	})
	switch {
	case o.state == ledger.Delivered:
		r.suspicion.pass(a.delivery.ID, a.result.started)
	case o.state == ledger.Dead && verdict != denialRejects:
		delete(r.suspicion, a.delivery.ID)
	}
	if o.hold.After(r.hold) && t.Account == r.plan.target.Account {
		r.hold = o.hold
	}
	r.note(a.result, o)
	r.unsettled++
	a.ruled <- o
}

// check asks the connector whether the target works, if it can tell; the answer comes to learn. It returns false if
// the connector cannot.
func (r *runner) check() bool {
	checker, ok := r.plan.target.Connector.(connectors.Checker)
	if !ok {
		return false
	}
	if r.checking {
		return true
	}
	r.checking = true
	timeout, account := r.plan.target.Timeout, r.plan.target.Account
	r.engine.running.Go(func() {
		ctx, cancel := context.WithTimeout(r.pushes, timeout)
		defer cancel()
		r.checked <- checkup{account, safeCheck(ctx, checker)}
	})
	return true
}

func safeCheck(ctx context.Context, c connectors.Checker) (err error) {
	defer recovered(&err, false)
	return c.Check(ctx)
}

// learn takes the answer of a Check, for the denials that wait for it and for a probe.
func (r *runner) learn(c checkup) {
	r.checking = false
	waiting := r.waiting
	r.waiting = nil
	said := c.says()
	for _, a := range waiting {
		switch {
		case c.account != r.plan.target.Account:
			r.rule(a, denialRetryNow)
		case r.state.Pause.Active():
			r.rule(a, denialPauses)
		default:
			r.convict(a, said)
		}
	}
	switch {
	case len(waiting) > 0 || !r.state.Pause.Active() || c.account != r.plan.target.Account:
	case said == checkDenied:
		r.change(probedInVain(r.state, oneLine(c.err.Error()), time.Now()))
	default:
		r.openProbe(said)
	}
}

// says reads the answer: only an error of kind Denied confirms that the target takes nothing.
func (c checkup) says() evidence {
	switch e := connectors.Classify(c.err); {
	case e == nil:
		return checkPassed
	case e.Kind == connectors.Denied:
		return checkDenied
	}
	return checkSilent
}

// resume ends a pause.
func (r *runner) resume(now time.Time, why string) {
	since := r.state.Pause.Since
	r.change(resumed(r.state, now))
	r.waits(now)
	r.probing = probing{}
	r.lookAt = time.Time{}
	r.log.Info("delivery.resumed", "reason", why, "paused", now.Sub(since).Round(time.Second))
}

// change takes over a new state of the target; it is saved before anything else is claimed.
func (r *runner) change(s ledger.TargetState) {
	r.state, r.unsaved = s, true
}

// mayProbe tells whether a paused target may get one delivery now, and if not, when to ask again.
func (r *runner) mayProbe(now time.Time) (bool, time.Time) {
	switch pause := r.state.Pause; {
	case pause.ByOperator || r.probing.flying || r.checking:
		return false, time.Time{}
	case now.Before(pause.Until):
		return false, pause.Until
	case r.probing.open:
		return true, time.Time{}
	}
	if r.check() {
		return false, time.Time{}
	}
	r.openProbe(checkSilent)
	return true, time.Time{}
}

func (r *runner) openProbe(said evidence) {
	r.probing = probing{open: true, said: said}
	r.lookAt = time.Time{}
}
