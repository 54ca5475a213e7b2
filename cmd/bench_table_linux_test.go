// This file makes the table of `make bench`: what the machine can do, what the gateway does, the share, and the goal.

package cmd_test

import (
	"fmt"
	"os"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"time"
)

// pace is how long each part of the table takes. Figures are medians of equal windows, and beside them stands how far the
// windows are apart. A share is of two windows that follow each other, and of those of the ceiling before and after
// it where there is a goal.
type pace struct {
	window  time.Duration // of a closed loop; an open one takes twice as long
	warm    time.Duration // before each, which counts for nothing
	windows int
	backlog int // pending deliveries
	// conversations are what the console shows.
	conversations int
	outage        time.Duration // of the target
}

// benchPace is chosen by AFTERCHAT_BENCH.
func benchPace() pace {
	if os.Getenv("AFTERCHAT_BENCH") == "full" {
		return pace{window: 2500 * time.Millisecond, warm: 750 * time.Millisecond, windows: 3, backlog: 1_000_000, conversations: 1_000_000, outage: 20 * time.Second}
	}
	return pace{window: 800 * time.Millisecond, warm: 200 * time.Millisecond, windows: 2, backlog: 500_000, conversations: 100_000, outage: 3 * time.Second}
}

func benchTarget(address string) string {
	return benchTargetOf(address, 64)
}

// keepingUp is as many workers as 64 connections need: a delivery waits for two commits and for its target, a hook for
// one commit.
const keepingUp = 128

func benchTargetOf(address string, workers int) string {
	return fmt.Sprintf("  help: {type: http, url: '%s/tickets', once: key, workers: %d}\n", address, workers)
}

// held makes every delivery wait.
const held = "routes:\n- {name: later, hold: 24h, to: {help: {}}}\n"

// bench is what all parts of the table share. Load and target are this process; the ceiling and each gateway are
// processes of their own.
type bench struct {
	testing.TB
	pace     pace
	table    table
	next     atomic.Int64
	target   *arrivals
	ceiling  served
	on, held *measured
	sync     latencies
	idleMiB  float64
}

// newBench starts the ceiling. The load's own collector runs seldom, for it takes processors from what is measured.
func newBench(b testing.TB) *bench {
	b.Helper()
	binary(b)
	before := debug.SetGCPercent(400)
	b.Cleanup(func() { debug.SetGCPercent(before) })
	return &bench{TB: b, pace: benchPace(), target: newArrivals(b), ceiling: startCeiling(b)}
}

// BenchmarkTable prints the table. It needs the built binary, see binary.
func BenchmarkTable(b *testing.B) {
	for range b.N {
		s := newBench(b)
		s.machine()
		s.on = newMeasured(b, benchTargetOf(s.target.address, keepingUp)).run(b)
		s.held = newMeasured(b, benchTarget(s.target.address)+held).run(b)
		s.idle()
		s.acknowledgements()
		s.sizes()
		for _, rate := range []int{200, 2000} {
			s.fixedRate(rate)
		}
		s.on.stop()
		s.held.stop()
		s.slowDisk()
		s.postgres()
		s.outages()
		s.backlog()
		s.table.print("afterchat, bodies of 4 kB unless said")
	}
	b.ReportMetric(0, "ns/op")
}

// machine measures the disk and the database.
func (s *bench) machine() {
	d := s.pace.window
	s.sync = syncTimes(s, s.TempDir(), d)
	s.table.add("fdatasync of 4 kB", fmt.Sprintf("%.0f/s, p50 %s, p99 %s", float64(len(s.sync))/d.Seconds(), ms(s.sync.at(.5)), ms(s.sync.at(.99))), "", "", true)
	m := newMeasured(s, benchTarget(s.target.address)+held).run(s)
	m.take(s, newHooks(4000), &s.next)
	m.stop()
	raw := values{rawInserts(s, m.ledgerFile, d)}
	ceiling := s.closedLoop(s.ceiling, newHooks(4000), 64, d)
	s.table.add("raw inserts of the same rows, 64 per commit", raw.text("/s"), values{raw[0] / ceiling.rate}.percent(), "", true)
}

