// This file replays many deliveries, bit by bit: jobs that outlive the process, and of which two replicas never do the
// same step.

package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// job is a row of replay_job.
type job struct {
	ledger.ReplayJob
	created int64 // microseconds
	last    key   // the delivery that was the last one
}

const jobColumns = `id, asked_by, created_at, filter, pinned, per_second, state, total, done, skipped, conversation, target, updated_at, ended_at`

func (j *job) scan(rows pgx.Rows) error {
	var filter string
	var updated, ended int64
	err := rows.Scan(&j.ID, &j.By, &j.created, &filter, &j.Pinned, &j.PerSecond, &j.State, &j.Total, &j.Done, &j.Skipped,
		&j.last.number, &j.last.target, &updated, &ended)
	if err != nil {
		return err
	}
	j.CreatedAt, j.UpdatedAt, j.EndedAt = row.FromMicros(j.created), row.FromMicros(updated), row.FromMicros(ended)
	if err := json.Unmarshal([]byte(filter), &j.Filter); err != nil {
		return fmt.Errorf("filter of replay job %s: %w", j.ID, err)
	}
	return nil
}

// dead is the filter for what a job replays.
func (j *job) dead() *ledger.Filter {
	f := j.Filter
	f.States = []ledger.State{ledger.Dead}
	return &f
}

