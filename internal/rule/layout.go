// This file writes times in layouts: by names such as YYYY-MM-DD, or as in Go (2006-01-02).

package rule

import (
	"fmt"
	"strings"
	"time"
)

const defaultLayout = "YYYY-MM-DD HH:mm"

// layoutNames are the names of a layout and what each means to Go, longest first.
var layoutNames = []struct{ name, layout string }{
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
	{"Z", "-07:00"},
}

// marks tell a layout of names from one of Go: no Go layout has any of them.
var marks = []string{"YYYY", "YY", "MM", "DD", "HH", "hh", "mm", "ss", "ddd"}

// formatTime writes a time that is in its zone already. Text in [ ] stands for itself.
func formatTime(t time.Time, layout string) string {
	named := false
	for _, m := range marks {
		named = named || strings.Contains(layout, m)
	}
	if !named {
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

// writeName writes the name at the start of rest and returns its length, 0 if there is none.
func writeName(b *strings.Builder, t time.Time, rest string) int {
	for _, n := range layoutNames {
		if !strings.HasPrefix(rest, n.name) {
			continue
		}
		switch n.name {
		case "SSS":
			fmt.Fprintf(b, "%03d", t.Nanosecond()/int(time.Millisecond))
		case "H":
			fmt.Fprint(b, t.Hour())
		default:
			b.WriteString(t.Format(n.layout))
		}
		return len(n.name)
	}
	return 0
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
