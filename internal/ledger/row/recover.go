// This file is what becomes of a delivery that was read out of a damaged ledger. Nobody knows what happened to it since
// its page was written, so it is in doubt.

package row

import "github.com/afterchat/afterchat/internal/ledger"

// Recover takes a delivery of a damaged ledger over. readable tells whether the body of the revision that it wants is
// there; without it a pending one is dead, for all to see. bodies tells whether any body of the conversation is. now is
// in microseconds.
func (r *Delivery) Recover(readable, bodies bool, now int64) (change Counts) {
	if r.Trying > 0 {
		r.Doubt, r.Lapsed, r.Trying, r.DueAt = r.Trying, true, 0, now
	}
	r.Fence, r.Claims = max(r.Fence, now)+1, 0
	if r.State != ledger.Superseded && r.Doubt == 0 {
		r.Doubt = r.Want
	}
	if r.State == ledger.Pending && !readable {
		r.State, r.SettledAt = ledger.Dead, now
		r.fail("lost body", "what it would send was lost in the damaged ledger", now)
	}
	change = enter(r.State)
	if r.State == ledger.Dead && bodies {
		change.DeadRows++
	}
	return change
}

// Learn adds to r, of a fresh ledger, what a damaged one knew of the same conversation at the same target.
func (r *Delivery) Learn(old *Delivery) {
	r.Receipt = mergeReceipt(old.Receipt, r.Receipt)
	if old.Holds() && r.Have == 0 && r.Doubt == 0 && r.State != ledger.Superseded {
		r.Doubt = r.Want
	}
}

// Adopt makes a delivery of conversation number, which stands at revision in a fresh ledger, from one of a damaged
// ledger that the fresh one does not have.
func (r *Delivery) Adopt(number int64, revision int) {
	r.Conversation = number
	if r.Have > 0 {
		r.Have = revision
	}
	if r.Doubt > 0 || r.Trying > 0 {
		r.Doubt, r.Trying = revision, 0
	}
	r.Want, r.Tries, r.FirstAt, r.Tried = revision, 0, 0, ""
}
