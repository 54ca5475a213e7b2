// This file forgets: bodies and attempts of conversations that are finished and old, then, much later, that they were
// there. It works in small transactions, by one replica at a time. Space comes back by dropping the partition of a day;
// what of it is still needed moves to the partition of today first.

package postgres

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// Retain removes what has outlived its retention at now: bodies and attempts of conversations whose deliveries are all
// finished, with their dead deliveries, and quarantined hooks. A conversation's age counts from its newest hook or from
// the end of its last delivery, whichever is later. Pending deliveries and what they need stay whatever their age. The
// space of a day is given back when the whole day is old enough.
//
// Near MaxSize, finished conversations lose their bodies and attempts whatever their age, those of the oldest days first,
// until there is room again. Dead deliveries and quarantined hooks stay until their age.
//
// Before that it does what Rename has left. It returns at once, without an error, when another replica is at it.
//
// What recognizes a conversation, and the receipts of its targets, stay for a year at least. Snapshots of configurations
// stay as long as a delivery refers to them or a replica uses them.
func (l *Ledger) Retain(ctx context.Context, now time.Time) error {
	if err := l.enter(); err != nil {
		return err
	}
	defer l.users.Done()
	if err := l.inForce(ctx); err != nil {
		return err
	}
	today, release, err := l.lockRetention(ctx)
	if err != nil || release == nil {
		return err
	}
	defer release()
	return l.retain(ctx, shift(now, l.skew(today)))
}

// lockRetention makes this replica the one that removes things, until release is called, and returns the database's time.
// release is nil if another one, or another call, is at it.
func (l *Ledger) lockRetention(ctx context.Context) (now time.Time, release func(), err error) {
	locking, cancel := brief(ctx)
	defer cancel()
	conn, err := l.pool.Acquire(locking)
	if err != nil {
		return now, nil, explain(err)
	}
	var mine bool
	var micros int64
	if err := conn.QueryRow(locking, `SELECT pg_try_advisory_lock($1), `+nowMicros, l.key("retain", "")).Scan(&mine, &micros); err != nil || !mine {
		conn.Release()
		return now, nil, explain(err)
	}
	return row.FromMicros(micros), func() {
		defer conn.Release()
		unlocking, cancel := brief(context.WithoutCancel(ctx))
		defer cancel()
		if _, err := conn.Exec(unlocking, `SELECT pg_advisory_unlock($1)`, l.key("retain", "")); err != nil {
			_ = conn.Conn().Close(unlocking) // the lock goes with the connection
		}
	}, nil
}

func (l *Ledger) retain(ctx context.Context, now time.Time) error {
	keep := *l.retention.Load()
	steps := []func(context.Context) error{
		l.setClockRight,
		func(ctx context.Context) error { return l.ensureDays(ctx, dayOf(now)) },
		l.finishRename,
		func(ctx context.Context) error { return l.exec(ctx, classify) },
		func(ctx context.Context) error { return l.dropJournal(ctx, now) },
	}
	if keep.Delivered > 0 {
		until := now.Add(-keep.Delivered)
		steps = append(steps,
			func(ctx context.Context) error { return l.expire(ctx, now, until) },
			func(ctx context.Context) error { return l.dropDays(ctx, now, until) },
			func(ctx context.Context) error {
				return l.forget(ctx, now.Add(-max(keep.Delivered, keep.Dead, identityAge)))
			},
			func(ctx context.Context) error { return l.dropConfigs(ctx, now) })
	}
	if keep.Dead > 0 {
		steps = append(steps, func(ctx context.Context) error { return l.dropQuarantine(ctx, now.Add(-keep.Dead)) })
	}
	steps = append(steps, func(ctx context.Context) error { return l.makeRoom(ctx, now) })
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	l.measureAnew()
	return nil
}

