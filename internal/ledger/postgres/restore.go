// This file is about databases that were restored from a copy. A ledger knows where its tables are: restored from a dump
// they are others, in this server or in another one, so the first start there puts in doubt what may have been sent since
// the dump. A copy of the server's files is not told from them; of that somebody has to say so.

package postgres

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/afterchat/afterchat/internal/ledger/row"
)

// home is the name among the totals of what tells where the tables of the ledger are.
const home = "home"

// whereabouts returns a number that is another one for the same ledger restored from a dump. It is made of the numbers
// that server, database and table were given when they were made; that of the server only if this user may ask for it.
func whereabouts(ctx context.Context, from rower) (int64, error) {
	var database, table, server int64
	var mayAsk bool
	err := from.QueryRow(ctx, `SELECT (SELECT oid::bigint FROM pg_database WHERE datname = current_database()), 'conversation'::regclass::oid::bigint,
		has_function_privilege('pg_control_system()', 'EXECUTE')`).Scan(&database, &table, &mayAsk)
	if err == nil && mayAsk {
		err = from.QueryRow(ctx, `SELECT system_identifier FROM pg_control_system()`).Scan(&server)
	}
	h := fnv.New64a()
	_, _ = fmt.Fprintln(h, server, database, table)
	return int64(h.Sum64()>>1) | 1, err // neither negative nor 0
}

// history is what a ledger says of where it has been.
type history struct {
	home     int64 // where it was written; 0: by a program that did not note it
	backup   int64 // when the backup was made that it was copied from; 0: it was not
	restored int64 // when it was restored; 0: never
}

func readHistory(ctx context.Context, from rower) (h history, err error) {
	err = from.QueryRow(ctx, `SELECT coalesce(max(n) FILTER (WHERE name = $1), 0), coalesce(max(n) FILTER (WHERE name = $2), 0),
		coalesce(max(n) FILTER (WHERE name = $3), 0) FROM total WHERE name IN ($1, $2, $3)`, home, row.BackedUp, row.Restored).
		Scan(&h.home, &h.backup, &h.restored)
	return h, err
}

// noticeDump puts in doubt what waits in a ledger that was restored from a dump, when it is opened for the first time, and
// finds out when it was restored, if it ever was.
func (l *Ledger) noticeDump(ctx context.Context, conn *pgx.Conn) error {
	here, err := whereabouts(ctx, conn)
	if err != nil {
		return err
	}
	h, err := readHistory(ctx, conn)
	if err == nil && (h.home != here || h.backup > 0) {
		err = pgx.BeginFunc(ctx, conn, func(t pgx.Tx) error {
			if _, err := t.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, l.key("migrate", "")); err != nil {
				return err
			}
			if h, err = readHistory(ctx, t); err != nil {
				return err
			}
			return l.settleIn(ctx, t, here, &h)
		})
	}
	l.restored.Store(h.restored)
	return err
}

// settleIn notes that the ledger is here. One that was elsewhere before was restored.
func (l *Ledger) settleIn(ctx context.Context, t pgx.Tx, here int64, h *history) error {
	why := ""
	switch {
	case h.backup > 0:
		why = "a backup of " + row.FromMicros(h.backup).UTC().Format(time.RFC3339) + " was copied to this database"
	case h.home != 0 && h.home != here:
		why = "the ledger was restored from a dump"
	}
	if why != "" {
		doubtful, at, err := restored(ctx, t, why)
		if err != nil {
			return err
		}
		h.restored = at
		l.options.Logger.Warn("the ledger was restored from a copy: what may have been sent since is in doubt, and targets are looked at before anything is created there",
			"ledger", l.place, "cause", why, "in_doubt", doubtful)
	}
	_, err := t.Exec(ctx, `INSERT INTO total (name, slot, n) VALUES ($1, 0, $2) ON CONFLICT (name, slot) DO UPDATE SET n = excluded.n`, home, here)
	return err
}

// restored puts in doubt what the ledger may send although it was sent, and notes why and when.
func restored(ctx context.Context, t pgx.Tx, why string) (doubtful, at int64, err error) {
	if _, err := t.Exec(ctx, row.PutInDoubt); err != nil {
		return 0, 0, err
	}
	if err := t.QueryRow(ctx, row.CountInDoubt).Scan(&doubtful); err != nil {
		return 0, 0, err
	}
	err = t.QueryRow(ctx, `INSERT INTO total (name, slot, n) VALUES ($1, 0, `+nowMicros+`) ON CONFLICT (name, slot) DO UPDATE SET n = excluded.n RETURNING n`, row.Restored).
		Scan(&at)
	if err != nil {
		return 0, 0, err
	}
	if _, err := t.Exec(ctx, `DELETE FROM total WHERE name = $1`, row.BackedUp); err != nil {
		return 0, 0, err
	}
	line := row.RestoredLine(why, doubtful, row.FromMicros(at))
	_, err = t.Exec(ctx, `INSERT INTO audit (at, who, address, action, object, detail) VALUES ($1, $2, $3, $4, $5, $6)`,
		at, line.Who, line.Address, line.Action, line.Object, line.Detail)
	return doubtful, at, err
}

// Restored says that the ledger at url was restored from a copy that may be older than what has been sent: what is pending
// or dead is in doubt from here on, and so is what comes again of conversations that began before. It returns how many
// deliveries are in doubt. Nobody may have the ledger open.
func Restored(ctx context.Context, url string) (doubtful int64, err error) {
	l, err := Open(ctx, url, Options{alone: true})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	err = l.once(ctx, patience, func() error {
		return pgx.BeginFunc(ctx, l.pool, func(t pgx.Tx) (err error) {
			doubtful, _, err = restored(ctx, t, "somebody said that the ledger was restored from a copy")
			return err
		})
	})
	if err != nil {
		return 0, fmt.Errorf("ledger %s: %w", l.place, err)
	}
	return doubtful, nil
}

// Remarks tells what is worth knowing of the ledger at url and no fault. It changes nothing.
func Remarks(ctx context.Context, url string) (texts []string, err error) {
	err = look(ctx, url, func(conn *pgx.Conn, _ string) error {
		h, err := readHistory(ctx, conn)
		texts = row.Remarks(0, h.backup, h.restored)
		return err
	})
	return texts, err
}
