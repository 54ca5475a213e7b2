// This file reads time stamps: what is a stamp, what is only half of one, and which day it names.

package proprofs

import (
	"strings"
	"time"
)

// stamp is a date and time as written, not yet known to be possible.
type stamp struct {
	hasDate, hasTime bool
	yearFirst        bool
	year             int
	a, b             int // the date's other two numbers: month and day if yearFirst, else in an order to be settled
	hour, min, sec   int
	half             string // am, pm or ""
	zoned            bool
	offset           int // seconds east of UTC, if zoned
}

// full tells whether s has both a date and a time.
func (s stamp) full() bool { return s.hasDate && s.hasTime }

// The order of day and month in dates that end in the year.
type order bool

const (
	dayFirst   order = false
	monthFirst order = true
)

// parseStamp reads a whole text as a stamp: DD-MM-YYYY, MM/DD/YYYY or YYYY-MM-DD, with -, / or dots; HH:MM:SS or
// HH:MM, perhaps with AM or PM and a zone; either half may be missing, and the time may come first. ok tells that it
// looks like a stamp; the day or time may still be impossible.
func parseStamp(text string) (s stamp, ok bool) {
	c := cursor(strings.TrimSpace(text))
	for c != "" {
		switch {
		case !s.hasDate && s.date(&c):
		case !s.hasTime && s.time(&c):
		default:
			return stamp{}, false
		}
		if spaced := strings.TrimLeft(string(c), " \t,"); len(spaced) < len(c) || c == "" {
			c = cursor(spaced)
			continue
		}
		if rest, isT := strings.CutPrefix(string(c), "T"); isT && s.hasDate && !s.hasTime {
			c = cursor(rest)
			continue
		}
		return stamp{}, false
	}
	return s, s.hasDate || s.hasTime
}

// cursor is the rest of a text that is being read.
type cursor string

// number reads one to limit digits.
func (c *cursor) number(limit int) (n, width int) {
	for width < limit && width < len(*c) && (*c)[width] >= '0' && (*c)[width] <= '9' {
		n = n*10 + int((*c)[width]-'0')
		width++
	}
	*c = (*c)[width:]
	return n, width
}

// skip steps over b if it comes next.
func (c *cursor) skip(b byte) bool {
	if *c == "" || (*c)[0] != b {
		return false
	}
	*c = (*c)[1:]
	return true
}

// word steps over one of the words if it comes next, in any case, and returns its place.
func (c *cursor) word(words ...string) (which int, ok bool) {
	for i, w := range words {
		if len(*c) >= len(w) && strings.EqualFold(string((*c)[:len(w)]), w) {
			*c = (*c)[len(w):]
			return i, true
		}
	}
	return 0, false
}

// date reads a date at c, or leaves c as it is.
func (s *stamp) date(c *cursor) bool {
	rest := *c
	first, w1 := rest.number(4)
	if w1 == 0 || rest == "" || !strings.ContainsRune("-/.", rune(rest[0])) {
		return false
	}
	separator := rest[0]
	rest.skip(separator)
	second, w2 := rest.number(2)
	if w2 == 0 || !rest.skip(separator) {
		return false
	}
	third, w3 := rest.number(4)
	switch {
	case w1 == 4 && (w3 == 1 || w3 == 2):
		s.yearFirst, s.year, s.a, s.b = true, first, second, third
	case w1 <= 2 && w3 == 4:
		s.year, s.a, s.b = third, first, second
	case w1 <= 2 && w3 == 2:
		s.year, s.a, s.b = 2000+third, first, second
	default:
		return false
	}
	s.hasDate, *c = true, rest
	return true
}

// time reads a time at c, or leaves c as it is.
func (s *stamp) time(c *cursor) bool {
	rest := *c
	hour, w := rest.number(2)
	if w == 0 || !rest.skip(':') {
		return false
	}
	minute, w := rest.number(2)
	if w != 2 {
		return false
	}
	second := 0
	if rest.skip(':') {
		if second, w = rest.number(2); w != 2 {
			return false
		}
		if rest.skip('.') {
			rest.number(9)
		}
	}
	s.hour, s.min, s.sec, s.hasTime = hour, minute, second, true
	s.suffix(&rest)
	*c = rest
	return true
}

// suffix reads AM or PM and a zone after a time.
func (s *stamp) suffix(c *cursor) {
	rest := cursor(strings.TrimLeft(string(*c), " \t"))
	if which, ok := rest.word("am", "a.m.", "pm", "p.m."); ok {
		s.half = []string{"am", "am", "pm", "pm"}[which]
		*c = rest
		rest = cursor(strings.TrimLeft(string(rest), " \t"))
	}
	if _, ok := rest.word("UTC", "GMT", "Z"); ok {
		s.zoned = true
		*c = rest
	}
	sign := 0
	switch {
	case rest.skip('+'):
		sign = 1
	case rest.skip('-'):
		sign = -1
	default:
		return
	}
	hours, w := rest.number(2)
	if w != 2 || hours > 14 {
		return
	}
	rest.skip(':')
	minutes, w := rest.number(2)
	if w == 1 {
		return
	}
	s.zoned, s.offset = true, sign*(hours*3600+minutes*60)
	*c = rest
}

// local returns the stamp as seconds since 1970 on a clock without zone. ok is false for an impossible day or time,
// for half a stamp, and for years in which nobody chatted.
func (s stamp) local(o order) (seconds int64, ok bool) {
	midnight, ok := s.day(o)
	clock, valid := s.clock()
	if !ok || !valid || !s.full() {
		return 0, false
	}
	return midnight + clock, true
}

// day returns the start of the stamp's day.
func (s stamp) day(o order) (seconds int64, ok bool) {
	month, day := s.b, s.a
	if s.yearFirst || o == monthFirst {
		month, day = s.a, s.b
	}
	t := time.Date(s.year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	ok = s.hasDate && s.year >= 2000 && s.year < 2200 && t.Month() == time.Month(month) && t.Day() == day
	return t.Unix(), ok
}

// clock returns the seconds since midnight.
func (s stamp) clock() (seconds int64, ok bool) {
	hour := s.hour
	if s.half != "" {
		if hour < 1 || hour > 12 {
			return 0, false
		}
		hour %= 12
		if s.half == "pm" {
			hour += 12
		}
	}
	return int64(hour*3600 + s.min*60 + s.sec), s.hasTime && hour < 24 && s.min < 60 && s.sec < 60
}
