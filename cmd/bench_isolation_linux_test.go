// This file measures what four bad targets do to six good ones and to acknowledgements: nothing, is the goal.

package cmd_test

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	goodTargets   = 6
	isolationRate = 100 // hooks per second, each for every target
)

// isolated is what the runs of one kind measured.
type isolated struct{ acks, ends sample }

func (i *isolated) add(acks, ends latencies) {
	i.acks, i.ends = append(i.acks, acks), append(i.ends, ends)
}

// BenchmarkIsolation runs with the bad targets in turn with runs of the good ones alone, which tell what the machine does in
// the meantime, and how far equal runs are apart.
func BenchmarkIsolation(b *testing.B) {
	for range b.N {
		s := newBench(b)
		bad := s.badTargets()
		var alone, beside isolated
		alone.add(s.isolated(""))
		for range 2 {
			beside.add(s.isolated(bad))
			alone.add(s.isolated(""))
		}
		for _, line := range []struct {
			name          string
			alone, beside sample
		}{{"acknowledged", alone.acks, beside.acks}, {"delivered to the six good targets", alone.ends, beside.ends}} {
			p50, p99 := line.alone.at(.5)*11/10, line.alone.at(.99)+max(line.alone.at(.99)/4, line.alone.apart(.99))
			s.table.add(line.name+", six good targets alone, three times", line.alone.text(), "", "", true)
			s.table.add(line.name+", beside four bad ones, in turn with it", line.beside.text(), "", fmt.Sprintf("p50 ≤ %s, p99 ≤ %s", ms(p50), ms(p99)),
				line.beside.at(.5) <= p50 && line.beside.at(.99) <= p99)
		}
		s.table.print(fmt.Sprintf("isolation at %d/s, hanging, 429, 500 and 401 beside six good targets", isolationRate))
	}
	b.ReportMetric(0, "ns/op")
}

// badTargets are the lines of targets that hang, answer 429, 500 and 401.
func (s *bench) badTargets() string {
	var lines strings.Builder
	for _, status := range []string{"", "429 Too Many Requests", "500 Internal Server Error", "401 Unauthorized"} {
		address := rawServer(s, func(c net.Conn) {
			serveRaw(c, func([]byte) string {
				if status == "" {
					<-s.Context().Done()
					return ""
				}
				return "HTTP/1.1 " + status + "\r\nContent-Length: 0\r\n\r\n"
			})
		})
		name := "hanging"
		if status != "" {
			name = "bad" + status[:3]
		}
		_, _ = fmt.Fprintf(&lines, "  %s: {type: http, url: '%s/tickets', once: key, workers: 8}\n", name, address)
	}
	return lines.String()
}

// isolated runs a gateway with good targets, and further ones, under a steady load. Deliveries are those of the good ones.
func (s *bench) isolated(further string) (acks, ends latencies) {
	var lines strings.Builder
	var good []*arrivals
	for i := range goodTargets {
		good = append(good, newArrivals(s))
		_, _ = fmt.Fprintf(&lines, "  good%d: {type: http, url: '%s/tickets', once: key, workers: 8}\n", i, good[i].address)
	}
	m := newMeasured(s, lines.String()+further).run(s)
	defer m.kill()
	acks, plan := s.openLoop(m.hooks, newHooks(4000), isolationRate, max(2*s.pace.window, 3*time.Second))
	eventually(s, time.Minute, func() error {
		ends = nil
		for i, target := range good {
			took, missing := target.since(plan)
			if missing > 0 {
				return fmt.Errorf("%d conversations are missing at good target %d", missing, i)
			}
			ends = append(ends, took...)
		}
		return nil
	})
	slices.Sort(ends)
	return acks, ends
}
