// This file makes the table of `make bench`: what the machine can do, what the gateway does, the share, and the goal.

package cmd_test

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"
)

// pace is how long each part of the table takes. Ratios are of rounds that follow each other, and the median of rounds.
type pace struct {
	round   time.Duration
	rounds  int
	backlog int // pending deliveries
	// conversations are what the console shows.
	conversations int
}

// benchPace is chosen by AFTERCHAT_BENCH.
func benchPace() pace {
	if os.Getenv("AFTERCHAT_BENCH") == "full" {
		return pace{round: 6 * time.Second, rounds: 3, backlog: 1_000_000, conversations: 1_000_000}
	}
	return pace{round: 2 * time.Second, rounds: 1, backlog: 1_000_000, conversations: 100_000}
}

// table collects lines. goal is "" where there is none; ok says whether it was met.
type table struct{ lines []string }

func (t *table) add(what, figure, share, goal string, ok bool) {
	verdict := ""
	if goal != "" {
		if verdict = "met"; !ok {
			verdict = "MISSED"
		}
	}
	t.lines = append(t.lines, strings.Join([]string{what, figure, share, goal, verdict}, "\t"))
}

func (t *table) print(title string) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "\n%s\tmeasured\tof the ceiling\tgoal\t\n", title)
	_, _ = io.WriteString(w, strings.Join(t.lines, "\n")+"\n")
	_ = w.Flush()
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

// bench is what all parts of the table share.
type bench struct {
	testing.TB
	pace     pace
	table    table
	next     atomic.Int64
	target   *arrivals
	ceiling  string // address
	on, held *measured
	sync     latencies
}

// BenchmarkTable prints the table. It needs the built binary, see binary.
func BenchmarkTable(b *testing.B) {
	binary(b)
	for range b.N {
		s := &bench{TB: b, pace: benchPace(), target: newArrivals(b), ceiling: startCeiling(b)}
		s.floor()
		s.on = newMeasured(b, benchTargetOf(s.target.address, keepingUp)).run(b)
		s.held = newMeasured(b, benchTarget(s.target.address)+held).run(b)
		s.idle()
		s.acknowledgements()
		s.sizes()
		for _, rate := range []int{200, 2000} {
			s.openLoop(rate)
		}
		s.on.stop()
		s.held.stop()
		s.slowDisk()
		s.postgres()
		s.backlog()
		s.table.print("afterchat, bodies of 4 kB unless said")
	}
	b.ReportMetric(0, "ns/op")
}

// floor measures the disk and the database.
func (s *bench) floor() {
	s.sync = syncTimes(s, s.TempDir(), s.pace.round)
	s.table.add("fdatasync of 4 kB", fmt.Sprintf("%.0f/s, p50 %s, p99 %s", float64(len(s.sync))/s.pace.round.Seconds(), ms(s.sync.at(.5)), ms(s.sync.at(.99))), "", "", true)
	m := newMeasured(s, benchTarget(s.target.address)+held).run(s)
	m.take(s, newHooks(4000), &s.next)
	m.stop()
	raw := rawInserts(s, m.ledgerFile, s.pace.round)
	ceiling, _ := closedLoop(s, s.ceiling, newHooks(4000), 64, s.pace.round, &s.next)
	s.table.add("raw inserts of the same rows, 64 per commit", fmt.Sprintf("%.0f/s", raw), percent(raw/ceiling), "", true)
}

func (s *bench) idle() {
	pass(2 * time.Second) // it lets go of what its start has used
	s.series200()
	s.on.rested(s)
	resident := residentMiB(s, s.on.command.Process.Pid)
	s.table.add("resident memory, idle", fmt.Sprintf("%.1f MiB", resident), "", "≤ 30 MiB", resident <= 30)
}

// pass lets time go by.
func pass(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}

// series200 reads the metrics as Prometheus does in some minutes, so that idle is what is idle in service.
func (s *bench) series200() {
	for range 10 {
		s.on.series(s, "afterchat_pending")
	}
}

