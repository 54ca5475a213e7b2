// This file measures lists of a ledger with a million conversations.

package sqlite

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

// million fills a ledger by SQL with n conversations of ten words, two deliveries each: to help, where one in fifty is
// dead in five classes, and to crm, where the newer half waits. One in a hundred thousand is odd in some way.
const million = `
	WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %[1]d)
	INSERT INTO conversation SELECT i, 'c' || i, 'smartsupp', '', 1, 0, 1e15 + i * 10000000, 1e15 + i * 10000000, 1, '', '', 1e15 + i * 10000000 FROM n;
	INSERT INTO summary SELECT number, 1, CASE number %% 10 WHEN 0 THEN 'desk' ELSE 'shop' END, CASE number %% 3 WHEN 0 THEN 'acme' ELSE 'globo' END,
		'smartsupp', CASE number %% 20 WHEN 0 THEN 'missed' ELSE 'completed' END, 'x' || number, 'Visitor ' || number, 'v' || (number / 3) || '@example.com', 'example.com',
		CASE number %% 4 WHEN 0 THEN 5 WHEN 1 THEN CASE number %% 1000 WHEN 1 THEN 1 ELSE 4 END END, 10, 'opening', number %% 100000 = 0 FROM conversation;
	INSERT INTO search (rowid, words) SELECT number, 'visitor ' || number || ' hello order ref' || (number %% 1000) || ' parcel where is my '
		|| CASE number %% 100000 WHEN 7 THEN 'needle' ELSE 'hay' END FROM conversation;
	INSERT INTO arrival SELECT first_at / 3600000000, min(number), max(number) FROM conversation GROUP BY 1;
	INSERT INTO delivery (conversation, target, state, want, have, trying, doubt, lapsed, due_at, pending_since, settled_at, fence, claims, tries, first_at,
		planned, ignore, routes, config, tried, receipt, class, reason, failed_at)
		SELECT number, 'help', CASE number %% 50 WHEN 0 THEN 2 ELSE 1 END, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 1, 0, 1, 0, '["all"]', '', '', '',
		CASE number %% 50 WHEN 0 THEN 'rejected ' || (number %% 250) ELSE '' END, '', CASE number %% 50 WHEN 0 THEN first_at ELSE 0 END FROM conversation;
	INSERT INTO delivery (conversation, target, state, want, have, trying, doubt, lapsed, due_at, pending_since, settled_at, fence, claims, tries, first_at,
		planned, ignore, routes, config, tried, receipt)
		SELECT number, 'crm', CASE WHEN number <= %[1]d / 2 THEN 1 ELSE 0 END, 1, 0, 0, 0, 0, 1, 1, 1, 1, 0, 1, 0, 1, 0, CASE number %% 50000 WHEN 9 THEN '["rare"]' ELSE '["all","more"]' END, '', '',
		CASE WHEN number <= %[1]d / 2 THEN '{"id":"t' || number || '"}' ELSE '' END FROM conversation;
	INSERT INTO routed SELECT DISTINCT value, conversation FROM delivery, json_each(routes);
	INSERT INTO counter SELECT target, count(*), sum(state = 0), sum(state = 1), sum(state = 2), 0, 0, sum(state = 2) FROM delivery GROUP BY target;
	INSERT INTO total VALUES ('conversations', %[1]d);
	UPDATE progress SET n = %[1]d WHERE name = 'newest';
	UPDATE progress SET n = 0 WHERE name = 'oldest';`

