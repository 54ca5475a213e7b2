// This file tests what the demo sends and the desk that receives it.

package demo_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/demo"
	"github.com/afterchat/afterchat/internal/source"
	"github.com/afterchat/afterchat/internal/source/proprofs"
	"github.com/afterchat/afterchat/internal/source/smartsupp"
)

// TestSamplesShowWhatTheySay decodes every sample: those that make a ticket without a warning, and every outcome and
// both platforms are among them.
func TestSamplesShowWhatTheySay(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	zone, err := time.LoadLocation("Asia/Kolkata")
	if err != nil {
		t.Fatal(err)
	}
	decoders := map[string]source.Decoder{
		"shop": smartsupp.Type().New(source.Options{}), "desk": proprofs.Type().New(source.Options{Zone: zone}),
	}
	outcomes, platforms := map[chat.Outcome]int{}, map[string]int{}
	for _, s := range demo.Samples(now) {
		if !s.Ticket && !s.Update {
			continue
		}
		decoded, err := decoders[s.Source].Decode(source.Hook{Body: s.Body, ContentType: s.ContentType, ReceivedAt: now})
		if err != nil {
			t.Errorf("%s: %v", s.Title, err)
			continue
		}
		c := decoded.Conversation
		if len(c.Warnings) > 0 || len(c.Messages) == 0 {
			t.Errorf("%s: %d messages, warnings %q", s.Title, len(c.Messages), c.Warnings)
		}
		outcomes[c.Outcome]++
		platforms[c.Platform]++
	}
	for _, o := range []chat.Outcome{chat.Completed, chat.Missed, chat.Offline} {
		if outcomes[o] == 0 {
			t.Errorf("no %s chat among the samples", o)
		}
	}
	if platforms["smartsupp"] == 0 || platforms["proprofs"] == 0 {
		t.Errorf("platforms: %v", platforms)
	}
}

// client asks a desk with an access token.
type client struct {
	h     http.Handler
	token string
}

// signIn gets a token with the credentials of the demo's configuration.
func signIn(t *testing.T, desk *demo.Desk) client {
	t.Helper()
	const credentials = "{client_id: afterchat, client_secret: demo-secret-of-the-client}"
	if !strings.Contains(string(demo.Config), "oauth: "+credentials) {
		t.Fatalf("the configuration has other credentials than %s", credentials)
	}
	c := client{h: desk.Handler()}
	var grant struct {
		AccessToken string `json:"access_token"`
	}
	_, answer := c.ask(t, http.MethodPost, "/oauth/tokens", "", `{"grant_type":"client_credentials","client_id":"afterchat","client_secret":"demo-secret-of-the-client"}`)
	if err := json.Unmarshal([]byte(answer), &grant); err != nil || grant.AccessToken == "" {
		t.Fatalf("no token: %s", answer)
	}
	c.token = grant.AccessToken
	return c
}

func (c client) ask(t *testing.T, method, path, key, body string) (int, string) {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	request.Header.Set("Idempotency-Key", key)
	request.Header.Set("Authorization", "Bearer "+c.token)
	recorder := httptest.NewRecorder()
	c.h.ServeHTTP(recorder, request)
	return recorder.Code, recorder.Body.String()
}

// ticket is a request to make a ticket.
func ticket(subject, markup string) string {
	body, err := json.Marshal(map[string]any{"ticket": map[string]any{
		"external_id": "afterchat:" + subject, "subject": subject, "status": "solved", "tags": []string{"chat"},
		"comment": map[string]any{"html_body": markup, "public": false},
	}})
	if err != nil {
		panic(err)
	}
	return string(body)
}

