// Package chattest generates conversations for property tests: every one that a decoder could produce from what
// strangers send, with everything present, absent, empty, huge or hostile.
package chattest

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/afterchat/afterchat/internal/chat"
)

// Conversation generates valid conversations. Every field may be absent; every text may be hostile, empty of sense or
// very long; variables and unknown keys are JSON of any shape. Ids, names of the configuration and roles are real.
func Conversation() *rapid.Generator[*chat.Conversation] {
	return rapid.Custom(func(t *rapid.T) *chat.Conversation {
		c := &chat.Conversation{
			Source:               rapid.SampledFrom([]string{"shop", "desk"}).Draw(t, "source"),
			Platform:             rapid.SampledFrom([]string{"smartsupp", "proprofs"}).Draw(t, "platform"),
			Brand:                rapid.SampledFrom([]string{"", "acme", "globo", "no such brand"}).Draw(t, "brand"),
			Account:              line().Draw(t, "account"),
			ExternalID:           line().Draw(t, "external id"),
			Revision:             rapid.SampledFrom([]int{1, 1, 1, 2, 1_000_000}).Draw(t, "revision"),
			Flags:                flags(t),
			StartedAt:            instant().Draw(t, "started"),
			EndedAt:              instant().Draw(t, "ended"),
			ReceivedAt:           instant().Filter(func(at time.Time) bool { return !at.IsZero() }).Draw(t, "received"),
			DurationSeconds:      optional(t, "duration", number()),
			FirstResponseSeconds: optional(t, "first response", number()),
			AvgResponseSeconds:   optional(t, "average response", number()),
			Rating:               optional(t, "rating", number()),
			RatingComment:        text().Draw(t, "comment"),
			Question:             text().Draw(t, "question"),
			Language:             line().Draw(t, "language"),
			Person:               person(t),
			Agents:               list(t, "agents", 3, author),
			Messages:             list(t, "messages", 6, message),
			Pages:                list(t, "pages", 3, page),
			Extra:                tree(t, "extra", 3),
			Warnings:             list(t, "warnings", 2, func(t *rapid.T) string { return line().Draw(t, "warning") }),
		}
		c.ID = chat.NewID(c.Platform, c.Account, c.ExternalID)
		c.Outcome = chat.OutcomeOf(c.Flags, c.Messages)
		if rapid.IntRange(0, 3).Draw(t, "normal") > 0 { // the gateway does it; what is made by hand may not have it
			c.Normalize()
		}
		return c
	})
}

// Long generates a conversation of Conversation, but with hundreds or thousands of messages.
func Long() *rapid.Generator[*chat.Conversation] {
	return rapid.Custom(func(t *rapid.T) *chat.Conversation {
		c := Conversation().Draw(t, "conversation")
		want := rapid.SampledFrom([]int{700, 2_000, 6_000}).Draw(t, "messages")
		some := append(list(t, "messages", 6, message), chat.Message{Role: chat.Visitor, Text: "hello"})
		const most = 4 << 20 // bytes of text, lest a long text is repeated thousands of times
		size := 0
		c.Messages = nil
		for i := 0; len(c.Messages) < want && size < most; i++ {
			m := some[i%len(some)]
			size += len(m.Text)
			c.Messages = append(c.Messages, m)
		}
		c.Normalize()
		return c
	})
}

// Many returns a conversation of n messages, which alternate between a visitor and an agent.
func Many(n int) *chat.Conversation {
	c := &chat.Conversation{
		ReceivedAt: time.Date(2026, 11, 3, 9, 0, 0, 0, time.UTC),
		ID:         chat.NewID("smartsupp", "many"), Source: "shop", Platform: "smartsupp", Revision: 1, Outcome: chat.Completed,
		Person: chat.Person{Name: "Jana", Email: "jana@example.com"},
		Agents: []chat.Author{{ID: "1", Name: "Petr"}},
	}
	start := time.Date(2026, 11, 3, 9, 0, 0, 0, time.UTC)
	for i := range n {
		m := chat.Message{At: start.Add(time.Duration(i) * time.Second), Role: chat.Visitor, Author: "Jana", Text: fmt.Sprintf("message %d", i)}
		if i%2 == 1 {
			m.Role, m.Author, m.AuthorID = chat.Agent, "Petr", "1"
		}
		c.Messages = append(c.Messages, m)
	}
	c.Normalize()
	return c
}

