// Package proprofs reads the "Post Chat Transcript" hook of ProProfs Chat (formerly Live2Support): a flat object whose
// l2s_msg holds the whole transcript as one text. The vendor's page is help.proprofschat.com/send-live-chat-transcripts-via-api;
// what it does not say is read as the package's README.md lists.
//
// This file is the decoder: one field after the other into the conversation.
package proprofs

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/source"
)

// Platform is the name of the platform, in conversations and in a source's type.
const Platform = "proprofs"

// SessionWindow is how long after a conversation its session may send a longer transcript of it. The session id is
// stored in the visitor's browser and comes again with later chats.
const SessionWindow = 30 * time.Minute

// Type returns the platform.
func Type() source.Type {
	return source.Type{
		Name:          Platform,
		Doc:           `ProProfs Chat "Post Chat Transcript" (formerly Live2Support)`,
		NeedsTimeZone: true,
		New: func(o source.Options) source.Decoder {
			if o.Zone == nil {
				o.Zone = time.UTC
			}
			return decoder{zone: o.Zone}
		},
	}
}

type decoder struct{ zone *time.Location }

// Decode implements [source.Decoder].
func (d decoder) Decode(h source.Hook) (source.Decoded, error) {
	object, warnings, err := source.ReadObject(h)
	if err != nil {
		return source.Decoded{}, err
	}
	if err := recognize(object); err != nil {
		return source.Decoded{}, err
	}
	f := readFields(object)
	c := chat.Conversation{
		Platform:   Platform,
		Account:    f.line("id"),
		ExternalID: f.line("sesid"),
		Language:   f.line("lang"),
		Warnings:   warnings,
	}
	c.Person.Name = plainLine(f.line("name"))
	c.Person.Email, c.Person.EmailRaw = chat.Email(f.line("email"))
	c.Person.IP = f.line("ip")

	question := readQuestion(f)
	c.Question, c.Person.Vars = question.text, question.fields
	team := newTeam(c.Person.Name, plainLine(f.line("logid")), plainLine(f.line("returnedval")))
	lines := splitTranscript(f.lines("msg"), &c)
	c.Messages = team.messages(lines)
	setTimes(&c, f, lines, d.zone)
	c.Agents = team.credited(c.Messages)
	f.keepUncredited(c.Agents)

	c.Outcome = chat.OutcomeOf(c.Flags, c.Messages)
	if len(c.Messages) == 0 && c.Question != "" {
		c.Messages = []chat.Message{{Role: chat.Visitor, Author: c.Person.Name, Text: c.Question}}
		c.Outcome = chat.Missed
		if team.empty() {
			c.Outcome = chat.Offline
		}
	}
	if len(f.extra) > 0 {
		c.Extra = f.extra
	}
	c.Normalize()
	return identify(c, f, h.Body), nil
}

// identify sets the id: site, session and date. Without a session two visitors could not be told apart, so the body
// itself is the identity then; without a date the first stamp stands for it, for it stays when the transcript grows.
func identify(c chat.Conversation, f fields, body []byte) source.Decoded {
	raw := chat.RawFingerprint(body)
	if unusable(c.ExternalID) {
		c.Warn("l2s_sesid is missing, so only a repeat of the very same body is recognized")
		c.ID = chat.NewID(Platform, "body", hex.EncodeToString(raw[:]))
		return source.Decoded{Conversation: c}
	}
	date := f.line("date")
	for i := 0; date == "" && i < len(c.Messages); i++ {
		date = c.Messages[i].Stamp
	}
	if date == "" {
		date = hex.EncodeToString(raw[:])
	}
	c.ID = chat.NewID(Platform, c.Account, c.ExternalID, date)
	return source.Decoded{
		Conversation:  c,
		Session:       chat.NewID(Platform+" session", c.Account, c.ExternalID),
		SessionWindow: SessionWindow,
	}
}

func unusable(id string) bool {
	switch strings.ToLower(id) {
	case "", "0", "null", "undefined", "false":
		return true
	}
	return false
}

// setTimes sets when the conversation began and ended, how long it was, and the time of each message.
func setTimes(c *chat.Conversation, f fields, lines []line, zone *time.Location) {
	c.DurationSeconds = f.duration(c)
	t := newTimeline(f.line("date"), lines, c.DurationSeconds, zone)
	for i := range lines {
		c.Messages[i].At = t.place(i, lines[i])
	}
	t.finish()
	c.StartedAt, c.EndedAt = t.started(), t.ended()
	if t.keepDate {
		f.keep("date")
	}
	for _, w := range t.warnings() {
		c.Warn(w)
	}
}

// duration reads l2s_duration, or l2s_totalduration without it. The vendor states no unit; the sample fits seconds.
func (f fields) duration(c *chat.Conversation) *float64 {
	f.keep("totalduration")
	duration, total := readDuration(f.line("duration")), readDuration(f.line("totalduration"))
	switch {
	case f.line("duration") == "":
		return total
	case duration == nil:
		f.keep("duration")
		c.Warn(fmt.Sprintf("l2s_duration %q is no duration", clip(f.line("duration"))))
	case total != nil && *duration > *total:
		f.keep("duration")
		c.Warn("l2s_duration is longer than l2s_totalduration, so the duration is unknown")
		return nil
	}
	return duration
}

// clip cuts a text to what fits a warning.
func clip(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}
