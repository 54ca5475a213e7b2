// This file is the way out: a ledger that is read as a whole, page by page, to be copied to another engine, and the mark
// that keeps it from being used beside the copy.

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

const (
	copyRows  = 200     // conversations of a page at most
	copyBytes = 4 << 20 // bodies of a page, unless one conversation has more
)

// Leaving is a ledger that is being copied. Nobody else has it open meanwhile.
type Leaving struct {
	db   *sql.DB
	path string
	done func()
}

// Leave opens the ledger at path to be copied; Close lets go of it. It refuses one that a gateway has open, one that is
// damaged, and one in which the audit finds something, for the copy would have it, too.
func Leave(ctx context.Context, path string) (_ *Leaving, err error) {
	aside, err := SetAside(path)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	if len(aside) > 0 {
		return nil, fmt.Errorf("ledger %s: %s was set aside and has not been repaired: run afterchat ledger repair first, it needs this file", path, aside[0])
	}
	db, done, err := connectTo(ctx, path, false)
	if isDamage(err) {
		return nil, fmt.Errorf("%w: run afterchat ledger migrate, which sets it aside, and afterchat ledger repair", err)
	}
	if err != nil {
		return nil, err
	}
	l := &Leaving{db: db, path: path, done: done}
	findings, err := audit(ctx, db)
	if err == nil && len(findings) > 0 {
		err = fmt.Errorf("ledger %s: the audit found %d faults, the first: %s %s; run afterchat ledger verify", path, len(findings), findings[0].Target, findings[0].Text)
	}
	if err != nil {
		done()
		return nil, err
	}
	return l, nil
}

// Close lets go of the ledger.
func (l *Leaving) Close() { l.done() }

// Name says where the ledger is.
func (l *Leaving) Name() string { return l.path }

// Conversations returns how many there are.
func (l *Leaving) Conversations(ctx context.Context) (n int, err error) {
	err = l.db.QueryRowContext(ctx, `SELECT count(*) FROM conversation`).Scan(&n)
	return n, err
}

// Page returns the rows of a table after a key, nil for the first page, with those of its children.
func (l *Leaving) Page(ctx context.Context, t row.Table, after any) (row.Page, error) {
	p := row.Page{After: after}
	var err error
	if p.Last, err = l.last(ctx, t, after); err != nil {
		return p, fmt.Errorf("ledger %s: %w", l.path, err)
	}
	for i, table := range append([]string{t.Name}, t.Children...) {
		key := t.Key
		if i > 0 {
			key = "conversation"
		}
		rows, err := l.rows(ctx, table, key, p)
		if err != nil {
			return p, fmt.Errorf("ledger %s: %w", l.path, err)
		}
		if at := rows.Column(t.Without); at >= 0 && i == 0 {
			rows.Columns[at] = ""
		}
		p.Rows = append(p.Rows, rows)
	}
	return p, nil
}

// last finds the key that ends the page after a key; nil if the page goes to the end.
func (l *Leaving) last(ctx context.Context, t row.Table, after any) (last any, err error) {
	size := `0`
	switch t.Name {
	case "conversation":
		size = `coalesce((SELECT sum(length(decoded) + length(raw)) FROM body WHERE conversation = number), 0)`
	case "quarantine":
		size = `length(raw)`
	}
	where, args := between(t.Key, after, nil)
	rows, err := l.db.QueryContext(ctx, fmt.Sprintf(`SELECT DISTINCT %s, %s FROM %s WHERE %s ORDER BY %s LIMIT %d`, t.Key, size, t.Name, where, t.Key, copyRows+1), args...)
	if err != nil {
		return nil, err
	}
	n, sum, full := 0, int64(0), false
	err = each(rows, func(rows *sql.Rows) error {
		var key any
		var bytes int64
		err := rows.Scan(&key, &bytes)
		if full = full || n == copyRows || n > 0 && sum+bytes > copyBytes; !full {
			n, sum, last = n+1, sum+bytes, key
		}
		return err
	})
	if !full {
		return nil, err
	}
	return last, err
}

// between is a condition on a key, and its arguments.
func between(key string, after, last any) (where string, args []any) {
	conditions := []string{"true"}
	if after != nil {
		conditions, args = append(conditions, key+" > ?"), append(args, after)
	}
	if last != nil {
		conditions, args = append(conditions, key+" <= ?"), append(args, last)
	}
	return strings.Join(conditions, " AND "), args
}

// rows reads the rows of a page. What belongs to this engine alone is left out.
func (l *Leaving) rows(ctx context.Context, table, key string, p row.Page) (all row.Rows, err error) {
	where, args := between(key, p.After, p.Last)
	if table == "total" {
		where, args = where+" AND name <> ?", append(args, row.Moved)
	}
	rows, err := l.db.QueryContext(ctx, fmt.Sprintf(`SELECT * FROM %s WHERE %s`, table, where), args...)
	if err != nil {
		return all, err
	}
	all.Table = table
	if all.Columns, err = rows.Columns(); err != nil {
		return all, errors.Join(err, rows.Close())
	}
	err = each(rows, func(rows *sql.Rows) error {
		values := make([]any, len(all.Columns))
		into := make([]any, len(values))
		for i := range values {
			into[i] = &values[i]
		}
		all.Values = append(all.Values, values)
		return rows.Scan(into...)
	})
	return all, err
}

// movedAt returns when the ledger was marked as moved, in microseconds; 0 if it was not.
func movedAt(ctx context.Context, from querier) (at int64, err error) {
	return totalOf(ctx, from, row.Moved)
}

// Moved tells whether the ledger is marked as moved.
func (l *Leaving) Moved(ctx context.Context) (bool, error) {
	at, err := movedAt(ctx, l.db)
	return at > 0, err
}

// Move marks the ledger as moved: from here on nobody opens it, so that what waits in it is not sent twice.
func (l *Leaving) Move(ctx context.Context) error {
	_, err := l.db.ExecContext(ctx, `INSERT INTO total (name, n) VALUES (?, ?) ON CONFLICT (name) DO NOTHING`, row.Moved, row.Micros(time.Now()))
	return err
}

// refuseMoved returns ledger.ErrMoved for a ledger that was copied to another database.
func refuseMoved(ctx context.Context, conn *sql.Conn) error {
	at, err := movedAt(ctx, conn)
	if err != nil {
		return err
	}
	return movedError(at)
}

// movedError is refuseMoved for a ledger that was moved at a time, 0 if it was not.
func movedError(at int64) error {
	if at == 0 {
		return nil
	}
	return fmt.Errorf("%w on %s: let ledger.url name that database; afterchat ledger copy --undo takes this one back into use, with all that waits in doubt",
		ledger.ErrMoved, row.FromMicros(at).Format(time.DateOnly))
}

// Return takes the ledger at path back into use after it was moved. The copy may have sent what waits, so it is in doubt, as
// after Restored. It returns false if it had not been moved.
func Return(ctx context.Context, path string) (bool, error) {
	db, done, err := connectTo(ctx, path, false)
	if err != nil {
		return false, err
	}
	defer done()
	at, err := movedAt(ctx, db)
	if err != nil || at == 0 {
		return false, err
	}
	_, err = restored(ctx, db, "it was taken back into use after a copy to another database", time.Now())
	return err == nil, err
}
