// This file tests what the suite cannot see: several replicas on one database, and the database itself.

package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/postgrestest"
)

// pair opens two replicas on a ledger of their own.
func pair(t *testing.T, second Options) (a, b *Ledger) {
	t.Helper()
	at := url(t)
	return open(t, at, Options{}), open(t, at, second)
}

// Of identical hooks at once, at two replicas, one is accepted; of different hooks of one session at once none is
// overlooked.
func TestE2EPostgresReplicasAccept(t *testing.T) {
	t.Parallel()
	a, b := pair(t, Options{})
	results := make(chan ledger.Result, 400)
	var all sync.WaitGroup
	for i := range 400 {
		all.Go(func() {
			got, err := []*Ledger{a, b}[i%2].Accept(t.Context(), hook(fmt.Sprint("c", i/4), "help", "crm"))
			if err != nil {
				t.Error(err)
			}
			results <- got.Result
		})
	}
	all.Wait()
	counts := map[ledger.Result]int{}
	for range 400 {
		counts[<-results]++
	}
	if counts[ledger.Accepted] != 100 || counts[ledger.Repeated] != 300 {
		t.Errorf("%v, want 100 accepted and 300 repeated", counts)
	}
	for i := range 40 {
		all.Go(func() {
			h := hook(fmt.Sprint("s", i), "help") // its messages are those of the others of the session
			h.Conversation.Messages = hook("session").Conversation.Messages
			h.Session, h.SessionWindow = "one", time.Hour
			if got, err := []*Ledger{a, b}[i%2].Accept(t.Context(), h); err != nil || i > 0 && got.ID == "" {
				t.Error(got, err)
			}
		})
	}
	all.Wait()
	stats, err := b.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if stats.Conversations != 101 {
		t.Errorf("%d conversations, want 101", stats.Conversations)
	}
	sound(t, a)
}

// What one replica has leased the other one does not get before the end of the lease; then the first one is fenced.
func TestE2EPostgresReplicasClaim(t *testing.T) {
	t.Parallel()
	a, b := pair(t, Options{})
	const n = 200
	for i := range n {
		accept(t, a, hook(fmt.Sprint("c", i), "help"))
	}
	var mu sync.Mutex
	seen := map[string]int{}
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			got, err := []*Ledger{a, b}[i%2].Claim(t.Context(), ledger.Claim{Target: "help", Limit: 10, Lease: time.Hour})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, d := range got.Deliveries {
				seen[d.ID]++
			}
		})
	}
	all.Wait()
	for id, times := range seen {
		if times != 1 {
			t.Errorf("%s was leased %d times", id, times)
		}
	}
	accept(t, a, hook("short", "crm"))
	first := claim(t, a, "crm", 300*time.Millisecond).Deliveries[0]
	if got := claim(t, b, "crm", time.Hour); len(got.Deliveries) != 0 || got.Next.IsZero() {
		t.Fatalf("during the lease the other one got %+v", got)
	}
	second := await(t, func() (ledger.Delivery, bool) {
		got := claim(t, b, "crm", time.Hour)
		if len(got.Deliveries) == 0 {
			return ledger.Delivery{}, false
		}
		return got.Deliveries[0], true
	})
	if !second.Lapsed || !second.Uncertain {
		t.Errorf("after the lease the other one got %+v, want it in doubt", second)
	}
	late := ledger.Settlement{ID: first.ID, Target: "crm", Revision: 1, Fence: first.Fence, State: ledger.Delivered, Tried: true}
	if _, err := a.Settle(t.Context(), late); !errors.Is(err, ledger.ErrFenced) {
		t.Errorf("late settle: %v, want ErrFenced", err)
	}
	sound(t, b)
}

// await polls for something with a deadline.
func await[T any](t testing.TB, look func() (T, bool)) T {
	t.Helper()
	deadline := time.After(time.Minute)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		if got, ok := look(); ok {
			return got
		}
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatal("it did not happen in 20 s")
		}
	}
}