// TestDeskSpeaksZendesk walks through every request that afterchat makes. Later rows see what earlier ones did.
func TestDeskSpeaksZendesk(t *testing.T) {
	t.Parallel()
	desk := demo.NewDesk()
	c := signIn(t, desk)
	long := ticket("long", strings.Repeat("x", 64<<10))
	for _, step := range []struct {
		name, method, path, key, body string
		status                        int
		want                          string // part of the answer
	}{
		{"who we are", "GET", "/api/v2/users/me", "", "", 200, `"role":"agent"`},
		{"no ticket yet", "GET", "/api/v2/tickets?external_id=afterchat:one", "", "", 200, `"tickets":[]`},
		{"no external id finds nothing", "GET", "/api/v2/tickets", "", "", 200, `"tickets":[]`},
		{"a ticket", "POST", "/api/v2/tickets", "a", ticket("one", "<p>1</p>"), 201, `"id":1`},
		{"the same once more", "POST", "/api/v2/tickets", "a", ticket("one", "<p>1</p>"), 201, `"id":1`},
		{"the key with other content", "POST", "/api/v2/tickets", "a", ticket("two", "<p>1</p>"), 400, "IdempotentRequestError"},
		{"without a key", "POST", "/api/v2/tickets", "", ticket("two", "<p>2</p>"), 201, `"id":2`},
		{"without a key again", "POST", "/api/v2/tickets", "", ticket("three", "<p>3</p>"), 201, `"id":3`},
		{"no subject", "POST", "/api/v2/tickets", "b", ticket("", "<p>1</p>"), 422, "RecordInvalid"},
		{"no comment", "POST", "/api/v2/tickets", "c", `{"ticket":{"subject":"x"}}`, 422, "RecordInvalid"},
		{"a blank comment", "POST", "/api/v2/tickets", "d", ticket("x", " "), 422, "RecordInvalid"},
		{"a comment of 64 KiB", "POST", "/api/v2/tickets", "e", long, 422, "64 KiB"},
		{"not JSON", "POST", "/api/v2/tickets", "f", "{", 400, "Bad Request"},
		{"an upload of nobody", "POST", "/api/v2/tickets", "g", `{"ticket":{"subject":"x","comment":{"html_body":"x","uploads":["no"]}}}`, 422, "upload"},
		{"found", "GET", "/api/v2/tickets?external_id=AFTERCHAT:ONE", "", "", 200, `"count":1`},
		{"shown", "GET", "/api/v2/tickets/1", "", "", 200, `"external_id":"afterchat:one"`},
		{"an update", "PUT", "/api/v2/tickets/1", "", `{"ticket":{"priority":"high","comment":{"html_body":"<p>more</p>"}}}`, 200, `"priority":"high"`},
		{"an update that is refused", "PUT", "/api/v2/tickets/1", "", `{"ticket":{"priority":"low","comment":{"html_body":""}}}`, 422, "RecordInvalid"},
		{"tags are added", "PUT", "/api/v2/tickets/1/tags", "", `{"tags":["chat","late"]}`, 200, `"tags":["chat","late"]`},
		{"comments, newest first", "GET", "/api/v2/tickets/1/comments?sort=-created_at", "", "", 200, `"plain_body":"more"`},
		{"an update of nothing", "PUT", "/api/v2/tickets/7", "", `{"ticket":{}}`, 404, "RecordNotFound"},
		{"the page of a ticket", "GET", "/agent/tickets/1", "", "", 303, "#ticket-1"},
		{"a wrong secret", "POST", "/oauth/tokens", "", `{"grant_type":"client_credentials","client_id":"afterchat","client_secret":"x"}`, 401, "invalid_client"},
	} {
		if status, answer := c.ask(t, step.method, step.path, step.key, step.body); status != step.status || !strings.Contains(answer, step.want) {
			t.Errorf("%s: %d %s, want %d with %s", step.name, status, answer, step.status, step.want)
		}
	}
	got := desk.Tickets()
	if len(got) != 3 || got[0].Updates != 1 || got[0].Priority != "high" || len(got[0].Comments) != 2 || got[0].Comments[1].Text != "more" {
		t.Errorf("the tickets: %+v", got)
	}
	c.token = "another"
	for _, path := range []string{"/api/v2/tickets?external_id=afterchat:one", "/api/v2/tickets/1/comments"} {
		if status, answer := c.ask(t, http.MethodGet, path, "", ""); status != http.StatusUnauthorized {
			t.Errorf("%s without a token: %d %s", path, status, answer)
		}
	}
}

