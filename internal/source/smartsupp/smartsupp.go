// Package smartsupp decodes the Smartsupp "POST hook": one JSON document for each finished, missed or offline chat.
//
// Both forms are read, the one up to 2018 and the current one, and every deviation from them that is known or likely.
// The fields are described at https://docs.smartsupp.com/examples/export-to-3rd-party-system/ ; the README beside this
// file says how each one is read.
//
// This file recognizes a hook, reads its top level and makes its identity.
package smartsupp

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/source"
)

const platform = "smartsupp"

// Type is the platform for the list of sources.
func Type() source.Type {
	return source.Type{
		Name: platform,
		Doc:  "Smartsupp POST hook: one JSON document per finished, missed or offline chat.",
		New:  func(o source.Options) source.Decoder { return decoder{zone: o.Zone} },
	}
}

// decoder implements source.Decoder. zone is for times in text without a zone; nil is UTC.
type decoder struct{ zone *time.Location }

// Decode reads one hook. An error, always a *source.Error, means that the body is no Smartsupp POST hook.
func (d decoder) Decode(h source.Hook) (source.Decoded, error) {
	fields, warnings, err := source.Read(h)
	if err != nil {
		return source.Decoded{}, err
	}
	if err := recognize(fields); err != nil {
		return source.Decoded{}, err
	}
	r := reader{zone: d.zone, c: chat.Conversation{Platform: platform, Warnings: warnings}}
	r.hook(fields)
	r.c.ID = identity(&r.c, h.Body)
	r.c.Normalize()
	return source.Decoded{Conversation: r.c}, nil
}

// reader is the state of reading one hook.
type reader struct {
	c    chat.Conversation
	zone *time.Location

	entries      []entry // the messages, in the order of c.Messages
	varNames     names
	visitorKey   string // from the first message of the visitor
	visitorEmail string // from a message of the visitor; only the form up to 2018 has it
}

// hook reads the whole document. What no part of it takes out of fields becomes extra.
func (r *reader) hook(fields *source.Object) {
	top := object{fields: fields, warn: r.c.Warn}
	r.c.Account = top.id("accountId")
	r.messages(top)
	r.visitor(top)
	r.nameAuthors()
	r.channel(top)
	r.pages(top)
	r.times(top)
	r.c.Outcome = chat.OutcomeOf(r.c.Flags, r.c.Messages)
	r.c.Extra = top.extra()
}

// times reads beginAt and endAt. Where one is missing, or the end is before the beginning, the messages tell.
func (r *reader) times(top object) {
	begin, end := top.fields.Get("beginAt"), top.fields.Get("endAt")
	started, _ := top.time("beginAt", r.zone)
	ended, _ := top.time("endAt", r.zone)
	first, last := span(r.c.Messages)
	if !started.IsZero() && !ended.IsZero() && ended.Before(started) {
		top.fields.Set("endAt", end)
		if first.IsZero() {
			r.c.Warn("endAt is before beginAt; the end is unknown, what was sent is under extra")
			ended = time.Time{}
		} else {
			r.c.Warn("endAt is before beginAt; both times were taken from the messages, what was sent is under extra")
			top.fields.Set("beginAt", begin)
			started, ended = first, last
		}
	}
	if started.IsZero() && !first.IsZero() {
		r.c.Warn("beginAt has no time; taken from the first message")
		started = first
	}
	if ended.IsZero() && !last.IsZero() {
		r.c.Warn("endAt has no time; taken from the last message")
		ended = last
	}
	r.c.StartedAt, r.c.EndedAt = started, ended
}

// span returns the times of the first and the last message that has a likely one.
func span(messages []chat.Message) (first, last time.Time) {
	for _, m := range messages {
		if m.At.IsZero() || m.At.Year() >= farFuture {
			continue
		}
		if first.IsZero() || m.At.Before(first) {
			first = m.At
		}
		if m.At.After(last) {
			last = m.At
		}
	}
	return first, last
}

// identity makes the conversation's id: account and channel.id, or else what is nearest to it. The vendor does not say
// whether a channel.id is unique beyond its account, so without an account the beginning counts too.
func identity(c *chat.Conversation, body []byte) string {
	begin := strconv.FormatInt(c.StartedAt.UnixMilli(), 10)
	switch {
	case c.Account != "" && c.ExternalID != "":
		return chat.NewID(platform, c.Account, c.ExternalID)
	case c.ExternalID != "" && !c.StartedAt.IsZero():
		c.Warn("accountId is missing; the conversation is recognized by channel.id and its beginning")
		return chat.NewID(platform, "", "channel", c.ExternalID, begin)
	case c.Person.ID != "" && !c.StartedAt.IsZero():
		c.Warn("channel.id is missing; the conversation is recognized by the visitor and its beginning")
		return chat.NewID(platform, c.Account, "visitor", c.Person.ID, begin)
	}
	c.Warn("nothing in the hook identifies the conversation; only an identical body is recognized as a repeat")
	raw := chat.RawFingerprint(body)
	return chat.NewID(platform, "", "body", hex.EncodeToString(raw[:]))
}

// recognize tells whether the document is a POST hook: at least two of its fields, one of them not common elsewhere.
func recognize(fields *source.Object) error {
	own, common := 0, 0
	for _, key := range []string{"accountId", "beginAt", "endAt"} {
		if _, ok := fields.Lookup(key); ok {
			own++
		}
	}
	if _, ok := fields.Get("channel").(*source.Object); ok {
		own++
	}
	for _, key := range []string{"visitor", "messages", "paths"} {
		if _, ok := fields.Lookup(key); ok {
			common++
		}
	}
	if own > 0 && own+common > 1 {
		return nil
	}
	return foreign(fields)
}

// fieldName is what a name of a field looks like. Others are not repeated in a reason: a body that is no JSON at all can
// be read as a form whose only key is what somebody wrote.
var fieldName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,39}$`)

// foreign says what a document is that is no POST hook.
func foreign(fields *source.Object) *source.Error {
	keys := make([]string, 0, fields.Len())
	for key := range fields.Keys() {
		if strings.HasPrefix(strings.ToLower(key), "l2s_") {
			return &source.Error{
				Reason: "this is a ProProfs Chat transcript, not a Smartsupp POST hook",
				Hint:   "send it to a source with type: proprofs",
			}
		}
		keys = append(keys, key)
	}
	_, hasEvent := fields.Lookup("event")
	_, hasData := fields.Lookup("data")
	_, hasApp := fields.Lookup("app_id")
	if fields.Get("type") == "event_callback" || hasEvent && hasData && hasApp {
		return &source.Error{
			Reason: "this is an event of Smartsupp's webhooks, not a Smartsupp POST hook; it carries no transcript",
			Hint:   "ask Smartsupp support to set up the POST hook for this address",
		}
	}
	if len(keys) == 0 {
		return &source.Error{Reason: "the document is empty, not a Smartsupp POST hook"}
	}
	slices.Sort(keys)
	shown := make([]string, 0, 6)
	for _, key := range keys {
		if len(shown) < cap(shown) && fieldName.MatchString(key) {
			shown = append(shown, strconv.Quote(key))
		}
	}
	if len(keys) > len(shown) {
		shown = append(shown, "…")
	}
	return &source.Error{
		Reason: fmt.Sprintf("not a Smartsupp POST hook, which has accountId, channel, visitor and messages; this document has %s", strings.Join(shown, ", ")),
		Hint:   "check which system sends to this address",
	}
}
