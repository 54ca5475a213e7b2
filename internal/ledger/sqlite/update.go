// This file writes what has changed of a delivery's row and leaves the rest, indexes above all, as it is.

package sqlite

import (
	"strings"

	"github.com/afterchat/afterchat/internal/ledger/row"
)

// changed collects the columns that differ between two rows.
type changed struct {
	names []string
	args  []any
}

func compare[T comparable](c *changed, name string, was, now T) {
	if was != now {
		c.names = append(c.names, name)
		c.args = append(c.args, now)
	}
}

// update writes a row that was as in was before, and counts what changed. It is of a delivery that is leased, or that was
// and is settled: the caller keeps recent right.
func (t *tx) update(r, was *row.Delivery, changes []row.Counts) error {
	receipt, err := row.PackReceipt(r.Receipt)
	if err != nil {
		return err
	}
	before, err := row.PackReceipt(was.Receipt)
	if err != nil {
		return err
	}
	for _, c := range changes {
		t.count(r.Target, c)
	}
	c := changed{make([]string, 0, 8), make([]any, 0, 10)}
	compare(&c, "state", int(was.State), int(r.State))
	compare(&c, "want", was.Want, r.Want)
	compare(&c, "have", was.Have, r.Have)
	compare(&c, "trying", was.Trying, r.Trying)
	compare(&c, "doubt", was.Doubt, r.Doubt)
	compare(&c, "lapsed", was.Lapsed, r.Lapsed)
	compare(&c, "due_at", was.DueAt, r.DueAt)
	compare(&c, "pending_since", was.PendingSince, r.PendingSince)
	compare(&c, "settled_at", was.SettledAt, r.SettledAt)
	compare(&c, "fence", was.Fence, r.Fence)
	compare(&c, "claims", was.Claims, r.Claims)
	compare(&c, "tries", was.Tries, r.Tries)
	compare(&c, "first_at", was.FirstAt, r.FirstAt)
	compare(&c, "planned", was.Planned, r.Planned)
	compare(&c, "ignore", was.Ignore, r.Ignore)
	compare(&c, "routes", was.Routes, r.Routes)
	compare(&c, "config", was.Config, r.Config)
	compare(&c, "tried", was.Tried, r.Tried)
	compare(&c, "receipt", before, receipt)
	compare(&c, "class", was.Class, r.Class)
	compare(&c, "reason", was.Reason, r.Reason)
	compare(&c, "failed_at", was.FailedAt, r.FailedAt)
	compare(&c, "pinned", was.Pinned, r.Pinned)
	compare(&c, "imported", was.Imported, r.Imported)
	if len(c.names) == 0 {
		return nil
	}
	_, err = t.change(`UPDATE delivery SET `+strings.Join(c.names, " = ?, ")+` = ? WHERE conversation = ? AND target = ?`, true,
		append(c.args, r.Conversation, r.Target))
	return err
}
