// This file tests the move from SQLite to PostgreSQL: every case of the suite with the ledger moved in its middle, and a
// ledger filled at random, copied by runs that are cut, compared row by row.

package postgres

import (
	"context"
	databasesql "database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/ledgertest"
	"github.com/afterchat/afterchat/internal/ledger/postgrestest"
	"github.com/afterchat/afterchat/internal/ledger/row"
	"github.com/afterchat/afterchat/internal/ledger/sqlite"
)

func silent(string, int, int) {}

// move copies the SQLite ledger in file to url.
func move(t testing.TB, file, url string) ledger.Copied {
	t.Helper()
	from, err := sqlite.Leave(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	done, err := Copy(t.Context(), url, Options{}, from, silent)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// The suite, on a ledger that begins in SQLite and is moved when it is opened for the second time. What a worker has
// leased of it can even be settled after the move.
func TestE2EPostgresSuiteMoved(t *testing.T) {
	if shared == nil {
		t.Skip(postgrestest.ErrNone)
	}
	at := func(dir string) string { return shared.URL("search_path=" + schemaOf(dir)) }
	file := func(dir string) string { return filepath.Join(dir, "ledger.db") }
	var mu sync.Mutex
	opened := map[string]int{}
	times := func(dir string, add int) int {
		mu.Lock()
		defer mu.Unlock()
		opened[dir] += add
		return opened[dir]
	}
	ledgertest.Run(t, ledgertest.Suite{
		Open: func(t testing.TB, dir string, o ledgertest.Options) ledgertest.Engine {
			t.Helper()
			n := times(dir, 1)
			if n == 1 {
				return openFile(t, dir, o)
			}
			if n == 2 {
				move(t, file(dir), at(dir))
			}
			return openSuite(t, at(dir), o)
		},
		Lapse: func(t testing.TB, dir string) {
			t.Helper()
			if times(dir, 0) > 1 {
				lapse(t, at(dir))
			}
		},
		Killed: ledgertest.Killed{
			Test: "TestE2EPostgresKilledChildMoved",
			Environ: func(dir string) []string {
				if times(dir, 0) <= 1 {
					return nil // the file is still in use
				}
				return killedAt(at(dir))
			},
		},
	})
}

// openFile opens the ledger before it is moved.
func openFile(t testing.TB, dir string, o ledgertest.Options) ledgertest.Engine {
	t.Helper()
	l, err := sqlite.Open(t.Context(), filepath.Join(dir, "ledger.db"), sqlite.Options{Retention: o.Retention, Observer: o.Observer})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestE2EPostgresKilledChildMoved is no test but the process that the suite kills.
func TestE2EPostgresKilledChildMoved(t *testing.T) {
	ledgertest.Child(t, func(t testing.TB, dir string, o ledgertest.Options) ledgertest.Engine {
		if url := os.Getenv(urlVariable); url != "" {
			return openSuite(t, url, o)
		}
		return openFile(t, dir, o)
	})
}

// fill makes a ledger with something of everything.
func fill(t *testing.T, file string, random *rand.Rand, n int) {
	t.Helper()
	l, err := sqlite.Open(t.Context(), file, sqlite.Options{Retention: ledger.Retention{Delivered: 24 * time.Hour, Dead: 48 * time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	targets := []string{"help", "crm", "log"}
	for _, hash := range []string{"c1", "c2"} {
		must(l.SaveConfig(t.Context(), hash, []byte(`{"hash":"`+hash+`"}`)))
	}
	must(l.SaveTargetState(t.Context(), "crm", ledger.TargetState{
		Account: "f00", Paused: time.Minute, Pause: ledger.Pause{Since: time.Now(), Until: time.Now().Add(time.Hour), Reason: "401 \x00", ByOperator: true, Probes: 2},
	}))
	now := time.Now().UTC().Truncate(time.Microsecond)
	add := func(i int) {
		h := hook(fmt.Sprint("c", i), slices.DeleteFunc(slices.Clone(targets), func(string) bool { return random.IntN(3) == 0 })...)
		h.Conversation.ReceivedAt = now.Add(-time.Duration(random.IntN(20*24)) * time.Hour)
		h.Conversation.Question = fmt.Sprint(random.Uint64())
		h.Raw = []byte(strings.Repeat(fmt.Sprint(random.Uint64()), random.IntN(300)))
		if random.IntN(4) == 0 {
			h.Session, h.SessionWindow = fmt.Sprint("s", i), time.Hour
		}
		_, err := l.Accept(t.Context(), h)
		must(err)
	}
	work := func() {
		got, err := l.Claim(t.Context(), ledger.Claim{Target: targets[random.IntN(3)], Limit: random.IntN(20), Lease: time.Duration(random.IntN(2)) * time.Hour, Config: "c2"})
		must(err)
		for _, d := range got.Deliveries {
			s := ledger.Settlement{
				ID: d.ID, Target: d.Target, Revision: d.Revision, Fence: d.Fence, Tried: random.IntN(9) > 0, FirstAt: now,
				State: []ledger.State{ledger.Pending, ledger.Delivered, ledger.Delivered, ledger.Dead}[random.IntN(4)],
				DueAt: now.Add(time.Duration(random.IntN(3600)) * time.Second), Uncertain: random.IntN(5) == 0,
				Attempt: &ledger.Attempt{At: now, Number: d.Attempt, Kind: "ok", Duration: 1234567 * time.Nanosecond, Status: 200, Reason: "said \x00 ok"},
			}
			if random.IntN(2) == 0 {
				s.Receipt = connectors.Receipt{ID: "t" + d.ID, URL: "https://desk.example/" + d.ID, Parts: map[string]string{"person": "p\x00"}}
			}
			if random.IntN(3) == 0 {
				continue // leased for good
			}
			if _, err := l.Settle(t.Context(), s); err != nil && !errors.Is(err, ledger.ErrFenced) {
				t.Fatal(err)
			}
			if s.State == ledger.Dead && random.IntN(3) == 0 {
				if err := l.Replay(t.Context(), d.ID, d.Target); err != nil && !errors.Is(err, ledger.ErrNotFound) {
					t.Fatal(err)
				}
			}
		}
	}
	for i := range n {
		add(i)
		if random.IntN(3) == 0 {
			add(random.IntN(i + 1)) // a revision, or the same again
		}
		if random.IntN(10) == 0 {
			work()
		}
		if random.IntN(20) == 0 {
			_, err := l.Quarantine(t.Context(), ledger.Unreadable{Source: "shop", Raw: []byte(fmt.Sprint("?", i)), ReceivedAt: now, Reason: "no JSON \x00"})
			must(err)
		}
		if i == n/2 {
			must(l.Retain(t.Context(), time.Now().Add(36*time.Hour))) // bodies go, what recognizes conversations stays
		}
	}
	must(l.Close())
}

// cells makes the values of all rows comparable between engines.
func cells(columns []string, values [][]any) (rows []string) {
	for _, row := range values {
		var cells []string
		for i, v := range row {
			switch columns[i] {
			case "day", "slot":
				continue
			case "lapsed", "planned", "ignore", "bodies", "by_operator", "pinned", "imported":
				if _, text := v.(string); !text {
					v = v == true || v == int64(1)
				}
			default:
				if s, ok := v.(string); ok {
					v = strings.ReplaceAll(s, "\x00", "")
				}
			}
			cells = append(cells, fmt.Sprintf("%s=%v", columns[i], v))
		}
		slices.Sort(cells)
		rows = append(rows, strings.Join(cells, " "))
	}
	slices.Sort(rows)
	return rows
}

func dumpSQLite(t *testing.T, file, query string) []string {
	t.Helper()
	db, err := databasesql.Open("sqlite", "file:"+file+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var all [][]any
	for rows.Next() {
		values, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		all = append(all, values)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return cells(columns, all)
}

// columnsOf lists the columns that SQLite has of a table and does not have for itself.
func columnsOf(t *testing.T, file, table string) string {
	t.Helper()
	var names []string
	for _, line := range dumpSQLite(t, file, `SELECT name FROM pragma_table_info('`+table+`')`) {
		if name := strings.TrimPrefix(line, "name="); table != "replay_job" || name != "number" {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// operate leaves traces of operators.
func operate(t *testing.T, file string) {
	t.Helper()
	db, err := databasesql.Open("sqlite", "file:"+file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, statement := range []string{
		`INSERT INTO replay_job VALUES (7, 'r1', 'ada', 1, '{}', 1, 2.5, 'running', 9, 3, 1, 5, 'help', 2, 0)`,
		`INSERT INTO audit VALUES (41, 1, 'ada', '127.0.0.1', 'replay', 'c1', ''), (42, 2, 'ada', '127.0.0.1', 'pause', 'crm', 'for a while')`,
		`WITH RECURSIVE v (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM v WHERE n < 2000)
			INSERT INTO series SELECT 'test', 60000000 * (n / 7), 'shop', 'kind ' || (n % 7), n FROM v`,
	} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

func dumpPostgres(t *testing.T, url, query string) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	rows, err := conn.Query(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	var columns []string
	for _, f := range rows.FieldDescriptions() {
		columns = append(columns, f.Name)
	}
	all, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) ([]any, error) { return r.Values() })
	if err != nil {
		t.Fatal(err)
	}
	return cells(columns, all)
}

// cut is an origin whose pages end, as a process that is killed does.
type cut struct {
	Origin
	pages int
}

var errCut = errors.New("killed")

func (c *cut) Page(ctx context.Context, t row.Table, after any) (row.Page, error) {
	if c.pages--; c.pages < 0 {
		return row.Page{}, errCut
	}
	return c.Origin.Page(ctx, t, after)
}

// A copy that is cut again and again, with the ledger changed in between once, is at last the same as the ledger.
func TestE2EPostgresCopy(t *testing.T) {
	t.Parallel()
	to := url(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	file := filepath.Join(t.TempDir(), "ledger.db")
	fill(t, file, random, 1000)
	for pages := 1; ; pages += 1 + random.IntN(6) {
		from, err := sqlite.Leave(t.Context(), file)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Copy(t.Context(), to, Options{}, &cut{from, pages}, silent)
		from.Close()
		if err == nil {
			t.Fatal("the whole copy was made of too few pages")
		}
		if !errors.Is(err, errCut) {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), to, Options{}); !errors.Is(err, errUnfinished) {
			t.Fatalf("open in the middle of a copy: %v, want %v", err, errUnfinished)
		}
		if pages > 12 {
			break
		}
	}
	changeBetween(t, file)
	before := map[string][]string{}
	tables := []string{"conversation", "body", "attempt", "target", "config", "quarantine", "counter", "source", "replay_job", "audit", "series"}
	operate(t, file)
	for _, table := range tables {
		before[table] = dumpSQLite(t, file, `SELECT `+columnsOf(t, file, table)+` FROM `+table)
		if len(before[table]) == 0 {
			t.Errorf("there is nothing in %s to copy", table)
		}
	}
	const deliveries = `SELECT conversation, target, state, want, have, trying, doubt, lapsed, pending_since, settled_at, fence, claims, tries, first_at,
		planned, ignore, routes, config, tried, receipt, CASE WHEN trying > 0 THEN 0 ELSE due_at END due FROM delivery`
	before["delivery"] = dumpSQLite(t, file, deliveries)
	known := map[string]bool{}
	for _, table := range row.Derived() {
		known[table] = true
	}
	for _, table := range row.Tables() {
		known[table.Name] = true
		for _, child := range table.Children {
			known[child] = true
		}
	}
	for _, table := range dumpSQLite(t, file, `SELECT name FROM sqlite_schema WHERE type = 'table'`) {
		if name := strings.TrimPrefix(table, "name="); !known[name] && !strings.HasPrefix(name, "search_") {
			t.Errorf("table %s is not copied: add it to row.Tables", name)
		}
	}
	done := move(t, file, to)
	for _, table := range tables {
		if diff := cmp.Diff(before[table], dumpPostgres(t, to, `SELECT `+columnsOf(t, file, table)+` FROM `+table)); diff != "" {
			t.Errorf("%s (-SQLite +PostgreSQL):\n%.2000s", table, diff)
		}
	}
	if diff := cmp.Diff(before["delivery"], dumpPostgres(t, to, deliveries)); diff != "" {
		t.Errorf("delivery (-SQLite +PostgreSQL):\n%.2000s", diff)
	}
	if done.Conversations != len(before["conversation"]) || done.Bodies != len(before["body"]) || done.Deliveries != len(before["delivery"]) ||
		done.Attempts != len(before["attempt"]) || done.Quarantined != len(before["quarantine"]) || done.Pending == 0 || done.Doubtful == 0 || done.Dead == 0 {
		t.Errorf("told %+v", done)
	}
	t.Logf("%+v", done)
	l := open(t, to, Options{})
	sound(t, l)
	if due := dumpPostgres(t, to, `SELECT * FROM delivery WHERE state = 0 AND trying > 0 AND due_at > `+nowMicros); len(due) > 0 {
		t.Errorf("%d leases of workers that are gone are in force", len(due))
	}
	if a := accept(t, l, hook("after the move", "help")); a.Result != ledger.Accepted {
		t.Errorf("%+v", a)
	}
	if a := accept(t, l, hook("c1")); a.Result == ledger.Accepted {
		t.Errorf("a conversation of before the move is taken for a new one: %+v", a)
	}
	sound(t, l)
}

// changeBetween is a gateway that ran on the old ledger after a copy of it had been cut.
func changeBetween(t *testing.T, file string) {
	t.Helper()
	l, err := sqlite.Open(t.Context(), file, sqlite.Options{Retention: ledger.Retention{Delivered: time.Hour, Dead: time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Accept(t.Context(), hook("between", "help")); err != nil {
		t.Fatal(err)
	}
	h := hook("c999", "help")
	h.Conversation.Question, h.Raw = "and another one", []byte("another one")
	h.Conversation.Messages = append(h.Conversation.Messages, h.Conversation.Messages[0])
	if _, err := l.Accept(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	if err := l.Retain(t.Context(), time.Now().Add(367*24*time.Hour)); err != nil { // many conversations are forgotten
		t.Fatal(err)
	}
	for _, id := range []string{"kept1", "kept2"} {
		if _, err := l.Accept(t.Context(), hook(id, "help")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Quarantine(t.Context(), ledger.Unreadable{Source: "shop", Raw: []byte("late"), Reason: "no JSON"}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// A copy refuses what would lose something or send it twice, and so does whoever comes after it.
func TestE2EPostgresCopyRefuses(t *testing.T) {
	t.Parallel()
	to, other := url(t), ""
	file := filepath.Join(t.TempDir(), "ledger.db")
	fill(t, file, rand.New(rand.NewPCG(1, 1)), 20)
	copying := func(url string) (ledger.Copied, error) {
		from, err := sqlite.Leave(t.Context(), file)
		if err != nil {
			t.Fatal(err)
		}
		defer from.Close()
		return Copy(t.Context(), url, Options{}, from, silent)
	}
	used := open(t, to, Options{})
	if _, err := copying(to); !errors.Is(err, errUsed) {
		t.Errorf("with a gateway on the database: %v", err)
	}
	accept(t, used, hook("theirs", "help"))
	if err := used.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := copying(to); !errors.Is(err, errNotEmpty) {
		t.Errorf("with a ledger in the database: %v", err)
	}
	t.Run("empty", func(t *testing.T) { other = url(t) })
	running, err := sqlite.Open(t.Context(), file, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Leave(t.Context(), file); !errors.Is(err, ledger.ErrLocked) {
		t.Errorf("with a gateway on the file: %v", err)
	}
	if err := running.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := copying(other); err != nil {
		t.Fatal(err)
	}
	if done, err := copying(other); err != nil || !done.Before {
		t.Errorf("again: %+v, %v", done, err)
	}
	if _, err := sqlite.Open(t.Context(), file, sqlite.Options{}); !errors.Is(err, ledger.ErrMoved) {
		t.Errorf("the file after it: %v", err)
	}
	t.Run("another", func(t *testing.T) {
		if _, err := copying(url(t)); !errors.Is(err, errMovedAway) {
			t.Errorf("to another database after it: %v", err)
		}
	})
	back, err := sqlite.Return(t.Context(), file)
	if err != nil || !back {
		t.Fatal(back, err)
	}
	l, err := sqlite.Open(t.Context(), file, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"help", "crm", "log"} {
		got, err := l.Claim(t.Context(), ledger.Claim{Target: target, Limit: 100, Lease: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range got.Deliveries {
			if !d.Uncertain && d.Held == 0 {
				t.Errorf("%s for %s is not in doubt after the copy was given up", d.ID, target)
			}
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := copying(other); !errors.Is(err, errNotEmpty) {
		t.Errorf("to the same database, after the copy was given up: %v", err)
	}
}
