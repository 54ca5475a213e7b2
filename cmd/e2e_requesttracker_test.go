// This file holds the test with a real help desk, Request Tracker: chats of both formats go through the built binary,
// which is killed meanwhile and loses answers, and what agents would see is read back.

package cmd_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// talk is one chat of the test. What is said in it begins with its name, so that its ticket is found.
type talk struct {
	name, visitor, email string
	source               string // shop: a Smartsupp hook; desk: a ProProfs one
	form                 bool   // ProProfs: the hook is a form, not JSON
	missed               bool
	said                 []string // by visitor and agent in turn
	soon, late           []string // said afterwards; sent again at once, or once there is a ticket
	copies               int      // further times that the first hook is sent
}

// talks are the chats: the odd ones by hand, and plain ones for the load.
func talks() []talk {
	long := strings.TrimSpace(strings.Repeat("A long line with ümläuts & <tags>. ", 6000)) // 220 kB
	out := []talk{
		{name: "markup", visitor: `Eve <b>"O'Neil"</b>`, source: "shop", said: []string{`<script>alert(1)</script> <b>bold</b> & "quoted" 'single' &lt;b&gt;`, "</p><p>closed"}},
		{name: "emoji", visitor: "Zoë 🦊", email: "zoe@example.com", source: "shop", said: []string{"👩‍👩‍👧‍👦 🏳️‍🌈 🇨🇿 👍🏽", "🎉"}, late: []string{"🐎🐎"}},
		{name: "scripts", visitor: "山田太郎", email: "yamada@example.com", source: "shop", said: []string{"こんにちは、注文はどこですか？", "שלום עולם", "Příliš žluťoučký kůň", "مرحبا"}},
		{name: "long", visitor: "Lou", email: "lou@example.com", source: "shop", said: []string{long, "ok"}, soon: []string{"still there?"}},
		{name: "lines", visitor: "Lin", source: "shop", said: []string{"one\ntwo\n\nfour", "\tindented"}, copies: 2},
		{name: "missed", visitor: "Mia", email: "mia@example.com", source: "shop", missed: true, said: []string{"Is anybody there?"}, late: []string{"Sorry, we are here now."}},
		{name: "nobody", source: "shop", said: []string{"I have no name", "Hi"}},
		{name: "query", visitor: "x' OR id > 0 --", email: "q@example.com", source: "shop", said: []string{"' OR 1 = 1; DROP TABLE Tickets;", "${env.SHOP_SECRET} {id}"}},
		{name: "form", visitor: "Bob", email: "bob@example.com", source: "desk", form: true, said: []string{"where is my order? 100 % + more & more", "Let me look."}, late: []string{"Thanks!"}},
		{name: "form with emoji", visitor: "Žofie", source: "desk", form: true, said: []string{"Dobrý den 🐎 日本", "Dobrý den"}, copies: 1},
		{name: "lines of text", visitor: "Tom", email: "tom@example.com", source: "desk", said: []string{"first\nsecond - [x] item", "if 1 < 2 && 3 > 2: fine"}},
		{name: "long text", visitor: "Lea", source: "desk", said: []string{strings.TrimSpace(strings.Repeat("many words ", 5000)), "yes"}, late: []string{"more"}},
	}
	for n := len(out); n < 32; n++ {
		plain := talk{
			name: fmt.Sprintf("plain %d", n), visitor: fmt.Sprint("Visitor ", n), email: fmt.Sprintf("visitor%d@example.com", n),
			source: []string{"shop", "desk"}[n%2], form: n%4 == 1, said: []string{"Hello", "Hi, how can I help?", "It works now."},
		}
		if n%5 == 0 {
			plain.copies = 1
		}
		switch n % 6 {
		case 0:
			plain.late = []string{"One more thing"}
		case 3:
			plain.soon = []string{"Wait"}
		}
		out = append(out, plain)
	}
	for i := range out {
		out[i].said[0] = fmt.Sprintf("talk %q: %s", out[i].name, out[i].said[0])
	}
	return out
}

