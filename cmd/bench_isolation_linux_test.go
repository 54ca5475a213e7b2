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

// isolated is what one run measured.
type isolated struct{ acks, ends latencies }

// BenchmarkIsolation runs three times: twice with the good targets alone, for the spread, and once with the bad ones.
func BenchmarkIsolation(b *testing.B) {
	binary(b)
	pace := benchPace()
	for range b.N {
		s := &bench{TB: b, pace: pace}
		one, two := s.isolated(""), s.isolated("")
		all := s.isolated(s.badTargets())
		for _, line := range []struct {
			name          string
			one, two, bad latencies
		}{{"acknowledged", one.acks, two.acks, all.acks}, {"delivered to the six good targets", one.ends, two.ends, all.ends}} {
			base, spread99 := (line.one.at(.5)+line.two.at(.5))/2, (line.one.at(.99) - line.two.at(.99)).Abs()
			base99 := (line.one.at(.99) + line.two.at(.99)) / 2
			limit, limit99 := base*11/10, base99+max(base99/4, spread99)
			s.table.add(line.name+", good targets alone", spread(line.one), "", "", true)
			s.table.add(line.name+", the same again", spread(line.two), "", "", true)
			s.table.add(line.name+", beside four bad ones", spread(line.bad), "", fmt.Sprintf("p50 ≤ %s, p99 ≤ %s", ms(limit), ms(limit99)),
				line.bad.at(.5) <= limit && line.bad.at(.99) <= limit99)
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

// isolated runs a gateway with the good targets, and further ones, under a steady load.
func (s *bench) isolated(further string) isolated {
	var lines strings.Builder
	var good []*arrivals
	for i := range goodTargets {
		good = append(good, newArrivals(s))
		_, _ = fmt.Fprintf(&lines, "  good%d: {type: http, url: '%s/tickets', once: key, workers: 8}\n", i, good[i].address)
	}
	m := newMeasured(s, lines.String()+further).run(s)
	defer m.kill()
	h := newHooks(4000)
	openLoop(s, m.hooks, h, isolationRate, time.Second, &s.next)
	acks, plan := openLoop(s, m.hooks, h, isolationRate, 2*s.pace.round, &s.next)
	var ends latencies
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
	return isolated{acks, ends}
}
