// This file reads: conversations, bodies, attempts, quarantine, gauges.

package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// prefixed names the table of each column in a list.
func prefixed(table, columns string) string {
	names := strings.Split(columns, ",")
	for i := range names {
		names[i] = table + "." + strings.TrimSpace(names[i])
	}
	return strings.Join(names, ", ")
}

// Conversation returns the newest revision of a conversation; ledger.ErrNotFound if there is none or retention has
// taken it.
func (l *Ledger) Conversation(ctx context.Context, id string) (chat.Conversation, error) {
	var packed []byte
	var revision int
	err := l.read(ctx, `SELECT c.revision, b.decoded FROM conversation c
		JOIN body b ON b.day = c.day AND b.conversation = c.number AND b.revision = c.revision
		WHERE c.id = $1 AND c.bodies`, []any{clean(id)}, &revision, &packed)
	if err != nil {
		return chat.Conversation{}, fmt.Errorf("conversation %s: %w", id, err)
	}
	return l.codec.UnpackConversation(packed, id, revision)
}

// sentColumn holds a body as it was sent.
const sentColumn = `CASE WHEN length(b.raw) = 0 THEN b.decoded ELSE b.raw END`

// Raw returns the body of the hook that became a revision, and its content type. Stale snapshots have the numbers -1,
// -2, … in the order of their arrival. It returns ledger.ErrNotFound if there is none or retention has taken it.
func (l *Ledger) Raw(ctx context.Context, id string, revision int) (body []byte, contentType string, err error) {
	var packed []byte
	err = l.read(ctx, `SELECT `+sentColumn+`, b.content_type FROM conversation c
		JOIN body b ON b.day = c.day AND b.conversation = c.number AND b.revision = $2
		WHERE c.id = $1 AND c.bodies`, []any{clean(id), revision}, &packed, &contentType)
	if err == nil {
		body, err = l.codec.UnpackSent(packed)
	}
	if err != nil {
		return nil, "", fmt.Errorf("body of conversation %s, revision %d: %w", id, revision, err)
	}
	return body, contentType, nil
}

// Attempts returns the log of attempts of a delivery, the oldest first, with their details.
func (l *Ledger) Attempts(ctx context.Context, id, target string) (attempts []ledger.Attempt, err error) {
	err = l.once(ctx, patience, func() error {
		ctx, cancel := brief(ctx)
		defer cancel()
		rows, err := l.pool.Query(ctx, `SELECT a.at, a.revision, a.number, a.kind, a.duration, a.status, a.reason, a.class, a.config, a.response, a.known
			FROM conversation c
			JOIN attempt a ON a.day = c.day AND a.conversation = c.number AND a.target = $2
			WHERE c.id = $1 AND c.bodies ORDER BY a.fence, a.at`, clean(id), clean(target))
		if err != nil {
			return err
		}
		attempts, err = pgx.CollectRows(rows, func(r pgx.CollectableRow) (a ledger.Attempt, err error) {
			var at, duration int64
			var known string
			err = r.Scan(&at, &a.Revision, &a.Number, &a.Kind, &duration, &a.Status, &a.Reason, &a.Class, &a.Config, &a.Response, &known)
			if err != nil {
				return a, err
			}
			a.At, a.Duration = row.FromMicros(at), time.Duration(duration)*time.Microsecond
			return a, row.UnpackKnowledge(known, &a.Detail)
		})
		return err
	})
	return attempts, err
}

// Unreadable returns a hook from quarantine, or ledger.ErrNotFound.
func (l *Ledger) Unreadable(ctx context.Context, id string) (ledger.Unreadable, error) {
	var u ledger.Unreadable
	var packed []byte
	var received int64
	err := l.read(ctx, `SELECT source, received_at, content_type, reason, raw FROM quarantine WHERE id = $1`, []any{clean(id)},
		&u.Source, &received, &u.ContentType, &u.Reason, &packed)
	if err != nil {
		return ledger.Unreadable{}, fmt.Errorf("quarantined hook %s: %w", id, err)
	}
	u.ReceivedAt = row.FromMicros(received)
	u.Raw, err = l.codec.Unpack(packed)
	return u, err
}

