// This file brings what is kept under earlier names of targets and sources to those of today.

package postgres

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// page is how many conversations change in one transaction of Rename and Retain.
const page = 200

// names are the renames in force. Another replica may still use an earlier name, so something may always be left of it.
type names struct{ targets []ledger.Rename }

func (n *names) list() []ledger.Rename {
	if n == nil {
		return nil
	}
	return n.targets
}

// Rename takes over the names of a configuration, in place of those of the call before. When it returns, the states of
// targets and sources and all pending deliveries have the names of today; Retain does the rest, and what a replica with
// an earlier configuration adds meanwhile. Hooks, leases, replays and settlements under way find their delivery
// whichever of its names they know. After an error the same call can be made again.
//
// Two deliveries of one conversation, under the old and the new name, become one, see row.Merge; the observer hears of
// it. Of two states of a
// target the one of the new name stays.
func (l *Ledger) Rename(ctx context.Context, r ledger.Renames) error {
	same := func(r ledger.Rename) bool { return r.Old == r.New }
	now := &names{targets: slices.DeleteFunc(slices.Clone(r.Targets), same)}
	sources := slices.DeleteFunc(slices.Clone(r.Sources), same)
	l.names.Store(now)
	if len(now.targets)+len(sources) > 0 {
		err := l.once(ctx, patience, func() error {
			return l.transact(ctx, l.slot+1, 1, func(*pgx.Batch) {}, func(t *tx) error {
				t.renameStates(now.targets, sources)
				return nil
			})
		})
		if err != nil {
			return err
		}
	}
	for _, target := range now.targets {
		// The state is a literal so that the partial index answers. What has been moved is not found again.
		if err := l.movePages(ctx, `SELECT conversation FROM delivery WHERE target = $1 AND state = 0 AND conversation > $2 LIMIT $3`, target, false); err != nil {
			return err
		}
	}
	return nil
}

// renameStates queues the new names of what is kept per target and source.
func (t *tx) renameStates(targets, sources []ledger.Rename) {
	for _, s := range sources {
		t.write(`INSERT INTO source (name, slot, last_hook) SELECT $1, slot, last_hook FROM source WHERE name = $2
			ON CONFLICT (name, slot) DO UPDATE SET last_hook = greatest(source.last_hook, excluded.last_hook)`, s.New, s.Old)
		t.write(`UPDATE quarantine SET source = $1 WHERE source = $2 AND EXISTS (SELECT FROM source WHERE name = $2)`, s.New, s.Old)
		t.write(`DELETE FROM source WHERE name = $1`, s.Old)
	}
	for _, r := range targets {
		t.write(`INSERT INTO target (name, account, since, until, reason, by_operator, probes, paused)
			SELECT $1, account, since, until, reason, by_operator, probes, paused FROM target WHERE name = $2 ON CONFLICT DO NOTHING`, r.New, r.Old)
		t.write(`DELETE FROM target WHERE name = $1`, r.Old)
		t.write(`INSERT INTO bucket (target, tokens, filled_at) SELECT $1, tokens, filled_at FROM bucket WHERE target = $2 ON CONFLICT DO NOTHING`, r.New, r.Old)
		t.write(`DELETE FROM bucket WHERE target = $1`, r.Old)
	}
}

// movePages renames the deliveries of one target that query finds, page by page; in order of their conversations, or
// again and again from the start.
func (l *Ledger) movePages(ctx context.Context, query string, target ledger.Rename, ordered bool) error {
	for after := int64(-1); ; {
		var numbers []int64
		err := l.once(ctx, patience, func() error {
			ctx, cancel := context.WithTimeout(ctx, transactionTimeout)
			defer cancel()
			rows, err := l.pool.Query(ctx, query, target.Old, after, page)
			if err != nil {
				return err
			}
			numbers, err = pgx.CollectRows(rows, pgx.RowTo[int64])
			return err
		})
		if err != nil || len(numbers) == 0 {
			return err
		}
		err = l.once(ctx, patience, func() error {
			var found talks
			return l.transact(ctx, l.slot+1, 1, func(b *pgx.Batch) {
				b.Queue(`SELECT pg_advisory_xact_lock_shared($1)`, l.key("move", ""))
				found.queue(b, `number = ANY ($1)`, numbers)
			}, func(t *tx) error {
				for _, k := range found {
					t.moveOne(k, target)
				}
				return t.storeRows(found.touched())
			})
		})
		if err != nil {
			return err
		}
		if ordered {
			after = numbers[len(numbers)-1]
		}
	}
}

