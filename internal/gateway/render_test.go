// This file tests what is told of attempts: the very requests that they had sent, whatever has changed since.

package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/console"
	"github.com/afterchat/afterchat/internal/ledger"
)

// subjectConfig is apiConfig with another subject, and with an update of what help holds.
func subjectConfig(subject string) string {
	return strings.NewReplacer(
		`'${visitor.name} says ${messages[0].text}'`, `'`+subject+` ${visitor.name}'`,
		`big: 9007199254740993}}`, `big: 9007199254740993}, update: {method: PATCH, path: '/{id}', body: {again: '`+subject+`'}}}`,
		`"http://help.example/chats",`, `"http://help.example/chats", receipt: {id: /id},`,
	).Replace(fmt.Sprintf(apiConfig, ""))
}

// TestAttempts: each attempt shows what it had sent, by configuration, revision and what was known of the target then.
func TestAttempts(t *testing.T) {
	t.Parallel()
	vendor := newMoody()
	vendor.set("help.example", http.StatusUnprocessableEntity)
	path := filepath.Join(t.TempDir(), "afterchat.yaml")
	writeFile(t, path, subjectConfig("A"))
	r := startFrom(t, path, vendor, nil)
	c := newClient(t, r, "")
	r.chat(t, chatHook(1, "ada@example.com", 1, "hello"))
	r.settled(t)
	id := get[console.List[console.Conversation]](c, "/conversations").Items[0].ID
	delivery := "/deliveries/" + id + "/help"
	replay := func(subject string, take bool) {
		t.Helper()
		r.reloaded(t, path, subjectConfig(subject))
		if take {
			vendor.set("help.example", 0)
		}
		answered[console.Delivery](c, "POST", delivery+"/replay", "{}")
		r.settled(t)
	}
	replay("B", false)
	replay("C", true)
	r.chat(t, strings.Replace(chatHook(1, "ada@example.com", 1, "hello"), `"messages":[`, `"messages":[{"type":"visitor","from":"visitor:a","content":"hi","sentAt":1427470439701},`, 1))
	r.settled(t)
	r.reloaded(t, path, subjectConfig("D"))

	log := get[console.DeliveryDetail](c, delivery).Log
	if len(log) != 4 || log[3].Revision != 2 {
		t.Fatalf("the attempts: %+v", log)
	}
	var sent []string // what the vendor got
	for _, a := range log[:2] {
		var answer struct{ Record string }
		if err := json.Unmarshal([]byte(a.Response), &answer); err != nil {
			t.Fatal(err)
		}
		sent = append(sent, answer.Record)
	}
	sent = append(sent, vendor.bodies("help.example")...)
	hashes := map[string]bool{}
	for i, body := range sent {
		got := get[console.RenderedDelivery](c, fmt.Sprintf("%s/request?attempt=%d", delivery, i+1))
		if len(got.Requests) != 1 || strings.TrimSpace(got.Requests[0].Body) != strings.TrimSpace(body) || got.With != console.WithThen {
			t.Errorf("attempt %d: %+v, it had sent %s", i+1, got, body)
		}
		if want := []string{"POST", "POST", "POST", "PATCH"}[i]; got.Requests[0].Method != want {
			t.Errorf("attempt %d: %s, want %s", i+1, got.Requests[0].Method, want)
		}
		if got.Attempt == nil || got.Attempt.Status != log[i].Status || got.Attempt.Response != log[i].Response || got.Unknown != "" {
			t.Errorf("what was answered to attempt %d: %+v", i+1, got.Attempt)
		}
		hashes[got.Config] = true
		difference := strings.Join(got.Difference, "\n")
		if !strings.Contains(difference, `-  "subject": "`) && !strings.Contains(difference, `-  "again": "C"`) || !strings.Contains(difference, `"D`) {
			t.Errorf("attempt %d differs from today by\n%s", i+1, difference)
		}
		today := get[console.RenderedDelivery](c, fmt.Sprintf("%s/request?attempt=%d&with=today", delivery, i+1))
		if len(today.Requests) != 1 || !strings.Contains(today.Requests[0].Body, `"D`) || today.Requests[0].Method != got.Requests[0].Method {
			t.Errorf("attempt %d with the configuration of today: %+v", i+1, today)
		}
	}
	if len(hashes) != 3 { // A, B, and C twice
		t.Errorf("the configurations: %v", hashes)
	}
	for _, text := range []string{"0", "x", "-1"} {
		c.refused(http.StatusBadRequest, "GET", delivery+"/request?attempt="+text, "")
	}
	c.refused(http.StatusNotFound, "GET", delivery+"/request?attempt=5", "")

	for _, query := range []string{"q=4711", "q=%234711", "receipt=4711", "q=receipt:4711", "email=ada", "email=@example.com", "external_id=1*"} {
		for _, list := range []string{"/conversations?", "/deliveries?target=help&"} {
			_, _, text := c.ask("GET", "/api/v1"+list+query, "")
			if strings.Count(string(text), `"revision":2,`) == 0 || !strings.Contains(string(text), id) {
				t.Errorf("%s%s does not find it: %s", list, query, text)
			}
		}
	}
	if got := get[console.List[console.Conversation]](c, "/conversations?receipt=471"); len(got.Items) != 0 {
		t.Errorf("half a receipt finds %+v", got)
	}
	for path, want := range map[string]bool{"/conversations": true, "/deliveries": true, "/failures": true, "/quarantine": false} {
		if _, _, text := c.ask("GET", path, ""); strings.Contains(string(text), "<dt>receipt</dt>") != want {
			t.Errorf("%s tells what can be searched for: %t, want %t", path, !want, want)
		}
	}
	_, _, hidden := c.ask("GET", "/conversations/"+id, "")
	_, _, shown := c.ask("POST", "/conversations/"+id+"/reveal", "")
	for _, want := range []string{"A Ada", "B Ada", "C Ada", "again", "The request, with the configuration of then", "What the configuration of today changes"} {
		if !strings.Contains(string(shown), want) {
			t.Errorf("%q is not on the page", want)
		}
		if strings.Contains(string(hidden), want) {
			t.Errorf("%q is on the page that nobody has asked to show", want)
		}
	}
	if strings.Contains(string(shown), "as it would go out now") {
		t.Error("the page tells what would go out, and nothing will")
	}
}

