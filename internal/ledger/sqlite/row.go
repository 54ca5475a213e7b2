// This file is what happens to one delivery: pure functions from a row and an event to the row after it and the change
// to the counters. One unit of the counters is one revision for one target; the unit of the revision that a row wants
// is always in the row's state.

package sqlite

import (
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/ledger"
)

// row is one row of delivery. Times are microseconds, 0 for none.
type row struct {
	conversation int64
	target       string
	state        ledger.State
	want         int
	have         int
	trying       int
	doubt        int
	lapsed       bool
	dueAt        int64
	pendingSince int64
	settledAt    int64
	fence        int64
	claims       int
	tries        int
	firstAt      int64
	planned      bool
	ignore       bool
	routes       string
	config       string
	tried        string
	receipt      connectors.Receipt
}

// holds tells whether the target holds, or may hold, the conversation. A claim that is not settled may have gone out.
func (r *row) holds() bool { return r.have > 0 || r.doubt > 0 || r.trying > 0 }

// leave is the change to the counters when the unit of r leaves its state for another.
func leave(from, to ledger.State) (c counts) {
	*c.state(from)--
	*c.state(to)++
	if from == ledger.Dead {
		c.deadRows--
	}
	if to == ledger.Dead {
		c.deadRows++
	}
	return c
}

// enter is the change to the counters when a new unit begins in state.
func enter(state ledger.State) (c counts) {
	c.Accepted++
	*c.state(state)++
	return c
}

func (c *counts) state(s ledger.State) *int64 {
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

// plan is what routing said of a target for a new revision.
type plan struct {
	revision int
	planned  bool // the target is in the plan; the rest is zero if not
	ignore   bool
	hold     int64 // microseconds
	routes   string
	config   string
	expired  bool // retention has taken the bodies of the revisions before
}

// revise takes a new revision into the row of a target. fresh rows, of a target that is new to the conversation, have
// no revision yet: want is 0. It tells whether something falls due because of it.
func (r *row) revise(p plan, now int64) (changes []counts, due bool) {
	fresh := r.want == 0
	if !p.planned && !r.holds() {
		r.planned = false
		if r.state == ledger.Superseded {
			return nil, false
		}
		changes = r.supersede(p.expired)
		r.state = ledger.Superseded
		return changes, false
	}
	r.planned = p.planned
	if p.planned {
		r.ignore, r.routes, r.config = p.ignore, p.routes, p.config
	}
	if r.have > 0 && r.ignore {
		return r.skip(p), false
	}
	idle := fresh || r.state == ledger.Superseded // nothing of it is known to the target, so it starts with the hold
	switch {
	case idle:
		r.dueAt, r.pendingSince = now+p.hold, now
	case r.state != ledger.Pending:
		r.dueAt, r.pendingSince = now, now
	}
	if r.state != ledger.Pending {
		r.claims = 0
	}
	if !fresh {
		changes = r.supersede(p.expired)
	}
	r.state, r.want, r.tries, r.firstAt, r.tried = ledger.Pending, p.revision, 0, 0, ""
	return append(changes, enter(ledger.Pending)), true
}

// supersede ends the unit of the revision that r wanted so far. What was delivered or skipped stays so.
func (r *row) supersede(expired bool) []counts {
	if r.state != ledger.Pending && r.state != ledger.Dead {
		return nil
	}
	c := leave(r.state, ledger.Superseded)
	if expired {
		c.deadRows = 0 // it was taken out when the bodies went
	}
	return []counts{c}
}

// skip leaves the target with the earlier revision that it holds. A dead revision in between has no future then.
func (r *row) skip(p plan) []counts {
	changes := []counts{enter(ledger.Skipped)}
	if r.state == ledger.Dead {
		changes = append(changes, r.supersede(p.expired)...)
		r.state, r.want = ledger.Skipped, p.revision
	}
	return changes
}

// claim leases the row until leaseEnd for an attempt under config, or makes it dead if it has killed too many workers.
func (r *row) claim(config string, now, leaseEnd int64) (changes []counts, crashed bool) {
	if r.trying > 0 { // a claim whose worker never said what came of it
		r.doubt, r.lapsed = r.trying, true
	}
	r.fence++
	r.trying = 0
	if r.claims >= ledger.CrashLimit {
		r.state, r.settledAt = ledger.Dead, now
		return []counts{leave(ledger.Pending, ledger.Dead)}, true
	}
	r.claims++
	r.trying, r.dueAt = r.want, leaseEnd
	if !r.resend() {
		r.tried = config
	}
	return nil, false
}

// resend tells whether the attempt in doubt was of the very revision that is wanted.
func (r *row) resend() bool { return r.doubt > 0 && r.doubt == r.want }

// settle ends the lease of r with what s says, in microseconds by now.
func (r *row) settle(s ledger.Settlement, now int64) (changes []counts) {
	r.trying = 0
	r.settledAt = now
	if !s.Tried && s.State == ledger.Pending {
		r.claims = max(r.claims-1, 0)
	} else {
		r.claims, r.lapsed = 0, false
	}
	r.receipt = mergeReceipt(r.receipt, s.Receipt)
	current := s.Revision == r.want
	if s.Tried && current {
		r.tries++
		if !s.FirstAt.IsZero() {
			r.firstAt = micros(s.FirstAt)
		}
	}
	switch {
	case s.State == ledger.Delivered:
		return r.delivered(s.Revision, now)
	case s.Uncertain:
		r.doubt = s.Revision
	}
	switch {
	case current:
		r.state = s.State
	case !r.planned && !r.holds():
		r.state = ledger.Superseded // the newer revision no longer goes to a target that has nothing
	case s.State != ledger.Pending:
		r.dueAt = now // the end of the older revision; the newer one has its turn
		return nil
	}
	if r.state == ledger.Pending {
		if r.dueAt = micros(s.DueAt); r.dueAt == 0 {
			r.dueAt = now
		}
		return nil
	}
	return []counts{leave(ledger.Pending, r.state)}
}

// delivered takes a success of revision.
func (r *row) delivered(revision int, now int64) []counts {
	r.have, r.doubt = revision, 0
	switch {
	case revision == r.want:
		r.state = ledger.Delivered
		return []counts{leave(ledger.Pending, ledger.Delivered)}
	case r.ignore:
		// The target holds an earlier revision now, so the newer one is skipped.
		r.state, r.want = ledger.Delivered, revision
		return []counts{leave(ledger.Pending, ledger.Skipped), leave(ledger.Superseded, ledger.Delivered)}
	}
	r.dueAt = now
	return []counts{leave(ledger.Superseded, ledger.Delivered)}
}

// replay makes a dead row due now. What is known of the target stays: its receipt and the doubt.
func (r *row) replay(now int64) []counts {
	r.state, r.dueAt, r.pendingSince = ledger.Pending, now, now
	r.claims, r.tries, r.firstAt, r.lapsed = 0, 0, 0, false // whoever replays knows of the crash
	return []counts{leave(ledger.Dead, ledger.Pending)}
}
