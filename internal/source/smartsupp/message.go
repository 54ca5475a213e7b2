// This file reads the messages: who wrote each, when, and in what role.

package smartsupp

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/source"
)

// entry is a message of the conversation with what is known about it only while it is read.
type entry struct {
	*chat.Message // in c.Messages, which has the order of the entries

	from sender
}

// messages reads all messages and puts them in the order of their times.
func (r *reader) messages(top object) {
	elements, ok := list(top.fields.Get("messages"))
	if _, single := top.fields.Get("messages").(*source.Object); !ok && single {
		elements, ok = []any{top.fields.Get("messages")}, true
	}
	if !ok {
		top.odd("messages", "is no list")
		return
	}
	top.fields.Delete("messages")
	count := 0
	for _, element := range elements {
		if !empty(element) {
			count++
		}
	}
	messages := make([]chat.Message, count)
	r.entries = make([]entry, 0, count)
	for _, element := range elements {
		if empty(element) {
			r.c.Warn("messages has empty elements; left out")
			continue
		}
		fields, ok := element.(*source.Object)
		if !ok {
			r.c.Warn("messages has elements that are no objects; kept with the role unknown")
			fields = single("content", element)
		}
		n := len(r.entries)
		r.entries = append(r.entries, entry{Message: &messages[n]})
		r.message(&r.entries[n], fields)
	}
	r.c.Messages = messages
	r.sort()
}

// empty tells an element that says nothing.
func empty(element any) bool {
	fields, ok := element.(*source.Object)
	return element == nil || ok && fields.Len() == 0
}

// message reads one message into e. What it does not take out of fields becomes the extra of the message.
func (r *reader) message(e *entry, fields *source.Object) {
	o := object{place: "messages[].", fields: fields, warn: r.c.Warn}
	kind := r.kind(o)
	e.Author = o.line("name")
	name, triggered := trigger(o)
	e.Trigger = name
	e.from = o.sender(kind)
	e.Role = roleOf(kind, e.from, triggered, e.Author != "")
	e.AuthorID = authorID(o, e)
	e.At, e.Stamp = o.time("sentAt", r.zone)
	if e.Stamp != "" {
		fields.Delete("sentAt")
	}
	r.read(e, o)
	r.email(e, o)
	e.Extra = o.extra()
	if e.Role == chat.Visitor && r.visitorKey == "" {
		r.visitorKey = e.AuthorID
	}
}

// kind takes the message's type as a role; "" if there is none. The vendor's SDK names a sub-type beside "message".
func (r *reader) kind(o object) chat.Role {
	value := o.fields.Get("type")
	sent := o.line("type")
	role := alias(sent)
	if role == chat.UnknownRole && (sent == "" || strings.EqualFold(sent, "message")) {
		role = ""
		for _, key := range []string{"subType", "sub_type"} {
			if sub := alias(o.sub(key)); role == "" && sub != chat.UnknownRole {
				role = sub
				o.fields.Delete(key)
			}
		}
	}
	if role == chat.UnknownRole {
		o.warn("messages[].type has a value that is not known; kept with the role unknown")
		o.fields.Set("type", value)
	}
	return role
}

// sub returns the text under key without taking it.
func (o object) sub(key string) string {
	s, _ := o.fields.Get(key).(string)
	return chat.CleanLine(s)
}

// alias maps the names of types that the vendor's products use to roles.
func alias(kind string) chat.Role {
	switch strings.ToLower(kind) {
	case "visitor", "contact":
		return chat.Visitor
	case "agent", "operator":
		return chat.Agent
	case "bot", "trigger":
		return chat.Bot
	case "system", "event":
		return chat.System
	}
	return chat.UnknownRole
}

// trigger takes the name of the trigger that sent the message, and tells whether one did. Of an object it is the name;
// the object stays.
func trigger(o object) (name string, triggered bool) {
	switch v := o.fields.Get("triggeredBy").(type) {
	case *source.Object:
		for _, key := range []string{"name", "id"} {
			if s, ok := scalar(v.Get(key)); ok && chat.CleanLine(s) != "" {
				return chat.CleanLine(s), true
			}
		}
		return "", v.Len() > 0
	case bool:
		if !v {
			o.fields.Delete("triggeredBy")
		}
		return "", v
	}
	name = o.line("triggeredBy")
	return name, name != ""
}