// idle measures what the binary takes that nobody uses.
func (s *bench) idle() {
	info, err := os.Stat(binary(s))
	if err != nil {
		s.Fatal(err)
	}
	s.table.add("binary", fmt.Sprintf("%.1f MB", float64(info.Size())/1e6), "", "", true)
	s.table.add("start with an empty ledger, process to ready", ms(s.on.start), "", "", true)
	s.idleMiB = s.on.idleMiB(s)
	s.table.add("resident memory, idle", fmt.Sprintf("%.1f MiB", s.idleMiB), "", "≤ 30 MiB", s.idleMiB <= 30)
}

// versus is what equal windows have measured in turn: the ceiling, a gateway that delivers, and one that holds back.
type versus struct {
	ceilings, on, onShare, kept, held, heldShare values
	bare, delivering                             work
	delivered, indexed                           usage
	resident                                     float64 // at most, of the one that delivers
}

// work is which share of all processors was busy, and for whom. Others are to be nobody, or the rates mean little.
type work struct{ server, load, others values }

func (w *work) add(one window) {
	w.server, w.load, w.others = append(w.server, one.server), append(w.load, one.load), append(w.others, one.others)
}

func (w *work) text() string {
	return fmt.Sprintf("server %s, load and target %s, others %s", w.server.percent(), w.load.percent(), w.others.percent())
}

// acknowledgements measures the closed loop at 1, 16, 64 and 256 connections.
func (s *bench) acknowledgements() {
	h := newHooks(4000)
	for _, connections := range []int{1, 16, 64, 256} {
		v := s.versus(h, connections)
		name := fmt.Sprintf("%d connections: ", connections)
		goal := func(text string) string {
			if connections == 64 {
				return text
			}
			return ""
		}
		s.table.add(name+"bare Echo, decodes and answers", v.ceilings.text("/s"), "100 %", "", true)
		s.table.add(name+"durable acknowledgements, delivering", fmt.Sprintf("%s, %.0f %% delivered meanwhile", v.on.text("/s"), 100*v.kept.middle()),
			v.onShare.percent(), goal("≥ 30 %, keeping up"), v.onShare.middle() >= .3 && v.kept.middle() > .9)
		s.table.add(name+"deliveries held back", v.held.text("/s"), v.heldShare.percent(), goal("≥ 50 %"), v.heldShare.middle() >= .5)
		if connections == 64 {
			s.costs(v)
		}
	}
}

// costs adds what conversations of 64 connections took.
func (s *bench) costs(v versus) {
	s.table.add("64 connections: of the processors, bare Echo", v.bare.text(), "", "", true)
	s.table.add("64 connections: of the processors, delivering", v.delivering.text(), "", "", true)
	processor := v.delivered.processor
	s.table.add("processor for 10,000 conversations, delivered", fmt.Sprintf("%.2f s", processor), "", "≤ 4 s", processor <= 4)
	s.table.add("the same, and indexed for searches after it", fmt.Sprintf("%.2f s", v.indexed.processor), "", "", true)
	s.table.add("allocations of a conversation, delivered", fmt.Sprintf("%.0f, %.0f kB", v.delivered.allocations, v.delivered.bytes/1000), "", "", true)
	s.table.add("resident memory, at most with 64 connections", fmt.Sprintf("%.0f MiB", v.resident), "", "≤ 100 MiB", v.resident <= 100)
}

// versus takes the windows in turn, each after everything that the one before has left to do is done.
func (s *bench) versus(h *hooks, connections int) (v versus) {
	var count int64
	for range s.pace.windows {
		rested(s, s.on, s.held)
		ceiling := s.closedLoop(s.ceiling, h, connections, s.pace.window)
		before, memory := s.on.use(s), s.on.peak(s)
		on := s.closedLoop(s.on.served(), h, connections, s.pace.window)
		s.on.drained(s, time.Minute)
		v.resident = max(v.resident, memory())
		v.delivered.add(before, s.on.use(s))
		rested(s, s.on)
		v.indexed.add(before, s.on.use(s))
		between := ceiling
		if connections == 64 { // there are goals, and the machine is not always as fast
			between = s.closedLoop(s.ceiling, h, connections, s.pace.window)
		}
		later := s.closedLoop(s.held.served(), h, connections, s.pace.window)
		s.target.forget()
		v.ceilings, v.on, v.held = append(v.ceilings, ceiling.rate), append(v.on, on.rate), append(v.held, later.rate)
		v.onShare, v.heldShare = append(v.onShare, 2*on.rate/(ceiling.rate+between.rate)), append(v.heldShare, later.rate/between.rate)
		v.kept = append(v.kept, on.kept)
		v.bare.add(ceiling)
		v.delivering.add(on)
		count += on.all
	}
	v.delivered.per(count)
	v.indexed.per(count)
	return v
}

