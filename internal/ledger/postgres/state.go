// This file keeps what is beside conversations: the state of targets, notes, what is left of rates, and how much room
// there is.

package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// exec runs one statement in a transaction of its own.
func (l *Ledger) exec(ctx context.Context, sql string, args ...any) error {
	return l.once(ctx, patience, func() error {
		return l.transact(ctx, l.slot+1, 1, func(*pgx.Batch) {}, func(t *tx) error {
			t.write(sql, args...)
			return nil
		})
	})
}

// TargetState returns the state of a target; the zero value if none was saved.
func (l *Ledger) TargetState(ctx context.Context, name string) (ledger.TargetState, error) {
	var s ledger.TargetState
	var since, until, paused, now int64
	err := l.read(ctx, `SELECT account, since, until, reason, by_operator, probes, paused, `+nowMicros+` FROM target WHERE name = $1`, []any{clean(name)},
		&s.Account, &since, &until, &s.Pause.Reason, &s.Pause.ByOperator, &s.Pause.Probes, &paused, &now)
	if errors.Is(err, ledger.ErrNotFound) {
		return ledger.TargetState{}, nil
	}
	ahead := l.skew(row.FromMicros(now))
	s.Pause.Since, s.Pause.Until = shift(row.FromMicros(since), -ahead), shift(row.FromMicros(until), -ahead)
	s.Paused = time.Duration(paused) * time.Microsecond
	return s, err
}

// SaveTargetState keeps the state of a target in place of the one before, for all replicas.
func (l *Ledger) SaveTargetState(ctx context.Context, name string, s ledger.TargetState) error {
	return l.once(ctx, patience, func() error {
		return l.transact(ctx, l.slot+1, 1, func(*pgx.Batch) {}, func(t *tx) error {
			ahead := l.skew(t.now)
			t.write(`INSERT INTO target (name, account, since, until, reason, by_operator, probes, paused)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (name) DO UPDATE SET account = excluded.account, since = excluded.since,
		until = excluded.until, reason = excluded.reason, by_operator = excluded.by_operator, probes = excluded.probes, paused = excluded.paused`,
				clean(name), s.Account, row.Micros(shift(s.Pause.Since, ahead)), row.Micros(shift(s.Pause.Until, ahead)), clean(s.Pause.Reason),
				s.Pause.ByOperator, s.Pause.Probes, s.Paused.Microseconds())
			return nil
		})
	})
}

// Note returns what is remembered under a name; the zero value if nothing is.
func (l *Ledger) Note(ctx context.Context, name string) (n ledger.Note, err error) {
	err = l.read(ctx, `SELECT version, text FROM note WHERE name = $1`, []any{clean(name)}, &n.Version, &n.Text)
	if errors.Is(err, ledger.ErrNotFound) {
		return ledger.Note{}, nil
	}
	return n, err
}

// SaveNote keeps a text under a name in place of the one that has n's version, and returns ledger.ErrChanged if there is
// another one: of replicas that try it at once, one succeeds.
func (l *Ledger) SaveNote(ctx context.Context, name string, n ledger.Note) error {
	name, n.Text = clean(name), clean(n.Text)
	return l.once(ctx, patience, func() error {
		var there ledger.Note
		return l.transact(ctx, l.slot+1, 1, func(b *pgx.Batch) {
			there = ledger.Note{}
			b.Queue(`SELECT pg_advisory_xact_lock($1)`, l.key("note", name))
			each(b, func(rows pgx.Rows) error { return rows.Scan(&there.Version, &there.Text) }, `SELECT version, text FROM note WHERE name = $1`, name)
		}, func(t *tx) error {
			switch {
			case there.Version == n.Version:
				t.write(`INSERT INTO note (name, version, text) VALUES ($1, $2, $3)
					ON CONFLICT (name) DO UPDATE SET version = excluded.version, text = excluded.text`, name, n.Version+1, n.Text)
			case there.Version != n.Version+1 || there.Text != n.Text: // else it is there since a commit whose answer was lost
				return fmt.Errorf("note %s: %w", name, ledger.ErrChanged)
			}
			return nil
		})
	})
}

// Take takes up to n attempts out of what a target's rate allows now, for all replicas together, and says how long to
// wait if that is none. With n below 0 it gives back what was taken and not used.
//
// It is not waited for until it is on disk: after a crash of the server a target may get a second's attempts twice.
func (l *Ledger) Take(ctx context.Context, target string, rate ledger.Rate, n int) (granted int, wait time.Duration, err error) {
	target = clean(target)
	err = l.once(ctx, patience, func() error {
		bucket, there, now := row.Bucket{}, false, int64(0)
		return l.transact(ctx, l.slot+1, 1, func(b *pgx.Batch) {
			b.Queue(`SET LOCAL synchronous_commit = off`)
			b.Queue(`SELECT pg_advisory_xact_lock($1)`, l.key("bucket", target))
			each(b, func(rows pgx.Rows) error {
				there = true
				return rows.Scan(&bucket.Tokens, &bucket.FilledAt)
			}, `SELECT tokens, filled_at FROM bucket WHERE target = $1`, target)
			// The time after the wait for the lock, not that of the transaction's start.
			each(b, func(rows pgx.Rows) error { return rows.Scan(&now) }, `SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint`)
		}, func(t *tx) error {
			if !there {
				bucket = row.Bucket{Tokens: float64(rate.Burst), FilledAt: now}
			}
			granted, wait = bucket.Take(rate, n, now)
			t.write(`INSERT INTO bucket (target, tokens, filled_at) VALUES ($1, $2, $3)
				ON CONFLICT (target) DO UPDATE SET tokens = excluded.tokens, filled_at = excluded.filled_at`, target, bucket.Tokens, bucket.FilledAt)
			return nil
		})
	})
	return granted, wait, err
}

