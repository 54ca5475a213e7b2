// This file writes values for people: a line for what is short, an indented block for what is nested, and the size of
// what is too long to show.

package cmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// bounds say how much of a value is shown.
type bounds struct {
	width   int // characters of a line
	lines   int // of a text
	items   int // of a list
	records int // of a list of mappings, which take several lines each
}

const unbounded = math.MaxInt

// upTo is how many of n are shown where most are: all, when saying that one is left out would take its place.
func upTo(most, n int) int {
	if n-1 <= most {
		return n
	}
	return most
}

// oneLine is a text on one line, shortened.
func (b bounds) oneLine(s string) string { return b.shorten(strings.Join(strings.Fields(s), " ")) }

// shorten cuts a line.
func (b bounds) shorten(s string) string {
	if utf8.RuneCountInString(s) <= b.width {
		return s
	}
	return string([]rune(s)[:b.width]) + "…"
}

// printable replaces what a terminal would obey: what visitors write is shown, never run.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		steers := unicode.IsControl(r) && r != '\n' && r != '\t'
		if steers || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return utf8.RuneError
		}
		return r
	}, s)
}

// sheet writes values.
type sheet struct {
	text *strings.Builder
	bounds
	order map[string]int // of paths with dots
	loose bool           // a path counts as known if its end is: ticket.subject if subject is
}

// rank is the place of a path in the order.
func (s sheet) rank(path string) (at int, known bool) {
	for {
		if at, known = s.order[path]; known || !s.loose {
			return at, known
		}
		_, inner, nested := strings.Cut(path, ".")
		if !nested {
			return 0, false
		}
		path = inner
	}
}

// plain turns a value into what a sheet writes: nil, bool, number, string, []any, map[string]any. The keys of records
// come in the order of their JSON, behind those whose order is known.
func (s sheet) plain(v any, path string) any {
	switch v := v.(type) {
	case nil, bool, string, int64, float64, json.Number:
		return v
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, item := range v {
			out[key] = s.plain(item, inside(path, key))
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = s.plain(item, path)
		}
		return out
	}
	decoder := json.NewDecoder(strings.NewReader(compactJSON(v)))
	decoder.UseNumber()
	out, err := s.decode(decoder, path)
	if err != nil {
		return fmt.Sprint(v)
	}
	return out
}

// decode reads one JSON value and notes the order of its keys.
func (s sheet) decode(d *json.Decoder, path string) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		out := map[string]any{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			name := fmt.Sprint(key)
			at := inside(path, name)
			if _, known := s.rank(at); !known {
				s.order[at] = len(s.order)
			}
			if out[name], err = s.decode(d, at); err != nil {
				return nil, err
			}
		}
		_, err = d.Token()
		return out, err
	case json.Delim('['):
		out := []any{}
		for d.More() {
			item, err := s.decode(d, path)
			if err != nil {
				return nil, err
			}
			out = append(out, item)
		}
		_, err = d.Token()
		return out, err
	}
	return token, nil
}

// mapping writes keys and values: in the order of the mapping; those that it does not name by name, short ones above
// long ones.
func (s sheet) mapping(m map[string]any, path string, indent int) {
	rank := func(key string) int {
		if at, named := s.rank(inside(path, key)); named {
			return at
		}
		if _, ok := s.short(m[key]); ok {
			return len(s.order)
		}
		return len(s.order) + 1
	}
	keys := slices.SortedStableFunc(slices.Values(slices.Sorted(maps.Keys(m))), func(a, b string) int { return rank(a) - rank(b) })
	for _, key := range keys {
		s.entry(strings.Repeat(" ", indent)+key+":", m[key], inside(path, key), indent+2)
	}
}

func inside(path, key string) string { return strings.TrimPrefix(path+"."+key, ".") }

// entry writes a value behind a lead, which is a key or the hyphen of an item. What needs further lines is indented.
func (s sheet) entry(lead string, v any, path string, indent int) {
	if short, ok := s.short(v); ok {
		s.line(lead + " " + short)
		return
	}
	switch v := v.(type) {
	case string:
		s.long(lead, v, indent)
	case []any:
		s.line(fmt.Sprintf("%s (%s)", lead, count(len(v), "item")))
		most := s.items
		if _, record := v[0].(map[string]any); record {
			most = min(most, s.records)
		}
		shown := upTo(most, len(v))
		for _, item := range v[:shown] {
			s.item(item, path, indent)
		}
		if more := len(v) - shown; more > 0 {
			s.line(fmt.Sprintf("%s… and %d more", strings.Repeat(" ", indent), more))
		}
	case map[string]any:
		s.line(lead)
		s.mapping(v, path, indent)
	}
}

// item writes an item of a list: the first key of a mapping stands behind its hyphen.
func (s sheet) item(v any, path string, indent int) {
	hyphen := strings.Repeat(" ", indent) + "-"
	m, ok := v.(map[string]any)
	if !ok || len(m) == 0 {
		s.entry(hyphen, v, path, indent+2)
		return
	}
	var inner strings.Builder
	sheet{text: &inner, bounds: s.bounds, order: s.order, loose: s.loose}.mapping(m, path, indent+2)
	s.text.WriteString(hyphen + inner.String()[len(hyphen):])
}

// long writes a text of several lines, or one that is too long for a line.
func (s sheet) long(lead, text string, indent int) {
	size := count(utf8.RuneCountInString(text), "character")
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) == 1 {
		if short := s.shorten(lines[0]); short != lines[0] {
			s.line(fmt.Sprintf("%s %s (%s)", lead, short, size))
			return
		}
		s.line(lead + " " + s.scalar(lines[0]))
		return
	}
	s.line(fmt.Sprintf("%s (%d lines, %s)", lead, len(lines), size))
	shown := upTo(s.lines, len(lines))
	for _, line := range lines[:shown] {
		s.line(strings.Repeat(" ", indent) + s.shorten(line))
	}
	if more := len(lines) - shown; more > 0 {
		s.line(fmt.Sprintf("%s… and %d more lines", strings.Repeat(" ", indent), more))
	}
}

func (s sheet) line(text string) { s.text.WriteString(strings.TrimRight(text, " ") + "\n") }

// short is a value on one line, if it is short enough.
func (s sheet) short(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		if strings.ContainsRune(v, '\n') || utf8.RuneCountInString(v) > s.width {
			return "", false
		}
		return s.scalar(v), true
	case map[string]any:
		return "{}", len(v) == 0
	case []any:
		parts := make([]string, len(v))
		for i, item := range v {
			if m, nested := item.(map[string]any); nested && len(m) > 0 {
				return "", false
			}
			part, ok := s.short(item)
			if !ok {
				return "", false
			}
			parts[i] = part
		}
		text := "[" + strings.Join(parts, ", ") + "]"
		return text, utf8.RuneCountInString(text) <= s.width
	}
	return compactJSON(v), true
}

// scalar is a text as it is, in quotes where it would look like something else.
func (s sheet) scalar(text string) string {
	if text == "" || text != strings.TrimSpace(text) || looksTyped.MatchString(text) || strings.ContainsAny(text[:1], "[{\"'") {
		return compactJSON(text)
	}
	return s.shorten(text)
}

// looksTyped is a text that is easily taken for a number, a boolean or null.
var looksTyped = regexp.MustCompile(`^(true|false|null|-?\d+(\.\d+)?([eE][-+]?\d+)?)$`)

func compactJSON(v any) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
