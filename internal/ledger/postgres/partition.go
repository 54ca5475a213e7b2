// This file keeps the partitions of bodies and attempts: one of each for a day, made ahead, dropped when retention has
// taken all that is in them.

package postgres

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// daysAhead is for how many days to come there are partitions.
const daysAhead = 2

// dayOf is the partition of a time.
func dayOf(t time.Time) int { return int(t.UTC().Unix() / (24 * 60 * 60)) }

// dayEnd is the first moment that is not of the day any more.
func dayEnd(day int) time.Time { return time.Unix(int64(day+1)*24*60*60, 0).UTC() }

// partitioned are the tables with a partition per day.
var partitioned = []string{"body", "attempt"}

// partition is the name of a table's partition of a day, such as body_20260314.
func partition(table string, day int) string {
	return table + "_" + dayEnd(day-1).Format("20060102")
}

// ensureDays makes the partitions of today and the days to come, and of those named.
func (l *Ledger) ensureDays(ctx context.Context, more ...int) error {
	ctx, cancel := context.WithTimeout(ctx, transactionTimeout)
	defer cancel()
	conn, err := l.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	var now int64
	if err := conn.QueryRow(ctx, `SELECT `+nowMicros).Scan(&now); err != nil {
		return err
	}
	days := more
	for ahead := range daysAhead + 1 {
		days = append(days, dayOf(time.UnixMicro(now))+ahead)
	}
	there, err := listDays(ctx, conn)
	if err != nil {
		return err
	}
	for _, day := range days {
		if slices.Contains(there, day) {
			continue
		}
		if err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return l.makeDay(ctx, tx, day) }); err != nil {
			return fmt.Errorf("partition of %s: %w", dayEnd(day-1).Format(time.DateOnly), err)
		}
	}
	return nil
}

// makeDay makes the partitions of one day. A table that is made first and attached then stops nobody who reads or
// writes others.
func (l *Ledger) makeDay(ctx context.Context, tx pgx.Tx, day int) error {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, l.key("partitions", "")); err != nil {
		return err
	}
	for _, table := range partitioned {
		name := partition(table, day)
		var there bool
		if err := tx.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, name).Scan(&there); err != nil {
			return err
		}
		if there {
			continue
		}
		options := ""
		if table == "body" {
			options = " WITH (toast_tuple_target = 8160)" // what fits a page stays in it
		}
		for _, statement := range []string{
			fmt.Sprintf(`CREATE TABLE %s (LIKE %s INCLUDING ALL)%s`, name, table, options),
			fmt.Sprintf(`ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (%d) TO (%d)`, table, name, day, day+1),
		} {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
	}
	return nil
}

// querier is a connection or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// listDays returns the days that have a partition of bodies, the oldest first.
func listDays(ctx context.Context, from querier) ([]int, error) {
	rows, err := from.Query(ctx, `SELECT to_date(substr(c.relname, 6), 'YYYYMMDD') - date '1970-01-01' FROM pg_inherits i
		JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'body'::regclass ORDER BY 1`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int])
}
