// This file declares the views: what each page shows.

package page

import (
	"net/url"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
)

// View is one page.
type View interface{ page() string }

// Frame is what every page has around its own.
type Frame struct {
	Title   string
	Active  string // name of the page in the navigation
	Base    string // in front of every address; "" at the root
	Now     time.Time
	Version string
	User    string // who is logged in; "" without a login
	Logout  bool   // there is a session to end
	Role    Role
	Search  string // what the search box holds
	SearchE string // what is wrong with it
	Notice  string // what has just been done
	Problem string // why it was not
	Alarms  []Alarm
	Static  bool // nothing on this page changes by itself
}

// Role is what a user may do.
type Role int

// The roles; each may do what those before it may.
const (
	Viewer Role = iota
	Operator
	Admin
)

// Operates tells whether the user may change deliveries and targets.
func (f Frame) Operates() bool { return f.Role >= Operator }

func (f Frame) frame() Frame { return f }

// Alarm is something that should not stay as it is.
type Alarm struct {
	Text string
	Link string // below Base; "" : none
	Bad  bool   // it keeps something from being stored or delivered
}

// Overview is the first page.
type Overview struct {
	Frame
	Hooks      Chart
	Deliveries Chart
	Range      string // 1h, 24h, 7d
	Stats      ledger.Stats
	Pending    int64
	Dead       int64
	Oldest     time.Time // the oldest pending delivery; zero: none
	HookCount  int64     // in the range
	Delivered  int64     // in the range
	Targets    []Target
	Sources    []Source
	Failures   []ledger.Failure
	Alerts     []Alert
	MoreAlerts int // beside those of Alerts
}

// Alert is something that should not last.
type Alert struct {
	Kind  string // as in the configuration
	Text  string
	Link  string // below Base
	Since time.Time
	Told  time.Time // last; zero: nobody was
	To    string
}

// Target is one target with how it is.
type Target struct {
	Name, Type  string
	Health      string // ok, failing, waiting, paused, gone
	Paused      bool
	ByOperator  bool
	Since       time.Time // of the pause
	NextProbe   time.Time
	HeldUntil   time.Time
	Reason      string
	Stats       ledger.TargetStats
	InFlight    int
	LastSuccess time.Time
	LastFailure time.Time
	LastError   string
	Rate        string
	Used        string // of the rate, and in what time; "": there is none
	Percent     int
	UsedUp      bool // deliveries wait for the rate
	Took        bool // there were attempts lately, P50 and P95 say how long they took
	P50, P95    time.Duration
	Workers     int
	Gone        bool // not in the configuration any more
	Checkable   bool
	Spark       Chart
}

// Source is one source with when it was heard of.
type Source struct {
	Name, Type, Brand string
	LastHook          time.Time
	ExpectEvery       time.Duration
	Silent            bool
	Count             int64 // of hooks in the range
}

// List is what the pages with lists have in common: a filter that lives in the address.
type List struct {
	Frame
	Filter url.Values // as in the address, without cursor
	Next   string     // cursor of the page after; "": this is the last
	First  bool       // this is the first page
	Facets []Facet
	Fields []Fact // that can be searched by, with what they take; none where nothing can be
	Masked bool   // what identifies visitors is hidden
	// Timeless lists are not filtered by time.
	Timeless bool
}

// Facet is one field to filter by, with its values.
type Facet struct {
	Field, Label string
	Values       []FacetValue
}

// FacetValue is one value of a facet.
type FacetValue struct {
	Value string
	Count int64 // below 0: not counted
	On    bool
}

// Conversations is the list of conversations.
type Conversations struct {
	List
	Rows []ledger.ConversationRow
}

// Deliveries is the list of deliveries.
type Deliveries struct {
	List
	Rows  []ledger.DeliveryRow
	Total int64 // that the filter selects
	More  bool  // Total is a lower bound
}

// Failures is the page of what failed alike.
type Failures struct {
	List
	Groups []ledger.Failure
}

// Conversation is one conversation.
type Conversation struct {
	Frame
	Row        ledger.ConversationRow
	Shown      int // revision that is shown
	Chat       *chat.Conversation
	Messages   []Message
	Gone       string // why there is no Chat
	Masked     bool   // personal data is hidden
	Facts      []Fact
	Routes     []Route
	Deliveries []Delivery
}

// Message is one bubble of a transcript.
type Message struct {
	At     time.Time
	Role   string
	Author string
	Text   string
	Event  string
	Files  []chat.File
	Next   bool // the same author went on
}

// Fact is one line about a conversation.
type Fact struct {
	Name, Value string
	Link        string
}

// Route is a route and whether it matches.
type Route struct {
	Name    string
	Matched bool
	Why     string
	Error   string
	Targets []string
	Terms   []Term
}

// Term is a part of a route's condition, or the head of a group of them.
type Term struct {
	Text   string
	Value  string // true, false, absent; "" of the head of a group
	Holds  bool
	First  bool // because of which the condition does not match
	Depth  int
	Inputs string
}

