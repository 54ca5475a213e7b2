// This file holds the words that templates use: times, numbers, states, addresses.

package page

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/afterchat/afterchat/internal/ledger"
)

var functions = template.FuncMap{
	"asset":        func(name string) string { return files().urls[name] },
	"ago":          ago,
	"clock":        func(t time.Time) string { return t.UTC().Format("15:04:05") },
	"stamp":        func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") + " UTC" },
	"iso":          func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) },
	"number":       number,
	"size":         size,
	"short":        short,
	"keep":         with,
	"took":         func(d time.Duration) string { return span(d) },
	"brief":        brief,
	"stars":        stars,
	"pretty":       pretty,
	"join":         strings.Join,
	"path":         url.PathEscape,
	"signed":       func(s ledger.State) string { return s.String() },
	"add":          func(a, b int) int { return a + b },
	"tab":          tabOf,
	"next":         func(v url.Values, cursor string) string { return with(v, "cursor", cursor) },
	"groups":       func(f Frame, g []ledger.Failure) failureGroups { return failureGroups{f, g, f.Operates()} },
	"told":         func(f Frame, g []ledger.Failure) failureGroups { return failureGroups{f, g, false} },
	"deliveriesOf": func(base string, rows []ledger.DeliveryRow) deliveriesOf { return deliveriesOf{base, rows} },
	"ranges":       func() []string { return Ranges },
	"depth":        func(n int) string { return "d" + strconv.Itoa(min(n, 6)) },
}

// Ranges are the spans of time that the overview can show.
var Ranges = []string{"1h", "24h", "7d"}

type tab struct {
	Link, Text string
	On         bool
}

// tabOf is one page in the navigation.
func tabOf(v interface{ frame() Frame }, name, link, text string) tab {
	f := v.frame()
	return tab{Link: f.Base + link, Text: text, On: f.Active == name}
}

type failureGroups struct {
	Frame
	Groups  []ledger.Failure
	Replays bool // offers to replay them
}

type deliveriesOf struct {
	Base string
	Rows []ledger.DeliveryRow
}

// ago is a time as people say it, with the exact one beside it.
func ago(now, t time.Time) template.HTML {
	if t.IsZero() {
		return `<span class="never">never</span>`
	}
	words := ""
	switch d := now.Sub(t); {
	case d > -time.Second && d < time.Second:
		words = "now"
	case d < 0:
		words = "in " + span(-d)
	default:
		words = span(d) + " ago"
	}
	//nolint:gosec // both texts are made of digits and letters of our own
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s">%s</time>`,
		t.UTC().Format(time.RFC3339), t.UTC().Format("2006-01-02 15:04:05")+" UTC", words))
}

// Span is a length of time as the pages write it.
func Span(d time.Duration) string { return span(d) }

// span is a length of time in its largest unit, or its two largest below a minute and a day.
func span(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return "less than 1 ms"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		if minutes := int(d.Minutes()) % 60; minutes != 0 && d < 10*time.Hour {
			return fmt.Sprintf("%d h %d min", int(d.Hours()), minutes)
		}
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// brief is a short length of time.
func brief(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return "<1 ms"
	case d >= time.Second && d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return span(d)
}

// number groups the digits: 1,234,567.
func number(n any) string {
	digits := fmt.Sprint(n)
	sign := ""
	if strings.HasPrefix(digits, "-") {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// size is a number of bytes in its unit.
func size(n any) string {
	bytes, err := strconv.ParseFloat(fmt.Sprint(n), 64)
	if err != nil {
		return fmt.Sprint(n)
	}
	for _, unit := range []string{"B", "KiB", "MiB", "GiB"} {
		if bytes < 1024 {
			return strings.TrimSuffix(strconv.FormatFloat(bytes, 'f', 1, 64), ".0") + " " + unit
		}
		bytes /= 1024
	}
	return strconv.FormatFloat(bytes, 'f', 1, 64) + " TiB"
}

// short is the beginning of an id.
func short(id string) string {
	if len(id) <= 12 {
		return id
	}
	return id[:10] + "…"
}

// with is a filter with one field set to a value, or without it for "". The cursor goes, for it is of another list.
func with(filter url.Values, pairs ...string) string {
	out := url.Values{}
	for key, values := range filter {
		if key != "cursor" {
			out[key] = slices.Clone(values)
		}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			out.Del(pairs[i])
		} else {
			out.Set(pairs[i], pairs[i+1])
		}
	}
	if len(out) == 0 {
		return "?"
	}
	return "?" + out.Encode()
}

// visible shows the characters that steer a display instead of obeying them: what visitors write is hostile, on every
// page. The marks that right-to-left text needs between words stay. Lines that end as forms and Windows end them are
// lines.
func visible(page []byte) []byte {
	page = bytes.ReplaceAll(page, []byte("\r\n"), []byte("\n"))
	return bytes.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return utf8.RuneError
		}
		return r
	}, page)
}

func stars(rating *float64) string {
	if rating == nil {
		return ""
	}
	return strconv.FormatFloat(*rating, 'f', -1, 64) + "/5"
}

// pretty indents JSON and leaves its numbers and the order of its keys alone; other text stays as it is.
func pretty(text string) string {
	var out bytes.Buffer
	if json.Indent(&out, []byte(text), "", "  ") != nil {
		return text
	}
	return out.String()
}