// readyRoom is how much must fit for hooks to be taken after a disk was full, in bytes: enough for a long chat.
const readyRoom = 256 << 10

// Ready commits something now, fsync included, and returns why that is not possible. It does not wait for a database
// that is away. After the server's disk was full it writes as much as a long chat has, until that is possible.
func (l *Ledger) Ready(ctx context.Context) error {
	err := l.roomy(ctx, 1, func() error {
		return l.once(ctx, 0, func() error {
			if err := l.measure(ctx); err != nil {
				return err
			}
			return l.transact(ctx, l.slot+1, 1, func(*pgx.Batch) {}, func(t *tx) error {
				t.add("ready", 1)
				return l.reserve(1)
			})
		})
	})
	if err != nil || !l.room.lacking.Load() {
		return err
	}
	return l.once(ctx, 0, func() error {
		ballast := make([]byte, readyRoom)
		_, _ = rand.NewChaCha8([32]byte{}).Read(ballast) // it cannot be compressed
		err := l.transact(ctx, l.slot+1, 1, func(*pgx.Batch) {}, func(t *tx) error {
			t.write(`INSERT INTO config (hash, snapshot, used_at) VALUES ($1, $2, 0)`, "ballast "+l.replica, ballast)
			t.write(`DELETE FROM config WHERE hash = $1`, "ballast "+l.replica)
			return nil
		})
		if err == nil {
			l.room.lacking.Store(false)
		}
		return err
	})
}

// read reads the one row of a query; ledger.ErrNotFound if there is none.
func (l *Ledger) read(ctx context.Context, query string, args []any, into ...any) error {
	err := l.once(ctx, patience, func() error {
		ctx, cancel := brief(ctx)
		defer cancel()
		return l.pool.QueryRow(ctx, query, args...).Scan(into...)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return ledger.ErrNotFound
	}
	return err
}

// room is what is known of the size of the ledger, if there is a limit to hold it against.
type room struct {
	mu       sync.Mutex
	at       time.Time // when it was measured
	measured int64
	size     int64 // measured, and what this replica has added since

	lacking atomic.Bool // the server's disk was full, and Ready has not seen since that it is not
}

const (
	measureEvery = 10 * time.Second // other replicas add, too
	measureFull  = time.Second      // when there seems to be no room
	// measureShare is the part of the limit that a replica adds at most before it measures again.
	measureShare = 50
	// hookRows and hookShare are what a hook takes beside its body: its rows in tables and indexes, what lists and searches
	// know of it, and a part of its body for the pages that hold that.
	hookRows  = 3 << 10
	hookShare = 16
)

// Keep replaces what may be removed when, and the size at which hooks are refused. It holds from the next operation on.
func (l *Ledger) Keep(r ledger.Retention) { l.retention.Store(&r) }

// measure finds the bytes in use, if there is a limit and it has not been done lately.
func (l *Ledger) measure(ctx context.Context) error {
	limit := l.retention.Load().MaxSize
	if limit <= 0 {
		return nil
	}
	if !l.room.mu.TryLock() {
		return nil // somebody is at it
	}
	defer l.room.mu.Unlock()
	age, grown := time.Since(l.room.at), l.room.size-l.room.measured >= limit/measureShare
	if !grown && (age < measureFull || age < measureEvery && l.room.size < limit) {
		return nil
	}
	size, err := l.size(ctx)
	if err != nil {
		return err
	}
	l.room.at, l.room.measured, l.room.size = time.Now(), size, size
	return nil
}

// size is what the tables of the ledger take.
func (l *Ledger) size(ctx context.Context) (size int64, err error) {
	ctx, cancel := brief(ctx)
	defer cancel()
	err = l.pool.QueryRow(ctx, sizeQuery).Scan(&size)
	return size, err
}

// measureAnew makes the next measure look.
func (l *Ledger) measureAnew() {
	l.room.mu.Lock()
	l.room.at = time.Time{}
	l.room.mu.Unlock()
}

// reserve says whether n more bytes may be stored.
func (l *Ledger) reserve(n int) error {
	limit := l.retention.Load().MaxSize
	if limit <= 0 {
		return nil
	}
	l.room.mu.Lock()
	defer l.room.mu.Unlock()
	if l.room.size+int64(n) > limit {
		return fmt.Errorf("%w: it holds %d bytes of at most %d; raise ledger.retention.max_size or shorten retention", ledger.ErrFull, l.room.size, limit)
	}
	l.room.size += int64(n) + int64(n)/hookShare + hookRows
	return nil
}
