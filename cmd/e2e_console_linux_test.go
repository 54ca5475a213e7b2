// This file looks at every page of the console in a real browser.

package cmd_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestE2EConsoleComplaints proves that what the other tests take for silence is: a tab hears of what the policy forbids,
// of errors and of exceptions.
func TestE2EConsoleComplaints(t *testing.T) {
	binary(t)
	browser := newBrowser(t)
	path, hooks, admin := writeConfig(t, t.TempDir(), "  log: {type: file, path: outbox.jsonl}\n")
	start(t, path, hooks, admin, startOptions{})
	tab := browser.tab(t, admin)
	tab.open("/")
	if said := tab.taken(); len(said) > 0 {
		t.Errorf("the overview alone: %v", said)
	}
	for bad, want := range map[string]string{
		`document.body.insertAdjacentHTML('beforeend', '<p style="color: red">red</p>')`:                           "violation of the policy: style-src",
		`document.body.insertAdjacentHTML('beforeend', '<img src="data:,x" onerror="alert(1)">')`:                  "violation of the policy: script-src-attr",
		`document.body.append(Object.assign(document.createElement('script'), {textContent: '1'}))`:                "violation of the policy: script-src-elem inline",
		`document.body.append(Object.assign(document.createElement('script'), {src: 'https://example.com/x.js'}))`: "violation of the policy: script-src-elem https://example.com",
		`location.href = 'javascript:alert(1)'`:                                                                    "violation of the policy: script-src-elem",
		`document.body.append(Object.assign(document.createElement('img'), {src: '/missing.png'}))`:                "404",
		`setTimeout(() => { throw new Error('an exception') }), 0`:                                                 "an exception",
		`console.warn('odd')`: "odd",
	} {
		tab.run(bad)
		eventually(t, time.Minute, func() error {
			if said := tab.taken(); !strings.Contains(strings.Join(said, "\n"), want) {
				return fmt.Errorf("%s: %q is not in %q", bad, want, said)
			}
			return nil
		})
	}
	tab.open("/")
	tab.taken()
}

// consoleTargets are a desk that may refuse, one that is away, and a file; routes leave some conversations alone.
const consoleTargets = `  help: {type: http, url: '%[1]s/help'}
  crm: {type: http, url: '%[1]s/crm', retry: {min: 1s, max: 5s}}
  log: {type: file, path: outbox.jsonl}
routes:
  - name: everything
    when: rating != 5
    to:
      help: {body: {subject: '${coalesce(visitor.name, "a visitor")}', priority: '${rating <= 2 ? "urgent" : "normal"}', text: '${transcript.text}'}}
      log: {}
  - name: missed
    when: outcome == "missed"
    to: crm
`

// fussy is a help desk that knows no priority "urgent", beside a CRM that is away and a chat that does not let us in.
func fussy(t testing.TB) (*sink, string) {
	t.Helper()
	kept := newSink(t)
	desk := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		switch {
		case err != nil:
			w.WriteHeader(http.StatusBadRequest)
		case strings.HasPrefix(r.URL.Path, "/slack"):
			w.WriteHeader(http.StatusUnauthorized)
		case strings.HasPrefix(r.URL.Path, "/crm"):
			w.WriteHeader(http.StatusServiceUnavailable)
		case bytes.Contains(body, []byte(`"priority":"urgent"`)):
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = io.WriteString(w, `{"error":"RecordInvalid","details":{"priority":"is not one of low, normal, high"}}`)
		default:
			r.Body = io.NopCloser(bytes.NewReader(body))
			kept.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(desk.Close)
	return kept, desk.URL
}

// TestE2EConsoleEmpty looks at the pages of a gateway that has just been installed.
func TestE2EConsoleEmpty(t *testing.T) {
	binary(t)
	b := newBrowser(t)
	_, desk := fussy(t)
	path, hooks, admin := writeConfig(t, t.TempDir(), fmt.Sprintf(consoleTargets, desk))
	start(t, path, hooks, admin, startOptions{})
	visitAll(t, b, admin)
}

// TestE2EConsoleHostile looks at the pages of a gateway whose visitors mean ill.
func TestE2EConsoleHostile(t *testing.T) {
	binary(t)
	b := newBrowser(t)
	_, desk := fussy(t)
	path, hooks, admin := writeConfig(t, t.TempDir(), fmt.Sprintf(consoleTargets, desk))
	start(t, path, hooks, admin, startOptions{})
	for id := range 100 {
		body := hostileHook(id)
		if id%20 == 0 {
			body = append([]byte("not JSON "), body...)
		}
		if status, answer := post(t.Context(), "http://"+hooks+"/in/shop/"+e2eSecret, body); status != http.StatusOK {
			t.Fatalf("%d %s", status, answer)
		}
	}
	visitAll(t, b, admin)
}

// TestE2EConsoleLarge looks at the pages of a gateway that has taken 100,000 conversations.
func TestE2EConsoleLarge(t *testing.T) {
	binary(t)
	b := newBrowser(t)
	_, desk := fussy(t)
	folder := t.TempDir()
	path, hooks, admin := writeConfig(t, folder, fmt.Sprintf(consoleTargets, desk))
	seeded(t, path, hooks, admin, filepath.Join(folder, "data", "afterchat.db"), 100_000, 100_000, 30*24*time.Hour)
	start(t, path, hooks, admin, startOptions{})
	visitAll(t, b, admin)
	p := b.tab(t, admin)
	p.open("/conversations?q=needle")
	if n := ask[int](p, `document.querySelectorAll('[data-row]').length`); n != 2 {
		t.Errorf("%d conversations have the needle", n)
	}
	// The pages of a list follow each other without a gap or a repeat.
	p.open("/deliveries?state=dead")
	seen := map[string]bool{}
	for range 3 {
		for _, open := range ask[[]string](p, `[...document.querySelectorAll('[data-open]')].map(a => a.getAttribute('href'))`) {
			if seen[open] {
				t.Errorf("%s stands on two pages", open)
			}
			seen[open] = true
		}
		p.click(`a[rel=next]`)
	}
	if len(seen) < 100 {
		t.Errorf("three pages hold %d deliveries", len(seen))
	}
}
