// This file tests what answers mean, what Check finds, and which settings are refused.

package zendesk_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/connectortest"
	"github.com/afterchat/afterchat/connectors/zendesk"
	"github.com/afterchat/afterchat/connectors/zendesk/zendesktest"
)

// TestAnswers gives answers to the request that creates a ticket. The forms are those of
// https://developer.zendesk.com/api-reference/introduction/requests/#response-format and of the pages on rate limits.
func TestAnswers(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		status    int
		header    http.Header
		body      string
		kind      connectors.Kind
		uncertain bool
		after     time.Duration
		says      string // part of the error
		hint      string // part of the hint
		cause     string
	}{
		{name: "invalid record", status: 422, body: `{"error":"RecordInvalid","description":"Record validation errors","details":{"requester":[{"description":"Requester: Email: x is not valid","error":"InvalidValue"}],"base":[{"description":"Type: is required when solving a ticket"}]}}`, kind: connectors.Rejected, says: "RecordInvalid; Record validation errors; base: Type: is required when solving a ticket; requester: Requester: Email: x is not valid", hint: "required in Zendesk", cause: "RecordInvalid Type requester"},
		{name: "error with title", status: 422, body: `{"error":{"title":"Unprocessable","message":"No such form"}}`, kind: connectors.Rejected, says: "Unprocessable; No such form", hint: "mapping"},
		{name: "5,000 comments", status: 422, body: `{"error":"RecordInvalid","description":"x","details":{"base":[{"description":"Ticket has reached the limit of 5,000 comments"}]}}`, kind: connectors.Rejected, hint: "5,000 comments"},
		{name: "suspended user", status: 403, body: `{"error":{"title":"Forbidden","message":"The account is suspended"}}`, kind: connectors.Denied, hint: "suspended"},
		{name: "trial ended", status: 402, body: "Payment Required", kind: connectors.Denied, hint: "trial"},
		{name: "missing scope", status: 403, body: `{"error":"Forbidden","description":"You do not have access to this page."}`, kind: connectors.Denied, hint: "scopes"},
		{name: "unknown account", status: 404, body: "<html>No help desk at acme.zendesk.com</html>", kind: connectors.Denied, hint: "subdomain"},
		{name: "redirect", status: 301, header: http.Header{"Location": {"https://other.example"}}, kind: connectors.Denied, hint: "redirects"},
		{name: "account limit", status: 429, header: http.Header{"Retry-After": {"93"}}, body: `{"error":"APIRateLimitExceeded","description":"Number of allowed API requests per minute exceeded"}`, kind: connectors.Throttled, after: 93 * time.Second, says: "APIRateLimitExceeded", hint: "rate", cause: "APIRateLimitExceeded"},
		{name: "endpoint limit", status: 429, header: http.Header{"Zendesk-Ratelimit-Tickets-Index": {"total=100; remaining=0; resets=41"}, "Zendesk-Ratelimit-Other": {"total=9; remaining=3; resets=999"}}, kind: connectors.Throttled, after: 41 * time.Second, hint: "rate"},
		{name: "reset header", status: 429, header: http.Header{"Ratelimit-Reset": {"17"}}, kind: connectors.Throttled, after: 17 * time.Second, hint: "rate"},
		{name: "limit as plain text", status: 429, body: "Number of allowed user updates per minute exceeded", kind: connectors.Throttled, after: time.Minute, says: "user updates", hint: "rate"},
		{name: "down for maintenance", status: 503, header: http.Header{"Retry-After": {"120"}}, body: "<html>maintenance</html>", kind: connectors.Throttled, after: 2 * time.Minute, hint: "slowly"},
		{name: "server error", status: 500, body: "<html>oops</html>", kind: connectors.Temporary, uncertain: true, hint: "trouble"},
		{name: "conflict", status: 409, body: `{"error":"DatabaseConflict"}`, kind: connectors.Temporary, uncertain: true, says: "DatabaseConflict", hint: "looks"},
		{name: "key with other content", status: 400, body: `{"error":"IdempotentRequestError","description":"Request parameters don't match the given idempotency key"}`, kind: connectors.Temporary, uncertain: true, hint: "two hours"},
		{name: "bad request", status: 400, body: `{"error":"InvalidParams"}`, kind: connectors.Rejected, says: "InvalidParams", hint: "mapping"},
		{name: "no ticket in the answer", status: 201, body: `{}`, kind: connectors.Temporary, uncertain: true, hint: "address"},
		{name: "a page", status: 200, body: "<html>welcome</html>", kind: connectors.Temporary, uncertain: true, hint: "address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wire := connectortest.NewWire(account())
			wire.Break(1, connectortest.Answer(tt.status, tt.header, tt.body))
			c, err := zendesk.Type().Open(settings(legacy), connectors.Env{Logger: slog.New(slog.DiscardHandler), Transport: wire})
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Push(t.Context(), record(1, 1))
			e := connectors.Classify(err)
			if e == nil {
				t.Fatal("no error")
			}
			if e.Kind != tt.kind || e.Uncertain != tt.uncertain || e.After != tt.after {
				t.Errorf("%v, uncertain %v, after %v; want %v, %v, %v: %v", e.Kind, e.Uncertain, e.After, tt.kind, tt.uncertain, tt.after, err)
			}
			if tt.cause != "" && e.Cause != tt.cause || tt.body != "" && e.Status > 299 && e.Response != tt.body {
				t.Errorf("cause %q, want %q; response %q", e.Cause, tt.cause, e.Response)
			}
			if !strings.Contains(err.Error(), tt.says) || !strings.Contains(e.Hint, tt.hint) || e.Hint == "" {
				t.Errorf("%q (hint %q); want %q (hint %q)", err, e.Hint, tt.says, tt.hint)
			}
		})
	}
}