// acknowledgements measures the closed loop at 1, 16, 64 and 256 connections.
func (s *bench) acknowledgements() {
	h := newHooks(4000)
	for _, connections := range []int{1, 16, 64, 256} {
		var ceilings, on, onShare, later, laterShare, kept []float64
		var use, whole usage
		for range s.pace.rounds {
			ceiling, _ := closedLoop(s, s.ceiling, h, connections, s.pace.round, &s.next)
			before := s.on.use(s)
			arrived := s.target.count.Load()
			rate, count := closedLoop(s, s.on.hooks, h, connections, s.pace.round, &s.next)
			kept = append(kept, float64(s.target.count.Load()-arrived)/float64(count))
			s.on.drained(s, time.Minute)
			use.add(before, s.on.use(s), count)
			s.on.rested(s)
			whole.add(before, s.on.use(s), count)
			hold, _ := closedLoop(s, s.held.hooks, h, connections, s.pace.round, &s.next)
			s.held.rested(s)
			ceilings, on, later = append(ceilings, ceiling), append(on, rate), append(later, hold)
			onShare, laterShare = append(onShare, rate/ceiling), append(laterShare, hold/ceiling)
			s.target.forget()
		}
		name := fmt.Sprintf("%d connections: ", connections)
		goal := func(text string) string {
			if connections == 64 {
				return text
			}
			return ""
		}
		s.table.add(name+"bare Echo, decodes and answers", fmt.Sprintf("%.0f/s", middle(ceilings)), "100 %", "", true)
		s.table.add(name+"durable acknowledgements, delivering", fmt.Sprintf("%.0f/s, %.0f %% delivered meanwhile", middle(on), 100*middle(kept)),
			percent(middle(onShare)), goal("≥ 30 %, keeping up"), middle(onShare) >= .3 && middle(kept) > .9)
		s.table.add(name+"deliveries held back", fmt.Sprintf("%.0f/s", middle(later)), percent(middle(laterShare)), goal("≥ 50 %"), middle(laterShare) >= .5)
		if connections == 64 {
			s.table.add("processor for 10,000 conversations, delivered", fmt.Sprintf("%.2f s", use.processor), "", "≤ 4 s", use.processor <= 4)
			s.table.add("the same, and indexed for searches after it", fmt.Sprintf("%.2f s", whole.processor), "", "", true)
			s.table.add("allocations of a conversation, delivered", fmt.Sprintf("%.0f, %.0f kB", use.allocations, use.bytes/1000), "", "", true)
			resident := residentMiB(s, s.on.command.Process.Pid)
			s.table.add("resident memory, after 64 connections", fmt.Sprintf("%.0f MiB", resident), "", "≤ 100 MiB", resident <= 100)
		}
	}
}

// usage is what conversations cost; of a difference, per 10,000 of them (processor) and each (the others).
type usage struct{ processor, allocations, bytes float64 }

func (m *measured) use(b testing.TB) usage {
	b.Helper()
	return usage{m.processor(b), m.series(b, "go_memstats_mallocs_total"), m.series(b, "go_memstats_alloc_bytes_total")}
}

func (u *usage) add(before, after usage, count int64) {
	n := float64(count)
	*u = usage{(after.processor - before.processor) * 10000 / n, (after.allocations - before.allocations) / n, (after.bytes - before.bytes) / n}
}

// sizes measures other bodies with 64 connections.
func (s *bench) sizes() {
	for _, size := range []int{500, 64 << 10, 512 << 10} {
		h := newHooks(size)
		ceiling, _ := closedLoop(s, s.ceiling, h, 64, s.pace.round, &s.next)
		rate, _ := closedLoop(s, s.on.hooks, h, 64, s.pace.round, &s.next)
		s.on.drained(s, 3*time.Minute)
		s.on.rested(s)
		s.target.forget()
		s.table.add(fmt.Sprintf("bodies of %.1f kB: durable acknowledgements, delivering", float64(size)/1000), fmt.Sprintf("%.0f/s of %.0f/s", rate, ceiling), percent(rate/ceiling), "", true)
	}
}

// openLoop measures how long acknowledgements and deliveries take at a fixed rate.
func (s *bench) openLoop(rate int) {
	floor, acks, ends := s.latencies(s.on, rate)
	name := fmt.Sprintf("%d/s: ", rate)
	s.table.add(name+"bare Echo", spread(floor), "", "", true)
	if rate == 200 {
		s.acked(name+"acknowledged", floor, acks, s.sync)
		p50, p99 := acks.at(.5)+time.Millisecond, acks.at(.99)+3*time.Millisecond
		s.table.add(name+"delivered", spread(ends), "", fmt.Sprintf("p50 ≤ %s, p99 ≤ %s", ms(p50), ms(p99)), ends.at(.5) <= p50 && ends.at(.99) <= p99)
	} else {
		s.table.add(name+"acknowledged", spread(acks), "", "", true)
		s.table.add(name+"delivered", spread(ends), "", "", true)
	}
}

// latencies returns how long the ceiling, acknowledgements of m and deliveries take at a rate.
func (s *bench) latencies(m *measured, rate int) (floor, acks, ends latencies) {
	h, d := newHooks(4000), 2*s.pace.round
	floor, _ = openLoop(s, s.ceiling, h, rate, d, &s.next)
	acks, plan := openLoop(s, m.hooks, h, rate, d, &s.next)
	m.drained(s, time.Minute)
	ends, missing := s.target.since(plan)
	s.target.forget()
	m.rested(s)
	if missing > 0 {
		s.Errorf("%d conversations were not delivered", missing)
	}
	return floor, acks, ends
}

// acked adds a line about acknowledgements at 200/s, on a disk of which sync is known.
func (s *bench) acked(name string, floor, acks, sync latencies) {
	p50, p99 := floor.at(.5)+sync.at(.5)*3/2+500*time.Microsecond, floor.at(.99)+3*sync.at(.99)+2*time.Millisecond
	s.table.add(name, spread(acks), "", fmt.Sprintf("p50 ≤ %s, p99 ≤ %s", ms(p50), ms(p99)), acks.at(.5) <= p50 && acks.at(.99) <= p99)
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000) }

func spread(l latencies) string {
	return fmt.Sprintf("p50 %s, p99 %s, p99.9 %s", ms(l.at(.5)), ms(l.at(.99)), ms(l.at(.999)))
}

func percent(share float64) string { return fmt.Sprintf("%.0f %%", 100*share) }

func middle(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