// A replica hears of what another one accepts, and not of its own twice.
func TestE2EPostgresNotify(t *testing.T) {
	t.Parallel()
	heard := make(chan string, 100)
	a, b := pair(t, Options{Observer: ledger.Observer{Due: func(target string) { heard <- target }}})
	accept(t, a, hook("c1", "help"))
	select {
	case target := <-heard:
		if target != "help" {
			t.Errorf("heard of %s", target)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the other replica heard nothing")
	}
	accept(t, b, hook("c2", "crm"))
	accept(t, a, hook("c3", "log")) // behind whatever b may hear of itself
	for _, want := range []string{"crm", "log"} {
		if got := <-heard; got != want {
			t.Errorf("heard of %s, want %s", got, want)
		}
	}
}

// The rate of a target is one for all replicas.
func TestE2EPostgresTake(t *testing.T) {
	t.Parallel()
	a, b := pair(t, Options{})
	rate := ledger.Rate{PerSecond: 0.001, Burst: 10}
	granted := make(chan int, 20)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			n, _, err := []*Ledger{a, b}[i%2].Take(t.Context(), "help", rate, 1)
			if err != nil {
				t.Error(err)
			}
			granted <- n
		})
	}
	all.Wait()
	sum := 0
	for range 20 {
		sum += <-granted
	}
	if sum != 10 {
		t.Errorf("%d attempts were granted, want 10", sum)
	}
	n, wait, err := a.Take(t.Context(), "help", rate, 5)
	if err != nil || n != 0 || wait < 15*time.Minute || wait > 17*time.Minute {
		t.Errorf("granted %d, wait %s, %v; want none for 1000 s", n, wait, err)
	}
	if _, _, err := a.Take(t.Context(), "help", rate, -3); err != nil {
		t.Fatal(err)
	}
	if n, _, err := b.Take(t.Context(), "help", rate, 5); err != nil || n != 3 {
		t.Errorf("granted %d of what was given back, want 3 (%v)", n, err)
	}
}

// Texts that PostgreSQL does not take are stored without what it does not take.
func TestE2EPostgresText(t *testing.T) {
	t.Parallel()
	l := open(t, url(t), Options{})
	h := hook("c1", "he\x00lp")
	h.ContentType, h.Session, h.SessionWindow, h.Conversation.Source = "text/\x00plain\xff", "s\x001", time.Hour, "sh\x00op"
	h.Conversation.Question = "where\x00 is it?"
	h.Plan = func(string, int) ledger.Plan {
		return ledger.Plan{Deliveries: []ledger.PlannedDelivery{{Target: "help", Routes: []string{"a\x00b"}}}}
	}
	accept(t, l, h)
	d := claim(t, l, "help", time.Hour).Deliveries[0]
	_, err := l.Settle(t.Context(), ledger.Settlement{
		ID: d.ID, Target: d.Target, Revision: 1, Fence: d.Fence, State: ledger.Dead, Tried: true,
		Attempt: &ledger.Attempt{At: time.Now(), Kind: "rejected", Reason: "bad \x00 \xff byte"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Quarantine(t.Context(), ledger.Unreadable{Source: "a\x00b", Raw: []byte{0}, Reason: "\x00\xfe"}); err != nil {
		t.Fatal(err)
	}
	sound(t, l)
}

// One hook that makes its transaction fail refuses nobody else's.
func TestE2EPostgresBadHook(t *testing.T) {
	t.Parallel()
	l := open(t, url(t), Options{})
	const n = 60
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			h := hook(fmt.Sprint("c", i), "help")
			if i == 17 {
				h.Plan = func(string, int) ledger.Plan { panic("no plan") }
			}
			if i == 41 {
				// No conversation of 3 GB, but a target that no index takes: only the database knows.
				h = hook("c41", strings.Repeat("random 1 name 2 that 3 is 4 long 5 and 6 odd ", 2000))
				h.Plan = func(string, int) ledger.Plan {
					var odd strings.Builder
					for j := range 20000 {
						fmt.Fprint(&odd, j*j)
					}
					return ledger.Plan{Deliveries: []ledger.PlannedDelivery{{Target: odd.String()}}}
				}
			}
			_, err := l.Accept(t.Context(), h)
			if bad := i == 17 || i == 41; bad != (err != nil) {
				t.Errorf("hook %d: %v", i, err)
			}
		})
	}
	all.Wait()
	sound(t, l)
	if got := len(claim(t, l, "help", time.Hour).Deliveries); got != n-2 {
		t.Errorf("%d deliveries, want %d", got, n-2)
	}
}

