// This file makes indexes that a version adds to tables of the version before. In a large ledger that takes minutes, in
// which hooks must be taken, by this replica and by those of the version before: it is done beside them.

package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// added are the indexes, by their names: the table and what follows it. Programs of the version before do not need them,
// and this one can do without them for a while: lists are slow, and what only the indexer knows is not listed.
var added = []struct{ name, on string }{
	{"conversation_unindexed", `conversation (number) WHERE indexed < revision`},
	{"conversation_unrouted", `conversation (number) WHERE unrouted`},
	{"conversation_routes", `conversation USING gin (routes) WHERE routes <> '{}'`},
	{"delivery_listed", `delivery (target, state, conversation)`},
	{"delivery_failing", `delivery (target, class, state, conversation, failed_at, imported) WHERE class <> ''`},
	{"delivery_failed", `delivery (failed_at) WHERE failed_at > 0`},
	{"delivery_receipts", `delivery ((` + receiptID("receipt") + `)) WHERE receipt <> ''`},
	{"delivery_unclassed", `delivery (conversation) WHERE state = 2 AND class = ''`},
	{"quarantine_listed", `quarantine (received_at, id)`},
	{"quarantine_source", `quarantine (source, received_at, id)`},
}

const (
	// fewRows is up to how many conversations and deliveries hooks can wait for all indexes.
	fewRows = 50_000
	// buildGap is how long a replica waits before it looks again whether another one has made the indexes.
	buildGap = 5 * time.Second
)

// missing returns the indexes that are not there, or not whole because their making was cut.
func missing(ctx context.Context, from querier) (indexes []int, err error) {
	names := make([]string, len(added))
	for i, index := range added {
		names[i] = index.name
	}
	rows, err := from.Query(ctx, `SELECT n::int - 1 FROM unnest($1::text[]) WITH ORDINALITY AS u (name, n)
		WHERE NOT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass(u.name) AND indisvalid) ORDER BY n`, names)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int])
}

// buildIndexes makes the indexes at once if the ledger is small, and leaves them to buildBeside else.
func (l *Ledger) buildIndexes(ctx context.Context) error {
	lacking, err := missing(ctx, l.pool)
	if err != nil || len(lacking) == 0 {
		l.indexed.Store(err == nil)
		return err
	}
	var small bool
	err = l.pool.QueryRow(ctx, `SELECT (SELECT count(*) FROM (SELECT FROM delivery LIMIT $1) x) < $1
		AND (SELECT count(*) FROM (SELECT FROM conversation LIMIT $1) x) < $1 AND (SELECT count(*) FROM (SELECT FROM quarantine LIMIT $1) x) < $1`,
		fewRows).Scan(&small)
	if err != nil || !small {
		return err
	}
	err = l.persist(ctx, hookPatience, func() error { return pgx.BeginFunc(ctx, l.pool, l.buildNow(ctx)) })
	l.indexed.Store(err == nil)
	return err
}

// buildNow makes the indexes in a transaction. What programs that use the ledger change waits for it.
func (l *Ledger) buildNow(ctx context.Context) func(pgx.Tx) error {
	return func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, l.key("indexes", "")); err != nil {
			return err
		}
		// The locks in the order of everybody else: who holds one of them does not wait for one before it.
		if _, err := tx.Exec(ctx, `LOCK TABLE conversation, delivery, quarantine IN SHARE ROW EXCLUSIVE MODE`); err != nil {
			return err
		}
		lacking, err := missing(ctx, tx)
		if err != nil || len(lacking) == 0 {
			return err
		}
		for _, i := range lacking {
			if _, err := tx.Exec(ctx, `DROP INDEX IF EXISTS `+added[i].name); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `CREATE INDEX `+added[i].name+` ON `+added[i].on); err != nil {
				return fmt.Errorf("index %s: %w", added[i].name, err)
			}
		}
		_, err = tx.Exec(ctx, classify)
		return err
	}
}

// buildBeside makes the indexes without keeping anybody waiting, unless another replica is at it.
func (l *Ledger) buildBeside(ctx context.Context) {
	conn, err := l.pool.Acquire(ctx)
	if err != nil {
		return
	}
	defer conn.Release()
	if err := l.build(ctx, conn); err != nil && ctx.Err() == nil {
		l.options.Logger.Warn("indexes for lists could not be made; it is tried again", "error", err)
	}
}

func (l *Ledger) build(ctx context.Context, conn *pgxpool.Conn) error {
	lacking, err := missing(ctx, conn)
	if err != nil || len(lacking) == 0 {
		l.indexed.Store(err == nil)
		return err
	}
	var mine bool
	if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, l.key("indexes", "")).Scan(&mine); err != nil || !mine {
		return err
	}
	// The lock and the settings go with the connection.
	defer func() { _ = conn.Conn().Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, `SET lock_timeout = 0`); err != nil { // it waits for whoever is in a transaction
		return err
	}
	if lacking, err = missing(ctx, conn); err != nil {
		return err
	}
	l.options.Logger.Info("indexes for lists are being made; until then lists are slow and not complete", "indexes", len(lacking))
	began := time.Now()
	for _, i := range lacking {
		if _, err := conn.Exec(ctx, `DROP INDEX CONCURRENTLY IF EXISTS `+added[i].name); err != nil {
			return err
		}
		if _, err := conn.Exec(ctx, `CREATE INDEX CONCURRENTLY `+added[i].name+` ON `+added[i].on); err != nil {
			return fmt.Errorf("index %s: %w", added[i].name, err)
		}
	}
	if _, err := conn.Exec(ctx, classify); err != nil {
		return err
	}
	l.indexed.Store(true)
	l.options.Logger.Info("indexes for lists have been made", "took", time.Since(began).Round(time.Second))
	return nil
}