// sender is what "from" says.
type sender struct {
	kind chat.Role // "" when from says nothing
	id   string
	null bool // from is there, and null: until 2018 that was the system or a trigger
}

// sender reads "from": "visitor:<key>", "agent:<id>", "system", or, until 2018, a bare key, a bare agent id, or null.
// What a bare id is, the type of the message says.
func (o object) sender(kind chat.Role) sender {
	value, present := o.fields.Lookup("from")
	s, ok := scalar(value)
	s = chat.CleanLine(s)
	switch {
	case !ok || s == "":
		return sender{null: present && value == nil}
	case strings.EqualFold(s, "system"):
		return sender{kind: chat.System}
	}
	if prefix, id, found := strings.Cut(s, ":"); found && alias(prefix) != chat.UnknownRole {
		return sender{kind: alias(prefix), id: strings.TrimSpace(id)}
	}
	_, number := value.(json.Number)
	digits := number || strings.Trim(s, "0123456789") == ""
	switch {
	case kind == chat.Visitor, kind == chat.Bot:
		return sender{kind: kind, id: s}
	case kind == chat.Agent, digits:
		return sender{kind: chat.Agent, id: s}
	case kind == chat.System:
		return sender{kind: chat.Visitor, id: s}
	}
	return sender{kind: chat.UnknownRole, id: s}
}

// roleOf decides the role from the type and the sender. Automatic messages have the type of an agent, but come from
// the system or from nobody, or name their trigger: they are the bot's and credited to nobody.
func roleOf(kind chat.Role, from sender, triggered, named bool) chat.Role {
	if kind == "" {
		kind = from.kind
		if kind == "" || kind == chat.System && triggered {
			kind = chat.UnknownRole
			if triggered {
				kind = chat.Bot
			}
		}
	}
	if kind != chat.Agent {
		return kind
	}
	if triggered || from.kind == chat.System || from.kind == chat.Bot || from.null && !named {
		return chat.Bot
	}
	return chat.Agent
}

// authorID takes "from" as the id of the author. A sender of another kind than the role stays under extra, so that a
// bot's message is never credited to a person and nothing is lost.
func authorID(o object, e *entry) string {
	switch {
	case e.from.id == "":
		if _, ok := scalar(o.fields.Get("from")); ok && (e.from.kind == "" || e.from.kind == chat.System || e.from.kind == e.Role) {
			o.fields.Delete("from")
		}
		return ""
	case e.from.kind == e.Role, e.Role == chat.System, e.Role == chat.UnknownRole:
		o.fields.Delete("from")
		return e.from.id
	}
	return ""
}

// email takes the empty e-mail that each message had until 2018. One that says something stays, and stands in for the
// visitor's if that is missing.
func (r *reader) email(e *entry, o object) {
	s := o.sub("email")
	if value, ok := o.fields.Lookup("email"); ok && (value == nil || value == "") {
		o.fields.Delete("email")
	}
	if e.Role == chat.Visitor && r.visitorEmail == "" {
		r.visitorEmail = s
	}
}

// sort puts the messages, and the entries alike, in the order of their times. Equal times keep the order of the hook; a
// message without a time follows the one before it.
func (r *reader) sort() {
	sorted := true
	var last time.Time
	for _, e := range r.entries {
		if !e.At.IsZero() {
			sorted = sorted && !e.At.Before(last)
			last = e.At
		}
	}
	if sorted {
		return
	}
	r.c.Warn("the messages were not in the order of their times; sorted")
	type dated struct {
		entry
		order time.Time // that of the message, or of the one it follows
	}
	all := make([]dated, len(r.entries))
	last = r.entries[slices.IndexFunc(r.entries, func(e entry) bool { return !e.At.IsZero() })].At
	for i, e := range r.entries {
		if !e.At.IsZero() {
			last = e.At
		}
		all[i] = dated{e, last}
	}
	slices.SortStableFunc(all, func(a, b dated) int { return a.order.Compare(b.order) })
	messages := make([]chat.Message, len(all))
	for i, d := range all {
		messages[i] = *d.Message
		r.entries[i] = entry{&messages[i], d.from}
	}
	r.c.Messages = messages
}
