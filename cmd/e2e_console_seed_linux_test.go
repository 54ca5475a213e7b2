// This file fills ledgers for the tests of the console: some hooks as they come, and by SQL as many conversations like
// them as wanted, over a span of time.

package cmd_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// dayTalk is a chat of the sample days.
type dayTalk struct {
	name, email string
	outcome     string // flag of the platform
	rating      int    // 0: none
	lines       []string
}

// dayTalks are what people chat about with a shop; lines of visitors and of the agent take turns.
var dayTalks = []dayTalk{
	{"Ada Lovelace", "ada@example.com", "isCompleted", 5, []string{"Hello, does the tea pot come in blue?", "Hi Ada, it does! Shall I put one aside for you?", "Yes please 💙", "Done. You find it in your cart.", "Wonderful, thank you!"}},
	{"Bob Novák", "bob.novak@example.com", "isMissed", 0, []string{"Is anybody there?"}},
	{"Chiara Rossi", "chiara@example.com", "isOffline", 0, []string{"You are closed, I know. Please call me tomorrow: +39 06 6982 0000"}},
	{"Dušan Horák", "dusan.horak@example.com", "isCompleted", 1, []string{
		"The parcel arrived broken, order 4711. I want a refund.", "I am sorry to hear that. Was the box damaged from the outside?",
		"Yes, one corner is crushed. Two of the six cups are in pieces.", "Then we send you two new cups today, without any charge.",
		"I asked for a refund, not for cups.", "Our terms say that we replace what is broken.", "Seriously?",
	}},
	{"Eva Dvořáková", "eva.dvorakova@example.com", "isCompleted", 4, []string{"Where is my parcel? The link says nothing since Monday.", "It left Brno this morning and comes tomorrow before noon.", "Great, thanks."}},
	{"François Petit", "f.petit@example.com", "isCompleted", 0, []string{"Do you ship to Lyon?", "We do, in three days, for 9 euro.", "Perfect."}},
	{"Grace Hopper", "grace@example.com", "isCompleted", 2, []string{"My invoice shows two lamps but I bought one.", "Let me look. You are right, one too many.", "And when do I get the money back?", "Within fourteen days.", "That is long."}},
	{"Hiro Yamada", "hiro@example.com", "isCompleted", 5, []string{"配送はいつですか？ 📦", "Tomorrow morning 🙂", "ありがとう"}},
	{"", "", "isCompleted", 0, []string{"No thanks, just looking", "Have a nice day!"}},
	{"Ingrid Berg", "ingrid.berg@example.com", "isCompleted", 5, []string{"Can I change the address of order 4820?", "Of course, where to?", "Storgata 7, Oslo", "Changed.", "So quick!"}},
}

// dayHook is the hook of chat id of the sample days. Of fifty chats two are rated badly, and two find nobody.
func dayHook(id int) []byte {
	k := dayTalks[[]int{0, 4, 5, 7, 8, 9}[id%6]]
	if rare, ok := map[int]int{3: 3, 11: 1, 12: 2, 26: 6}[id%50]; ok {
		k = dayTalks[rare]
	}
	at := time.Now().Add(-5 * time.Minute).UnixMilli()
	var messages []string
	for i, line := range k.lines {
		who := fmt.Sprintf(`"type":"visitor","from":"visitor:v%d","name":%q`, id, k.name)
		if i%2 == 1 {
			who = `"type":"agent","from":"agent:3","name":"Jana"`
		}
		messages = append(messages, fmt.Sprintf(`{%s,"content":%q,"sentAt":%d}`, who, line, at+int64(i)*17_000))
	}
	rating := "null"
	if k.rating > 0 {
		rating = fmt.Sprint(k.rating)
	}
	return fmt.Appendf(nil, `{"accountId":208,"beginAt":%d,"endAt":%d,"channel":{"id":%d,%q:true,"rating":%s},"visitor":{"id":%d,"name":%q,"email":%q,"countryCode":"CZ",
"variables":{"plan":{"label":"Plan","value":"pro"}}},"paths":[{"url":"https://shop.example/teapots","title":"Tea pots"}],"messages":[%s]}`,
		at, at+int64(len(k.lines))*17_000, 700_000+id, k.outcome, rating, 5000+id, k.name, k.email, strings.Join(messages, ","))
}

