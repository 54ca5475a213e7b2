// This file measures lists over a million conversations, and looks at how they are planned.

package postgres

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

// seed fills a ledger by SQL with n conversations, two deliveries each. Every hundredth delivery is dead, and every
// thousandth of another class; target rare has one in a thousand.
func seed(t testing.TB, at string, n int) {
	t.Helper()
	sql(t, at, `SET synchronous_commit = off`,
		`INSERT INTO conversation (number, id, platform, session, revision, stale, ended_at, seen_at, bodies, day, fingerprints, chain, first_at, indexed, unrouted, routes)
			SELECT i, 'c' || i, 'smartsupp', '', 1, 0, i, i * 1000000, true, 20000, '', '', i * 1000000, 1, i % 1000 = 7,
			CASE WHEN i % 1000 = 3 THEN '{all,rare}' ELSE '{all}' END::text[] FROM generate_series(1::bigint, `+itoa(n)+`) i`,
		`INSERT INTO summary SELECT i, CASE WHEN i % 1000 = 5 THEN 'rare' ELSE 'shop' || i % 3 END, 'brand' || i % 50, CASE WHEN i % 10 = 0 THEN 'missed' ELSE 'completed' END,
			'x' || i, 'Visitor ' || i, 'v' || i % 300000 || '@example.com', 'example.com', CASE WHEN i % 3 = 0 THEN 1 + (i / 3) % 5 END, 12, 'hello there',
			('hello:1 visitor:2 w' || i % 100 || ':3 w' || i % 1009 || ':4 v' || i % 20011 || ':5 refund:6 z' || i || ':7' || CASE WHEN i % 5000 = 1 THEN ' unusual:8' ELSE '' END)::tsvector
			FROM generate_series(1::bigint, `+itoa(n)+`) i`,
		`INSERT INTO delivery (conversation, target, state, want, have, trying, doubt, lapsed, due_at, pending_since, settled_at, fence, claims, tries,
			first_at, planned, ignore, routes, config, tried, receipt, class, reason, failed_at)
			SELECT i, t, s, 1, 0, 0, 0, false, 0, i, i, 0, 0, 1, i, true, false, CASE WHEN i % 1000 = 3 THEN '["all","rare"]' ELSE '["all"]' END, 'c', 'c', CASE s WHEN 1 THEN '{"id":"t' || i || '"}' ELSE '' END,
			CASE s WHEN 2 THEN CASE WHEN i % 1000 = 0 THEN 'mapping subject' ELSE 'rejected 422' END ELSE '' END, '', CASE s WHEN 2 THEN i * 1000000 ELSE 0 END
			FROM generate_series(1::bigint, `+itoa(n)+`) i, (VALUES ('help'), ('crm'), ('rare')) AS x (t),
			LATERAL (SELECT CASE WHEN i % 100 = 0 THEN 2 WHEN i > `+itoa(n)+` - 1000 THEN 0 ELSE 1 END AS s) y WHERE (t <> 'rare' OR i % 1000 = 11) AND i % 1000 <> 7`,
		`INSERT INTO arrival SELECT first_at / 3600000000, min(number), max(number) FROM conversation GROUP BY 1`,
		`INSERT INTO counter SELECT target, 0, count(*), 0, count(*), 0, 0, 0, 0 FROM delivery GROUP BY target`,
		`VACUUM ANALYZE conversation`, `VACUUM ANALYZE summary`, `VACUUM ANALYZE delivery`, `ANALYZE counter`,
		`SELECT setval('conversation_number', `+itoa(n)+`)`)
}

func BenchmarkLists(b *testing.B) {
	at := url(b)
	l := open(b, at, Options{})
	const n = 1_000_000
	started := time.Now()
	seed(b, at, n)
	b.Logf("seeded in %s", time.Since(started).Round(time.Second))
	low := 2.0
	day := func(i int64) time.Time { return time.UnixMicro(i * 1000000) }
	filters := map[string]ledger.Filter{
		"everything": {}, "id": {IDs: []string{"c777"}}, "source": {Sources: []string{"shop1"}}, "rare source": {Sources: []string{"rare"}},
		"brand": {Brands: []string{"brand7"}}, "outcome": {Outcomes: []string{"missed"}}, "external id": {ExternalIDs: []string{"x500000"}},
		"e-mail": {Emails: []string{"v1234@example.com"}}, "beginning of an e-mail": {Emails: []string{"v1234"}}, "domain": {Emails: []string{"@example.com"}},
		"beginning of an external id": {ExternalIDs: []string{"x50000*"}}, "receipt": {Receipts: []string{"t500001"}}, "receipt as a word": {Text: []string{"t500001"}}, "rating": {MaxRating: &low}, "unrouted": {Unrouted: true},
		"since": {Since: day(900_000)}, "until": {Until: day(100_000)}, "an old hour": {Since: day(100_000), Until: day(103_600)},
		"common word": {Text: []string{"hello"}}, "usual word": {Text: []string{"w17"}}, "rare word": {Text: []string{"unusual"}},
		"one word": {Text: []string{"z500000"}}, "phrase": {Text: []string{"hello visitor"}}, "absent": {Text: []string{"absent"}},
		"target": {Targets: []string{"help"}}, "rare target": {Targets: []string{"rare"}}, "dead": {States: []ledger.State{ledger.Dead}},
		"pending": {States: []ledger.State{ledger.Pending}}, "superseded": {States: []ledger.State{ledger.Superseded}},
		"rare route": {Routes: []string{"rare"}}, "class": {Classes: []string{"mapping subject"}}, "failed since": {FailedSince: day(990_000)},
		"failed until":           {FailedUntil: day(10_000)},
		"target and state":       {Targets: []string{"help"}, States: []ledger.State{ledger.Dead}},
		"dead with a word":       {Targets: []string{"help"}, States: []ledger.State{ledger.Dead}, Text: []string{"w17"}},
		"dead of a rare source":  {States: []ledger.State{ledger.Delivered}, Sources: []string{"rare"}},
		"target and common word": {Targets: []string{"help"}, Text: []string{"refund"}},
	}
	ctx := context.Background()
	for _, name := range slices.Sorted(maps.Keys(filters)) {
		f := filters[name]
		for kind, list := range map[string]func() (int, error){
			"conversations": func() (int, error) {
				p, err := l.Conversations(ctx, f, ledger.Page{})
				return len(p.Items), err
			},
			"deliveries": func() (int, error) {
				p, err := l.Deliveries(ctx, f, ledger.Page{})
				return len(p.Items), err
			},
		} {
			b.Run(name+"/"+kind, func(b *testing.B) {
				for b.Loop() {
					items, err := list()
					if err != nil {
						b.Fatal(err)
					}
					b.ReportMetric(float64(items), "items")
				}
			})
		}
	}
	for name, f := range map[string]ledger.Filter{"all": {}, "help": {Targets: []string{"help"}}, "word": {Text: []string{"refund"}}, "source": {Sources: []string{"shop1"}}} {
		b.Run("failures/"+name, func(b *testing.B) {
			for b.Loop() {
				if _, err := l.Failures(ctx, f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func itoa(n int) string { return strconv.Itoa(n) }
