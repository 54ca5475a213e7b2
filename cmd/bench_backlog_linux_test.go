// This file measures a gateway that holds a million pending deliveries: its start, its memory, and how fast it claims.

package cmd_test

import (
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// backlog seeds the ledger and starts the gateway on it twice, first with the target down.
func (s *bench) backlog() {
	var up atomic.Bool
	var delivered atomic.Int64
	address := rawServer(s, func(c net.Conn) {
		serveRaw(c, func([]byte) string {
			if !up.Load() {
				return "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
			}
			delivered.Add(1)
			return "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"
		})
	})
	m := newMeasured(s, benchTarget(address)).run(s)
	m.take(s, newHooks(500), &s.next)
	pass(2 * time.Second) // it lets go of what its start has used
	for range 10 {
		m.series(s, "afterchat_pending")
	}
	m.rested(s)
	idle := residentMiB(s, m.command.Process.Pid)
	rate := func(d time.Duration) float64 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		before, begin := delivered.Load(), time.Now()
		<-timer.C
		return float64(delivered.Load()-before) / time.Since(begin).Seconds()
	}
	m.stop()

	begin := time.Now()
	seed(s, m.ledgerFile, s.pace.backlog)
	s.Logf("%d pending deliveries seeded in %s", s.pace.backlog, time.Since(begin).Round(time.Second))
	m.run(s)
	name := fmt.Sprintf("%d pending: ", s.pace.backlog)
	s.table.add(name+"start, process to ready", ms(m.start), "", "< 2 s", m.start < 2*time.Second)
	stop := m.peak(s)
	rate(2 * s.pace.round)
	most := stop()
	s.table.add(name+"resident memory, target down", fmt.Sprintf("%.1f MiB, idle %.1f", most, idle), "", "≤ idle + 32 MiB", most <= idle+32)
	m.stop()

	up.Store(true)
	m.run(s)
	many := rate(2 * s.pace.round)
	m.stop()
	few := s.drain(address, rate)
	s.table.add(name+"delivered", fmt.Sprintf("%.0f/s; %.0f/s of %d pending", many, few, fewPending), percent(many/few)+" of few", "≥ 80 % of few", many >= .8*few)
}

const fewPending = 20_000

// drain returns the rate of a gateway with few pending deliveries.
func (s *bench) drain(address string, rate func(time.Duration) float64) float64 {
	m := newMeasured(s, benchTarget(address)).run(s)
	m.take(s, newHooks(500), &s.next)
	m.drained(s, time.Minute)
	m.stop()
	seed(s, m.ledgerFile, fewPending)
	m.run(s)
	defer m.stop()
	return rate(s.pace.round)
}
