// This file reads and writes the search box: words and "phrases" of the text, and field:value for everything else. The
// same fields are query parameters of the API and of the pages.

package console

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
)

// QueryError is a mistake in what somebody searches for.
type QueryError struct {
	Term string // that is wrong
	Text string
	Hint string
}

func (e *QueryError) Error() string {
	if e.Hint == "" {
		return e.Text
	}
	return e.Text + "; " + e.Hint
}

// searchField is one field of the search box.
type searchField struct {
	name, doc string
	write     string // what values look like; "": any text
	set       func(f *ledger.Filter, value string, now time.Time) error
	get       func(f ledger.Filter) []string // values that set reads back; nil: nothing is selected by it
}

// about is what the description of the API says of the field.
func (f searchField) about() string {
	if f.write == "" {
		return f.doc
	}
	return f.doc + ": " + f.write
}

// texts is a field that any of several texts may match.
func texts(name, doc string, of func(f *ledger.Filter) *[]string, clean func(string) (string, error)) searchField {
	return searchField{
		name: name, doc: doc,
		set: func(f *ledger.Filter, value string, _ time.Time) error {
			if clean != nil {
				var err error
				if value, err = clean(value); err != nil {
					return err
				}
			}
			if list := of(f); !slices.Contains(*list, value) {
				*list = append(*list, value)
			}
			return nil
		},
		get: func(f ledger.Filter) []string { return *of(&f) },
	}
}

// instants is how a point in time is written.
const instants = "24h, 7d, 2026-11-01 or 2026-11-01T08:00:00Z"

// instant is a field that is a point in time.
func instant(name, doc string, of func(f *ledger.Filter) *time.Time) searchField {
	return searchField{
		name: name, doc: doc, write: instants,
		set: func(f *ledger.Filter, value string, now time.Time) error {
			at, err := parseInstant(value, now)
			*of(f) = at
			return err
		},
		get: func(f ledger.Filter) []string {
			if of(&f).IsZero() {
				return nil
			}
			return []string{formatInstant(*of(&f))}
		},
	}
}

// searchFields lists the fields, in the order in which they are written.
func searchFields() []searchField {
	return []searchField{
		texts("target", "name of a target", func(f *ledger.Filter) *[]string { return &f.Targets }, nil),
		{"state", "state of the delivery", "pending, delivered, dead, skipped or superseded", setState, getStates},
		texts("class", "class of the newest failure", func(f *ledger.Filter) *[]string { return &f.Classes }, nil),
		texts("route", "name of a route that the delivery was accepted under", func(f *ledger.Filter) *[]string { return &f.Routes }, nil),
		texts("from", "name of a source", func(f *ledger.Filter) *[]string { return &f.Sources }, nil),
		texts("brand", "brand", func(f *ledger.Filter) *[]string { return &f.Brands }, nil),
		{
			"outcome", "how it ended", "completed, missed, offline, dropped or unknown",
			texts("", "", func(f *ledger.Filter) *[]string { return &f.Outcomes }, cleanOutcome).set, func(f ledger.Filter) []string { return f.Outcomes },
		},
		{
			"email", "e-mail address of the visitor", "ada@example.com, its beginning ada, or a domain @example.com",
			texts("", "", func(f *ledger.Filter) *[]string { return &f.Emails }, cleanEmail).set, func(f ledger.Filter) []string { return f.Emails },
		},
		texts("id", "id of a conversation", func(f *ledger.Filter) *[]string { return &f.IDs }, nil),
		{
			"external_id", "the chat platform's id of the conversation", "conv_8f3a2b91c0, or its beginning with a * behind: conv_8f3*",
			texts("", "", func(f *ledger.Filter) *[]string { return &f.ExternalIDs }, cleanBeginning).set, func(f ledger.Filter) []string { return f.ExternalIDs },
		},
		texts("receipt", "the target's own id of what it holds, such as the number of a ticket", func(f *ledger.Filter) *[]string { return &f.Receipts }, cleanReceipt),
		{"rating", "rating by the visitor", "5, <3, or >=4", setRating, getRating},
		{"is", "no target gets it", "unrouted", setIs, getIs},
		instant("since", "came then or later", func(f *ledger.Filter) *time.Time { return &f.Since }),
		instant("until", "came before then", func(f *ledger.Filter) *time.Time { return &f.Until }),
		instant("failed_since", "its newest attempt failed then or later", func(f *ledger.Filter) *time.Time { return &f.FailedSince }),
		instant("failed_until", "its newest attempt failed before then", func(f *ledger.Filter) *time.Time { return &f.FailedUntil }),
	}
}

