// This file opens ledgers of every schema there has been.

package sqlite

import (
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/ledger"
)

var update = flag.Bool("update", false, "write the dump of the newest schema to testdata")

// Every earlier schema opens, with what it held.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	steps, err := versions()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		writeDump(t, filepath.Join("testdata", fmt.Sprintf("v%d.sql", len(steps))))
	}
	for version := 1; version <= len(steps); version++ {
		t.Run(fmt.Sprint("v", version), func(t *testing.T) {
			t.Parallel()
			dump, err := os.ReadFile(filepath.Join("testdata", fmt.Sprintf("v%d.sql", version)))
			if err != nil {
				t.Fatalf("%v; run this test with -update once, before the schema is released", err)
			}
			path := filepath.Join(t.TempDir(), "ledger.db")
			execute(t, path, string(dump))
			l := open(t, path, Options{})
			sound(t, l)
			fresh := open(t, filepath.Join(t.TempDir(), "fresh.db"), Options{})
			if diff := cmp.Diff(tables(t, fresh), tables(t, l)); diff != "" {
				t.Errorf("the upgraded schema is not that of a new ledger (-new +upgraded):\n%s", diff)
			}
			caughtUp(t, l)
			checkLists(t, l)
			checkSample(t, l)
		})
	}
}

// tables lists the columns of all tables and indexes.
func tables(t *testing.T, l *Ledger) (list []string) {
	t.Helper()
	rows, err := l.readers.Load().QueryContext(t.Context(), `SELECT m.name || ': ' || coalesce(
		(SELECT group_concat(name || ' ' || type || ' ' || "notnull" || ' ' || pk, ', ') FROM pragma_table_info(m.name)),
		(SELECT group_concat(name, ', ') FROM pragma_index_info(m.name)), '') FROM sqlite_schema m ORDER BY m.name`)
	if err != nil {
		t.Fatal(err)
	}
	err = each(rows, func(rows *sql.Rows) error {
		var text string
		err := rows.Scan(&text)
		list = append(list, text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// fillSample stores what checkSample looks for.
func fillSample(t testing.TB, l *Ledger) {
	t.Helper()
	settle := func(c ledger.Delivery, state ledger.State) {
		t.Helper()
		_, err := l.Settle(t.Context(), ledger.Settlement{
			ID: c.ID, Target: c.Target, Revision: c.Revision, Fence: c.Fence, State: state, Tried: true,
			Receipt: connectors.Receipt{ID: "t1", Parts: map[string]string{"note": "n1"}}, Attempt: &ledger.Attempt{At: time.Now(), Number: 1, Kind: "ok"},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	accept(t, l, hook("delivered", "help"))
	settle(claim(t, l, "help", time.Hour).Deliveries[0], ledger.Delivered)
	accept(t, l, hook("dead", "help"))
	settle(claim(t, l, "help", time.Hour).Deliveries[0], ledger.Dead)
	accept(t, l, hook("leased", "help"))
	claim(t, l, "help", time.Hour)
	accept(t, l, hook("pending", "crm"))
	if _, err := l.Quarantine(t.Context(), ledger.Unreadable{Source: "shop", Raw: []byte("?")}); err != nil {
		t.Fatal(err)
	}
	err := errors.Join(l.SaveConfig(t.Context(), "accepted-under", []byte("{}")),
		l.SaveTargetState(t.Context(), "help", ledger.TargetState{Account: "f00", Paused: time.Hour}))
	if err != nil {
		t.Fatal(err)
	}
}

// checkLists looks for the sample in lists.
func checkLists(t *testing.T, l *Ledger) {
	t.Helper()
	page, err := l.Conversations(t.Context(), ledger.Filter{}, ledger.Page{})
	if err != nil || len(page.Items) != 4 {
		t.Fatalf("%d conversations are listed, %v", len(page.Items), err)
	}
	for _, c := range page.Items {
		if c.FirstAt.IsZero() || c.Source != "shop" || c.Opening != c.ID || len(c.Deliveries) != 1 {
			t.Errorf("listed is %+v", c)
		}
		found, err := l.Conversations(t.Context(), ledger.Filter{Text: []string{c.ID}, Sources: []string{"shop"}, Since: c.FirstAt, Until: c.FirstAt.Add(time.Microsecond)}, ledger.Page{})
		if err != nil || len(found.Items) != 1 || found.Items[0].ID != c.ID {
			t.Errorf("%s is not found by what it says, but %+v, %v", c.ID, found.Items, err)
		}
	}
	failures, err := l.Failures(t.Context(), ledger.Filter{})
	if err != nil || len(failures) != 1 || failures[0].Example != "dead" || failures[0].Class == "" || failures[0].Last.IsZero() {
		t.Errorf("failures %+v, %v", failures, err)
	}
}

func checkSample(t *testing.T, l *Ledger) {
	t.Helper()
	for _, id := range []string{"delivered", "dead", "leased", "pending"} {
		if a := accept(t, l, hook(id)); a.Result != ledger.Repeated {
			t.Errorf("%s: %s, want it repeated", id, a.Result)
		}
		if body, _, err := l.Raw(t.Context(), id, 1); err != nil || string(body) != "body of "+id {
			t.Errorf("%s: body %q, %v", id, body, err)
		}
	}
	c := claim(t, l, "help", time.Hour)
	if len(c.Deliveries) != 1 || c.Deliveries[0].ID != "leased" || !c.Deliveries[0].Uncertain || c.Deliveries[0].Conversation.Messages[0].Text != "leased" {
		t.Errorf("claimed %+v, want the leased one in doubt", c)
	}
	if err := l.Replay(t.Context(), "dead", "help"); err != nil {
		t.Error(err)
	}
	h := hook("delivered", "help")
	h.Raw, h.Conversation.Question = []byte("news"), "news"
	accept(t, l, h)
	c = claim(t, l, "help", time.Hour)
	if len(c.Deliveries) != 2 || c.Deliveries[1].Held != 1 || c.Deliveries[1].Receipt.Parts["note"] != "n1" {
		t.Errorf("claimed %+v, want the replay and an update", c)
	}
	if attempts, err := l.Attempts(t.Context(), "delivered", "help"); err != nil || len(attempts) != 1 {
		t.Errorf("attempts %+v, %v", attempts, err)
	}
	if snapshot, err := l.Config(t.Context(), "accepted-under"); err != nil || string(snapshot) != "{}" {
		t.Errorf("snapshot %q, %v", snapshot, err)
	}
	if s, err := l.TargetState(t.Context(), "help"); err != nil || s.Account != "f00" || s.Paused != time.Hour {
		t.Errorf("state %+v, %v", s, err)
	}
	if s, err := l.Stats(t.Context()); err != nil || s.Quarantined != 1 || s.Conversations != 4 || s.LastHook["shop"].IsZero() {
		t.Errorf("stats %+v, %v", s, err)
	}
	sound(t, l)
}

// writeDump writes a ledger of the newest schema as the SQL that makes it.
func writeDump(t *testing.T, path string) {
	t.Helper()
	l := open(t, filepath.Join(t.TempDir(), "ledger.db"), Options{})
	fillSample(t, l)
	var out strings.Builder
	line := func(query string) {
		t.Helper()
		rows, err := l.readers.Load().QueryContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		err = each(rows, func(rows *sql.Rows) error {
			var text string
			err := rows.Scan(&text)
			out.WriteString(text + ";\n")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	out.WriteString("-- A ledger of this schema version with some rows. It stays as it is for ever; see TestUpgrade.\n")
	line(`SELECT 'PRAGMA application_id = ' || application_id FROM pragma_application_id`)
	line(`SELECT 'PRAGMA user_version = ' || user_version FROM pragma_user_version`)
	// The virtual table makes its own tables, with rows of their own.
	line(`SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'search\_%' ESCAPE '\' ORDER BY type DESC, name`)
	line(`SELECT 'DELETE FROM ' || name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'search\_%' ESCAPE '\' ORDER BY name`)
	rows, err := l.readers.Load().QueryContext(t.Context(), `SELECT name,
		(SELECT group_concat('quote("' || name || '")', ' || '', '' || ') FROM pragma_table_info(s.name)) FROM sqlite_schema s WHERE type = 'table' AND name <> 'search' ORDER BY name`)
	if err != nil {
		t.Fatal(err)
	}
	tables := map[string]string{}
	var names []string
	err = each(rows, func(rows *sql.Rows) error {
		var name, columns string
		err := rows.Scan(&name, &columns)
		names, tables[name] = append(names, name), columns
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		line(fmt.Sprintf(`SELECT 'INSERT INTO %s VALUES (' || %s || ')' FROM %s`, name, tables[name], name))
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// What keeps a ledger from being opened says what to do about it.
func TestOpenAdvises(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	if err := open(t, path, Options{}).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := connect(path, 1, "_txlock=exclusive")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), `PRAGMA journal_mode = delete; BEGIN EXCLUSIVE`); err != nil {
		t.Fatal(err)
	}
	other, err := connect(path, 1) // without the patience of Open
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	_, busy := other.ExecContext(t.Context(), `PRAGMA user_version = 2`)
	for _, want := range []struct {
		err  error
		text string
	}{
		{busy, "close that and start again"}, {syscall.ENOSPC, "make room"}, {fs.ErrPermission, "let this user write"}, {syscall.EROFS, "let this user write"},
	} {
		if got := advise(want.err); !errors.Is(got, want.err) || !strings.Contains(got.Error(), want.text) {
			t.Errorf("%v: %v", want.err, got)
		}
	}
}