func flags(t *rapid.T) chat.Flags {
	flag := func(name string) *bool { return optional(t, name, rapid.Bool()) }
	if rapid.Bool().Draw(t, "no flags") {
		return chat.Flags{}
	}
	return chat.Flags{
		Chat: flag("chat"), Missed: flag("missed"), Triggered: flag("triggered"),
		Offline: flag("offline"), Completed: flag("completed"), Dropped: flag("dropped"),
	}
}

func person(t *rapid.T) chat.Person {
	p := chat.Person{
		ID: line().Draw(t, "visitor id"), Name: line().Draw(t, "name"), Phone: line().Draw(t, "phone"),
		Note: text().Draw(t, "note"), Group: line().Draw(t, "group"), IP: line().Draw(t, "ip"),
		City: line().Draw(t, "city"), Country: line().Draw(t, "country"),
		CountryCode: rapid.SampledFrom([]string{"", "CZ", "IN"}).Draw(t, "country code"),
		UserAgent:   line().Draw(t, "user agent"), Platform: line().Draw(t, "os"), Referrer: line().Draw(t, "referrer"),
		Vars: tree(t, "vars", 2),
	}
	field := rapid.SampledFrom([]string{"", "jana@example.com", " Jana@Example.COM ", "jana@", "a@b.example, c@d.example", "<b>"}).Draw(t, "email")
	p.Email, p.EmailRaw = chat.Email(field)
	for key := range p.Vars {
		if rapid.Bool().Draw(t, "labelled") {
			if p.VarLabels == nil {
				p.VarLabels = map[string]string{}
			}
			p.VarLabels[key] = line().Draw(t, "label")
		}
	}
	return p
}

func author(t *rapid.T) chat.Author {
	return chat.Author{ID: line().Draw(t, "agent id"), Name: line().Draw(t, "agent name")}
}

func message(t *rapid.T) chat.Message {
	roles := []chat.Role{chat.Visitor, chat.Agent, chat.Bot, chat.System, chat.UnknownRole}
	return chat.Message{
		At: instant().Draw(t, "at"), Stamp: line().Draw(t, "stamp"), Role: rapid.SampledFrom(roles).Draw(t, "role"),
		Author: line().Draw(t, "author"), AuthorID: line().Draw(t, "author id"), Text: text().Draw(t, "text"),
		Event: line().Draw(t, "event"), Trigger: line().Draw(t, "trigger"), Files: list(t, "files", 2, file),
		Extra: tree(t, "message extra", 1),
	}
}

func file(t *rapid.T) chat.File {
	return chat.File{
		Name: line().Draw(t, "file name"), Type: line().Draw(t, "file type"), ExpiresAt: instant().Draw(t, "expires"),
		URL:  rapid.SampledFrom([]string{"", "https://files.example/a?token=1", "http://files.example/%zz"}).Draw(t, "file url"),
		Size: optional(t, "size", rapid.SampledFrom([]int64{0, 1, -1, 1 << 62})),
	}
}

func page(t *rapid.T) chat.Page {
	return chat.Page{URL: line().Draw(t, "page"), Title: line().Draw(t, "title")}
}

// optional draws a value or nil.
func optional[V any](t *rapid.T, name string, of *rapid.Generator[V]) *V {
	if rapid.Bool().Draw(t, name+" absent") {
		return nil
	}
	v := of.Draw(t, name)
	return &v
}

// list draws at most so many items; none is nil half of the time.
func list[V any](t *rapid.T, name string, most int, item func(*rapid.T) V) []V {
	n := rapid.IntRange(-1, most).Draw(t, name)
	if n < 0 {
		return nil
	}
	out := make([]V, n)
	for i := range out {
		out[i] = item(t)
	}
	return out
}

// number draws what a vendor may send as a length or a rating.
func number() *rapid.Generator[float64] {
	return rapid.SampledFrom([]float64{0, 1, 2, 3, 5, 4.5, 0.1, -1, 17, 3600, 1e15 + 0.5, 1 << 53, 1<<53 + 2, 1e19, -1e300, 1.7e308, 5e-324})
}

