// This file measures a gateway that holds a million pending deliveries, or half of it: its start, its memory, and how fast it claims.

package cmd_test

import (
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// fewPending are more than can be delivered while the rate is measured.
const fewPending = 120_000

// backlog seeds two ledgers, and starts gateways on them, first with the target down.
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
	begin := time.Now()
	many, few := s.seeded(address, s.pace.backlog), s.seeded(address, fewPending)
	s.Logf("%d and %d pending deliveries seeded in %s", s.pace.backlog, fewPending, time.Since(begin).Round(time.Second))

	many.run(s)
	name := fmt.Sprintf("%d pending: ", s.pace.backlog)
	s.table.add(name+"start, process to ready", ms(many.start), "", "< 2 s", many.start < 2*time.Second)
	pass(4 * time.Second) // what the start itself needs has been given back
	stop := many.peak(s)
	pass(3 * s.pace.window)
	most := stop()
	s.table.add(name+"resident memory, target down", fmt.Sprintf("%.1f MiB, idle %.1f", most, s.idleMiB), "", "≤ idle + 32 MiB", most <= s.idleMiB+32)
	many.stop()

	up.Store(true)
	rate := func(m *measured) float64 {
		m.run(s)
		defer m.stop()
		pass(time.Second) // what a start does is over
		before, begin := delivered.Load(), time.Now()
		pass(1500 * time.Millisecond)
		return float64(delivered.Load()-before) / time.Since(begin).Seconds()
	}
	var manyRates, fewRates, shares values
	for range s.pace.windows {
		m, f := rate(many), rate(few)
		manyRates, fewRates, shares = append(manyRates, m), append(fewRates, f), append(shares, m/f)
	}
	s.table.add(name+"delivered", fmt.Sprintf("%s; of %d pending %s", manyRates.text("/s"), fewPending, fewRates.text("/s")), shares.percent()+" of few", "≥ 80 % of few", shares.middle() >= .8)
}

// seeded returns a gateway that is stopped, with n pending deliveries.
func (s *bench) seeded(address string, n int) *measured {
	m := newMeasured(s, benchTarget(address)).run(s)
	m.take(s, newHooks(500), &s.next)
	m.stop()
	seed(s, m.ledgerFile, n)
	return m
}
