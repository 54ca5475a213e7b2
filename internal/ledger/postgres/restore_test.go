// This file tests backups by pg_dump, and what becomes of a ledger that was restored from one.

package postgres

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/postgrestest"
	"github.com/afterchat/afterchat/internal/ledger/sqlite"
)

// end settles a lease.
func end(t testing.TB, l *Ledger, d ledger.Delivery, state ledger.State) {
	t.Helper()
	_, err := l.Settle(t.Context(), ledger.Settlement{ID: d.ID, Target: d.Target, Revision: d.Revision, Fence: d.Fence, State: state, Tried: true, DueAt: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
}

// doubts settles all that is due at help as delivered, and compares which of it was in doubt.
func doubts(t testing.TB, what string, l *Ledger, want map[string]bool) {
	t.Helper()
	got := map[string]bool{}
	for _, d := range claim(t, l, "help", time.Hour).Deliveries {
		got[d.ID] = d.Uncertain
		end(t, l, d, ledger.Delivered)
	}
	for id, doubt := range want {
		if is, ok := got[id]; !ok || is != doubt {
			t.Errorf("%s: %s is due: %v, in doubt: %v; want it in doubt: %v", what, id, ok, is, doubt)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// beginning makes a ledger with something delivered, dead and pending.
func beginning(t testing.TB, at string) {
	t.Helper()
	l := open(t, at, Options{})
	accept(t, l, hook("delivered", "help"))
	end(t, l, claim(t, l, "help", time.Hour).Deliveries[0], ledger.Delivered)
	accept(t, l, hook("dead", "help"))
	end(t, l, claim(t, l, "help", time.Hour).Deliveries[0], ledger.Dead)
	accept(t, l, hook("pending", "help"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// recent is a hook of a conversation that begins now.
func recent(id string, targets ...string) ledger.Hook {
	h := hook(id, targets...)
	now := time.Now().Add(time.Minute)
	h.Conversation.StartedAt, h.Conversation.EndedAt, h.Conversation.Messages[0].At = now, now, now
	return h
}

// A ledger that was restored from a dump, in whatever database, begins in doubt by itself, once.
func TestE2EPostgresBackup(t *testing.T) {
	at := url(t)
	schema := at[strings.Index(at, "search_path=")+len("search_path="):]
	programs := os.Getenv(postgrestest.Variable)
	t.Setenv("PATH", programs+string(os.PathListSeparator)+os.Getenv("PATH"))
	beginning(t, at)
	dump := filepath.Join(t.TempDir(), "ledger.dump")
	if err := Backup(t.Context(), at, dump); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dump); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v; want a file for its owner alone", info, err)
	}
	if err := Backup(t.Context(), at, dump); err == nil {
		t.Error("a backup was written over another one")
	}
	l := open(t, at, Options{})
	accept(t, l, hook("after", "help"))
	doubts(t, "the ledger itself", l, map[string]bool{"pending": false, "after": false})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}

	bare, _, _ := strings.Cut(at, "?")
	restore := func(database string) string {
		t.Helper()
		to := strings.Replace(bare, "/postgres", "/"+database, 1)
		out, err := exec.CommandContext(t.Context(), filepath.Join(programs, "pg_restore"), "--exit-on-error", "--no-owner", "--dbname="+to+"?sslmode=disable", dump).CombinedOutput()
		if err != nil {
			t.Fatalf("pg_restore: %v\n%s", err, out)
		}
		return to + "?sslmode=disable&search_path=" + schema
	}
	database := "restored_" + schema
	sql(t, at, `DROP SCHEMA `+schema+` CASCADE`, `CREATE DATABASE `+database)
	for what, place := range map[string]string{"in its own database": "postgres", "in another database": database} {
		restored := restore(place)
		l := open(t, restored, Options{})
		if err := l.Replay(t.Context(), "dead", "help"); err != nil {
			t.Fatal(err)
		}
		accept(t, l, hook("after", "help")) // its hook comes once more: the target has it
		accept(t, l, recent("later", "help"))
		doubts(t, what, l, map[string]bool{"pending": true, "dead": true, "after": true, "later": false})
		log, err := l.AuditLog(t.Context(), ledger.Page{})
		if err != nil || len(log.Items) != 1 || log.Items[0].Action != "restored" || !strings.Contains(log.Items[0].Detail, "2 pending and dead") {
			t.Errorf("%s: the audit log has %+v (%v)", what, log.Items, err)
		}
		again := open(t, restored, Options{})
		accept(t, again, hook("earlier", "help"))
		accept(t, again, recent("now", "help"))
		doubts(t, what+", opened again", again, map[string]bool{"earlier": true, "now": false})
		sound(t, again)
	}
}

// Without pg_dump, and with one that cannot connect, it is said what to do, without the password.
func TestE2EPostgresBackupRefuses(t *testing.T) {
	at := strings.Replace(url(t), "afterchat@", "afterchat:canary@", 1)
	to := filepath.Join(t.TempDir(), "it's.dump")
	t.Setenv("PATH", t.TempDir())
	err := Backup(t.Context(), at, to)
	missing, ok := errors.AsType[*NoProgramError](err)
	if !ok || strings.Contains(err.Error(), "canary") || strings.Contains(missing.Command, "search_path") ||
		!strings.Contains(missing.Command, "pg_dump --format=custom --schema=s") || !strings.Contains(missing.Command, `it'\''s.dump`) {
		t.Errorf("without pg_dump: %v", err)
	}
	t.Setenv("PATH", os.Getenv(postgrestest.Variable))
	if err := Backup(t.Context(), at, filepath.Join(t.TempDir(), "none", "file")); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("no folder, and no ledger: %v", err)
	}
}

// Of a copy that nothing tells, somebody says so; nobody has it open then. A backup of a file that is copied to a database
// begins in doubt.
func TestE2EPostgresRestored(t *testing.T) {
	t.Parallel()
	at := url(t)
	beginning(t, at)
	l := open(t, at, Options{})
	if _, err := Restored(t.Context(), at); !errors.Is(err, errUsed) {
		t.Fatalf("while it is open: %v, want errUsed", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if n, err := Restored(t.Context(), at); err != nil || n != 2 {
		t.Fatalf("%d in doubt (%v), want 2", n, err)
	}
	l = open(t, at, Options{})
	accept(t, l, hook("after", "help"))
	doubts(t, "restored", l, map[string]bool{"pending": true, "after": true})
	sound(t, l)

	file := filepath.Join(t.TempDir(), "ledger.db")
	from, err := sqlite.Open(t.Context(), file, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := from.Accept(t.Context(), hook("pending", "help")); err != nil {
		t.Fatal(err)
	}
	if err := from.Close(); err != nil {
		t.Fatal(err)
	}
	if err := sqlite.Backup(t.Context(), file, file+".backup"); err != nil {
		t.Fatal(err)
	}
	to := url(t)
	move(t, file+".backup", to)
	doubts(t, "copied from a backup", open(t, to, Options{}), map[string]bool{"pending": true})
}

// A user who may not ask for the server's number is let in, and a dump is noticed all the same.
func TestE2EPostgresPlainUser(t *testing.T) {
	t.Parallel()
	at := url(t)
	schema := at[strings.Index(at, "search_path=")+len("search_path="):]
	sql(t, at, `REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC`, `CREATE ROLE plain_`+schema+` LOGIN`,
		`CREATE SCHEMA `+schema+` AUTHORIZATION plain_`+schema)
	plain := strings.Replace(at, "afterchat@", "plain_"+schema+"@", 1)
	beginning(t, plain)
	l := open(t, plain, Options{})
	first := l.restored.Load()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	sql(t, at, `UPDATE `+schema+`.total SET n = 1 WHERE name = '`+home+`'`)
	l = open(t, plain, Options{})
	if first != 0 || l.restored.Load() == 0 {
		t.Errorf("restored at %d, then at %d", first, l.restored.Load())
	}
	doubts(t, "restored", l, map[string]bool{"pending": true})
}
