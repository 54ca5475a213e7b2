// This file keeps what is only there to be looked at: who did what, what happened in each minute, what is in quarantine.

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

const (
	auditAge  = 365 * 24 * time.Hour // how long lines of the audit log and ended jobs stay at least
	seriesAge = 30 * 24 * time.Hour  // how long points stay
)

// journal reads one page of a table that has numbers, the newest first.
func journal[T any](ctx context.Context, l *Ledger, p ledger.Page, kind byte, query string, scan func(*sql.Rows) (T, int64, error)) (page ledger.Listed[T], err error) {
	cursor, after, err := row.UnpackCursor(kind, p.After)
	if err != nil {
		return page, err
	}
	if !after {
		cursor.Number = math.MaxInt64
	}
	limit := row.PageLimit(p)
	err = l.view(ctx, func(view *sql.Tx) error {
		rows, err := view.QueryContext(ctx, query, cursor.Number, limit+1)
		if err != nil {
			return err
		}
		var last int64
		return each(rows, func(rows *sql.Rows) error {
			item, number, err := scan(rows)
			if err != nil {
				return err
			}
			if len(page.Items) == limit {
				page.Next = row.Cursor{Number: last}.Pack(kind)
				return nil
			}
			page.Items, last = append(page.Items, item), number
			return nil
		})
	})
	return page, err
}

// Audit appends a line to the audit log. It stays for a year.
func (l *Ledger) Audit(ctx context.Context, a ledger.Audited) error {
	return l.write(ctx, func(t *tx) error {
		at := a.At
		if at.IsZero() {
			at = t.now
		}
		return t.exec(`INSERT INTO audit (at, who, address, action, object, detail) VALUES (?, ?, ?, ?, ?, ?)`,
			row.Micros(at), a.Who, a.Address, a.Action, a.Object, a.Detail)
	})
}

// AuditLog lists the audit log, the newest line first.
func (l *Ledger) AuditLog(ctx context.Context, p ledger.Page) (ledger.Listed[ledger.Audited], error) {
	return journal(ctx, l, p, ofAudit, `SELECT number, at, who, address, action, object, detail FROM audit WHERE number < ? ORDER BY number DESC LIMIT 0 + ?`,
		func(rows *sql.Rows) (a ledger.Audited, number int64, err error) {
			var at int64
			err = rows.Scan(&number, &at, &a.Who, &a.Address, &a.Action, &a.Object, &a.Detail)
			a.At = row.FromMicros(at)
			return a, number, err
		})
}