// Delivery is one delivery with all that was tried.
type Delivery struct {
	ledger.DeliveryRow
	Waits    string // why a pending one is not tried when it is due; "": it is
	Attempts []Attempt
	Requests []Request // as they would go out now; nil: nothing will, or what the newest attempt has sent
	Error    string    // why it cannot be rendered
	// ThenDiffers: the configuration of the newest attempt renders otherwise than that of today, as Changes tell.
	ThenDiffers bool
	Changes     []Line
}

// Attempt is one attempt with what it has sent.
type Attempt struct {
	ledger.Attempt
	Sent *Sent // nil: it is not shown
}

// Sent is what an attempt has sent, rendered again with the configuration of then.
type Sent struct {
	SameAs   int    // number of the attempt, from 1, that has sent the same and tells of it; 0: none
	Unknown  string // why nobody can tell what it was
	Error    string // why it could not be rendered then
	Config   string // hash of the configuration of then
	Requests []Request
	Fields   string // what was mapped, if there are no requests
	Notes    []string
	AsNow    bool // it is what would go out now
	Differs  bool // the configuration of today renders it otherwise
	// Today is what the configuration of today would have sent in its place, Changes between both; nil where that stands elsewhere on the page.
	Today   []Request
	Changes []Line
	NoToday string // why that cannot be told
}

// Label says with which configuration it was.
func (s Sent) Label() string {
	switch {
	case s.AsNow:
		return "The request, as it went out and as it would go out now"
	case s.Differs || s.NoToday != "":
		return "The request, with the configuration of then"
	}
	return "The request; the configuration of today renders the same"
}

// Request is one request as it would go out.
type Request struct {
	Method, URL string
	Headers     []Fact
	Body        string
	Note        string
	Reads       bool
	Curl        string
}

// Line is one line of a difference: "-", "+" or " " and the text.
type Line struct{ Sign, Text string }

// Quarantine is the list of hooks that could not be read.
type Quarantine struct {
	List
	Rows []ledger.QuarantineRow
}

// Unreadable is one of them.
type Unreadable struct {
	Frame
	Row   ledger.QuarantineRow
	Raw   string
	Cut   bool
	Shown bool   // the body is shown
	Today string // what today's decoder says of it; "": it can be read now
}

// Targets is the page of all targets.
type Targets struct {
	Frame
	Targets []Target
}

// Replays is the list of replay jobs.
type Replays struct {
	List
	Rows []Job
}

// Job is a replay job.
type Job struct {
	ledger.ReplayJob
	Query string // the filter as in the search box
}

// Share is how much of the job is done, 0 to 100.
func (j Job) Share() int {
	if j.Total <= 0 {
		return 100
	}
	return int(min(100, (j.Done+j.Skipped)*100/j.Total))
}

// NewReplay asks before a replay job is made.
type NewReplay struct {
	Frame
	Query  string
	Filter url.Values
	Count  int64
	Groups []ledger.Failure
	Sample *Delivery // with what changes
	Masked bool      // what the changes say of a visitor is hidden
	// PerSecond is offered.
	PerSecond int
}

// Playground is the page where a hook is tried.
type Playground struct {
	Frame
	Sources []string
	Samples []string // tests of the configuration, whose hooks can be picked
	Sample  string   // that was picked
	// Conversation whose hook was picked.
	Conversation string
	Source       string
	Payload      string
	ContentType  string
	RoutesYAML   string
	Ran          bool
	Problems     []Mistake
	Decoded      string // the conversation as JSON
	Messages     []Message
	Facts        []Fact
	Routes       []Route
	Outputs      []Output
}

// Mistake is one mistake in what was typed.
type Mistake struct {
	Place, Text, Snippet, Hint string
}

// Output is what one target would get.
type Output struct {
	Target   string
	Routes   []string
	Hold     string
	Requests []Request
	Fields   string
	Notes    []string
	Error    string
}

// Configuration is the page of the configuration in force.
type Configuration struct {
	Frame
	YAML         string // masked
	Hash         string
	LoadedAt     time.Time
	LastError    string
	NeedsRestart []string
	Tests        []Test
	Ran          bool
}

// Test is one test of the configuration.
type Test struct {
	Name   string
	Passed bool
	Lines  []string
}

// AuditLog is the list of what was done by whom.
type AuditLog struct {
	List
	Rows []ledger.Audited
}

// Login asks for the password.
type Login struct {
	Frame
	Then string // where to go afterwards
}

// Failed is an error as a page.
type Failed struct {
	Frame
	Status int
	Text   string
	Hint   string
}

func (Overview) page() string      { return "overview" }
func (Conversations) page() string { return "conversations" }
func (Conversation) page() string  { return "conversation" }
func (Deliveries) page() string    { return "deliveries" }
func (Failures) page() string      { return "failures" }
func (Quarantine) page() string    { return "quarantine" }
func (Unreadable) page() string    { return "unreadable" }
func (Targets) page() string       { return "targets" }
func (Replays) page() string       { return "replays" }
func (NewReplay) page() string     { return "replay" }
func (Playground) page() string    { return "playground" }
func (Configuration) page() string { return "configuration" }
func (AuditLog) page() string      { return "audit" }
func (Login) page() string         { return "login" }
func (Failed) page() string        { return "failed" }
