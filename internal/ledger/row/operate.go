// This file is what a person does to deliveries.

package row

import (
	"fmt"
	"slices"

	"github.com/afterchat/afterchat/internal/ledger"
)

// leased tells whether an attempt may be under way. One whose lease has run out is not: its worker is fenced here.
func (r *Delivery) leased(now int64) bool { return r.Trying > 0 && r.DueAt > now }

// end takes the row from whoever may have had it.
func (r *Delivery) end(now int64) {
	if r.Trying > 0 {
		r.Doubt, r.Lapsed, r.Trying = r.Trying, true, 0
	}
	r.Fence++
	r.SettledAt = now
}

// Cancel makes a pending row dead, so that it can be replayed.
func (r *Delivery) Cancel(reason string, now int64) ([]Counts, error) {
	switch {
	case r.State != ledger.Pending:
		return nil, fmt.Errorf("%w: it is %s", ledger.ErrState, r.State)
	case r.leased(now):
		return nil, fmt.Errorf("%w: an attempt is under way", ledger.ErrState)
	}
	r.end(now)
	r.State = ledger.Dead
	r.fail("cancelled", reason, now)
	return []Counts{leave(ledger.Pending, ledger.Dead)}, nil
}

// Drop makes a pending or dead row skipped. bodies tells whether those of the conversation are there.
func (r *Delivery) Drop(reason string, bodies bool, now int64) ([]Counts, error) {
	switch {
	case r.State != ledger.Pending && r.State != ledger.Dead:
		return nil, fmt.Errorf("%w: it is %s", ledger.ErrState, r.State)
	case r.State == ledger.Pending && r.leased(now):
		return nil, fmt.Errorf("%w: an attempt is under way", ledger.ErrState)
	}
	change := leave(r.State, ledger.Skipped)
	if !bodies {
		change.DeadRows = 0 // it was taken out when the bodies went
	}
	r.end(now)
	r.State = ledger.Skipped
	r.heal()
	r.Reason = reason
	return []Counts{change}, nil
}

// Route takes what a plan adds to revision, the newest of conversation number: rows for targets that have none of this
// revision. The others are not in the answer.
func Route(number int64, revision int, p ledger.Plan, rows []*Delivery, now int64) (added []Fanned, err error) {
	imported := len(rows) > 0 && !slices.ContainsFunc(rows, func(r *Delivery) bool { return !r.Imported })
	for _, d := range p.Deliveries {
		routes, err := PackRoutes(d.Routes)
		if err != nil {
			return nil, err
		}
		plan := Plan{
			Revision: revision, Planned: true, Ignore: d.IgnoreUpdates, Hold: max(d.Hold, 0).Microseconds(), Routes: routes, Config: p.Config,
			Import: imported,
		}
		r := &Delivery{Conversation: number, Target: d.Target, Fence: now}
		if i := slices.IndexFunc(rows, func(r *Delivery) bool { return r.Target == d.Target }); i >= 0 {
			if r = rows[i]; r.State != ledger.Superseded {
				continue
			}
		}
		again := r.Want == revision // its unit was superseded and is pending now
		changes, due := r.Revise(plan, now)
		if again {
			changes = []Counts{leave(ledger.Superseded, ledger.Pending)}
		}
		added = append(added, Fanned{r, changes, due})
	}
	return added, nil
}
