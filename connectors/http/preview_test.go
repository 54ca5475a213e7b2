// This file tests what is shown of a push before it is made.

package http_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/connectortest"
	target "github.com/afterchat/afterchat/connectors/http"
)

func TestPreview(t *testing.T) {
	t.Parallel()
	const canary = connectortest.Canary
	notSent := []connectors.NotSent{{Field: "update", Why: "for a conversation that the target holds already"}}
	body := map[string]any{"text": "<b>é</b>"}
	jsonBody, keyed := `{"text":"<b>é</b>"}`, map[string]string{"Content-Type": "application/json", "Idempotency-Key": "object.1"}
	tests := map[string]struct {
		settings func(*target.Settings)
		rec      connectors.Record
		want     connectors.Preview
	}{
		"the key in a webhook's path": {
			settings: func(s *target.Settings) { s.URL = secret.New("https://hooks.example/services/T0/" + canary) },
			rec:      record(map[string]any{"body": body}),
			want: connectors.Preview{Requests: []connectors.Request{
				{Method: "POST", URL: "https://hooks.example/***", Headers: keyed, Body: jsonBody},
			}},
		},
		"what is mapped to path and query": {
			settings: func(s *target.Settings) { s.URL = secret.New("https://api.example/v1/" + canary + "/?key=" + canary) },
			rec:      record(map[string]any{"body": body, "path": []any{"contacts", "a/b"}, "query": map[string]any{"q": "a b"}}),
			want: connectors.Preview{Requests: []connectors.Request{
				{Method: "POST", URL: "https://api.example/***/contacts/a%2Fb?***&q=a+b", Headers: keyed, Body: jsonBody},
			}},
		},
		"a host alone": {
			settings: func(s *target.Settings) { s.URL = secret.New("http://127.0.0.1:8080") },
			rec:      record(map[string]any{"body": body, "path": "/in"}),
			want: connectors.Preview{Requests: []connectors.Request{
				{Method: "POST", URL: "http://127.0.0.1:8080/in", Headers: keyed, Body: jsonBody},
			}},
		},
		"headers": {
			settings: func(s *target.Settings) {
				s.URL = secret.New("https://api.example")
				s.Once = "none"
				s.Headers = map[string]secret.String{"x-api-key": secret.New(canary)}
				s.Auth = &target.Auth{Basic: &target.Basic{User: "u", Password: secret.New(canary)}}
			},
			rec: record(map[string]any{"body": body, "headers": map[string]any{"X-Brand": "acme"}}),
			want: connectors.Preview{Requests: []connectors.Request{{
				Method: "POST", URL: "https://api.example", Body: jsonBody,
				Headers: map[string]string{"Authorization": "Basic ***", "Content-Type": "application/json", "X-Api-Key": "***", "X-Brand": "acme"},
			}}},
		},
		"a signature": {
			settings: func(s *target.Settings) {
				s.URL = secret.New("https://api.example")
				s.Auth = &target.Auth{HMAC: &target.HMAC{Secret: secret.New(canary)}}
				s.Encoding = "form"
			},
			rec: record(map[string]any{"body": body, "update": map[string]any{"path": "/{id}"}}),
			want: connectors.Preview{Requests: []connectors.Request{{
				Method: "POST", URL: "https://api.example", Body: "text=%3Cb%3E%C3%A9%3C%2Fb%3E",
				Headers: map[string]string{
					"Content-Type": "application/x-www-form-urlencoded", "Idempotency-Key": "object.1",
					"Webhook-Id": "object.1", "Webhook-Signature": "***", "Webhook-Timestamp": "***",
				},
			}}, NotSent: notSent},
		},
		"an update": {
			settings: func(s *target.Settings) { s.URL, s.Success = secret.New("https://api.example"), []target.Status{"204"} },
			rec: connectors.Record{
				Object: "object", Request: "object.2", Revision: 2, Attempt: 1, Prior: connectors.Receipt{ID: "42"},
				Fields: map[string]any{"body": body, "update": map[string]any{"path": "/chats/{id}", "method": "PATCH"}},
			},
			want: connectors.Preview{Requests: []connectors.Request{{
				Method: "PATCH", URL: "https://api.example/chats/42", Body: jsonBody,
				Headers: map[string]string{"Content-Type": "application/json", "Idempotency-Key": "object.2"},
			}}},
		},
		"a repeated attempt": {
			settings: func(s *target.Settings) {
				s.URL, s.Once, s.Lookup.Items = secret.New("https://api.example"), "lookup", "/results"
			},
			rec: connectors.Record{
				Object: "object", Request: "object.1", Revision: 1, Attempt: 2, Uncertain: true,
				Fields: map[string]any{"body": body, "lookup": map[string]any{"query": map[string]any{"q": "1"}}},
			},
			want: connectors.Preview{Requests: []connectors.Request{
				{Method: "GET", URL: "https://api.example?q=1", Reads: true, Note: "a look-up before a repeated attempt; what follows is sent when it finds nothing"},
				{Method: "POST", URL: "https://api.example", Body: jsonBody, Headers: map[string]string{"Content-Type": "application/json"}},
			}},
		},
		"GET": {
			settings: func(s *target.Settings) { s.URL, s.Method, s.Once = secret.New("https://api.example"), "GET", "none" },
			rec:      record(map[string]any{"body": body, "query": map[string]any{"q": "1"}}),
			want: connectors.Preview{
				Requests: []connectors.Request{{Method: "GET", URL: "https://api.example?q=1"}},
				NotSent:  []connectors.NotSent{{Field: "body", Why: "GET sends no body"}},
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := open(t, settings(tt.settings), connectortest.NewWire(http.NotFoundHandler())).(connectors.Previewer).Preview(tt.rec)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("preview (-want +got):\n%s", diff)
			}
			if text, err := json.Marshal(got); err != nil || strings.Contains(string(text), canary) {
				t.Errorf("%s, %v", text, err)
			}
		})
	}
}

// TestPreviewFails: what Push refuses, Preview refuses.
func TestPreviewFails(t *testing.T) {
	t.Parallel()
	c := open(t, settings(nil), connectortest.NewWire(http.NotFoundHandler())).(connectors.Previewer)
	got, err := c.Preview(record(map[string]any{"path": "../x", "body": "x"}))
	if connectors.Classify(err).Kind != connectors.Rejected || len(got.Requests) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
}
