// This file lets everything happen at once: hooks, repeats and revisions of the same conversations, claims, settles,
// replays, cancels, drops and retention, from many goroutines and, where several processes share a ledger, from several
// handles. What comes of it is held against rules that no order of events breaks.

package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

const (
	crowdTalks    = 10
	crowdEditions = 8 // of each conversation at most
	crowdHooks    = 600
	crowdFor      = 5 * time.Second // it ends earlier, when all hooks are in
)

var crowdTargets = []string{"help", "crm"}

func runAtOnce(t *testing.T, s Suite) {
	t.Run("one handle", func(t *testing.T) {
		t.Parallel()
		atOnce(newDesk(t, s, Options{Retention: ledger.Retention{Delivered: 30 * day, Dead: 90 * day}}), 1)
	})
	if !s.Shared {
		return
	}
	t.Run("two handles", func(t *testing.T) {
		t.Parallel()
		atOnce(newDesk(t, s, Options{Retention: ledger.Retention{Delivered: 30 * day, Dead: 90 * day}}), 2)
	})
}

// crowd is what all goroutines have seen.
type crowd struct {
	*desk
	handles []Engine
	ended   atomic.Bool

	mu        sync.Mutex
	revisions map[string][]int // by conversation: those that hooks became
	leased    map[string]bool  // by conversation and target
	held      map[string]int   // the revision that was delivered last
	doubt     map[string]bool
	delivered map[string]int64 // by target: successes
	dropped   map[string]int64
	failures  []error
}

func atOnce(d *desk, handles int) {
	c := &crowd{
		desk: d, handles: []Engine{d.engine}, revisions: map[string][]int{}, leased: map[string]bool{}, held: map[string]int{},
		doubt: map[string]bool{}, delivered: map[string]int64{}, dropped: map[string]int64{},
	}
	for len(c.handles) < handles {
		c.handles = append(c.handles, d.suite.Open(d, d.dir, d.opts))
	}
	var senders, others sync.WaitGroup
	for i := range 8 {
		senders.Go(func() { c.send(c.handles[i%handles], crowdHooks/8) })
	}
	for i := range 4 {
		others.Go(func() { c.until(func(r *rand.Rand) error { return c.work(c.handles[i%handles], r) }) })
		others.Go(func() { c.until(func(r *rand.Rand) error { return c.operate(c.handles[(i+1)%handles], r) }) })
	}
	for i := range handles {
		others.Go(func() { c.until(func(r *rand.Rand) error { return c.tidy(c.handles[i], r) }) })
	}
	senders.Wait()
	c.ended.Store(true)
	others.Wait()
	c.finish()
	for _, handle := range c.handles[1:] {
		d.must(handle.Close())
	}
	d.close()
}

// fail notes what broke a rule.
func (c *crowd) fail(err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failures = append(c.failures, err)
	c.ended.Store(true)
}

// until does something again and again while hooks come.
func (c *crowd) until(do func(*rand.Rand) error) {
	random := rand.New(rand.NewPCG(rand.Uint64(), 0))
	for !c.ended.Load() {
		c.fail(do(random))
	}
}

// send accepts hooks of a few conversations, so that most are repeats.
func (c *crowd) send(e Engine, n int) {
	random, begun := rand.New(rand.NewPCG(rand.Uint64(), 0)), time.Now()
	for i := 0; i < n && !c.ended.Load() && time.Since(begun) < crowdFor; i++ {
		// The first hooks come to all at the same time, the later ones to a conversation that has just been revised.
		id, edition := fmt.Sprint("c", random.IntN(crowdTalks)), 1+random.IntN(1+i*crowdEditions/n)
		a, err := e.Accept(c.Context(), to(hook(id, edition, fmt.Sprint("edition ", edition)), crowdTargets...))
		if err != nil {
			c.fail(err)
			return
		}
		if a.Result == ledger.Accepted || a.Result == ledger.Revised {
			c.mu.Lock()
			c.revisions[id] = append(c.revisions[id], a.Revision)
			c.mu.Unlock()
		} else if a.Result != ledger.Repeated {
			c.fail(fmt.Errorf("a hook of %s is %s", id, a.Result))
		}
	}
}

// work claims and settles.
func (c *crowd) work(e Engine, random *rand.Rand) error {
	got, err := e.Claim(c.Context(), ledger.Claim{Target: crowdTargets[random.IntN(2)], Limit: 3, Lease: lease, Config: "today"})
	if err != nil {
		return err
	}
	if len(got.Crashed) > 0 {
		return fmt.Errorf("%+v crashed", got.Crashed)
	}
	for _, d := range got.Deliveries {
		c.fail(c.taken(d))
	}
	for _, d := range got.Deliveries {
		outcomes := []func(*ledger.Settlement){delivered, dead, again, uncertain}
		if err := c.end(e, d, outcomes[random.IntN(len(outcomes))]); err != nil {
			return err
		}
	}
	return nil
}

