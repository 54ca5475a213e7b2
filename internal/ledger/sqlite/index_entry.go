// This file is what the indexer reads and writes: the entries of conversations, and the merging of the full-text index.

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/afterchat/afterchat/internal/ledger/row"
)

// outdate has a conversation indexed again.
func (t *tx) outdate(number int64) error {
	return t.exec(`INSERT OR IGNORE INTO outdated VALUES (?)`, number)
}

// entry is a conversation on its way into the index.
type entry struct {
	number, first int64
	id            string
	revision      int
	bodies        bool
	summary       row.Summary
	words         string
	again         bool // it may be there already
}

const entryColumns = `c.number, c.id, c.revision, c.bodies, CASE c.first_at WHEN 0 THEN
	coalesce((SELECT min(received_at) FROM body WHERE conversation = c.number AND received_at > 0), c.seen_at) ELSE c.first_at END`

// stretch is a part of the work: which conversations are next, and the mark that moves.
type stretch struct {
	query string
	mark  string
	to    func(last entry) int64
}

var (
	newer = []stretch{
		{query: `SELECT ` + entryColumns + ` FROM outdated o JOIN conversation c ON c.number = o.number
			WHERE o.number <= (SELECT n FROM progress WHERE name = 'newest') ORDER BY o.number LIMIT ?`},
		{
			query: `SELECT ` + entryColumns + ` FROM conversation c
			WHERE c.number > (SELECT n FROM progress WHERE name = 'newest') ORDER BY c.number LIMIT ?`,
			mark: "newest", to: func(last entry) int64 { return last.number },
		},
	}
	older = []stretch{
		{
			query: `SELECT ` + entryColumns + ` FROM conversation c
			WHERE c.number < (SELECT n FROM progress WHERE name = 'oldest') ORDER BY c.number DESC LIMIT ?`,
			mark: "oldest", to: func(last entry) int64 { return last.number },
		},
	}
)

// describe makes the summary of a conversation. One that cannot be decoded has an empty one: that is for the audit and
// for its delivery to tell.
func (x *indexer) describe(ctx context.Context, view *sql.Tx, e *entry) error {
	c := x.take(offered{e.id, e.revision})
	if c == nil {
		var packed []byte
		err := view.QueryRowContext(ctx, `SELECT decoded FROM body WHERE conversation = ? AND revision = ?`, e.number, e.revision).Scan(&packed)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if read, err := x.ledger.codec.UnpackConversation(packed, e.id, e.revision); err == nil {
			c = &read
		}
	}
	if c != nil {
		e.summary = row.Summarize(c)
		e.words = e.summary.SearchText()
	}
	return nil
}

// indexSome indexes one of entries, and more of them until the time is up.
func (t *tx) indexSome(s stretch, entries []entry, until time.Time) (done int, err error) {
	if len(entries) == 0 {
		return 0, nil
	}
	if s.mark == "oldest" {
		if err := t.reserve(indexBatch << 12); err != nil {
			return 0, err // what has come before the upgrade takes no room from hooks
		}
	}
	for done == 0 || done < len(entries) && time.Now().Before(until) {
		if err := t.index(&entries[done]); err != nil {
			return 0, err
		}
		done++
	}
	if s.mark == "" {
		return done, nil
	}
	return done, t.exec(`UPDATE progress SET n = ? WHERE name = ?`, s.to(entries[done-1]), s.mark)
}

// merge merges segments of the full-text index until the time is up, and tells whether there is more to merge.
func (t *tx) merge(until time.Time) (more bool, err error) {
	for more = true; more && time.Now().Before(until); {
		var before, after int64
		err := errors.Join(t.row(`SELECT total_changes()`, nil, &before),
			t.exec(`INSERT INTO search (search, rank) VALUES ('merge', ?)`, mergePages),
			t.row(`SELECT total_changes()`, nil, &after))
		if err != nil {
			return false, err
		}
		more = after-before > 1 // it has written, https://sqlite.org/fts5.html#the_merge_command
	}
	return more, nil
}

// index stores one entry, unless the conversation has changed meanwhile: then it is noted, or beyond the mark.
func (t *tx) index(e *entry) error {
	var same bool
	err := t.row(`SELECT id = ? AND revision = ? AND bodies = ? FROM conversation WHERE number = ?`, []any{e.id, e.revision, e.bodies, e.number}, &same)
	if errors.Is(err, sql.ErrNoRows) {
		return t.exec(`DELETE FROM outdated WHERE number = ?`, e.number)
	}
	if err != nil || !same {
		return errors.Join(err, t.outdate(e.number))
	}
	if e.again {
		if err := t.unindex(e.number); err != nil {
			return err
		}
	}
	deliveries, err := t.indexRoutes(e.number)
	if err != nil {
		return err
	}
	if e.again { // it may be of version 1
		if err := t.exec(`UPDATE conversation SET first_at = ? WHERE number = ? AND first_at = 0`, e.first, e.number); err != nil {
			return err
		}
	}
	err = t.exec(`INSERT INTO arrival VALUES (?, ?, ?) ON CONFLICT (hour) DO UPDATE SET low = min(low, excluded.low), high = max(high, excluded.high)`,
		e.first/hour, e.number, e.number)
	if err != nil || !e.bodies {
		return err
	}
	s := e.summary
	err = t.exec(`INSERT INTO summary VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, e.number, e.revision, s.Source, s.Brand, s.Platform,
		s.Outcome, s.ExternalID, s.Visitor, s.Email, s.Domain, s.Rating, s.Messages, s.Opening, deliveries == 0)
	if err != nil {
		return err
	}
	return t.exec(`INSERT INTO search (rowid, words) VALUES (?, ?)`, e.number, e.words)
}

// unindex takes a conversation out of the index, but for what outlives its bodies.
func (t *tx) unindex(number int64) error {
	for _, statement := range []string{
		`DELETE FROM outdated WHERE number = ?`,
		`DELETE FROM search WHERE rowid = (SELECT number FROM summary WHERE number = ?)`,
		`DELETE FROM summary WHERE number = ?`,
	} {
		if err := t.exec(statement, number); err != nil {
			return err
		}
	}
	return nil
}

// indexRoutes notes the routes of the deliveries of a conversation, and tells how many there are.
func (t *tx) indexRoutes(number int64) (deliveries int, err error) {
	all := map[string]bool{}
	err = t.rows(`SELECT routes FROM delivery WHERE conversation = ?`, []any{number}, func(rows *sql.Rows) error {
		var routes string
		err := rows.Scan(&routes)
		deliveries++
		all[routes] = true
		return err
	})
	if err != nil {
		return 0, err
	}
	for packed := range all {
		routes, err := row.UnpackRoutes(packed)
		if err != nil {
			return 0, err
		}
		for _, route := range routes {
			if err := t.exec(`INSERT OR IGNORE INTO routed VALUES (?, ?)`, route, number); err != nil {
				return 0, err
			}
		}
	}
	return deliveries, nil
}
