// This file looks at a ledger without opening it: nothing is made and nothing is migrated.

package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/afterchat/afterchat/internal/ledger"
)

// Verify audits the ledger at url, beside everything else that uses it, and changes nothing. See Ledger.Verify. It fails
// where there is no ledger, and where there is one of an earlier schema.
func Verify(ctx context.Context, url string) (findings []ledger.Finding, err error) {
	err = look(ctx, url, func(conn *pgx.Conn, schema string) error {
		is, want, err := version(ctx, conn, schema)
		switch {
		case err != nil:
			return err
		case is == 0:
			return fmt.Errorf("no ledger here, in the schema %q; is the address right?", schema)
		case is < want:
			return fmt.Errorf("its schema is version %d, this program's is %d: audit it with the program that wrote it, or run afterchat ledger migrate before", is, want)
		}
		if err := checkCopied(ctx, conn); err != nil {
			return err
		}
		findings, err = audit(ctx, conn)
		return err
	})
	return findings, err
}

// Version returns the version of the schema of the ledger at url, 0 if there is none, and the one of this program.
func Version(ctx context.Context, url string) (is, want int, err error) {
	err = look(ctx, url, func(conn *pgx.Conn, schema string) error {
		is, want, err = version(ctx, conn, schema)
		return err
	})
	return is, want, err
}

// look calls do with a connection of its own.
func look(ctx context.Context, url string, do func(conn *pgx.Conn, schema string) error) error {
	config, err := parse(url, Options{})
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err == nil {
		if err = check(ctx, conn); err == nil {
			err = do(conn, config.ConnConfig.RuntimeParams["search_path"])
		}
		err = errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
	}
	if err != nil {
		return fmt.Errorf("ledger %s: %w", place(config), explain(err))
	}
	return nil
}

// version is Version over a connection. It refuses a ledger that only a newer program can work with.
func version(ctx context.Context, conn *pgx.Conn, schema string) (is, want int, err error) {
	steps, err := versions()
	if err != nil {
		return 0, 0, err
	}
	there, err := hasVersion(ctx, conn, schema)
	if err != nil || !there {
		return 0, len(steps), err
	}
	if _, err := migrated(ctx, conn, schema, len(steps)); err != nil {
		return 0, 0, err
	}
	is, _, err = readVersion(ctx, conn)
	return is, len(steps), err
}