// sizeQuery adds up what the tables of the ledger take on disk, with their indexes.
const sizeQuery = `SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c
	WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND (c.relispartition OR c.relname IN
	('conversation', 'delivery', 'target', 'bucket', 'config', 'quarantine', 'counter', 'total', 'source', 'version', 'summary', 'arrival', 'replay_job', 'audit', 'series', 'note'))`

// Stats returns the gauges, of the database and so of all replicas. It reads counters and the ends of indexes, so its
// cost grows with the number of targets and not with what the ledger holds.
func (l *Ledger) Stats(ctx context.Context) (s ledger.Stats, err error) {
	var now int64
	err = l.once(ctx, patience, func() error {
		ctx, cancel := brief(ctx)
		defer cancel()
		s = ledger.Stats{Targets: map[string]ledger.TargetStats{}, LastHook: map[string]time.Time{}}
		var b pgx.Batch
		b.Queue(`BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`) // one moment for all
		each(&b, func(rows pgx.Rows) error {
			var name string
			var t ledger.TargetStats
			var oldest, overdue int64
			err := rows.Scan(&name, &t.Accepted, &t.Pending, &t.Delivered, &t.Dead, &t.Skipped, &t.Superseded, &t.DeadRows, &oldest, &overdue)
			t.OldestPending, t.Overdue = row.FromMicros(oldest), row.FromMicros(overdue)
			s.Targets[name] = t
			return err
		}, `SELECT target, accepted, pending, delivered, dead, skipped, superseded, dead_rows,
			coalesce((SELECT pending_since FROM delivery d WHERE d.target = c.target AND d.state = 0 ORDER BY pending_since LIMIT 1), 0),
			coalesce((SELECT due_at FROM delivery d WHERE d.target = c.target AND d.state = 0 AND d.due_at <= `+nowMicros+` ORDER BY due_at LIMIT 1), 0)
			FROM (`+counters+`) c`)
		each(&b, func(rows pgx.Rows) error { return rows.Scan(&s.Conversations, &s.Quarantined) },
			`SELECT coalesce(sum(n) FILTER (WHERE name = 'conversations'), 0)::bigint, coalesce(sum(n) FILTER (WHERE name = 'quarantined'), 0)::bigint FROM total`)
		each(&b, func(rows pgx.Rows) error {
			var name string
			var at int64
			err := rows.Scan(&name, &at)
			s.LastHook[name] = row.FromMicros(at)
			return err
		}, `SELECT name, max(last_hook) FROM source GROUP BY name`)
		each(&b, func(rows pgx.Rows) error { return rows.Scan(&s.Bytes) }, sizeQuery)
		each(&b, func(rows pgx.Rows) error { return rows.Scan(&now) }, `SELECT `+nowMicros)
		b.Queue(`COMMIT`)
		return l.pool.SendBatch(ctx, &b).Close()
	})
	s.At, s.Used = row.FromMicros(now), s.Bytes
	ahead := l.skew(s.At)
	for name, target := range s.Targets {
		target.OldestPending, target.Overdue = shift(target.OldestPending, -ahead), shift(target.Overdue, -ahead)
		s.Targets[name] = target
	}
	for name, at := range s.LastHook {
		s.LastHook[name] = shift(at, -ahead)
	}
	return s, err
}

// counters is the counters with their slots added up.
const counters = `SELECT target, sum(accepted)::bigint accepted, sum(pending)::bigint pending, sum(delivered)::bigint delivered,
	sum(dead)::bigint dead, sum(skipped)::bigint skipped, sum(superseded)::bigint superseded, sum(dead_rows)::bigint dead_rows
	FROM counter GROUP BY target`
