// This file places the stamps of a transcript on the time line: it settles the order of day and month, applies the
// source's time zone, and finds the stamps that cannot be right.

package proprofs

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// The tolerances around l2s_date, the end of the chat or the time of the post.
const (
	day          = 24 * 3600
	afterEnd     = 3600 // a message later than this after the end is odd
	beforeStart  = 60   // the clock may be this much off when the start decides between two readings
	settleWithin = 36 * 3600
)

// timeline places one transcript. All times are seconds; local ones are on a clock without zone.
type timeline struct {
	zone  *time.Location
	order order

	dated        bool  // l2s_date names at least a day
	local        int64 // its local time, the end of the day if it has none
	literal      string
	keepDate     bool // l2s_date could not be used as it is
	end          int64
	endCandidate []int64 // both readings of an ambiguous end; settled in finish
	hasEnd       bool
	duration     float64
	hasDuration  bool

	first, last int64 // of the messages that fit
	floor       int64 // no message after these can be earlier
	any         bool
	odd         map[string]*oddity
	kinds       []string
}

// oddity counts stamps that were odd in the same way.
type oddity struct {
	first string
	count int
}

func newTimeline(date string, lines []line, duration *float64, zone *time.Location) *timeline {
	t := &timeline{zone: zone, literal: date, odd: map[string]*oddity{}}
	if duration != nil {
		t.duration, t.hasDuration = *duration, true
	}
	t.readDate(date)
	t.settleOrder(lines)
	return t
}

// readDate reads l2s_date.
func (t *timeline) readDate(date string) {
	if instant, ok := epoch(date); ok {
		_, offset := time.Unix(instant, 0).In(t.zone).Zone()
		t.dated, t.local, t.end, t.hasEnd = true, instant+int64(offset), instant, true
		return
	}
	s, ok := parseStamp(date)
	local, valid := s.local(dayFirst)
	if !valid {
		local, valid = s.local(monthFirst)
	}
	switch {
	case ok && valid:
		t.dated, t.local = true, local
		candidates, kind := t.instants(s, local)
		if kind != "" {
			t.keepDate = true
			t.note("l2s_date", kind)
		}
		t.end, t.hasEnd, t.endCandidate = candidates[0], true, candidates
	case date != "":
		t.keepDate = true
		if midnight, ok := s.day(dayFirst); ok && !s.hasTime {
			t.dated, t.local = true, midnight+day-1
		}
		t.note("l2s_date "+strconv.Quote(clip(date)), "names no time")
	}
}

// epoch reads seconds or milliseconds since 1970.
func epoch(text string) (instant int64, ok bool) {
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil:
		return 0, false
	case len(text) == 10:
		return n, true
	case len(text) == 13:
		return n / 1000, true
	}
	return 0, false
}

// settleOrder decides for the whole transcript whether the day or the month comes first: as more stamps are close to
// l2s_date, then as more are possible, else the day, as in the vendor's sample.
func (t *timeline) settleOrder(lines []line) {
	var near, possible [2]int
	for _, l := range lines {
		for i, o := range []order{dayFirst, monthFirst} {
			local, ok := l.at.local(o)
			if !ok {
				continue
			}
			possible[i]++
			if t.dated && distance(local, t.local) <= settleWithin {
				near[i]++
			}
		}
	}
	t.order = order(near[1] > near[0] || near[1] == near[0] && possible[1] > possible[0])
}

func distance(a, b int64) int64 { return max(a, b) - min(a, b) }

// place returns the instant of line i, zero if its stamp names none, and notes what is odd. The lines are placed in
// their order.
func (t *timeline) place(i int, l line) time.Time {
	if l.literal == "" {
		return time.Time{}
	}
	what := fmt.Sprintf("the stamp %q of message %d", clip(l.literal), i+1)
	local, ok := t.localOf(l.at)
	if !ok {
		t.note(what, "names no time")
		return time.Time{}
	}
	candidates, kind := t.instants(l.at, local)
	if kind != "" {
		t.note(what, kind)
	}
	at := t.choose(candidates)
	switch {
	case t.hasEnd && at < t.end-t.longest(), t.any && at < t.floor:
		t.note(what, "is too early; it was kept")
	case t.hasEnd && at > t.end+afterEnd+t.doubt():
		t.note(what, "is too late; it was kept")
	default:
		if !t.any {
			t.first = at
		}
		t.last, t.floor, t.any = max(at, t.last), at, true
		if !l.at.zoned && at+t.offset(at) != local { // moved forward; the next message may stand right behind the gap
			t.floor = local - t.offset(at)
		}
	}
	return time.Unix(at, 0).UTC()
}

