// This file starts the server that the tests of this package share. They need PostgreSQL's programs; see postgrestest.

package postgres

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/ledgertest"
	"github.com/afterchat/afterchat/internal/ledger/postgrestest"
)

// shared is the server of all tests; nil without PostgreSQL's programs.
var shared *postgrestest.Cluster

func TestMain(m *testing.M) {
	if os.Getenv(ledgertest.ChildVariable) != "" {
		os.Exit(m.Run()) // its server is that of the test that kills it
	}
	var err error
	shared, err = postgrestest.Start(context.Background())
	if err != nil && !errors.Is(err, postgrestest.ErrNone) {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if shared != nil {
		shared.Remove()
	}
	os.Exit(code)
}

// url is the URL of a new ledger.
func url(t testing.TB) string {
	t.Helper()
	if shared == nil {
		t.Skip(postgrestest.ErrNone)
	}
	return shared.URL("search_path=" + schemaOf(t.TempDir()))
}

func schemaOf(name string) string { return fmt.Sprintf("s%x", sha256.Sum256([]byte(name)))[:20] }

func open(t testing.TB, url string, o Options) *Ledger {
	t.Helper()
	l, err := Open(t.Context(), url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil && !errors.Is(err, ledger.ErrClosed) {
			t.Error(err)
		}
	})
	return l
}

// sql runs statements beside the ledger.
func sql(t testing.TB, url string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(context.WithoutCancel(t.Context()), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	for _, statement := range statements {
		if _, err := conn.Exec(context.WithoutCancel(t.Context()), statement); err != nil {
			t.Fatal(err)
		}
	}
}

// The suite that every engine passes.
func TestE2EPostgresSuite(t *testing.T) {
	if shared == nil {
		t.Skip(postgrestest.ErrNone)
	}
	at := func(dir string) string { return shared.URL("search_path=" + schemaOf(dir)) }
	ledgertest.Run(t, ledgertest.Suite{
		Open: func(t testing.TB, dir string, o ledgertest.Options) ledgertest.Engine {
			return openSuite(t, at(dir), o)
		},
		Lapse:  func(t testing.TB, dir string) { t.Helper(); lapse(t, at(dir)) },
		Shared: true,
		Killed: ledgertest.Killed{
			Test:    "TestE2EPostgresKilledChild",
			Environ: func(dir string) []string { return killedAt(at(dir)) },
		},
	})
}

// urlVariable names the database of a process that is going to be killed.
const urlVariable = "AFTERCHAT_TEST_KILLED_URL"

// killedAt is the variable for a ledger. The server knows the process by the name of the schema.
func killedAt(url string) []string {
	_, schema, _ := strings.Cut(url, "search_path=")
	return []string{urlVariable + "=" + url + "&application_name=" + schema}
}

// lapse ends the time of all leases, after what a process that was killed had asked of the server has come to its end.
func lapse(t testing.TB, url string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	await(t, func() (bool, bool) {
		var there bool
		err := conn.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = current_setting('search_path'))`).Scan(&there)
		if err != nil {
			t.Fatal(err)
		}
		return true, !there
	})
	if _, err := conn.Exec(t.Context(), `UPDATE delivery SET due_at = least(due_at, `+nowMicros+`) WHERE state = 0 AND trying > 0`); err != nil {
		t.Fatal(err)
	}
}

func openSuite(t testing.TB, url string, o ledgertest.Options) ledgertest.Engine {
	t.Helper()
	l, err := Open(t.Context(), url, Options{Retention: o.Retention, Observer: o.Observer})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestE2EPostgresKilledChild is no test but the process that the suite kills.
func TestE2EPostgresKilledChild(t *testing.T) {
	ledgertest.Child(t, func(t testing.TB, _ string, o ledgertest.Options) ledgertest.Engine {
		return openSuite(t, os.Getenv(urlVariable), o)
	})
}

// hook is a hook of a conversation with one message, for targets.
func hook(id string, targets ...string) ledger.Hook {
	at := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	c := chat.Conversation{
		ID: id, Source: "shop", Platform: "smartsupp", EndedAt: at,
		Messages: []chat.Message{{At: at, Role: chat.Visitor, Text: "hello " + id}},
	}
	c.Normalize()
	p := ledger.Plan{Config: "c1"}
	for _, target := range targets {
		p.Deliveries = append(p.Deliveries, ledger.PlannedDelivery{Target: target, Routes: []string{"all"}})
	}
	return ledger.Hook{Raw: []byte("raw " + id), ContentType: "application/json", Conversation: c, Plan: func(string, int) ledger.Plan { return p }}
}

func accept(t testing.TB, l *Ledger, h ledger.Hook) ledger.Acceptance {
	t.Helper()
	a, err := l.Accept(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func claim(t testing.TB, l *Ledger, target string, length time.Duration) ledger.Claimed {
	t.Helper()
	c, err := l.Claim(t.Context(), ledger.Claim{Target: target, Limit: 1000, Lease: length})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func sound(t testing.TB, l *Ledger) {
	t.Helper()
	findings, err := l.Verify(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	if len(findings) > 0 {
		t.Fatalf("the audit found %+v", findings)
	}
}

// audited asks `afterchat ledger verify`, a process of its own, if AFTERCHAT_E2E names the binary; make e2e does that.
func audited(t testing.TB, url string) {
	t.Helper()
	path := os.Getenv("AFTERCHAT_E2E")
	if path == "" {
		return
	}
	config := filepath.Join(t.TempDir(), "afterchat.yaml")
	text := "version: 1\nledger: {url: '" + url + "'}\nsources: {shop: {type: smartsupp, path: /in/shop, secret: an-unguessable-secret}}\ntargets: {log: {type: file, path: outbox.jsonl}}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), path, "ledger", "verify", "--config", config).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "the books balance") {
		t.Errorf("the audit: %v\n%s", err, out)
	}
}