func searchNames() []string {
	var names []string
	for _, f := range searchFields() {
		names = append(names, f.name)
	}
	return names
}

// SearchHelp says in lines what can be searched for.
func SearchHelp() string {
	var out strings.Builder
	out.WriteString("A search is words and \"phrases\" of the text, ids of conversations and of receipts, and field:value; all of them must hold, of several values with commas between them any. The fields are\n\n")
	told := map[string]bool{}
	for _, f := range searchFields() {
		about := f.about()
		if told[f.write] {
			about = f.doc // once is enough
		}
		told[f.write] = true
		_, _ = fmt.Fprintf(&out, "\t%-13s %s\n", f.name, about)
	}
	return out.String()
}

// ParseQuery reads a search. Terms are separated by spaces, all must hold; of one field any of its values may match:
// target:help state:dead,pending rating:<3 route:"bad rating" refund "credit card". A word that is an id of ours is meant as
// one. now is what 24h counts from. The
// error is a *QueryError.
func ParseQuery(text string, now time.Time) (ledger.Filter, error) {
	var f ledger.Filter
	s := scanner{rest: text}
	for s.skipSpace() {
		name, ok := s.fieldName()
		if !ok {
			word, quoted, err := s.value(false)
			if err != nil {
				return f, err
			}
			if !quoted && chat.IsID(word) {
				_ = setField(&f, "id", word, now) // takes any text
				continue
			}
			if strings.TrimSpace(word) != "" || !quoted && word != "" {
				f.Text = append(f.Text, word)
			}
			continue
		}
		for {
			value, _, err := s.value(true)
			if err != nil {
				return f, err
			}
			if err := setField(&f, name, value, now); err != nil {
				return f, err
			}
			if !s.accept(',') {
				break
			}
		}
		if !s.atBreak() {
			return f, &QueryError{Term: name, Text: fmt.Sprintf("something follows a value of %s without a space", name), Hint: "put a space between the terms"}
		}
	}
	return f, nil
}

// setField selects by one field.
func setField(f *ledger.Filter, name, value string, now time.Time) error {
	fields := searchFields()
	i := slices.IndexFunc(fields, func(s searchField) bool { return s.name == name })
	if i < 0 {
		return unknownField(name)
	}
	if value == "" {
		return &QueryError{Term: name, Text: name + ": has no value", Hint: "write " + name + ": and behind it " + cmp.Or(fields[i].write, "the "+fields[i].doc)}
	}
	if err := fields[i].set(f, value, now); err != nil {
		if q, ok := errors.AsType[*QueryError](err); ok {
			return q
		}
		return &QueryError{Term: name, Text: fmt.Sprintf("%s: %s", name, err), Hint: "write " + fields[i].write}
	}
	return nil
}

func unknownField(name string) error {
	e := &QueryError{Term: name, Text: fmt.Sprintf("there is no field %q to search by", name)}
	e.Hint = "the fields are " + strings.Join(searchNames(), ", ") + "; put text with a colon into quotes"
	if near := nearest(name, searchNames()); near != "" {
		e.Hint = fmt.Sprintf("did you mean %s? ", near) + e.Hint
	}
	return e
}

// FormatQuery writes what ParseQuery reads back as the same filter.
func FormatQuery(f ledger.Filter) string {
	var terms []string
	for _, field := range searchFields() {
		for _, value := range field.get(f) {
			terms = append(terms, field.name+":"+quoteValue(value, true))
		}
	}
	for _, text := range f.Text {
		terms = append(terms, quoteValue(text, false))
	}
	return strings.Join(terms, " ")
}

