// This file is what a person does to single deliveries and hooks.

package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// change changes one delivery, whichever of its names it is called by.
func (l *Ledger) change(ctx context.Context, id, target string, do func(t *tx, k *talk, r *row.Delivery) ([]row.Counts, error)) error {
	id, target = clean(id), clean(target)
	err := l.once(ctx, patience, func() error {
		var found talks
		return l.transact(ctx, l.slot+1, 1, func(b *pgx.Batch) { found.queue(b, `id = $1`, id) }, func(t *tx) error {
			name := row.Today(l.names.Load().list(), target)
			for _, k := range found {
				t.move(k)
				i := slices.IndexFunc(k.rows, func(r *row.Delivery) bool { return r.Target == name })
				if i < 0 {
					continue
				}
				changes, err := do(t, k, k.rows[i])
				if err != nil {
					return err
				}
				t.count(name, changes...)
				if k.rows[i].State == ledger.Pending {
					t.wake(name)
				}
				return t.storeRows(k.rows)
			}
			return ledger.ErrNotFound
		})
	})
	if errors.Is(err, ledger.ErrNotFound) || errors.Is(err, ledger.ErrState) {
		return fmt.Errorf("delivery of %s to %s: %w", id, target, err)
	}
	return err
}

// errNoBodies means that there is nothing to send.
var errNoBodies = fmt.Errorf("%w, retention has removed the conversation", ledger.ErrNotFound)

// Replay is ReplayDelivery with the configuration of the day, but returns ledger.ErrNotFound for a delivery that is not
// dead.
func (l *Ledger) Replay(ctx context.Context, id, target string) error {
	err := l.ReplayDelivery(ctx, id, target, ledger.Replay{})
	if errors.Is(err, ledger.ErrState) {
		return fmt.Errorf("%w as a dead one: %s", ledger.ErrNotFound, err.Error())
	}
	return err
}

// ReplayDelivery makes a dead delivery due now, with new attempts to spend. What is known of the target stays: its
// receipt, and that an attempt may have been taken. It returns ledger.ErrNotFound if there is no such delivery or
// retention has taken what it would send, and ledger.ErrState if it is not dead.
func (l *Ledger) ReplayDelivery(ctx context.Context, id, target string, how ledger.Replay) error {
	return l.change(ctx, id, target, func(t *tx, k *talk, r *row.Delivery) ([]row.Counts, error) {
		switch {
		case r.State != ledger.Dead:
			return nil, fmt.Errorf("%w: it is %s", ledger.ErrState, r.State)
		case !k.Bodies:
			return nil, errNoBodies
		}
		return r.Replay(how, row.Micros(t.now)), nil
	})
}

// Cancel makes a pending delivery dead, with class cancelled: it can be replayed. It returns ledger.ErrState while an
// attempt is under way or when it is not pending, and ledger.ErrNotFound if there is none.
func (l *Ledger) Cancel(ctx context.Context, id, target, reason string) error {
	return l.change(ctx, id, target, func(t *tx, _ *talk, r *row.Delivery) ([]row.Counts, error) {
		return r.Cancel(reason, row.Micros(t.now))
	})
}

// Drop makes a pending or dead delivery skipped, for good. It returns errors as Cancel does.
func (l *Ledger) Drop(ctx context.Context, id, target, reason string) error {
	return l.change(ctx, id, target, func(t *tx, k *talk, r *row.Delivery) ([]row.Counts, error) {
		return r.Drop(reason, k.Bodies, row.Micros(t.now))
	})
}

// Route adds the deliveries that plan has and the newest revision of a conversation does not, as if it had just come in;
// those that exist stay as they are. It returns the targets that were added, or ledger.ErrNotFound if there is no such
// conversation or retention has taken its bodies.
func (l *Ledger) Route(ctx context.Context, id string, plan ledger.Plan) (targets []string, err error) {
	plan = row.Planned(l.names.Load().list(), plan)
	err = l.once(ctx, patience, func() error {
		var found talks
		return l.transact(ctx, l.slot+1, 1, func(b *pgx.Batch) { found.queue(b, `id = $1 AND bodies`, clean(id)) }, func(t *tx) error {
			if len(found) == 0 {
				return fmt.Errorf("conversation %s: %w", id, ledger.ErrNotFound)
			}
			k := found[0]
			t.move(k)
			added, err := row.Route(k.Number, k.Revision, plan, k.rows, row.Micros(t.now))
			if err != nil {
				return err
			}
			targets = nil
			rows := slices.Clone(k.rows)
			for _, a := range added {
				a.Misgive(nil, l.restored.Load())
				t.count(a.Target, a.Changes...)
				t.wake(a.Target)
				targets = append(targets, a.Target)
				if !slices.Contains(rows, a.Delivery) {
					rows = append(rows, a.Delivery)
				}
			}
			t.write(`UPDATE conversation SET indexed = 0 WHERE number = $1`, k.Number)
			return t.storeRows(rows)
		})
	})
	return targets, err
}

// Quarantined lists what is in quarantine, of some sources or of all, the newest first.
func (l *Ledger) Quarantined(ctx context.Context, sources []string, p ledger.Page) (page ledger.Listed[ledger.QuarantineRow], err error) {
	after, paged, err := row.UnpackCursor(cursorQuarantine, p.After)
	if err != nil {
		return page, err
	}
	limit := row.PageLimit(p)
	err = l.view(ctx, func(v *view) error {
		page = ledger.Listed[ledger.QuarantineRow]{}
		q := &query{}
		if len(sources) > 0 {
			q.talk = append(q.talk, "source = ANY ("+q.arg(cleanAll(sources))+"::text[])")
		}
		if paged {
			q.talk = append(q.talk, "(received_at, id) < ("+q.arg(after.Number)+", "+q.arg(after.Name)+")")
		}
		var last row.Cursor
		return v.all(func(rows pgx.Rows) error {
			var r ledger.QuarantineRow
			var received int64
			var head []byte
			if err := rows.Scan(&r.ID, &r.Source, &received, &r.ContentType, &r.Reason, &head); err != nil {
				return err
			}
			if len(page.Items) == limit {
				page.Next = last.Pack(cursorQuarantine)
				return nil
			}
			r.ReceivedAt, r.Bytes = row.FromMicros(received), l.codec.Size(head)
			page.Items, last = append(page.Items, r), row.Cursor{Number: received, Name: r.ID}
			return nil
		}, `SELECT id, source, received_at, content_type, reason, substring(raw FROM 1 FOR `+q.arg(row.PackedHead)+`) FROM quarantine
			WHERE `+and(q.talk...)+` ORDER BY received_at DESC, id DESC LIMIT `+q.arg(limit+1), q.args...)
	})
	return page, err
}

// Release removes a hook from quarantine, because it was read after all or is not wanted; ledger.ErrNotFound if it is
// not there.
func (l *Ledger) Release(ctx context.Context, id string) error {
	there := false
	return l.once(ctx, patience, func() error {
		return l.transact(ctx, l.slot+1, 1, func(b *pgx.Batch) {
			there = false
			each(b, func(pgx.Rows) error { there = true; return nil }, `DELETE FROM quarantine WHERE id = $1 RETURNING id`, clean(id))
		}, func(t *tx) error {
			if !there {
				return fmt.Errorf("quarantined hook %s: %w", id, ledger.ErrNotFound)
			}
			t.add("quarantined", -1)
			return nil
		})
	})
}
