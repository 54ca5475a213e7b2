// Package chat is the canonical conversation: what every decoder produces and every mapping reads. It does no I/O.
//
// This file declares the conversation. The JSON names are the names that users write in expressions, so each struct
// field carries its name once, in its json tag; package rule reads the same tag.
//
// Absent values are absent: a zero time, a nil number or flag, an empty string. They are never 0 and never 1970.
package chat

import (
	"slices"
	"time"
)

// Outcome says how a conversation ended, from the vendor's flags where it sent any, else from its messages.
type Outcome string

// The outcomes, in the order in which flags decide (offline first).
const (
	Offline   Outcome = "offline"   // left as a message while nobody was there
	Missed    Outcome = "missed"    // the visitor wrote and nobody answered
	Dropped   Outcome = "dropped"   // not picked up, or interrupted; vendors disagree
	Completed Outcome = "completed" // both sides wrote and it was closed
	Unknown   Outcome = "unknown"
)

// OwnPlatform is the platform of what is no chat but a message of our own: an alert. No decoder makes it.
const OwnPlatform = "afterchat"

// Outcomes lists every outcome, for checks and metrics.
func Outcomes() []Outcome { return []Outcome{Completed, Missed, Offline, Dropped, Unknown} }

// Role says who wrote a message.
type Role string

// The roles. A bot is an automatic message (a trigger); it is never credited to a person.
const (
	Visitor     Role = "visitor"
	Agent       Role = "agent"
	Bot         Role = "bot"
	System      Role = "system"
	UnknownRole Role = "unknown"
)

// Conversation is one finished chat as every other package sees it.
type Conversation struct {
	ID         string  `json:"id" doc:"our own id: a hash of platform and identity, the same after the ledger was lost"`
	Source     string  `json:"source" doc:"name of the source in the configuration"`
	Platform   string  `json:"platform" doc:"smartsupp or proprofs"`
	Brand      string  `json:"brand,omitempty" doc:"the source's brand setting"`
	Account    string  `json:"account,omitempty" doc:"the vendor's account or site id"`
	ExternalID string  `json:"external_id,omitempty" doc:"the vendor's id of the conversation, as text"`
	Revision   int     `json:"revision" doc:"1, 2, …: grows when the platform sends the conversation again with other content"`
	Outcome    Outcome `json:"outcome" doc:"completed, missed, offline, dropped or unknown"`
	Flags      Flags   `json:"flags" doc:"the vendor's own flags, as sent"`

	StartedAt  time.Time `json:"started_at,omitzero" doc:"when it began (UTC)"`
	EndedAt    time.Time `json:"ended_at,omitzero" doc:"when it ended (UTC)"`
	ReceivedAt time.Time `json:"received_at,omitzero" doc:"when the hook arrived (UTC)"`

	DurationSeconds      *float64 `json:"duration_seconds,omitempty" doc:"length as the vendor counts it"`
	FirstResponseSeconds *float64 `json:"first_response_seconds,omitempty" doc:"wait for the first answer of a person"`
	AvgResponseSeconds   *float64 `json:"avg_response_seconds,omitempty" doc:"average wait for an answer"`
	Rating               *float64 `json:"rating,omitempty" doc:"the visitor's rating; absent when unrated"`
	RatingComment        string   `json:"rating_comment,omitempty" doc:"what the visitor wrote beside the rating"`
	Question             string   `json:"question,omitempty" doc:"pre-chat question"`
	Language             string   `json:"language,omitempty" doc:"as the vendor gives it; not always an ISO code"`

	Person   Person    `json:"visitor" doc:"the person who asked"`
	Agents   []Author  `json:"agents" doc:"the people who answered, in order of their first message"`
	Messages []Message `json:"messages" doc:"everything that was written, in order"`
	Pages    []Page    `json:"pages" doc:"pages that the visitor saw"`

	// Extra keeps every key that the decoder does not know, nested as the vendor nested it. Numbers are json.Number.
	Extra map[string]any `json:"extra,omitempty" doc:"every unknown key of the hook, kept as sent"`
	// Warnings says in words what in the hook was odd and how it was read. They are no part of a fingerprint.
	Warnings []string `json:"warnings,omitempty" doc:"what was odd in the hook and how it was read"`

	// Transcript is filled just before mapping, see Render. The ledger never stores it.
	Transcript *Transcript `json:"transcript,omitempty" doc:"the conversation as text, html and markdown"`
}

// Flags are the vendor's booleans. nil: not sent.
type Flags struct {
	Chat      *bool `json:"chat,omitempty" doc:"both sides wrote"`
	Missed    *bool `json:"missed,omitempty" doc:"the last visitor message was not answered"`
	Triggered *bool `json:"triggered,omitempty" doc:"at least one automatic message"`
	Offline   *bool `json:"offline,omitempty" doc:"left while nobody was there"`
	Completed *bool `json:"completed,omitempty" doc:"closed with everything answered"`
	Dropped   *bool `json:"dropped,omitempty" doc:"not picked up, or interrupted"`
}

