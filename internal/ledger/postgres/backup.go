// This file makes backups with PostgreSQL's own program, and says how to make them without it here.

package postgres

import (
	"context"
	"errors"
	"fmt"
	neturl "net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// NoProgramError means that a backup cannot be made on this machine.
type NoProgramError struct {
	Command string // that makes it on one that has pg_dump; without the password
	Err     error
}

func (e *NoProgramError) Error() string {
	return "pg_dump, which makes backups of a ledger in PostgreSQL, is not here; where it is, of the server's version or a later one, run (the password comes from PGPASSWORD or ~/.pgpass): " + e.Command
}
func (e *NoProgramError) Unwrap() error { return e.Err }

// Backup writes one moment of the ledger at at into a new file by pg_dump, in its custom format, beside running gateways
// if there are any. It audits the ledger before and reads the list of what is in the file after it. Restored by
// pg_restore, the ledger notices by itself that it was, see Restored. It returns a *NoProgramError if there is no pg_dump.
func Backup(ctx context.Context, at, to string) (err error) {
	if _, err := os.Stat(to); err == nil {
		return fmt.Errorf("backup: %s is there already", to)
	}
	config, err := parse(at, Options{})
	if err != nil {
		return err
	}
	address, err := libpq(at)
	if err != nil {
		return err
	}
	arguments := []string{"--format=custom", "--schema=" + config.ConnConfig.RuntimeParams["search_path"], "--file=" + to, "--dbname=" + address}
	program, err := exec.LookPath("pg_dump")
	if err != nil {
		return &NoProgramError{command("pg_dump", arguments), err}
	}
	findings, err := Verify(ctx, at)
	if err != nil {
		return err
	}
	if len(findings) > 0 {
		return fmt.Errorf("backup: the ledger has %d faults that a copy would have, too, the first: %s %s; run afterchat ledger verify", len(findings), findings[0].Target, findings[0].Text)
	}
	part := to + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("backup: %w", err)
	}
	// What visitors wrote is for the owner's eyes alone; pg_dump leaves the rights of a file that is there.
	file, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	defer func() {
		err = errors.Join(err, file.Close())
		if err != nil {
			_ = os.Remove(part)
		}
	}()
	arguments[2] = "--file=" + part
	if err := run(ctx, config.ConnConfig, program, arguments...); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if restorer, err := exec.LookPath("pg_restore"); err == nil {
		if err := run(ctx, config.ConnConfig, restorer, "--list", "--file="+os.DevNull, part); err != nil {
			return fmt.Errorf("backup: the file cannot be read back: %w", err)
		}
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	if err := os.Rename(part, to); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	return syncFolder(filepath.Dir(to))
}

// syncFolder makes a new name as durable as what it names.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	_ = folder.Sync() // not every system syncs folders
	return folder.Close()
}

// run runs one of PostgreSQL's programs. The password is in its environment, which others do not see.
func run(ctx context.Context, config *pgx.ConnConfig, program string, arguments ...string) error {
	c := exec.CommandContext(ctx, program, arguments...)
	c.Env = os.Environ()
	if config.Password != "" {
		c.Env = append(c.Env, "PGPASSWORD="+config.Password)
	}
	out, err := c.CombinedOutput()
	if err == nil {
		return nil
	}
	text := strings.TrimSpace(string(out))
	if config.Password != "" {
		text = strings.ReplaceAll(text, config.Password, "…")
	}
	if strings.Contains(text, "version mismatch") {
		return fmt.Errorf("%s is older than the server, install the one of the server's version: %s: %w", filepath.Base(program), text, err)
	}
	return fmt.Errorf("%s: %s: %w", filepath.Base(program), text, err)
}

// known are the parameters of a URL that libpq has, too; the others are settings of a session, which it does not take
// there, or secrets.
var known = []string{
	"host", "port", "dbname", "user", "connect_timeout", "target_session_attrs", "sslmode", "sslrootcert", "sslcert", "sslkey", "sslsni",
	"sslnegotiation", "krbsrvname", "channel_binding",
}

// libpq makes an address for PostgreSQL's programs of one for this driver, without its password.
func libpq(at string) (string, error) {
	u, err := neturl.Parse(at)
	if err != nil {
		return "", errors.New("the URL of the ledger cannot be read") // the parser quotes it
	}
	if u.User != nil {
		u.User = neturl.User(u.User.Username())
	}
	query := u.Query()
	for name := range query {
		if !slices.Contains(known, name) {
			query.Del(name)
		}
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// command writes a command as one types it.
func command(program string, arguments []string) string {
	words := []string{program}
	for _, a := range arguments {
		if strings.ContainsAny(a, " '\"$&;?*()|<>`\\!#~[]{}") {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}
