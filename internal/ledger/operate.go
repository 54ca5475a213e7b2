// This file declares what an operator asks of a ledger and changes in it: lists, searches, replays, the audit log. Every
// list has the newest first and is read in pages that do not move while hooks come in.

package ledger

import (
	"time"

	"github.com/afterchat/afterchat/connectors"
)

// Filter selects conversations or deliveries. Of one field any value may match, all fields must; the zero value selects
// everything. What is said of deliveries selects the conversations that have one such delivery.
type Filter struct {
	IDs         []string `json:"ids,omitempty"` // of conversations
	Sources     []string `json:"sources,omitempty"`
	Brands      []string `json:"brands,omitempty"`
	Outcomes    []string `json:"outcomes,omitempty"`
	ExternalIDs []string `json:"external_ids,omitempty"` // whole, or their beginning with a * behind
	// Emails of visitors, in lower case: whole, their beginning (without an @, or with a * behind), or a domain: @example.com.
	Emails    []string  `json:"emails,omitempty"`
	Since     time.Time `json:"since,omitzero"` // the first hook of the conversation came then or later
	Until     time.Time `json:"until,omitzero"` // and before
	MinRating *float64  `json:"min_rating,omitempty"`
	MaxRating *float64  `json:"max_rating,omitempty"` // an unrated conversation is in no range
	Unrouted  bool      `json:"unrouted,omitempty"`   // has no delivery
	Chats     bool      `json:"chats,omitempty"`      // is not of chat.OwnPlatform
	// Text are words or phrases of the transcript or the visitor, without regard to case, accents and punctuation; all
	// must occur. The last word of each stands for all that begin with it, if it has three letters or more. A text that is
	// the id of a receipt, perhaps with a # in front, is found in its conversation, too.
	Text []string `json:"text,omitempty"`

	Targets []string `json:"targets,omitempty"`
	States  []State  `json:"states,omitempty"`
	Routes  []string `json:"routes,omitempty"`  // names that the delivery was accepted under
	Classes []string `json:"classes,omitempty"` // of failures, see DeliveryRow
	// Receipts are ids of what targets hold, whole: the number of a ticket.
	Receipts []string `json:"receipts,omitempty"`
	Live     bool     `json:"live,omitempty"` // not only imported hooks have asked for it
	// FailedSince and FailedUntil bound when the newest attempt failed.
	FailedSince time.Time `json:"failed_since,omitzero"`
	FailedUntil time.Time `json:"failed_until,omitzero"`
}

// Page asks for one page of a list.
type Page struct {
	// After is the Next of the page before; "" begins. One that no page has given is an ErrCursor.
	After string
	Limit int // at most so many; between 1 and MaxPage, 0 means 50
}

// MaxPage is the most that a page holds.
const MaxPage = 500

// Listed is one page of a list.
type Listed[T any] struct {
	Items []T
	Next  string // of the page after; "": this was the last
}

// ConversationRow is one line of a list of conversations. What it tells of the chat is that of the newest revision.
type ConversationRow struct {
	ID         string
	Revision   int
	Source     string
	Brand      string
	Platform   string
	Outcome    string
	ExternalID string
	Visitor    string // name
	Email      string
	Rating     *float64
	Messages   int
	Opening    string    // of the first text that a person wrote, at most 160 characters
	FirstAt    time.Time // the first hook came
	LastAt     time.Time // the newest hook came
	BodiesGone bool      // retention has taken what was said; the fields from Source to Opening are empty then
	Deliveries []DeliveryRow
	Revisions  []RevisionRow // filled by Look alone
	Hooks      int           // that were stored: revisions and stale ones; repeats are not
}

// RevisionRow is one stored hook of a conversation.
type RevisionRow struct {
	Revision    int // below 0: a stale snapshot
	ReceivedAt  time.Time
	ContentType string
	Bytes       int // of the body as it came, inflated
}