func TestDeskTakesAnUploadOnce(t *testing.T) {
	t.Parallel()
	desk := demo.NewDesk()
	c := signIn(t, desk)
	var made struct {
		Upload struct {
			Token string `json:"token"`
		} `json:"upload"`
	}
	_, answer := c.ask(t, http.MethodPost, "/api/v2/uploads?filename=transcript.txt", "", "all of it")
	if err := json.Unmarshal([]byte(answer), &made); err != nil {
		t.Fatal(err)
	}
	body := `{"ticket":{"subject":"x","comment":{"html_body":"x","uploads":["` + made.Upload.Token + `"]}}}`
	var statuses []int
	for range 2 {
		status, _ := c.ask(t, http.MethodPost, "/api/v2/tickets", "", body)
		statuses = append(statuses, status)
	}
	if diff := cmp.Diff([]int{http.StatusCreated, http.StatusUnprocessableEntity}, statuses); diff != "" {
		t.Error(diff)
	}
	want := []demo.File{{Name: "transcript.txt", Content: []byte("all of it")}}
	if diff := cmp.Diff(want, desk.Tickets()[0].Comments[0].Files); diff != "" {
		t.Error(diff)
	}
}

func TestDeskIsOutOfOrderNowAndThen(t *testing.T) {
	t.Parallel()
	desk := demo.NewDesk()
	desk.FailEvery = 2
	failed := 0
	var received, looked []bool
	desk.Failed = func() { failed++ }
	desk.Looked = func(found bool) { looked = append(looked, found) }
	desk.Received = func(_ demo.Ticket, updated bool) { received = append(received, updated) }
	c := signIn(t, desk)
	var statuses []int
	note := func(status int, _ string) { statuses = append(statuses, status) }
	note(c.ask(t, http.MethodPost, "/api/v2/tickets", "a", ticket("one", "1")))
	note(c.ask(t, http.MethodPost, "/api/v2/tickets", "b", ticket("two", "2")))
	note(c.ask(t, http.MethodGet, "/api/v2/tickets?external_id=afterchat:two", "", ""))
	note(c.ask(t, http.MethodPut, "/api/v2/tickets/1", "", `{"ticket":{"status":"open"}}`))
	if diff := cmp.Diff([]int{201, 503, 200, 200}, statuses); diff != "" {
		t.Error(diff)
	}
	if failed != 1 || !slices.Equal(received, []bool{false, true}) || !slices.Equal(looked, []bool{false}) {
		t.Errorf("told of %d failures, received %v, looked %v", failed, received, looked)
	}
}

// TestPageShowsMarkupAsText checks that neither subject, comment nor alert becomes markup of the page.
func TestPageShowsMarkupAsText(t *testing.T) {
	t.Parallel()
	desk := demo.NewDesk()
	c := signIn(t, desk)
	const evil = "<script>alert(1)</script>"
	c.ask(t, http.MethodPost, "/api/v2/tickets", "a", ticket(evil, "<p>&lt;b&gt;bold&lt;/b&gt;</p><p>two<br>\nlines</p><img src=x onerror=alert(1)>"+evil))
	c.ask(t, http.MethodPost, "/alerts", "", `{"text":"<i>Rude</i>"}`)
	if diff := cmp.Diff("<b>bold</b>\ntwo\nlines\nalert(1)", desk.Tickets()[0].Comments[0].Text); diff != "" {
		t.Error(diff)
	}
	_, page := c.ask(t, http.MethodGet, "/", "", "")
	for _, bad := range []string{"<script", "<img", "<b>", "<i>"} {
		if strings.Contains(page, bad) {
			t.Errorf("%s is on the page", bad)
		}
	}
	for _, good := range []string{"&lt;script&gt;", "&lt;b&gt;bold&lt;/b&gt;\ntwo\nlines", "&lt;i&gt;Rude&lt;/i&gt;"} {
		if !strings.Contains(page, good) {
			t.Errorf("%s is not on the page:\n%s", good, page)
		}
	}
}
