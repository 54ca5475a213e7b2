// This file renders every page, empty and full, with what visitors may write at its worst.

package page_test

import (
	"bytes"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/console/page"
	"github.com/afterchat/afterchat/internal/ledger"
)

var now = time.Date(2026, 11, 2, 15, 4, 5, 0, time.UTC)

// hostile is what a visitor may write anywhere.
const hostile = `"><script>alert(1)</script><svg onload=alert(2)>'` + "`" + ` javascript:alert(3) {{.}} \u202etxt.exe` + "\x00\x1b[31m" + ` <img src=x onerror=alert(4)>`

func frame(active string) page.Frame {
	return page.Frame{
		Title: hostile, Active: active, Now: now, Version: "v1", User: hostile, Logout: true, Role: page.Admin, Search: hostile, SearchE: hostile,
		Notice: hostile, Problem: hostile, Alarms: []page.Alarm{{Text: hostile, Link: "/failures", Bad: true}, {Text: "less"}},
	}
}

func list(active string) page.List {
	return page.List{
		Frame: frame(active), Filter: url.Values{"q": {hostile}, "state": {"dead"}, "since": {hostile}}, Next: "abc",
		Facets: []page.Facet{{Field: "state", Label: "State", Values: []page.FacetValue{{Value: "dead", Count: 12345, On: true}, {Value: hostile, Count: -1}}}},
		Fields: []page.Fact{{Name: "state", Value: hostile}},
	}
}