// classify gives what died under a program of version 1 the class that the last attempt of the revision tells.
const classify = `UPDATE delivery d SET class = a.class, reason = a.reason, failed_at = a.at
	FROM (SELECT DISTINCT ON (a.conversation, a.target) a.conversation, a.target, a.reason, a.at,
			a.kind || CASE WHEN a.status > 0 THEN ' ' || a.status ELSE '' END AS class
		FROM delivery f JOIN conversation c ON c.number = f.conversation
		JOIN attempt a ON a.day = c.day AND a.conversation = f.conversation AND a.target = f.target AND a.revision = f.want
		WHERE f.state = 2 AND f.class = '' AND c.bodies ORDER BY a.conversation, a.target, a.fence DESC, a.at DESC) a
	WHERE d.conversation = a.conversation AND d.target = a.target AND d.state = 2 AND d.class = ''`

// aged reads the next conversations that are old enough. What is passed over, because something of it is pending, is not
// looked at again in this run.
func (l *Ledger) aged(ctx context.Context, bodies string, until time.Time, seen, number *int64) (numbers []int64, err error) {
	err = l.once(ctx, patience, func() error {
		ctx, cancel := context.WithTimeout(ctx, transactionTimeout)
		defer cancel()
		rows, err := l.pool.Query(ctx, `SELECT seen_at, number FROM conversation WHERE `+bodies+` AND seen_at <= $1 AND (seen_at, number) > ($2, $3)
			ORDER BY seen_at, number LIMIT $4`, row.Micros(until), *seen, *number, page)
		if err != nil {
			return err
		}
		numbers, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (int64, error) {
			err := r.Scan(seen, number)
			return *number, err
		})
		return err
	})
	return numbers, err
}

// expire takes the bodies of the conversations that are old enough and that nobody needs.
func (l *Ledger) expire(ctx context.Context, now, until time.Time) error {
	var seen, number int64
	for {
		numbers, err := l.aged(ctx, `bodies`, until, &seen, &number)
		if err != nil || len(numbers) == 0 {
			return err
		}
		err = l.once(ctx, patience, func() error {
			var found talks
			return l.transact(ctx, l.slot+1, 1, func(b *pgx.Batch) {
				byIndex(b)
				found.queue(b, `number = ANY ($1) AND bodies`, numbers)
			}, func(t *tx) error {
				gone := []int64{}
				for _, k := range found {
					if t.expire(k, now, until) {
						gone = append(gone, k.Number)
					}
				}
				t.forgetListed(gone)
				t.storeTalks(found)
				return nil
			})
		})
		if err != nil {
			return err
		}
	}
}

// expire takes the bodies of one conversation. Those of a day that is about to be dropped as a whole are left to that. It tells
// whether they went.
func (t *tx) expire(k *talk, now, until time.Time) bool {
	if !row.Expired(k.seenAt, k.rows, *t.ledger.retention.Load(), now) {
		return false
	}
	for _, r := range k.rows {
		if r.State == ledger.Dead {
			t.count(r.Target, row.Counts{DeadRows: -1})
		}
	}
	k.Bodies, k.changed = false, true
	if dayEnd(k.day).After(until) {
		t.write(`DELETE FROM body WHERE day = $1 AND conversation = $2`, k.day, k.Number)
		t.write(`DELETE FROM attempt WHERE day = $1 AND conversation = $2`, k.day, k.Number)
	}
	return true
}

// forgetListed takes what lists show of conversations whose bodies go.
func (t *tx) forgetListed(gone []int64) {
	t.write(`DELETE FROM summary WHERE conversation = ANY ($1)`, gone)
	t.write(`UPDATE delivery SET class = '', reason = '', failed_at = 0 WHERE conversation = ANY ($1)
		AND (class <> '' OR reason <> '' OR failed_at > 0)`, gone)
}

// dropDays drops the partitions of days that ended before until.
func (l *Ledger) dropDays(ctx context.Context, now, until time.Time) error {
	days, err := listDays(ctx, l.pool)
	if err != nil {
		return explain(err)
	}
	dropped := false
	for _, day := range days {
		if dayEnd(day).After(until) || day >= dayOf(now) {
			continue
		}
		gone, err := l.dropDay(ctx, day, dayOf(now))
		if err != nil {
			return err
		}
		dropped = dropped || gone
	}
	if !dropped {
		return nil
	}
	return l.ensureDays(ctx, dayOf(now))
}

