// This file tests the indexer: what it has not come to is seen all the same, and nothing is lost or slowed down by it.

package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

// stopIndexer keeps a ledger as if its indexer never had the time from here on. What it was writing is written.
func stopIndexer(t testing.TB, l *Ledger) {
	t.Helper()
	l.indexer.close()
	if err := l.write(t.Context(), func(*tx) error { return nil }); err != nil { // comes after what was under way
		t.Fatal(err)
	}
}

// unindexed lists what a filter selects without waiting for the indexer.
func unindexed(t *testing.T, l *Ledger, f ledger.Filter) (ids []string) {
	t.Helper()
	err := l.view(t.Context(), func(view *sql.Tx) error {
		q, err := newSelection(t.Context(), view, f, false)
		if err != nil {
			return err
		}
		spots, err := q.spots(t.Context(), nil, 1000)
		if err != nil {
			return err
		}
		described, err := l.describe(t.Context(), view, numbersOf(spots))
		for _, d := range described {
			ids = append(ids, d.row.ID)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func indexSize(t *testing.T, l *Ledger) (rows int) {
	t.Helper()
	if err := l.read(t.Context(), `SELECT count(*) FROM summary`, nil, &rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

func caughtUp(t *testing.T, l *Ledger) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; <-time.After(5 * time.Millisecond) {
		if err := l.catchUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		var behind bool
		err := l.read(t.Context(), `SELECT EXISTS (SELECT 1 FROM outdated) OR (SELECT n FROM progress WHERE name = 'newest') < (SELECT coalesce(max(number), 0) FROM conversation)
			OR (SELECT n FROM progress WHERE name = 'oldest') > coalesce((SELECT min(number) FROM conversation), 1)`, nil, &behind)
		if err != nil {
			t.Fatal(err)
		}
		if !behind {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the indexer does not come to its end")
		}
	}
}

// What has not been indexed is in lists that ask for nothing of it, with all that it says.
func TestUnindexed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := open(t, path, Options{indexWait: patience})
	stopIndexer(t, l)
	h := hook("c1", "help")
	h.Conversation.Brand, h.Conversation.Person.Email = "acme", "ann@example.com"
	accept(t, l, h)
	accept(t, l, hook("c2"))
	if n := indexSize(t, l); n != 0 {
		t.Fatalf("%d are indexed", n)
	}
	for name, list := range map[string]struct {
		f    ledger.Filter
		want []string
	}{
		"all": {ledger.Filter{}, []string{"c2", "c1"}}, "ids": {ledger.Filter{IDs: []string{"c1"}}, []string{"c1"}},
		"targets": {ledger.Filter{Targets: []string{"help"}}, []string{"c1"}}, "states": {ledger.Filter{States: []ledger.State{ledger.Pending}}, []string{"c1"}},
	} {
		if got := unindexed(t, l, list.f); !slices.Equal(got, list.want) {
			t.Errorf("%s: %v, want %v", name, got, list.want)
		}
	}
	page, err := l.Conversations(t.Context(), ledger.Filter{}, ledger.Page{})
	if err != nil {
		t.Fatal(err)
	}
	if c := page.Items[1]; c.Brand != "acme" || c.Email != "ann@example.com" || c.Opening != "c1" || c.Deliveries[0].Email != "ann@example.com" || c.FirstAt.IsZero() {
		t.Errorf("an unindexed row is %+v", c)
	}
	// A filter that needs the indexer does not wait for one that never comes.
	began := time.Now()
	if _, err := l.Conversations(t.Context(), ledger.Filter{Brands: []string{"acme"}}, ledger.Page{}); err != nil || time.Since(began) > 5*patience {
		t.Errorf("a list took %s: %v", time.Since(began), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Conversations(ctx, ledger.Filter{Brands: []string{"acme"}}, ledger.Page{}); err == nil {
		t.Error("a list that nobody waits for was made")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, path, Options{})
	caughtUp(t, l)
	if got := unindexed(t, l, ledger.Filter{Brands: []string{"acme"}, Text: []string{"c1"}}); !slices.Equal(got, []string{"c1"}) {
		t.Errorf("after the next start: %v", got)
	}
	sound(t, l)
}

// Whatever is interrupted and whatever changes meanwhile: in the end the index is what a new one would be.
func TestIndexAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := open(t, path, Options{Retention: ledger.Retention{Delivered: time.Hour}})
	for i := range 300 {
		h := hook(fmt.Sprint("c", i%200), []string{"help", "crm"}[:i%3%2+i%2]...)
		h.Raw, h.Conversation.Question = []byte(fmt.Sprint(i)), fmt.Sprint("question ", i)
		accept(t, l, h)
		if i%70 == 69 {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = open(t, path, Options{Retention: ledger.Retention{Delivered: time.Hour}})
		}
		if i == 150 {
			if err := l.Retain(t.Context(), time.Now().Add(2*time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
	}
	caughtUp(t, l)
	was := dumpIndex(t, l)
	err := l.write(t.Context(), func(tx *tx) error {
		for _, statement := range []string{
			`DELETE FROM summary`, `INSERT INTO search (search) VALUES ('delete-all')`, `DELETE FROM routed`, `DELETE FROM arrival`, `UPDATE progress SET n = 0`,
			`UPDATE progress SET n = 1000 WHERE name = 'oldest'`, `UPDATE progress SET n = 999 WHERE name = 'newest'`,
		} {
			if err := tx.exec(statement); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	nudge(l.indexer.wake)
	caughtUp(t, l)
	if got := dumpIndex(t, l); got != was {
		t.Errorf("made anew, the index is another:\n%s\nwas\n%s", got, was)
	}
	sound(t, l)
}

func dumpIndex(t *testing.T, l *Ledger) string {
	t.Helper()
	var out strings.Builder
	for _, query := range []string{
		`SELECT 's', * FROM summary ORDER BY number`, `SELECT 'r', * FROM routed ORDER BY number, route`,
		`SELECT 'w', rowid FROM search WHERE search MATCH '"question" *' ORDER BY rowid`, `SELECT 'w', rowid FROM search WHERE search MATCH '"question 299" *'`,
	} {
		rows, err := l.readers.Load().QueryContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		err = each(rows, func(rows *sql.Rows) error {
			columns, err := rows.Columns()
			if err != nil {
				return err
			}
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(any)
			}
			if err := rows.Scan(values...); err != nil {
				return err
			}
			for _, v := range values {
				fmt.Fprint(&out, *v.(*any), " ")
			}
			out.WriteByte('\n')
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

// No list sorts what it has selected, but where few rows are expected.
func TestPlans(t *testing.T) {
	t.Parallel()
	l := open(t, filepath.Join(t.TempDir(), "ledger.db"), Options{})
	accept(t, l, hook("c1", "help", "crm"))
	one := 1.0
	// Beginnings are in the order of an index, not of arrival: what they select is sorted.
	sorted := []string{"beginning", "beginning of an external id", "beginnings", "receipt"}
	for name, f := range map[string]ledger.Filter{
		"all": {}, "source": {Sources: []string{"shop", "desk"}}, "brand": {Brands: []string{""}}, "outcome": {Outcomes: []string{"missed"}},
		"external id": {ExternalIDs: []string{"x"}}, "e-mail": {Emails: []string{"x@example.com"}}, "beginning": {Emails: []string{"x"}}, "domain": {Emails: []string{"@x"}}, "beginning of an external id": {ExternalIDs: []string{"x*"}},
		"beginnings": {Emails: []string{"x", "@x", "x@y"}}, "receipt": {Receipts: []string{"x"}}, "rating": {MinRating: &one}, "unrouted": {Unrouted: true}, "text": {Text: []string{"word", "two words"}},
		"target": {Targets: []string{"help"}}, "state": {States: []ledger.State{ledger.Dead}}, "class": {Classes: []string{"x"}}, "route": {Routes: []string{"all"}},
		"since": {Since: time.Unix(1, 0)}, "until": {Until: time.Unix(1, 0)},
	} {
		err := l.view(t.Context(), func(view *sql.Tx) error {
			for _, deliveries := range []bool{false, true} {
				q, err := newSelection(t.Context(), view, f, deliveries)
				if err != nil {
					return err
				}
				arms, err := q.drive(t.Context())
				if err != nil {
					return err
				}
				if deliveries && arms[0].target == "" {
					q.deliveries, q.unfolds = false, true
				}
				for _, a := range arms {
					a = q.complete(a, &spot{1, "help"})
					checkPlan(t, view, name, "SELECT "+a.number+" FROM "+a.from+a.condition()+" ORDER BY "+a.number+" DESC LIMIT 10", a.args, slices.Contains(sorted, name))
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func checkPlan(t *testing.T, view *sql.Tx, name, query string, args []any, sorted bool) {
	t.Helper()
	rows, err := view.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatal(err)
	}
	err = each(rows, func(rows *sql.Rows) error {
		var id, parent, unused int
		var detail string
		err := rows.Scan(&id, &parent, &unused, &detail)
		if !sorted && strings.Contains(detail, "TEMP B-TREE") || strings.HasPrefix(detail, "SCAN") && !strings.Contains(detail, "VIRTUAL TABLE") {
			t.Errorf("%s: %s, in %s", name, detail, query)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A full-text index that contradicts itself costs nothing but the time to make it anew.
func TestIndexDamaged(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := open(t, path, Options{})
	for i := range 50 {
		accept(t, l, hook(fmt.Sprint("c", i), "help"))
	}
	caughtUp(t, l)
	if err := l.write(t.Context(), func(tx *tx) error {
		return tx.exec(`UPDATE search_data SET block = zeroblob(20) WHERE id > 10`)
	}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, path, Options{}) // it is not taken for a damaged ledger
	_, first := l.Conversations(t.Context(), ledger.Filter{Text: []string{"c7"}}, ledger.Page{})
	t.Logf("the first search: %v", first)
	for deadline := time.Now().Add(2 * time.Minute); ; {
		accept(t, l, hook(fmt.Sprint("d", time.Now().UnixNano()), "help"))
		page, err := l.Conversations(t.Context(), ledger.Filter{Text: []string{"c7"}}, ledger.Page{})
		if err == nil && len(page.Items) == 1 && page.Items[0].ID == "c7" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the index does not come back: %+v, %v", page, err)
		}
	}
	caughtUp(t, l)
	sound(t, l)
	if aside, err := SetAside(path); err != nil || len(aside) > 0 {
		t.Errorf("the ledger was set aside: %v, %v", aside, err)
	}
}

// The full-text index is merged by the indexer alone. Without that it would have as many segments as there were batches.
func TestIndexMerges(t *testing.T) {
	t.Parallel()
	l := open(t, filepath.Join(t.TempDir(), "ledger.db"), Options{})
	defer func() { _ = l.Close() }()
	err := l.write(t.Context(), func(t *tx) error { return t.exec(`INSERT INTO search (search, rank) VALUES ('crisismerge', 1000)`) })
	if err != nil {
		t.Fatal(err)
	}
	const chats = 400
	for i := range chats {
		h := hook(fmt.Sprintf("c%d", i), "help")
		h.Conversation.Messages[0].Text = fmt.Sprintf("question %d about %x", i, noise(200+i))
		accept(t, l, h)
	}
	caughtUp(t, l)
	for deadline := time.Now().Add(2 * time.Minute); ; <-time.After(5 * time.Millisecond) {
		var automerge, segments, found int
		err := l.read(t.Context(), `SELECT (SELECT v FROM search_config WHERE k = 'automerge'), (SELECT count(DISTINCT segid) FROM search_idx),
			(SELECT count(*) FROM search WHERE search MATCH '"question"')`, nil, &automerge, &segments, &found)
		if err != nil {
			t.Fatal(err)
		}
		if automerge != 0 || found != chats {
			t.Fatalf("automerge is %d, and %d of %d are found", automerge, found, chats)
		}
		if segments <= 12 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the index has %d segments of %d chats", segments, chats)
		}
	}
}
