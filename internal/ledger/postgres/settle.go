// This file ends leases.

package postgres

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// settling is a settlement on its way in.
type settling struct {
	ledger.Settlement
	answer ledger.Settled
}

// Settle ends a lease with what the attempt came to. It returns ledger.ErrFenced if the lease is no longer the caller's.
// A lease that has run out but that nobody else has taken is still the caller's.
func (l *Ledger) Settle(ctx context.Context, s ledger.Settlement) (ledger.Settled, error) {
	op := &settling{Settlement: s}
	if err := l.settles.submit(ctx, l, op); err != nil {
		return ledger.Settled{}, err
	}
	return op.answer, nil
}

// settleAll ends a batch of leases in one transaction.
func (l *Ledger) settleAll(ctx context.Context, batch []*waiting[settling]) error {
	renames := l.names.Load().list()
	var found talks
	read := func(b *pgx.Batch) {
		byIndex(b)
		b.Queue(`SELECT pg_advisory_xact_lock_shared($1)`, l.key("move", ""))
		if ids := idsOf(batch); len(renames) > 0 {
			found.queue(b, `id = ANY ($1)`, ids)
		} else {
			found.queueLeased(b, ids, targetsOf(batch))
		}
	}
	return l.transact(ctx, l.slot+2, len(batch), read, func(t *tx) error {
		var lines []line
		for _, w := range batch {
			line, err := t.settle(w, found, renames)
			if err != nil {
				w.err = fmt.Errorf("delivery of %s to %s: %w", w.op.ID, w.op.Target, err)
			} else if line.row != nil {
				lines = append(lines, line)
			}
		}
		if err := t.storeLines(lines); err != nil {
			return err
		}
		return t.storeRows(found.touched())
	})
}

func idsOf(batch []*waiting[settling]) []string {
	ids := make([]string, len(batch))
	for i, w := range batch {
		ids[i] = clean(w.op.ID)
	}
	return ids
}

func targetsOf(batch []*waiting[settling]) []string {
	targets := make([]string, len(batch))
	for i, w := range batch {
		targets[i] = clean(w.op.Target)
	}
	return targets
}

// queueLeased locks and reads single deliveries, and of their conversations what a settlement needs.
func (ts *talks) queueLeased(b *pgx.Batch, ids, targets []string) {
	*ts = nil
	each(b, func(rows pgx.Rows) error {
		k := &talk{}
		r, err := scanRow(rows, &k.ID, &k.day, &k.Bodies)
		if err != nil {
			return err
		}
		k.Number, k.rows = r.Conversation, []*row.Delivery{r}
		*ts = append(*ts, k)
		return nil
	}, `SELECT `+prefixed("d", rowColumns)+`, c.id, c.day, c.bodies
		FROM (SELECT DISTINCT id, target FROM unnest($1::text[], $2::text[]) AS u (id, target)) a
		JOIN conversation c ON c.id = a.id JOIN delivery d ON d.conversation = c.number AND d.target = a.target
		ORDER BY d.conversation, d.target FOR NO KEY UPDATE OF d`, ids, targets)
}

// settle ends one lease. An error changes nothing.
func (t *tx) settle(w *waiting[settling], found talks, renames []ledger.Rename) (l line, err error) {
	s := w.op.Settlement
	s.Target = row.Today(renames, s.Target)
	for _, k := range found {
		if k.ID != s.ID {
			continue
		}
		if len(renames) > 0 {
			t.move(k)
		}
		i := slices.IndexFunc(k.rows, func(r *row.Delivery) bool { return r.Target == s.Target })
		if i < 0 {
			continue
		}
		r := k.rows[i]
		switch {
		case w.lost && r.Fence == s.Fence && r.Trying == 0:
			w.op.answer.State = r.State // the commit that was lost had happened
			return line{}, nil
		case !r.Leased(s):
			return line{}, ledger.ErrFenced
		}
		ahead := t.ledger.skew(t.now)
		s.DueAt, s.FirstAt = shift(s.DueAt, ahead), shift(s.FirstAt, ahead)
		t.count(r.Target, r.Settle(s, row.Micros(t.now))...)
		k.touched = true
		if r.State == ledger.Pending {
			t.wake(r.Target)
		}
		w.op.answer.State = r.State
		if s.Attempt != nil {
			l = line{k.day, r, r.Fence, s.Revision, *s.Attempt}
			l.attempt.At = shift(l.attempt.At, ahead)
		}
		return l, nil
	}
	return line{}, ledger.ErrNotFound
}