// texts returns all that is said until a revision.
func (k talk) texts(revision int) []string {
	switch {
	case revision < 2:
		return k.said
	case len(k.soon) > 0:
		return slices.Concat(k.said, k.soon)
	}
	return slices.Concat(k.said, k.late)
}

// revisions returns how often the chat is sent with new content.
func (k talk) revisions() int {
	if len(k.soon)+len(k.late) > 0 {
		return 2
	}
	return 1
}

// hook is one request of a chat platform.
type hook struct {
	source, mediaType string
	body              []byte
}

// hook returns the nth chat as its platform sends it.
func (k talk) hook(t *testing.T, n, revision int) hook {
	t.Helper()
	if k.source == "desk" {
		return k.proprofs(t, n, revision)
	}
	const begin = 1_760_529_600_000
	var messages []map[string]any
	for i, text := range k.texts(revision) {
		m := map[string]any{"type": "visitor", "from": "visitor:v", "name": k.visitor, "content": text, "sentAt": begin + 1000*i}
		if i%2 == 1 {
			m["type"], m["from"], m["name"] = "agent", "agent:3", "Eva"
		}
		messages = append(messages, m)
	}
	body, err := json.Marshal(map[string]any{
		"accountId": 208, "beginAt": begin, "endAt": begin + 60_000*revision,
		"channel":  map[string]any{"id": 1000 + n, "isCompleted": !k.missed, "isMissed": k.missed},
		"visitor":  map[string]any{"id": n, "name": k.visitor, "email": k.email},
		"messages": messages,
	})
	if err != nil {
		t.Fatal(err)
	}
	return hook{"shop", "application/json", body}
}

func (k talk) proprofs(t *testing.T, n, revision int) hook {
	t.Helper()
	var transcript strings.Builder
	texts := k.texts(revision)
	for i, text := range texts {
		fmt.Fprintf(&transcript, "%s: %s [09-01-2020 22:31:%02d]\r\n", []string{k.visitor, "Ann"}[i%2], text, i)
	}
	fields := map[string]string{
		"l2s_id": "41778", "l2s_sesid": fmt.Sprint("session", n), "l2s_date": fmt.Sprintf("2020-01-09 22:31:%02d", len(texts)),
		"l2s_name": k.visitor, "l2s_email": k.email, "l2s_logid": "Ann", "l2s_returnedval": "Ann", "l2s_msg": transcript.String(),
	}
	if k.form {
		form := url.Values{}
		for name, value := range fields {
			form.Set(name, value)
		}
		return hook{"desk", "application/x-www-form-urlencoded", []byte(form.Encode())}
	}
	body, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return hook{"desk", "application/json", body}
}

// send posts hooks, a few at once, and returns those that were not acknowledged.
func send(t *testing.T, address string, hooks []hook) (left []hook) {
	t.Helper()
	var work sync.WaitGroup
	var mu sync.Mutex
	places := make(chan struct{}, 4)
	for _, h := range hooks {
		places <- struct{}{}
		work.Go(func() {
			defer func() { <-places }()
			if err := h.post(t, address); err != nil {
				t.Logf("not acknowledged: %v", err)
				mu.Lock()
				defer mu.Unlock()
				left = append(left, h)
			}
		})
	}
	work.Wait()
	return left
}

func (h hook) post(t *testing.T, address string) error {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/in/"+h.source+"/"+e2eSecret, bytes.NewReader(h.body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", h.mediaType)
	response, err := hookClient.Do(request)
	if err != nil {
		return err
	}
	answer, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK || string(answer) != `{"result":"ok"}` {
		return fmt.Errorf("%s: %s", response.Status, answer)
	}
	return nil
}