// AddPoints adds to what is counted: points of the same minute, name and kind add up. They stay for thirty days.
func (l *Ledger) AddPoints(ctx context.Context, points []ledger.Point) error {
	if len(points) == 0 {
		return nil
	}
	return l.write(ctx, func(t *tx) error {
		for _, p := range points {
			err := t.exec(`INSERT INTO series VALUES (?, ?, ?, ?, ?) ON CONFLICT (kind, at, name, what) DO UPDATE SET n = n + excluded.n`,
				p.Kind, row.Micros(p.At.Truncate(ledger.SeriesStep)), p.Name, p.What, p.Count)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Series returns the stored points of kind since a time, the oldest first, those of a minute by name.
func (l *Ledger) Series(ctx context.Context, kind string, since time.Time) (points []ledger.Point, err error) {
	err = l.view(ctx, func(view *sql.Tx) error {
		rows, err := view.QueryContext(ctx, `SELECT at, name, what, n FROM series WHERE kind = ? AND at >= ? ORDER BY at, name, what`, kind, row.Micros(since))
		if err != nil {
			return err
		}
		return each(rows, func(rows *sql.Rows) error {
			p := ledger.Point{Kind: kind}
			var at int64
			err := rows.Scan(&at, &p.Name, &p.What, &p.Count)
			p.At = row.FromMicros(at)
			points = append(points, p)
			return err
		})
	})
	return points, err
}

// dropJournal removes lines of the audit log, ended jobs and points that are old enough.
func (l *Ledger) dropJournal(now time.Time) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		more := false
		err := l.write(ctx, func(t *tx) error {
			more = false
			year, month := row.Micros(now.Add(-auditAge)), row.Micros(now.Add(-seriesAge))
			for _, s := range []struct {
				rows, drop string
				until      int64
			}{
				{
					`SELECT count(*) FROM (SELECT 1 FROM audit WHERE at < ? LIMIT 1)`,
					`DELETE FROM audit WHERE number IN (SELECT number FROM audit WHERE at < ? LIMIT 1000)`, year,
				},
				{
					`SELECT count(*) FROM (SELECT 1 FROM replay_job WHERE ended_at BETWEEN 1 AND ? LIMIT 1)`,
					`DELETE FROM replay_job WHERE number IN (SELECT number FROM replay_job WHERE ended_at BETWEEN 1 AND ? LIMIT 1000)`, year,
				},
				{
					`SELECT count(*) FROM (SELECT 1 FROM series INDEXED BY series_age WHERE at < ? LIMIT 1)`,
					`DELETE FROM series WHERE (kind, at, name, what) IN (SELECT kind, at, name, what FROM series INDEXED BY series_age WHERE at < ? LIMIT 1000)`, month,
				},
			} {
				var n int
				if err := t.row(s.rows, []any{s.until}, &n); err != nil {
					return err
				}
				if n == 0 {
					continue
				}
				if err := t.exec(s.drop, s.until); err != nil {
					return err
				}
				more = true
			}
			return nil
		})
		if err != nil {
			return false, err // more may still be written to
		}
		return more, nil
	}
}

// Quarantined lists hooks in quarantine, the newest first; sources nil: of all.
func (l *Ledger) Quarantined(ctx context.Context, sources []string, p ledger.Page) (page ledger.Listed[ledger.QuarantineRow], err error) {
	cursor, after, err := row.UnpackCursor(ofQuarantine, p.After)
	if err != nil {
		return page, err
	}
	limit := row.PageLimit(p)
	a := arm{}
	if after {
		a.and("(received_at, id) < (?, ?)", cursor.Number, cursor.Name)
	}
	if len(sources) > 0 {
		where, args := in("source", sources)
		a.and(where, args...)
	}
	err = l.view(ctx, func(view *sql.Tx) error {
		rows, err := view.QueryContext(ctx, `SELECT id, source, received_at, content_type, reason, substr(raw, 1, ?) FROM quarantine`+a.condition()+
			` ORDER BY received_at DESC, id DESC LIMIT 0 + ?`, slices.Concat([]any{row.PackedHead}, a.args, []any{limit + 1})...)
		if err != nil {
			return err
		}
		var last row.Cursor
		return each(rows, func(rows *sql.Rows) error {
			var q ledger.QuarantineRow
			var received int64
			var head []byte
			if err := rows.Scan(&q.ID, &q.Source, &received, &q.ContentType, &q.Reason, &head); err != nil {
				return err
			}
			if len(page.Items) == limit {
				page.Next = last.Pack(ofQuarantine)
				return nil
			}
			q.ReceivedAt, q.Bytes = row.FromMicros(received), l.codec.Size(head)
			page.Items, last = append(page.Items, q), row.Cursor{Number: received, Name: q.ID}
			return nil
		})
	})
	return page, err
}

// Release removes a hook from quarantine, because it was read after all or is not wanted. It returns ledger.ErrNotFound
// if it is not there.
func (l *Ledger) Release(ctx context.Context, id string) error {
	return l.write(ctx, func(t *tx) error {
		var there bool
		err := t.row(`SELECT true FROM quarantine WHERE id = ?`, []any{id}, &there)
		if errors.Is(err, sql.ErrNoRows) {
			err = fmt.Errorf("quarantined hook %s: %w", id, ledger.ErrNotFound)
		}
		if err != nil {
			return err
		}
		t.add("quarantined", -1)
		return t.exec(`DELETE FROM quarantine WHERE id = ?`, id)
	})
}