// quoteValue puts a value into quotes where it would be read as something else.
func quoteValue(value string, ofField bool) string {
	plain := value != "" && !strings.ContainsFunc(value, func(r rune) bool { return unicode.IsSpace(r) || r == '"' || r == '\\' || ofField && r == ',' })
	if plain && !ofField {
		_, looksLikeField := (&scanner{rest: value}).fieldName()
		plain = !looksLikeField && !chat.IsID(value)
	}
	if plain {
		return value
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
}

// scanner goes through the text of a search.
type scanner struct{ rest string }

// skipSpace tells whether anything is left.
func (s *scanner) skipSpace() bool {
	s.rest = strings.TrimLeftFunc(s.rest, unicode.IsSpace)
	return s.rest != ""
}

func (s *scanner) accept(c byte) bool {
	if s.rest == "" || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

func (s *scanner) atBreak() bool {
	r, _ := utf8.DecodeRuneInString(s.rest)
	return s.rest == "" || unicode.IsSpace(r)
}

// fieldName takes "name:" if that comes next. An address such as https://… is text.
func (s *scanner) fieldName() (string, bool) {
	end := strings.IndexFunc(s.rest, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') })
	if end <= 0 || s.rest[end] != ':' || strings.HasPrefix(s.rest[end+1:], "//") {
		return "", false
	}
	name := strings.ToLower(s.rest[:end])
	s.rest = s.rest[end+1:]
	return name, true
}

// value takes a text in quotes, or else all up to the next space or, in a list, comma.
func (s *scanner) value(inList bool) (text string, quoted bool, err error) {
	return s.until(func(r rune) bool { return unicode.IsSpace(r) || inList && r == ',' })
}

// item takes a text in quotes, or else all up to the next comma.
func (s *scanner) item() (text string, quoted bool, err error) {
	return s.until(func(r rune) bool { return r == ',' })
}

// until takes a text in quotes, or else all up to where it ends.
func (s *scanner) until(ends func(rune) bool) (text string, quoted bool, err error) {
	if !s.accept('"') {
		end := strings.IndexFunc(s.rest, ends)
		if end < 0 {
			end = len(s.rest)
		}
		text, s.rest = s.rest[:end], s.rest[end:]
		return text, false, nil
	}
	var out strings.Builder
	for i := 0; i < len(s.rest); i++ {
		switch c := s.rest[i]; {
		case c == '"':
			s.rest = s.rest[i+1:]
			return out.String(), true, nil
		case c == '\\' && i+1 < len(s.rest) && (s.rest[i+1] == '"' || s.rest[i+1] == '\\'):
			i++
			out.WriteByte(s.rest[i])
		default:
			out.WriteByte(c)
		}
	}
	return "", true, &QueryError{Term: s.rest, Text: "a quote is not closed", Hint: `write "the whole phrase"`}
}

func setState(f *ledger.Filter, value string, _ time.Time) error {
	for s := ledger.Pending; s <= ledger.Superseded; s++ {
		if s.String() == strings.ToLower(value) {
			if !slices.Contains(f.States, s) {
				f.States = append(f.States, s)
			}
			return nil
		}
	}
	return fmt.Errorf("%q is no state", value)
}

func getStates(f ledger.Filter) []string {
	var out []string
	for _, s := range f.States {
		out = append(out, s.String())
	}
	return out
}

func cleanOutcome(value string) (string, error) {
	value = strings.ToLower(value)
	if !slices.Contains(chat.Outcomes(), chat.Outcome(value)) {
		return "", fmt.Errorf("%q is no outcome", value)
	}
	return value, nil
}

// cleanBeginning takes a text with a * behind it as its beginning.
func cleanBeginning(value string) (string, error) {
	if strings.Trim(value, "*") == "" {
		return "", fmt.Errorf("%q is the beginning of everything", value)
	}
	return value, nil
}

func cleanEmail(value string) (string, error) {
	value = strings.ToLower(value)
	switch text := strings.TrimSuffix(value, "*"); {
	case text == "" || text == "@":
		return "", fmt.Errorf("%q is a part of every address", value)
	case strings.Contains(text, "*"):
		return "", fmt.Errorf("%q has a * that is not at its end", value)
	}
	return value, nil
}

// cleanReceipt takes a ticket as people write it: #4711.
func cleanReceipt(value string) (string, error) {
	if id := strings.TrimPrefix(value, "#"); id != "" {
		return id, nil
	}
	return value, nil
}

func setIs(f *ledger.Filter, value string, _ time.Time) error {
	if strings.ToLower(value) != "unrouted" {
		return fmt.Errorf("%q is not known", value)
	}
	f.Unrouted = true
	return nil
}

func getIs(f ledger.Filter) []string {
	if f.Unrouted {
		return []string{"unrouted"}
	}
	return nil
}

// setRating narrows the range: rating:>=2 rating:<4 is from 2 to below 4.
func setRating(f *ledger.Filter, value string, _ time.Time) error {
	number := strings.TrimLeft(value, "<>=")
	sign := value[:len(value)-len(number)]
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
		return fmt.Errorf("%q is no rating", value)
	}
	n += 0 // -0 is 0
	atLeast := func(n float64) {
		if f.MinRating == nil || *f.MinRating < n {
			f.MinRating = &n
		}
	}
	atMost := func(n float64) {
		if f.MaxRating == nil || *f.MaxRating > n {
			f.MaxRating = &n
		}
	}
	switch sign {
	case "", "=":
		atLeast(n)
		atMost(n)
	case "<":
		atMost(math.Nextafter(n, math.Inf(-1)))
	case "<=":
		atMost(n)
	case ">":
		atLeast(math.Nextafter(n, math.Inf(1)))
	case ">=":
		atLeast(n)
	default:
		return fmt.Errorf("%q is no comparison", sign)
	}
	return nil
}

func getRating(f ledger.Filter) []string {
	if f.MinRating != nil && f.MaxRating != nil && *f.MinRating == *f.MaxRating {
		return []string{formatNumber(*f.MinRating)}
	}
	var out []string
	if f.MinRating != nil {
		out = append(out, bound(">", *f.MinRating, -1))
	}
	if f.MaxRating != nil {
		out = append(out, bound("<", *f.MaxRating, 1))
	}
	return out
}

// bound writes a limit of a range: as "<3" rather than as the number just below 3. outward is the side of that.
func bound(sign string, n float64, outward int) string {
	if next := math.Nextafter(n, math.Inf(outward)); len(formatNumber(next)) < len(formatNumber(n)) {
		return sign + formatNumber(next)
	}
	return sign + "=" + formatNumber(n)
}

func formatNumber(n float64) string { return strconv.FormatFloat(n, 'g', -1, 64) }

// parseInstant reads 24h, 7d, 2w (so long before now), a day (its begin in UTC) or a time with its zone.
func parseInstant(value string, now time.Time) (time.Time, error) {
	if at, err := time.Parse(time.DateOnly, value); err == nil {
		return at, nil
	}
	if at, err := time.Parse(time.RFC3339Nano, value); err == nil {
		at = at.UTC()
		if at.Year() < 1 || at.Year() > 9999 || at.IsZero() {
			return time.Time{}, fmt.Errorf("%q is out of range", value)
		}
		return at, nil
	}
	text, days := value, 0
	for _, unit := range []struct {
		name string
		days int
	}{{"w", 7}, {"d", 1}} {
		if before, after, ok := strings.Cut(text, unit.name); ok {
			n, err := strconv.ParseUint(before, 10, 16)
			if err != nil {
				return time.Time{}, fmt.Errorf("%q is no time", value)
			}
			text, days = after, days+int(n)*unit.days
		}
	}
	ago := time.Duration(0)
	if text != "" || days == 0 && value == "" {
		var err error
		if ago, err = time.ParseDuration(text); err != nil || ago < 0 {
			return time.Time{}, fmt.Errorf("%q is no time", value)
		}
	}
	at := now.Add(-ago).AddDate(0, 0, -days).UTC().Round(0)
	if at.Year() < 1 || at.IsZero() {
		return time.Time{}, fmt.Errorf("%q is out of range", value)
	}
	return at, nil
}

func formatInstant(at time.Time) string {
	at = at.UTC()
	if at.Equal(at.Truncate(24 * time.Hour)) {
		return at.Format(time.DateOnly)
	}
	return at.Format(time.RFC3339Nano)
}

// nearest returns the word that is likely meant, "" if none is near.
func nearest(word string, known []string) string {
	best, least := "", 1+max(1, len(word)/3)
	for _, k := range known {
		if d := distance(word, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is the number of letters inserted, left out or replaced, or of neighbours that changed places.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		before, last, row = last, row, before
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
	}
	return row[len(b)]
}
