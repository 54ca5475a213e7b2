// This file tests lists, searches and replays where engines differ: the database's own limits, several replicas, an
// upgrade. What they promise is tested by the suite.

package postgres

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
)

// said is a hook of a conversation in which these texts were said.
func said(id string, texts ...string) ledger.Hook {
	h := hook(id, "help")
	for _, text := range texts {
		h.Conversation.Messages = append(h.Conversation.Messages, chat.Message{At: h.Conversation.EndedAt, Role: chat.Visitor, Text: text})
	}
	return h
}

// found lists the conversations that a filter selects.
func found(t testing.TB, l *Ledger, f ledger.Filter) []string {
	t.Helper()
	page, err := l.Conversations(t.Context(), f, ledger.Page{Limit: ledger.MaxPage})
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{}
	for _, c := range page.Items {
		ids = append(ids, c.ID)
	}
	slices.Sort(ids)
	return ids
}

// die makes everything due for a target dead.
func die(t testing.TB, l *Ledger, target, class string) {
	t.Helper()
	for {
		claimed := claim(t, l, target, time.Hour)
		if len(claimed.Deliveries) == 0 {
			return
		}
		var all sync.WaitGroup
		for _, d := range claimed.Deliveries {
			all.Go(func() {
				s := ledger.Settlement{
					ID: d.ID, Target: d.Target, Revision: d.Revision, Fence: d.Fence, State: ledger.Dead, Tried: true,
					Attempt: &ledger.Attempt{At: time.Now(), Number: d.Attempt, Kind: "rejected", Reason: "no", Detail: ledger.Detail{Class: class, Response: "a\x00b"}},
				}
				if _, err := l.Settle(t.Context(), s); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
}

// What a tsvector cannot take does not keep a conversation from being found.
func TestE2EPostgresSearchLimits(t *testing.T) {
	t.Parallel()
	l := open(t, url(t), Options{})
	common := strings.Repeat("the chat ", 7000)
	var many strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&many, "w%dx ", i)
	}
	accept(t, l, said("long", common+"refund please"))
	accept(t, l, said("many", many.String()))
	accept(t, l, said("odd", "a\x00b 'quo\\te' <-> :* & | ! ( \U0001f600 \u2028 "+strings.Repeat("y", 5000)))
	rating := 4.5
	h := said("rated", "fine")
	h.Conversation.Rating, h.Conversation.ExternalID = &rating, strings.Repeat("e", 20000)+"1"
	accept(t, l, h)
	least := 4.0
	for name, c := range map[string]struct {
		filter ledger.Filter
		want   []string
	}{
		"a common word":    {ledger.Filter{Text: []string{"the"}}, []string{"long"}},
		"a phrase":         {ledger.Filter{Text: []string{"chat the chat"}}, []string{"long"}},
		"one of many":      {ledger.Filter{Text: []string{"w17x"}}, []string{"many"}},
		"operators":        {ledger.Filter{Text: []string{"quo\\te' <-> :*"}}, []string{"odd"}},
		"a long word":      {ledger.Filter{Text: []string{strings.Repeat("y", 3000)}}, []string{"odd"}},
		"nothing to find":  {ledger.Filter{Text: []string{"absent"}}, []string{}},
		"no word":          {ledger.Filter{Text: []string{"!?"}}, []string{"long", "many", "odd", "rated"}},
		"a NUL":            {ledger.Filter{Sources: []string{"sh\x00op"}}, []string{"long", "many", "odd", "rated"}},
		"a long id":        {ledger.Filter{ExternalIDs: []string{h.Conversation.ExternalID}}, []string{"rated"}},
		"a rating":         {ledger.Filter{MinRating: &least}, []string{"rated"}},
		"state and target": {ledger.Filter{Targets: []string{"help"}, States: []ledger.State{ledger.Pending}, Text: []string{"fine"}}, []string{"rated"}},
	} {
		if got := found(t, l, c.filter); !slices.Equal(got, c.want) {
			t.Errorf("%s: found %v, want %v", name, got, c.want)
		}
	}
	sound(t, l)
}

// A conversation of many long words makes a tsvector that PostgreSQL takes, and loses the last of them.
func TestVectorBounded(t *testing.T) {
	t.Parallel()
	var words []string
	for i := range 16000 {
		words = append(words, fmt.Sprintf("%064d", i))
	}
	text := vector(words)
	if n := strings.Count(text, "'") / 2; n < 10000 || n > mostWords/64 {
		t.Errorf("%d words are kept", n)
	}
	if !strings.HasPrefix(text, "'"+words[0]+"':1 ") {
		t.Errorf("it begins with %.80s", text)
	}
	if got := vector(slices.Repeat([]string{"the"}, 1000)); strings.Count(got, ",") != mostPositions-1 || !strings.HasPrefix(got, "'the':1,2,3,") {
		t.Errorf("one word is %.80s", got)
	}
}

// Two replicas that step through one job at once replay each delivery once.
func TestE2EPostgresReplicasReplay(t *testing.T) {
	t.Parallel()
	a, b := pair(t, Options{})
	const n = 300
	for i := range n {
		accept(t, a, hook(fmt.Sprint("c", i), "help", "crm"))
	}
	die(t, a, "help", "rejected 422")
	die(t, a, "crm", "rejected 422")
	job, err := a.CreateReplay(t.Context(), ledger.ReplayJob{By: "ann", Filter: ledger.Filter{Targets: []string{"help"}, Classes: []string{"rejected 422"}}})
	if err != nil || job.Total != n {
		t.Fatalf("%+v, %v; want %d deliveries", job, err, n)
	}
	if err := b.Drop(t.Context(), "c7", "help", "not wanted"); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for {
				got, err := []*Ledger{a, b}[i%2].StepReplay(t.Context(), job.ID, 7)
				if err != nil {
					t.Error(err)
					return
				}
				if got.State != ledger.JobRunning {
					return
				}
			}
		})
	}
	all.Wait()
	got, err := b.ReplayJob(t.Context(), job.ID)
	if err != nil || got.State != ledger.JobDone || got.Done != n-1 || got.Skipped != 1 || got.EndedAt.IsZero() {
		t.Errorf("the job is %+v, %v; want %d done and 1 skipped", got, err, n-1)
	}
	seen := map[string]int{}
	for _, d := range claim(t, b, "help", time.Hour).Deliveries {
		seen[d.ID]++
	}
	if len(seen) != n-1 {
		t.Errorf("%d deliveries are due, want %d", len(seen), n-1)
	}
	if got, err := b.Count(t.Context(), ledger.Filter{Targets: []string{"crm"}, States: []ledger.State{ledger.Dead}}, 0); err != nil || got != n {
		t.Errorf("%d of the other target are dead, want %d (%v)", got, n, err)
	}
	sound(t, a)
}

