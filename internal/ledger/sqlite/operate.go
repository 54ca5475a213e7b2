// This file is what operators do to deliveries: send them again, stop them, drop them, route what no route had taken.

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// ReplayDelivery makes a dead delivery due now, with new attempts to spend. What is known of the target stays: its
// receipt, and that an attempt may have been taken. It returns ledger.ErrState if the delivery is not dead, and
// ledger.ErrNotFound if there is none or retention has taken what it would send.
func (l *Ledger) ReplayDelivery(ctx context.Context, id, target string, how ledger.Replay) error {
	return l.operate(ctx, id, target, func(t *tx, r *row.Delivery, bodies bool) ([]row.Counts, error) {
		return t.replay(r, bodies, how)
	})
}

// replay makes r due, but does not store it.
func (t *tx) replay(r *row.Delivery, bodies bool, how ledger.Replay) ([]row.Counts, error) {
	switch {
	case r.State != ledger.Dead:
		return nil, fmt.Errorf("%w: it is %s, not dead", ledger.ErrState, r.State)
	case !bodies:
		return nil, fmt.Errorf("%w: retention has removed the conversation", ledger.ErrNotFound)
	}
	t.wake(r.Target)
	return r.Replay(how, row.Micros(t.now)), nil
}

// Cancel makes a pending delivery dead, with class cancelled. It returns ledger.ErrState while an attempt is under way or
// when it is not pending.
func (l *Ledger) Cancel(ctx context.Context, id, target, reason string) error {
	return l.operate(ctx, id, target, func(t *tx, r *row.Delivery, _ bool) ([]row.Counts, error) {
		return r.Cancel(reason, row.Micros(t.now))
	})
}

// Drop makes a pending or dead delivery skipped, for good. It returns ledger.ErrState as Cancel does.
func (l *Ledger) Drop(ctx context.Context, id, target, reason string) error {
	return l.operate(ctx, id, target, func(t *tx, r *row.Delivery, bodies bool) ([]row.Counts, error) {
		return r.Drop(reason, bodies, row.Micros(t.now))
	})
}

// operate changes one delivery.
func (l *Ledger) operate(ctx context.Context, id, target string, change func(*tx, *row.Delivery, bool) ([]row.Counts, error)) error {
	return l.write(ctx, func(t *tx) error {
		r, bodies, err := t.delivery(id, target)
		if err != nil {
			return fmt.Errorf("delivery of %s to %s: %w", id, target, err)
		}
		changes, err := change(t, r, bodies)
		if err != nil {
			return fmt.Errorf("delivery of %s to %s: %w", id, target, err)
		}
		return t.store(r, changes)
	})
}

// Route adds the deliveries that plan has and the newest revision of a conversation does not, as if it had just come in;
// those that exist stay as they are. It returns the targets that were added. It returns ledger.ErrNotFound if there is no
// such conversation or retention has taken what it would send.
func (l *Ledger) Route(ctx context.Context, id string, plan ledger.Plan) (added []string, err error) {
	plan = row.Planned(l.names.Load().list(), plan)
	err = l.write(ctx, func(t *tx) error {
		added = nil
		var number int64
		var revision int
		var bodies bool
		err := t.row(`SELECT number, revision, bodies FROM conversation WHERE id = ?`, []any{id}, &number, &revision, &bodies)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return fmt.Errorf("conversation %s: %w", id, ledger.ErrNotFound)
		case err != nil:
			return err
		case !bodies:
			return fmt.Errorf("conversation %s: %w: retention has removed what was said", id, ledger.ErrNotFound)
		}
		if err := t.moveAll(number); err != nil {
			return err
		}
		rows, err := t.deliveries(number)
		if err != nil {
			return err
		}
		fanned, err := row.Route(number, revision, plan, rows, row.Micros(t.now))
		if err != nil {
			return err
		}
		for _, f := range fanned {
			t.ledger.doubtful(f.Delivery, nil)
			if err := t.store(f.Delivery, f.Changes); err != nil {
				return err
			}
			added = append(added, f.Target)
			t.wake(f.Target)
		}
		if len(added) == 0 {
			return nil
		}
		return t.outdate(number)
	})
	return added, err
}