// TestAttemptsOnce: what several attempts have sent is shown once, and the newest says that it would go out now.
func TestAttemptsOnce(t *testing.T) {
	t.Parallel()
	vendor := newMoody()
	vendor.set("help.example", http.StatusUnprocessableEntity)
	r := startAPI(t, vendor, "")
	c := newClient(t, r, "")
	r.chat(t, chatHook(1, "ada@example.com", 1, "hello"))
	r.settled(t)
	id := get[console.List[console.Conversation]](c, "/conversations").Items[0].ID
	answered[console.Delivery](c, "POST", "/deliveries/"+id+"/help/replay", "{}")
	r.settled(t)
	_, _, text := c.ask("POST", "/conversations/"+id+"/reveal", "")
	page := string(text)
	if n := strings.Count(page, `&#34;subject&#34;: &#34;Ada says hello&#34;`); n != 1 {
		t.Errorf("the request is there %d times:\n%s", n, page)
	}
	if !strings.Contains(page, "It sent the same as attempt 1, and that would go out now, too.") || strings.Contains(page, "The request, as it would go out now") {
		t.Errorf("the page does not say that nothing has changed:\n%s", page)
	}
}

// TestAttemptUnknown: where what was sent cannot be known, it is said why.
func TestAttemptUnknown(t *testing.T) {
	t.Parallel()
	r := startAPI(t, newMoody(), "")
	d := ledger.DeliveryRow{ID: "c1", Target: "help", Revision: 1, Routes: []string{"rated"}}
	today := r.setup.Load().config.Pipeline.Hash()
	for _, test := range []struct {
		attempt ledger.Attempt
		want    string
	}{
		{ledger.Attempt{Revision: 1, Kind: "ok"}, "an earlier version"},
		{ledger.Attempt{Revision: 1, Kind: "rejected", Status: 422}, "an earlier version"},
		{ledger.Attempt{Revision: 1, Kind: "temporary"}, "before a request was rendered"},
		{ledger.Attempt{Revision: 1, Kind: "crash"}, "the process ended"},
		{ledger.Attempt{Revision: 1, Kind: "ok", Detail: ledger.Detail{Config: "no such"}}, "not kept any more"},
		{ledger.Attempt{Revision: 2, Kind: "ok", Detail: ledger.Detail{Config: today}}, "the routes that had sent revision 2 are not kept"},
		{ledger.Attempt{Revision: 1, Kind: "ok", Detail: ledger.Detail{Config: today}}, ""},
	} {
		got, err := r.renderAttempt(t.Context(), d, test.attempt, chat.Conversation{ID: "c1", Revision: test.attempt.Revision}, false)
		if err != nil || !strings.Contains(got.Unknown, test.want) || (got.Unknown == "") != (test.want == "") {
			t.Errorf("%+v: %q, %v, want %q", test.attempt, got.Unknown, err, test.want)
		}
	}
}

