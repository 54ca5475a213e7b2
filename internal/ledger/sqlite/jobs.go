// This file replays many deliveries, bit by bit. A job keeps where it is in its row, and changes it in the transaction of
// what it replays, so that it goes on after a crash with the very next delivery.

package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

const jobColumns = `number, id, asked_by, created_at, filter, pinned, per_second, state, total, done, skipped, conversation, target, updated_at, ended_at`

// job is a row of replay_job.
type job struct {
	ledger.ReplayJob
	number  int64
	at      spot  // the last delivery whose turn has come
	created int64 // CreatedAt as it is stored
	counted bool  // Total is known
}

func scanJob(scan func(...any) error) (*job, error) {
	var j job
	var filter string
	var updated, ended int64
	err := scan(&j.number, &j.ID, &j.By, &j.created, &filter, &j.Pinned, &j.PerSecond, &j.State, &j.Total, &j.Done, &j.Skipped,
		&j.at.number, &j.at.target, &updated, &ended)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ledger.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	if j.counted = j.Total >= 0; !j.counted {
		j.Total = 0
	}
	j.CreatedAt, j.UpdatedAt, j.EndedAt = row.FromMicros(j.created), row.FromMicros(updated), row.FromMicros(ended)
	if err := json.Unmarshal([]byte(filter), &j.Filter); err != nil {
		return nil, fmt.Errorf("filter of replay job %s: %w", j.ID, err)
	}
	return &j, nil
}

// job reads a job inside the writer.
func (t *tx) job(id string) (*job, error) {
	s, err := t.statement(`SELECT ` + jobColumns + ` FROM replay_job WHERE id = ?`)
	if err != nil {
		return nil, err
	}
	j, err := scanJob(s.QueryRowContext(context.Background(), id).Scan)
	if err != nil {
		return nil, fmt.Errorf("replay job %s: %w", id, err)
	}
	return j, nil
}

// save stores what changes in a job.
func (t *tx) save(j *job) error {
	j.UpdatedAt = row.FromMicros(row.Micros(t.now))
	if j.State != ledger.JobRunning && j.EndedAt.IsZero() {
		j.EndedAt = j.UpdatedAt
	}
	return t.exec(`UPDATE replay_job SET state = ?, total = ?, done = ?, skipped = ?, conversation = ?, target = ?, updated_at = ?, ended_at = ? WHERE number = ?`,
		j.State, j.Total, j.Done, j.Skipped, j.at.number, j.at.target, row.Micros(j.UpdatedAt), row.Micros(j.EndedAt), j.number)
}

// CreateReplay stores a job, whose ID, Total and times it sets. What is dead now and selected by the filter has its turn,
// the oldest first; what dies later has not.
func (l *Ledger) CreateReplay(ctx context.Context, asked ledger.ReplayJob) (ledger.ReplayJob, error) {
	asked.Filter.States = []ledger.State{ledger.Dead}
	filter, err := json.Marshal(asked.Filter)
	if err != nil {
		return ledger.ReplayJob{}, fmt.Errorf("filter of a replay: %w", err)
	}
	j := job{ReplayJob: ledger.ReplayJob{
		ID: "r" + strings.ToLower(rand.Text()[:16]), By: asked.By, Filter: asked.Filter, Replay: asked.Replay, PerSecond: asked.PerSecond,
		State: ledger.JobRunning,
	}}
	err = l.write(ctx, func(t *tx) error {
		j.created = row.Micros(t.now)
		j.CreatedAt = row.FromMicros(j.created)
		j.UpdatedAt = j.CreatedAt
		return t.exec(`INSERT INTO replay_job (`+jobColumns[len("number, "):]+`) VALUES (?, ?, ?, ?, ?, ?, ?, -1, 0, 0, 0, '', ?, 0)`,
			j.ID, j.By, j.created, string(filter), j.Pinned, j.PerSecond, j.State, j.created)
	})
	if err != nil {
		return ledger.ReplayJob{}, err
	}
	return l.countJob(ctx, &j)
}

// countJob finds the Total of a job: what its first step, and each after it, will find.
func (l *Ledger) countJob(ctx context.Context, j *job) (ledger.ReplayJob, error) {
	var total int64
	err := l.ask(ctx, j.Filter, func(view *sql.Tx, f ledger.Filter) error {
		q, err := newSelection(ctx, view, f, true)
		if err == nil {
			q.died = j.created
			total, err = q.count(ctx, math.MaxInt64)
		}
		return err
	})
	if err != nil {
		return ledger.ReplayJob{}, err
	}
	err = l.write(ctx, func(t *tx) error {
		now, err := t.job(j.ID)
		if err != nil {
			return err
		}
		if !now.counted {
			now.Total = total
			err = t.save(now)
		}
		*j = *now
		return err
	})
	return j.ReplayJob, err
}