// dropDay moves what is needed of a day to another one, page by page, and then drops its partitions.
func (l *Ledger) dropDay(ctx context.Context, day, to int) (dropped bool, err error) {
	for !dropped {
		var numbers []int64
		err := l.once(ctx, patience, func() error {
			numbers = nil
			return l.transact(ctx, l.slot+1, 1, func(b *pgx.Batch) {
				// Nobody adds a body or an attempt to the old day from here on.
				b.Queue(`SELECT pg_advisory_xact_lock($1)`, l.key("move", ""))
				each(b, func(rows pgx.Rows) error {
					var number int64
					err := rows.Scan(&number)
					numbers = append(numbers, number)
					return err
				}, `SELECT number FROM conversation WHERE day = $1 AND bodies ORDER BY number LIMIT $2 FOR NO KEY UPDATE`, day, page)
			}, func(t *tx) error {
				if len(numbers) > 0 {
					t.write(`UPDATE body SET day = $1 WHERE day = $2 AND conversation = ANY ($3)`, to, day, numbers)
					t.write(`UPDATE attempt SET day = $1 WHERE day = $2 AND conversation = ANY ($3)`, to, day, numbers)
					t.write(`UPDATE conversation SET day = $1 WHERE number = ANY ($2)`, to, numbers)
					return nil
				}
				// Whoever reads for long is not waited for: hooks wait behind this lock.
				t.write(`SET LOCAL lock_timeout = '500ms'`)
				for _, table := range partitioned {
					t.write(`DROP TABLE ` + partition(table, day))
				}
				return nil
			})
		})
		if answer, ok := errors.AsType[*pgconn.PgError](err); ok && answer.Code == "55P03" {
			l.options.Logger.Info("the partition of an old day is in use; it is dropped later", "day", dayEnd(day-1).Format(time.DateOnly))
			return false, nil
		}
		if err != nil {
			return false, err
		}
		dropped = len(numbers) == 0
	}
	return true, nil
}

// forget removes conversations whose bodies are gone and that nothing has been heard of since until.
func (l *Ledger) forget(ctx context.Context, until time.Time) error {
	var seen, number int64
	for {
		numbers, err := l.aged(ctx, `NOT bodies`, until, &seen, &number)
		if err != nil || len(numbers) == 0 {
			return err
		}
		err = l.once(ctx, patience, func() error {
			var found talks
			return l.transact(ctx, l.slot+1, 1, func(b *pgx.Batch) {
				found.queue(b, `number = ANY ($1) AND NOT bodies AND seen_at <= $2`, numbers, row.Micros(until))
			}, func(t *tx) error {
				gone := make([]int64, 0, len(found))
				for _, k := range found {
					gone = append(gone, k.Number)
					t.add("conversations", -row.Chats(k.Platform))
				}
				t.write(`DELETE FROM delivery WHERE conversation = ANY ($1)`, gone)
				t.write(`DELETE FROM conversation WHERE number = ANY ($1)`, gone)
				return nil
			})
		})
		if err != nil {
			return err
		}
	}
}

// dropQuarantine removes quarantined hooks that came before until.
func (l *Ledger) dropQuarantine(ctx context.Context, until time.Time) error {
	for {
		var ids []string
		err := l.once(ctx, patience, func() error {
			ids = nil
			return l.transact(ctx, l.slot+1, 1, func(b *pgx.Batch) {
				each(b, func(rows pgx.Rows) error {
					var id string
					err := rows.Scan(&id)
					ids = append(ids, id)
					return err
				}, `SELECT id FROM quarantine WHERE received_at <= $1 ORDER BY received_at LIMIT $2 FOR UPDATE SKIP LOCKED`, row.Micros(until), page)
			}, func(t *tx) error {
				slices.Sort(ids)
				t.write(`DELETE FROM quarantine WHERE id = ANY ($1)`, ids)
				t.add("quarantined", -int64(len(ids)))
				return nil
			})
		})
		if err != nil || len(ids) < page {
			return err
		}
	}
}
