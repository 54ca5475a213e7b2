// Package ledger declares what is kept of a conversation and its deliveries: the record types that the engines store,
// and the audit of them. The engines are packages of their own below this one; whoever uses a ledger declares the
// methods that it needs.
package ledger

import (
	"errors"
	"fmt"
	"time"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/chat"
)

// Errors that every engine returns, to be tested with errors.Is.
var (
	// ErrFull means that the ledger has reached its size limit or its disk is full. Nothing was stored.
	ErrFull = errors.New("the ledger is full")
	// ErrFenced means that a settle came after its lease had gone to somebody else. Nothing was changed.
	ErrFenced = errors.New("the lease has gone to another worker")
	// ErrLocked means that another process has the ledger open.
	ErrLocked = errors.New("the ledger is in use by another process")
	// ErrNotFound means that there is no such conversation, delivery or body.
	ErrNotFound = errors.New("not in the ledger")
	// ErrNewer means that the ledger was written by a newer version of afterchat.
	ErrNewer = errors.New("the ledger was written by a newer version")
	// ErrCursor means that a page was asked for that no page before has named.
	ErrCursor = errors.New("not a cursor of this list")
	// ErrState means that a delivery is in a state in which this cannot be done to it.
	ErrState = errors.New("not possible in this state")
	// ErrChanged means that somebody else has changed it since it was read. Nothing was stored.
	ErrChanged = errors.New("it was changed meanwhile")
	// ErrClosed means that the ledger has been closed.
	ErrClosed = errors.New("the ledger is closed")
)

// Hook is an authentic, decoded hook that is to be accepted.
type Hook struct {
	Raw           []byte // the body as it arrived, inflated
	ContentType   string
	Conversation  chat.Conversation // Source, Brand and ReceivedAt filled; Revision is the ledger's to say
	Session       string            // see source.Decoded
	SessionWindow time.Duration
	// Import: it does not come from its source now. It is no sign of life of it, Stats.LastHook stays, and its deliveries are
	// not in a list of what is Live, until another hook revises the conversation.
	Import bool
	// Released: it is an Import out of quarantine. Its deliveries are Live.
	Released bool

	// Plan says which targets get the conversation. The engine calls it inside the transaction with the id and revision
	// that it found, and only when there is something new: once, unless the transaction had to be tried again and then
	// found another id or revision. It is pure and fast.
	Plan func(id string, revision int) Plan
}

// Plan is what routing decided for one revision of one conversation.
type Plan struct {
	Deliveries []PlannedDelivery
	Config     string // hash of the configuration that decided, see Snapshot
	Import     bool   // the engine fills it in, with that of the Hook
}

// PlannedDelivery is one target that gets the conversation.
type PlannedDelivery struct {
	Target string
	Routes []string      // names of the routes that matched, in file order
	Hold   time.Duration // wait this long for late content before the first attempt; not restarted by revisions
	// IgnoreUpdates: a target that holds an earlier revision skips this one (on_update: ignore).
	IgnoreUpdates bool
}

// Result says what a hook turned out to be.
type Result string

// The results of Accept. Their texts are values of the metric afterchat_hooks_total.
const (
	Accepted Result = "accepted" // a new conversation with at least one delivery
	Unrouted Result = "unrouted" // a new conversation, or a revision, that matched no route; kept
	Repeated Result = "repeated" // content that was seen before; nothing stored
	Stale    Result = "stale"    // an older, shorter snapshot; kept, not sent
	Revised  Result = "revised"  // a conversation that was known, with new content
)

// Acceptance is the answer to Accept. When it is returned, everything in it is on disk.
type Acceptance struct {
	ID       string // of the conversation
	Revision int    // that the hook became or repeats; of a stale one, the newest
	Result   Result
	Targets  []string // that have a delivery due because of this hook
}

// Unreadable is an authentic hook that no decoder could read.
type Unreadable struct {
	Source      string
	Raw         []byte
	ContentType string
	Reason      string
	ReceivedAt  time.Time
}

// Quarantined is a kept Unreadable.
type Quarantined struct {
	ID     string // hash of source and body: the same body is kept once
	Repeat bool   // it was there already
}

// State is the state of a delivery.
type State int

// The states. The numbers are stored.
const (
	Pending    State = 0 // waiting, or leased by a worker
	Delivered  State = 1 // the target holds the newest revision
	Dead       State = 2 // given up: kept, counted, replayable
	Skipped    State = 3 // not sent by configuration: on_update: ignore
	Superseded State = 4 // a newer revision no longer goes to this target, which holds nothing
)