// What retention drops is a day; what of it is still needed moves before.
func TestE2EPostgresPartitions(t *testing.T) {
	t.Parallel()
	at := url(t)
	l := open(t, at, Options{Retention: ledger.Retention{Delivered: 30 * 24 * time.Hour}})
	for i := range 300 {
		accept(t, l, hook(fmt.Sprint("done", i), "log"))
		accept(t, l, hook(fmt.Sprint("waits", i), "help"))
	}
	for _, d := range claim(t, l, "log", time.Hour).Deliveries {
		s := ledger.Settlement{ID: d.ID, Target: d.Target, Revision: 1, Fence: d.Fence, State: ledger.Delivered, Tried: true, Attempt: &ledger.Attempt{At: time.Now(), Kind: "ok"}}
		if _, err := l.Settle(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	leased := claim(t, l, "help", time.Hour).Deliveries[0]
	if err := l.Retain(t.Context(), time.Now().Add(32*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	sound(t, l)
	if _, err := l.Conversation(t.Context(), "done7"); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("what was delivered: %v, want ErrNotFound", err)
	}
	if _, err := l.Conversation(t.Context(), "waits7"); err != nil {
		t.Errorf("what waits: %v", err)
	}
	var left int
	if err := l.pool.QueryRow(t.Context(), `SELECT count(*) FROM body WHERE day = $1`, dayOf(time.Now())).Scan(&left); err != nil || left > 0 {
		t.Errorf("%d bodies are left in the partition of today (%v)", left, err)
	}
	// A lease from before the move settles, and its line in the log goes where the conversation is.
	s := ledger.Settlement{ID: leased.ID, Target: leased.Target, Revision: 1, Fence: leased.Fence, State: ledger.Delivered, Tried: true, Attempt: &ledger.Attempt{At: time.Now(), Kind: "ok"}}
	if _, err := l.Settle(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if lines, err := l.Attempts(t.Context(), leased.ID, "help"); err != nil || len(lines) != 1 {
		t.Errorf("%d lines in the log of attempts (%v), want 1", len(lines), err)
	}
	sql(t, at, `DROP TABLE `+partition("body", dayOf(time.Now()))) // as if nobody had made it in time
	accept(t, l, hook("later", "help"))
	sound(t, l)
}

// The database's planner answers the queries of every attempt from the indexes that were made for them.
func TestE2EPostgresQueryPlans(t *testing.T) {
	t.Parallel()
	at := url(t)
	l := open(t, at, Options{})
	sql(t, at, `INSERT INTO conversation (number, id, platform, session, revision, stale, ended_at, seen_at, bodies, day, fingerprints, chain)
			SELECT n, 'c' || n, 'test', '', 1, 0, 0, n, true, 0, '', '' FROM generate_series(1, 50000) n`,
		`INSERT INTO delivery SELECT n, CASE WHEN n % 10 = 0 THEN 'help' ELSE 'log' END, CASE WHEN n % 3 = 0 THEN 0 ELSE 1 END, 1, 0, 0, 0, false, n, n, 0, 0, 0, 0, 0, true, false, '[]', '', '', ''
			FROM generate_series(1, 50000) n`, `ANALYZE conversation`, `ANALYZE delivery`)
	for name, c := range map[string]struct {
		query string
		args  []any
		index string
	}{
		"claim": {claimQuery, []any{"help", 10}, "delivery_due"},
		"next":  {nextQuery, []any{"help", 2}, "delivery_due"},
		"aging": {`SELECT number FROM conversation WHERE bodies AND seen_at <= $1 AND (seen_at, number) > ($2, $3) ORDER BY seen_at, number LIMIT $4`, []any{30000, 0, 0, 50}, "conversation_aging"},
	} {
		rows, err := l.pool.Query(t.Context(), `EXPLAIN `+c.query, append([]any{pgx.QueryExecModeSimpleProtocol}, c.args...)...)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		plan := strings.Join(lines, "\n")
		if !strings.Contains(plan, c.index) || strings.Contains(plan, "Seq Scan") {
			t.Errorf("%s does not use %s:\n%s", name, c.index, plan)
		}
	}
}

// A server that may lose what it acknowledged is refused, and no error shows the password.
func TestE2EPostgresRefuses(t *testing.T) {
	t.Parallel()
	at := url(t)
	for name, c := range map[string]struct{ url, want string }{
		"synchronous_commit": {at + "&synchronous_commit=off", "synchronous_commit is off"},
		"local":              {at + "&synchronous_commit=local", "synchronous_commit is local"},
		"database":           {strings.Replace(strings.Replace(at, "/postgres?", "/none?", 1), "afterchat@", "afterchat:canary@", 1), "does not exist"},
		"two schemas":        {strings.Replace(at, "search_path=", "search_path=public,", 1), "one schema"},
		"no URL":             {"postgres://chat:canary@[::1", "cannot be read"},
		"port":               {strings.Replace(at, "afterchat@", "afterchat:canary@", 1) + "&port=1", "refused"},
	} {
		_, err := Open(t.Context(), c.url, Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v, want it to say %q and no password", name, err, c.want)
		}
	}
	remote := open(t, at+"&synchronous_commit=remote_apply", Options{})
	accept(t, remote, hook("c1", "help"))
}

// A program works with the schema of the version after its own, and refuses one that is not made for it.
func TestE2EPostgresNeighboringVersions(t *testing.T) {
	t.Parallel()
	at := url(t)
	l := open(t, at, Options{})
	accept(t, l, hook("c1", "help"))
	sql(t, at, `ALTER TABLE delivery ADD COLUMN novelty text NOT NULL DEFAULT 'x'`, `ALTER TABLE conversation ADD COLUMN novelty int`,
		`INSERT INTO version (number, oldest) VALUES (3, 2)`)
	older := open(t, at, Options{})
	accept(t, older, hook("c2", "help"))
	accept(t, l, hook("c3", "help")) // a program that ran while the schema changed
	if got := len(claim(t, l, "help", 0).Deliveries) + len(claim(t, older, "help", time.Hour).Deliveries); got != 6 {
		t.Errorf("%d deliveries, want 3 twice", got)
	}
	sound(t, older)
	sql(t, at, `INSERT INTO version (number, oldest) VALUES (4, 3)`)
	if _, err := Open(t.Context(), at, Options{}); !errors.Is(err, ledger.ErrNewer) {
		t.Errorf("a schema for later programs: %v, want ErrNewer", err)
	}
}

// Many replicas that start at once make one schema.
func TestE2EPostgresStartAtOnce(t *testing.T) {
	t.Parallel()
	at := url(t)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			l, err := Open(t.Context(), at, Options{Connections: 4})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := l.Accept(t.Context(), hook(fmt.Sprint("c", i), "help")); err != nil {
				t.Error(err)
			}
			if err := l.Retain(t.Context(), time.Now()); err != nil {
				t.Error(err)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// The server is killed under load: what was acknowledged is there, hooks wait for it to come back, nothing is settled
// twice, and the observer hears of everything.
func TestE2EPostgresServerKilled(t *testing.T) {
	t.Parallel()
	server, err := postgrestest.Start(t.Context())
	if errors.Is(err, postgrestest.ErrNone) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Remove)
	woken := make(chan string, 1000)
	l := open(t, server.URL(""), Options{Observer: ledger.Observer{Due: func(target string) {
		select {
		case woken <- target:
		default:
		}
	}}})
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	acknowledged, settled := map[string]bool{}, map[string]bool{}
	refused := 0
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				id := fmt.Sprintf("c%d-%d", worker, i)
				_, err := l.Accept(context.WithoutCancel(ctx), hook(id, "help"))
				mu.Lock()
				if err == nil {
					acknowledged[id] = true
				} else {
					refused++
				}
				mu.Unlock()
			}
		})
	}
	all.Go(func() {
		for ctx.Err() == nil {
			c, err := l.Claim(ctx, ledger.Claim{Target: "help", Limit: 10, Lease: time.Hour})
			if err != nil {
				continue
			}
			for _, d := range c.Deliveries {
				s := ledger.Settlement{ID: d.ID, Target: d.Target, Revision: 1, Fence: d.Fence, State: ledger.Delivered, Tried: true}
				_, err := l.Settle(context.WithoutCancel(ctx), s)
				mu.Lock()
				if errors.Is(err, ledger.ErrFenced) || settled[d.ID] {
					t.Errorf("%s: %v, settled before: %v", d.ID, err, settled[d.ID])
				}
				settled[d.ID] = err == nil
				mu.Unlock()
			}
		}
	})
	for range 4 {
		<-time.After(300 * time.Millisecond)
		server.Kill()
		if err := server.Launch(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	<-time.After(300 * time.Millisecond)
	cancel()
	all.Wait()
	for id := range acknowledged {
		if _, err := l.Conversation(t.Context(), id); err != nil {
			t.Errorf("acknowledged, then lost: %v", err)
		}
	}
	if refused > 0 {
		t.Errorf("%d hooks were refused while the server was away for a moment", refused)
	}
	sound(t, l)
	audited(t, server.URL(""))
	t.Logf("4 kills of the server: %d hooks acknowledged, %d deliveries settled", len(acknowledged), len(settled))
	for len(woken) > 0 {
		<-woken
	}
	server.Kill()
	if err := server.Launch(t.Context()); err != nil {
		t.Fatal(err)
	}
	select {
	case target := <-woken:
		if target != "help" {
			t.Errorf("heard of %s", target)
		}
	case <-time.After(20 * time.Second):
		t.Error("after an interruption the observer heard nothing")
	}
}