// full are all pages with something of everything.
func full() []page.View {
	rating := 2.0
	delivery := ledger.DeliveryRow{
		ID: "c1", Target: "help", State: ledger.Dead, Revision: 2, Held: 1, Attempts: 3, Uncertain: true, DueAt: now, Since: now.Add(-time.Hour),
		SettledAt: now.Add(-time.Minute), Routes: []string{hostile}, Receipt: connectors.Receipt{ID: hostile, URL: "javascript:alert(5)"},
		Class: "rejected 422 " + hostile, Reason: hostile, FailedAt: now, Source: "shop", Visitor: hostile, Email: hostile,
	}
	pending := delivery
	pending.State, pending.Target = ledger.Pending, "crm"
	row := ledger.ConversationRow{
		ID: "c1", Revision: 2, Source: "shop", Brand: hostile, Outcome: "missed", ExternalID: hostile, Visitor: hostile, Email: hostile, Rating: &rating,
		Messages: 3, Opening: hostile, FirstAt: now.Add(-26 * time.Hour), LastAt: now, Deliveries: []ledger.DeliveryRow{delivery, pending},
		Revisions: []ledger.RevisionRow{{Revision: 1, ReceivedAt: now, Bytes: 4096}, {Revision: 2, ReceivedAt: now}, {Revision: -1, ReceivedAt: now}},
	}
	messages := []page.Message{
		{At: now, Role: "visitor", Author: hostile, Text: hostile, Files: []chat.File{{Name: hostile, URL: "javascript:alert(6)", Type: "image/svg+xml"}}},
		{At: now, Role: "visitor", Text: "and\nmore", Next: true},
		{Role: "agent", Author: "Jan", Text: hostile},
		{Role: "bot", Text: "x"},
		{Event: hostile, Author: hostile, At: now},
	}
	requests := []page.Request{
		{Method: "GET", URL: "https://desk.example/search", Reads: true},
		{Method: "POST", URL: "https://desk.example/" + hostile, Headers: []page.Fact{{Name: "X-A", Value: hostile}}, Body: `{"id":12345678901234567890,"b":"` + "é" + `"}`, Note: hostile, Curl: "curl " + hostile},
	}
	routes := []page.Route{
		{Name: hostile, Matched: true, Targets: []string{"help"}, Terms: []page.Term{{Text: "any of:", Depth: 0}, {Text: `visitor.email == "` + hostile, Value: "true", Holds: true, Depth: 1, Inputs: hostile}}},
		{Name: "b", Why: "no", Error: hostile, Terms: []page.Term{{Text: "rating <= 2", Value: "absent", First: true}}},
	}
	failures := []ledger.Failure{{Target: "help", Class: "rejected 422 custom_fields", State: ledger.Dead, Count: 143, First: now, Last: now, Reason: hostile, Example: "c1"}, {Target: "crm", State: ledger.Pending, Count: 1}}
	chart := page.Chart{Label: hostile, Step: time.Minute, Parts: []string{"good", "bad"}, Names: []string{"ok", "dead"}, Bars: []page.Bar{{At: now, Values: []int64{5, 1}}, {At: now, Values: []int64{0, 0}}}}
	target := page.Target{
		Name: "help", Type: "zendesk", Health: "paused", Paused: true, Since: now, NextProbe: now.Add(time.Minute), HeldUntil: now.Add(time.Hour), Reason: hostile,
		Stats: ledger.TargetStats{Counts: ledger.Counts{Pending: 1234567, Delivered: 5}, DeadRows: 3, OldestPending: now}, InFlight: 2, Workers: 4,
		LastFailure: now, LastError: hostile, Rate: "400/m", Checkable: true, Spark: chart,
		Used: "400 of 400 in 1 min", UsedUp: true, Took: true, P50: 120 * time.Millisecond, P95: 3 * time.Second,
	}
	gone := page.Target{Name: "old", Health: "gone", Gone: true}
	shown := page.Delivery{
		DeliveryRow: delivery, Requests: requests, ThenDiffers: true, Error: hostile, Changes: []page.Line{{Sign: "-", Text: hostile}, {Sign: "+", Text: "b"}, {Sign: " ", Text: "c"}},
		Attempts: []page.Attempt{
			{
				Attempt: ledger.Attempt{At: now, Number: 1, Kind: "rejected", Duration: 1500 * time.Millisecond, Status: 422, Reason: hostile, Detail: ledger.Detail{Response: hostile}},
				Sent:    &page.Sent{Config: "0123456789abcdef", Requests: requests, Differs: true, Today: requests, Changes: []page.Line{{Sign: "-", Text: hostile}}, Notes: []string{hostile}},
			},
			{Attempt: ledger.Attempt{At: now, Number: 2, Kind: "mapping"}, Sent: &page.Sent{Config: "0123456789abcdef", Error: hostile, Fields: hostile, NoToday: hostile}},
			{Attempt: ledger.Attempt{At: now, Number: 3, Kind: "crash"}, Sent: &page.Sent{Unknown: hostile}},
			{Attempt: ledger.Attempt{At: now, Number: 4, Kind: "ok"}, Sent: &page.Sent{SameAs: 1, AsNow: true}},
		},
	}
	facts := []page.Fact{{Name: "E-mail", Value: hostile}, {Name: "Page", Value: hostile, Link: "javascript:alert(7)"}}
	conversation := page.Conversation{
		Frame: frame("conversations"), Row: row, Shown: 2, Chat: &chat.Conversation{}, Messages: messages, Facts: facts, Routes: routes,
		Deliveries: []page.Delivery{shown, {DeliveryRow: pending}},
	}
	masked := conversation
	masked.Masked = true
	removed := page.Conversation{Frame: frame("conversations"), Row: ledger.ConversationRow{ID: "c2", BodiesGone: true}, Gone: "Retention has removed it."}
	unrouted := page.Conversation{Frame: frame("conversations"), Row: ledger.ConversationRow{ID: "c3"}, Chat: &chat.Conversation{}}
	quarantined := ledger.QuarantineRow{ID: "q1", Source: "shop", ContentType: hostile, Reason: hostile, ReceivedAt: now, Bytes: 77}
	job := page.Job{ReplayJob: ledger.ReplayJob{ID: "j1", By: hostile, CreatedAt: now, State: ledger.JobRunning, Total: 10000, Done: 2500, Skipped: 3, PerSecond: 20}, Query: hostile}
	return []page.View{
		page.Overview{
			Frame: frame("overview"), Hooks: chart, Deliveries: chart, Range: "24h", Stats: ledger.Stats{Quarantined: 2, Conversations: 1000000, Bytes: 5 << 30}, Pending: 7,
			Dead: 3, Oldest: now.Add(-time.Hour), HookCount: 12, Delivered: 10, Targets: []page.Target{target, gone},
			Sources:    []page.Source{{Name: "shop", Type: "smartsupp", Brand: hostile, LastHook: now, ExpectEvery: 24 * time.Hour, Silent: true, Count: 9}},
			Failures:   failures,
			MoreAlerts: 1234,
			Alerts: []page.Alert{
				{Kind: "dead", Text: hostile, Link: "/failures?" + hostile, Since: now.Add(-time.Hour), Told: now, To: hostile},
				{Kind: "ledger", Text: "the ledger is full", Since: now},
			},
		},
		page.Conversations{List: list("conversations"), Rows: []ledger.ConversationRow{row, {ID: "c2", BodiesGone: true, FirstAt: now}}},
		conversation, masked, removed, unrouted,
		page.Deliveries{List: list("deliveries"), Rows: []ledger.DeliveryRow{delivery, pending}, Total: 10000, More: true},
		page.Failures{List: list("failures"), Groups: failures},
		page.Quarantine{List: list("quarantine"), Rows: []ledger.QuarantineRow{quarantined}},
		page.Unreadable{Frame: frame("quarantine"), Row: quarantined, Raw: hostile, Cut: true, Shown: true, Today: hostile},
		page.Unreadable{Frame: frame("quarantine"), Row: quarantined},
		page.Targets{Frame: frame("targets"), Targets: []page.Target{target, gone}},
		page.Replays{List: list("replays"), Rows: []page.Job{job}},
		page.NewReplay{Frame: frame("replays"), Query: hostile, Filter: url.Values{"state": {"dead"}}, Count: 10000, Groups: failures, Sample: &shown, Masked: true},
		page.Playground{
			Frame: frame("playground"), Samples: []string{"a", hostile}, Sample: hostile, Conversation: hostile, Sources: []string{"shop", hostile}, Source: "shop", Payload: hostile, ContentType: hostile, RoutesYAML: hostile, Ran: true,
			Problems: []page.Mistake{{Place: "routes:3:4", Text: hostile, Snippet: hostile, Hint: hostile}}, Decoded: hostile, Messages: messages, Facts: facts, Routes: routes,
			Outputs: []page.Output{{Target: "help", Routes: []string{"a"}, Hold: "5m", Requests: requests, Notes: []string{hostile}, Error: hostile}, {Target: "log", Fields: hostile}},
		},
		page.Configuration{
			Frame: frame("configuration"), YAML: hostile, Hash: "0123456789abcdef", LoadedAt: now, LastError: hostile, NeedsRestart: []string{"server.listen"}, Ran: true,
			Tests: []page.Test{{Name: hostile, Lines: []string{hostile}}, {Name: "b", Passed: true}},
		},
		page.AuditLog{List: list("audit"), Rows: []ledger.Audited{{At: now, Who: hostile, Address: "127.0.0.1", Action: "replay", Object: hostile, Detail: hostile}}},
		page.Login{Frame: page.Frame{Title: "Log in", Active: "login", Now: now, Static: true, Problem: "wrong"}, Then: hostile},
		page.Failed{Frame: frame(""), Status: 404, Text: hostile, Hint: hostile},
	}
}

