// This file uses the console as people do: by keyboard, while things happen, and without JavaScript.

package cmd_test

import (
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// consoleOf runs a gateway with a fussy desk and some hooks.
func consoleOf(t *testing.T, hooks [][]byte) (kept *sink, path, hooksURL, admin string) {
	t.Helper()
	kept, desk := fussy(t)
	path, address, admin := writeConfig(t, t.TempDir(), fmt.Sprintf(consoleTargets, desk))
	start(t, path, address, admin, startOptions{})
	hooksURL = "http://" + address + "/in/shop/" + e2eSecret
	for _, body := range hooks {
		if status, answer := post(t.Context(), hooksURL, body); status != http.StatusOK {
			t.Fatalf("%d %s", status, answer)
		}
	}
	return kept, path, hooksURL, admin
}

// plainHook is a chat of a visitor with a name and a rating.
func plainHook(id int, name, email, text string, rating int) []byte {
	at := time.Now().Add(-time.Minute).UnixMilli()
	return fmt.Appendf(nil, `{"accountId":208,"beginAt":%[1]d,"endAt":%[2]d,"channel":{"id":%[3]d,"isCompleted":true,"rating":%[4]d},
"visitor":{"id":%[3]d,"name":%[5]q,"email":%[6]q},"messages":[
{"type":"visitor","from":"visitor:a","content":%[7]q,"sentAt":%[1]d},
{"type":"agent","name":"Jana","from":"agent:3","content":"I am sorry to hear that.","sentAt":%[2]d}]}`, at, at+40_000, id, rating, name, email, text)
}

func plainHooks(n int) (out [][]byte) {
	for id := range n {
		out = append(out, plainHook(id+1, fmt.Sprintf("Visitor %d", id+1), fmt.Sprintf("visitor%d@example.com", id+1), "Where is my parcel?", 1+id%5))
	}
	return out
}

// markedLine is the number and the address of the marked line.
const markedLine = `(() => {
	const rows = [...document.querySelectorAll('[data-row]')], row = document.querySelector('[data-row].here');
	return rows.indexOf(row) + ' ' + (row?.querySelector('[data-open]')?.getAttribute('href') ?? '') + ' ' + (row?.contains(document.activeElement) ?? false);
})()`

func TestE2EConsoleKeys(t *testing.T) {
	binary(t)
	b := newBrowser(t)
	_, _, hooks, admin := consoleOf(t, plainHooks(12))
	p := b.tab(t, admin)
	p.open("/conversations")

	p.press("/")
	if id := ask[string](p, `document.activeElement.id`); id != "q" {
		t.Errorf("after / the focus is on %q", id)
	}
	p.press("visitor3@example.com")
	if said := ask[string](p, `document.activeElement.value`); said != "visitor3@example.com" {
		t.Errorf("the box holds %q", said)
	}
	p.press(kb.Enter)
	p.until(`location.search.includes('visitor3%40example.com') && document.querySelectorAll('[data-row]').length === 1`)

	p.open("/conversations")
	p.press("j")
	p.press("j")
	p.press("j")
	p.press("k")
	marked := ask[string](p, markedLine)
	if !strings.HasPrefix(marked, "1 /conversations/c") || !strings.HasSuffix(marked, " true") {
		t.Errorf("after j j j k the marked line is %q", marked)
	}

	// A conversation comes in above it: the line goes down by one, stays marked and keeps the focus.
	if status, answer := post(t.Context(), hooks, plainHook(100, "Late", "late@example.com", "One more", 3)); status != http.StatusOK {
		t.Fatal(status, answer)
	}
	p.until(`document.querySelectorAll('[data-row]').length === 13`)
	if now := ask[string](p, markedLine); now != "2"+strings.TrimPrefix(marked, "1") {
		t.Errorf("the marked line was %q and is %q", marked, now)
	}
	// When nothing has changed, the page is not sent again.
	before := p.answered(http.StatusNotModified)
	eventually(t, time.Minute, func() error {
		if p.answered(http.StatusNotModified) < before+2 {
			return fmt.Errorf("%d answers were 304", p.answered(http.StatusNotModified)-before)
		}
		return nil
	})
	open := strings.Fields(marked)[1]
	p.press(kb.Enter)
	p.until(`location.pathname === ` + quote(open))

	p.open("/conversations")
	p.press("?")
	p.until(`document.querySelector('dialog').open`)
	p.see("bring the page up to date")
	p.press(kb.Escape)
	p.until(`!document.querySelector('dialog').open`)

	// Paused, nothing is fetched; r fetches once all the same.
	p.press("p")
	p.until(`document.querySelector('[data-pause]').textContent === 'Paused'`)
	if status, answer := post(t.Context(), hooks, plainHook(101, "Later", "later@example.com", "And one more", 3)); status != http.StatusOK {
		t.Fatal(status, answer)
	}
	asked := p.answered(http.StatusOK) + p.answered(http.StatusNotModified)
	timer := time.NewTimer(4 * time.Second) // longer than from one update to the next
	<-timer.C
	if now := p.answered(http.StatusOK) + p.answered(http.StatusNotModified); now != asked {
		t.Errorf("a paused page asked %d times", now-asked)
	}
	p.press("r")
	p.until(`document.querySelectorAll('[data-row]').length === 14`)
	p.press("p")
	p.until(`document.querySelector('[data-pause]').textContent === 'Live'`)

	p.run(`document.querySelector('[data-zone]').click()`)
	p.until(`document.querySelector('[data-zone]').textContent === 'Local'`)
}

// TestE2EConsoleLive: a page that stays open shows what happens.
func TestE2EConsoleLive(t *testing.T) {
	binary(t)
	b := newBrowser(t)
	_, _, hooks, admin := consoleOf(t, nil)
	p := b.tab(t, admin)
	p.open("/")
	p.see("Nothing has failed.")
	if status, answer := post(t.Context(), hooks, plainHook(1, "Ada", "ada@example.com", "Hello", 1)); status != http.StatusOK {
		t.Fatal(status, answer)
	}
	p.until(`[...document.querySelectorAll('#tiles .tile')].some(e => e.innerText.trim().startsWith('1') && e.innerText.includes('dead'))`)
	p.until(`document.querySelector('#failing').innerText.includes('rejected 422')`)
	p.inspect(t, "the overview after a live update")
}

// TestE2EConsoleWithoutScripts: searching, filtering, looking, replaying and trying need no JavaScript.
func TestE2EConsoleWithoutScripts(t *testing.T) {
	binary(t)
	b := newBrowser(t)
	kept, path, _, admin := consoleOf(t, append(plainHooks(5), []byte("{")))
	p := b.tab(t, admin)
	p.scripts(false)
	eventually(t, time.Minute, func() error {
		p.open("/failures")
		if text := ask[string](p, `document.querySelector('main').innerText`); !strings.Contains(text, "rejected 422") {
			return fmt.Errorf("the failures are %s", text)
		}
		return nil
	})
	if ask[bool](p, `document.documentElement.classList.contains('scripted')`) {
		t.Fatal("scripts run")
	}
	p.inspect(t, "failures without scripts")

	p.open("/quarantine")
	p.click(".facets button")
	if n := ask[int](p, `document.querySelectorAll('[data-row]').length`); n != 1 {
		t.Errorf("%d lines without a filter", n)
	}

	p.open("/deliveries")
	p.do(chromedp.Focus(chromedp.CSS(`select[name=state]`)), chromedp.KeyEvent("dead"))
	p.click(".facets button")
	p.until(`location.search.includes('state=dead')`)
	p.see("2 match", "v***@***")
	if n := ask[int](p, `document.querySelectorAll('[data-row]').length`); n != 2 {
		t.Errorf("%d lines", n)
	}

	p.do(chromedp.SendKeys(chromedp.CSS("#q"), "visitor1@example.com state:dead"+kb.Enter))
	p.until(`location.pathname === '/conversations' && document.querySelectorAll('[data-row]').length === 1`)
	p.click("[data-open]")
	p.see("rejected 422", "Personal data is hidden")
	replaceIn(t, path, `"urgent"`, `"high"`)
	p.click(".reveal button")
	p.see("visitor1@example.com", "Where is my parcel?", "is not one of low, normal, high")

	p.open("/configuration")
	p.click(`form[action="/configuration/reload"] button`)
	p.see("The configuration is in force.")
	p.open("/conversations?q=visitor1%40example.com")
	p.click("[data-open]")
	p.click(".reveal button")
	p.see("What a replay would change")
	p.click(`form[action$="/help/replay"] button`)
	p.see("It is due again.")
	eventually(t, time.Minute, func() error {
		if n := kept.externalIDs()["<nil>/<nil>"]; n < 1 {
			return fmt.Errorf("nothing is at the desk")
		}
		p.open("/conversations?q=visitor1%40example.com+target:help+state:delivered")
		if n := ask[int](p, `document.querySelectorAll('[data-row]').length`); n != 1 {
			return fmt.Errorf("%d lines", n)
		}
		return nil
	})

	p.open("/playground")
	p.do(chromedp.SetValue(chromedp.CSS("#payload"), string(plainHook(9, "Grace", "grace@example.com", "My invoice is wrong", 2))))
	p.click(".playground button")
	p.see("My invoice is wrong", "What the targets get", `"priority": "high"`)
	p.do(chromedp.SetValue(chromedp.CSS("#routes"), "- name: odd\n  when: visitor.emial == \"x\"\n  to: help\n"))
	p.click(".playground button")
	p.see(`unknown field "emial"`, "^")
	if routes := ask[string](p, `document.querySelector('#routes').value`); strings.Contains(routes, "\ufffd") || !strings.HasPrefix(routes, "- name: odd\n  when: ") {
		t.Errorf("the routes come back as %q", routes)
	}
	p.inspect(t, "the playground without scripts")
}

// TestE2EConsoleHostileText: what visitors write is shown as they wrote it, to whoever asks to see it.
func TestE2EConsoleHostileText(t *testing.T) {
	binary(t)
	b := newBrowser(t)
	var hooks [][]byte
	for id := range 11 {
		hooks = append(hooks, hostileHook(id))
	}
	_, _, _, admin := consoleOf(t, append(hooks, []byte(`{"oops": "<script>alert(1)</script>`)))
	p := b.tab(t, admin)
	p.open("/conversations")
	p.click(".reveal button")
	list := ask[string](p, `document.querySelector('main').innerText`)
	for _, want := range []string{`<script>alert("x")</script>`, `<svg onload=alert(1)>`, `"><img src=x onerror=alert(1)>`, `{{.}} ${visitor.email}`, "eve3@example.com"} {
		if !strings.Contains(list, want) {
			t.Errorf("%q is not in the list", want)
		}
	}
	p.inspect(t, "the list, shown")
	p.open("/conversations")
	for _, path := range ask[[]string](p, `[...document.querySelectorAll('[data-open]')].map(a => a.getAttribute('href'))`) {
		p.open(path)
		p.inspect(t, "a conversation, hidden")
		p.click(".reveal button")
		p.inspect(t, "a conversation, shown")
		if n := ask[int](p, `document.querySelectorAll('.chat .text').length`); n != 2 {
			t.Errorf("%s has %d messages", path, n)
		}
	}
	p.open("/conversations?q=" + "script")
	p.click("[data-open]")
	p.click(".reveal button")
	p.see(`<script>alert("x")</script>`)
	p.click(`a[href^="/playground?conversation="]`)
	p.see(`<script>alert("x")</script>`, "What the targets get")
	p.inspect(t, "the playground with a hook that is there")
	p.open("/quarantine")
	p.click("[data-open]")
	p.click(".reveal button")
	p.see(`{"oops": "<script>alert(1)</script>`)
	p.inspect(t, "a hook in quarantine, shown")
	p.open("/playground")
	p.do(chromedp.SetValue(chromedp.CSS("#payload"), string(hostileHook(0))))
	p.click(".playground button")
	p.see(`<script>alert("x")</script>`)
	p.inspect(t, "the playground")
	p.open("/audit")
	p.see("reveal")
}

// TestE2EConsolePlayground: whoever types sees what comes of it, without pressing a button.
func TestE2EConsolePlayground(t *testing.T) {
	binary(t)
	b := newBrowser(t)
	_, _, _, admin := consoleOf(t, nil)
	p := b.tab(t, admin)
	p.open("/playground")
	typed := func(field, text string) {
		t.Helper()
		p.run(fmt.Sprintf(`const f = document.querySelector(%s); f.value = %s; f.dispatchEvent(new Event('input', {bubbles: true}))`, quote(field), quote(text)))
	}
	shows := func(text string) {
		t.Helper()
		p.until(`document.querySelector('#result').innerText.includes(` + quote(text) + `)`)
	}
	typed("#payload", string(plainHook(9, "Grace", "grace@example.com", "My invoice is wrong", 2)))
	shows("My invoice is wrong")
	shows(`"priority": "urgent"`)
	typed("#routes", "- name: odd\n  when: visitor.emial == \"x\"\n  to: help\n")
	shows(`unknown field "emial", did you mean "email"?`)
	typed("#routes", "- name: one\n  when: rating <= 2\n  to:\n    help: {body: {subject: '${visitor.name} is unhappy'}}\n")
	shows("Grace is unhappy")
	typed("#payload", "{")
	shows("the hook")
	p.inspect(t, "the playground")
}

// TestE2EConsoleLogin: with a password nothing is shown without it.
func TestE2EConsoleLogin(t *testing.T) {
	hashed := exec.CommandContext(t.Context(), binary(t), "config", "password")
	hashed.Stdin = strings.NewReader("correct horse battery staple\n")
	hash, err := hashed.Output()
	if err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t)
	_, desk := fussy(t)
	path, hooks, admin := writeConfig(t, t.TempDir(), fmt.Sprintf(consoleTargets, desk))
	replaceIn(t, path, fmt.Sprintf("admin: {listen: %q}", admin), fmt.Sprintf("admin: {listen: %q, password: '%s'}", admin, strings.TrimSpace(string(hash))))
	start(t, path, hooks, admin, startOptions{})
	p := b.tab(t, admin)
	p.open("/conversations?state=dead")
	p.until(`location.pathname === '/login'`)
	p.inspect(t, "the log-in")
	if id := ask[string](p, `document.activeElement.id`); id != "password" {
		t.Errorf("the focus is on %q", id)
	}
	logIn := func(password string) {
		t.Helper()
		p.do(chromedp.SendKeys(chromedp.CSS("#password"), password))
		p.click("form.login button")
	}
	logIn("wrong")
	p.see("That is not the password.")
	p.inspect(t, "the log-in after a wrong password")
	logIn("correct horse battery staple")
	p.until(`location.pathname + location.search === '/conversations?state=dead'`)
	p.see("Conversations", "Log out")
	p.inspect(t, "conversations after the log-in")
	p.click(`form[action="/logout"] button`)
	p.open("/")
	p.until(`location.pathname === '/login'`)
}
