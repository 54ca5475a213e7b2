// This file tests what looks at a ledger without opening it.

package postgres

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// TestE2EPostgresLook: an audit of the wrong address makes no ledger there, one of an earlier schema migrates nothing,
// and both say so.
func TestE2EPostgresLook(t *testing.T) {
	t.Parallel()
	at := url(t)
	look := func(want string) {
		t.Helper()
		findings, err := Verify(t.Context(), at)
		if err == nil && want != "" || err != nil && (want == "" || !strings.Contains(err.Error(), want)) {
			t.Errorf("error %v, want %q", err, want)
		}
		for _, f := range findings {
			t.Errorf("finding %+v", f)
		}
	}
	versionIs := func(want int) {
		t.Helper()
		if is, _, err := Version(t.Context(), at); is != want || err != nil {
			t.Errorf("version %d, %v; want %d", is, err, want)
		}
	}

	look("no ledger here")
	versionIs(0)
	if schemaThere(t, at) {
		t.Error("the audit made a schema")
	}

	l := open(t, at, Options{})
	steps, err := versions()
	if err != nil {
		t.Fatal(err)
	}
	look("")
	versionIs(len(steps))
	if _, err := l.Accept(t.Context(), hook("c1", "help")); err != nil {
		t.Fatal(err)
	}
	look("")
	sql(t, at, `UPDATE total SET n = n + 1 WHERE name = 'conversations'`)
	if findings, err := Verify(t.Context(), at); len(findings) != 1 || err != nil {
		t.Errorf("findings %+v, %v", findings, err)
	}

	sql(t, at, `DELETE FROM version WHERE number > 1`)
	look("its schema is version 1")
	versionIs(1)
	sql(t, at, `INSERT INTO version (number, oldest) VALUES (900, 900)`)
	look("use the newer program")
}

func schemaThere(t *testing.T, url string) (there bool) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if err := conn.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = current_setting('search_path'))`).Scan(&there); err != nil {
		t.Fatal(err)
	}
	return there
}
