// This file reads single values: durations, sizes, rates, numbers.

package config

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Errors of values, as they follow "KEY: ".
var (
	errDuration = errors.New("write a number and a unit: 30s, 5m, 72h or 30d")
	errSize     = errors.New("write a number and a unit: 512KiB, 16MiB, 20GiB or 20GB")
	errRate     = errors.New("write a whole number per second, minute or hour: 10/s, 400/m or 5000/h")
)

var durationPart = regexp.MustCompile(`^(\d+(?:\.\d+)?)(ms|s|m|h|d|w)`)

var durationUnits = map[string]time.Duration{
	"ms": time.Millisecond, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour,
}

// parseDuration reads 30s, 1h30m, 30d. A day is 24 hours. 0 needs no unit.
func parseDuration(text string) (time.Duration, error) {
	if text == "0" {
		return 0, nil
	}
	var total time.Duration
	rest := text
	for rest != "" {
		m := durationPart.FindStringSubmatch(rest)
		if m == nil {
			return 0, errDuration
		}
		rest = rest[len(m[0]):]
		n, err := strconv.ParseFloat(m[1], 64)
		part := n * float64(durationUnits[m[2]])
		if err != nil || part+float64(total) > math.MaxInt64/2 {
			return 0, errDuration
		}
		total += time.Duration(part)
	}
	if text == "" {
		return 0, errDuration
	}
	return total, nil
}

// formatDuration is the shortest text that parseDuration reads as d.
func formatDuration(d time.Duration) string {
	switch {
	case d == 0:
		return "0s"
	case d%(24*time.Hour) == 0 && d > 3*24*time.Hour:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	case d%time.Hour == 0:
		return fmt.Sprintf("%dh", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d%time.Second == 0:
		return fmt.Sprintf("%ds", d/time.Second)
	case d%time.Millisecond == 0:
		return fmt.Sprintf("%dms", d/time.Millisecond)
	}
	return d.String()
}

var sizeText = regexp.MustCompile(`^(\d+(?:\.\d+)?) ?([A-Za-z]*)$`)

var sizeUnits = map[string]int64{
	"": 1, "B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
	"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
}

// UnmarshalText reads 4096, 16MiB, 20GB.
func (s *Size) UnmarshalText(text []byte) error {
	m := sizeText.FindStringSubmatch(string(text))
	if m == nil {
		return errSize
	}
	unit, ok := sizeUnits[m[2]]
	n, err := strconv.ParseFloat(m[1], 64)
	if !ok || err != nil || n*float64(unit) > math.MaxInt64/2 {
		return errSize
	}
	*s = Size(n * float64(unit))
	return nil
}

// String is the size in the unit that gives the smallest whole number.
func (s Size) String() string {
	least, unit := int64(s), ""
	for _, u := range []string{"kB", "KiB", "MB", "MiB", "GB", "GiB", "TB", "TiB"} {
		if n := sizeUnits[u]; int64(s) >= n && int64(s)%n == 0 && int64(s)/n < least {
			least, unit = int64(s)/n, u
		}
	}
	return strconv.FormatInt(least, 10) + unit
}

// MarshalText is String.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

var ratePer = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}

// UnmarshalText reads 10/s, 400/m, 5000/h.
func (r *Rate) UnmarshalText(text []byte) error {
	number, unit, _ := strings.Cut(string(text), "/")
	n, err := strconv.Atoi(number)
	per, ok := ratePer[unit]
	if err != nil || !ok || n < 1 {
		return errRate
	}
	*r = Rate{Count: n, Per: per}
	return nil
}

// String is the rate as it is written, "" for no limit.
func (r Rate) String() string {
	for unit, per := range ratePer {
		if r.Count > 0 && r.Per == per {
			return fmt.Sprintf("%d/%s", r.Count, unit)
		}
	}
	if r.Count == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%s", r.Count, r.Per)
}

// MarshalText is String.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// jsonNumber matches what JSON calls a number, see RFC 8259 section 6. YAML reads more as numbers: 0123 is 83 to it,
// +420777 loses its plus.
var jsonNumber = regexp.MustCompile(`^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$`)
