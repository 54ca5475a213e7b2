// This file looks at every page of the console in a real browser.

package cmd_test

import (
	"fmt"
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
	tab := newTab(t, browser, admin)
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
		eventually(t, 10*time.Second, func() error {
			if said := tab.taken(); !strings.Contains(strings.Join(said, "\n"), want) {
				return fmt.Errorf("%s: %q is not in %q", bad, want, said)
			}
			return nil
		})
	}
	tab.open("/")
	tab.taken()
}
