// Package row is what a ledger decides about its rows, the same for every engine: what a hook is to what came before, what
// happens to a delivery, what of it is stored as which bytes. All of it is pure; an engine reads the rows, asks, and
// writes them back.
//
// This file is what happens to one delivery: functions from a row and an event to the row after it and the change
// to the counters. One unit of the counters is one revision for one target; the unit of the revision that a row wants
// is always in the row's state.
package row

import (
	"cmp"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/ledger"
)

// Delivery is one row of the table of deliveries. Times are microseconds, 0 for none.
type Delivery struct {
	Conversation int64 // number of the conversation
	Target       string
	State        ledger.State // of Want
	Want         int          // the revision that is to be delivered, or was
	Have         int          // the revision that the target is known to hold; 0: none
	Trying       int          // the revision of a claim that has not been settled; 0: none
	Doubt        int          // the revision of the attempt that may have been taken; 0: none
	Lapsed       bool         // the claim before ended without a settle, and no attempt was settled since
	DueAt        int64        // of a leased row, the end of its lease
	PendingSince int64
	SettledAt    int64
	Fence        int64  // begins with the time, so that one of a forgotten row never comes again
	Claims       int    // in a row without a settle
	Tries        int    // of Want
	FirstAt      int64  // first attempt of Want, on the target's active clock
	Planned      bool   // the newest plan has this target
	Ignore       bool   // on_update: ignore
	Routes       string // JSON list of names
	Config       string // hash: accepted under
	Tried        string // hash: of the attempt before, or of the one in doubt
	Receipt      connectors.Receipt
	Class        string // of the newest failure; "" in a row that is neither pending nor dead
	Reason       string // of the newest failure, or why it was dropped
	FailedAt     int64  // when the newest attempt failed
	Pinned       string // hash: it is rendered with this configuration; "": with that of the day
	Imported     bool   // only imported hooks have asked for it
}

// Holds tells whether the target holds, or may hold, the conversation. A claim that is not settled may have gone out.
func (r *Delivery) Holds() bool { return r.Have > 0 || r.Doubt > 0 || r.Trying > 0 }

// leave is the change to the counters when the unit of r leaves its state for another.
func leave(from, to ledger.State) (c Counts) {
	*c.state(from)--
	*c.state(to)++
	if from == ledger.Dead {
		c.DeadRows--
	}
	if to == ledger.Dead {
		c.DeadRows++
	}
	return c
}

// enter is the change to the counters when a new unit begins in state.
func enter(state ledger.State) (c Counts) {
	c.Accepted++
	*c.state(state)++
	return c
}

func (c *Counts) state(s ledger.State) *int64 {
	switch s {
	case ledger.Pending:
		return &c.Pending
	case ledger.Delivered:
		return &c.Delivered
	case ledger.Dead:
		return &c.Dead
	case ledger.Skipped:
		return &c.Skipped
	case ledger.Superseded:
	}
	return &c.Superseded
}

// Plan is what routing said of a target for a new revision.
type Plan struct {
	Revision int
	Planned  bool // the target is in the plan; the rest is zero if not
	Ignore   bool
	Hold     int64 // microseconds
	Routes   string
	Config   string
	Expired  bool // retention has taken the bodies of the revisions before
	Import   bool // the hook is imported
}

// Revise takes a new revision into the row of a target. fresh rows, of a target that is new to the conversation, have
// no revision yet: Want is 0. It tells whether something falls due because of it.
func (r *Delivery) Revise(p Plan, now int64) (changes []Counts, due bool) {
	fresh := r.Want == 0
	if !p.Planned && !r.Holds() {
		r.Planned = false
		if r.State == ledger.Superseded {
			return nil, false
		}
		changes = r.supersede(p.Expired)
		r.State = ledger.Superseded
		r.heal()
		return changes, false
	}
	r.Planned, r.Imported = p.Planned, p.Import && (fresh || r.Imported)
	if p.Planned {
		r.Ignore, r.Routes, r.Config = p.Ignore, p.Routes, p.Config
	}
	if r.Have > 0 && r.Ignore {
		return r.skip(p), false
	}
	idle := fresh || r.State == ledger.Superseded // nothing of it is known to the target, so it starts with the hold
	switch {
	case idle:
		r.DueAt, r.PendingSince = now+p.Hold, now
	case r.State != ledger.Pending:
		r.DueAt, r.PendingSince = now, now
	}
	if r.State != ledger.Pending {
		r.Claims = 0
	}
	if !fresh {
		changes = r.supersede(p.Expired)
	}
	r.State, r.Want, r.Tries, r.FirstAt, r.Tried = ledger.Pending, p.Revision, 0, 0, ""
	r.heal()
	return append(changes, enter(ledger.Pending)), true
}

// supersede ends the unit of the revision that r wanted so far. What was delivered or skipped stays so.
func (r *Delivery) supersede(expired bool) []Counts {
	if r.State != ledger.Pending && r.State != ledger.Dead {
		return nil
	}
	c := leave(r.State, ledger.Superseded)
	if expired {
		c.DeadRows = 0 // it was taken out when the bodies went
	}
	return []Counts{c}
}

