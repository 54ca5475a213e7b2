// This file keeps the workers of a runner: goroutines that make attempts.

package delivery

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

// job is a leased delivery for a worker. Its context ends when nothing new may be started.
type job struct {
	ctx      context.Context
	plan     *plan
	delivery *ledger.Delivery
	probe    bool
}

// idleWorker is how long a worker waits for another job.
const idleWorker = time.Second

// workers are the goroutines of a runner that wait for a job, each at a channel that has room for one. Who has worked last
// works next: a stack that has grown shrinks while its goroutine waits, and has to be copied when it grows again.
type workers struct {
	mu   sync.Mutex
	idle []chan job
}

// last takes out who has worked last; nil if nobody waits.
func (w *workers) last() chan job {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(w.idle)
	if n == 0 {
		return nil
	}
	jobs := w.idle[n-1]
	w.idle = w.idle[:n-1]
	return jobs
}

// wait puts in one that will look for a job.
func (w *workers) wait(jobs chan job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.idle = append(w.idle, jobs)
}

// leave takes one out that waits no longer; false if it has been taken out, and gets a job.
func (w *workers) leave(jobs chan job) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.Index(w.idle, jobs)
	if i < 0 {
		return false
	}
	w.idle = slices.Delete(w.idle, i, i+1)
	return true
}

// employ gives a job to a worker that waits for one or to a new one.
func (r *runner) employ(j job) {
	if jobs := r.workers.last(); jobs != nil {
		jobs <- j
		return
	}
	go func() {
		var ballast [3 << 10]byte
		keepStack(&ballast)
		jobs := make(chan job, 1)
		timer := time.NewTimer(idleWorker)
		defer timer.Stop()
		for {
			f := r.work(j.ctx, j.plan, j.delivery, j.probe)
			j = job{}
			r.finished <- f
			r.workers.wait(jobs) // not before, for a job that is given to it must begin at once
			timer.Reset(idleWorker)
			select {
			case j = <-jobs:
				continue
			case <-timer.C:
			case <-r.pushes.Done():
			}
			if r.workers.leave(jobs) {
				return
			}
			j = <-jobs
		}
	}()
}

// keepStack keeps a variable on the stack of who calls it. The stack of a goroutine that waits is halved by each collection
// if less than a quarter of it is used, and copied when it grows again with the next attempt, which needs 8 to 16 kB. With
// this a worker that waits always uses a quarter of 16 kB: 3 kB, 800 bytes that the runtime counts as used, and its frames.
//
//go:noinline
func keepStack(*[3 << 10]byte) {}