// finishRename moves what Rename has left: finished deliveries, the log of attempts, counters.
func (l *Ledger) finishRename(ctx context.Context) error {
	for _, target := range l.names.Load().list() {
		var counted bool
		if err := l.read(ctx, `SELECT EXISTS (SELECT FROM counter WHERE target = $1)`, []any{target.Old}, &counted); err != nil {
			return err
		}
		if !counted {
			continue // what is there is counted
		}
		err := l.movePages(ctx, `SELECT conversation FROM delivery WHERE target = $1 AND conversation > $2 ORDER BY conversation LIMIT $3`, target, true)
		if err != nil {
			return err
		}
		if err := l.moveCounters(ctx, target); err != nil {
			return err
		}
	}
	return nil
}

// moveCounters adds the counters of the old name to those of the new one.
func (l *Ledger) moveCounters(ctx context.Context, target ledger.Rename) error {
	return l.once(ctx, patience, func() error {
		var old row.Counts
		return l.transact(ctx, l.slot+1, 1, func(b *pgx.Batch) {
			old = row.Counts{}
			each(b, func(rows pgx.Rows) error {
				var c row.Counts
				err := rows.Scan(&c.Accepted, &c.Pending, &c.Delivered, &c.Dead, &c.Skipped, &c.Superseded, &c.DeadRows)
				old = old.Add(c)
				return err
			}, `DELETE FROM counter WHERE target = $1 RETURNING accepted, pending, delivered, dead, skipped, superseded, dead_rows`, target.Old)
		}, func(t *tx) error {
			t.count(target.New, old)
			return nil
		})
	})
}

// move renames the deliveries of a conversation that is about to change.
func (t *tx) move(k *talk) {
	for _, target := range t.ledger.names.Load().list() {
		t.moveOne(k, target)
	}
}

// moveOne renames the delivery of a conversation, if there is one under the old name.
func (t *tx) moveOne(k *talk, target ledger.Rename) {
	find := func(name string) int {
		return slices.IndexFunc(k.rows, func(r *row.Delivery) bool { return r.Target == name })
	}
	i := find(target.Old)
	if i < 0 {
		return
	}
	from := k.rows[i]
	k.rows = slices.Delete(k.rows, i, i+1)
	t.count(target.Old, row.Unit(from.State, k.Bodies, -1))
	t.count(target.New, row.Unit(from.State, k.Bodies, 1))
	t.write(`UPDATE attempt SET target = $1 WHERE day = $2 AND conversation = $3 AND target = $4`, target.New, k.day, k.Number, target.Old)
	t.write(`DELETE FROM delivery WHERE conversation = $1 AND target = $2`, k.Number, target.Old)
	from.Target = target.New
	kept := from
	if j := find(target.New); j >= 0 {
		var ended ledger.State
		kept, ended = row.Merge(from, k.rows[j])
		t.met = row.AddMerge(t.met, target, ended)
		if row.Unsent(ended) {
			t.count(target.New, row.Unit(ended, k.Bodies, -1), row.Unit(ledger.Superseded, k.Bodies, 1))
		}
		k.rows = slices.Delete(k.rows, j, j+1)
	}
	if kept.State == ledger.Pending {
		t.wake(target.New)
	}
	k.rows = append(k.rows, kept)
	k.touched = true
}