// requestTrackerConfig writes the example of the documentation with the addresses of this test.
func requestTrackerConfig(t *testing.T, api string) (path, hooks, admin string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "config", "examples", "request-tracker.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	hooks, admin = freeAddress(t), freeAddress(t)
	for old, replacement := range map[string]string{
		"version: 1\n":                      fmt.Sprintf("version: 1\nserver: {listen: %q, drain_delay: 100ms}\nadmin: {listen: %q}\n", hooks, admin),
		"https://rt.example.com/REST/2.0\n": "http://" + api + "/REST/2.0\n    timeout: 8s # so long an attempt that was cut may still be on its way\n    retry: {min: 200ms, max: 2s}\n",
	} {
		if bytes.Count(text, []byte(old)) != 1 {
			t.Fatalf("the example has no single %q; adapt this test", old)
		}
		text = bytes.Replace(text, []byte(old), []byte(replacement), 1)
	}
	path = filepath.Join(t.TempDir(), "afterchat.yaml")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return path, hooks, admin
}

func TestE2ERequestTracker(t *testing.T) {
	binary(t)
	rt := startRequestTracker(t)
	network := newWire(t, rt.address, func(kind string, nth int) bool {
		return kind == "POST ticket" && nth%4 == 0 || kind == "POST ticket/comment" && nth%3 == 2
	})
	path, address, admin := requestTrackerConfig(t, network.address)
	options := startOptions{env: []string{"DESK_SECRET=" + e2eSecret, "API_TOKEN=" + rt.token}}
	gateway := start(t, path, address, admin, options)

	all := talks()
	var first, later []hook
	for n, k := range all {
		h := k.hook(t, n, 1)
		first = append(first, h)
		for range k.copies {
			first = append(first, h)
		}
		if len(k.soon) > 0 {
			first = append(first, k.hook(t, n, 2))
		}
		if len(k.late) > 0 {
			later = append(later, k.hook(t, n, 2))
		}
	}
	kills := 0
	// pushThrough sends hooks in as many parts as there are moments, and kills the gateway at each.
	pushThrough := func(hooks []hook, moments [][2]string) {
		t.Helper()
		size := len(hooks)/(len(moments)+1) + 1
		for _, m := range moments {
			seen := network.await(m[0], m[1])
			part := hooks[:min(size, len(hooks))]
			hooks = append(send(t, address, part), hooks[len(part):]...)
			select {
			case <-seen:
			case <-time.After(60 * time.Second):
				t.Fatalf("no %s has %s\n%s\n%s", m[0], m[1], network.report(), gateway.output())
			}
			gateway.kill()
			kills++
			gateway = start(t, path, address, admin, options)
		}
		for len(hooks) > 0 {
			hooks = send(t, address, hooks)
		}
		eventually(t, 90*time.Second, func() error {
			metrics := get(t, "http://"+admin+"/metrics")
			if !strings.Contains(metrics, `afterchat_pending{target="tickets"} 0`+"\n") {
				return fmt.Errorf("deliveries are pending\n%s", gateway.output())
			}
			return nil
		})
		if metrics := get(t, "http://"+admin+"/metrics"); !strings.Contains(metrics, `afterchat_dead{target="tickets"} 0`+"\n") {
			t.Fatalf("deliveries are dead\n%s", gateway.output())
		}
	}
	pushThrough(first, [][2]string{{"POST ticket", arrived}, {"POST ticket", answered}, {"GET tickets", answered}, {"POST ticket", arrived}})
	pushThrough(later, [][2]string{{"POST ticket/comment", arrived}, {"POST ticket/comment", answered}})
	if code := gateway.terminate(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, gateway.output())
	}

	checkTickets(t, all, rt.tickets(t))
	network.mu.Lock()
	if network.lost["POST ticket"] < 3 || network.lost["POST ticket/comment"] < 1 || network.count["GET tickets"] < 5 {
		t.Error("the test has not tried enough: see below")
	}
	network.mu.Unlock()
	t.Logf("%d chats, %d kills: %s", len(all), kills, network.report())
}