// seeded takes some chats of the sample days, and makes conversations like them in the ledger of a gateway: n, that came
// over a span up to now. At most bodies of them, the newest, have what was said.
func seeded(t testing.TB, path, hooks, admin, ledgerFile string, n, bodies int, span time.Duration) {
	t.Helper()
	p := start(t, path, hooks, admin, startOptions{})
	const samples = 100
	for id := range samples {
		if status, answer := post(t.Context(), "http://"+hooks+"/in/shop/"+e2eSecret, dayHook(id)); status != http.StatusOK {
			t.Fatalf("%d %s", status, answer)
		}
	}
	settled(t, admin)
	eventually(t, time.Minute, func() error { // what is not indexed is missing from lists that are narrowed down
		if _, text := answer(t, "http://"+admin+"/api/v1/conversations?limit=500"); strings.Count(text, `"opening"`) != samples {
			return fmt.Errorf("%d of %d conversations are indexed", strings.Count(text, `"opening"`), samples)
		}
		return nil
	})
	if code := p.terminate(t); code != 0 {
		t.Fatalf("exit code %d\n%s", code, p.output())
	}
	multiply(t, ledgerFile, samples, n, bodies, span)
}

// settled waits until all that is pending has been tried, beside what waits for a target that does not let us in.
func settled(t testing.TB, admin string) {
	t.Helper()
	eventually(t, time.Minute, func() error {
		status, text := answer(t, "http://"+admin+"/api/v1/deliveries?state=pending&target=help&target=crm&target=log&limit=500")
		if status != http.StatusOK || strings.Contains(text, `"attempts":0`) {
			return fmt.Errorf("%d, there are deliveries without an attempt", status)
		}
		status, text = answer(t, "http://"+admin+"/api/v1/conversations?limit=1")
		if status != http.StatusOK || !strings.Contains(text, `"opening"`) {
			return fmt.Errorf("%d, not indexed yet", status)
		}
		return nil
	})
}

