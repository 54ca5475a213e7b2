// This file runs the suite of every connector.

package zendesk_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/connectortest"
	"github.com/afterchat/afterchat/connectors/zendesk"
	"github.com/afterchat/afterchat/connectors/zendesk/zendesktest"
)

// account makes an empty account that knows the credentials of settings, and checks requests against the description.
func account() *zendesktest.Account {
	a := checked(zendesktest.New())
	a.ClientID, a.ClientSecret = "afterchat", connectortest.Canary
	a.Email, a.APIToken, a.TokenPrefix = "bot@acme.example", connectortest.Canary, connectortest.Canary+"-"
	a.AddUser(zendesktest.User{ID: 77, Name: "Petr", Email: "petr@acme.example", Role: "agent"})
	return a
}

// settings returns valid settings that lead to the account, with OAuth.
func settings(change ...func(*zendesk.Settings)) *zendesk.Settings {
	s := zendesk.Type().Settings().(*zendesk.Settings)
	s.Subdomain = "acme"
	s.OAuth = &zendesk.OAuth{ClientID: "afterchat", ClientSecret: secret.New(connectortest.Canary)}
	s.Agents = map[string]int64{"Petr Novak": 77}
	for _, c := range change {
		c(s)
	}
	return s
}

func legacy(s *zendesk.Settings) {
	s.OAuth, s.Email, s.Token = nil, "bot@acme.example", secret.New(connectortest.Canary)
}

func imports(s *zendesk.Settings) { s.Mode = "import" }

// transcript is markup with n messages.
func transcript(n int, text string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "<p><small>10:00:%02d</small> <b>Ada:</b> message %d %s</p>\n", i%60, i+1, text)
	}
	return strings.TrimSpace(b.String())
}

// fields are those of the n-th conversation in a revision; each revision has one message and a rating more.
func fields(n, revision int) map[string]any {
	at := time.Date(2026, 11, 3, 10, 0, 0, 0, time.UTC)
	var messages []any
	for i := range 1 + revision {
		role, author := "visitor", "Ada"
		if i%2 == 1 {
			role, author = "agent", "Petr Novak"
		}
		messages = append(messages, map[string]any{
			"at": at.Add(time.Duration(i) * time.Second), "role": role, "author": author, "text": fmt.Sprintf("message %d", i+1),
		})
	}
	return map[string]any{
		"subject": fmt.Sprintf("Chat %d", n), "html_body": transcript(1+revision, ""), "summary": fmt.Sprintf("<p>Rating: %d/5</p>", revision),
		"attachment": "all of it", "status": "solved", "priority": "low", "tags": []any{"chat", "Bad Rating!", fmt.Sprintf("r%d", revision)},
		"requester":     map[string]any{"name": "Ada", "email": fmt.Sprintf("ada%d@example.com", n)},
		"custom_fields": map[string]any{"22001": int64(revision), "22002": "late"}, "messages": messages,
		"created_at": at, "updated_at": at.Add(time.Minute), "solved_at": at.Add(time.Minute),
	}
}

func TestSuite(t *testing.T) {
	t.Parallel()
	const warm = connectortest.Canary + "-warm"
	suites := map[string]struct {
		kind     connectors.Type
		settings *zendesk.Settings
		record   func(n, revision int) map[string]any
	}{
		"ticket, oauth": {zendesk.WarmType(warm, time.Hour), settings(), fields},
		"ticket, token": {zendesk.Type(), settings(legacy), fields},
		"import, no address": {zendesk.WarmType(warm, time.Hour), settings(imports), func(n, revision int) map[string]any {
			f := fields(n, revision)
			delete(f, "requester")
			return f
		}},
	}
	for name, tt := range suites {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connectortest.Run(t, connectortest.Suite{
				Type: tt.kind,
				Open: func(t *testing.T) connectortest.Target {
					vendor := account()
					vendor.Grant(warm, time.Hour)
					t.Cleanup(func() { noProblems(t, vendor) })
					return connectortest.Target{Settings: tt.settings, Vendor: vendor, Count: vendor.Count}
				},
				Record: tt.record,
			})
		})
	}
}

// noProblems fails if the account could not make sense of a request.
func noProblems(t *testing.T, a *zendesktest.Account) {
	t.Helper()
	for _, problem := range a.Problems() {
		t.Errorf("request against the description: %s", problem)
	}
}

// open opens a connector on an account.
func open(t *testing.T, a *zendesktest.Account, s *zendesk.Settings) connectors.Connector {
	t.Helper()
	if err := zendesk.Type().Validate(s); err != nil {
		t.Fatalf("settings: %v", err)
	}
	c, err := zendesk.Type().Open(s, connectors.Env{
		Target: "help", Version: "1", Timeout: 10 * time.Second, Logger: slog.New(slog.DiscardHandler), Transport: a,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { noProblems(t, a) })
	return c
}

func record(n, revision int) connectors.Record {
	object := fmt.Sprintf("afterchat:%04d:help", n)
	return connectors.Record{
		Object: object, Request: fmt.Sprintf("%s:%d", object, revision), Revision: revision, Attempt: 1, Fields: fields(n, revision),
	}
}
