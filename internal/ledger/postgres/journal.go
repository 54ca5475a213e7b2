// This file keeps what is written down beside conversations: who changed what, and what happened in each minute.

package postgres

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// Audit adds a line to the audit log, which stays for a year; the time of one without is now.
func (l *Ledger) Audit(ctx context.Context, a ledger.Audited) error {
	return l.once(ctx, patience, func() error {
		return l.transact(ctx, l.slot+1, 1, func(*pgx.Batch) {}, func(t *tx) error {
			at := row.Micros(a.At)
			if at == 0 {
				at = row.Micros(t.now)
			}
			t.write(`INSERT INTO audit (at, who, address, action, object, detail) VALUES ($1, $2, $3, $4, $5, $6)`,
				at, clean(a.Who), clean(a.Address), clean(a.Action), clean(a.Object), clean(a.Detail))
			return nil
		})
	})
}

// AuditLog lists the audit log, the newest line first.
func (l *Ledger) AuditLog(ctx context.Context, p ledger.Page) (page ledger.Listed[ledger.Audited], err error) {
	after, paged, err := row.UnpackCursor(cursorAudit, p.After)
	if err != nil {
		return page, err
	}
	limit := row.PageLimit(p)
	err = l.view(ctx, func(v *view) error {
		page = ledger.Listed[ledger.Audited]{}
		q := &query{}
		if paged {
			q.talk = append(q.talk, "number < "+q.arg(after.Number))
		}
		var last int64
		return v.all(func(rows pgx.Rows) error {
			var a ledger.Audited
			var number, at int64
			if err := rows.Scan(&number, &at, &a.Who, &a.Address, &a.Action, &a.Object, &a.Detail); err != nil {
				return err
			}
			if len(page.Items) == limit {
				page.Next = row.Cursor{Number: last}.Pack(cursorAudit)
				return nil
			}
			a.At = row.FromMicros(at)
			page.Items, last = append(page.Items, a), number
			return nil
		}, `SELECT number, at, who, address, action, object, detail FROM audit WHERE `+and(q.talk...)+` ORDER BY number DESC LIMIT `+q.arg(limit+1), q.args...)
	})
	return page, err
}

const (
	auditAge  = 365 * 24 * time.Hour // how long lines of the audit log and ended jobs stay at least
	seriesAge = 30 * 24 * time.Hour  // how long points stay
)

// dropJournal removes lines of the audit log, ended jobs and points that are old enough.
func (l *Ledger) dropJournal(ctx context.Context, now time.Time) error {
	year, month := row.Micros(now.Add(-auditAge)), row.Micros(now.Add(-seriesAge))
	for _, drop := range []struct {
		sql   string
		until int64
	}{
		{`DELETE FROM audit WHERE at < $1`, year},
		{`DELETE FROM replay_job WHERE ended_at > 0 AND ended_at < $1`, year},
		{`DELETE FROM series WHERE at < $1`, month},
	} {
		if err := l.exec(ctx, drop.sql, drop.until); err != nil {
			return err
		}
	}
	return nil
}

// AddPoints adds to what is stored of the same minute, name and kind.
func (l *Ledger) AddPoints(ctx context.Context, points []ledger.Point) error {
	sum := map[ledger.Point]int64{}
	for _, p := range points {
		at := ledger.Point{At: p.At.UTC().Truncate(ledger.SeriesStep), Kind: clean(p.Kind), Name: clean(p.Name), What: clean(p.What)}
		sum[at] += p.Count
	}
	if len(sum) == 0 {
		return nil
	}
	keys := make([]ledger.Point, 0, len(sum))
	for p := range sum {
		keys = append(keys, p)
	}
	// Everybody adds in the same order, so that nobody waits in a circle.
	slices.SortFunc(keys, func(a, b ledger.Point) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), a.At.Compare(b.At), cmp.Compare(a.Name, b.Name), cmp.Compare(a.What, b.What))
	})
	var kinds, names, whats []string
	var times, counts []int64
	for _, p := range keys {
		kinds, names, whats = append(kinds, p.Kind), append(names, p.Name), append(whats, p.What)
		times, counts = append(times, row.Micros(p.At)), append(counts, sum[p])
	}
	return l.once(ctx, patience, func() error {
		return l.transact(ctx, l.slot+1, 1, func(*pgx.Batch) {}, func(t *tx) error {
			t.write(`INSERT INTO series (kind, at, name, what, n)
				SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::bigint[])
				ON CONFLICT (kind, at, name, what) DO UPDATE SET n = series.n + excluded.n`, kinds, times, names, whats, counts)
			return nil
		})
	})
}

// Series returns the stored points of kind since a time, the oldest first.
func (l *Ledger) Series(ctx context.Context, kind string, since time.Time) (points []ledger.Point, err error) {
	err = l.view(ctx, func(v *view) error {
		points = nil
		return v.all(func(rows pgx.Rows) error {
			p := ledger.Point{Kind: kind}
			var at int64
			err := rows.Scan(&at, &p.Name, &p.What, &p.Count)
			p.At = row.FromMicros(at)
			points = append(points, p)
			return err
		}, `SELECT at, name, what, n FROM series WHERE kind = $1 AND at >= $2 ORDER BY at, name, what`,
			clean(kind), row.Micros(since.Truncate(ledger.SeriesStep)))
	})
	return points, err
}