// upgraded opens a ledger with the rows that a program of version 1 left.
func upgraded(t *testing.T) (l *Ledger, at string) {
	t.Helper()
	at = url(t)
	dump, err := os.ReadFile("testdata/v1.sql")
	if err != nil {
		t.Fatal(err)
	}
	_, schema, _ := strings.Cut(at, "search_path=")
	sql(t, at, strings.ReplaceAll(string(dump), "afterchat_v1", schema))
	return open(t, at, Options{}), at
}

// A ledger of version 1 is listed, searched and replayed like one of this version.
func TestE2EPostgresUpgrade(t *testing.T) {
	t.Parallel()
	l, _ := upgraded(t)
	for name, c := range map[string]struct {
		filter ledger.Filter
		want   []string
	}{
		"everything": {ledger.Filter{}, []string{"dead", "delivered", "gone", "pending", "revised", "silent", "unrouted"}},
		"text":       {ledger.Filter{Text: []string{"second revision"}}, []string{"revised"}},
		"words":      {ledger.Filter{Text: []string{"hello"}}, []string{"dead", "delivered", "pending", "revised", "silent", "unrouted"}},
		"unrouted":   {ledger.Filter{Unrouted: true}, []string{"unrouted"}},
		"route":      {ledger.Filter{Routes: []string{"all"}}, []string{"dead", "delivered", "gone", "pending", "revised", "silent"}},
		"class":      {ledger.Filter{Classes: []string{"rejected 422"}}, []string{"dead"}},
		"old":        {ledger.Filter{Until: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)}, []string{"dead", "delivered", "silent"}},
		"new":        {ledger.Filter{Since: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)}, []string{"gone", "pending", "revised", "unrouted"}},
		"of an hour": {
			ledger.Filter{Since: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), Until: time.Date(2026, 3, 1, 12, 0, 1, 0, time.UTC)},
			[]string{"dead", "delivered", "silent"},
		},
	} {
		if got := found(t, l, c.filter); !slices.Equal(got, c.want) {
			t.Errorf("%s: found %v, want %v", name, got, c.want)
		}
	}
	failures, err := l.Failures(t.Context(), ledger.Filter{})
	if err != nil || len(failures) != 1 {
		t.Fatalf("failures %+v, %v; want one group", failures, err)
	}
	f := failures[0]
	f.First, f.Last = time.Time{}, time.Time{}
	want := ledger.Failure{Target: "help", Class: "rejected 422", State: ledger.Dead, Count: 1, Reason: "no such field", Example: "dead"}
	if diff := cmp.Diff(want, f); diff != "" {
		t.Error(diff)
	}
	if got, err := l.Look(t.Context(), "gone"); err != nil || !got.BodiesGone || got.FirstAt.IsZero() {
		t.Errorf("the one without bodies: %+v, %v", got, err)
	}
	job, err := l.CreateReplay(t.Context(), ledger.ReplayJob{})
	if err == nil {
		job, err = l.StepReplay(t.Context(), job.ID, 10)
	}
	if err != nil || job.State != ledger.JobDone || job.Total != 2 || job.Done != 2 {
		t.Errorf("replay: %+v, %v; want both dead ones", job, err)
	}
	sound(t, l)
}