// answer is the status and the body that an address answers with.
func answer(t testing.TB, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := hookClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// multiply replaces the first conversations of a ledger by n like them. Their times are
// spread over a span up to now.
func multiply(t testing.TB, ledgerFile string, samples, n, bodies int, span time.Duration) {
	t.Helper()
	begin := time.Now()
	conn := openRows(t, ledgerFile, "off")
	run := func(text string, args ...any) {
		t.Helper()
		plain(t, conn, text, args...)
	}
	run("BEGIN IMMEDIATE")
	run("CREATE TEMP TABLE spread (number INTEGER PRIMARY KEY, sample INTEGER NOT NULL, at INTEGER NOT NULL)")
	run(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?2)
		INSERT INTO spread SELECT ?1 + i, 1 + (i * 7 + i / 13) % ?1, CAST(?3 + ?4 * (i * 1.0 / ?2 + .11 / ?5 * sin(6.2831853 * ?5 * i / ?2)) AS INTEGER) FROM n`,
		samples, n, begin.Add(-span).UnixMicro(), span.Microseconds(), max(span.Hours()/24, 1)) // more by day than by night
	for _, text := range []string{
		`INSERT INTO conversation (number, id, platform, session, revision, stale, ended_at, seen_at, bodies, fingerprints, chain, first_at)
			SELECT s.number, 'c' || lower(hex(randomblob(13))), platform, session, revision, stale, s.at, s.at, 1, randomblob(20), chain, s.at
			FROM spread s JOIN conversation c ON c.number = s.sample`,
		`INSERT INTO summary (number, revision, source, brand, platform, outcome, external_id, visitor, email, domain, rating, messages, opening, unrouted)
			SELECT s.number, revision, source, brand, platform, outcome, s.number, visitor, CASE WHEN s.number % 3 = 0 AND email <> '' THEN 'v' || s.number || '@example.com' ELSE email END,
			domain, rating, messages, opening, unrouted FROM spread s JOIN summary c ON c.number = s.sample`,
		`INSERT INTO search (rowid, words) SELECT s.number, 'visitor ' || s.number || ' hello order ref' || (s.number % 1000) || ' parcel where is my '
			|| CASE s.number % 50000 WHEN 7 THEN 'needle' ELSE 'hay' END || ' ' || replace(replace(c.email, '@', ' '), '.', ' ') FROM spread s JOIN summary c USING (number)`,
		`INSERT INTO delivery (conversation, target, state, want, have, trying, doubt, lapsed, due_at, pending_since, settled_at, fence, claims, tries, first_at,
			planned, ignore, routes, config, tried, receipt, class, reason, failed_at, pinned)
			SELECT s.number, target, state, want, have, trying, doubt, lapsed, s.at + 30 * 86400000000, s.at, CASE settled_at WHEN 0 THEN 0 ELSE s.at + 200000 END, fence, claims, tries, s.at,
			planned, ignore, routes, config, tried, receipt, class, reason, CASE failed_at WHEN 0 THEN 0 ELSE s.at + 200000 END, pinned
			FROM spread s JOIN delivery d ON d.conversation = s.sample`,
		`INSERT INTO attempt (conversation, target, fence, revision, number, at, kind, duration, status, reason, class, config, response)
			SELECT s.number, target, fence, revision, a.number, s.at + 100000, kind, duration, status, reason, class, config, response
			FROM spread s JOIN attempt a ON a.conversation = s.sample`,
		`INSERT INTO routed SELECT route, s.number FROM spread s JOIN routed r ON r.number = s.sample`,
		`DELETE FROM arrival`,
		`INSERT INTO arrival SELECT at / 3600000000, min(number), max(number) FROM spread GROUP BY 1`,
	} {
		run(text)
	}
	run(`INSERT INTO body SELECT s.number, revision, s.at, content_type, decoded, raw FROM spread s JOIN body b ON b.conversation = s.sample WHERE s.number > ?1`, samples+n-bodies)
	for _, text := range []string{"conversation WHERE number", "summary WHERE number", "search WHERE rowid", "delivery WHERE conversation", "attempt WHERE conversation", "routed WHERE number", "body WHERE conversation"} {
		run("DELETE FROM "+text+" <= ?1", samples)
	}
	run(`DELETE FROM counter`)
	run(`INSERT INTO counter SELECT target, count(*), sum(state = 0), sum(state = 1), sum(state = 2), sum(state = 3), sum(state = 4), sum(state = 2) FROM delivery GROUP BY target`)
	run(`UPDATE total SET n = ?1 WHERE name = 'conversations'`, n)
	run(`UPDATE progress SET n = CASE name WHEN 'newest' THEN ?1 ELSE 0 END`, samples+n)
	// The series of a day or more with mornings and nights, a minute apart.
	run(`DELETE FROM series`)
	run(`INSERT INTO series SELECT 'source', at / 60000000 * 60000000, source, 'accepted', count(*) FROM spread s JOIN summary c USING (number) WHERE at > ?1 GROUP BY 2, 3`, begin.Add(-7*24*time.Hour).UnixMicro())
	run(`INSERT INTO series SELECT 'target', a.at / 60000000 * 60000000, target, kind, count(*) FROM spread s JOIN attempt a ON a.conversation = s.number WHERE s.at > ?1 GROUP BY 2, 3, 4`, begin.Add(-7*24*time.Hour).UnixMicro())
	run("COMMIT")
	run("PRAGMA wal_checkpoint(TRUNCATE)")
	run("DROP TABLE spread")
	t.Logf("%d conversations over %s seeded in %s", n, span, time.Since(begin).Round(100*time.Millisecond))
}
