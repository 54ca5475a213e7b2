// This file encodes conversations as encoding/json does, byte for byte, without reflection: every hook and every delivery
// is encoded once at least.

package chat

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// JSON is c as a json.Encoder with SetEscapeHTML(false) writes it, but for its line feed. It fails where that does: over
// an extra value that is no JSON.
func (c *Conversation) JSON() ([]byte, error) {
	return c.appendJSON(make([]byte, 0, c.jsonSize()), false)
}

// AppendOrigin appends a JSON object of where c came from: Source, Brand, ReceivedAt and Warnings, which are no part of
// its Content. It fails on a time that JSON cannot hold.
func (c *Conversation) AppendOrigin(b []byte) ([]byte, error) {
	e := encoder{b: append(b, '{'), escapeHTML: true}
	e.member("source", c.Source)
	e.optional("brand", c.Brand)
	e.instant("received_at", c.ReceivedAt)
	if len(c.Warnings) > 0 {
		e.key("warnings")
		e.other(c.Warnings)
	}
	return append(e.b, '}'), e.err
}

// appendJSON appends c as JSON: what json.Marshal makes of it, or the same without escapes of < > &.
func (c *Conversation) appendJSON(b []byte, escapeHTML bool) ([]byte, error) {
	e := encoder{b: b, escapeHTML: escapeHTML}
	e.conversation(c)
	return e.b, e.err
}

// jsonSize is about how many bytes appendJSON appends, so that they are not copied while they grow.
func (c *Conversation) jsonSize() int {
	size := 1280 // with room for what a ledger adds
	for i := range c.Messages {
		m := &c.Messages[i]
		size += 160 + len(m.Text) + len(m.Text)/16 + len(m.Author) + len(m.AuthorID) + len(m.Trigger) + len(m.Event) + 256*len(m.Files)
	}
	if t := c.Transcript; t != nil {
		size += (len(t.Text) + len(t.HTML) + len(t.Markdown)) * 17 / 16
	}
	return size + 160*len(c.Pages)
}

// encoder keeps the first error.
type encoder struct {
	b          []byte
	escapeHTML bool
	err        error
}

// key begins a member of an object. No value ends with an opening brace.
func (e *encoder) key(name string) {
	if e.b[len(e.b)-1] != '{' {
		e.b = append(e.b, ',')
	}
	e.b = append(append(append(e.b, '"'), name...), '"', ':')
}

func (e *encoder) member(name, value string) {
	e.key(name)
	e.text(value)
}

// optional is a member that is left out when it is empty.
func (e *encoder) optional(name, value string) {
	if value != "" {
		e.member(name, value)
	}
}

func (e *encoder) instant(name string, t time.Time) {
	if t.IsZero() {
		return
	}
	e.key(name)
	e.b = append(e.b, '"')
	b, err := appendInstant(e.b, t)
	if err != nil {
		e.other(t) // for its error
		return
	}
	e.b = append(b, '"')
}

// appendInstant is t.AppendText, which is several times as slow for what nearly all times are: of UTC, in milliseconds.
func appendInstant(b []byte, t time.Time) ([]byte, error) {
	year, month, day := t.Date()
	nanosecond := t.Nanosecond()
	if t.Location() != time.UTC || year < 1000 || year > 9999 || nanosecond%int(time.Millisecond) != 0 {
		return t.AppendText(b)
	}
	hour, minute, second := t.Clock()
	b = appendTwo(appendTwo(b, year/100), year%100)
	b = appendTwo(append(b, '-'), int(month))
	b = appendTwo(append(b, '-'), day)
	b = appendTwo(append(b, 'T'), hour)
	b = appendTwo(append(b, ':'), minute)
	b = appendTwo(append(b, ':'), second)
	if fraction := nanosecond / int(time.Millisecond); fraction != 0 {
		b = append(appendTwo(append(b, '.'), fraction/10), byte('0'+fraction%10))
		b = bytes.TrimRight(b, "0")
	}
	return append(b, 'Z'), nil
}

// appendTwo appends a number as two digits.
func appendTwo(b []byte, n int) []byte { return append(b, byte('0'+n/10), byte('0'+n%10)) }

func (e *encoder) number(name string, f *float64) {
	if f == nil {
		return
	}
	e.key(name)
	if size := math.Abs(*f); size != 0 && (size < 1e-6 || size >= 1e21) || math.IsNaN(*f) {
		e.other(*f)
		return
	}
	e.b = strconv.AppendFloat(e.b, *f, 'f', -1, 64)
}

func (e *encoder) flag(name string, set *bool) {
	if set != nil {
		e.key(name)
		e.b = strconv.AppendBool(e.b, *set)
	}
}

// other leaves a value to encoding/json.
func (e *encoder) other(v any) {
	var b bytes.Buffer
	slow := json.NewEncoder(&b)
	slow.SetEscapeHTML(e.escapeHTML)
	if err := slow.Encode(v); err != nil {
		if e.err == nil {
			e.err = err
		}
		return
	}
	e.b = append(e.b, bytes.TrimSuffix(b.Bytes(), []byte("\n"))...)
}

// list encodes a list that is not left out; nil is null.
func list[T any](e *encoder, name string, items []T, each func(*T)) {
	e.key(name)
	if items == nil {
		e.b = append(e.b, "null"...)
		return
	}
	e.b = append(e.b, '[')
	for i := range items {
		if i > 0 {
			e.b = append(e.b, ',')
		}
		e.b = append(e.b, '{')
		each(&items[i])
		e.b = append(e.b, '}')
	}
	e.b = append(e.b, ']')
}

