// This file builds an imported ticket: one comment for each message, with its real time and author.

package zendesk

import (
	"context"
	"html"
	"maps"
	"net/url"
	"strings"
)

// maxImported is how many comments of messages an import has at most. A ticket takes 5,000; the rest is for the closing
// comment and for people.
const maxImported = 4900

// imported adds requester and comments to the body of an import.
// https://developer.zendesk.com/api-reference/ticketing/tickets/ticket_import/
func (p *push) imported(ctx context.Context, body map[string]any) error {
	requester, err := p.requesterID(ctx)
	if err != nil {
		return err
	}
	if requester != 0 {
		body["requester_id"] = requester
	}
	maps.Copy(body, p.content.times)
	comments := []any{}
	for _, m := range p.content.messages {
		comments = append(comments, p.messageComments(m, requester)...)
	}
	cut := len(comments) > maxImported
	if cut {
		comments = comments[:maxImported]
	}
	last, err := p.closing(ctx, cut)
	if err != nil {
		return err
	}
	body["comments"] = append(comments, last)
	return nil
}

// closing is the internal comment at the end: the summary and the marker. It holds the transcript when there are no
// messages, and the whole of it as a file when not all messages became comments.
func (p *push) closing(ctx context.Context, cut bool) (map[string]any, error) {
	var list []string
	if len(p.content.messages) == 0 {
		list = p.content.blocks
	}
	head := p.content.summary
	if cut {
		head += "\n" + note
	}
	last, err := p.comment(ctx, head, list)
	if err != nil {
		return nil, err
	}
	if _, attached := last["uploads"]; cut && !attached {
		token, err := p.attach(ctx)
		if err != nil {
			return nil, err
		}
		last["uploads"] = []string{token}
	}
	if n := len(p.content.messages); n > 0 {
		addTime(last, "created_at", p.content.messages[n-1].at, p.now())
	}
	return last, nil
}

// requesterID returns the user that asked, 0 for the user of the credentials. Imports take no inline requester.
func (p *push) requesterID(ctx context.Context) (int64, error) {
	r := p.settings.FallbackRequester
	switch {
	case p.content.email != "":
		return p.users.id(ctx, p.content.email, p.content.name)
	case r != nil && r.ID != 0:
		return r.ID, nil
	case r != nil:
		return p.users.id(ctx, r.Email, r.Name)
	}
	return 0, nil
}

// messageComments makes the comments of one message; several if it is longer than one may be. Without a user of the
// account as author, its text names who wrote it.
func (p *push) messageComments(m message, requester int64) []any {
	author, public := int64(0), p.settings.Public
	switch m.role {
	case "visitor":
		if p.content.email != "" {
			author = requester
		}
	case "agent":
		author = p.agent(m)
	default:
		public = false
	}
	name := ""
	if author == 0 && m.author != "" {
		name = "<b>" + html.EscapeString(m.author) + ":</b> "
	}
	var files strings.Builder
	for _, f := range m.files {
		files.WriteString("<p>" + f.link() + "</p>\n")
	}
	const around = len("<p></p>\n")
	var out []any
	texts := pieces(m.text, maxComment-len(name)-around)
	if len(texts) == 0 {
		texts = []string{""}
	}
	for i, text := range texts {
		body := "<p>" + name + escape(text) + "</p>\n"
		if i == len(texts)-1 && len(body)+files.Len() <= maxComment {
			body += files.String()
		}
		comment := map[string]any{"html_body": body, "public": public}
		if author != 0 {
			comment["author_id"] = author
		}
		addTime(comment, "created_at", m.at, p.now())
		out = append(out, comment)
	}
	return out
}

// agent finds the user of an agent in the configured table, by id and then by name; 0 if it has neither.
func (p *push) agent(m message) int64 {
	if id := p.settings.Agents[m.ident]; id != 0 && m.ident != "" {
		return id
	}
	return p.settings.Agents[m.author]
}

// link shows a file. Only addresses of the web become links.
func (f file) link() string {
	name := f.name
	if name == "" {
		name = f.url
	}
	u, err := url.Parse(f.url)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return html.EscapeString(name)
	}
	return `<a href="` + html.EscapeString(f.url) + `">` + html.EscapeString(name) + "</a>"
}
