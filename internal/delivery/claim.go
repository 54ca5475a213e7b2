// This file claims: what a runner asks the ledger for, and what it does with the answer.

package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

// claimed is the answer to a claim of up to want deliveries, asked for under plan.
type claimed struct {
	plan  *plan
	want  int
	probe bool
	got   ledger.Claimed
	err   error
}

// claim leases up to want deliveries; took starts an attempt on each. It does not wait for the ledger, so that workers who
// end meanwhile get their ruling and are free for the next claim; the ledger may wait with its answer until something falls
// due. A probe waits: what it does not find says something.
func (r *runner) claim(ctx context.Context, want int, now time.Time) {
	c := claimed{plan: r.plan, want: want, probe: r.state.Pause.Active()}
	asked := ledger.Claim{Target: r.name, Limit: want, Lease: r.plan.target.lease(), Config: r.plan.renderer.today.Hash(), Wait: r.watch()}
	if c.probe {
		asked.Wait = 0
	}
	waiting, withdraw := context.WithCancel(context.WithoutCancel(ctx)) // a claim that has begun goes to its end
	r.mu.Lock()
	replaced := r.next != nil
	r.callBack = withdraw
	r.mu.Unlock()
	if replaced { // by a plan that is adopted first
		withdraw()
		r.giveBack(ctx, want)
		return
	}
	ask := func() {
		defer withdraw()
		c.got, c.err = r.engine.options.Ledger.Claim(waiting, asked)
		if errors.Is(c.err, waiting.Err()) {
			c.err = nil // it was called back before it began
		}
	}
	r.claiming, r.withdraw = c.plan, withdraw
	r.lookAt = now.Add(r.watch()) // unless something happens before the answer
	if c.probe {
		ask()
		r.took(ctx, c)
		return
	}
	go func() {
		ask()
		r.claimed <- c
	}()
}

// took takes the answer to a claim.
func (r *runner) took(ctx context.Context, c claimed) {
	got, want, now := c.got, c.want, time.Now()
	r.claiming, r.withdraw = nil, nil
	r.giveBack(ctx, want-len(got.Deliveries))
	if !r.ledgerAnswered(c.err, now) {
		r.lookAt = time.Time{}
		return
	}
	for _, d := range got.Crashed {
		r.buried(&d)
	}
	if next := r.nextLook(got, want, now); next.Before(r.lookAt) {
		r.lookAt = next
	}
	if r.limiter != nil {
		r.limiter.AllowN(now, len(got.Deliveries))
	}
	r.measure(func(m *meter) { m.use(r.rate, len(got.Deliveries), now) })
	if c.probe && len(got.Deliveries) == 0 && r.probing.said == checkPassed {
		r.resume(now, "its check passes")
		return
	}
	if r.state.Pause.Active() && !c.probe { // since then; what was claimed goes back without an attempt
		stopped, stop := context.WithCancel(ctx)
		stop()
		ctx = stopped
	}
	for i := range got.Deliveries {
		r.inFlight++
		r.probing.flying = r.probing.flying || c.probe
		r.employ(job{ctx, c.plan, &got.Deliveries[i], c.probe})
	}
}

// nextLook says when to claim again after an answer: at once if there may be more or the ledger waits until there is, else
// when something falls due.
func (r *runner) nextLook(got ledger.Claimed, want int, now time.Time) time.Time {
	if got.Waits || len(got.Deliveries)+len(got.Crashed) >= want {
		return time.Time{}
	}
	next := now.Add(r.watch())
	if !got.Next.IsZero() && got.Next.Before(next) {
		next = got.Next
	}
	if soonest := now.Add(claimGap); next.Before(soonest) {
		next = soonest
	}
	return next
}

// counted counts a delivery that came to its end.
func (r *runner) counted(d *ledger.Delivery, became ledger.State) {
	m := r.engine.options.Metrics
	if became == ledger.Dead && d.Imported {
		m.ImportedDead(r.name) // first: what reads both never finds a death that somebody is called for
	}
	m.Delivery(r.name, became.String())
}

// buried tells of a delivery that the ledger has made dead.
func (r *runner) buried(d *ledger.Delivery) {
	r.engine.options.Metrics.Attempt(r.name, kindCrash, 0)
	r.counted(d, ledger.Dead)
	r.log.Error("delivery.attempt", "conversation", d.ID, "revision", d.Revision, "attempt", d.Attempt, "kind", kindCrash,
		"outcome", ledger.Dead.String(),
		"reason", fmt.Sprintf("claimed %d times without an outcome", ledger.CrashLimit),
		"hint", "this record may be what ends the process; look at the log before each start, then replay it")
}
