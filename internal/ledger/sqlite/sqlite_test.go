// This file holds what the suite cannot ask: the file, its lock and its schema, the clock, full disks, damage.

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

func hook(id string, targets ...string) ledger.Hook {
	p := ledger.Plan{Config: "accepted-under"}
	for _, target := range targets {
		p.Deliveries = append(p.Deliveries, ledger.PlannedDelivery{Target: target, Routes: []string{"all"}})
	}
	c := chat.Conversation{ID: id, Source: "shop", Platform: "smartsupp", Messages: []chat.Message{{Role: chat.Visitor, Text: id}}}
	c.Normalize()
	return ledger.Hook{Raw: []byte("body of " + id), Conversation: c, Plan: func(string, int) ledger.Plan { return p }}
}

func open(t testing.TB, path string, o Options) *Ledger {
	t.Helper()
	if o.indexWait == 0 {
		o.indexWait = time.Minute // so many ledgers at once are slow
	}
	l, err := Open(t.Context(), path, o)
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

func accept(t testing.TB, l *Ledger, h ledger.Hook) ledger.Acceptance {
	t.Helper()
	a, err := l.Accept(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func claim(t testing.TB, l *Ledger, target string, lease time.Duration) ledger.Claimed {
	t.Helper()
	c, err := l.Claim(t.Context(), ledger.Claim{Target: target, Limit: 100, Lease: lease, Config: "today"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func sound(t testing.TB, l *Ledger) {
	t.Helper()
	findings, err := l.Verify(t.Context())
	if err != nil || len(findings) > 0 {
		t.Fatalf("the audit found %+v, %v", findings, err)
	}
}

// alter runs statements on the writing connection, as no method would.
func alter(t testing.TB, l *Ledger, statements ...string) {
	t.Helper()
	l.fresh.Forget() // what is altered shall be read
	err := l.write(t.Context(), func(tx *tx) error {
		for _, s := range statements {
			if _, err := tx.conn.ExecContext(context.Background(), s); err != nil {
				return fmt.Errorf("%s: %w", s, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The engine works under a fake clock: leases and holds end by it, and no goroutine outlives Close.
func TestFakeClock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		l, err := Open(t.Context(), path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		h := hook("c1", "help")
		p := h.Plan("", 0)
		p.Deliveries[0].Hold = 5 * time.Minute
		h.Plan = func(string, int) ledger.Plan { return p }
		accept(t, l, h)
		c := claim(t, l, "help", time.Minute)
		if len(c.Deliveries) != 0 || !c.Next.Equal(began.Add(5*time.Minute)) {
			t.Fatalf("claimed %+v, want one due in five minutes", c)
		}
		<-time.After(time.Until(c.Next))
		c = claim(t, l, "help", time.Minute)
		if len(c.Deliveries) != 1 || !c.Deliveries[0].LeaseEnd.Equal(began.Add(6*time.Minute)) {
			t.Fatalf("claimed %+v, want one for a minute", c)
		}
		<-time.After(time.Minute - time.Microsecond)
		if c = claim(t, l, "help", time.Minute); len(c.Deliveries) != 0 {
			t.Fatalf("claimed %+v before the lease ended", c)
		}
		<-time.After(time.Microsecond)
		c = claim(t, l, "help", time.Minute)
		if len(c.Deliveries) != 1 || !c.Deliveries[0].Uncertain {
			t.Fatalf("claimed %+v after the lease ended, want one in doubt", c)
		}
		// All at once, so that operations wait for each other.
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() { accept(t, l, hook(fmt.Sprint("d", i), "help")) })
		}
		all.Wait()
		if err := l.Retain(t.Context(), time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		sound(t, l)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// A claim and the gauges must not read what they do not return, however much there is.
func TestQueryPlans(t *testing.T) {
	t.Parallel()
	l := open(t, filepath.Join(t.TempDir(), "ledger.db"), Options{})
	accept(t, l, hook("c1", "help"))
	for query, want := range map[string]string{
		claimQuery: "USING INDEX due (target=? AND due_at<?)",
		nextQuery:  "USING COVERING INDEX due (target=?)",
		strings.Replace(oldestTriedQuery, "c.target", "?", 1):                                                      "INDEX waiting (target=?)",
		strings.Replace(firstDueQuery, "c.target", "?", 1):                                                         "INDEX due (target=?)",
		`SELECT ` + knownColumns + ` FROM conversation WHERE session = ? AND session <> '' ORDER BY ended_at DESC`: "INDEX session (session=?)",
	} {
		args := []any{"help", 1, 1}[:strings.Count(query, "?")]
		rows, err := l.readers.Load().QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
		if err != nil {
			t.Fatal(err)
		}
		var plan []string
		err = each(rows, func(rows *sql.Rows) error {
			var id, parent, unused int
			var detail string
			err := rows.Scan(&id, &parent, &unused, &detail)
			plan = append(plan, detail)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(plan, "\n")
		if !strings.Contains(text, want) || strings.Contains(text, "TEMP B-TREE") || strings.Contains(text, "SCAN") {
			t.Errorf("%s\nis planned as\n%s\nwant %s and nothing sorted or scanned", query, text, want)
		}
	}
}

func TestDurabilitySettings(t *testing.T) {
	t.Parallel()
	l := open(t, filepath.Join(t.TempDir(), "ledger.db"), Options{})
	err := l.write(t.Context(), func(tx *tx) error {
		for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "auto_vacuum": "2"} {
			var got string
			if err := tx.row("PRAGMA "+pragma, nil, &got); err != nil {
				return err
			}
			if got != want {
				t.Errorf("%s is %s, want %s", pragma, got, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// One bad operation in a batch refuses nobody else's, whatever it had done before it failed.
// TestOnlyTheOwnerReads: the ledger and the files beside it hold what visitors wrote.
func TestOnlyTheOwnerReads(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) < 3 {
		t.Fatalf("files %q: %v", files, err)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if rights := info.Mode().Perm(); rights&0o077 != 0 {
			t.Errorf("%s: others have rights: %s", filepath.Base(file), rights)
		}
	}
}

func TestPlanIsAskedAgainOnlyForAnotherRevision(t *testing.T) {
	t.Parallel()
	l := open(t, filepath.Join(t.TempDir(), "ledger.db"), Options{})
	packed, err := row.NewArrival(l.codec, hook("c1", "help"))
	if err != nil {
		t.Fatal(err)
	}
	a := &arrival{Arrival: packed}
	asked := 0
	plan := a.Hook.Plan
	a.Hook.Plan = func(id string, revision int) ledger.Plan { asked++; return plan(id, revision) }
	broken := errors.New("broken")
	err = l.write(t.Context(), func(tx *tx) error { return errors.Join(a.do(tx), broken) })
	if !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if err := l.write(t.Context(), a.do); err != nil || asked != 1 {
		t.Fatalf("%v, asked %d times, want once", err, asked)
	}
}

func TestFullDisk(t *testing.T) {
	t.Parallel()
	l := open(t, filepath.Join(t.TempDir(), "ledger.db"), Options{})
	accept(t, l, hook("c1", "help"))
	alter(t, l, "PRAGMA max_page_count = 60")
	var err error
	stored := 1
	for ; err == nil && stored < 1000; stored++ {
		_, err = l.Accept(t.Context(), hook(fmt.Sprint("d", stored), "help"))
	}
	if stored--; !errors.Is(err, ledger.ErrFull) {
		t.Fatalf("accept: %v, want ErrFull", err)
	}
	if _, err := l.Quarantine(t.Context(), ledger.Unreadable{Source: "shop", Raw: []byte(strings.Repeat("x", 9))}); err != nil && !errors.Is(err, ledger.ErrFull) {
		t.Fatalf("quarantine: %v, want ErrFull", err)
	}
	sound(t, l)
	alter(t, l, "PRAGMA max_page_count = 100000")
	accept(t, l, hook("last", "help"))
	s, err := l.Stats(t.Context())
	if err != nil || s.Conversations != int64(stored+1) {
		t.Fatalf("%d conversations, %v, want %d", s.Conversations, err, stored+1)
	}
	sound(t, l)
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	l := open(t, filepath.Join(t.TempDir(), "ledger.db"), Options{})
	accept(t, l, hook("c1", "help"))
	alter(t, l, "PRAGMA query_only = 1")
	_, err := l.Accept(t.Context(), hook("c2", "help"))
	if err == nil || !strings.Contains(err.Error(), "cannot be written") {
		t.Fatalf("accept: %v, want a hint", err)
	}
	if err := l.Ready(t.Context()); err == nil {
		t.Fatal("a ledger that cannot be written is ready")
	}
	if _, err := l.Conversation(t.Context(), "c1"); err != nil {
		t.Fatal(err)
	}
}

func TestLocked(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := open(t, path, Options{})
	_, err := Open(t.Context(), path, Options{})
	if !errors.Is(err, ledger.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
		t.Fatalf("%v, want ErrLocked with the process", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, path, Options{})
}

func TestRefusedFiles(t *testing.T) {
	t.Parallel()
	newer := filepath.Join(t.TempDir(), "newer.db")
	l := open(t, newer, Options{})
	alter(t, l, "PRAGMA user_version = 4711")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), newer, Options{}); !errors.Is(err, ledger.ErrNewer) || !strings.Contains(err.Error(), "4711") {
		t.Errorf("a newer ledger: %v, want ErrNewer with its version", err)
	}

	foreign := filepath.Join(t.TempDir(), "foreign.db")
	execute(t, foreign, `CREATE TABLE t (a); INSERT INTO t VALUES (1);`)
	if _, err := Open(t.Context(), foreign, Options{}); !errors.Is(err, errForeign) {
		t.Errorf("another program's database: %v, want errForeign", err)
	}

	text := filepath.Join(t.TempDir(), "text.db")
	if err := os.WriteFile(text, []byte(strings.Repeat("no database ", 400)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), text, Options{}); err == nil {
		t.Error("a text file was opened")
	}
	if _, err := Open(t.Context(), filepath.Join(text, "below"), Options{}); err == nil {
		t.Error("a path below a file was opened")
	}
}

// execute runs a script on a database that is not open as a ledger.
func execute(t testing.TB, path, script string) {
	t.Helper()
	db, err := connect(path, 1)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), script)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// A conversation that cannot be read any more is dead and seen, and stops nobody else.
func TestDamagedBody(t *testing.T) {
	t.Parallel()
	l := open(t, filepath.Join(t.TempDir(), "ledger.db"), Options{})
	for _, id := range []string{"c1", "c2", "c3", "c4"} {
		accept(t, l, hook(id, "help"))
	}
	alter(t, l, `UPDATE body SET decoded = x'00' WHERE conversation = 2`, `DELETE FROM body WHERE conversation = 3`)
	c := claim(t, l, "help", time.Hour)
	if len(c.Deliveries) != 2 || len(c.Crashed) != 2 || c.Crashed[0].ID != "c2" || c.Crashed[1].ID != "c3" {
		t.Fatalf("claimed %+v, want two of them and two crashed", c)
	}
	attempts, err := l.Attempts(t.Context(), "c2", "help")
	if err != nil || len(attempts) != 1 || attempts[0].Kind != "crash" {
		t.Fatalf("attempts %+v, %v", attempts, err)
	}
	s, err := l.Stats(t.Context())
	if err != nil || s.Targets["help"].Dead != 2 {
		t.Fatalf("%+v, %v, want two dead", s.Targets["help"], err)
	}
}

func TestVerifyFinds(t *testing.T) {
	t.Parallel()
	for damage, want := range map[string]string{
		`UPDATE counter SET pending = pending + 1, accepted = accepted + 1 WHERE target = 'help'`:    "2 pending are counted, 1 are there",
		`PRAGMA ignore_check_constraints = 1; UPDATE counter SET accepted = 9 WHERE target = 'help'`: "9 revisions were accepted, but",
		`UPDATE counter SET delivered = -1, accepted = accepted - 1 WHERE target = 'help'`:           "a counter is below 0",
		`UPDATE counter SET dead_rows = 2, dead = 2, accepted = accepted + 1 WHERE target = 'crm'`:   "2 dead deliveries are counted, 1 are there",
		`DELETE FROM counter WHERE target = 'help'`:                                                  "1 deliveries are not counted",
		`DELETE FROM conversation`:                            "a delivery has no conversation",
		`DELETE FROM body`:                                    "whose body is missing",
		`INSERT INTO body SELECT 99, 1, 0, '', '', ''`:        "belongs to nothing",
		`UPDATE total SET n = 7 WHERE name = 'conversations'`: "7 conversations are counted, 1 are there",
		`DELETE FROM quarantine`:                              "1 quarantined hooks are counted, 0 are there",
	} {
		t.Run(damage, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "ledger.db")
			l := open(t, path, Options{})
			accept(t, l, hook("c1", "help", "crm"))
			if _, err := l.Quarantine(t.Context(), ledger.Unreadable{Source: "shop", Raw: []byte("?")}); err != nil {
				t.Fatal(err)
			}
			c := claim(t, l, "crm", time.Hour).Deliveries[0]
			if _, err := l.Settle(t.Context(), ledger.Settlement{ID: c.ID, Target: c.Target, Revision: 1, Fence: c.Fence, State: ledger.Dead, Tried: true}); err != nil {
				t.Fatal(err)
			}
			sound(t, l)
			alter(t, l, strings.Split(damage, "; ")...)
			findings, err := l.Verify(t.Context())
			if got := fmt.Sprint(findings, err); !strings.Contains(got, want) {
				t.Errorf("the audit found %s, want %q", got, want)
			}
		})
	}
}
