// This file is what lists and searches know of a conversation without reading its bodies.

package row

import (
	"strings"
	"unicode/utf8"

	"github.com/afterchat/afterchat/internal/chat"
)

// Summary is one conversation in lists: its newest revision.
type Summary struct {
	Source     string
	Brand      string
	Platform   string
	Outcome    string
	ExternalID string
	Visitor    string // name
	Email      string
	Domain     string // of Email
	Rating     *float64
	Messages   int
	Opening    string // of the first text that a person wrote
	Text       string // what a search looks through, a line for each field and message
}

// maxOpening is the length of a Summary's Opening, in characters.
const maxOpening = 160

// Summarize makes the summary of a conversation.
func Summarize(c *chat.Conversation) Summary {
	s := Summary{
		Source: c.Source, Brand: c.Brand, Platform: c.Platform, Outcome: string(c.Outcome), ExternalID: c.ExternalID,
		Visitor: c.Person.Name, Email: c.Person.Email, Domain: Domain(c.Person.Email), Rating: c.Rating, Messages: len(c.Messages), Opening: opening(c),
	}
	var text strings.Builder
	add := func(fields ...string) {
		for _, field := range fields {
			if field != "" {
				text.WriteString(field)
				text.WriteByte('\n')
			}
		}
	}
	p := &c.Person
	add(p.Name, p.Email, p.EmailRaw, p.Phone, p.ID, p.Note, p.Group, p.City, p.Country, c.ExternalID, c.Question, c.RatingComment)
	for i := range c.Messages {
		m := &c.Messages[i]
		add(m.Text)
		for _, f := range m.Files {
			add(f.Name)
		}
	}
	s.Text = text.String()
	return s
}

// opening is the first text of a person, on one line.
func opening(c *chat.Conversation) string {
	for i := range c.Messages {
		m := &c.Messages[i]
		if m.Role != chat.Visitor && m.Role != chat.Agent && m.Role != chat.UnknownRole {
			continue
		}
		if line := oneLine(m.Text, maxOpening); line != "" {
			return line
		}
	}
	return oneLine(c.Question, maxOpening)
}

// oneLine joins the words of a text with single spaces and cuts it after so many characters.
func oneLine(text string, most int) string {
	line := strings.Join(strings.Fields(chat.Clean(text)), " ")
	if utf8.RuneCountInString(line) <= most {
		return line
	}
	return strings.TrimSpace(string([]rune(line)[:most-1])) + "…"
}