// TestWrongCustomField is found before anything is sent.
func TestWrongCustomField(t *testing.T) {
	t.Parallel()
	a := account()
	rec := record(1, 1)
	rec.Fields["custom_fields"] = map[string]any{"rating": "5"}
	_, err := open(t, a, settings()).Push(t.Context(), rec)
	if e := connectors.Classify(err); e == nil || e.Kind != connectors.Rejected || len(a.Steps()) > 0 {
		t.Errorf("a custom field without id: %v", err)
	}
}

// TestWrongKey is found by check, before there is a conversation.
func TestWrongKey(t *testing.T) {
	t.Parallel()
	text := fmt.Sprintf(configuration, "ticket", connectortest.Canary) + `routes:
  - name: everything
    to:
      help:
        custom_fields: {22001: '${rating}', Plan name: '${visitor.vars.plan}'}
`
	_, err := config.Parse("afterchat.yaml", []byte(text), known(), environment())
	want := `"Plan name" cannot be a key of "custom_fields"`
	if problems, ok := errors.AsType[config.Problems](err); !ok || len(problems) != 1 || !strings.Contains(err.Error(), want) {
		t.Errorf("%v\nwant %s", err, want)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		account  func(*zendesktest.Account)
		settings func(*zendesk.Settings)
		fault    zendesktest.Fault
		want     string // part of the error; "": passes
		denied   bool
	}{
		"fine":                 {},
		"fine, token":          {settings: legacy},
		"fine, import":         {settings: imports},
		"wrong token":          {settings: legacy, account: func(a *zendesktest.Account) { a.APIToken = "other" }, want: "does not know who we are", denied: true},
		"wrong client":         {account: func(a *zendesktest.Account) { a.ClientID = "other" }, want: "invalid_client", denied: true},
		"no agent":             {account: func(a *zendesktest.Account) { a.Role = "end-user" }, want: `role "end-user"`, denied: true},
		"import by an agent":   {account: func(a *zendesktest.Account) { a.Role = "agent" }, settings: imports, want: "needs an admin", denied: true},
		"read only":            {account: func(a *zendesktest.Account) { a.Scope = "read" }, want: "tickets:write", denied: true},
		"scopes of tickets":    {account: func(a *zendesktest.Account) { a.Scope = "tickets:read tickets:write" }},
		"import without users": {account: func(a *zendesktest.Account) { a.Scope = "tickets:read tickets:write" }, settings: imports, want: "users:read", denied: true},
		"unknown agent":        {settings: func(s *zendesk.Settings) { s.Agents = map[string]int64{"Eva": 4711} }, want: "agents.Eva: there is no user 4711", denied: true},
		"unknown requester":    {settings: func(s *zendesk.Settings) { s.FallbackRequester = &zendesk.Requester{ID: 4712} }, want: "fallback_requester.id: there is no user 4712", denied: true},
		"agent is a customer": {
			account:  func(a *zendesktest.Account) { a.AddUser(zendesktest.User{ID: 88, Role: "end-user"}) },
			settings: func(s *zendesk.Settings) { s.Agents = map[string]int64{"Eva": 88} }, want: "user 88 is no agent", denied: true,
		},
		"down": {fault: zendesktest.Faults()["500 before"], want: "500"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := account()
			if tt.account != nil {
				tt.account(a)
			}
			if tt.fault != nil {
				a.Break("", 0, 99, tt.fault)
			}
			change := tt.settings
			if change == nil {
				change = func(*zendesk.Settings) {}
			}
			err := open(t, a, settings(change)).(connectors.Checker).Check(t.Context())
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			e := connectors.Classify(err)
			if e == nil || !strings.Contains(err.Error(), tt.want) || (e.Kind == connectors.Denied) != tt.denied || e.Hint == "" {
				t.Errorf("%v (%+v), want %q", err, e, tt.want)
			}
			if a.Count() > 0 {
				t.Error("a check made a ticket")
			}
		})
	}
}

