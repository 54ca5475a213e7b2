// This file makes a ticket's content of a record: checked, in Zendesk's terms, without any I/O.

package zendesk

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/rest"
)

// content is a record in Zendesk's terms.
type content struct {
	name, email string            // of the requester; email "": none
	summary     string            // markup above the transcript
	blocks      []string          // the transcript
	attachment  string            // text of the file for a transcript that is too long; "": its markup
	tags        []string          // clean, in order
	values      map[string]any    // properties of the ticket that an update may change
	once        map[string]any    // properties that only a create may set
	custom      map[string]any    // custom fields by id
	messages    []message         // mode import
	times       map[string]any    // mode import: created_at and the like
	sent        map[string]string // digest of each property, see fieldDigests
}

// message is one comment of an imported ticket.
type message struct {
	at            time.Time
	role          string
	author, ident string
	text          string
	files         []file
}

type file struct{ name, url string }

// limits that a declared field cannot express or that the README names, too.
const (
	maxSubject   = 150      // characters; Zendesk cuts longer subjects in lists
	maxSummary   = 8 << 10  // bytes; it must leave room for the transcript in the same comment
	maxBody      = 20 << 20 // bytes; an attachment may have 50 MB
	maxTagLength = 80       // characters

	fieldID = "[1-9][0-9]{0,18}" // keys of custom_fields, as a pattern
)

func fields(s Settings) []connectors.Field {
	text := func(name, doc string) connectors.Field {
		return connectors.Field{Name: name, Type: connectors.Text, Doc: doc}
	}
	whole := func(name, doc string) connectors.Field {
		return connectors.Field{Name: name, Type: connectors.Integer, Doc: doc}
	}
	instant := func(name, doc string) connectors.Field {
		return connectors.Field{Name: name, Type: connectors.Time, Doc: doc}
	}
	oneOf := func(name, doc string, values ...string) connectors.Field {
		return connectors.Field{Name: name, Type: connectors.Text, Doc: doc, Values: values}
	}
	all := []connectors.Field{
		{Name: "subject", Type: connectors.Text, Required: true, Limit: maxSubject, Doc: "subject of the ticket"},
		{Name: "html_body", Type: connectors.HTML, Required: true, Limit: maxBody, Doc: "the transcript: the comment of the ticket. What exceeds 64 KiB is cut after a message, and all of it attached as a file"},
		{Name: "summary", Type: connectors.HTML, Limit: maxSummary, Doc: "what stands above the transcript; a revision repeats it when it has changed"},
		{Name: "attachment", Type: connectors.Text, Limit: maxBody, Bytes: true, Doc: "content of the text file that is attached to a comment that was cut; without it html_body is attached"},
		{Name: "requester", Type: connectors.Map, Doc: "who asked; without an email it is the fallback_requester", Fields: []connectors.Field{
			{Name: "name", Type: connectors.Text, Limit: 255, Doc: "name of a user that has to be created; the address unless said"},
			{Name: "email", Type: connectors.Text, Limit: 255, Doc: "e-mail address, by which the user is found"},
		}},
		{Name: "tags", Type: connectors.List, Doc: "tags; letters become lower case, spaces and other characters underscores. A revision adds and never removes", Items: &connectors.Field{Name: "tag", Type: connectors.Text, Limit: maxTagLength, Doc: "one tag"}},
		oneOf("status", "status of the ticket", "new", "open", "pending", "hold", "solved"),
		oneOf("priority", "priority of the ticket", "low", "normal", "high", "urgent"),
		oneOf("type", "type of the ticket", "question", "incident", "problem", "task"),
		{Name: "custom_fields", Type: connectors.Map, Keys: fieldID, Items: &connectors.Field{Name: "value", Type: connectors.Any, Doc: "value of the field"}, Doc: "values of custom fields by the field's id; a date is written YYYY-MM-DD"},
		whole("ticket_form_id", "form of a new ticket (Enterprise)"),
		whole("brand_id", "brand of a new ticket (Enterprise)"),
		whole("group_id", "group that the ticket is assigned to"),
		whole("assignee_id", "agent that the ticket is assigned to, by id"),
		text("assignee_email", "agent that the ticket is assigned to, by e-mail address"),
		{Name: "messages", Type: connectors.List, Doc: "mode import: the messages, one comment each", Items: &connectors.Field{
			Name: "message", Type: connectors.Map, Doc: "one message", Fields: []connectors.Field{
				instant("at", "when it was written"),
				text("role", "visitor, agent, bot, system or unknown"),
				text("author", "name of who wrote it"),
				text("author_id", "id of who wrote it on the chat platform"),
				text("text", "what was written"),
				text("event", "code of a system message without text"),
				{Name: "files", Type: connectors.List, Doc: "files: name and url of each", Items: &connectors.Field{Name: "file", Type: connectors.Map, Doc: "one file"}},
				text("stamp", "not used"), text("trigger", "name of the automatic message"),
				{Name: "extra", Type: connectors.Map, Doc: "not used"},
			},
		}},
		instant("created_at", "mode import: when the conversation began"),
		instant("updated_at", "mode import: when the ticket was last changed"),
		instant("solved_at", "mode import: when the ticket was solved; only with status solved"),
	}
	if s.Mode == modeImport {
		return all
	}
	for i := range all {
		switch all[i].Name {
		case "messages", "created_at", "updated_at", "solved_at":
			all[i].Unused = "needs mode: import"
		}
	}
	return all
}