func BenchmarkLists(b *testing.B) {
	const n = 1_000_000
	path := filepath.Join(b.TempDir(), "ledger.db")
	if err := open(b, path, Options{}).Close(); err != nil {
		b.Fatal(err)
	}
	execute(b, path, fmt.Sprintf(million, n))
	l := open(b, path, Options{})
	at := func(i int) time.Time { return time.UnixMicro(1e15 + int64(i)*10000000) }
	number := func(f float64) *float64 { return &f }
	lists := []struct {
		name string
		f    ledger.Filter
	}{
		{"all", ledger.Filter{}},
		{"id", ledger.Filter{IDs: []string{"c77777", "c3"}}},
		{"source", ledger.Filter{Sources: []string{"desk"}}},
		{"brands", ledger.Filter{Brands: []string{"acme", "none"}}},
		{"outcome", ledger.Filter{Outcomes: []string{"missed"}}},
		{"external", ledger.Filter{ExternalIDs: []string{"x500000"}}},
		{"email", ledger.Filter{Emails: []string{"v5000@example.com"}}},
		{"emailbeginning", ledger.Filter{Emails: []string{"v5000"}}},
		{"hugeemailbeginning", ledger.Filter{Emails: []string{"v"}}},
		{"domain", ledger.Filter{Emails: []string{"@example.com"}}},
		{"emails", ledger.Filter{Emails: []string{"v5000", "@example.com"}}},
		{"externalbeginning", ledger.Filter{ExternalIDs: []string{"x50000*"}}},
		{"receipt", ledger.Filter{Receipts: []string{"t1000"}}},
		{"receiptasword", ledger.Filter{Text: []string{"t1000"}}},
		{"since", ledger.Filter{Since: at(n - 100)}},
		{"until", ledger.Filter{Until: at(100000)}},
		{"between", ledger.Filter{Since: at(300000), Until: at(300100)}},
		{"rating", ledger.Filter{MaxRating: number(2)}},
		{"ratings", ledger.Filter{MinRating: number(3)}},
		{"unrouted", ledger.Filter{Unrouted: true}},
		{"word", ledger.Filter{Text: []string{"order"}}},
		{"rareword", ledger.Filter{Text: []string{"needle"}}},
		{"beginning", ledger.Filter{Text: []string{"ref1"}}},
		{"commonbeginning", ledger.Filter{Text: []string{"hel"}}},
		{"hugebeginning", ledger.Filter{Text: []string{"ref"}}},
		{"phrase", ledger.Filter{Text: []string{"hello order", "where is my needle"}}},
		{"target", ledger.Filter{Targets: []string{"help"}}},
		{"dead", ledger.Filter{States: []ledger.State{ledger.Dead}}},
		{"pending", ledger.Filter{States: []ledger.State{ledger.Pending}}},
		{"delivered", ledger.Filter{States: []ledger.State{ledger.Delivered}, Targets: []string{"crm"}}},
		{"class", ledger.Filter{Classes: []string{"rejected 50"}}},
		{"route", ledger.Filter{Routes: []string{"rare"}}},
		{"commonroute", ledger.Filter{Routes: []string{"all"}}},
		{"failed", ledger.Filter{FailedUntil: at(1000)}},
		{"deadand", ledger.Filter{States: []ledger.State{ledger.Dead}, Sources: []string{"desk"}, Text: []string{"order"}, Targets: []string{"help"}}},
		{"wordanddead", ledger.Filter{States: []ledger.State{ledger.Dead}, Text: []string{"needle"}}},
		{"sourceandoutcome", ledger.Filter{Sources: []string{"desk"}, Outcomes: []string{"missed"}}},
	}
	for _, list := range lists {
		b.Run("conversations/"+list.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := l.Conversations(b.Context(), list.f, ledger.Page{}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("deliveries/"+list.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := l.Deliveries(b.Context(), list.f, ledger.Page{}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("count/"+list.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := l.Count(b.Context(), list.f, 1000); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for name, f := range map[string]ledger.Filter{
		"all": {}, "word": {Text: []string{"order"}}, "rareword": {Text: []string{"needle"}}, "hugebeginning": {Text: []string{"ref"}},
		"source": {Sources: []string{"desk"}}, "since": {Since: at(n - 100_000)}, "domain": {Emails: []string{"@example.com"}},
		"wordandsource": {Text: []string{"order"}, Sources: []string{"desk"}}, "phrase": {Text: []string{"where is my"}},
	} {
		b.Run("failures/"+name, func(b *testing.B) {
			for b.Loop() {
				if _, err := l.Failures(b.Context(), f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("stats", func(b *testing.B) {
		for b.Loop() {
			if _, err := l.Stats(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// The indexer alone, with conversations of about 4 kB that it reads back.
func BenchmarkIndex(b *testing.B) {
	l := open(b, filepath.Join(b.TempDir(), "ledger.db"), Options{})
	stopIndexer(b, l)
	random := rand.New(rand.NewPCG(1, 2))
	var all sync.WaitGroup
	hooks := make(chan ledger.Hook)
	for range 64 {
		all.Go(func() {
			for h := range hooks {
				if _, err := l.Accept(b.Context(), h); err != nil {
					b.Error(err)
				}
			}
		})
	}
	for i := range b.N {
		hooks <- chatHook(random, fmt.Sprint("c", i))
	}
	close(hooks)
	all.Wait()
	var before int64
	if s, err := l.Stats(b.Context()); err == nil {
		before = s.Bytes
	}
	b.ResetTimer()
	l.indexer = startIndexer(l)
	for done := 0; done < b.N; {
		if err := l.catchUp(b.Context()); err != nil {
			b.Fatal(err)
		}
		if err := l.read(b.Context(), `SELECT n FROM progress WHERE name = 'newest'`, nil, &done); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	if s, err := l.Stats(b.Context()); err == nil {
		b.ReportMetric(float64(s.Bytes-before)/float64(b.N), "bytes/conversation")
	}
}