// DeliveryRow is one delivery as an operator sees it.
type DeliveryRow struct {
	ID        string // of the conversation
	Target    string
	State     State
	Revision  int // to deliver, or delivered
	Held      int // that the target is known to hold; 0: none
	Attempts  int // of Revision
	Uncertain bool
	Leased    bool // an attempt is under way
	DueAt     time.Time
	Since     time.Time // pending since
	SettledAt time.Time // zero before
	Routes    []string
	Accepted  string // hash of the configuration that it was accepted under
	Tried     string // of the newest attempt
	Pinned    string // it is rendered with this configuration; "": with that of the day
	Receipt   connectors.Receipt
	// Class is what the newest failure has in common with others of its cause: "rejected 422 custom_fields", "mapping
	// subject", "temporary timeout"; "" after a success and before an attempt. A replay leaves it until the next attempt.
	Class    string
	Reason   string    // what the newest failure said, or why the delivery was cancelled or dropped
	FailedAt time.Time // zero: it has not failed

	// Of the conversation, as in ConversationRow.
	Source, Visitor, Email string
}

// Failure is a group of deliveries that failed alike.
type Failure struct {
	Target, Class   string
	State           State // Dead, or Pending while they are tried again
	Count           int64
	First, Last     time.Time // when the newest attempt of one failed
	Reason, Example string    // of the newest one: what was said, and the conversation's id
}

// QuarantineRow is one hook in quarantine.
type QuarantineRow struct {
	ID, Source, ContentType, Reason string
	ReceivedAt                      time.Time
	Bytes                           int
}

// Class and response of an attempt are declared here, for they are there for operators only.

// Detail is what is kept of an attempt beside its line in the log.
type Detail struct {
	Class    string // see DeliveryRow
	Config   string // hash of the configuration that rendered it; "": it was not rendered
	Response string // what the target answered to a failure, cut; it may hold what the visitor said, but no secret
	// Prior and Uncertain are what the attempt knew of the target, as in the Record: with the revision and Config they tell
	// what was sent.
	Prior     connectors.Receipt
	Uncertain bool
}

// MaxResponse is how many bytes of an answer are kept at most.
const MaxResponse = 4 << 10

// Replay says how a dead delivery is sent again.
type Replay struct {
	// Pinned: with the configuration of its newest attempt rather than with that of the day.
	Pinned bool
}

// JobState is the state of a replay job.
type JobState string

// The states of a replay job.
const (
	JobRunning   JobState = "running"
	JobDone      JobState = "done"
	JobCancelled JobState = "cancelled"
)

// ReplayJob replays, bit by bit, all dead deliveries that its filter selected when it was made. One that dies again
// is not replayed again by the same job.
type ReplayJob struct {
	ID        string
	By        string // who asked for it
	CreatedAt time.Time
	Filter    Filter
	Replay
	PerSecond float64 // most deliveries per second; 0: no limit but that of each target
	State     JobState
	Total     int64 // that the filter selected when the job was made
	Done      int64 // made due again
	Skipped   int64 // that were no longer dead when their turn came, or whose bodies retention has taken
	UpdatedAt time.Time
	EndedAt   time.Time
}

// Audited is one line of the audit log.
type Audited struct {
	At      time.Time
	Who     string // user or token, as configured; "local" without a login
	Address string // where the request came from
	Action  string // replay, cancel, drop, pause, resume, probe, reveal, reload, decode, …
	Object  string // what it was done to
	Detail  string // further words; no secrets, and nothing of visitors
}

// Point is what happened to one source or target in one interval of a series.
type Point struct {
	At    time.Time // begin of the interval
	Kind  string    // source or target
	Name  string
	What  string // of a source the result of hooks, of a target the outcome of attempts
	Count int64
}

// SeriesStep is the length of the intervals that are stored.
const SeriesStep = time.Minute

// Note is what a program remembers in a ledger beside conversations, by a name.
type Note struct {
	Text    string
	Version int64 // grows with every change; 0: there is none yet
}
