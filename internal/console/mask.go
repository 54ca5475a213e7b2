// This file hides what identifies a visitor: from viewers, and on the pages until somebody asks to see it.

package console

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
)

// masked stands for what is hidden.
const masked = "***"

// maskName keeps the first letter: J***.
func maskName(s string) string {
	r, size := utf8.DecodeRuneInString(strings.TrimSpace(s))
	if size == 0 {
		return ""
	}
	return string(r) + masked
}

// maskEmail keeps the first letter: j***@***; of a domain, which searches may be for, nothing.
func maskEmail(s string) string {
	switch {
	case s == "":
		return ""
	case s[0] == '@':
		return "@" + masked
	}
	return maskName(s) + "@" + masked
}

// maskText keeps the length.
func maskText(s string) string {
	if s == "" {
		return ""
	}
	return fmt.Sprintf("%s (%d characters)", masked, utf8.RuneCountInString(s))
}

func maskConversation(c Conversation) Conversation {
	c.Visitor, c.Email = maskName(c.Visitor), maskEmail(c.Email)
	if c.Opening != "" {
		c.Opening = masked
	}
	c.Deliveries = each(c.Deliveries, maskDelivery)
	return c
}

func maskDelivery(d Delivery) Delivery {
	d.Visitor, d.Email, d.Reason = maskName(d.Visitor), maskEmail(d.Email), WithoutAnswer(d.Reason)
	return d
}

// maskAttempt hides the answer of the target, which may repeat the record.
func maskAttempt(a Attempt) Attempt {
	a.Response, a.Reason = maskText(a.Response), WithoutAnswer(a.Reason)
	return a
}

func maskFailure(f Failure) Failure {
	f.Reason = WithoutAnswer(f.Reason)
	return f
}

func maskTarget(t Target) Target {
	t.LastError = WithoutAnswer(t.LastError)
	if t.Pause != nil {
		pause := *t.Pause
		pause.Reason = WithoutAnswer(pause.Reason)
		t.Pause = &pause
	}
	return t
}

func maskJob(j ledger.ReplayJob) ledger.ReplayJob {
	j.Filter = maskFilter(j.Filter)
	return j
}

// quoting is the reason of a failure up to where it quotes what the target answered: a method, an address, a status.
var quoting = regexp.MustCompile(`^(.*? answered [0-9]{3}[^:;]*): (.+)$`)

// WithoutAnswer is the reason of a failure without what it quotes of the answer, which may repeat the record. The hint
// behind the answer stays where it is certain that the answer has ended: behind a whole object or list of JSON.
func WithoutAnswer(reason string) string {
	parts := quoting.FindStringSubmatch(reason)
	if parts == nil {
		return reason
	}
	ours, answer := parts[1]+": "+masked, parts[2]
	if answer[0] != '{' && answer[0] != '[' {
		return ours
	}
	var whole json.RawMessage
	d := json.NewDecoder(strings.NewReader(answer))
	if d.Decode(&whole) != nil {
		return ours
	}
	if hint := answer[d.InputOffset():]; strings.HasPrefix(hint, "; ") {
		ours += hint
	}
	return ours
}

// maskChat hides who the visitor is and what was said, and keeps who answered, when, and how much.
func maskChat(c chat.Conversation) chat.Conversation {
	c.Question, c.RatingComment = maskText(c.Question), maskText(c.RatingComment)
	c.Person = chat.Person{
		Name: maskName(c.Person.Name), Email: maskEmail(c.Person.Email), EmailRaw: maskText(c.Person.EmailRaw), Phone: maskText(c.Person.Phone),
		Note: maskText(c.Person.Note), Group: c.Person.Group, Country: c.Person.Country, CountryCode: c.Person.CountryCode,
	}
	c.Messages = each(c.Messages, func(m chat.Message) chat.Message {
		if m.Role != chat.Agent && m.Role != chat.Bot {
			m.Author, m.AuthorID = maskName(m.Author), ""
		}
		m.Text, m.Extra = maskText(m.Text), nil
		m.Files = each(m.Files, func(f chat.File) chat.File {
			return chat.File{Name: masked, Type: f.Type, Size: f.Size, ExpiresAt: f.ExpiresAt}
		})
		return m
	})
	c.Pages, c.Extra, c.Transcript = []chat.Page{}, nil, nil
	c.Warnings = each(c.Warnings, func(string) string { return masked })
	return c
}
