// This file tells the story of a dead letter: it is found, its cause read, its mapping corrected, the difference looked
// at, replayed, and seen delivered, once. In the browser, by command line alone, and ten thousand at a time.

package cmd_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// subjects counts what a desk holds by the subject and the priority that the story maps.
func (s *sink) subjects() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := map[string]int{}
	for _, o := range s.objects {
		held[fmt.Sprintf("%v, %v", o["subject"], o["priority"])]++
	}
	return held
}

// storyHooks are chats of which one, with a bad rating, makes a dead letter.
func storyHooks() [][]byte {
	out := plainHooks(5)[1:] // the first has rating 2
	for i := range out {
		out[i] = plainHook(i+10, fmt.Sprintf("Visitor %d", i), fmt.Sprintf("visitor%d@example.com", i), "Where is my parcel?", 3)
	}
	return append(out, plainHook(42, "Ada Lovelace", "ada@example.com", "The parcel arrived broken.", 1))
}

func TestE2EConsoleStory(t *testing.T) {
	binary(t)
	b := newBrowser(t)
	kept, path, _, admin := consoleOf(t, storyHooks())
	settled(t, admin)
	p := b.tab(t, admin)

	// Found by e-mail, without a pointer.
	p.open("/")
	p.press("/")
	p.press("ada@example.com")
	p.press(kb.Enter)
	p.until(`location.pathname === '/conversations' && document.querySelectorAll('[data-row]').length === 1 && document.documentElement.classList.contains('scripted')`)
	p.press("j")
	p.press(kb.Enter)
	p.until(`location.pathname.startsWith('/conversations/c')`)
	conversation := ask[string](p, `location.pathname`)

	// Its cause.
	p.see("dead", "rejected 422")
	p.click(".reveal button")
	p.see("The parcel arrived broken.", `"priority":"is not one of low, normal, high"`)
	p.run(`for (const d of document.querySelectorAll('details')) d.open = true`)
	p.see(`"priority": "urgent"`)

	// The mapping is corrected in the file; the gateway sees that by itself.
	replaceIn(t, path, `"urgent"`, `"high"`)
	eventually(t, time.Minute, func() error {
		p.open("/configuration")
		if shown := ask[string](p, `document.querySelector('main').innerText`); !strings.Contains(shown, `"high"`) {
			return fmt.Errorf("the configuration in force is\n%s", shown)
		}
		return nil
	})

	// The difference.
	p.open(conversation)
	p.click(".reveal button")
	p.run(`for (const d of document.querySelectorAll('details')) d.open = true`)
	difference := ask[string](p, `document.querySelector('.diff').innerText`)
	if !strings.Contains(difference, `"priority": "urgent"`) || !strings.Contains(difference, `"priority": "high"`) {
		t.Errorf("the difference is\n%s", difference)
	}
	if colors := ask[[]string](p, `[...document.querySelectorAll('.diff span:is(.plus, .minus)')].map(e => e.className + e.innerText.trim().slice(0, 1))`); strings.Join(colors, " ") != "minus- plus+" {
		t.Errorf("the lines of the difference are %v", colors)
	}

	// Replayed, and seen delivered on the page as it stays open.
	p.open(conversation)
	p.click(`form[action$="/help/replay"] button`)
	p.see("It is due again.")
	p.until(`document.querySelector('#help .state').textContent === 'delivered'`)
	if held := kept.subjects()["Ada Lovelace, high"]; held != 1 {
		t.Errorf("the desk holds it %d times: %v", held, kept.subjects())
	}
	p.open("/failures?target=help")
	p.see("Nothing has failed.")
	p.open("/audit")
	p.see("replay", "reveal")
}