// newContent reads the fields of a record. now guards against times in the future, which Zendesk refuses.
func newContent(fields map[string]any, now time.Time) (content, error) {
	c := content{
		summary: textOf(fields["summary"]), blocks: blocks(textOf(fields["html_body"])), attachment: textOf(fields["attachment"]),
		values: map[string]any{}, once: map[string]any{}, custom: map[string]any{}, times: map[string]any{}, sent: map[string]string{},
	}
	if requester, ok := fields["requester"].(map[string]any); ok {
		c.email, c.name = strings.TrimSpace(textOf(requester["email"])), strings.TrimSpace(textOf(requester["name"]))
	}
	for _, name := range []string{"subject", "status", "priority", "type", "group_id", "assignee_id", "assignee_email"} {
		if v, ok := fields[name]; ok && v != nil && v != "" {
			c.values[name] = v
		}
	}
	for _, name := range []string{"brand_id", "ticket_form_id"} {
		if v, ok := fields[name]; ok && v != nil {
			c.once[name] = v
		}
	}
	for _, name := range []string{"created_at", "updated_at", "solved_at"} {
		if at, ok := fields[name].(time.Time); ok && (name != "solved_at" || c.values["status"] == "solved") {
			addTime(c.times, name, at, now)
		}
	}
	c.tags = cleanTags(fields["tags"])
	custom, _ := fields["custom_fields"].(map[string]any)
	for _, id := range sortedKeys(custom) {
		if n, err := strconv.ParseInt(id, 10, 64); err != nil || n <= 0 {
			return content{}, &connectors.Error{
				Kind: connectors.Rejected, Err: fmt.Errorf("custom_fields: %q is no id of a field", id),
				Hint: "keys of custom_fields are the numbers that Zendesk shows in the list of ticket fields",
			}
		}
		c.custom[id] = custom[id]
	}
	messages, _ := fields["messages"].([]any)
	for _, m := range messages {
		if m, ok := newMessage(m); ok {
			c.messages = append(c.messages, m)
		}
	}
	return c, c.digestFields()
}

// digestFields fills sent.
func (c *content) digestFields() error {
	note := func(name string, v any) error {
		text, err := rest.JSON(v)
		if err != nil {
			return &connectors.Error{Kind: connectors.Rejected, Err: fmt.Errorf("%s: %w", name, err), Hint: "correct the mapping"}
		}
		c.sent[name] = digest(string(text))[:8]
		return nil
	}
	for _, name := range sortedKeys(c.values) {
		if err := note(name, c.values[name]); err != nil {
			return err
		}
	}
	for _, id := range sortedKeys(c.custom) {
		if err := note("custom_fields."+id, c.custom[id]); err != nil {
			return err
		}
	}
	return note("tags", c.tags)
}

// changed returns the properties that differ from what was sent before, as sentFields reads it.
func (c content) changed(before map[string]string) (ticket map[string]any, tags bool) {
	ticket = map[string]any{}
	for _, name := range sortedKeys(c.values) {
		if before[name] != c.sent[name] {
			ticket[name] = c.values[name]
		}
	}
	var custom []any
	for _, id := range sortedKeys(c.custom) {
		if before["custom_fields."+id] != c.sent["custom_fields."+id] {
			custom = append(custom, customField(id, c.custom[id]))
		}
	}
	if len(custom) > 0 {
		ticket["custom_fields"] = custom
	}
	return ticket, len(c.tags) > 0 && before["tags"] != c.sent["tags"]
}

func customField(id string, value any) any {
	return map[string]any{"id": json.Number(id), "value": value}
}

// ticket returns the properties of a new ticket, without requester and comments.
func (c content) ticket(externalID string) map[string]any {
	t, _ := c.changed(nil)
	maps.Copy(t, c.once)
	if len(c.tags) > 0 {
		t["tags"] = c.tags
	}
	t["external_id"] = externalID
	return t
}

func newMessage(v any) (message, bool) {
	values, ok := v.(map[string]any)
	if !ok {
		return message{}, false
	}
	m := message{
		role: textOf(values["role"]), author: textOf(values["author"]), ident: textOf(values["author_id"]), text: textOf(values["text"]),
	}
	m.at, _ = values["at"].(time.Time)
	if m.text == "" {
		m.text = textOf(values["event"])
	}
	if m.role == "bot" && textOf(values["trigger"]) != "" {
		m.author = textOf(values["trigger"])
	}
	list, _ := values["files"].([]any)
	for _, f := range list {
		if f, ok := f.(map[string]any); ok {
			m.files = append(m.files, file{name: textOf(f["name"]), url: textOf(f["url"])})
		}
	}
	return m, m.text != "" || len(m.files) > 0
}

// addTime sets a time as RFC 3339 unless Zendesk would refuse it: before 1970, or in the future.
// https://developer.zendesk.com/api-reference/ticketing/tickets/ticket_import/
func addTime(to map[string]any, name string, at, now time.Time) {
	if at.Unix() > 0 && !at.After(now) {
		to[name] = at.UTC().Format(time.RFC3339)
	}
}

func textOf(v any) string {
	text, _ := v.(string)
	return text
}

// cleanTags makes tags as Zendesk has them: lower case, no spaces, letters, digits and - _ / : only. Empty and repeated
// ones are left out.
func cleanTags(v any) []string {
	list, _ := v.([]any)
	tags := []string{}
	for _, item := range list {
		tag := strings.Trim(strings.Map(func(r rune) rune {
			switch {
			case unicode.IsLetter(r), unicode.IsDigit(r), strings.ContainsRune("-_/:", r):
				return unicode.ToLower(r)
			}
			return '_'
		}, strings.TrimSpace(textOf(item))), "_")
		if tag != "" && !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	return tags
}