// instant draws a time, absent half of the time.
func instant() *rapid.Generator[time.Time] {
	return rapid.SampledFrom([]time.Time{
		{},
		{},
		{},
		time.Date(2026, 11, 3, 9, 0, 0, 0, time.UTC),
		time.Date(2026, 3, 29, 1, 30, 0, 123_456_789, time.UTC), // a clock is put forward then
		time.Date(1973, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
	})
}

// pieces are what texts are made of.
func pieces() []string {
	return []string{
		"Hello", "17", "0", " ", "\n", "\t", "-5", "1e400", "0x1F", "true", "null", "NaN", ".", ",", "[", "]", "{", "}", `"`, "'", `\`,
		"${visitor.name}", "$${", "${", "#{x}", "{{.}}", "%s%n", "<b>", "</b>", "<script>alert(1)</script>", "&amp;", "&", "<!--", "]]>",
		"*bold*", "_", "`", "| a | b |", "=1+1", "@SUM(A1)", "'; DROP TABLE x; --", "http://a.example/?token=s3cret#x", "javascript:alert(1)",
		"jana@example.com", "4111 1111 1111 1111", "DE89 3704 0044 0532 0130 00", "+420 777 123 456", "192.0.2.1", "2026-11-03T09:00:00Z",
		"Příliš žluťoučký kůň", "日本語", "مرحبا", "\u202etxt.exe", "\u200b", "\u00a0", "\ufeff", "\ufffd", "👩‍👩‍👧‍👦", "🇨🇿", "e\u0301\u0301\u0301", "ﬃ", "ß", "İ", "\u2028",
	}
}

// text draws what somebody wrote: cleaned as decoders do, mostly short, at times longer than any target takes.
func text() *rapid.Generator[string] {
	piece := rapid.SampledFrom(pieces())
	return rapid.Custom(func(t *rapid.T) string {
		switch size := rapid.IntRange(0, 400).Draw(t, "size"); {
		case size < 120:
			return ""
		case size == 400:
			return chat.Clean(strings.Repeat(piece.Draw(t, "repeated"), rapid.IntRange(1, 5000).Draw(t, "times")))
		case size > 370:
			return chat.Clean(rapid.String().Draw(t, "any text"))
		}
		return chat.Clean(strings.Join(rapid.SliceOfN(piece, 1, 4).Draw(t, "pieces"), ""))
	})
}

// line is text of one line.
func line() *rapid.Generator[string] { return rapid.Map(text(), chat.CleanLine) }

// tree draws JSON as a decoder keeps it, nil a third of the time.
func tree(t *rapid.T, name string, depth int) map[string]any {
	n := rapid.IntRange(-1, 2).Draw(t, name)
	if n < 0 {
		return nil
	}
	out := make(map[string]any, n)
	for range n {
		out[key().Draw(t, "key")] = value(t, depth-1)
	}
	return out
}

// key draws names of variables: those that tests and examples read, and hostile ones.
func key() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.SampledFrom([]string{"age", "plan", "order", "vip", "x", "nested", "name", "id"}),
		rapid.SampledFrom([]string{"", "a.b", "order id", "__proto__", "\u00e9", "[0]", "constructor", "0", "-"}),
	)
}

func value(t *rapid.T, depth int) any {
	kind := rapid.IntRange(0, 9).Draw(t, "kind")
	switch {
	case kind < 4:
		return text().Draw(t, "value")
	case kind == 4:
		return rapid.Bool().Draw(t, "value")
	case kind < 8:
		return rapid.SampledFrom([]json.Number{
			"0", "17", "-1", "2.50", "1e2", "-0", "0.1", "9007199254740993", "123456789012345678901234567890", "1e400", "1e-400", "-9223372036854775808",
			"4111111111111111",
		}).Draw(t, "value")
	case depth <= 0:
		return nil
	case kind == 8:
		out := make([]any, rapid.IntRange(0, 3).Draw(t, "items"))
		for i := range out {
			out[i] = value(t, depth-1)
		}
		return out
	}
	inner := tree(t, "inner", depth)
	if inner == nil {
		inner = map[string]any{}
	}
	return inner
}
