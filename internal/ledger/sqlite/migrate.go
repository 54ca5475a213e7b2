// This file brings a database to the schema of this program: numbered SQL files, each applied once in a transaction of
// its own, the number kept in user_version.

package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"modernc.org/sqlite"

	"github.com/afterchat/afterchat/internal/ledger"
)

//go:embed schema/*.sql
var schemas embed.FS

// applicationID marks a SQLite file as a ledger ("aftc"), so that no other program's database is taken for one.
const applicationID = 0x61667463

var errForeign = errors.New("the file is a SQLite database of another program; give the ledger a path of its own")

// versions returns the SQL of all schema versions, the first one at index 0.
func versions() ([]string, error) {
	names, err := fs.Glob(schemas, "schema/*.sql") // sorted
	if err != nil {
		return nil, err
	}
	steps := make([]string, len(names))
	for i, name := range names {
		if want := fmt.Sprintf("schema/%04d.sql", i+1); name != want {
			return nil, fmt.Errorf("schema file %s is out of order, want %s", name, want)
		}
		text, err := schemas.ReadFile(name)
		if err != nil {
			return nil, err
		}
		steps[i] = string(text)
	}
	return steps, nil
}

// migrate applies the versions that db does not have. What fails leaves the version before it.
func migrate(ctx context.Context, db *sql.Conn) error {
	steps, err := versions()
	if err != nil {
		return err
	}
	var version, application, tables int
	err = db.QueryRowContext(ctx, `SELECT (SELECT user_version FROM pragma_user_version),
		(SELECT application_id FROM pragma_application_id), (SELECT count(*) FROM sqlite_schema)`).Scan(&version, &application, &tables)
	if err != nil {
		return err
	}
	if application != applicationID && (application != 0 || version != 0 || tables != 0) {
		return errForeign
	}
	if version > len(steps) {
		return fmt.Errorf("%w: its schema is version %d, this program knows %d; use the newer program, or the backup from before the upgrade",
			ledger.ErrNewer, version, len(steps))
	}
	for ; version < len(steps); version++ {
		script := fmt.Sprintf("BEGIN IMMEDIATE;\n%s\nPRAGMA application_id = %d;\nPRAGMA user_version = %d;\nCOMMIT;",
			steps[version], applicationID, version+1)
		if _, err := db.ExecContext(ctx, script); err != nil {
			_, _ = db.ExecContext(ctx, "ROLLBACK")
			return fmt.Errorf("schema version %d: %w", version+1, err)
		}
	}
	return sameSchema(ctx, db)
}

// sameSchema returns a damageError unless tables and indexes are as the schema files make them: after one wrong bit in
// their text SQLite would look for a column that nobody has, and not call it damage. The full-text index is left out, for
// it can be made anew.
func sameSchema(ctx context.Context, db *sql.Conn) error {
	want, err := freshSchema()
	if err != nil {
		return err
	}
	got, err := schemaOf(ctx, db)
	if err != nil {
		return err
	}
	if got != want {
		return &damageError{"its tables are not those that it was made with"}
	}
	return nil
}

// freshSchema is the schema of a ledger that has just been made.
var freshSchema = sync.OnceValues(func() (string, error) {
	connector, err := sqlite.NewConnector(":memory:")
	if err != nil {
		return "", err
	}
	db := sql.OpenDB(connector)
	defer func() { _ = db.Close() }()
	ctx := context.Background()
	conn, err := db.Conn(ctx)
	if err != nil {
		return "", err
	}
	steps, err := versions()
	if err != nil {
		return "", err
	}
	if _, err := conn.ExecContext(ctx, strings.Join(steps, "\n")); err != nil {
		return "", err
	}
	return schemaOf(ctx, conn)
})

func schemaOf(ctx context.Context, conn *sql.Conn) (string, error) {
	var out string
	err := conn.QueryRowContext(ctx, `SELECT group_concat(type || ' ' || name || ' ' || tbl_name || ' ' || sql, ';' ORDER BY name)
		FROM sqlite_schema WHERE name NOT LIKE 'search%' AND name NOT LIKE 'sqlite_%'`).Scan(&out)
	return out, err
}
