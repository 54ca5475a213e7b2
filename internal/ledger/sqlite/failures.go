// This file groups what fails.

package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"math"
	"slices"
	"sync"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// Failures groups the failed deliveries that f selects by target, class and state, the largest group first. It waits as
// Conversations does.
//
// A word that everybody uses leads through all conversations. Their older and their newer half are then gone through at
// once, each on a connection of its own: a conversation is in one of them.
func (l *Ledger) Failures(ctx context.Context, f ledger.Filter) ([]ledger.Failure, error) {
	if len(row.Phrases(f.Text)) == 0 {
		found, err := l.failures(ctx, f, 0, math.MaxInt64)
		return row.Failures(found), err
	}
	var middle int64
	err := l.read(ctx, `SELECT (coalesce((SELECT min(number) FROM conversation), 0) + coalesce((SELECT max(number) FROM conversation), 0)) / 2`, nil, &middle)
	if err != nil {
		return nil, err
	}
	var older, newer []ledger.Failure
	var errOlder, errNewer error
	var halves sync.WaitGroup
	halves.Go(func() { older, errOlder = l.failures(ctx, f, 0, middle) })
	halves.Go(func() { newer, errNewer = l.failures(ctx, f, middle+1, math.MaxInt64) })
	halves.Wait()
	return row.Failures(slices.Concat(older, newer)), cmp.Or(errOlder, errNewer)
}

// failures groups those of the conversations between two numbers, in no order.
func (l *Ledger) failures(ctx context.Context, f ledger.Filter, low, high int64) (groups []ledger.Failure, err error) {
	err = l.ask(ctx, f, func(view *sql.Tx, f ledger.Filter) error {
		q, err := newSelection(ctx, view, f, true)
		if err != nil {
			return err
		}
		q.low, q.high = max(q.low, low), min(q.high, high)
		a := arm{from: "delivery d INDEXED BY failing", number: "d.conversation", has: "d"}
		a.and("d.class <> '' AND d.state IN (0, 2) AND d.conversation BETWEEN ? AND ?", q.low, q.high)
		a = q.complete(a, nil)
		// newest is the second of the newest failure, and below it the number of its conversation.
		rows, err := view.QueryContext(ctx, `WITH g AS (SELECT d.target, d.class, d.state, count(*) AS n, min(d.failed_at) AS first,
			max(d.failed_at) AS last, max((d.failed_at / 1000000 - 1600000000) << 33 | d.conversation) & ((1 << 33) - 1) AS newest
			FROM `+a.from+a.condition()+` GROUP BY d.target, d.class, d.state)
			SELECT g.target, g.class, g.state, n, first, last, reason, id FROM g
			JOIN delivery e ON e.conversation = newest AND e.target = g.target JOIN conversation ON number = newest`, a.args...)
		if err != nil {
			return err
		}
		return each(rows, func(rows *sql.Rows) error {
			var g ledger.Failure
			var first, last int64
			err := rows.Scan(&g.Target, &g.Class, &g.State, &g.Count, &first, &last, &g.Reason, &g.Example)
			g.Target = row.Today(l.names.Load().list(), g.Target)
			g.First, g.Last = row.FromMicros(first), row.FromMicros(last)
			groups = append(groups, g)
			return err
		})
	})
	return groups, err
}