// String returns the state as it stands in the API and in metrics.
func (s State) String() string {
	names := [...]string{"pending", "delivered", "dead", "skipped", "superseded"}
	if int(s) < len(names) && s >= 0 {
		return names[s]
	}
	return "unknown"
}

// MarshalText makes the state's name of it.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText made.
func (s *State) UnmarshalText(text []byte) error {
	for state := Pending; state <= Superseded; state++ {
		if state.String() == string(text) {
			*s = state
			return nil
		}
	}
	return fmt.Errorf("%q is no state of a delivery, want pending, delivered, dead, skipped or superseded", text)
}

// Claim asks for work.
type Claim struct {
	Target string
	Limit  int           // at most so many deliveries
	Lease  time.Duration // how long they are ours; a worker that has not settled by then is fenced
	Config string        // hash of the configuration of today; becomes Tried of the next claim unless this is a resend
	// Wait is how long the engine may wait until something falls due, instead of answering that nothing is. An engine that
	// does leases it in the very transaction that makes it due. The end of the context ends the waiting, but no claim that
	// has begun. 0: do not wait.
	Wait time.Duration
}

// Claimed is the answer to a Claim.
type Claimed struct {
	Deliveries []Delivery
	Crashed    []Delivery // claimed CrashLimit times without a settle: the engine has made them dead, class crash
	// Next is when the earliest delivery of the target that is not in Deliveries falls due (a leased one at the end of
	// its lease); zero if there is none.
	Next time.Time
	// Waits: the engine honors Wait, so there is nothing to be won by claiming less often.
	Waits bool
}

// CrashLimit is how often a delivery is claimed without a settle before it is dead.
const CrashLimit = 5

// Delivery is one conversation on its way to one target, leased to the caller.
type Delivery struct {
	ID       string // of the conversation
	Target   string
	Revision int   // to deliver: the newest
	Held     int   // revision that the target is known to hold; 0: none
	Fence    int64 // of the lease
	LeaseEnd time.Time
	Attempt  int // 1 on the first try of this revision
	// Uncertain: an attempt on this conversation and target, of this or an earlier revision, may have been taken.
	Uncertain bool
	Receipt   connectors.Receipt
	Routes    []string // that it was accepted under
	Accepted  string   // hash of the configuration that it was accepted under
	// Tried is the hash of the configuration of the revision's attempt before; "" before one. While Uncertain and
	// Resend it is that of the attempt in doubt, and the delivery is rendered with it, so that identical bytes go out.
	Tried string
	// Resend: the attempt in doubt was of this very revision.
	Resend bool
	// Lapsed: the claim before this one ended without a settle, because its worker crashed or outlived the lease. A
	// settle without an attempt leaves it so.
	Lapsed bool
	DueAt  time.Time // since when it has been due
	// FirstAt is when the first attempt of the revision was made on the target's active clock, which stands still
	// while the target is paused; zero before one.
	FirstAt time.Time
	// Pinned is the hash of the configuration that an operator wants it to be rendered with; "": that of the day.
	Pinned string
	// Imported: only imported hooks have asked for it.
	Imported bool

	Conversation chat.Conversation // with Revision set
}

// Settlement ends a lease: what an attempt came to.
type Settlement struct {
	ID, Target string
	Revision   int // that was tried
	Fence      int64
	State      State // Pending: to be tried again at DueAt
	DueAt      time.Time
	// Tried: a request may have gone out, so this counts as an attempt. Shutdown before one does not.
	Tried     bool
	Uncertain bool               // the attempt may have been taken all the same
	Receipt   connectors.Receipt // merged into what is known; kept on failure too
	FirstAt   time.Time          // of the revision, on the target's active clock; set on its first attempt
	Attempt   *Attempt           // the line for the log of attempts; nil: none. What dies brings one
}

// Settled is the answer to a Settlement.
type Settled struct {
	// State of the row now. It is Pending after a success too when a newer revision came meanwhile, and Superseded after
	// a certain failure when that newer one no longer goes to the target.
	State State
}

// Attempt is one line of the log of attempts.
type Attempt struct {
	At       time.Time
	Revision int    // that was tried; Attempts fills it in, a Settlement has it beside its line
	Number   int    // 1, 2, … within the revision
	Kind     string // ok, temporary, throttled, rejected, denied, mapping, panic, crash, shutdown
	Duration time.Duration
	Status   int    // HTTP status; 0: none
	Reason   string // what happened, without secrets or payload
	Detail
}