func (e *encoder) conversation(c *Conversation) {
	e.b = append(e.b, '{')
	e.member("id", c.ID)
	e.member("source", c.Source)
	e.member("platform", c.Platform)
	e.optional("brand", c.Brand)
	e.optional("account", c.Account)
	e.optional("external_id", c.ExternalID)
	e.key("revision")
	e.b = strconv.AppendInt(e.b, int64(c.Revision), 10)
	e.member("outcome", string(c.Outcome))
	e.flags(&c.Flags)
	e.instant("started_at", c.StartedAt)
	e.instant("ended_at", c.EndedAt)
	e.instant("received_at", c.ReceivedAt)
	e.number("duration_seconds", c.DurationSeconds)
	e.number("first_response_seconds", c.FirstResponseSeconds)
	e.number("avg_response_seconds", c.AvgResponseSeconds)
	e.number("rating", c.Rating)
	e.optional("rating_comment", c.RatingComment)
	e.optional("question", c.Question)
	e.optional("language", c.Language)
	e.person(&c.Person)
	list(e, "agents", c.Agents, func(a *Author) {
		e.optional("id", a.ID)
		e.optional("name", a.Name)
	})
	list(e, "messages", c.Messages, e.message)
	list(e, "pages", c.Pages, func(p *Page) {
		e.optional("url", p.URL)
		e.optional("title", p.Title)
	})
	if len(c.Extra) > 0 {
		e.key("extra")
		e.other(c.Extra)
	}
	if len(c.Warnings) > 0 {
		e.key("warnings")
		e.other(c.Warnings)
	}
	if t := c.Transcript; t != nil {
		e.key("transcript")
		e.b = append(e.b, '{')
		e.member("text", t.Text)
		e.member("html", string(t.HTML))
		e.member("markdown", t.Markdown)
		e.b = append(e.b, '}')
	}
	e.b = append(e.b, '}')
}

func (e *encoder) flags(f *Flags) {
	e.key("flags")
	e.b = append(e.b, '{')
	e.flag("chat", f.Chat)
	e.flag("missed", f.Missed)
	e.flag("triggered", f.Triggered)
	e.flag("offline", f.Offline)
	e.flag("completed", f.Completed)
	e.flag("dropped", f.Dropped)
	e.b = append(e.b, '}')
}

func (e *encoder) person(p *Person) {
	e.key("visitor")
	e.b = append(e.b, '{')
	e.optional("id", p.ID)
	e.optional("name", p.Name)
	e.optional("email", p.Email)
	e.optional("email_raw", p.EmailRaw)
	e.optional("phone", p.Phone)
	e.optional("note", p.Note)
	e.optional("group", p.Group)
	e.optional("ip", p.IP)
	e.optional("city", p.City)
	e.optional("country", p.Country)
	e.optional("country_code", p.CountryCode)
	e.optional("user_agent", p.UserAgent)
	e.optional("platform", p.Platform)
	e.optional("referrer", p.Referrer)
	if len(p.Vars) > 0 {
		e.key("vars")
		e.other(p.Vars)
	}
	if len(p.VarLabels) > 0 {
		e.key("var_labels")
		e.other(p.VarLabels)
	}
	e.b = append(e.b, '}')
}

func (e *encoder) message(m *Message) {
	e.instant("at", m.At)
	e.optional("stamp", m.Stamp)
	e.member("role", string(m.Role))
	e.optional("author", m.Author)
	e.optional("author_id", m.AuthorID)
	e.optional("text", m.Text)
	e.optional("event", m.Event)
	e.optional("trigger", m.Trigger)
	if len(m.Files) > 0 {
		list(e, "files", m.Files, e.file)
	}
	if len(m.Extra) > 0 {
		e.key("extra")
		e.other(m.Extra)
	}
}

func (e *encoder) file(f *File) {
	e.optional("name", f.Name)
	e.optional("url", f.URL)
	e.optional("type", f.Type)
	if f.Size != nil {
		e.key("size")
		e.b = strconv.AppendInt(e.b, *f.Size, 10)
	}
	e.instant("expires_at", f.ExpiresAt)
}

// plainASCII tells which bytes stand for themselves in a string.
var plainASCII = func() (plain [2][utf8.RuneSelf]bool) {
	for c := byte(' '); c < utf8.RuneSelf; c++ {
		plain[0][c] = c != '"' && c != '\\'
		plain[1][c] = plain[0][c] && c != '<' && c != '>' && c != '&'
	}
	return plain
}()

const hexDigits = "0123456789abcdef"

// text encodes a string. Bytes that are no UTF-8 become U+FFFD, the line separators of JavaScript are escaped.
func (e *encoder) text(s string) {
	plain, ordinary := &plainASCII[0], Ordinary
	if e.escapeHTML {
		plain, ordinary = &plainASCII[1], ordinaryHTML
	}
	b := append(e.b, '"')
	start := 0
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if plain[c] {
				i += max(1, ordinary(s[i:]))
				continue
			}
			b = escape(append(b, s[start:i]...), c)
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(append(b, s[start:i]...), `\ufffd`...)
			start = i + size
		case r == '\u2028' || r == '\u2029':
			b = append(append(b, s[start:i]...), `\u202`...)
			b = append(b, hexDigits[r&0xf])
			start = i + size
		}
		i += size
	}
	e.b = append(append(b, s[start:]...), '"')
}

func escape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, '\\', 'b')
	case '\f':
		return append(b, '\\', 'f')
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	}
	return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
}
