// This file reads times. The vendor sends Unix milliseconds; seconds, fractions and text are read too.

package smartsupp

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
)

// reading says how a time was read.
type reading int

const (
	readAbsent  reading = iota // nothing there: null, "", 0, 0000-00-00
	readNumber                 // Unix time
	readText                   // ISO 8601
	readNoZone                 // ISO 8601 without a zone
	readNothing                // something that is no time
)

// earliest is the earliest Unix second that is believed, in March 1973. Below it lie 1970 and small numbers.
const earliest = 1e8

// farFuture is the year from which on a time is believed only where it was sent.
const farFuture = 2100

// farFutureMillis is less than the beginning of that year, in Unix milliseconds.
const farFutureMillis = 4e12

// time takes a time. stamp is what was sent if that was text other than digits. An unreadable time stays, with a warning.
func (o object) time(key string, zone *time.Location) (at time.Time, stamp string) {
	if n, ok := o.fields.Get(key).(json.Number); ok { // as nearly all are sent
		if ms, err := strconv.ParseInt(string(n), 10, 64); err == nil && ms >= 1e11 && ms < farFutureMillis {
			o.fields.Delete(key)
			return time.UnixMilli(ms).UTC(), ""
		}
	}
	s, ok := scalar(o.fields.Get(key))
	if !ok {
		o.odd(key, "is no time")
		return time.Time{}, ""
	}
	s = chat.CleanLine(s)
	at, how := instant(s, zone)
	switch how {
	case readNothing:
		o.warn(o.place + key + " is no time; kept as sent")
		if decimal(s) {
			return time.Time{}, ""
		}
		return time.Time{}, s
	case readNoZone:
		if zone == nil {
			o.warn(o.place + key + " has no time zone; read as UTC")
		}
		stamp = s
	case readText:
		stamp = s
	}
	if at.Year() >= farFuture {
		o.warn(o.place + key + " is far in the future; kept as sent")
	}
	o.fields.Delete(key)
	return at, stamp
}

// instant reads a time: Unix seconds, milliseconds, microseconds or nanoseconds by magnitude, or ISO 8601. zone is for
// text without one; nil is UTC.
func instant(s string, zone *time.Location) (time.Time, reading) {
	switch {
	case strings.Trim(s, "0-:+./ TZ") == "":
		return time.Time{}, readAbsent
	case len(s) > 64:
		return time.Time{}, readNothing
	case decimal(s):
		return unix(s)
	}
	for _, layout := range []string{
		time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04Z07:00",
		"2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 Z0700", time.RFC1123Z,
	} {
		if at, err := time.Parse(layout, s); err == nil {
			return believed(at, readText)
		}
	}
	if zone == nil {
		zone = time.UTC
	}
	for _, layout := range []string{"2006-01-02T15:04:05", time.DateTime, "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if at, err := time.ParseInLocation(layout, s, zone); err == nil {
			return believed(at, readNoZone)
		}
	}
	return time.Time{}, readNothing
}

// unix reads a number. The powers of ten between the units are far from any real time in the next unit.
func unix(s string) (time.Time, reading) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		switch {
		case n < earliest:
			return time.Time{}, readNothing
		case n < 1e11:
			return time.Unix(n, 0).UTC(), readNumber
		case n < 1e14:
			return time.UnixMilli(n).UTC(), readNumber
		case n < 1e17:
			return time.UnixMicro(n).UTC(), readNumber
		}
		return time.Unix(0, n).UTC(), readNumber
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f < earliest || f >= 1<<63 {
		return time.Time{}, readNothing
	}
	for f >= 1e11 {
		f /= 1e3
	}
	return time.UnixMicro(int64(math.Round(f * 1e6))).UTC(), readNumber
}

func believed(at time.Time, how reading) (time.Time, reading) {
	if at.Unix() < earliest || at.UTC().Year() > 9999 {
		return time.Time{}, readNothing
	}
	return at.UTC(), how
}