// Person is the visitor.
type Person struct {
	ID          string `json:"id,omitempty" doc:"the vendor's id of the visitor"`
	Name        string `json:"name,omitempty" doc:"name as given"`
	Email       string `json:"email,omitempty" doc:"trimmed and lower-cased; empty unless it is one valid address"`
	EmailRaw    string `json:"email_raw,omitempty" doc:"what stood in the e-mail field when that is no single valid address"`
	Phone       string `json:"phone,omitempty" doc:"telephone number, where the platform sends one"`
	Note        string `json:"note,omitempty" doc:"the agents' note on the visitor"`
	Group       string `json:"group,omitempty" doc:"visitor group"`
	IP          string `json:"ip,omitempty" doc:"address as sent, perhaps masked"`
	City        string `json:"city,omitempty" doc:"as sent; Smartsupp swaps it with country at times"`
	Country     string `json:"country,omitempty" doc:"as sent"`
	CountryCode string `json:"country_code,omitempty" doc:"ISO 3166-1 alpha-2 in upper case, only if valid"`
	UserAgent   string `json:"user_agent,omitempty" doc:"browser"`
	Platform    string `json:"platform,omitempty" doc:"operating system"`
	Referrer    string `json:"referrer,omitempty" doc:"page that led to the site"`
	// Vars holds custom variables: text, bool, json.Number, or nested JSON as sent.
	Vars map[string]any `json:"vars,omitempty" doc:"custom variables by key"`
	// VarLabels holds the label of a variable where the vendor sends one.
	VarLabels map[string]string `json:"var_labels,omitempty" doc:"labels of the custom variables by key"`
}

// Author is an agent.
type Author struct {
	ID   string `json:"id,omitempty" doc:"the vendor's id"`
	Name string `json:"name,omitempty" doc:"name as shown"`
}

// Message is one line of the conversation.
type Message struct {
	At       time.Time `json:"at,omitzero" doc:"when it was written (UTC); absent when unknown"`
	Stamp    string    `json:"stamp,omitempty" doc:"the vendor's own time stamp where it is text, word for word"`
	Role     Role      `json:"role" doc:"visitor, agent, bot, system or unknown"`
	Author   string    `json:"author,omitempty" doc:"name of who wrote it"`
	AuthorID string    `json:"author_id,omitempty" doc:"the vendor's id of who wrote it"`
	Text     string    `json:"text,omitempty" doc:"what was written, as plain text"`
	Event    string    `json:"event,omitempty" doc:"the vendor's code of a system message, such as agent.join"`
	Trigger  string    `json:"trigger,omitempty" doc:"name of the automatic message"`
	Files    []File    `json:"files,omitempty" doc:"attachments"`
	// Extra keeps the keys of this message that the decoder does not know.
	Extra map[string]any `json:"extra,omitempty" doc:"unknown keys of this message, kept as sent"`
}

// File is an attachment. Its content stays with the vendor, perhaps only until ExpiresAt.
type File struct {
	Name      string    `json:"name,omitempty" doc:"file name"`
	URL       string    `json:"url,omitempty" doc:"where the vendor keeps it; http or https only"`
	Type      string    `json:"type,omitempty" doc:"media type"`
	Size      *int64    `json:"size,omitempty" doc:"bytes"`
	ExpiresAt time.Time `json:"expires_at,omitzero" doc:"when the vendor removes it (UTC)"`
}

// Page is a page that the visitor saw.
type Page struct {
	URL   string `json:"url,omitempty" doc:"address as sent"`
	Title string `json:"title,omitempty" doc:"title"`
}

// HTML is markup that is safe to insert as it is. Text inserted beside it is escaped.
type HTML string

// Transcript is the conversation for people.
type Transcript struct {
	Text     string `json:"text" doc:"plain text, one line per message"`
	HTML     HTML   `json:"html" doc:"HTML fragment with everything escaped"`
	Markdown string `json:"markdown" doc:"Markdown with everything escaped"`
}

// Normalize makes the lists non-nil, so that they are [] and not null in JSON.
func (c *Conversation) Normalize() {
	if c.Agents == nil {
		c.Agents = []Author{}
	}
	if c.Messages == nil {
		c.Messages = []Message{}
	}
	if c.Pages == nil {
		c.Pages = []Page{}
	}
}

// Warn adds a warning once.
func (c *Conversation) Warn(text string) {
	if !slices.Contains(c.Warnings, text) {
		c.Warnings = append(c.Warnings, text)
	}
}

// OutcomeOf decides the outcome: offline, then missed, then dropped, then completed by the vendor's flags; without
// any of them set, from who wrote.
func OutcomeOf(f Flags, messages []Message) Outcome {
	set := func(b *bool) bool { return b != nil && *b }
	switch {
	case set(f.Offline):
		return Offline
	case set(f.Missed):
		return Missed
	case set(f.Dropped):
		return Dropped
	case set(f.Completed):
		return Completed
	}
	var visitor, agent bool
	for _, m := range messages {
		visitor = visitor || m.Role == Visitor
		agent = agent || m.Role == Agent
	}
	switch {
	case visitor && agent:
		return Completed
	case visitor:
		return Missed
	}
	return Unknown
}
