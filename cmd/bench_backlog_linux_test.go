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
	idle := m.idleMiB(s)
	rate := func() (rates values) {
		pass(time.Second) // what a start does is over
		for range 3 {
			before, begin := delivered.Load(), time.Now()
			pass(time.Second)
			rates = append(rates, float64(delivered.Load()-before)/time.Since(begin).Seconds())
		}
		return rates
	}
	m.stop()

	begin := time.Now()
	seed(s, m.ledgerFile, s.pace.backlog)
	s.Logf("%d pending deliveries seeded in %s", s.pace.backlog, time.Since(begin).Round(time.Second))
	m.run(s)
	name := fmt.Sprintf("%d pending: ", s.pace.backlog)
	s.table.add(name+"start, process to ready", ms(m.start), "", "< 2 s", m.start < 2*time.Second)
	stop := m.peak(s)
	pass(3 * s.pace.window)
	most := stop()
	s.table.add(name+"resident memory, target down", fmt.Sprintf("%.1f MiB, idle %.1f", most, idle), "", "≤ idle + 32 MiB", most <= idle+32)
	m.stop()

	up.Store(true)
	m.run(s)
	many := rate()
	m.stop()
	few := s.drain(address, rate)
	share := many.middle() / few.middle()
	s.table.add(name+"delivered", fmt.Sprintf("%s; of %d pending %s", many.text("/s"), fewPending, few.text("/s")), values{share}.percent()+" of few", "≥ 80 % of few", share >= .8)
}

// fewPending are more than can be delivered while the rate is measured.
const fewPending = 100_000

// drain returns the rate of a gateway with few pending deliveries.
func (s *bench) drain(address string, rate func() values) values {
	m := newMeasured(s, benchTarget(address)).run(s)
	m.take(s, newHooks(500), &s.next)
	m.drained(s, time.Minute)
	m.stop()
	seed(s, m.ledgerFile, fewPending)
	m.run(s)
	defer m.stop()
	return rate()
}
