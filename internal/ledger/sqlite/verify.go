// This file audits: the file's integrity, the counters against the rows, the conservation law, and that nothing
// pending lacks what it needs.

package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
)

// audits are queries that answer with a target and what is wrong with it, and with nothing in a sound ledger.
var audits = []string{
	`SELECT target, printf('%d revisions were accepted, but %d are pending, %d delivered, %d dead, %d skipped and %d superseded',
		accepted, pending, delivered, dead, skipped, superseded)
		FROM counter WHERE accepted <> pending + delivered + dead + skipped + superseded`,
	`SELECT target, printf('a counter is below 0: %d accepted, %d pending, %d delivered, %d dead, %d skipped, %d superseded, %d dead deliveries',
		accepted, pending, delivered, dead, skipped, superseded, dead_rows)
		FROM counter WHERE min(accepted, pending, delivered, dead, skipped, superseded, dead_rows) < 0`,
	`SELECT c.target, printf('%d pending are counted, %d are there', c.pending, count(d.target))
		FROM counter c LEFT JOIN delivery d ON d.target = c.target AND d.state = 0
		GROUP BY c.target HAVING c.pending <> count(d.target)`,
	`SELECT c.target, printf('%d dead deliveries are counted, %d are there', c.dead_rows, count(n.number))
		FROM counter c LEFT JOIN delivery d ON d.target = c.target AND d.state = 2
		LEFT JOIN conversation n ON n.number = d.conversation AND n.bodies = 1
		GROUP BY c.target HAVING c.dead_rows <> count(n.number)`,
	`SELECT target, printf('%d dead are counted, %d can be replayed', dead, dead_rows) FROM counter WHERE dead < dead_rows`,
	`SELECT d.target, printf('%d deliveries are not counted', count(*)) FROM delivery d
		WHERE d.target NOT IN (SELECT target FROM counter) GROUP BY d.target`,
	`SELECT d.target, printf('a delivery has no conversation (number %d)', d.conversation) FROM delivery d
		LEFT JOIN conversation n ON n.number = d.conversation WHERE n.number IS NULL`,
	`SELECT d.target, printf('the delivery of %s waits for revision %d, whose body is missing', coalesce(n.id, d.conversation), d.want)
		FROM delivery d LEFT JOIN conversation n ON n.number = d.conversation
		LEFT JOIN body b ON b.conversation = d.conversation AND b.revision = d.want WHERE d.state = 0 AND b.revision IS NULL`,
	`SELECT '', printf('a body of conversation number %d belongs to nothing', b.conversation) FROM body b
		LEFT JOIN conversation n ON n.number = b.conversation WHERE n.number IS NULL OR n.bodies = 0`,
	`SELECT '', printf('%d conversations are counted, %d are there', t.n, (SELECT count(*) FROM conversation WHERE platform <> '` + chat.OwnPlatform + `'))
		FROM total t WHERE t.name = 'conversations' AND t.n <> (SELECT count(*) FROM conversation WHERE platform <> '` + chat.OwnPlatform + `')`,
	`SELECT '', printf('%d quarantined hooks are counted, %d are there', t.n, (SELECT count(*) FROM quarantine))
		FROM total t WHERE t.name = 'quarantined' AND t.n <> (SELECT count(*) FROM quarantine)`,
}

// Verify looks for damage and for contradictions, and returns what it finds; nothing if all is well. It sees one moment
// of the ledger and may run beside everything else. It reads the whole file.
func (l *Ledger) Verify(ctx context.Context) (findings []ledger.Finding, err error) {
	if err := l.enter(); err != nil {
		return nil, err
	}
	defer l.users.Done()
	view, err := l.readers.Load().BeginTx(ctx, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = view.Rollback() }()
	found := func(target, text string) { findings = append(findings, ledger.Finding{Target: target, Text: text}) }
	// A connection keeps what it knows of the full-text index, and looks whether that still holds when it is asked
	// something; the check alone would look for segments that have been merged since.
	_ = ask(ctx, view, `SELECT '', rowid FROM search WHERE search MATCH 'a' LIMIT 1`, func(string, string) {}) // the check tells, too
	err = ask(ctx, view, `SELECT '', integrity_check FROM pragma_integrity_check`, func(_, text string) {
		if text != "ok" {
			found("", "the file is damaged: "+text)
		}
	})
	for _, audit := range audits {
		if err == nil {
			err = ask(ctx, view, audit, found)
		}
	}
	if failure, ok := errors.AsType[*sqlite.Error](err); ok && failure.Code()&0xff == sqlite3.SQLITE_CORRUPT {
		found("", "the file is damaged so that the audit cannot go on: "+err.Error()) // a finding, no failure to look
		err = nil
	}
	return findings, err
}

// ask calls each for every row of a query that answers with a target and a text.
func ask(ctx context.Context, view *sql.Tx, query string, answer func(target, text string)) error {
	rows, err := view.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	return each(rows, func(rows *sql.Rows) error {
		var target, text string
		err := rows.Scan(&target, &text)
		if err == nil {
			answer(target, text)
		}
		return err
	})
}
