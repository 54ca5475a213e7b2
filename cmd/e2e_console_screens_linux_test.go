// This file takes pictures of the console for people to look at, and those of the README: build/screenshots holds them.

package cmd_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// dayTargets are a desk that refuses what is urgent, a CRM that is away, and a chat that does not let us in.
const dayTargets = `  help: {type: http, url: '%[1]s/help', rate: 400/m}
  crm: {type: http, url: '%[1]s/crm', retry: {min: 20s, max: 10m}}
  slack: {type: http, url: '%[1]s/slack', on_update: ignore}
routes:
  - name: bad rating
    when: rating <= 2
    to:
      slack:
        body: {text: ':warning: ${brand}: ${rating}/5 from ${coalesce(visitor.name, "a visitor")}'}
  - name: everything
    to:
      help:
        body:
          subject: 'Chat with ${coalesce(visitor.name, visitor.email, "a visitor")}'
          priority: '${rating <= 2 ? "urgent" : "normal"}'
          tags: [chat, '${source}', '${brand}']
          comment: '${transcript.text}'
  - name: missed and offline
    from: [shop]
    when: 'outcome in ["missed", "offline"] and visitor.email != ""'
    to:
      help: {body: {subject: 'Missed: ${visitor.name}', priority: high}}
      crm: {}
tests:
  - name: missed chat becomes a ticket of high priority
    source: shop
    sample: missed.json
    expect:
      routes: [everything, missed and offline]
      help.body.priority: high
`

func TestE2EConsoleScreens(t *testing.T) {
	binary(t)
	b := newBrowser(t)
	_, desk := fussy(t)
	folder := t.TempDir()
	path, hooks, admin := writeConfig(t, folder, fmt.Sprintf(dayTargets, desk))
	if err := os.WriteFile(filepath.Join(folder, "missed.json"), dayHook(11), 0o644); err != nil {
		t.Fatal(err)
	}
	seeded(t, path, hooks, admin, filepath.Join(folder, "data", "afterchat.db"), 2400, 2400, 24*time.Hour)
	start(t, path, hooks, admin, startOptions{})
	for _, body := range []string{`{"accountId": 208, "messages": [`, `<xml>not ours</xml>`} {
		if status, answer := post(t.Context(), "http://"+hooks+"/in/shop/"+e2eSecret, []byte(body)); status != http.StatusOK {
			t.Fatalf("%d %s", status, answer)
		}
	}
	for id := range 20 {
		if status, answer := post(t.Context(), "http://"+hooks+"/in/shop/"+e2eSecret, dayHook(200+id)); status != http.StatusOK {
			t.Fatalf("%d %s", status, answer)
		}
	}
	settled(t, admin)
	p := b.tab(t, admin)
	p.open("/conversations?q=" + "dusan.horak@example.com+state:dead")
	conversation := ask[string](p, `document.querySelector('[data-open]').getAttribute('href')`)
	pages := []struct {
		name, path string
		height     int64
		before     func()
	}{
		{"overview", "/", 1150, nil},
		{"conversations", "/conversations", 900, nil},
		{"conversation", conversation, 1250, func() { p.click(".reveal button") }},
		{"conversation-masked", conversation, 1100, nil},
		{"deliveries", "/deliveries?state=dead", 900, nil},
		{"failures", "/failures", 700, nil},
		{"quarantine", "/quarantine", 500, nil},
		{"targets", "/targets", 800, nil},
		{"replay", "/replays/new?state=dead&target=help", 1000, nil},
		{"replays", "/replays", 500, nil},
		{"playground", "/playground", 1500, func() {
			p.do(chromedp.SetValue(chromedp.CSS("#payload"), string(dayHook(3))))
			p.click(".playground button")
		}},
		{"playground-mistake", "/playground", 1300, func() {
			p.do(chromedp.SetValue(chromedp.CSS("#payload"), string(dayHook(3))))
			p.run(`document.querySelector('#routes').value = document.querySelector('#routes').value.replace('visitor.email != ', 'visitor.emial != ')`)
			p.click(".playground button")
		}},
		{"configuration", "/configuration", 1000, func() { p.click(`form[action$="/test"] button`) }},
		{"audit", "/audit", 500, nil},
		{"keys", "/conversations", 900, func() { p.press("j"); p.press("j"); p.press("?") }},
		{"not-found", "/nowhere", 400, nil},
	}
	for _, page := range pages {
		for _, scheme := range []string{"light", "dark"} {
			p.scheme(scheme)
			p.open(page.path)
			if page.before != nil {
				page.before()
			}
			p.screenshot(page.name+"-"+scheme, 1440, page.height)
		}
	}
	// Those of the README, see internal/console/README.md.
	p.scheme("light")
	p.open("/")
	p.screenshot("readme-overview", 1180, 830)
	p.open(conversation)
	p.click(".reveal button")
	p.run(`document.querySelector('#help details').open = true`)
	p.screenshot("readme-conversation", 1180, 800)
	for _, page := range pages[:6] {
		p.scheme("light")
		p.open(page.path)
		p.screenshot(page.name+"-narrow", 390, 1200)
	}
	for _, c := range p.taken() {
		if !strings.Contains(c, "404") {
			t.Error(c)
		}
	}
}
