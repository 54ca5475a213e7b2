// This file forgets: bodies and attempts of conversations that are finished and old, then, much later, that they were
// there, and it gives the space back. It works in small transactions, so that hooks never wait long for it.

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

const (
	retainBatch = 50  // conversations or quarantined hooks in one transaction
	vacuumPages = 256 // pages given back in one transaction
	keepPages   = 256 // free pages kept for the hooks to come
)

// Keep replaces what may be removed when, and the size at which hooks are refused. It holds from the next operation on.
func (l *Ledger) Keep(r ledger.Retention) { l.retention.Store(&r) }

// Retain removes what has outlived its retention at now: bodies and attempts of conversations whose deliveries are all
// finished, with their dead deliveries, and quarantined hooks. A conversation's age counts from its newest hook or from
// the end of its last delivery, whichever is later. Pending deliveries and what they need stay whatever their age.
//
// Near MaxSize, finished conversations lose their bodies and attempts whatever their age, the oldest first, until there is
// room again. Dead deliveries and quarantined hooks stay until their age.
//
// Before that it does what Rename has left.
//
// What recognizes a conversation, and the receipts of its targets, stay for a year at least. Snapshots of configurations
// stay as long as a delivery refers to them.
func (l *Ledger) Retain(ctx context.Context, now time.Time) error {
	keep := *l.retention.Load()
	steps := []func(context.Context) (more bool, err error){l.finishRename, l.setClockRight}
	if keep.Delivered > 0 {
		steps = append(steps, l.expire(now), l.forget(now.Add(-max(keep.Delivered, keep.Dead, identityAge))), l.dropConfigs(now))
	}
	if keep.Dead > 0 {
		steps = append(steps, l.dropQuarantine(now.Add(-keep.Dead)))
	}
	steps = append(steps, l.dropJournal(now), l.makeRoom(), l.shrink())
	for _, step := range steps {
		for more := true; more; {
			var err error
			if more, err = step(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// aged is a place in an index over age: the last row that was looked at.
type aged struct{ seenAt, number int64 }

// page reads the next conversations that are old enough, from a reader. What is passed over, because something of it
// is pending, is not looked at again in this run.
func (l *Ledger) page(ctx context.Context, after *aged, query string, until time.Time) (numbers []int64, err error) {
	if err := l.enter(); err != nil {
		return nil, err
	}
	defer l.users.Done()
	rows, err := l.readers.Load().QueryContext(ctx, query, row.Micros(until), after.seenAt, after.number, retainBatch)
	if err != nil {
		return nil, err
	}
	err = each(rows, func(rows *sql.Rows) error {
		err := rows.Scan(&after.seenAt, &after.number)
		numbers = append(numbers, after.number)
		return err
	})
	return numbers, err
}

// expire takes the bodies of the conversations of one page, and says whether there may be more pages.
func (l *Ledger) expire(now time.Time) func(context.Context) (bool, error) {
	after := &aged{}
	return func(ctx context.Context) (bool, error) {
		numbers, err := l.page(ctx, after, `SELECT seen_at, number FROM conversation
			WHERE bodies = 1 AND seen_at <= ? AND (seen_at, number) > (?, ?) ORDER BY seen_at, number LIMIT ?`, now.Add(-l.retention.Load().Delivered))
		if err != nil || len(numbers) == 0 {
			return false, err
		}
		return true, l.write(ctx, func(t *tx) error {
			for _, number := range numbers {
				if err := t.expire(number, now); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

// expire takes the bodies of one conversation, if they are old enough and nobody needs them.
func (t *tx) expire(number int64, now time.Time) error {
	keep := *t.ledger.retention.Load()
	var seen int64
	err := t.row(`SELECT seen_at FROM conversation WHERE number = ? AND bodies = 1`, []any{number}, &seen)
	if errors.Is(err, sql.ErrNoRows) {
		return nil // another run was faster
	}
	if err != nil {
		return err
	}
	rows, err := t.deliveries(number)
	if err != nil || !row.Expired(seen, rows, keep, now) {
		return err
	}
	return t.strip(number, rows)
}

// strip takes the bodies and attempts of one conversation.
func (t *tx) strip(number int64, rows []*row.Delivery) error {
	for _, r := range rows {
		if r.State == ledger.Dead {
			t.count(r.Target, row.Counts{DeadRows: -1})
		}
	}
	if err := t.unindex(number); err != nil {
		return err
	}
	for _, statement := range []string{
		`DELETE FROM body WHERE conversation = ?`,
		`UPDATE delivery SET class = '', reason = '', failed_at = 0 WHERE conversation = ?`,
		`DELETE FROM attempt WHERE conversation = ?`,
		`UPDATE conversation SET bodies = 0 WHERE number = ?`,
	} {
		if err := t.exec(statement, number); err != nil {
			return err
		}
	}
	return nil
}

// forget removes conversations whose bodies are gone and that nothing has been heard of since until.
func (l *Ledger) forget(until time.Time) func(context.Context) (bool, error) {
	after := &aged{}
	return func(ctx context.Context) (bool, error) {
		numbers, err := l.page(ctx, after, `SELECT seen_at, number FROM conversation
			WHERE bodies = 0 AND seen_at <= ? AND (seen_at, number) > (?, ?) ORDER BY seen_at, number LIMIT ?`, until)
		if err != nil || len(numbers) == 0 {
			return false, err
		}
		return true, l.write(ctx, func(t *tx) error {
			for _, number := range numbers {
				var platform string
				err := t.row(`SELECT platform FROM conversation WHERE number = ? AND bodies = 0 AND seen_at <= ?`, []any{number, row.Micros(until)}, &platform)
				if errors.Is(err, sql.ErrNoRows) {
					continue // a hook came meanwhile
				}
				if err != nil {
					return err
				}
				t.add("conversations", -row.Chats(platform))
				for _, statement := range []string{
					`DELETE FROM delivery WHERE conversation = ?`,
					`DELETE FROM outdated WHERE number = ?`,
					`DELETE FROM routed WHERE number = ?`,
					`DELETE FROM conversation WHERE number = ?`,
				} {
					if err := t.exec(statement, number); err != nil {
						return err
					}
				}
			}
			return t.exec(`UPDATE progress SET n = min(n, (SELECT coalesce(max(number), 0) FROM conversation)) WHERE name = 'newest'`)
		})
	}
}

// dropQuarantine removes quarantined hooks that came before until.
func (l *Ledger) dropQuarantine(until time.Time) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		more := false
		err := l.write(ctx, func(t *tx) error {
			var ids []string
			err := t.rows(`SELECT id FROM quarantine WHERE received_at <= ? ORDER BY received_at LIMIT ?`, []any{row.Micros(until), retainBatch}, func(rows *sql.Rows) error {
				var id string
				err := rows.Scan(&id)
				ids = append(ids, id)
				return err
			})
			if err != nil {
				return err
			}
			for _, id := range ids {
				if err := t.exec(`DELETE FROM quarantine WHERE id = ?`, id); err != nil {
					return err
				}
				t.add("quarantined", -1)
			}
			more = len(ids) == retainBatch
			return nil
		})
		if err != nil {
			return false, err
		}
		return more, nil
	}
}

// shrink gives free pages back to the file system; the file gets shorter at the next checkpoint.
func (l *Ledger) shrink() func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		more := false
		err := l.write(ctx, func(t *tx) error {
			var free int64
			if err := t.row(`SELECT freelist_count FROM pragma_freelist_count`, nil, &free); err != nil {
				return err
			}
			if more = free > keepPages; !more {
				return nil
			}
			return t.exec(fmt.Sprintf("PRAGMA incremental_vacuum(%d)", vacuumPages))
		})
		if err != nil {
			return false, err
		}
		return more, nil
	}
}
