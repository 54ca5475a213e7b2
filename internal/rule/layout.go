// This file writes times in layouts: by names such as YYYY-MM-DD, or as in Go (2006-01-02).

package rule

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

const defaultLayout = "YYYY-MM-DD HH:mm"

type layoutName struct{ name, layout string }

// layoutNames are the names of a layout and what each means to Go, longest first.
var layoutNames = []layoutName{
	{"YYYY", "2006"},
	{"MMMM", "January"},
	{"dddd", "Monday"},
	{"MMM", "Jan"},
	{"ddd", "Mon"},
	{"SSS", ""},
	{"YY", "06"},
	{"MM", "01"},
	{"DD", "02"},
	{"HH", "15"},
	{"hh", "03"},
	{"mm", "04"},
	{"ss", "05"},
	{"ZZ", "-0700"},
	{"M", "1"},
	{"D", "2"},
	{"H", ""},
	{"h", "3"},
	{"m", "4"},
	{"s", "5"},
	{"A", "PM"},
	{"a", "pm"},
	{"Z", "-07:00"},
}

// marks tell a layout of names from one of Go: no Go layout has any of them.
var marks = []string{"YYYY", "YY", "MM", "DD", "HH", "hh", "mm", "ss", "ddd"}

// formatTime writes a time that is in its zone already. Text in [ ] stands for itself.
func formatTime(t time.Time, layout string) string {
	if !isNamed(layout) {
		return t.Format(layout)
	}
	var b strings.Builder
	for rest := layout; rest != ""; {
		if text, after, ok := strings.Cut(rest, "]"); ok && strings.HasPrefix(rest, "[") {
			b.WriteString(text[1:])
			rest = after
			continue
		}
		n := writeName(&b, t, rest)
		if n == 0 {
			b.WriteByte(rest[0])
			n = 1
		}
		rest = rest[n:]
	}
	return b.String()
}

func isNamed(layout string) bool {
	return slices.ContainsFunc(marks, func(m string) bool { return strings.Contains(layout, m) })
}

// vetLayout says what is wrong with a layout: "" and "" for nothing. A layout of Go's may hold words, one of names holds
// them in brackets, for most letters mean something.
func vetLayout(layout string) (text, hint string) {
	if !isNamed(layout) {
		if sample := time.Date(1987, 11, 26, 22, 37, 48, 0, time.UTC); strings.ContainsFunc(layout, isLatin) && sample.Format(layout) == layout {
			return fmt.Sprintf("nothing in %q stands for a part of a time", layout), layoutHint(layout)
		}
		return "", ""
	}
	wrong, half, noon, before := "", "", false, ""
	for rest := layout; rest != ""; {
		if _, after, ok := strings.Cut(rest, "]"); ok && strings.HasPrefix(rest, "[") {
			rest, before = after, ""
			continue
		}
		name := nameAt(rest)
		switch {
		case name == "" && isLatin(rune(rest[0])):
			if rest[0] == 'T' && before != "" && nameAt(rest[1:]) != "" { // 2026-11-03T10:00
				before, rest = "", rest[1:]
				continue
			}
			end := strings.IndexFunc(rest, func(c rune) bool { return !isLatin(c) })
			if end < 0 {
				end = len(rest)
			}
			if wrong == "" {
				wrong = rest[:end]
			}
			rest, before = rest[end:], ""
			continue
		case name == "":
			rest, before = rest[1:], ""
			continue
		case name == "hh" || name == "h":
			half = name
		case name == "A" || name == "a":
			noon = true
		}
		rest, before = rest[len(name):], name
	}
	switch {
	case wrong != "":
		return fmt.Sprintf("%q means nothing in a layout", wrong), layoutHint(layout)
	case half != "" && !noon:
		return fmt.Sprintf("%q is the hour of a clock with 12 hours, and nothing says which half of the day", half), "write HH, or add A for AM and PM"
	}
	return "", ""
}

func isLatin(c rune) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

// dateLetters is a layout of years, months and days only, in the letters of other languages.
var dateLetters = regexp.MustCompile(`^(?:[^A-Za-z]*(?:[yY]+|[mM]+|[dD]+))+[^A-Za-z]*$`)

// layoutHint says how to write a layout, word for word where it is of a date only.
func layoutHint(layout string) string {
	if !dateLetters.MatchString(layout) {
		return "write it with YYYY MM DD HH mm ss, and text in brackets: YYYY-MM-DD [at] HH:mm"
	}
	for letter, name := range map[string]string{"Y": "YYYY", "M": "MM", "D": "DD"} {
		layout = regexp.MustCompile("(?i)"+letter+"+").ReplaceAllStringFunc(layout, func(run string) string {
			if len(run) == 2 || letter == "M" && len(run) > 2 {
				return strings.ToUpper(run)
			}
			return name
		})
	}
	return "write " + strings.ReplaceAll(layout, "%", "")
}

// writeName writes the name at the start of rest and returns its length, 0 if there is none.
func writeName(b *strings.Builder, t time.Time, rest string) int {
	name := nameAt(rest)
	switch name {
	case "":
	case "SSS":
		fmt.Fprintf(b, "%03d", t.Nanosecond()/int(time.Millisecond))
	case "H":
		fmt.Fprint(b, t.Hour())
	default:
		i := slices.IndexFunc(layoutNames, func(n layoutName) bool { return n.name == name })
		b.WriteString(t.Format(layoutNames[i].layout))
	}
	return len(name)
}

// nameAt returns the name at the start of rest, "" if there is none.
func nameAt(rest string) string {
	for _, n := range layoutNames {
		if strings.HasPrefix(rest, n.name) {
			return n.name
		}
	}
	return ""
}

// loadZone loads an IANA time zone. Local is refused: a result must not depend on the machine.
func loadZone(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, fmt.Errorf("unknown time zone %q", name)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("load time zone: %w", err)
	}
	return zone, nil
}