// TestReplayPage: what a replay would change is told by the names of values; the values are shown to who asks for them.
func TestReplayPage(t *testing.T) {
	t.Parallel()
	vendor := newMoody()
	vendor.set("help.example", http.StatusUnprocessableEntity)
	path := filepath.Join(t.TempDir(), "afterchat.yaml")
	writeFile(t, path, subjectConfig("A"))
	r := startFrom(t, path, vendor, nil)
	r.chat(t, chatHook(1, "ada@example.com", 1, "hello"))
	r.settled(t)
	r.reloaded(t, path, subjectConfig("B"))
	c := newClient(t, r, "")
	_, _, hidden := c.ask("GET", "/replays/new?target=help", "")
	if strings.Contains(string(hidden), "Ada") || strings.Count(string(hidden), "&#34;subject&#34;: ***") != 2 || !strings.Contains(string(hidden), "&#34;big&#34;: 9007199254740993") || !strings.Contains(string(hidden), `action="/replays/new/reveal?target=help"`) {
		t.Errorf("the page that nobody has asked to show: %s", hidden)
	}
	status, _, shown := c.ask("POST", "/replays/new/reveal?target=help", "")
	if status != http.StatusOK || !strings.Contains(string(shown), "A Ada") || !strings.Contains(string(shown), "B Ada") || strings.Contains(string(shown), "reveal") {
		t.Errorf("the page that shows them: %d %s", status, shown)
	}
	audit := get[console.List[console.Audited]](c, "/audit").Items
	if len(audit) != 1 || audit[0].Action != "reveal" || audit[0].Object != "replay" || audit[0].Detail != "target:help" {
		t.Errorf("audited: %+v", audit)
	}
}

// TestPlaygroundPicks: the playground takes the hook of a conversation, also where redaction has left no hook, and those of
// the tests; who looked at a stored one is audited.
func TestPlaygroundPicks(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	writeFile(t, filepath.Join(folder, "sample.json"), chatHook(7, "sample@example.com", 3, "from a file"))
	text := strings.Replace(fmt.Sprintf(apiConfig, `, tokens: [{name: v, token: viewer-0123456789abcdef, role: viewer}, {name: o, token: operator-0123456789abcdef, role: operator}]`),
		"routes:", "tests:\n  - {name: a file, source: shop, sample: sample.json, expect: {routes: [rated]}}\n  - {name: no file, source: shop, sample: nowhere.json, expect: {routes: [rated]}}\nroutes:", 1)
	for name, redact := range map[string]string{"as it came": "", "redacted": "redact:\n  cards: {find: [card], at: intake}\nroutes:"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "afterchat.yaml")
			gone := filepath.Join(filepath.Dir(path), "gone.json")
			writeFile(t, gone, "{}")
			config := strings.NewReplacer("sample.json", filepath.Join(folder, "sample.json"), "nowhere.json", gone).Replace(text)
			if redact != "" {
				config = strings.Replace(config, "routes:\n  - name: rated", redact+"\n  - name: rated", 1)
			}
			writeFile(t, path, config)
			r := startFrom(t, path, newMoody(), nil)
			if err := os.Remove(gone); err != nil {
				t.Fatal(err)
			}
			c := newClient(t, r, "operator-0123456789abcdef")
			r.chat(t, chatHook(1, "ada@example.com", 1, "my card is 4111 1111 1111 1111"))
			r.settled(t)
			id := get[console.List[console.Conversation]](c, "/conversations").Items[0].ID
			look := func(query string, want ...string) {
				t.Helper()
				status, _, text := c.ask("GET", "/playground?"+query, "")
				if status != http.StatusOK {
					t.Errorf("%s: %d %s", query, status, text)
				}
				for _, part := range want {
					if !strings.Contains(string(text), part) {
						t.Errorf("%s does not show %q:\n%s", query, part, text)
					}
				}
			}
			look("", "<option>a file</option>", "Paste the body of a hook")
			look("conversation="+id, "ada@example.com", "What the targets get", "Ada says my card is", `value="`+id+`"`)
			look("conversation="+id+"&revision=1", "ada@example.com", "What the targets get")
			look("sample=a+file", "sample@example.com", "Ada says from a file", "<option selected>a file</option>")
			for query, want := range map[string]int{
				"conversation=none": http.StatusNotFound, "conversation=" + id + "&revision=2": http.StatusNotFound, "conversation=" + id + "&revision=x": http.StatusBadRequest,
				"sample=none": http.StatusNotFound, "sample=no+file": http.StatusNotFound,
			} {
				if status, _, text := c.ask("GET", "/playground?"+query, ""); status != want {
					t.Errorf("%s: %d, want %d: %s", query, status, want, text)
				}
			}
			audit := get[console.List[console.Audited]](c, "/audit").Items
			if len(audit) != 2 || audit[0].Action != "reveal" || audit[0].Object != id || audit[0].Detail != "the hook of revision 1, in the playground" || audit[0].Who != "o" {
				t.Errorf("audited: %+v", audit)
			}
			_, _, page := c.ask("POST", "/conversations/"+id+"/reveal", "")
			if !strings.Contains(string(page), `href="/playground?conversation=`+id+`&amp;revision=1"`) {
				t.Errorf("the conversation does not lead there: %s", page)
			}
			viewer := newClient(t, r, "viewer-0123456789abcdef")
			if status, _, text := viewer.ask("GET", "/playground?conversation="+id, ""); status != http.StatusForbidden || strings.Contains(string(text), "ada@") {
				t.Errorf("a viewer gets %d: %s", status, text)
			}
		})
	}
}