// What a program of version 1 stores beside this one is found, and so is what was begun before and committed after
// something newer had been indexed.
func TestE2EPostgresBesideVersion1(t *testing.T) {
	t.Parallel()
	l, at := upgraded(t)
	if got := found(t, l, ledger.Filter{Text: []string{"hello"}}); len(got) != 6 {
		t.Fatalf("found %v", got)
	}
	ctx := context.WithoutCancel(t.Context())
	conn, err := pgx.Connect(ctx, at)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	late, err := conn.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	const like = ` FROM conversation WHERE id = 'dead'`
	for _, statement := range []string{
		`INSERT INTO conversation (number, id, platform, session, revision, stale, ended_at, seen_at, bodies, day, fingerprints, chain)
			SELECT nextval('conversation_number'), 'late', platform, session, revision, stale, ended_at, seen_at, bodies, day, '', ''` + like,
		`INSERT INTO body (day, conversation, revision, received_at, content_type, decoded, raw)
			SELECT b.day, l.number, b.revision, b.received_at, b.content_type, b.decoded, b.raw FROM conversation l, conversation c
			JOIN body b ON b.day = c.day AND b.conversation = c.number WHERE c.id = 'dead' AND l.id = 'late'`,
		`INSERT INTO total (name, slot, n) VALUES ('conversations', 63, 1)`,
	} {
		if _, err := late.Exec(ctx, statement); err != nil {
			t.Fatal(err)
		}
	}
	accept(t, l, said("newer", "hello from later"))
	hello := ledger.Filter{Text: []string{"hello"}}
	if got := found(t, l, hello); !slices.Contains(got, "newer") || slices.Contains(got, "late") {
		t.Fatalf("before the commit: %v", got)
	}
	if err := late.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if got := found(t, l, hello); !slices.Contains(got, "late") {
		t.Errorf("after the commit: %v", got)
	}
	// A revision that the other program took, and a death.
	sql(t, at, `UPDATE conversation SET revision = 2 WHERE id = 'late'`,
		`INSERT INTO body (day, conversation, revision, received_at, content_type, decoded, raw)
			SELECT b.day, c.number, 2, b.received_at, b.content_type, (SELECT r.decoded FROM body r JOIN conversation n ON n.number = r.conversation
			WHERE n.id = 'revised' AND r.revision = 2), b.raw FROM conversation c JOIN body b ON b.conversation = c.number WHERE c.id = 'late'`)
	if got := found(t, l, ledger.Filter{Text: []string{"second revision"}}); !slices.Equal(got, []string{"late", "revised"}) {
		t.Errorf("after a revision: %v", got)
	}
	sql(t, at, `UPDATE delivery SET class = '', reason = '', failed_at = 0 WHERE state = 2`)
	if err := l.Retain(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if got := found(t, l, ledger.Filter{Classes: []string{"rejected 422"}}); !slices.Equal(got, []string{"dead"}) {
		t.Errorf("after retention: %v", got)
	}
	sound(t, l)
}

// The process dies between the steps of a job: another one goes on, and nothing is replayed twice.
func TestE2EPostgresReplayResumed(t *testing.T) {
	t.Parallel()
	at := url(t)
	first := open(t, at, Options{})
	const n = 60
	for i := range n {
		accept(t, first, hook(fmt.Sprint("c", i), "help"))
	}
	die(t, first, "help", "rejected 422")
	job, err := first.CreateReplay(t.Context(), ledger.ReplayJob{Filter: ledger.Filter{Targets: []string{"help"}}, Replay: ledger.Replay{Pinned: true}})
	if err != nil {
		t.Fatal(err)
	}
	if job, err = first.StepReplay(t.Context(), job.ID, 25); err != nil || job.Done != 25 || job.State != ledger.JobRunning {
		t.Fatalf("%+v, %v", job, err)
	}
	die(t, first, "help", "rejected again") // those that were replayed die once more
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := open(t, at, Options{})
	for job.State == ledger.JobRunning {
		if job, err = second.StepReplay(t.Context(), job.ID, 10); err != nil {
			t.Fatal(err)
		}
	}
	if job.Done != n || job.Skipped != 0 {
		t.Errorf("%+v, want %d done", job, n)
	}
	due := claim(t, second, "help", time.Hour).Deliveries
	if len(due) != n-25 {
		t.Errorf("%d are due, want %d", len(due), n-25)
	}
	sound(t, second)
}

// A large ledger is upgraded beside hooks: indexes are made while they come, also those whose making was cut.
func TestE2EPostgresUpgradeLarge(t *testing.T) {
	t.Parallel()
	at := url(t)
	old := open(t, at, Options{})
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	statements := []string{
		`INSERT INTO conversation (number, id, platform, session, revision, stale, ended_at, seen_at, bodies, day, fingerprints, chain)
			SELECT nextval('conversation_number'), 'c' || i, 'smartsupp', '', 1, 0, i, i, false, 20000, '', '' FROM generate_series(1, 60000) i`,
		`INSERT INTO total (name, slot, n) VALUES ('conversations', 0, 60000)`,
	}
	for _, index := range added {
		statements = append(statements, `DROP INDEX `+index.name)
	}
	// One that is there and not whole.
	statements = append(statements, `CREATE INDEX delivery_failed ON delivery (failed_at)`,
		`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'delivery_failed'::regclass`)
	sql(t, at, statements...)
	l := open(t, at, Options{})
	if l.indexed.Load() {
		t.Error("the start waited for the indexes")
	}
	accept(t, l, said("early", "hello while the indexes are made"))
	second := open(t, at, Options{})
	await(t, func() (bool, bool) { return true, l.indexed.Load() && second.indexed.Load() })
	accept(t, l, said("late", "hello afterwards"))
	got := await(t, func() ([]string, bool) {
		got := found(t, second, ledger.Filter{Text: []string{"hello"}})
		return got, len(got) == 2
	})
	if !slices.Equal(got, []string{"early", "late"}) {
		t.Errorf("found %v", got)
	}
	lacking, err := missing(t.Context(), l.pool)
	if err != nil || len(lacking) > 0 {
		t.Errorf("indexes %v are missing (%v)", lacking, err)
	}
	sound(t, l)
}