// usage is what conversations cost; after per, for 10,000 of them (processor) and for each (the others).
type usage struct{ processor, allocations, bytes float64 }

func (m *measured) use(b testing.TB) usage {
	b.Helper()
	return usage{processor(b, m.command.Process.Pid), m.series(b, "go_memstats_mallocs_total"), m.series(b, "go_memstats_alloc_bytes_total")}
}

func (u *usage) add(before, after usage) {
	u.processor += after.processor - before.processor
	u.allocations += after.allocations - before.allocations
	u.bytes += after.bytes - before.bytes
}

func (u *usage) per(count int64) {
	n := float64(count)
	*u = usage{u.processor * 10000 / n, u.allocations / n, u.bytes / n}
}

// sizes measures other bodies with 64 connections.
func (s *bench) sizes() {
	for _, size := range []int{500, 64 << 10, 512 << 10} {
		h := newHooks(size)
		d := s.pace.window
		if size > 100<<10 { // some hundred a second
			d = max(d, 1200*time.Millisecond)
		}
		var ceilings, rates, shares values
		for range s.pace.windows {
			rested(s, s.on, s.held)
			ceiling := s.closedLoop(s.ceiling, h, 64, d)
			on := s.closedLoop(s.on.served(), h, 64, d)
			s.on.drained(s, 3*time.Minute)
			s.target.forget()
			ceilings, rates, shares = append(ceilings, ceiling.rate), append(rates, on.rate), append(shares, on.rate/ceiling.rate)
		}
		s.table.add(fmt.Sprintf("bodies of %.1f kB: durable acknowledgements, delivering", float64(size)/1000), rates.text("/s")+" of "+ceilings.text("/s"), shares.percent(), "", true)
	}
}

// fixedRate measures how long acknowledgements and deliveries take at a fixed rate.
func (s *bench) fixedRate(rate int) {
	floor, acks, ends := s.latencies(s.on, rate)
	name := fmt.Sprintf("%d/s: ", rate)
	s.table.add(name+"bare Echo", floor.text(), "", "", true)
	if rate == 200 {
		s.acked(name+"acknowledged", floor, acks, s.sync)
		p50, p99 := acks.at(.5)+time.Millisecond, acks.at(.99)+3*time.Millisecond
		s.table.add(name+"delivered", ends.text(), "", fmt.Sprintf("p50 ≤ %s, p99 ≤ %s", ms(p50), ms(p99)), ends.at(.5) <= p50 && ends.at(.99) <= p99)
	} else {
		s.table.add(name+"acknowledged", acks.text(), "", "", true)
		s.table.add(name+"delivered", ends.text(), "", "", true)
	}
}

// latencies returns how long the ceiling, acknowledgements of m and deliveries take at a rate.
func (s *bench) latencies(m *measured, rate int) (floor, acks, ends sample) {
	h, d := newHooks(4000), 2*s.pace.window
	for range s.pace.windows {
		rested(s, m)
		one, _ := s.openLoop(s.ceiling.address, h, rate, d)
		acked, plan := s.openLoop(m.hooks, h, rate, d)
		m.drained(s, time.Minute)
		delivered, missing := s.target.since(plan)
		s.target.forget()
		if missing > 0 {
			s.Errorf("%d conversations were not delivered", missing)
		}
		floor, acks, ends = append(floor, one), append(acks, acked), append(ends, delivered)
	}
	return floor, acks, ends
}

// acked adds a line about acknowledgements at 200/s, on a disk of which sync is known.
func (s *bench) acked(name string, floor, acks sample, sync latencies) {
	p50, p99 := floor.at(.5)+sync.at(.5)*3/2+500*time.Microsecond, floor.at(.99)+3*sync.at(.99)+2*time.Millisecond
	s.table.add(name, acks.text(), "", fmt.Sprintf("p50 ≤ %s, p99 ≤ %s", ms(p50), ms(p99)), acks.at(.5) <= p50 && acks.at(.99) <= p99)
}
