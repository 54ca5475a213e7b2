// This file tests that the fake refuses what Zendesk refuses, and more.

package zendesktest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/afterchat/afterchat/connectors/zendesk/zendesktest"
)

func send(t *testing.T, a *zendesktest.Account, method, path, body, key string) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, "https://acme.zendesk.com"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer good")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	answer, err := a.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func account() (*zendesktest.Account, *time.Time) {
	now := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	a := zendesktest.New()
	a.Now = func() time.Time { return now }
	a.Grant("good", 24*time.Hour)
	return a, &now
}

const ticket = `{"ticket":{"external_id":"x","subject":"a","comment":{"html_body":"<p>a</p>"}}}`

// TestDescription: Zendesk ignores misspelt properties; the fake does not.
func TestDescription(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		strings.Replace(ticket, "html_body", "htmlbody", 1):              "html_body is missing",
		strings.Replace(ticket, `"subject"`, `"subjekt"`, 1):             "subjekt is unknown",
		strings.Replace(ticket, `"a","comment"`, `7,"comment"`, 1):       "subject is no text",
		strings.Replace(ticket, `"subject":"a"`, `"status":"closed"`, 1): "status is none of",
		`{"ticket":{"external_id":"x"}}`:                                 "comment is missing",
	} {
		a, _ := account()
		status, answer := send(t, a, http.MethodPost, "/api/v2/tickets", body, "")
		if problems := a.Problems(); status != http.StatusBadRequest || len(problems) != 1 || !strings.Contains(problems[0], want) {
			t.Errorf("%s: %d %s, problems %q, want %q", body, status, answer, problems, want)
		}
	}
	a, _ := account()
	if status, _ := send(t, a, http.MethodGet, "/api/v2/tickets?externalid=x", "", ""); status != http.StatusBadRequest {
		t.Errorf("a misspelt parameter gets %d", status)
	}
}

// TestKeys: the same answer within two hours, 400 for other content, a new ticket later.
func TestKeys(t *testing.T) {
	t.Parallel()
	a, now := account()
	create := func(body string, status, tickets int) {
		t.Helper()
		if got, answer := send(t, a, http.MethodPost, "/api/v2/tickets", body, "k"); got != status || a.Count() != tickets {
			t.Errorf("%d with %d tickets, want %d with %d: %s", got, a.Count(), status, tickets, answer)
		}
	}
	create(ticket, http.StatusCreated, 1)
	create(ticket, http.StatusCreated, 1)
	create(strings.Replace(ticket, `"a"`, `"b"`, 1), http.StatusBadRequest, 1)
	*now = now.Add(2 * time.Hour)
	create(ticket, http.StatusCreated, 2)
	a.Delete(1)
	if _, list := send(t, a, http.MethodGet, "/api/v2/tickets?external_id=x", "", ""); !strings.Contains(list, `"count":1`) {
		t.Errorf("a deleted ticket is listed: %s", list)
	}
	*now = now.Add(23 * time.Hour)
	create(ticket, http.StatusUnauthorized, 1)
}

func TestClosed(t *testing.T) {
	t.Parallel()
	a, _ := account()
	send(t, a, http.MethodPost, "/api/v2/tickets", ticket, "")
	follow := strings.Replace(ticket, `"subject"`, `"via_followup_source_id":1,"subject"`, 1)
	if status, _ := send(t, a, http.MethodPost, "/api/v2/tickets", follow, ""); status != http.StatusUnprocessableEntity {
		t.Errorf("a follow-up of an open ticket gets %d", status)
	}
	a.Close(1)
	if status, _ := send(t, a, http.MethodPut, "/api/v2/tickets/1", `{"ticket":{"subject":"b"}}`, ""); status != http.StatusUnprocessableEntity {
		t.Errorf("a change of a closed ticket gets %d", status)
	}
	if status, _ := send(t, a, http.MethodPost, "/api/v2/tickets", follow, ""); status != http.StatusCreated {
		t.Errorf("a follow-up gets %d", status)
	}
}