// empty are all pages of a gateway that has just been installed.
func empty() []page.View {
	var views []page.View
	seen := map[string]bool{}
	for _, v := range full() {
		kind := reflect.TypeOf(v)
		if seen[kind.String()] {
			continue
		}
		seen[kind.String()] = true
		views = append(views, reflect.Zero(kind).Interface().(page.View))
	}
	return views
}

func render(t *testing.T, v page.View) *html.Node {
	t.Helper()
	var out bytes.Buffer
	if err := page.Render(&out, v); err != nil {
		t.Fatalf("%T: %v", v, err)
	}
	for _, bad := range []string{"\u202e", "\x1b", "\x00", "ZgotmplZ(", "<no value>", "%!"} {
		if strings.Contains(out.String(), bad) {
			t.Errorf("%T holds %q", v, bad)
		}
	}
	root, err := html.Parse(&out)
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// TestPagesAreSafe: nothing that a visitor wrote becomes an element, a script, a style or an address that runs.
func TestPagesAreSafe(t *testing.T) {
	t.Parallel()
	for i, v := range slices.Concat(full(), empty()) {
		t.Run(fmt.Sprintf("%d %T", i, v), func(t *testing.T) {
			t.Parallel()
			for n := range render(t, v).Descendants() {
				if n.Type != html.ElementNode {
					continue
				}
				if n.Data == "script" && (n.FirstChild != nil || attribute(n, "src") == "") || n.Data == "style" || n.Data == "img" || n.Data == "iframe" {
					t.Errorf("there is a <%s>", n.Data)
				}
				for _, a := range n.Attr {
					if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "srcdoc" {
						t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
					}
					if (a.Key == "href" || a.Key == "src" || a.Key == "action") && strings.Contains(strings.ToLower(a.Val), "javascript:") && !strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "?") {
						t.Errorf("<%s %s=%q>", n.Data, a.Key, a.Val)
					}
				}
			}
		})
	}
}

