// This file measures outages of a target: what was acknowledged meanwhile is at the target once, whatever dies.

package cmd_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// outageRate is hooks per second.
const outageRate = 200

// outage is a gateway whose target goes away and comes back under a steady load.
type outage struct {
	gateway *measured
	target  *sink

	acknowledged sync.Map  // external ids
	killed, back time.Time // zero: not
	count        faultCount
	took         time.Duration // until all was there, from when the target was back

	mu      sync.Mutex
	sent    int
	refused []refusal
}

// refusal is a hook that was not acknowledged.
type refusal struct {
	from, to time.Time
	why      string
}

// outages runs two at once, for it counts and measures no times: one gateway lives, the other is killed in the middle.
func (s *bench) outages() {
	lives, dies := s.newOutage(), s.newOutage()
	var over atomic.Bool
	var load sync.WaitGroup
	load.Go(func() { lives.load(s, &over) })
	load.Go(func() { dies.load(s, &over) })
	pass(time.Second)
	lives.target.down.Store(true)
	dies.target.down.Store(true)
	pass(s.pace.outage / 2)
	dies.kill(s)
	pass(s.pace.outage / 2)
	lives.target.down.Store(false)
	dies.target.down.Store(false)
	up := time.Now()
	pass(time.Second)
	over.Store(true)
	load.Wait()
	var rest sync.WaitGroup
	rest.Go(func() { lives.arrive(up) })
	rest.Go(func() { dies.arrive(up) })
	s.retries() // needs no gateway, while both wait for their retries
	rest.Wait()
	name := fmt.Sprintf("target down for %s at %d/s, retries after 1 to 5 s", s.pace.outage, outageRate)
	lives.row(s, name)
	dies.row(s, name+", kill -9 in the middle")
}

func (s *bench) newOutage() *outage {
	target := newSink(s)
	return &outage{target: target, gateway: newMeasured(s, "  help: {type: http, url: '"+target.address+"', once: key, retry: {min: 1s, max: 5s}}\n").run(s)}
}

// kill kills the gateway and starts it again.
func (o *outage) kill(s *bench) {
	o.killed = time.Now()
	o.gateway.kill()
	o.gateway.run(s)
	o.back = time.Now()
}

// load sends hooks at the rate, each over a connection of its own, whatever the answers are, until over.
func (o *outage) load(s *bench, over *atomic.Bool) {
	h, tickets := newHooks(4000), make(chan int64, outageRate*60)
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			for n := range tickets {
				o.send(s, h, n)
			}
		})
	}
	ticker := time.NewTicker(time.Second / outageRate)
	defer ticker.Stop()
	for !over.Load() {
		tickets <- s.next.Add(1)
		<-ticker.C
	}
	close(tickets)
	all.Wait()
}

// send sends one hook and notes what became of it.
func (o *outage) send(s *bench, h *hooks, n int64) {
	from, status := time.Now(), 0
	c, err := dial(s.Context(), o.gateway.hooks)
	if err == nil {
		status, err = c.send(h, n)
		_ = c.Close()
	}
	if err == nil && status == http.StatusOK {
		o.acknowledged.Store(int(firstChat+n), true)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sent++; err != nil || status != http.StatusOK {
		o.refused = append(o.refused, refusal{from, time.Now(), fmt.Sprintf("%d %v", status, err)})
	}
}

// untimely returns the refusals that no death explains.
func (o *outage) untimely() (list []string) {
	for _, r := range o.refused {
		if o.killed.IsZero() || r.to.Before(o.killed) || r.from.After(o.back) {
			list = append(list, r.why)
		}
	}
	return list
}

// arrive waits until all is delivered that was acknowledged. up is when the target came back.
func (o *outage) arrive(up time.Time) {
	o.count = o.target.count(&o.acknowledged, 3*time.Minute)
	o.took = time.Since(up)
}

// row adds the line.
func (o *outage) row(s *bench, name string) {
	o.gateway.drained(s, time.Minute)
	o.gateway.stop()
	c := o.count
	untimely := o.untimely()
	for _, why := range untimely[:min(3, len(untimely))] {
		s.Logf("%s: refused: %s", name, why)
	}
	figure := fmt.Sprintf("%d sent, %d acknowledged", o.sent, c.acknowledged)
	if !o.killed.IsZero() {
		figure += fmt.Sprintf(", %d refused while it was down for %s", len(o.refused)-len(untimely), ms(o.back.Sub(o.killed)))
	}
	figure += fmt.Sprintf(", %d refused otherwise, %d lost, %d doubled, all there %.0f s after it", len(untimely), c.lost, c.doubled, o.took.Seconds())
	ok := len(untimely) == 0 && c.lost == 0 && c.doubled == 0
	s.table.add(name, figure, "", "0 refused otherwise, lost, doubled", ok)
	if !ok {
		s.Errorf("%s: %s", name, figure)
	}
}

// drainTest has an hour's outage at a configured rate in simulated time, and logs its figures.
const drainTest = "TestDrainAfterAnOutage"

var drainFigures = regexp.MustCompile(`peak (\d+) a minute, drained at (\d+) a minute of (\d+)`)

// retries measures in simulated time, by a test of the engine.
func (s *bench) retries() {
	const name, goal = "target down for an hour, rate 30 a minute, simulated: ", "peak ≤ 1.2 × rate, drained at ≥ 0.9 × rate"
	out, err := exec.CommandContext(s.Context(), "go", "test", "-count=1", "-v", "-run", "^"+drainTest+"$", "../internal/delivery").CombinedOutput()
	found := drainFigures.FindSubmatch(out)
	var exit *exec.ExitError
	switch {
	case errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist):
		s.table.add(name+drainTest, "skipped: it needs Go", "", "", true)
	case found == nil || err != nil && !errors.As(err, &exit):
		s.Errorf("%s: %v\n%s", drainTest, err, strings.TrimSpace(string(out)))
	default:
		peak, drained, limit := number(found[1]), number(found[2]), number(found[3])
		s.table.add(name+drainTest, fmt.Sprintf("peak %d a minute, drained at %d a minute", peak, drained), "", goal,
			err == nil && peak*10 <= limit*12 && drained*10 >= limit*9)
	}
}
