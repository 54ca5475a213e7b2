// This file brings a database to the schema of this program: numbered SQL files, each applied once in a transaction of
// its own, by one replica at a time.
//
// Replicas of two neighboring versions run side by side while they are replaced, so a version adds and never takes away
// what the one before it uses: what becomes superfluous goes one version later. A file whose schema an earlier program
// can work with no longer says so in its first line: "-- oldest N" is the earliest version of the schema that a program
// may have been written for; without it, that is the version before.

package postgres

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/afterchat/afterchat/internal/ledger"
)

//go:embed schema/*.sql
var schemas embed.FS

// step is one version of the schema.
type step struct {
	sql    string
	oldest int // version of the earliest program that can work with it
}

var oldestLine = regexp.MustCompile(`(?m)^-- oldest (\d+)$`)

// versions returns all schema versions, the first one at index 0.
func versions() ([]step, error) {
	names, err := fs.Glob(schemas, "schema/*.sql") // sorted
	if err != nil {
		return nil, err
	}
	steps := make([]step, len(names))
	for i, name := range names {
		if want := fmt.Sprintf("schema/%04d.sql", i+1); name != want {
			return nil, fmt.Errorf("schema file %s is out of order, want %s", name, want)
		}
		text, err := schemas.ReadFile(name)
		if err != nil {
			return nil, err
		}
		steps[i] = step{sql: string(text), oldest: max(i, 1)}
		if found := oldestLine.FindSubmatch(text); found != nil {
			if steps[i].oldest, err = strconv.Atoi(string(found[1])); err != nil {
				return nil, err
			}
		}
	}
	return steps, nil
}

// migrate applies the versions that the database does not have. What fails leaves the version before it.
func migrate(ctx context.Context, conn *pgx.Conn, schema string) error {
	steps, err := versions()
	if err != nil {
		return err
	}
	if done, err := migrated(ctx, conn, schema, len(steps)); done || err != nil {
		return err
	}
	for more := true; more; {
		err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
			var err error
			more, err = migrateOnce(ctx, tx, schema, steps)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// migrated tells whether there is nothing to do, without a lock: the usual start.
func migrated(ctx context.Context, conn *pgx.Conn, schema string, version int) (bool, error) {
	if there, err := hasVersion(ctx, conn, schema); err != nil || !there {
		return false, err
	}
	have, oldest, err := readVersion(ctx, conn)
	if err != nil {
		return false, err
	}
	if have > version && oldest > version {
		return false, fmt.Errorf("%w: its schema is version %d, for programs from version %d on, this program knows %d; use the newer program",
			ledger.ErrNewer, have, oldest, version)
	}
	return have >= version, nil
}

// hasVersion tells whether a schema has a ledger.
func hasVersion(ctx context.Context, from rower, schema string) (there bool, err error) {
	err = from.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, pgx.Identifier{schema, "version"}.Sanitize()).Scan(&there)
	return there, err
}

// rower is a connection or a transaction.
type rower interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

func readVersion(ctx context.Context, from rower) (have, oldest int, err error) {
	err = from.QueryRow(ctx, `SELECT coalesce(max(number), 0), coalesce(max(oldest), 0) FROM version`).Scan(&have, &oldest)
	return have, oldest, err
}

// migrateOnce applies the next version and tells whether there are more.
func migrateOnce(ctx context.Context, tx pgx.Tx, schema string, steps []step) (more bool, err error) {
	name := pgx.Identifier{schema}.Sanitize()
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, lockKey(schema, "migrate", "")); err != nil {
		return false, err
	}
	var there bool
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)`, schema).Scan(&there); err != nil {
		return false, err
	}
	if !there {
		if _, err := tx.Exec(ctx, `CREATE SCHEMA `+name); err != nil {
			return false, err
		}
	}
	_, err = tx.Exec(ctx, `CREATE TABLE IF NOT EXISTS version (number integer PRIMARY KEY, oldest integer NOT NULL, at timestamptz NOT NULL DEFAULT now())`)
	if err != nil {
		return false, err
	}
	have, _, err := readVersion(ctx, tx)
	if err != nil || have >= len(steps) {
		return false, err
	}
	if _, err := tx.Exec(ctx, steps[have].sql); err != nil {
		return false, fmt.Errorf("schema version %d: %w", have+1, err)
	}
	_, err = tx.Exec(ctx, `INSERT INTO version (number, oldest) VALUES ($1, $2)`, have+1, steps[have].oldest)
	return have+1 < len(steps), err
}
