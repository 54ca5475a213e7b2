// This file reads durations in every form that a form field or a clock may give them.

package proprofs

import (
	"strconv"
	"strings"
)

// maxDuration bounds durations, in seconds.
const maxDuration = 366 * day

// readDuration reads a duration: 15, "15", "00:00:15", "1:05", "15 sec", "1h 2m 3s". nil if it is none.
func readDuration(text string) *float64 {
	total, ok := 0.0, false
	if strings.Contains(text, ":") {
		total, ok = clockDuration(text)
	} else {
		total, ok = unitDuration(strings.ToLower(text))
	}
	if !ok || total > maxDuration {
		return nil
	}
	return &total
}

func clockDuration(text string) (total float64, ok bool) {
	parts := strings.Split(text, ":")
	for i, part := range parts {
		n, err := strconv.ParseUint(strings.TrimSpace(part), 10, 32)
		if err != nil || i > 0 && n > 59 {
			return 0, false
		}
		total = total*60 + float64(n)
	}
	return total, len(parts) <= 3
}

var unitSeconds = map[string]float64{
	"": 1, "s": 1, "sec": 1, "secs": 1, "second": 1, "seconds": 1,
	"m": 60, "min": 60, "mins": 60, "minute": 60, "minutes": 60,
	"h": 3600, "hr": 3600, "hrs": 3600, "hour": 3600, "hours": 3600,
}

func unitDuration(text string) (total float64, ok bool) {
	for rest := strings.TrimSpace(text); rest != ""; {
		number := leading(rest, func(r rune) bool { return r >= '0' && r <= '9' || r == '.' })
		rest = strings.TrimSpace(rest[len(number):])
		unit := leading(rest, func(r rune) bool { return r >= 'a' && r <= 'z' })
		rest = strings.TrimLeft(rest[len(unit):], " ,.")
		n, err := strconv.ParseFloat(number, 64)
		seconds, known := unitSeconds[unit]
		if err != nil || !known || unit == "" && (ok || rest != "") {
			return 0, false
		}
		total, ok = total+n*seconds, true
	}
	return total, ok
}
