// This file writes the deliveries of conversations that have just begun. They are held back until the end of the
// transaction, or until something in it needs them in their table: most often a claim has been waiting for them, and one
// statement writes the row and its lease.

package sqlite

import (
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// planted is a delivery of a conversation that has just begun.
type planted struct {
	id  string
	row *row.Delivery
	due bool // its target has been told
}

// plant takes a row of a conversation that has just begun.
func (t *tx) plant(id string, f row.Fanned) {
	for _, c := range f.Changes {
		t.count(f.Target, c)
	}
	t.planted = append(t.planted, planted{id, f.Delivery, f.Due})
}

// sow writes what has been planted and is not in the table yet. For the operation at hand that is no change: it may still be
// refused by itself.
func (t *tx) sow() error {
	defer func(wrote bool) { t.wrote = wrote }(t.wrote)
	for t.sown < len(t.planted) {
		p := t.planted[t.sown]
		t.sown++
		if err := t.insertRow(p.row); err != nil {
			t.sown-- // so that nothing of this transaction is kept, whoever hears of it now
			return err
		}
		if p.row.DueAt <= row.Micros(t.now) { // what is leased is there already
			t.recent.put(p.id, p.row)
		}
	}
	return nil
}

// insertRow writes a new row. Nearly all are alike: the statement says so, for every argument costs.
func (t *tx) insertRow(r *row.Delivery) error {
	if r.State != ledger.Pending || r.Want != 1 || r.Have != 0 || r.Doubt != 0 || r.Lapsed || r.SettledAt != 0 || r.Tries != 0 || r.FirstAt != 0 ||
		!r.Planned || !r.Receipt.IsZero() || r.Class != "" || r.Reason != "" || r.FailedAt != 0 || r.Pinned != "" || r.Imported {
		return t.store(r, nil)
	}
	_, err := t.change(`INSERT INTO delivery (`+rowColumns+`)
		VALUES (?, ?, 0, 1, 0, ?, 0, 0, ?, ?, 0, ?, ?, 0, 0, 1, ?, ?, ?, ?, '', '', '', 0, '', 0)`, true,
		[]any{r.Conversation, r.Target, r.Trying, r.DueAt, r.PendingSince, r.Fence, r.Claims, r.Ignore, r.Routes, r.Config, r.Tried})
	return err
}