// Pause is a target's pause. The zero value means that it runs.
type Pause struct {
	Since  time.Time
	Until  time.Time // the next probe; never zero while paused
	Reason string
	// ByOperator: resumed by a person only.
	ByOperator bool
	// Probes so far; the interval grows with it.
	Probes int
}

// Active tells whether the target is paused.
func (p Pause) Active() bool { return !p.Since.IsZero() }

// TargetState is what the ledger keeps of a target beside its deliveries.
type TargetState struct {
	Account string // fingerprint of the settings that the pause was decided under: changed settings end it
	Pause   Pause
	Paused  time.Duration // all pauses so far, without the running one: what the target's active clock is behind
}

// Counts are what the ledger holds for one target. Accepted = Pending + Delivered + Dead + Skipped + Superseded:
// one unit is one revision of one conversation for one target. They outlive retention.
type Counts struct {
	Accepted, Pending, Delivered, Dead, Skipped, Superseded int64
}

// Balanced tells whether the conservation law holds.
func (c Counts) Balanced() bool {
	return c.Accepted == c.Pending+c.Delivered+c.Dead+c.Skipped+c.Superseded
}

// TargetStats are the gauges of one target.
type TargetStats struct {
	Counts
	DeadRows      int64     // dead deliveries that can still be replayed
	OldestPending time.Time // when the oldest pending delivery was accepted; zero: none
	Overdue       time.Time // when the delivery that has waited longest without a lease fell due; zero: none is due
}

// Stats are the gauges of a ledger.
type Stats struct {
	At            time.Time // the moment that they are of, on the clock that failures are stamped with
	Targets       map[string]TargetStats
	Quarantined   int64
	Conversations int64                // but for those of chat.OwnPlatform
	Bytes         int64                // on disk, log included
	Used          int64                // bytes that count to Retention.MaxSize
	LastHook      map[string]time.Time // per source, when the newest hook of any kind was stored
	SetAside      int64                // damaged ledgers beside this one that have not been repaired
}

// Retention says what may be removed. Pending deliveries and what they need are never removed.
type Retention struct {
	Delivered time.Duration // age after which bodies and rows of finished conversations go; 0: never
	Dead      time.Duration // age after which dead deliveries and quarantined hooks go; 0: never
	MaxSize   int64         // bytes on disk at which Accept answers ErrFull; from 90 % of it on finished conversations go whatever their age; 0: no limit
}

// Finding is one result of an audit.
type Finding struct {
	Target string // "" for the ledger as a whole
	Text   string
}

// Repaired is what the repair of a damaged ledger came to.
type Repaired struct {
	File          string `json:"file"`          // what was read, under its name of now
	Conversations int    `json:"conversations"` // new to the open ledger
	Known         int    `json:"known"`         // that it had already, or again: what was missing of them was added
	Bodies        int    `json:"bodies"`
	Deliveries    int    `json:"deliveries"`
	Pending       int    `json:"pending"` // of Deliveries: sent now, the target looked at first
	Attempts      int    `json:"attempts"`
	Quarantined   int    `json:"quarantined"` // hooks in quarantine, with those of conversations that cannot be told
	Audited       int    `json:"audited"`     // lines of the audit log
	Jobs          int    `json:"jobs"`        // replays; those under way were cancelled
	Points        int    `json:"points"`      // of series
	Planned       int    `json:"planned"`     // deliveries that could not be read and were planned anew

	LostPages      int `json:"lost_pages"`      // that hold nothing readable
	LostRows       int `json:"lost_rows"`       // on pages that hold others
	LostBodies     int `json:"lost_bodies"`     // hooks of which nothing can be read
	LostDeliveries int `json:"lost_deliveries"` // of conversations that cannot be told
	Undeliverable  int `json:"undeliverable"`   // dead, because what they would send is lost
}

// Observer is told what an engine does; every method is called after the commit, one call at a time, and must be fast.
// The zero value of its fields means that nobody listens.
type Observer struct {
	Committed func(d time.Duration, operations int) // one transaction with so many grouped operations
	// Due: a delivery of target has fallen due or will earlier than known; because of what another process has done, too,
	// where several share the ledger.
	Due func(target string)
	// Merged: a change of names has made one delivery of two. A commit whose answer is lost is not told of.
	Merged func(m Merged)
	// Crowded: the ledger is so near its MaxSize that Retain is to run now. It is told every few seconds at most while
	// Retain can do nothing about it.
	Crowded func()
}
