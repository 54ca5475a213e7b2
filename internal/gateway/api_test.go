// This file goes through the whole API of a running gateway and holds every answer against the description that it
// serves.

package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/afterchat/afterchat/internal/console"
	"github.com/afterchat/afterchat/internal/ledger/postgrestest"
)

// apiConfig has a target that takes everything and one that can be made to refuse.
const apiConfig = `version: 1
server: {listen: "127.0.0.1:0", drain_delay: 0s}
admin: {listen: "127.0.0.1:0"%s}
sources:
  shop: {type: smartsupp, path: /in/shop, brand: acme, secret: '${env.SECRET}', expect_every: 24h}
targets:
  help: {type: http, url: "http://help.example/chats", retry: {min: 10ms, max: 20ms}}
  crm: {type: http, url: "http://crm.example/contacts?key=crm-secret-0123456789", rate: 100/s}
  log: {type: file, path: outbox.jsonl}
routes:
  - name: rated
    when: rating != 99
    to:
      help: {body: {subject: '${visitor.name} says ${messages[0].text}', big: 9007199254740993}}
      crm: {}
  - {name: never, when: rating == 99, to: log}
`

// moody is a transport: hosts in it are answered with their status and what they were sent, others with 201.
type moody struct {
	mu     sync.Mutex
	status map[string]int
	got    map[string][]string // bodies by host
}

func newMoody() *moody { return &moody{status: map[string]int{}, got: map[string][]string{}} }

// set makes a host answer with a status; 0: it takes everything.
func (m *moody) set(host string, status int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.status[host] = status
}

func (m *moody) bodies(host string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.got[host])
}

// RoundTrip implements http.RoundTripper.
func (m *moody) RoundTrip(r *http.Request) (*http.Response, error) {
	body := []byte{}
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	status := http.StatusCreated
	if s := m.status[r.URL.Host]; s != 0 {
		status = s
	} else {
		m.got[r.URL.Host] = append(m.got[r.URL.Host], string(body))
	}
	answer := `{"id":"4711","url":"https://desk.example/4711"}`
	if status >= http.StatusBadRequest {
		answer = fmt.Sprintf(`{"error":"subject is too friendly to Ada","record":%q}`, body)
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(answer)), Request: r,
	}, nil
}

// client asks the API and checks every answer.
type client struct {
	t      testing.TB
	base   string
	token  string
	router routers.Router
	mu     *sync.Mutex
	asked  map[string]bool // operations that were answered with a success
}

func newClient(t testing.TB, r *running, token string) *client {
	t.Helper()
	c := &client{t: t, base: "http://" + r.addresses.Admin.String(), token: token, mu: &sync.Mutex{}, asked: map[string]bool{}}
	status, _, text := c.ask("GET", "/api/v1/openapi.json", "")
	if status != http.StatusOK {
		t.Fatalf("the description: %d %s", status, text)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	doc.Servers = openapi3.Servers{{URL: "/api/v1"}}
	if c.router, err = gorillamux.NewRouter(doc); err != nil {
		t.Fatal(err)
	}
	return c
}

// ask sends one request.
func (c *client) ask(method, path, body string) (int, http.Header, []byte) {
	c.t.Helper()
	request, err := http.NewRequestWithContext(c.t.Context(), method, c.base+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if c.router != nil {
		c.validate(request, body, response, text)
	}
	return response.StatusCode, response.Header, text
}

// validate holds an answer against the description.
func (c *client) validate(request *http.Request, body string, response *http.Response, text []byte) {
	c.t.Helper()
	in := request.Clone(context.Background())
	in.Body = io.NopCloser(strings.NewReader(body))
	if body != "" && in.Header.Get("Content-Type") == "" {
		in.Header.Set("Content-Type", "application/json")
	}
	route, params, err := c.router.FindRoute(in)
	if err != nil {
		return // there is no such path: what the answer is, the test says
	}
	options := &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true}
	input := &openapi3filter.RequestValidationInput{Request: in, PathParams: params, Route: route, Options: options}
	if response.StatusCode < http.StatusBadRequest {
		if err := openapi3filter.ValidateRequest(c.t.Context(), input); err != nil {
			c.t.Errorf("%s %s was answered with %d, and its description forbids it: %v", request.Method, request.URL, response.StatusCode, err)
		}
		c.mu.Lock()
		c.asked[route.Operation.OperationID] = true
		c.mu.Unlock()
	}
	if response.StatusCode == http.StatusNotModified {
		return
	}
	err = openapi3filter.ValidateResponse(c.t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: response.StatusCode, Header: response.Header, Options: options,
		Body: io.NopCloser(bytes.NewReader(text)),
	})
	if err != nil {
		c.t.Errorf("the answer to %s %s is not as described: %v\n%s", request.Method, request.URL, err, text)
	}
}