// StepReplay replays at most limit further deliveries of a running job, in one transaction with its progress. A job that
// has come to its end is done. A job that is not running is returned as it is. Of two steps of a job at once, one may do
// nothing.
func (l *Ledger) StepReplay(ctx context.Context, id string, limit int) (ledger.ReplayJob, error) {
	limit = min(max(limit, 1), ledger.MaxPage)
	before, err := l.readJob(ctx, id)
	if err == nil && !before.counted { // the process ended before it was counted
		if _, err = l.countJob(ctx, before); err == nil {
			before, err = l.readJob(ctx, id)
		}
	}
	if err != nil || before.State != ledger.JobRunning {
		if before == nil {
			before = &job{}
		}
		return before.ReplayJob, err
	}
	var next []spot
	err = l.ask(ctx, before.Filter, func(view *sql.Tx, f ledger.Filter) error {
		q, err := newSelection(ctx, view, f, true)
		if err == nil {
			q.died, q.oldest = before.created, true
			next, err = q.spots(ctx, &before.at, limit)
		}
		return err
	})
	if err != nil {
		return ledger.ReplayJob{}, err
	}
	var after *job
	err = l.write(ctx, func(t *tx) (err error) {
		if after, err = t.job(id); err != nil || after.State != ledger.JobRunning || after.at != before.at {
			return err
		}
		for _, at := range next {
			if err := t.replayAt(after, at); err != nil {
				return err
			}
		}
		if len(next) < limit {
			after.State = ledger.JobDone
			after.Skipped = max(after.Skipped, after.Total-after.Done) // with those that others have replayed meanwhile
			after.Total = after.Done + after.Skipped
		}
		return t.save(after)
	})
	if err != nil {
		return ledger.ReplayJob{}, err
	}
	return after.ReplayJob, nil
}

// replayAt gives a delivery its turn.
func (t *tx) replayAt(j *job, at spot) error {
	j.at = at
	s, err := t.statement(`SELECT ` + rowColumns + `, (SELECT bodies FROM conversation WHERE number = conversation)
		FROM delivery WHERE conversation = ? AND target = ?`)
	if err != nil {
		return err
	}
	var bodies bool
	r, err := scanRow(s.QueryRowContext(context.Background(), at.number, at.target).Scan, &bodies)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		j.Skipped++
		return nil
	case err != nil:
		return err
	case r.State != ledger.Dead || r.SettledAt > j.created || !bodies:
		j.Skipped++
		return nil
	}
	changes, err := t.replay(r, bodies, j.Replay)
	if err != nil {
		return err
	}
	j.Done++
	return t.store(r, changes)
}

// CancelReplay ends a job where it is; one that has ended stays as it is.
func (l *Ledger) CancelReplay(ctx context.Context, id string) (ledger.ReplayJob, error) {
	var j *job
	err := l.write(ctx, func(t *tx) (err error) {
		if j, err = t.job(id); err != nil || j.State != ledger.JobRunning {
			return err
		}
		j.State = ledger.JobCancelled
		return t.save(j)
	})
	if err != nil {
		return ledger.ReplayJob{}, err
	}
	return j.ReplayJob, nil
}

// ReplayJob returns a job, or ledger.ErrNotFound.
func (l *Ledger) ReplayJob(ctx context.Context, id string) (ledger.ReplayJob, error) {
	j, err := l.readJob(ctx, id)
	if err != nil {
		return ledger.ReplayJob{}, err
	}
	return j.ReplayJob, nil
}

func (l *Ledger) readJob(ctx context.Context, id string) (j *job, err error) {
	err = l.view(ctx, func(view *sql.Tx) (err error) {
		j, err = scanJob(view.QueryRowContext(ctx, `SELECT `+jobColumns+` FROM replay_job WHERE id = ?`, id).Scan)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("replay job %s: %w", id, err)
	}
	return j, nil
}

// ReplayJobs lists jobs, the newest first.
func (l *Ledger) ReplayJobs(ctx context.Context, p ledger.Page) (ledger.Listed[ledger.ReplayJob], error) {
	return journal(ctx, l, p, ofJobs, `SELECT `+jobColumns+` FROM replay_job WHERE number < ? ORDER BY number DESC LIMIT 0 + ?`,
		func(rows *sql.Rows) (ledger.ReplayJob, int64, error) {
			j, err := scanJob(rows.Scan)
			if err != nil {
				return ledger.ReplayJob{}, 0, err
			}
			return j.ReplayJob, j.number, nil
		})
}