func TestCheckFields(t *testing.T) {
	t.Parallel()
	a := account()
	a.Have("brands/11", "groups/12", "ticket_forms/13", "ticket_fields/14")
	c := open(t, a, settings()).(connectors.FieldChecker)
	good := map[string]any{
		"brand_id": int64(11), "group_id": int64(12), "ticket_form_id": int64(13), "assignee_id": int64(77), "custom_fields": map[string]any{"14": "x"}, "subject": "y",
	}
	if err := c.CheckFields(t.Context(), good); err != nil {
		t.Error(err)
	}
	bad := map[string]any{"brand_id": int64(21), "group_id": int64(22), "custom_fields": map[string]any{"24": "x", "rating": 5}}
	err := c.CheckFields(t.Context(), bad)
	want := `brand_id: Zendesk has no 21; group_id: Zendesk has no 22; custom_fields: Zendesk has no 24; custom_fields: "rating" is no id of a field`
	if e := connectors.Classify(err); e == nil || e.Kind != connectors.Denied || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		settings zendesk.Settings
		want     []string // keys
	}{
		"nothing":         {want: []string{"subdomain", "oauth", "mode"}},
		"whole address":   {settings: zendesk.Settings{Subdomain: "acme.zendesk.com", Mode: "ticket", Email: "a@b.example", Token: secret.New("x")}, want: []string{"subdomain"}},
		"bad url":         {settings: zendesk.Settings{URL: "acme", Mode: "ticket", Email: "a@b.example", Token: secret.New("x")}, want: []string{"url"}},
		"both":            {settings: zendesk.Settings{Subdomain: "acme", Mode: "ticket", Email: "a@b.example", OAuth: &zendesk.OAuth{}}, want: []string{"oauth"}},
		"half a client":   {settings: zendesk.Settings{Subdomain: "acme", Mode: "ticket", OAuth: &zendesk.OAuth{}}, want: []string{"oauth.client_id", "oauth.client_secret"}},
		"token alone":     {settings: zendesk.Settings{Subdomain: "acme", Mode: "ticket", Token: secret.New("x")}, want: []string{"email"}},
		"email alone":     {settings: zendesk.Settings{Subdomain: "acme", Mode: "ticket", Email: "a@b.example"}, want: []string{"token"}},
		"email and token": {settings: zendesk.Settings{Subdomain: "acme", Mode: "ticket", Email: "a@b.example/token", Token: secret.New("x")}, want: []string{"email"}},
		"people": {settings: zendesk.Settings{
			Subdomain: "acme", Mode: "ticket", Email: "a@b.example", Token: secret.New("x"), Agents: map[string]int64{"Eva": 0}, FallbackRequester: &zendesk.Requester{},
		}, want: []string{"agents.Eva", "fallback_requester"}},
		"no address": {settings: zendesk.Settings{
			Subdomain: "acme", Mode: "ticket", Email: "a@b.example", Token: secret.New("x"), FallbackRequester: &zendesk.Requester{Email: "chat"},
		}, want: []string{"fallback_requester.email"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tt.settings.Validate()
			var got []string
			if joined, ok := err.(interface{ Unwrap() []error }); ok {
				for _, e := range joined.Unwrap() {
					if wrong, ok := errors.AsType[*connectors.SettingError](e); ok {
						got = append(got, wrong.Key)
					}
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}