// CreateReplay stores a job, whose ID, Total, State and times it sets.
func (l *Ledger) CreateReplay(ctx context.Context, asked ledger.ReplayJob) (ledger.ReplayJob, error) {
	j := &job{ReplayJob: asked}
	filter, err := json.Marshal(asked.Filter)
	if err != nil {
		return ledger.ReplayJob{}, fmt.Errorf("replay job: %w", err)
	}
	if err := json.Unmarshal(filter, &j.Filter); err != nil {
		return ledger.ReplayJob{}, fmt.Errorf("replay job: %w", err)
	}
	if err := l.prepareList(ctx, &asked.Filter); err != nil {
		return ledger.ReplayJob{}, err
	}
	j.ID = "r" + strconv.FormatUint(rand.Uint64(), 36)
	j.By, j.State, j.Done, j.Skipped = clean(asked.By), ledger.JobRunning, 0, 0
	err = l.once(ctx, patience, func() error {
		held, err := findHeld(ctx, l.pool, j.Filter.Text)
		if err != nil {
			return err
		}
		return l.transact(ctx, l.slot+1, 1, func(b *pgx.Batch) {
			q := newQuery(j.dead(), nil, held, l.names.Load())
			b.Queue(`SET LOCAL plan_cache_mode = force_custom_plan`)
			each(b, func(rows pgx.Rows) error { return rows.Scan(&j.Total) },
				`SELECT count(*) FROM delivery d`+q.joins()+` WHERE `+and(q.matching()...), q.args...)
		}, func(t *tx) error {
			j.created = row.Micros(t.now)
			j.CreatedAt, j.UpdatedAt = t.now, t.now
			// Again after a lost commit it is there already, perhaps.
			t.write(`INSERT INTO replay_job (`+jobColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, -1, '', $3, 0) ON CONFLICT (id) DO NOTHING`,
				j.ID, j.By, j.created, clean(string(filter)), j.Pinned, j.PerSecond, string(j.State), j.Total)
			return nil
		})
	})
	if err != nil {
		return ledger.ReplayJob{}, err
	}
	return j.ReplayJob, nil
}

// ReplayJob returns a job, or ledger.ErrNotFound.
func (l *Ledger) ReplayJob(ctx context.Context, id string) (ledger.ReplayJob, error) {
	j, err := l.job(ctx, id)
	return j.ReplayJob, err
}

func (l *Ledger) job(ctx context.Context, id string) (j job, err error) {
	found := false
	err = l.view(ctx, func(v *view) error {
		return v.all(func(rows pgx.Rows) error {
			found = true
			return j.scan(rows)
		}, `SELECT `+jobColumns+` FROM replay_job WHERE id = $1`, clean(id))
	})
	if err == nil && !found {
		err = fmt.Errorf("replay job %s: %w", id, ledger.ErrNotFound)
	}
	return j, err
}

// StepReplay replays at most limit further deliveries of a running job, in one transaction with its progress. A job that
// has come to its end is done. A job that is not running is returned as it is. Of replicas that step at once, one waits
// for the other and goes on where that one stopped.
func (l *Ledger) StepReplay(ctx context.Context, id string, limit int) (ledger.ReplayJob, error) {
	j, err := l.job(ctx, id)
	if err != nil || j.State != ledger.JobRunning {
		return j.ReplayJob, err
	}
	if err := l.prepareList(ctx, &j.Filter); err != nil {
		return ledger.ReplayJob{}, err
	}
	err = l.once(ctx, patience, func() error {
		return l.transact(ctx, l.slot+1, 1, func(b *pgx.Batch) {
			j = job{}
			b.Queue(`SET LOCAL plan_cache_mode = force_custom_plan`)
			each(b, j.scan, `SELECT `+jobColumns+` FROM replay_job WHERE id = $1 FOR UPDATE`, clean(id))
		}, func(t *tx) error {
			switch {
			case j.ID == "":
				return fmt.Errorf("replay job %s: %w", id, ledger.ErrNotFound)
			case j.State != ledger.JobRunning:
				return nil
			}
			return t.step(&j, max(limit, 1))
		})
	})
	return j.ReplayJob, err
}

// step replays the next deliveries of a job, whose row is locked.
func (t *tx) step(j *job, limit int) error {
	keys, found, err := t.lockNext(j, limit)
	if err != nil {
		return err
	}
	renames := t.ledger.names.Load().list()
	for _, next := range keys {
		j.last = next
		if !t.replayOf(j, next, row.Today(renames, next.target), found) {
			j.Skipped++
		}
	}
	j.UpdatedAt = t.now
	if len(keys) < limit {
		// What is no longer dead was not found.
		j.State, j.EndedAt, j.Skipped = ledger.JobDone, t.now, max(j.Skipped, j.Total-j.Done)
	}
	t.write(`UPDATE replay_job SET state = $2, done = $3, skipped = $4, conversation = $5, target = $6, updated_at = $7, ended_at = $8 WHERE id = $1`,
		j.ID, string(j.State), j.Done, j.Skipped, j.last.number, j.last.target, row.Micros(j.UpdatedAt), row.Micros(j.EndedAt))
	return t.storeRows(found.touched())
}

// lockNext finds the next deliveries of a job, which were dead when it was made and have not been settled since, and
// locks their conversations.
func (t *tx) lockNext(j *job, limit int) (keys []key, found talks, err error) {
	var b pgx.Batch
	var known []string
	each(&b, func(rows pgx.Rows) error { return scanText(rows, &known) }, knownQuery)
	if err := t.send(&b); err != nil {
		return nil, nil, err
	}
	held, err := findHeld(t.ctx, t.conn, j.Filter.Text)
	if err != nil {
		return nil, nil, err
	}
	q := newQuery(j.dead(), known, held, t.ledger.names.Load())
	number, target := q.arg(j.last.number), q.arg(j.last.target)
	sql := q.deliveries(limit, true, "d.conversation >= "+number, "(d.conversation > "+number+" OR d.target > "+target+")",
		"d.settled_at <= "+q.arg(j.created))
	b = pgx.Batch{}
	var numbers []int64
	each(&b, func(rows pgx.Rows) error {
		var k key
		err := rows.Scan(&k.number, &k.target)
		keys, numbers = append(keys, k), append(numbers, k.number)
		return err
	}, sql, q.args...)
	if err := t.send(&b); err != nil || len(keys) == 0 {
		return nil, nil, err
	}
	b = pgx.Batch{}
	found.queue(&b, `number = ANY ($1)`, slices.Compact(numbers))
	return keys, found, t.send(&b)
}

// replayOf makes a delivery due, and tells whether it did.
func (t *tx) replayOf(j *job, next key, target string, found talks) bool {
	i := slices.IndexFunc(found, func(k *talk) bool { return k.Number == next.number })
	if i < 0 || !found[i].Bodies {
		return false
	}
	k := found[i]
	t.move(k)
	at := slices.IndexFunc(k.rows, func(r *row.Delivery) bool { return r.Target == target })
	if at < 0 || k.rows[at].State != ledger.Dead || k.rows[at].SettledAt > j.created {
		return false
	}
	t.count(target, k.rows[at].Replay(j.Replay, row.Micros(t.now))...)
	t.wake(target)
	k.touched = true
	j.Done++
	return true
}

// CancelReplay ends a job where it is; one that has ended stays as it is.
func (l *Ledger) CancelReplay(ctx context.Context, id string) (ledger.ReplayJob, error) {
	var j job
	err := l.once(ctx, patience, func() error {
		return l.transact(ctx, l.slot+1, 1, func(b *pgx.Batch) {
			j = job{}
			each(b, j.scan, `SELECT `+jobColumns+` FROM replay_job WHERE id = $1 FOR UPDATE`, clean(id))
		}, func(t *tx) error {
			switch {
			case j.ID == "":
				return fmt.Errorf("replay job %s: %w", id, ledger.ErrNotFound)
			case j.State == ledger.JobRunning:
				j.State, j.UpdatedAt, j.EndedAt = ledger.JobCancelled, t.now, t.now
				t.write(`UPDATE replay_job SET state = $2, updated_at = $3, ended_at = $3 WHERE id = $1`, j.ID, string(j.State), row.Micros(t.now))
			}
			return nil
		})
	})
	return j.ReplayJob, err
}

// ReplayJobs lists jobs, the newest first.
func (l *Ledger) ReplayJobs(ctx context.Context, p ledger.Page) (page ledger.Listed[ledger.ReplayJob], err error) {
	after, paged, err := row.UnpackCursor(cursorJobs, p.After)
	if err != nil {
		return page, err
	}
	limit := row.PageLimit(p)
	err = l.view(ctx, func(v *view) error {
		page = ledger.Listed[ledger.ReplayJob]{}
		q := &query{}
		if paged {
			q.talk = append(q.talk, "(created_at, id) < ("+q.arg(after.Number)+", "+q.arg(after.Name)+")")
		}
		var last row.Cursor
		return v.all(func(rows pgx.Rows) error {
			var j job
			if err := j.scan(rows); err != nil {
				return err
			}
			if len(page.Items) == limit {
				page.Next = last.Pack(cursorJobs)
				return nil
			}
			page.Items, last = append(page.Items, j.ReplayJob), row.Cursor{Number: j.created, Name: j.ID}
			return nil
		}, `SELECT `+jobColumns+` FROM replay_job WHERE `+and(q.talk...)+` ORDER BY created_at DESC, id DESC LIMIT `+q.arg(limit+1), q.args...)
	})
	return page, err
}