// get reads an answer that must be a success.
func get[T any](c *client, path string) T {
	c.t.Helper()
	return answered[T](c, "GET", path, "")
}

func answered[T any](c *client, method, path, body string) T {
	c.t.Helper()
	var out T
	status, _, text := c.ask(method, "/api/v1"+path, body)
	if status >= http.StatusMultipleChoices {
		c.t.Fatalf("%s %s: %d %s", method, path, status, text)
	}
	if status != http.StatusNoContent {
		if err := json.Unmarshal(text, &out); err != nil {
			c.t.Fatalf("%s %s: %v\n%s", method, path, err, text)
		}
	}
	return out
}

// refused asks for something that must fail, and returns the problem.
func (c *client) refused(status int, method, path, body string) console.Problem {
	c.t.Helper()
	got, header, text := c.ask(method, "/api/v1"+path, body)
	var p console.Problem
	if err := json.Unmarshal(text, &p); err != nil || got != status || p.Status != status || header.Get("Content-Type") != "application/problem+json" {
		c.t.Errorf("%s %s: %d %s %s, want a problem with status %d", method, path, got, header.Get("Content-Type"), text, status)
	}
	return p
}

// startAPI starts a gateway with apiConfig; admin are further keys of admin.
func startAPI(t *testing.T, transport http.RoundTripper, admin string) *running {
	t.Helper()
	return startGateway(t, fmt.Sprintf(apiConfig, admin), transport)
}

// chatHook is a hook of Smartsupp.
func chatHook(id int, email string, rating int, text string) string {
	return fmt.Sprintf(`{"accountId":208,"beginAt":1427470439703,"endAt":1427470476687,"channel":{"id":%d,"isCompleted":true,"rating":%d},"vendorId":9007199254740995,
"visitor":{"id":1,"name":"Ada","email":%q},"messages":[{"type":"visitor","from":"visitor:a","content":%q,"sentAt":1427470439703}]}`, id, rating, email, text)
}

func (r *running) chat(t testing.TB, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+r.addresses.Hooks.String()+"/in/shop/"+hookSecret, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Client{}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("the hook was answered with %s, %v", response.Status, err)
	}
}

// eventually polls until done says so.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("it did not come to: %s", what)
		}
		<-ticker.C
	}
}

// TestAPI: every operation is asked, answers as it is described, and does what it says.
func TestAPI(t *testing.T) {
	t.Parallel()
	vendor := newMoody()
	goThroughAPI(t, startAPI(t, vendor, ""), vendor)
}

// TestE2EAPIOnPostgres is the same on the other engine.
func TestE2EAPIOnPostgres(t *testing.T) {
	t.Parallel()
	server, err := postgrestest.Start(t.Context())
	if errors.Is(err, postgrestest.ErrNone) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Remove)
	vendor := newMoody()
	config := strings.Replace(fmt.Sprintf(apiConfig, ""), "sources:", "ledger: {url: '"+server.URL("")+"'}\nsources:", 1)
	goThroughAPI(t, startGateway(t, config, vendor), vendor)
}

