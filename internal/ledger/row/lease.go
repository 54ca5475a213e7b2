// This file leases a row: what a worker is told of it, and who may still settle it.

package row

import (
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

// Lease claims the row for an attempt under config until end, all in microseconds, and returns what the worker gets, but
// for the conversation, whose id it is given. A row that has killed too many workers is dead instead: crashed is true,
// and Crash is to be logged.
func (r *Delivery) Lease(id, config string, now, end int64) (d ledger.Delivery, changes []Counts, crashed bool, err error) {
	routes, err := UnpackRoutes(r.Routes)
	if err != nil {
		return d, nil, false, err
	}
	d = ledger.Delivery{
		ID: id, Target: r.Target, Revision: r.Want, Held: r.Have, Attempt: r.Tries + 1, Receipt: r.Receipt,
		Routes: routes, Accepted: r.Config, DueAt: FromMicros(r.DueAt), FirstAt: FromMicros(r.FirstAt),
		Pinned: r.Pinned, Imported: r.Imported,
	}
	tried := r.Tried
	changes, crashed = r.claim(config, now, end)
	d.Fence, d.Uncertain, d.Resend, d.Lapsed = r.Fence, r.Doubt > 0, r.Resend(), r.Lapsed
	if r.Tries > 0 || d.Resend {
		d.Tried = tried
	}
	if !crashed {
		d.LeaseEnd = FromMicros(end)
	}
	return d, changes, crashed, nil
}

// crashClass and crashReason are the failure of a row that has killed too many workers.
const (
	crashClass  = "crash"
	crashReason = "claimed again and again without an outcome: it may crash the process"
)

// Crash is the line in the log of attempts of a delivery that is dead because nobody settled it.
func Crash(d ledger.Delivery, now time.Time) ledger.Attempt {
	return ledger.Attempt{At: now, Number: d.Attempt, Kind: "crash", Reason: crashReason, Detail: ledger.Detail{Class: crashClass}}
}

// Unreadable settles a delivery whose conversation cannot be read, so that it is seen and stops nobody else.
func Unreadable(d ledger.Delivery, cause error, now time.Time) ledger.Settlement {
	return ledger.Settlement{
		ID: d.ID, Target: d.Target, Revision: d.Revision, Fence: d.Fence, State: ledger.Dead,
		Attempt: &ledger.Attempt{
			At: now, Number: d.Attempt, Kind: "crash", Reason: "the stored conversation cannot be read: " + cause.Error(),
			Detail: ledger.Detail{Class: "crash unreadable"},
		},
	}
}

// Leased tells whether the lease that s ends is still that of the row.
func (r *Delivery) Leased(s ledger.Settlement) bool {
	return r.Fence == s.Fence && r.Trying == s.Revision
}

// Expired tells whether the bodies of a conversation may go: seen in microseconds is when its newest hook came.
func Expired(seen int64, rows []*Delivery, keep ledger.Retention, now time.Time) bool {
	if seen > Micros(now.Add(-keep.Delivered)) {
		return false
	}
	for _, r := range rows {
		age := keep.Delivered
		switch r.State {
		case ledger.Pending:
			return false
		case ledger.Dead:
			if age = keep.Dead; age == 0 {
				return false
			}
		case ledger.Delivered, ledger.Skipped, ledger.Superseded:
		}
		if r.SettledAt > Micros(now.Add(-age)) {
			return false
		}
	}
	return true
}
