// This file recovers what a damaged ledger has written down beside conversations: the audit log, replay jobs, series.

package sqlite

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// journalBatch is how many lines are recovered in one transaction.
const journalBatch = 200

// remember tells by the shape of a row whether it is one of the journal.
func (w *wreck) remember(at place, r record) {
	is := func(i int, kind string) bool { return fmt.Sprintf("%T", r.values[i]) == kind }
	switch {
	case r.table && len(r.values) == 7 && is(1, "int64") && is(2, "string") && is(4, "string"):
		w.audit = append(w.audit, at)
	case r.table && len(r.values) == 15 && is(1, "string") && is(3, "int64") && is(7, "string"):
		w.jobs = append(w.jobs, at)
	case !r.table && len(r.values) == 5 && (r.values[0] == "source" || r.values[0] == "target") && is(1, "int64") && is(2, "string") && is(3, "string") && is(4, "int64"):
		w.points = append(w.points, at)
	}
}

// takeJournal recovers all of it. Lines and jobs come in front of those of the open ledger, in their order.
func (r *repair) takeJournal(ctx context.Context) error {
	for _, kind := range []struct {
		at      []place
		take    func(*tx, record) (taken bool, err error)
		counted *int
	}{
		{r.newestFirst(r.wreck.audit), takeAudited, &r.done.Audited},
		{r.newestFirst(r.wreck.jobs), takeJob, &r.done.Jobs},
		{r.wreck.points, takePoint, &r.done.Points},
	} {
		for batch := range slices.Chunk(kind.at, journalBatch) {
			taken, lost := 0, 0
			err := r.ledger.write(ctx, func(t *tx) error {
				taken, lost = 0, 0
				for _, at := range batch {
					line, err := r.wreck.read(at)
					if err != nil {
						lost++
						continue
					}
					ok, err := kind.take(t, line)
					if err != nil {
						return err
					}
					if ok {
						taken++
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
			*kind.counted += taken
			r.wreck.lostRows += lost
		}
	}
	return nil
}

// newestFirst sorts rows by their numbers, and leaves out older forms of the same row.
func (r *repair) newestFirst(at []place) []place {
	numbers := map[place]int64{}
	for _, p := range at {
		if line, err := r.wreck.read(p); err == nil {
			numbers[p] = line.rowid
		}
	}
	slices.SortStableFunc(at, func(a, b place) int { return int(min(max(numbers[b]-numbers[a], -1), 1)) })
	return at
}

// takeAudited stores a line of the audit log that the open ledger does not have.
func takeAudited(t *tx, line record) (bool, error) {
	var at int64
	var texts [5]string
	if !assign(line.values[1:], &at, &texts[0], &texts[1], &texts[2], &texts[3], &texts[4]) {
		return false, nil
	}
	values := []any{at, texts[0], texts[1], texts[2], texts[3], texts[4]}
	var there int64
	err := t.row(`SELECT count(*) FROM audit WHERE at = ? AND who = ? AND address = ? AND action = ? AND object = ? AND detail = ?`, values, &there)
	if err != nil || there > 0 {
		return false, err
	}
	return true, t.exec(`INSERT INTO audit (number, at, who, address, action, object, detail)
		VALUES ((SELECT coalesce(min(number), 1) - 1 FROM audit), ?, ?, ?, ?, ?, ?)`, values...)
}

// takeJob stores a replay job that the open ledger does not have. One that was under way has lost its place, which is a
// number of the damaged ledger, so it is cancelled.
func takeJob(t *tx, line record) (bool, error) {
	var id, by, filter, state, target string
	var created, pinned, total, done, skipped, conversation, updated, ended int64
	v := line.values
	if !assign(v[1:], &id, &by, &created, &filter, &pinned) || !assign(v[7:], &state, &total, &done, &skipped, &conversation, &target, &updated, &ended) {
		return false, nil
	}
	var there int64
	if err := t.row(`SELECT count(*) FROM replay_job WHERE id = ?`, []any{id}, &there); err != nil || there > 0 {
		return false, err
	}
	if state == string(ledger.JobRunning) {
		state, updated, ended = string(ledger.JobCancelled), row.Micros(t.now), row.Micros(t.now)
	}
	return true, t.exec(`INSERT INTO replay_job (number, id, asked_by, created_at, filter, pinned, per_second, state, total, done, skipped,
		conversation, target, updated_at, ended_at)
		VALUES ((SELECT coalesce(min(number), 1) - 1 FROM replay_job), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, '', ?, ?)`,
		id, by, created, filter, pinned, v[6], state, total, done, skipped, updated, ended)
}

// takePoint stores a point of a series. In a minute that both ledgers counted in, the larger number stays.
func takePoint(t *tx, line record) (bool, error) {
	var kind, name, what string
	var at, n int64
	if !assign(line.values, &kind, &at, &name, &what, &n) || at%ledger.SeriesStep.Microseconds() != 0 || row.FromMicros(at).After(t.now.Add(time.Hour)) {
		return false, nil
	}
	var there int64
	err := t.row(`SELECT coalesce((SELECT n FROM series WHERE kind = ? AND at = ? AND name = ? AND what = ?), 0)`, []any{kind, at, name, what}, &there)
	if err != nil || there >= n {
		return false, err
	}
	return true, t.exec(`INSERT INTO series VALUES (?, ?, ?, ?, ?) ON CONFLICT (kind, at, name, what) DO UPDATE SET n = excluded.n`, kind, at, name, what, n)
}
