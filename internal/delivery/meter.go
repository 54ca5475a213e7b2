// This file measures a target for whoever watches it: how long its attempts take, how much of its rate is used, and until
// when something other than the engine keeps its deliveries waiting. It keeps little, and forgets it with the process.

package delivery

import (
	"slices"
	"time"
)

const (
	// recentAttempts is how many attempts are remembered at most, recentTime how long.
	recentAttempts = 512
	recentTime     = time.Hour
	// rateSlots is in how many parts the time is cut over which the use of a rate is counted.
	rateSlots = 60
)

// Durations are how long the attempts of the last hour took, of the newest 512 if there were more.
type Durations struct {
	Count    int // 0: there was none
	P50, P95 time.Duration
}

// RateUse is how much of its rate a target has used.
type RateUse struct {
	Used   int           // attempts within Over
	Over   time.Duration // a minute, or the time of the rate if that is longer; 0: there is no rate
	UsedUp bool          // deliveries wait for the rate now
}

// meter is what is measured of a target.
type meter struct {
	bound time.Time // until then its pause, its rate or its own wish keeps deliveries waiting, or kept them

	rateUsedUp time.Time // until then there is nothing left of the rate

	took  []attemptTime // a ring
	next  int           // where the next one goes
	slots [rateSlots]int
	slot  int64 // number of the newest slot
	width time.Duration
}

// attemptTime is one attempt.
type attemptTime struct {
	at   time.Time
	took time.Duration
}

// waits notes that deliveries wait until then for something that is not the engine's to change.
func (m *meter) waits(until time.Time) {
	if until.After(m.bound) {
		m.bound = until
	}
}

// waitsForRate notes that deliveries wait until then for the target's rate.
func (m *meter) waitsForRate(until time.Time) {
	m.waits(until)
	if until.After(m.rateUsedUp) {
		m.rateUsedUp = until
	}
}

// attempt notes how long an attempt took.
func (m *meter) attempt(at time.Time, took time.Duration) {
	one := attemptTime{at, took}
	if len(m.took) < recentAttempts {
		m.took = append(m.took, one)
		return
	}
	m.took[m.next] = one
	m.next = (m.next + 1) % recentAttempts
}

// durations sums up the attempts of the last hour.
func (m *meter) durations(now time.Time) Durations {
	var all []time.Duration
	for _, a := range m.took {
		if now.Sub(a.at) < recentTime {
			all = append(all, a.took)
		}
	}
	if len(all) == 0 {
		return Durations{}
	}
	slices.Sort(all)
	// The smallest that at least so many of a hundred do not exceed.
	rank := func(percent int) time.Duration { return all[(len(all)*percent+99)/100-1] }
	return Durations{Count: len(all), P50: rank(50), P95: rank(95)}
}

// over is how long the use of a rate is counted.
func over(r Rate) time.Duration {
	if r.Count <= 0 || r.Per <= 0 {
		return 0
	}
	return max(r.Per, time.Minute)
}

// use counts n attempts out of a rate.
func (m *meter) use(r Rate, n int, now time.Time) {
	if m.turn(r, now) {
		m.slots[m.slot%rateSlots] += n
	}
}

// turn empties the slots whose time is over; false: there is no rate.
func (m *meter) turn(r Rate, now time.Time) bool {
	width := over(r) / rateSlots
	if width != m.width {
		m.slots, m.slot, m.width = [rateSlots]int{}, 0, width
	}
	if width == 0 {
		return false
	}
	newest := now.UnixNano() / int64(width)
	for passed := min(newest-m.slot, rateSlots); passed > 0; passed-- {
		m.slots[(newest-passed+1)%rateSlots] = 0
	}
	m.slot = max(m.slot, newest)
	return true
}

// rate sums up the use of a rate.
func (m *meter) rate(r Rate, now time.Time) RateUse {
	if !m.turn(r, now) {
		return RateUse{}
	}
	use := RateUse{Over: over(r), UsedUp: now.Before(m.rateUsedUp)}
	for _, n := range m.slots {
		use.Used += n
	}
	return use
}