// goThroughAPI asks everything of a gateway that has just been started.
func goThroughAPI(t *testing.T, r *running, vendor *moody) {
	t.Helper()
	vendor.set("help.example", http.StatusUnprocessableEntity)
	for i := range 3 {
		r.chat(t, chatHook(i+1, fmt.Sprintf("ada%d@example.com", i), i+1, "I want a refund"))
	}
	r.chat(t, `this is no hook`)
	r.settled(t)
	c := newClient(t, r, "")

	conversations := get[console.List[console.Conversation]](c, "/conversations?limit=2")
	if len(conversations.Items) != 2 || conversations.Next == "" {
		t.Fatalf("the first page: %+v", conversations)
	}
	rest := get[console.List[console.Conversation]](c, "/conversations?limit=2&cursor="+url.QueryEscape(conversations.Next))
	if len(rest.Items) != 1 || rest.Next != "" {
		t.Fatalf("the second page: %+v", rest)
	}
	id := rest.Items[0].ID
	var found console.List[console.Conversation]
	eventually(t, "the text is found", func() bool {
		found = get[console.List[console.Conversation]](c, "/conversations?email=ADA0@example.com&q="+url.QueryEscape(`refund state:dead rating:<2`))
		return len(found.Items) == 1
	})
	if found.Items[0].ID != id || found.Items[0].Visitor != "Ada" || found.Items[0].Brand != "acme" {
		t.Errorf("found %+v, want %s", found.Items[0], id)
	}
	detail := get[console.ConversationDetail](c, "/conversations/"+id)
	if detail.Masked || detail.Said == nil || detail.Said.Person.Email != "ada0@example.com" || len(detail.Deliveries) != 2 || len(detail.Revisions) != 1 {
		t.Errorf("the conversation is %+v", detail)
	}
	for _, path := range []string{"", "/revisions/1"} {
		if _, _, text := c.ask("GET", "/api/v1/conversations/"+id+path, ""); !bytes.Contains(text, []byte("9007199254740995")) {
			t.Errorf("a long number of the vendor's is not exact in %s: %s", path, text)
		}
	}
	if _, header, text := c.ask("GET", "/api/v1/conversations/"+id+"/revisions/0/raw", ""); !bytes.Contains(text, []byte(`"accountId":208`)) ||
		!strings.HasPrefix(header.Get("Content-Type"), "text/plain") || !strings.HasPrefix(header.Get("Content-Disposition"), "attachment") {
		t.Errorf("the raw body: %v %s", header, text)
	}
	if _, _, text := c.ask("GET", "/api/v1/conversations/"+id+"/transcript?time_zone=Europe/Prague", ""); !bytes.Contains(text, []byte("I want a refund")) {
		t.Errorf("the transcript: %s", text)
	}

	dead := get[console.List[console.Delivery]](c, "/deliveries?target=help&state=dead")
	if len(dead.Items) != 3 || dead.Items[0].Class == "" || dead.Items[0].Reason == "" {
		t.Fatalf("dead: %+v", dead)
	}
	alerts := get[console.List[console.Alert]](c, "/alerts").Items
	if len(alerts) != 2 || alerts[0].Kind != "dead" || alerts[0].Name != "help" || alerts[0].Count != 3 || alerts[0].Since.IsZero() || !alerts[0].ToldAt.IsZero() ||
		alerts[1].Kind != "quarantined" || alerts[1].Count != 1 {
		t.Errorf("alerts: %+v", alerts)
	}
	one := get[console.DeliveryDetail](c, "/deliveries/"+id+"/help")
	if one.State != "dead" || len(one.Log) != 1 || one.Log[0].Status != http.StatusUnprocessableEntity || !strings.Contains(one.Log[0].Response, "too friendly") {
		t.Errorf("the delivery: %+v", one)
	}
	rendered := get[console.RenderedDelivery](c, "/deliveries/"+id+"/help/request?with=then")
	if len(rendered.Requests) != 1 || !strings.Contains(rendered.Requests[0].Body, "9007199254740993") || len(rendered.Difference) != 0 {
		t.Errorf("the request: %+v", rendered)
	}
	if failures := get[console.List[console.Failure]](c, "/failures?from=shop"); len(failures.Items) != 1 || failures.Items[0].Count != 3 {
		t.Errorf("failures: %+v", failures)
	}

	if routes := get[console.List[console.Route]](c, "/routes").Items; len(routes) != 2 || routes[0].Name != "rated" || !slices.Equal(routes[0].Targets, []string{"help", "crm"}) {
		t.Errorf("routes: %+v", routes)
	}
	quarantine := get[console.List[console.Quarantined]](c, "/quarantine")
	if len(quarantine.Items) != 1 {
		t.Fatalf("quarantine: %+v", quarantine)
	}
	hook := "/quarantine/" + quarantine.Items[0].ID
	get[console.Quarantined](c, hook)
	if _, _, text := c.ask("GET", "/api/v1"+hook+"/raw", ""); string(text) != "this is no hook" {
		t.Errorf("raw: %s", text)
	}
	if d := answered[console.Decoded](c, "POST", hook+"/decode", ""); d.Result != "quarantined" || d.Reason == "" {
		t.Errorf("decoded: %+v", d)
	}
	answered[any](c, "DELETE", hook, "")
	c.refused(http.StatusNotFound, "GET", hook, "")

	get[console.List[console.Source]](c, "/sources")
	get[console.List[console.Target]](c, "/targets")
	status := get[console.Status](c, "/status")
	if !status.Ready || status.You.Name != "local" || status.You.Role != "admin" || status.Ledger.Conversations != 3 || len(status.Targets) != 3 || len(status.Sources) != 1 {
		t.Errorf("status: %+v", status)
	}
	if crm := get[console.Target](c, "/targets/crm"); crm.Rate != "100/s" || crm.Delivered != 3 || crm.Pause != nil {
		t.Errorf("crm: %+v", crm)
	}
	if config := get[console.ConfigDetail](c, "/config"); !strings.Contains(config.YAML, "rating != 99") || strings.Contains(config.YAML, hookSecret) {
		t.Errorf("the configuration: %s", config.YAML)
	}

	explain, _ := json.Marshal(map[string]any{"source": "shop", "payload": json.RawMessage(chatHook(9, "", 1, "hello"))})
	if e := answered[console.Explained](c, "POST", "/explain", string(explain)); len(e.Targets) != 2 || len(e.Previews["help"].Requests) != 1 {
		t.Errorf("explained: %+v", e)
	}
	explain, _ = json.Marshal(map[string]any{"source": "shop", "payload": chatHook(9, "", 1, "hello"), "routes": "- name: only\n  when: rating < 2\n  to: crm\n"})
	if e := answered[console.Explained](c, "POST", "/explain", string(explain)); len(e.Targets) != 1 || e.Targets[0].Target != "crm" {
		t.Errorf("explained with other routes: %+v", e.Targets)
	}
	explain, _ = json.Marshal(map[string]any{"source": "shop", "payload": "x", "routes": "routes:\n  - when: ratng < 2\n    to: crmm\n"})
	if p := c.refused(http.StatusUnprocessableEntity, "POST", "/explain", string(explain)); len(p.Mistakes) != 2 || p.Mistakes[0].Line != 2 || p.Mistakes[0].Column != 11 {
		t.Errorf("mistakes: %+v", p)
	}

	// What is dead is replayed one by one, cancelled, dropped, and by a job.
	vendor.set("help.example", http.StatusServiceUnavailable)
	answered[console.Target](c, "POST", "/targets/help/pause", `{"reason":"the desk is being moved"}`)
	if p := get[console.Target](c, "/targets/help"); p.Pause == nil || !strings.Contains(p.Pause.Reason, "moved") || !p.Pause.NextProbeAt.IsZero() {
		t.Errorf("paused: %+v", p.Pause)
	}
	if d := answered[console.Delivery](c, "POST", "/deliveries/"+id+"/help/replay", `{"with":"then"}`); d.State != "pending" || d.Pinned == "" {
		t.Errorf("replayed: %+v", d)
	}
	c.refused(http.StatusConflict, "POST", "/deliveries/"+id+"/help/replay", "")
	if d := answered[console.Delivery](c, "POST", "/deliveries/"+id+"/help/cancel", `{"reason":"not now"}`); d.State != "dead" || !strings.Contains(d.Reason, "local: not now") {
		t.Errorf("cancelled: %+v", d)
	}
	if d := answered[console.Delivery](c, "POST", "/deliveries/"+id+"/help/drop", ""); d.State != "skipped" {
		t.Errorf("dropped: %+v", d)
	}
	c.refused(http.StatusBadRequest, "POST", "/targets/help/probe", "")
	if p := answered[console.Probed](c, "POST", "/targets/log/probe", ""); !p.OK {
		t.Errorf("probed: %+v", p)
	}
	vendor.set("help.example", 0)
	answered[console.Target](c, "POST", "/targets/help/resume", "")

	if dry := answered[console.DryRun](c, "POST", "/replays", `{"q":"target:help","dry_run":true}`); dry.Count != 2 || len(dry.Groups) != 1 {
		t.Errorf("dry run: %+v", dry)
	}
	if dry := answered[console.DryRun](c, "POST", "/replays", `{"q":"target:help","where":"rating > 2","dry_run":true}`); dry.Count != 1 {
		t.Errorf("dry run with a condition: %+v", dry)
	}
	if status, _, _ := c.ask("POST", "/api/v1/replays", `{"dry_run":true}`); status != http.StatusOK {
		t.Errorf("a dry run is answered with %d: nothing is created", status)
	}
	for path, want := range map[string]string{
		"/deliveries?target=hepl": "There is no target hepl; did you mean help?", "/conversations?q=from:shpo": "There is no source shpo; did you mean shop?",
		"/replays/new?target=help": `name="per_second" type="number" min="0" step="any" value="50"`,
	} {
		if status, _, text := c.ask("GET", path, ""); status != http.StatusOK || !strings.Contains(string(text), want) {
			t.Errorf("%s: %d, and the page does not say %q", path, status, want)
		}
	}
	if p := c.refused(http.StatusUnprocessableEntity, "POST", "/replays", `{"where":"ratng > 2"}`); len(p.Mistakes) != 1 || p.Mistakes[0].Column != 1 {
		t.Errorf("mistakes: %+v", p)
	}
	job := answered[console.Job](c, "POST", "/replays", `{"q":"target:help","per_second":1000}`)
	if job.Total != 2 || job.Query != "target:help state:dead" {
		t.Errorf("job: %+v", job)
	}
	eventually(t, "the job is done", func() bool { return get[console.Job](c, "/replays/"+job.ID).State == "done" })
	r.settled(t)
	if n := len(vendor.bodies("help.example")); n != 2 {
		t.Errorf("help got %d conversations, want 2", n)
	}
	if job = answered[console.Job](c, "POST", "/replays/"+job.ID+"/cancel", ""); job.State != "done" || job.Done != 2 {
		t.Errorf("a job that had ended: %+v", job)
	}
	get[console.List[console.Job]](c, "/replays")

	if routed := answered[console.Routed](c, "POST", "/conversations/"+id+"/route", ""); len(routed.Targets) != 0 {
		t.Errorf("routed: %+v", routed)
	}
	answered[console.ConversationDetail](c, "POST", "/conversations/"+id+"/reveal", "")
	answered[console.Target](c, "POST", "/targets/crm/pause", "")
	imported := answered[console.Decoded](c, "POST", "/import?source=shop&only=crm&received_at=2026-01-02T03:04:05Z", chatHook(77, "old@example.com", 5, "long ago"))
	if imported.Result != "accepted" || !slices.Equal(imported.Targets, []string{"crm"}) {
		t.Errorf("imported: %+v", imported)
	}
	if crm := get[console.Target](c, "/targets/crm"); crm.Pending != 1 || time.Since(crm.OldestPendingAt) > time.Minute {
		t.Errorf("an old chat that was imported waits since %s, which is an alert", crm.OldestPendingAt)
	}
	answered[console.Target](c, "POST", "/targets/crm/resume", "")
	for path, body := range map[string]string{"/import?source=shop": `{"a":}`, "/explain": `{"source":"shop","payload":"{\"a\":}"}`} {
		p := c.refused(http.StatusUnprocessableEntity, "POST", path, body)
		if p.Hint != "nothing was stored" || strings.Contains(p.Detail, ";") {
			t.Errorf("%s: %+v, want a reason, and a hint that nothing was stored", path, p)
		}
	}
	if p := c.refused(http.StatusUnprocessableEntity, "POST", "/import?source=shop", "nonsense"); p.Hint != "send the hook as application/json; nothing was stored" {
		t.Errorf("%+v", p)
	}

	r.recordOnce(t.Context())
	series := get[console.Series](c, "/series?kind=source&since=1h&step=15m")
	sum := int64(0)
	for _, p := range series.Points {
		if p.What == "accepted" {
			sum += p.Count
		}
	}
	if sum != 3 {
		t.Errorf("the series counts %d hooks, want 3 and not the imported one: %+v", sum, series)
	}
	var actions []string
	for _, line := range get[console.List[console.Audited]](c, "/audit?limit=500").Items {
		if line.Who != "local" || line.Address != "127.0.0.1" || time.Since(line.At) > time.Minute {
			t.Errorf("audit: %+v", line)
		}
		actions = append(actions, line.Action+" "+strings.Fields(line.Object + " -")[0])
	}
	slices.Reverse(actions)
	want := []string{
		"decode quarantine", "drop quarantine", "pause target", "replay " + id + "/help", "cancel " + id + "/help", "drop " + id + "/help",
		"probe target", "resume target", "replay job", "cancel job", "route " + id, "reveal " + id, "pause target", "import source", "resume target",
	}
	if !slices.Equal(actions, want) {
		t.Errorf("the audit log has\n%q, want\n%q", actions, want)
	}
	c.complete()
}

// complete tells of operations that nothing has asked with success.
func (c *client) complete() {
	c.t.Helper()
	var doc struct {
		Paths map[string]map[string]struct {
			ID string `json:"operationId"`
		}
	}
	_, _, text := c.ask("GET", "/api/v1/openapi.json", "")
	if err := json.Unmarshal(text, &doc); err != nil {
		c.t.Fatal(err)
	}
	n := 0
	for path, operations := range doc.Paths {
		for method, o := range operations {
			n++
			if !c.asked[o.ID] {
				c.t.Errorf("nothing has asked %s %s with success", method, path)
			}
		}
	}
	if n < 35 {
		c.t.Errorf("only %d operations", n)
	}
}