// taken checks a lease: nobody else has it, and it knows what became of the ones before.
func (c *crowd) taken(d ledger.Delivery) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := d.ID + " " + d.Target
	switch {
	case c.leased[key]:
		return fmt.Errorf("%s was leased twice at once", key)
	case d.Revision <= c.held[key]:
		return fmt.Errorf("%s: revision %d was leased after revision %d was delivered", key, d.Revision, c.held[key])
	case d.Held != c.held[key] || d.Uncertain != c.doubt[key] || d.Lapsed:
		return fmt.Errorf("%s was leased as %+v; revision %d was delivered, in doubt: %v", key, d, c.held[key], c.doubt[key])
	case len(d.Conversation.Messages) != 1 || d.Conversation.Revision != d.Revision:
		return fmt.Errorf("%s was leased with another conversation: %+v", key, d.Conversation)
	}
	c.leased[key] = true
	return nil
}

// end settles a lease, which is ours until it is told.
func (c *crowd) end(e Engine, d ledger.Delivery, outcome func(*ledger.Settlement)) error {
	key, s := d.ID+" "+d.Target, settlement(d, outcome)
	c.mu.Lock()
	delete(c.leased, key)
	switch {
	case s.State == ledger.Delivered:
		c.held[key], c.doubt[key] = d.Revision, false
		c.delivered[d.Target]++
	case s.Uncertain:
		c.doubt[key] = true
	}
	c.mu.Unlock()
	_, err := e.Settle(c.Context(), s)
	return err
}

// operate does what operators do to some delivery, which may be in another state by then.
func (c *crowd) operate(e Engine, random *rand.Rand) error {
	id, target := fmt.Sprint("c", random.IntN(crowdTalks)), crowdTargets[random.IntN(2)]
	var err error
	switch random.IntN(8) {
	case 0:
		if err = e.Drop(c.Context(), id, target, "spam"); err == nil {
			c.mu.Lock()
			c.dropped[target]++
			c.mu.Unlock()
		}
	case 1:
		err = e.Cancel(c.Context(), id, target, "enough")
	case 2, 3:
		err = replayAll(c.Context(), e, target)
	default:
		err = e.Replay(c.Context(), id, target)
	}
	if errors.Is(err, ledger.ErrState) || errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	return err
}

// replayAll replays what is dead at a target, by a job.
func replayAll(ctx context.Context, e Engine, target string) error {
	j, err := e.CreateReplay(ctx, ledger.ReplayJob{Filter: ledger.Filter{Targets: []string{target}}})
	for err == nil && j.State == ledger.JobRunning {
		j, err = e.StepReplay(ctx, j.ID, 3)
	}
	return err
}

// tidy runs retention as of now, and of a month later, when all that is finished has lost its bodies.
func (c *crowd) tidy(e Engine, random *rand.Rand) error {
	if random.IntN(3) > 0 {
		return e.Retain(c.Context(), time.Now())
	}
	return e.Retain(c.Context(), in(31))
}

// finish delivers what is left and looks whether everything adds up.
func (c *crowd) finish() {
	c.Helper()
	c.must(errors.Join(c.failures...))
	var units int64
	for id, revisions := range c.revisions {
		slices.Sort(revisions)
		for i, revision := range revisions {
			if revision != i+1 {
				c.Fatalf("the hooks of %s became revisions %v", id, revisions)
			}
		}
		units += int64(len(revisions))
	}
	for i, target := range crowdTargets {
		e := c.handles[i%len(c.handles)]
		c.must(replayAll(c.Context(), e, target))
		for more := true; more; {
			got, err := e.Claim(c.Context(), ledger.Claim{Target: target, Limit: 10, Lease: lease})
			c.must(err)
			for _, d := range got.Deliveries {
				c.must(c.taken(d))
				c.must(c.end(e, d, delivered))
			}
			more = len(got.Deliveries) > 0
		}
		got := c.stats().Targets[target].Counts
		want := ledger.Counts{Accepted: units, Delivered: c.delivered[target], Skipped: c.dropped[target]}
		want.Superseded = want.Accepted - want.Delivered - want.Skipped
		c.equal("counters of "+target, got, want)
	}
	rows := all(c.desk, 50, func(p ledger.Page) (ledger.Listed[ledger.DeliveryRow], error) {
		return c.engine.Deliveries(c.Context(), ledger.Filter{}, p)
	})
	c.equal("deliveries", len(rows), len(c.revisions)*len(crowdTargets))
	for _, r := range rows {
		if newest := len(c.revisions[r.ID]); r.Revision != newest || r.State == ledger.Delivered && r.Held != newest || r.State != ledger.Delivered && r.State != ledger.Skipped {
			c.Fatalf("%s has %d revisions, its delivery is %+v", r.ID, newest, r)
		}
	}
}
