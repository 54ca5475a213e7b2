// This file is what becomes of a delivery when its target gets another name.

package row

import (
	"cmp"
	"slices"

	"github.com/afterchat/afterchat/internal/ledger"
)

// Today returns the name that a target has now.
func Today(renames []ledger.Rename, target string) string {
	for _, r := range renames {
		if r.Old == target {
			return r.New
		}
	}
	return target
}

// Planned returns a plan with the names of today.
func Planned(renames []ledger.Rename, p ledger.Plan) ledger.Plan {
	if len(renames) == 0 {
		return p
	}
	p.Deliveries = slices.Clone(p.Deliveries)
	for i := range p.Deliveries {
		p.Deliveries[i].Target = Today(renames, p.Deliveries[i].Target)
	}
	return p
}

// AddMerge adds to what one transaction has merged. ended is the second result of Merge.
func AddMerge(merged []ledger.Merged, r ledger.Rename, ended ledger.State) []ledger.Merged {
	i := slices.IndexFunc(merged, func(m ledger.Merged) bool { return m.Rename == r })
	if i < 0 {
		i, merged = len(merged), append(merged, ledger.Merged{Rename: r})
	}
	merged[i].Conversations++
	if Unsent(ended) {
		merged[i].Superseded++
	}
	return merged
}

// Unsent tells whether a row in this state has something to send, now or when it is replayed.
func Unsent(s ledger.State) bool { return s == ledger.Pending || s == ledger.Dead }

// Unit is what one row is in the counters, n times.
func Unit(state ledger.State, bodies bool, n int64) (c Counts) {
	c.Accepted = n
	*c.state(state) = n
	if state == ledger.Dead && bodies {
		c.DeadRows = n
	}
	return c
}

// Merge makes one row of those of the old and the new name, and returns the state of the one that came to its end.
// That which is in force wins, then the one of the newer revision, then the one of which the target holds more, then
// the one of the new name. What the target holds, or may hold, is kept of both. A lease of either ends, and nobody else
// gets the row before the time of both is over.
func Merge(from, to *Delivery) (kept *Delivery, ended ledger.State) {
	order := cmp.Or(
		-compareBool(from.State == ledger.Superseded, to.State == ledger.Superseded),
		cmp.Compare(from.Want, to.Want),
		cmp.Compare(from.Have, to.Have),
	)
	kept, other := to, from
	if order > 0 {
		kept, other = from, to
	}
	merged := *kept
	if other.Have > kept.Have || kept.Receipt.ID == "" && other.Receipt.ID != "" {
		merged.Receipt = other.Receipt // as a whole: the two may tell of two objects
	}
	merged.Have = max(kept.Have, other.Have)
	merged.Doubt = max(kept.Doubt, other.Doubt)
	merged.Lapsed = kept.Lapsed || other.Lapsed
	if trying := max(kept.Trying, other.Trying); kept.State != ledger.Pending {
		merged.Doubt = max(merged.Doubt, trying)
	} else if merged.Trying = trying; other.Trying > 0 {
		merged.DueAt = max(kept.DueAt, other.DueAt)
	}
	merged.Imported = kept.Imported && other.Imported
	merged.Fence = max(kept.Fence, other.Fence) + 1
	merged.SettledAt = max(kept.SettledAt, other.SettledAt)
	return &merged, other.State
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
