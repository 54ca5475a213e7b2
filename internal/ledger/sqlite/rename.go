// This file brings what is kept under earlier names of targets and sources to those of today.

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// renameBatch is how many conversations change a target's name in one transaction.
const renameBatch = 200

// names are the renames in force.
type names struct {
	targets []ledger.Rename
	// moving is false when nothing is left under an earlier name. It is never false by mistake.
	moving bool
}

// list returns the renames of targets.
func (n *names) list() []ledger.Rename {
	if n == nil {
		return nil
	}
	return n.targets
}

// Rename takes over the names of a configuration, in place of those of the call before. When it returns, the states of
// targets and sources and all pending deliveries have the names of today; Retain does the rest. Hooks, leases, replays
// and settlements under way find their delivery whichever of its names they know. After an error the same call can be
// made again.
//
// Two deliveries of one conversation, under the old and the new name, become one, see row.Merge; the observer hears of
// it. Of two states of a target
// the one of the new name stays.
func (l *Ledger) Rename(ctx context.Context, r ledger.Renames) error {
	same := func(r ledger.Rename) bool { return r.Old == r.New }
	now := &names{targets: slices.DeleteFunc(slices.Clone(r.Targets), same)}
	now.moving = len(now.targets) > 0
	l.names.Store(now)
	err := l.write(ctx, func(t *tx) error {
		for _, s := range slices.DeleteFunc(slices.Clone(r.Sources), same) {
			if err := t.renameSource(s); err != nil {
				return err
			}
		}
		for _, target := range now.targets {
			err := t.exec(`INSERT OR IGNORE INTO target SELECT ?, account, since, until, reason, by_operator, probes, paused
				FROM target WHERE name = ?`, target.New, target.Old)
			if err != nil {
				return err
			}
			if err := t.exec(`DELETE FROM target WHERE name = ?`, target.Old); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, target := range now.targets {
		if err := l.movePending(ctx, now, target); err != nil {
			return err
		}
	}
	return nil
}

// movePending renames the pending deliveries, page by page. What has been moved is not found again.
func (l *Ledger) movePending(ctx context.Context, now *names, target ledger.Rename) error {
	for {
		// The state is a literal so that the partial index answers.
		numbers, err := l.numbers(ctx, `SELECT conversation FROM delivery WHERE target = ? AND state = 0 LIMIT ?`, target.Old, renameBatch)
		if err != nil || len(numbers) == 0 {
			return err
		}
		if err := l.movePage(ctx, now, target, numbers); err != nil {
			return err
		}
	}
}

// moveFinished renames all deliveries in one walk through the table.
func (l *Ledger) moveFinished(ctx context.Context, now *names, target ledger.Rename) error {
	for after := int64(0); ; {
		numbers, err := l.numbers(ctx, `SELECT conversation FROM delivery WHERE target = ? AND conversation > ? ORDER BY conversation LIMIT ?`,
			target.Old, after, renameBatch)
		if err != nil || len(numbers) == 0 {
			return err
		}
		if err := l.movePage(ctx, now, target, numbers); err != nil {
			return err
		}
		after = numbers[len(numbers)-1]
	}
}

func (l *Ledger) movePage(ctx context.Context, now *names, target ledger.Rename, numbers []int64) error {
	return l.writeUnder(ctx, now, func(t *tx) error {
		for _, number := range numbers {
			if err := t.moveDelivery(number, target); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *tx) renameSource(s ledger.Rename) error {
	var last int64
	err := t.row(`SELECT last_hook FROM source WHERE name = ?`, []any{s.Old}, &last)
	if errors.Is(err, sql.ErrNoRows) {
		return nil // and so there is nothing in quarantine
	}
	if err != nil {
		return err
	}
	for _, change := range []string{
		`INSERT INTO source SELECT ?, last_hook FROM source WHERE name = ?
			ON CONFLICT (name) DO UPDATE SET last_hook = max(last_hook, excluded.last_hook)`,
		`UPDATE quarantine SET source = ? WHERE source = ?`,
	} {
		if err := t.exec(change, s.New, s.Old); err != nil {
			return err
		}
	}
	return t.exec(`DELETE FROM source WHERE name = ?`, s.Old)
}

// current brings the delivery of a conversation to the names of today and returns the one of target.
func (t *tx) current(id, target string) (string, error) {
	now := t.ledger.names.Load()
	if now == nil {
		return target, nil
	}
	if now.moving {
		var number int64
		err := t.row(`SELECT number FROM conversation WHERE id = ?`, []any{id}, &number)
		if errors.Is(err, sql.ErrNoRows) {
			err = ledger.ErrNotFound
		}
		if err == nil {
			err = t.moveAll(number)
		}
		if err != nil {
			return target, err
		}
	}
	return row.Today(now.targets, target), nil
}

// finishRename moves what Rename has left: finished deliveries, the log of attempts, counters.
func (l *Ledger) finishRename(ctx context.Context) (more bool, _ error) {
	now := l.names.Load()
	if now == nil || !now.moving {
		return false, nil
	}
	for _, target := range now.targets {
		var counted bool
		err := l.read(ctx, `SELECT true FROM counter WHERE target = ?`, []any{target.Old}, &counted)
		if errors.Is(err, ledger.ErrNotFound) {
			continue // what is there is counted
		}
		if err == nil {
			err = l.moveFinished(ctx, now, target)
		}
		if err == nil {
			err = l.writeUnder(ctx, now, func(t *tx) error { return t.moveCounters(target) })
		}
		if errors.Is(err, errRenamedAgain) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
	l.names.CompareAndSwap(now, &names{targets: now.targets})
	return false, nil
}

// errRenamedAgain means that other names are in force: what was old may be new.
var errRenamedAgain = errors.New("names have changed again")

// writeUnder is write that does nothing and returns errRenamedAgain unless the names in force are still now.
func (l *Ledger) writeUnder(ctx context.Context, now *names, do func(*tx) error) error {
	return l.write(ctx, func(t *tx) error {
		if l.names.Load() != now {
			return errRenamedAgain
		}
		return do(t)
	})
}

// numbers reads the numbers of conversations from a reader.
func (l *Ledger) numbers(ctx context.Context, query string, args ...any) (numbers []int64, err error) {
	if err := l.enter(); err != nil {
		return nil, err
	}
	defer l.users.Done()
	rows, err := l.readers.Load().QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	err = each(rows, func(rows *sql.Rows) error {
		var number int64
		err := rows.Scan(&number)
		numbers = append(numbers, number)
		return err
	})
	return numbers, err
}

// moveAll renames the deliveries of a conversation that is about to change.
func (t *tx) moveAll(number int64) error {
	now := t.ledger.names.Load()
	if now == nil || !now.moving {
		return nil
	}
	for _, target := range now.targets {
		if err := t.moveDelivery(number, target); err != nil {
			return err
		}
	}
	return nil
}

// moveDelivery renames the delivery of a conversation, if there is one under the old name.
func (t *tx) moveDelivery(number int64, target ledger.Rename) error {
	rows, err := t.deliveries(number)
	if err != nil {
		return err
	}
	find := func(name string) *row.Delivery {
		if i := slices.IndexFunc(rows, func(r *row.Delivery) bool { return r.Target == name }); i >= 0 {
			return rows[i]
		}
		return nil
	}
	from, to := find(target.Old), find(target.New)
	if from == nil {
		return nil
	}
	bodies := false
	if err := t.row(`SELECT bodies FROM conversation WHERE number = ?`, []any{number}, &bodies); err != nil {
		return err
	}
	t.count(target.Old, row.Unit(from.State, bodies, -1))
	t.count(target.New, row.Unit(from.State, bodies, 1))
	err = t.exec(`UPDATE OR REPLACE attempt SET target = ? WHERE conversation = ? AND target = ?`, target.New, number, target.Old)
	if err != nil {
		return err
	}
	if err := t.exec(`DELETE FROM delivery WHERE conversation = ? AND target = ?`, number, target.Old); err != nil {
		return err
	}
	from.Target = target.New
	kept := from
	if to != nil {
		var ended ledger.State
		kept, ended = row.Merge(from, to)
		t.op.met = row.AddMerge(t.op.met, target, ended)
		if row.Unsent(ended) {
			t.count(target.New, row.Unit(ended, bodies, -1))
			t.count(target.New, row.Unit(ledger.Superseded, bodies, 1))
		}
	}
	if kept.State == ledger.Pending {
		t.wake(target.New)
	}
	return t.store(kept, nil)
}

// moveCounters adds the counters of the old name to those of the new one. No row is left under the old name.
func (t *tx) moveCounters(target ledger.Rename) error {
	c := t.counts[target.Old]
	var now row.Counts
	err := t.row(`SELECT accepted, pending, delivered, dead, skipped, superseded, dead_rows FROM counter WHERE target = ?`, []any{target.Old},
		&now.Accepted, &now.Pending, &now.Delivered, &now.Dead, &now.Skipped, &now.Superseded, &now.DeadRows)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := t.exec(`DELETE FROM counter WHERE target = ?`, target.Old); err != nil {
		return err
	}
	t.count(target.New, now)
	t.count(target.New, c)
	delete(t.counts, target.Old)
	return nil
}