// checkTickets compares what was said with what the tickets hold.
func checkTickets(t *testing.T, all []talk, tickets []ticket) {
	t.Helper()
	of := map[string][]ticket{} // by the name of the talk
	ids := map[string]int{}
	for _, k := range tickets {
		if len(k.entries) == 0 || k.entries[0].kind != "Create" {
			t.Errorf("ticket %s was not created: %+v", k.ID, k.entries)
			continue
		}
		name := talkName.FindStringSubmatch(seen(k.entries[0].content))
		if name == nil {
			t.Errorf("ticket %s is of no chat: %.200s", k.ID, k.entries[0].content)
			continue
		}
		of[name[1]] = append(of[name[1]], k)
		ids[k.field("ChatID")]++
	}
	for id, n := range ids {
		if n != 1 || id == "" {
			t.Errorf("the id %q is on %d tickets", id, n)
		}
	}
	for _, k := range all {
		found := of[k.name]
		if len(found) != 1 {
			t.Errorf("%s: %d tickets", k.name, len(found))
			continue
		}
		for _, problem := range k.differs(found[0]) {
			t.Errorf("%s, ticket %s: %s", k.name, found[0].ID, problem)
		}
	}
	if len(tickets) != len(all) {
		t.Errorf("%d tickets of %d chats", len(tickets), len(all))
	}
}

// differs says what is wrong with the ticket of a chat.
func (k talk) differs(got ticket) (problems []string) {
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	outcome, status := "completed", "resolved"
	if k.missed {
		outcome, status = "missed", "new"
	}
	who := k.visitor
	if who == "" {
		who = "a visitor"
	}
	if want := outcome + " chat with " + who; got.Subject != want {
		wrong("subject %q, want %q", got.Subject, want)
	}
	if got.Status != status {
		wrong("status %s, want %s", got.Status, status)
	}
	var requestor string
	for _, r := range got.Requestor {
		requestor += r.ID
	}
	if requestor != k.email {
		wrong("requestor %q, want %q", requestor, k.email)
	}
	// What is sent at once may arrive first; then it is the first revision and the shorter one is out of date.
	if want, is := fmt.Sprint(k.revisions()), got.field("ChatRevision"); is != want && (len(k.soon) == 0 || is != "1") {
		wrong("revision %s, want %s", is, want)
	}
	// Every revision is there once: the first as the ticket's text, each later one as a comment. One that was replaced
	// before it was sent may be left out.
	revision := 0
	for i, e := range got.entries {
		if (i == 0) != (e.kind == "Create") || (i > 0) != (e.kind == "Comment") || e.mediaType != "text/html" {
			wrong("entry %d is a %s as %s", i, e.kind, e.mediaType)
		}
		of := k.revisionOf(seen(e.content))
		if of <= revision {
			wrong("entry %d holds revision %d after revision %d: %.300s", i, of, revision, e.content)
		}
		revision = max(revision, of)
	}
	if revision != k.revisions() {
		wrong("it holds revision %d of %d", revision, k.revisions())
	}
	if len(k.soon) == 0 && len(got.entries) != k.revisions() {
		wrong("%d entries, want %d", len(got.entries), k.revisions())
	}
	return problems
}

// revisionOf returns the revision that a text holds all of, each message once and in order; 0: none.
func (k talk) revisionOf(text string) int {
	for revision := k.revisions(); revision > 0; revision-- {
		rest, whole := text, true
		for _, said := range k.texts(revision) {
			_, after, ok := strings.Cut(rest, said)
			rest, whole = after, whole && ok
		}
		if whole && strings.Count(text, k.said[0]) == 1 {
			return revision
		}
	}
	return 0
}

var (
	talkName = regexp.MustCompile(`talk "([^"]*)": `)
	tag      = regexp.MustCompile(`<[^>]*>`)
)

// seen is HTML as a reader sees it.
func seen(content string) string {
	return html.UnescapeString(tag.ReplaceAllString(content, ""))
}
