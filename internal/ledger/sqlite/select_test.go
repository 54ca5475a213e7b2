// This file tests filters that select more than is looked at to choose an index.

package sqlite

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/internal/ledger"
)

// What very many conversations have in common narrows nothing down, whichever way it is asked for.
func TestBroadFilters(t *testing.T) {
	t.Parallel()
	const n = manyRows + 5000
	path := filepath.Join(t.TempDir(), "ledger.db")
	if err := open(t, path, Options{}).Close(); err != nil {
		t.Fatal(err)
	}
	execute(t, path, fmt.Sprintf(million, n))
	l := open(t, path, Options{})
	broad := map[string]func(f *ledger.Filter){
		"a word":                    func(f *ledger.Filter) { f.Text = append(f.Text, "order") },
		"a phrase and a beginning":  func(f *ledger.Filter) { f.Text = append(f.Text, "where is my", "hel") },
		"the beginning of e-mails":  func(f *ledger.Filter) { f.Emails = []string{"v"} },
		"e-mails":                   func(f *ledger.Filter) { f.Emails = []string{"v", "@example.com", "v1@example.com"} },
		"a domain":                  func(f *ledger.Filter) { f.Emails = []string{"@example.com"} },
		"the beginning of their id": func(f *ledger.Filter) { f.ExternalIDs = []string{"x*"} },
	}
	for name, f := range map[string]ledger.Filter{
		"nothing": {}, "source": {Sources: []string{"desk"}}, "target": {Targets: []string{"help"}}, "class": {Classes: []string{"rejected 50", "rejected 100"}},
		"target without failures": {Targets: []string{"crm"}}, "ids": {IDs: []string{"c50", "c100", "c51"}}, "word": {Text: []string{"needle"}},
	} {
		failures, err := l.Failures(t.Context(), f)
		if err != nil || (len(failures) == 0) != (name == "word" || name == "target without failures") {
			t.Fatalf("%s: %v %v", name, failures, err)
		}
		page, err := l.Deliveries(t.Context(), f, ledger.Page{})
		if err != nil {
			t.Fatal(err)
		}
		count, err := l.Count(t.Context(), f, 0)
		if err != nil {
			t.Fatal(err)
		}
		for what, narrow := range broad {
			g := f
			g.Text = slices.Clone(f.Text)
			narrow(&g)
			got, err := l.Failures(t.Context(), g)
			if diff := cmp.Diff(failures, got); err != nil || diff != "" {
				t.Errorf("failures by %s and %s: %v (-want +got):\n%s", name, what, err, diff)
			}
			list, err := l.Deliveries(t.Context(), g, ledger.Page{})
			if diff := cmp.Diff(page, list); err != nil || diff != "" {
				t.Errorf("deliveries by %s and %s: %v (-want +got):\n%s", name, what, err, diff)
			}
			if n, err := l.Count(t.Context(), g, 0); err != nil || n != count {
				t.Errorf("%d deliveries by %s and %s, want %d, %v", n, name, what, count, err)
			}
		}
	}
}