// TestPagesAreAccessible checks what a machine can: one heading of the first rank, labels, unique ids, links with words.
func TestPagesAreAccessible(t *testing.T) {
	t.Parallel()
	for i, v := range slices.Concat(full(), empty()) {
		t.Run(fmt.Sprintf("%d %T", i, v), func(t *testing.T) {
			t.Parallel()
			root := render(t, v)
			ids, labelled, headings := map[string]int{}, map[string]bool{}, 0
			for n := range root.Descendants() {
				if n.Type != html.ElementNode {
					continue
				}
				if id := attribute(n, "id"); id != "" {
					ids[id]++
				}
				if n.Data == "label" && attribute(n, "for") != "" {
					labelled[attribute(n, "for")] = true
				}
				if n.Data == "h1" {
					headings++
				}
			}
			if headings != 1 {
				t.Errorf("%d headings of the first rank", headings)
			}
			for id, count := range ids {
				if count > 1 {
					t.Errorf("id %q stands %d times", id, count)
				}
			}
			for n := range root.Descendants() {
				if n.Type != html.ElementNode {
					continue
				}
				field := n.Data == "select" || n.Data == "textarea" || n.Data == "input" && attribute(n, "type") != "hidden"
				if field && !labelled[attribute(n, "id")] && !within(n, "label") {
					t.Errorf("<%s name=%q> has no label", n.Data, attribute(n, "name"))
				}
				if (n.Data == "a" || n.Data == "button") && strings.TrimSpace(text(n)) == "" {
					t.Errorf("<%s href=%q> says nothing", n.Data, attribute(n, "href"))
				}
			}
		})
	}
}

// TestAssets: what pages refer to is there, and its address changes with its content.
func TestAssets(t *testing.T) {
	t.Parallel()
	for n := range render(t, page.Overview{}).Descendants() {
		for _, key := range []string{"href", "src"} {
			if url := attribute(n, key); strings.HasPrefix(url, "/assets/") {
				if a, ok := page.File(url); !ok || len(a.Data) == 0 || a.Type == "" {
					t.Errorf("%s: %+v", url, a.Type)
				}
			}
		}
	}
	if _, ok := page.File("/assets/000000000000/console.css"); ok {
		t.Error("an address of another content is answered")
	}
}

func attribute(n *html.Node, key string) string {
	for _, a := range n.Attr {
		if a.Key == key {
			return a.Val
		}
	}
	return ""
}

func within(n *html.Node, element string) bool {
	for p := n.Parent; p != nil; p = p.Parent {
		if p.Data == element {
			return true
		}
	}
	return false
}

func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}
