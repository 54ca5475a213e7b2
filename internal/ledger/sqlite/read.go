// This file reads: conversations, bodies, attempts, quarantine, gauges.

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// Conversation returns the newest revision of a conversation; ledger.ErrNotFound if there is none or retention has
// taken it.
func (l *Ledger) Conversation(ctx context.Context, id string) (chat.Conversation, error) {
	var packed []byte
	var revision int
	err := l.read(ctx, `SELECT c.revision, b.decoded FROM conversation c JOIN body b ON b.conversation = c.number AND b.revision = c.revision
		WHERE c.id = ?`, []any{id}, &revision, &packed)
	if err != nil {
		return chat.Conversation{}, fmt.Errorf("conversation %s: %w", id, err)
	}
	return l.codec.UnpackConversation(packed, id, revision)
}

// sentColumn holds a body as it was sent.
const sentColumn = `CASE WHEN length(raw) = 0 THEN decoded ELSE raw END`

// Raw returns the body of the hook that became a revision, and its content type. Stale snapshots have the numbers -1,
// -2, … in the order of their arrival. It returns ledger.ErrNotFound if there is none or retention has taken it.
func (l *Ledger) Raw(ctx context.Context, id string, revision int) (body []byte, contentType string, err error) {
	var packed []byte
	err = l.read(ctx, `SELECT `+sentColumn+`, content_type FROM body WHERE conversation = (SELECT number FROM conversation WHERE id = ?) AND revision = ?`,
		[]any{id, revision}, &packed, &contentType)
	if err != nil {
		return nil, "", fmt.Errorf("body of conversation %s, revision %d: %w", id, revision, err)
	}
	if body, err = l.codec.UnpackSent(packed); err != nil {
		return nil, "", fmt.Errorf("body of conversation %s, revision %d: %w", id, revision, err)
	}
	return body, contentType, nil
}

// Attempts returns the log of attempts of a delivery, the oldest first.
func (l *Ledger) Attempts(ctx context.Context, id, target string) (attempts []ledger.Attempt, err error) {
	if err := l.enter(); err != nil {
		return nil, err
	}
	defer l.users.Done()
	rows, err := l.readers.Load().QueryContext(ctx, `SELECT at, revision, number, kind, duration, status, reason, class, config, response, known FROM attempt
		WHERE conversation = (SELECT number FROM conversation WHERE id = ?) AND target = ? ORDER BY fence`, id, target)
	if err != nil {
		return nil, err
	}
	err = each(rows, func(rows *sql.Rows) error {
		var a ledger.Attempt
		var at, duration int64
		var known string
		err := rows.Scan(&at, &a.Revision, &a.Number, &a.Kind, &duration, &a.Status, &a.Reason, &a.Class, &a.Config, &a.Response, &known)
		if err != nil {
			return err
		}
		a.At, a.Duration = row.FromMicros(at), time.Duration(duration)*time.Microsecond
		err = row.UnpackKnowledge(known, &a.Detail)
		attempts = append(attempts, a)
		return err
	})
	return attempts, err
}

// Unreadable returns a hook from quarantine, or ledger.ErrNotFound.
func (l *Ledger) Unreadable(ctx context.Context, id string) (ledger.Unreadable, error) {
	var u ledger.Unreadable
	var packed []byte
	var received int64
	err := l.read(ctx, `SELECT source, received_at, content_type, reason, raw FROM quarantine WHERE id = ?`, []any{id},
		&u.Source, &received, &u.ContentType, &u.Reason, &packed)
	if err != nil {
		return ledger.Unreadable{}, fmt.Errorf("quarantined hook %s: %w", id, err)
	}
	u.ReceivedAt = row.FromMicros(received)
	u.Raw, err = l.codec.Unpack(packed)
	return u, err
}

// Stats returns the gauges. It reads counters and the ends of indexes, so its cost grows with the number of targets and
// not with what the ledger holds.
func (l *Ledger) Stats(ctx context.Context) (ledger.Stats, error) {
	s := ledger.Stats{At: l.clock(), Targets: map[string]ledger.TargetStats{}, LastHook: map[string]time.Time{}, SetAside: l.aside.Load()}
	if err := l.enter(); err != nil {
		return s, err
	}
	defer l.users.Done()
	view, err := l.readers.Load().BeginTx(ctx, nil) // one moment for all
	if err != nil {
		return s, err
	}
	defer func() { _ = view.Rollback() }()
	return s, errors.Join(targetStats(ctx, view, s.Targets), totals(ctx, view, &s), lastHooks(ctx, view, s.LastHook), l.bytes(&s.Bytes))
}

// What the gauges read of the pending deliveries of target c. One that has not been tried yet falls due at the time that it
// is pending since; the others are in an index, and fall due later than that.
const (
	firstDueQuery    = `SELECT min(due_at) FROM delivery d WHERE d.target = c.target AND d.state = 0`
	oldestTriedQuery = `SELECT min(pending_since) FROM delivery d WHERE d.target = c.target AND d.state = 0 AND d.due_at <> d.pending_since`
)

func targetStats(ctx context.Context, view *sql.Tx, into map[string]ledger.TargetStats) error {
	rows, err := view.QueryContext(ctx, `SELECT target, accepted, pending, delivered, dead, skipped, superseded, dead_rows,
		coalesce((`+oldestTriedQuery+`), 0), coalesce((`+firstDueQuery+`), 0) FROM counter c`)
	if err != nil {
		return err
	}
	now := row.Micros(time.Now())
	return each(rows, func(rows *sql.Rows) error {
		var name string
		var t ledger.TargetStats
		var oldest, due int64
		err := rows.Scan(&name, &t.Accepted, &t.Pending, &t.Delivered, &t.Dead, &t.Skipped, &t.Superseded, &t.DeadRows, &oldest, &due)
		if oldest == 0 || due < oldest {
			oldest = due
		}
		t.OldestPending = row.FromMicros(oldest)
		if due <= now {
			t.Overdue = row.FromMicros(due)
		}
		into[name] = t
		return err
	})
}

func totals(ctx context.Context, view *sql.Tx, s *ledger.Stats) error {
	return view.QueryRowContext(ctx, `SELECT coalesce((SELECT n FROM total WHERE name = 'conversations'), 0),
		coalesce((SELECT n FROM total WHERE name = 'quarantined'), 0),
		((SELECT page_count FROM pragma_page_count) - (SELECT freelist_count FROM pragma_freelist_count)) * (SELECT page_size FROM pragma_page_size)`).
		Scan(&s.Conversations, &s.Quarantined, &s.Used)
}

func lastHooks(ctx context.Context, view *sql.Tx, into map[string]time.Time) error {
	rows, err := view.QueryContext(ctx, `SELECT name, last_hook FROM source`)
	if err != nil {
		return err
	}
	return each(rows, func(rows *sql.Rows) error {
		var name string
		var at int64
		err := rows.Scan(&name, &at)
		into[name] = row.FromMicros(at)
		return err
	})
}

// bytes is what the files take on disk.
func (l *Ledger) bytes(into *int64) error {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(l.path + suffix)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		*into += info.Size()
	}
	return nil
}