// skip leaves the target with the earlier revision that it holds. A dead revision in between has no future then.
func (r *Delivery) skip(p Plan) []Counts {
	changes := []Counts{enter(ledger.Skipped)}
	if r.State == ledger.Dead {
		changes = append(changes, r.supersede(p.Expired)...)
		r.State, r.Want = ledger.Skipped, p.Revision
		r.heal()
	}
	return changes
}

// heal forgets the failure: what is wanted of the row now has not failed.
func (r *Delivery) heal() { r.Class, r.Reason, r.FailedAt, r.Pinned = "", "", 0, "" }

// fail notes the newest failure.
func (r *Delivery) fail(class, reason string, at int64) {
	r.Class, r.Reason, r.FailedAt = class, reason, at
}

// claim leases the row until leaseEnd for an attempt under config, or makes it dead if it has killed too many workers.
func (r *Delivery) claim(config string, now, leaseEnd int64) (changes []Counts, crashed bool) {
	if r.Trying > 0 { // a claim whose worker never said what came of it
		r.Doubt, r.Lapsed = r.Trying, true
	}
	r.Fence++
	r.Trying = 0
	if r.Claims >= ledger.CrashLimit {
		r.State, r.SettledAt = ledger.Dead, now
		r.fail(crashClass, crashReason, now)
		return []Counts{leave(ledger.Pending, ledger.Dead)}, true
	}
	r.Claims++
	r.Trying, r.DueAt = r.Want, leaseEnd
	if !r.Resend() {
		r.Tried = cmp.Or(r.Pinned, config)
	}
	return nil, false
}

// Resend tells whether the attempt in doubt was of the very revision that is wanted.
func (r *Delivery) Resend() bool { return r.Doubt > 0 && r.Doubt == r.Want }

// Settle ends the lease of r with what s says, in microseconds by now.
func (r *Delivery) Settle(s ledger.Settlement, now int64) (changes []Counts) {
	r.Trying = 0
	r.SettledAt = now
	if !s.Tried && s.State == ledger.Pending {
		r.Claims = max(r.Claims-1, 0)
	} else {
		r.Claims, r.Lapsed = 0, false
	}
	r.Receipt = mergeReceipt(r.Receipt, s.Receipt)
	current := s.Revision == r.Want
	if s.Tried && current {
		r.Tries++
		if !s.FirstAt.IsZero() {
			r.FirstAt = Micros(s.FirstAt)
		}
	}
	if a := s.Attempt; a != nil && s.State != ledger.Delivered && (s.Tried || s.State == ledger.Dead) {
		r.fail(cmp.Or(a.Class, a.Kind), a.Reason, now)
	}
	switch {
	case s.State == ledger.Delivered:
		return r.delivered(s.Revision, now)
	case s.Uncertain:
		r.Doubt = s.Revision
	}
	switch {
	case current:
		if r.State = s.State; r.State == ledger.Skipped {
			r.heal()
		}
	case !r.Planned && !r.Holds():
		r.State = ledger.Superseded // the newer revision no longer goes to a target that has nothing
		r.heal()
	case s.State != ledger.Pending:
		r.DueAt = now // the end of the older revision; the newer one has its turn
		return nil
	}
	if r.State == ledger.Pending {
		if r.DueAt = Micros(s.DueAt); r.DueAt == 0 {
			r.DueAt = now
		}
		return nil
	}
	return []Counts{leave(ledger.Pending, r.State)}
}

// delivered takes a success of revision.
func (r *Delivery) delivered(revision int, now int64) []Counts {
	r.Have, r.Doubt = revision, 0
	r.heal()
	switch {
	case revision == r.Want:
		r.State = ledger.Delivered
		return []Counts{leave(ledger.Pending, ledger.Delivered)}
	case r.Ignore:
		// The target holds an earlier revision now, so the newer one is skipped.
		r.State, r.Want = ledger.Delivered, revision
		return []Counts{leave(ledger.Pending, ledger.Skipped), leave(ledger.Superseded, ledger.Delivered)}
	}
	r.DueAt = now
	return []Counts{leave(ledger.Superseded, ledger.Delivered)}
}

// Replay makes a dead row due now. What is known of the target stays, its receipt and the doubt, and so does what is known
// of the failure until the next attempt.
func (r *Delivery) Replay(how ledger.Replay, now int64) []Counts {
	if r.Pinned = ""; how.Pinned {
		r.Pinned = r.Tried
	}
	r.State, r.DueAt, r.PendingSince = ledger.Pending, now, now
	r.Claims, r.Tries, r.FirstAt, r.Lapsed = 0, 0, 0, false // whoever replays knows of the crash
	return []Counts{leave(ledger.Dead, ledger.Pending)}
}

// Counts are the counters of a target, or a change to them.
type Counts struct {
	ledger.Counts
	DeadRows int64 // dead deliveries whose bodies are still here
}

// Add returns the sum of c and change.
func (c Counts) Add(change Counts) Counts {
	c.Accepted += change.Accepted
	c.Pending += change.Pending
	c.Delivered += change.Delivered
	c.Dead += change.Dead
	c.Skipped += change.Skipped
	c.Superseded += change.Superseded
	c.DeadRows += change.DeadRows
	return c
}