// TestE2EStoryByCommands is the same story by command line alone.
func TestE2EStoryByCommands(t *testing.T) {
	kept, path, _, admin := consoleOf(t, storyHooks())
	settled(t, admin)
	contains := func(what, text string, want ...string) {
		t.Helper()
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("%s lacks %q:\n%s", what, w, text)
			}
		}
	}
	contains("deliveries --failures", afterchat(t, path, "deliveries", "--failures"), "help", "dead", "rejected 422")
	var found struct {
		Items []struct{ Conversation, Target, State string }
	}
	list := afterchat(t, path, "deliveries", "--format", "json", "ada@example.com", "state:dead")
	if err := json.Unmarshal([]byte(list), &found); err != nil || len(found.Items) != 1 || found.Items[0].Target != "help" {
		t.Fatalf("%v\n%s", err, list)
	}
	id := found.Items[0].Conversation
	contains("deliveries show", afterchat(t, path, "deliveries", "show", id, "help"), "ada@example.com", "rejected 422", "is not one of low, normal, high")

	_, raw := answer(t, "http://"+admin+"/api/v1/conversations/"+id+"/revisions/1/raw")
	hook := filepath.Join(filepath.Dir(path), "hook.json")
	if err := os.WriteFile(hook, []byte(raw), 0o644); err != nil {
		t.Fatal(err)
	}
	contains("explain", afterchat(t, path, "explain", "--source", "shop", hook), "priority: urgent")
	replaceIn(t, path, `"urgent"`, `"high"`)
	contains("check", afterchat(t, path, "check"), "")
	contains("explain", afterchat(t, path, "explain", "--source", "shop", hook), "priority: high")
	eventually(t, time.Minute, func() error {
		if _, text := answer(t, "http://"+admin+"/api/v1/deliveries/"+id+"/help/request?with=today"); !strings.Contains(text, "high") {
			return fmt.Errorf("today's request is %s", text)
		}
		return nil
	})
	contains("replay --dry-run", afterchat(t, path, "replay", "--target", "help", "--dry-run"), "1 dead")
	afterchat(t, path, "replay", "--target", "help", "--yes")
	eventually(t, time.Minute, func() error {
		if text := afterchat(t, path, "deliveries", "show", id, "help"); !strings.Contains(text, "delivered") {
			return fmt.Errorf("%s", text)
		}
		return nil
	})
	if held := kept.subjects()["Ada Lovelace, high"]; held != 1 {
		t.Errorf("the desk holds it %d times: %v", held, kept.subjects())
	}
}

// TestE2EConsoleBulk replays ten thousand dead letters from the page, and kills the gateway in the middle.
func TestE2EConsoleBulk(t *testing.T) {
	binary(t)
	const chats = 10_000
	b := newBrowser(t)
	kept, desk := fussy(t)
	folder := t.TempDir()
	path, hooks, admin := writeConfig(t, folder, fmt.Sprintf(`  help: {type: http, url: '%s/help', workers: 16}
routes:
  - {name: all, to: {help: {body: {external_id: '${external_id}', revision: '${revision}', priority: urgent}}}}
`, desk))
	gateway := start(t, path, hooks, admin, startOptions{})
	began := time.Now()
	var acknowledged sync.Map
	var next atomic.Int64
	var senders sync.WaitGroup
	for range 32 {
		senders.Go(func() {
			for id := int(next.Add(1)); id <= chats; id = int(next.Add(1)) {
				if status, answer := post(t.Context(), "http://"+hooks+"/in/shop/"+e2eSecret, chatHook(id)); status != http.StatusOK {
					t.Errorf("hook %d: %d %s", id, status, answer)
				}
				acknowledged.Store(id, true)
			}
		})
	}
	senders.Wait()
	p := b.tab(t, admin)
	eventually(t, time.Minute, func() error {
		p.open("/failures")
		if text := ask[string](p, `document.querySelector('#rows').innerText`); !strings.Contains(text, "10,000") {
			return fmt.Errorf("%s", text)
		}
		return nil
	})
	dead := time.Since(began)

	replaceIn(t, path, "priority: urgent", "priority: high")
	p.open("/configuration")
	p.click(`form[action="/configuration/reload"] button`)
	p.open("/failures")
	p.click(`#rows a.button`)
	p.see("10,000 dead deliveries match", "urgent", "high")
	p.do(chromedp.SetValue(chromedp.CSS(`[name=per_second]`), "0"), chromedp.SendKeys(chromedp.CSS(`[name=count]`), "10000"))
	p.click(`form.ask button`)
	p.see("The replay has begun.")

	replayed := time.Now()
	eventually(t, time.Minute, func() error {
		if n := len(kept.externalIDs()); n < chats/3 {
			return fmt.Errorf("%d at the desk", n)
		}
		return nil
	})
	gateway.kill()
	atKill := len(kept.externalIDs())
	start(t, path, hooks, admin, startOptions{})
	assertDelivered(t, kept, &acknowledged, 2*time.Minute)
	p.open("/replays")
	p.until(`document.querySelector('#rows .state').textContent === 'done'`)
	p.see("10,000 of 10,000")
	p.open("/failures")
	p.see("Nothing has failed.")
	ids := kept.externalIDs()
	if len(ids) != chats {
		t.Errorf("the desk holds %d conversations", len(ids))
	}
	kept.mu.Lock()
	defer kept.mu.Unlock()
	t.Logf("%d dead letters after %s; replayed from the page, killed at %d, started again: %d at the desk after %s, each once; %d requests",
		chats, dead.Round(time.Second), atKill, len(ids), time.Since(replayed).Round(100*time.Millisecond), kept.requests)
	p.taken() // the page asked while there was no gateway
}