// longest is how long before the end a message can have been written.
func (t *timeline) longest() int64 { return max(day, int64(t.duration)+afterEnd) }

// doubt is how much later the end may be than it seems.
func (t *timeline) doubt() int64 {
	if len(t.endCandidate) < 2 {
		return 0
	}
	return t.endCandidate[1] - t.endCandidate[0]
}

// localOf completes a stamp: one without a date is of the last day at whose end it fits.
func (t *timeline) localOf(s stamp) (local int64, ok bool) {
	if s.hasDate {
		if local, ok = s.local(t.order); ok {
			return local, true
		}
		local, ok = s.local(!t.order)
		return local, ok && t.dated && distance(local, t.local) <= settleWithin
	}
	clock, ok := s.clock()
	if !ok || !t.dated {
		return 0, false
	}
	local = t.local - modulo(t.local, day) + clock
	if local > t.local+afterEnd {
		local -= day
	}
	return local, true
}

func modulo(a, b int64) int64 { return (a%b + b) % b }

// instants returns what a local time can mean in the zone: one instant, or both of an hour that comes twice, the
// earlier first. kind says what was odd. A time that was skipped moves forward, as clocks did.
func (t *timeline) instants(s stamp, local int64) (candidates []int64, kind string) {
	if s.zoned {
		return []int64{local - int64(s.offset)}, ""
	}
	before, after := t.offset(local-day), t.offset(local+day)
	if before == after {
		return []int64{local - before}, ""
	}
	for _, offset := range []int64{before, after} {
		if t.offset(local-offset) == offset {
			candidates = append(candidates, local-offset)
		}
	}
	switch len(candidates) {
	case 0:
		return []int64{local - before}, "does not exist in " + t.zone.String() + ", where clocks were set forward; it was moved forward too"
	case 1:
		return candidates, ""
	}
	return candidates, "comes twice in " + t.zone.String() + ", where clocks were set back; the order of the messages decided"
}

func (t *timeline) offset(instant int64) int64 {
	_, offset := time.Unix(instant, 0).In(t.zone).Zone()
	return int64(offset)
}

// choose takes the earliest candidate that is not before the message before it, nor, for the first, before the chat.
func (t *timeline) choose(candidates []int64) int64 {
	floor := int64(math.MinInt64)
	switch {
	case t.any:
		floor = t.floor
	case t.hasEnd && t.hasDuration && len(t.endCandidate) < 2:
		floor = t.end - int64(t.duration) - beforeStart
	}
	for _, at := range candidates {
		if at >= floor {
			return at
		}
	}
	return candidates[0]
}

// finish settles an ambiguous end after all messages are placed.
func (t *timeline) finish() {
	for _, end := range t.endCandidate {
		if t.any && t.end < t.last {
			t.end = end
		}
	}
}

// started is the end less the duration, or the first message that fits if that is earlier or the other unknown.
func (t *timeline) started() time.Time {
	switch {
	case t.hasEnd && t.hasDuration && (!t.any || t.end-int64(t.duration) <= t.first):
		return time.Unix(t.end-int64(t.duration), 0).UTC()
	case t.any:
		return time.Unix(t.first, 0).UTC()
	}
	return time.Time{}
}

// ended is l2s_date, or the last message that fits.
func (t *timeline) ended() time.Time {
	switch {
	case t.hasEnd:
		return time.Unix(t.end, 0).UTC()
	case t.any:
		return time.Unix(t.last, 0).UTC()
	}
	return time.Time{}
}

func (t *timeline) note(what, kind string) {
	if o := t.odd[kind]; o != nil {
		o.count++
		return
	}
	t.odd[kind] = &oddity{first: what, count: 1}
	t.kinds = append(t.kinds, kind)
}

// warnings says what was odd, one line for each kind of oddity.
func (t *timeline) warnings() []string {
	var out []string
	for _, kind := range t.kinds {
		w := t.odd[kind].first + " " + kind
		if more := t.odd[kind].count - 1; more > 0 {
			w += fmt.Sprintf(" (and %d more)", more)
		}
		out = append(out, w)
	}
	return out
}
