// This file makes room in a ledger that is near its limit: finished conversations lose their bodies before their age, by
// retention, or at once for a hook that does not fit.

package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// roomy does what needs so many bytes. If they do not fit, finished conversations lose their bodies for them:
// ledger.ErrFull means that none is left, or that it took too long to give back what they had.
func (l *Ledger) roomy(ctx context.Context, need int, do func() error) error {
	err := do()
	for deadline := time.Now().Add(hookPatience); crowdedOut(err) && time.Now().Before(deadline); {
		again, failure := l.squeeze(ctx, int64(need))
		if failure != nil {
			return failure
		}
		if !again {
			return err
		}
		err = do()
	}
	return err
}

// crowdedOut tells whether something was refused because of max_size, and not because of the server's disk.
func crowdedOut(err error) bool {
	if !errors.Is(err, ledger.ErrFull) {
		return false
	}
	_, disk := errors.AsType[*pgconn.PgError](err)
	return !disk
}

// squeezeEvery is how often it is looked whether somebody else has made room.
const squeezeEvery = 100 * time.Millisecond

// squeeze makes room for need bytes, if others have not, and tells whether it is worth trying again.
func (l *Ledger) squeeze(ctx context.Context, need int64) (again bool, err error) {
	limit := l.retention.Load().MaxSize
	if need > limit {
		return limit <= 0, nil // it would not fit into an empty one
	}
	if err := l.enter(); err != nil {
		return false, err
	}
	defer l.users.Done()
	select {
	case l.squeezing <- struct{}{}: // one at a time
		defer func() { <-l.squeezing }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	defer l.measureAnew()
	var release func()
	var now time.Time
	for { // another replica, or retention, may be at it
		size, err := l.size(ctx)
		if err != nil || size+need <= limit {
			return err == nil, explain(err)
		}
		if !l.crowd.WorthALook() {
			return false, nil
		}
		if now, release, err = l.lockRetention(ctx); err != nil {
			return false, err
		}
		if release != nil {
			break
		}
		select {
		case <-time.After(squeezeEvery):
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	defer release()
	return l.squeezeNow(ctx, need, limit, now)
}

// squeezeNow is squeeze when nobody else removes anything.
func (l *Ledger) squeezeNow(ctx context.Context, need, limit int64, now time.Time) (again bool, err error) {
	before, err := l.size(ctx)
	if err != nil || before+need <= limit {
		return err == nil, explain(err)
	}
	l.crowd.Warn(l.options.Logger, before, limit)
	begun := time.Now()
	if err := l.free(ctx, now, before, max(min(row.Roomy(limit), limit-need-limit/20), 0)); err != nil {
		return false, err
	}
	after, err := l.size(ctx)
	if err != nil {
		return false, explain(err)
	}
	if again = after < before || l.owed.Load(); !again {
		l.crowd.Fruitless(time.Since(begun))
	}
	return again, nil
}

// unneeded are the conversations with bodies of a day that nobody waits for.
const unneeded = `bodies AND day = %d AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.conversation = conversation.number AND state IN (0, 2))`

// endOfTime is later than any hook comes.
var endOfTime = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// makeRoom takes the bodies of finished conversations whatever their age, from when the ledger is near its limit until it
// is not. A day before today goes as a whole, as it does when it is old: what of it is needed moves to today. Of today the
// oldest go that make up what is too much, and its partitions are written anew.
func (l *Ledger) makeRoom(ctx context.Context, now time.Time) error {
	limit := l.retention.Load().MaxSize
	if limit <= 0 {
		return nil
	}
	size, err := l.size(ctx)
	if err != nil {
		return err
	}
	if !row.Crowded(size, limit) {
		l.crowd.Eased()
		return nil
	}
	l.crowd.Warn(l.options.Logger, size, limit)
	return l.free(ctx, now, size, row.Roomy(limit))
}

// free takes the bodies of finished conversations until the ledger, which holds size bytes, holds no more than goal.
func (l *Ledger) free(ctx context.Context, now time.Time, size, goal int64) error {
	days, err := listDays(ctx, l.pool)
	if err != nil {
		return explain(err)
	}
	for _, day := range days {
		if day > dayOf(now) {
			break // made ahead
		}
		if day < dayOf(now) {
			err = l.clearDay(ctx, day, dayOf(now))
		} else {
			err = l.thinDay(ctx, day, size-goal)
		}
		if err != nil {
			return err
		}
		if size, err = l.size(ctx); err != nil {
			return err
		}
		if size <= goal {
			break
		}
	}
	if !row.Crowded(size, l.retention.Load().MaxSize) {
		l.crowd.Eased()
	}
	return l.ensureDays(ctx, dayOf(now))
}

// clearDay takes what is finished of a day before today, and drops the day.
func (l *Ledger) clearDay(ctx context.Context, day, today int) error {
	freed, err := l.strip(ctx, day, math.MaxInt64)
	if err != nil {
		return err
	}
	if freed == 0 {
		var needed bool
		err := l.read(ctx, `SELECT EXISTS (SELECT 1 FROM conversation WHERE day = $1 AND bodies)`, []any{day}, &needed)
		if err != nil || needed {
			return err // nothing would be won
		}
	}
	_, err = l.dropDay(ctx, day, today)
	return err
}

// thinDay takes the oldest of what is finished of today until so many bytes are free, and gives them back. Whoever
// wants to read or write bodies of today waits until what is left has been written anew.
func (l *Ledger) thinDay(ctx context.Context, day int, bytes int64) error {
	if !l.owed.Load() {
		freed, err := l.strip(ctx, day, bytes)
		if err != nil || freed == 0 {
			return err
		}
		l.owed.Store(true)
	}
	conn, err := l.pool.Acquire(ctx)
	if err != nil {
		return explain(err)
	}
	defer conn.Release()
	if alone, err := unseen(ctx, conn); err != nil || !alone {
		return explain(err)
	}
	before, err := l.size(ctx)
	if err != nil {
		return explain(err)
	}
	// Whoever reads for long is not waited for: hooks wait behind this lock.
	if _, err := conn.Exec(ctx, `SET lock_timeout = '2s'`); err != nil {
		return explain(err)
	}
	for _, table := range partitioned {
		if _, err = conn.Exec(ctx, `VACUUM (FULL) `+partition(table, day)); err != nil {
			break
		}
	}
	resetting, cancel := brief(context.WithoutCancel(ctx))
	defer cancel()
	if _, err := conn.Exec(resetting, `RESET lock_timeout`); err != nil {
		_ = conn.Conn().Close(resetting)
	}
	if answer, ok := errors.AsType[*pgconn.PgError](err); ok && answer.Code == "55P03" {
		l.options.Logger.Info("the partition of today is in use; its space is given back later")
		return nil
	}
	if err != nil {
		return explain(err)
	}
	after, err := l.size(ctx)
	l.owed.Store(err != nil || after >= before) // something that is not seen here holds on to it; no more goes until then
	return explain(err)
}

// unseen waits until no transaction of the database sees any more what has been deleted so far, for until then its space
// is not given back. It tells whether that came soon.
func unseen(ctx context.Context, conn *pgxpool.Conn) (bool, error) {
	var mark string
	if err := conn.QueryRow(ctx, `SELECT pg_current_xact_id()::xid::text`).Scan(&mark); err != nil {
		return false, err
	}
	for range 100 {
		var seen bool
		err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
			AND (age(backend_xmin) > age($1::text::xid) OR age(backend_xid) > age($1::text::xid)))`, mark).Scan(&seen)
		if err != nil || !seen {
			return err == nil, err
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return false, nil
}

// strip takes the bodies of the finished conversations of a day, the oldest first, until they make up so many bytes.
func (l *Ledger) strip(ctx context.Context, day int, bytes int64) (freed int64, err error) {
	var seen, number int64
	for freed < bytes {
		numbers, err := l.aged(ctx, fmt.Sprintf(unneeded, day), endOfTime, &seen, &number)
		if err != nil || len(numbers) == 0 {
			return freed, err
		}
		var won int64
		err = l.once(ctx, patience, func() error {
			var found talks
			sizes := map[int64]int64{}
			won = 0
			return l.transact(ctx, l.slot+1, 1, func(b *pgx.Batch) {
				byIndex(b)
				found.queue(b, `number = ANY ($1) AND day = $2 AND bodies`, numbers, day)
				each(b, func(rows pgx.Rows) error {
					var number, size int64
					err := rows.Scan(&number, &size)
					sizes[number] = size
					return err
				}, `SELECT conversation, sum(pg_column_size(decoded) + pg_column_size(raw))::bigint FROM body
					WHERE day = $1 AND conversation = ANY ($2) GROUP BY conversation`, day, numbers)
			}, func(t *tx) error {
				slices.SortFunc(found, func(a, b *talk) int { return cmp.Or(cmp.Compare(a.seenAt, b.seenAt), cmp.Compare(a.Number, b.Number)) })
				gone := []int64{}
				for _, k := range found {
					if freed+won >= bytes {
						break
					}
					if row.Finished(k.rows) {
						k.Bodies, k.changed = false, true
						gone, won = append(gone, k.Number), won+max(sizes[k.Number], 1)
					}
				}
				for _, table := range partitioned {
					t.write(`DELETE FROM `+table+` WHERE day = $1 AND conversation = ANY ($2)`, day, gone)
				}
				t.forgetListed(gone)
				t.storeTalks(found)
				return nil
			})
		})
		if err != nil {
			return freed, err
		}
		freed += won
	}
	return freed, nil
}
