// This file runs the suite and tests what the suite cannot know.

package http_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/connectortest"
	target "github.com/afterchat/afterchat/connectors/http"
	"github.com/afterchat/afterchat/connectors/http/httptarget"
)

// settings returns valid settings that lead to the fake.
func settings(change func(*target.Settings)) *target.Settings {
	s := target.Type().Settings().(*target.Settings)
	s.URL = secret.New("https://api.example/objects?token=" + connectortest.Canary)
	s.Receipt = target.Pointers{ID: "/id", URL: "/url"}
	if change != nil {
		change(s)
	}
	return s
}

func TestSuite(t *testing.T) {
	t.Parallel()
	body := func(n, revision int) map[string]any {
		return map[string]any{"external_id": fmt.Sprint("chat-", n), "revision": int64(revision), "b": true, "a": []any{1.5, nil}}
	}
	suites := map[string]struct {
		settings func(*target.Settings)
		record   func(n, revision int) map[string]any
	}{
		"key": {
			settings: func(s *target.Settings) {
				s.Auth = &target.Auth{Bearer: secret.New(connectortest.Canary)}
			},
			record: func(n, revision int) map[string]any {
				return map[string]any{"body": body(n, revision), "headers": map[string]any{"x-visitor": "Ada\r\nX-Evil: 1"}}
			},
		},
		"lookup": {
			settings: func(s *target.Settings) {
				s.Once = "lookup"
				s.Auth = &target.Auth{Bearer: secret.New(connectortest.Canary)}
				s.Headers = map[string]secret.String{"x-api-key": secret.New(connectortest.Canary)}
				s.Lookup.Items = "/items"
				s.URL = secret.New("https://api.example/?token=" + connectortest.Canary)
				s.Check = &target.Check{Path: "/health"}
			},
			record: func(n, revision int) map[string]any {
				return map[string]any{
					"path": "/objects", "body": body(n, revision),
					"lookup": map[string]any{"path": []any{"objects"}, "query": map[string]any{"external_id": fmt.Sprint("chat-", n)}},
					"update": map[string]any{"path": "/objects/{id}", "method": "PATCH"},
				}
			},
		},
		"webhook": {
			settings: func(s *target.Settings) {
				s.URL = secret.New("https://api.example/hook/" + connectortest.Canary)
				s.Once, s.Encoding, s.Receipt = "none", "form", target.Pointers{}
				s.Auth = &target.Auth{HMAC: &target.HMAC{Secret: secret.New(connectortest.Canary)}}
			},
			record: func(n, revision int) map[string]any {
				return map[string]any{"body": map[string]any{"text": fmt.Sprint("chat ", n, " ", revision), "tags": []any{"a", "b"}}}
			},
		},
	}
	for name, tt := range suites {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connectortest.Run(t, connectortest.Suite{
				Type: target.Type(),
				Open: func(*testing.T) connectortest.Target {
					vendor := httptarget.New()
					s := settings(tt.settings)
					if s.Auth != nil {
						vendor.Token = s.Auth.Bearer.Reveal()
					}
					return connectortest.Target{Settings: s, Vendor: vendor, Count: vendor.Count}
				},
				Record: tt.record,
			})
		})
	}
}

// open opens a connector on a wire.
func open(t *testing.T, s *target.Settings, wire *connectortest.Wire) connectors.Connector {
	t.Helper()
	if err := target.Type().Validate(s); err != nil {
		t.Fatalf("settings: %v", err)
	}
	c, err := target.Type().Open(s, connectors.Env{Target: "api", Version: "1", Logger: slog.New(slog.DiscardHandler), Transport: wire})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func record(fields map[string]any) connectors.Record {
	return connectors.Record{Object: "object", Request: "object.1", Revision: 1, Attempt: 1, Fields: fields}
}

// push sends fields to a target that answers 200 {} and returns the one request.
func push(t *testing.T, s *target.Settings, fields map[string]any) (connectortest.Sent, error) {
	t.Helper()
	wire := connectortest.NewWire(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }))
	_, err := open(t, s, wire).Push(t.Context(), record(fields))
	sent := wire.Sent()
	if len(sent) == 0 {
		return connectortest.Sent{}, err
	}
	if len(sent) > 1 {
		t.Errorf("%d requests", len(sent))
	}
	return sent[0], err
}

// TestAddress maps paths and queries that try to lead elsewhere.
func TestAddress(t *testing.T) {
	t.Parallel()
	base := func(s *target.Settings) { s.URL = secret.New("https://api.example/v1/?key=k") }
	tests := []struct {
		name  string
		path  any
		query map[string]any
		want  string // empty: rejected
	}{
		{"nothing", nil, nil, "https://api.example/v1/?key=k"},
		{"empty", "", nil, "https://api.example/v1/?key=k"},
		{"text", "/chats/1", nil, "https://api.example/v1/chats/1?key=k"},
		{"no slash", "chats", nil, "https://api.example/v1/chats?key=k"},
		{"slash at the end", "/chats/", nil, "https://api.example/v1/chats/?key=k"},
		{"another host", "//evil.example/x", nil, ""},
		{"user info", "@evil.example", nil, "https://api.example/v1/@evil.example?key=k"},
		{"scheme", "https://evil.example", nil, ""},
		{"up", "/chats/../admin", nil, ""},
		{"up, encoded", "/chats/%2e%2e/admin", nil, "https://api.example/v1/chats/%252e%252e/admin?key=k"},
		{"up, with backslash", `/chats/..\admin`, nil, "https://api.example/v1/chats/..%5Cadmin?key=k"},
		{"dot", "/./chats", nil, ""},
		{"question mark and hash", "/a?b=c#d", nil, "https://api.example/v1/a%3Fb=c%23d?key=k"},
		{"line break", "/a\r\nHost: evil", nil, "https://api.example/v1/a%0D%0AHost:%20evil?key=k"},
		{"absent value in the middle", "/contacts//notes", nil, ""},
		{"list", []any{"a/b", "ü ", int64(7)}, nil, "https://api.example/v1/a%2Fb/%C3%BC%20/7?key=k"},
		{"list with up", []any{"a", ".."}, nil, ""},
		{"list with absent", []any{"a", nil}, nil, ""},
		{"a map", map[string]any{"a": "b"}, nil, ""},
		{"query", nil, map[string]any{"q": "a&key=2#x", "a": []any{"1", int64(2)}, "n": nil}, "https://api.example/v1/?key=k&a=1&a=2&n=&q=a%26key%3D2%23x"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fields := map[string]any{"query": tt.query}
			if tt.path != nil {
				fields["path"] = tt.path
			}
			sent, err := push(t, settings(base), fields)
			if tt.want == "" {
				if e := connectors.Classify(err); e == nil || e.Kind != connectors.Rejected || sent.URL != "" {
					t.Errorf("sent %q, error %v; want a rejection", sent.URL, err)
				}
				return
			}
			if err != nil || sent.URL != tt.want {
				t.Errorf("sent %q, error %v\nwant %q", sent.URL, err, tt.want)
			}
		})
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	s := func(s *target.Settings) {
		s.Headers = map[string]secret.String{"X-Team": secret.New("support"), "Content-Type": secret.New("application/vnd.api+json")}
	}
	sent, err := push(t, settings(s), map[string]any{"body": "x", "headers": map[string]any{"x-name": "Ada\r\nEvil: 1\x00", "X-Team": "sales"}})
	if err != nil {
		t.Fatal(err)
	}
	want := http.Header{
		"X-Team": {"sales"}, "X-Name": {"Ada  Evil: 1"}, "Content-Type": {"application/vnd.api+json"}, "Accept": {"application/json"},
		"User-Agent": {"afterchat/1"}, "Idempotency-Key": {"object.1"},
	}
	if diff := cmp.Diff(want, sent.Header); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, name := range []string{"Host", "content-length", "Transfer-Encoding", "IDEMPOTENCY-KEY", "a b", ""} {
		_, err := push(t, settings(nil), map[string]any{"headers": map[string]any{name: "x"}})
		if e := connectors.Classify(err); e == nil || e.Kind != connectors.Rejected {
			t.Errorf("header %q: error %v, want a rejection", name, err)
		}
	}
}

func TestBody(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, encoding, method string
		body                   any
		want, mediaType        string
		rejected               bool
	}{
		{name: "JSON", encoding: "json", body: map[string]any{"b": json.Number("12345678901234567890"), "a": "<ü>"}, want: `{"a":"<ü>","b":12345678901234567890}`, mediaType: "application/json"},
		{name: "JSON text", encoding: "json", body: "x", want: `"x"`, mediaType: "application/json"},
		{name: "no body", encoding: "json"},
		{name: "GET", encoding: "json", method: "GET", body: "x"},
		{name: "form", encoding: "form", body: map[string]any{"b": "x&y", "a": []any{int64(1), true}, "c": nil}, want: "a=1&a=true&b=x%26y&c=", mediaType: "application/x-www-form-urlencoded"},
		{name: "form of text", encoding: "form", body: "x", rejected: true},
		{name: "text", encoding: "text", body: "Grüezi\n", want: "Grüezi\n", mediaType: "text/plain; charset=utf-8"},
		{name: "text of number", encoding: "text", body: 2.5, want: "2.5", mediaType: "text/plain; charset=utf-8"},
		{name: "text of map", encoding: "text", body: map[string]any{}, rejected: true},
		{name: "what JSON cannot hold", encoding: "json", body: func() {}, rejected: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sent, err := push(t, settings(func(s *target.Settings) {
				s.Encoding = tt.encoding
				if tt.method != "" {
					s.Method = tt.method
				}
			}), map[string]any{"body": tt.body})
			if tt.rejected {
				if e := connectors.Classify(err); e == nil || e.Kind != connectors.Rejected || sent.URL != "" {
					t.Errorf("error %v, want a rejection", err)
				}
				return
			}
			if err != nil || sent.Body != tt.want || sent.Header.Get("Content-Type") != tt.mediaType {
				t.Errorf("sent %q as %q, error %v", sent.Body, sent.Header.Get("Content-Type"), err)
			}
		})
	}
}

// TestAnswer maps statuses with success and reject, and reads receipts from odd answers.
func TestAnswer(t *testing.T) {
	t.Parallel()
	type outcome struct {
		Receipt   connectors.Receipt
		Kind      string
		Uncertain bool
	}
	tests := []struct {
		name            string
		success, reject []target.Status
		status          int
		body            string
		want            outcome
	}{
		{name: "created", status: 201, body: `{"id": 12345678901234567890, "url": "https://x.example/1"}`, want: outcome{Receipt: connectors.Receipt{ID: "12345678901234567890", URL: "https://x.example/1"}}},
		{name: "no JSON", status: 200, body: "ok"},
		{name: "empty", status: 204},
		{name: "id is no scalar", status: 200, body: `{"id": {"a": 1}}`},
		{name: "id is too long", status: 200, body: `{"id": "` + strings.Repeat("x", 3000) + `"}`},
		{name: "address is a script", status: 200, body: `{"id": "1", "url": "javascript:alert(1)"}`, want: outcome{Receipt: connectors.Receipt{ID: "1"}}},
		{name: "there already", success: []target.Status{"2xx", "409"}, status: 409, body: `{"id": "7"}`, want: outcome{Receipt: connectors.Receipt{ID: "7"}}},
		{name: "conflict", status: 409, want: outcome{Kind: "temporary", Uncertain: true}},
		{name: "not listed", success: []target.Status{"201"}, status: 200, want: outcome{Kind: "temporary", Uncertain: true}},
		{name: "rejected by configuration", reject: []target.Status{"5xx"}, status: 500, want: outcome{Kind: "rejected"}},
		{name: "2xx rejected by configuration", success: []target.Status{"201"}, reject: []target.Status{"200"}, status: 200, want: outcome{Kind: "rejected"}},
		{name: "rejected", status: 422, want: outcome{Kind: "rejected"}},
		{name: "gone", status: 410, want: outcome{Kind: "denied"}},
		{name: "redirect", status: 302, want: outcome{Kind: "denied"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wire := connectortest.NewWire(http.NotFoundHandler())
			wire.Break(0, connectortest.Answer(tt.status, nil, tt.body))
			c := open(t, settings(func(s *target.Settings) {
				if tt.success != nil {
					s.Success = tt.success
				}
				s.Reject = tt.reject
			}), wire)
			receipt, err := c.Push(t.Context(), record(map[string]any{"body": "x"}))
			got := outcome{Receipt: receipt}
			if e := connectors.Classify(err); e != nil {
				got.Kind, got.Uncertain = e.Kind.String(), e.Uncertain
				if e.Hint == "" {
					t.Error("no hint")
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// TestLookup gives odd answers to the lookup of an uncertain record. Only a clear "nothing there" may create.
func TestLookup(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		items   target.Pointer
		byQuery bool
		status  int
		body    string
		want    string // found, created, temporary, denied
	}{
		{name: "list", items: "/r", status: 200, body: `{"r": [{"id": 5}, {"id": 6}]}`, want: "found"},
		{name: "empty list", items: "/r", status: 200, body: `{"r": []}`, want: "created"},
		{name: "null list", items: "/r", status: 200, body: `{"r": null}`, want: "created"},
		{name: "no list", items: "/r", status: 200, body: `{"error": "busy"}`, want: "temporary"},
		{name: "bare list", status: 200, body: `[{"id": 5}]`, want: "found"},
		{name: "bare object", status: 200, body: `{"id": 5}`, want: "found"},
		{name: "empty object", status: 200, body: `{}`, want: "created"},
		{name: "object without id", status: 200, body: `{"message": "hi"}`, want: "temporary"},
		{name: "no JSON", status: 200, body: `<html>`, want: "temporary"},
		{name: "no content", status: 204, want: "created"},
		{name: "not found by path", status: 404, want: "created"},
		{name: "not found by query", byQuery: true, status: 404, want: "denied"},
		{name: "server error", status: 500, want: "temporary"},
		{name: "unauthorized", status: 401, want: "denied"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wire := connectortest.NewWire(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"id": 9}`)) }))
			wire.Break(1, connectortest.Answer(tt.status, nil, tt.body))
			c := open(t, settings(func(s *target.Settings) { s.Once, s.Lookup.Items = "lookup", tt.items }), wire)
			lookup := map[string]any{"query": map[string]any{"ref": "1"}}
			if !tt.byQuery {
				lookup["path"] = "/by"
			}
			rec := record(map[string]any{"body": "x", "lookup": lookup})
			rec.Uncertain = true
			receipt, err := c.Push(t.Context(), rec)
			got := ""
			switch e := connectors.Classify(err); {
			case e != nil:
				got = e.Kind.String()
				if e.Uncertain {
					t.Error("a lookup creates nothing, so its failure is certain")
				}
			case receipt.ID == "5":
				got = "found"
			case receipt.ID == "9":
				got = "created"
			}
			if got != tt.want {
				t.Errorf("%s (receipt %+v, error %v), want %s", got, receipt, err, tt.want)
			}
			if sent := wire.Sent(); sent[0].Method != http.MethodGet || (got == "created") != (len(sent) == 2) {
				t.Errorf("sent %+v", sent)
			}
		})
	}
}

// TestRevisionWithoutUpdate: with once: lookup a revision never makes a second object, whether its receipt is known or
// has to be looked for.
func TestRevisionWithoutUpdate(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		once  string
		prior connectors.Receipt
		want  []string
	}{
		"the receipt is known":    {"lookup", connectors.Receipt{ID: "5"}, nil},
		"the receipt has no id":   {"lookup", connectors.Receipt{}, []string{http.MethodGet}},
		"a key of the revision's": {"key", connectors.Receipt{ID: "5"}, []string{http.MethodPost}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wire := connectortest.NewWire(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`[{"id": 5}]`)) }))
			c := open(t, settings(func(s *target.Settings) { s.Once = tt.once }), wire)
			rec := record(map[string]any{"body": "x", "lookup": map[string]any{"path": "/by"}})
			rec.Revision, rec.Prior = 2, tt.prior
			if _, err := c.Push(t.Context(), rec); err != nil {
				t.Fatal(err)
			}
			var methods []string
			for _, sent := range wire.Sent() {
				methods = append(methods, sent.Method)
			}
			if !slices.Equal(methods, tt.want) {
				t.Errorf("sent %v, want %v", methods, tt.want)
			}
		})
	}
}

// TestUpdateLookup repeats an update of which the outcome is unknown: it is sent again only if the target says that it
// does not have it.
func TestUpdateLookup(t *testing.T) {
	t.Parallel()
	const (
		isThere    = "GET https://api.example/objects?ref=chat-1"
		isThereNow = "GET https://api.example/objects/7?revision=2"
		update     = "PUT https://api.example/objects/7"
		one, none  = `[{"id": 7}]`, `[]`
	)
	known := connectors.Receipt{ID: "7"}
	tests := []struct {
		name    string
		once    string
		certain bool
		prior   connectors.Receipt
		answers []string // "": the connection breaks
		want    []string
		kind    string
	}{
		{name: "there", prior: known, answers: []string{one}, want: []string{isThereNow}},
		{name: "not there", prior: known, answers: []string{none, "{}"}, want: []string{isThereNow, update}},
		{name: "it cannot be told", prior: known, answers: []string{"<html>"}, want: []string{isThereNow}, kind: "temporary"},
		{name: "no answer", prior: known, answers: []string{""}, want: []string{isThereNow}, kind: "temporary"},
		{name: "object found, with this update", answers: []string{one, one}, want: []string{isThere, isThereNow}},
		{name: "object found, without this update", answers: []string{one, none, "{}"}, want: []string{isThere, isThereNow, update}},
		{name: "object found, the rest cannot be told", answers: []string{one, ""}, want: []string{isThere, isThereNow}, kind: "temporary"},
		{name: "certain", certain: true, prior: known, answers: []string{"{}"}, want: []string{update}},
		{name: "once: key", once: "key", prior: known, answers: []string{"{}"}, want: []string{update}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := 0
			wire := connectortest.NewWire(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			wire.Break(0, func(r *http.Request, pass func() *http.Response) (*http.Response, error) {
				n++
				if n > len(tt.answers) {
					t.Fatalf("%s %s is a request too many", r.Method, r.URL)
				}
				if tt.answers[n-1] == "" {
					return connectortest.ResetBefore(r, pass)
				}
				return connectortest.Answer(http.StatusOK, nil, tt.answers[n-1])(r, pass)
			})
			c := open(t, settings(func(s *target.Settings) {
				s.URL = secret.New("https://api.example/objects")
				if s.Once = "lookup"; tt.once != "" {
					s.Once = tt.once
				}
			}), wire)
			rec := record(map[string]any{
				"body":   "x",
				"lookup": map[string]any{"query": map[string]any{"ref": "chat-1"}},
				"update": map[string]any{"path": "{id}", "lookup": map[string]any{"path": "{id}", "query": map[string]any{"revision": int64(2)}}},
			})
			rec.Revision, rec.Uncertain, rec.Prior = 2, !tt.certain, tt.prior
			receipt, err := c.Push(t.Context(), rec)
			kind := ""
			if e := connectors.Classify(err); e != nil {
				kind = e.Kind.String()
				if e.Uncertain {
					t.Error("a lookup changes nothing, so its failure is certain")
				}
			}
			if kind != tt.kind || receipt.ID != known.ID {
				t.Errorf("error %v, want kind %q; receipt %+v", err, tt.kind, receipt)
			}
			var got []string
			for _, sent := range wire.Sent() {
				got = append(got, sent.Method+" "+sent.URL)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

// TestUpdate goes through the life of an object that gets a second revision.
func TestUpdate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		update  map[string]any
		prior   connectors.Receipt
		want    string // method, URL and body of the request
		receipt connectors.Receipt
	}{
		{
			name: "update", update: map[string]any{"path": "/{id}/notes", "body": "new"}, prior: connectors.Receipt{ID: "a/../b?"},
			want: "PUT https://api.example/objects/a%2F..%2Fb%3F/notes \"new\"", receipt: connectors.Receipt{ID: "a/../b?"},
		},
		{
			name: "body and method", update: map[string]any{"method": "PATCH", "path": []any{"x{id}"}}, prior: connectors.Receipt{ID: "7", URL: "https://u.example/"},
			want: "PATCH https://api.example/objects/x7 \"old\"", receipt: connectors.Receipt{ID: "7", URL: "https://u.example/"},
		},
		{name: "no update mapped", prior: connectors.Receipt{ID: "7"}, want: "POST https://api.example/objects \"old\"", receipt: connectors.Receipt{ID: "7"}},
		{name: "nothing known", update: map[string]any{"path": "/{id}"}, want: "POST https://api.example/objects \"old\""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wire := connectortest.NewWire(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			c := open(t, settings(func(s *target.Settings) { s.URL = secret.New("https://api.example/objects") }), wire)
			fields := map[string]any{"body": "old"}
			if tt.update != nil {
				fields["update"] = tt.update
			}
			rec := connectors.Record{Object: "object", Request: "object.2", Revision: 2, Attempt: 1, Prior: tt.prior, Fields: fields}
			receipt, err := c.Push(t.Context(), rec)
			if err != nil {
				t.Fatal(err)
			}
			sent := wire.Sent()[0]
			if got := sent.Method + " " + sent.URL + " " + sent.Body; got != tt.want {
				t.Errorf("sent %s\nwant %s", got, tt.want)
			}
			if sent.Header.Get("Idempotency-Key") != "object.2" {
				t.Errorf("key = %q", sent.Header.Get("Idempotency-Key"))
			}
			if diff := cmp.Diff(tt.receipt, receipt); diff != "" {
				t.Errorf("receipt (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("dot segment", func(t *testing.T) {
		t.Parallel()
		c := open(t, settings(nil), connectortest.NewWire(http.NotFoundHandler()))
		rec := connectors.Record{Request: "r", Prior: connectors.Receipt{ID: ".."}, Fields: map[string]any{"update": map[string]any{"path": "/{id}"}}}
		receipt, err := c.Push(t.Context(), rec)
		if e := connectors.Classify(err); e == nil || e.Kind != connectors.Rejected || receipt.ID != ".." {
			t.Errorf("receipt %+v, error %v", receipt, err)
		}
	})
	t.Run("object is gone", func(t *testing.T) {
		t.Parallel()
		c := open(t, settings(nil), connectortest.NewWire(http.NotFoundHandler()))
		rec := connectors.Record{Request: "r", Prior: connectors.Receipt{ID: "7"}, Fields: map[string]any{"update": map[string]any{"path": "/{id}"}}}
		receipt, err := c.Push(t.Context(), rec)
		if e := connectors.Classify(err); e == nil || e.Kind != connectors.Rejected || receipt.ID != "7" {
			t.Errorf("receipt %+v, error %v", receipt, err)
		}
	})
}

// TestChecker: without a check setting the connector does not claim to know.
func TestChecker(t *testing.T) {
	t.Parallel()
	if _, ok := open(t, settings(nil), connectortest.NewWire(httptarget.New())).(connectors.Checker); ok {
		t.Error("a connector without a check setting is a Checker")
	}
	checker := open(t, settings(func(s *target.Settings) {
		s.URL, s.Check = secret.New("https://api.example"), &target.Check{Method: "HEAD", Path: "/nothing"}
	}), connectortest.NewWire(httptarget.New())).(connectors.Checker)
	if e := connectors.Classify(checker.Check(context.Background())); e == nil || e.Kind != connectors.Denied {
		t.Errorf("check of an address with nothing there: %v", e)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*target.Settings)
		want   []string // keys
	}{
		{"fine", nil, nil},
		{"no url", func(s *target.Settings) { s.URL = secret.String{} }, []string{"url"}},
		{"relative", func(s *target.Settings) { s.URL = secret.New("/objects") }, []string{"url"}},
		{"no host", func(s *target.Settings) { s.URL = secret.New("https:///x") }, []string{"url"}},
		{"scheme", func(s *target.Settings) { s.URL = secret.New("ftp://x.example") }, []string{"url"}},
		{"rubbish", func(s *target.Settings) { s.URL = secret.New("https://[x") }, []string{"url"}},
		{"user info", func(s *target.Settings) { s.URL = secret.New("https://u:p@x.example") }, []string{"url"}},
		{"fragment", func(s *target.Settings) { s.URL = secret.New("https://x.example/#f") }, []string{"url"}},
		{"headers", func(s *target.Settings) {
			s.Headers = map[string]secret.String{"Host": secret.New("x"), "a b": secret.New("x"), "X": secret.New("a\nb"), "idempotency-key": secret.New("x")}
		}, []string{"headers.Host", "headers.X", "headers.a b", "headers.idempotency-key"}},
		{"header and auth", func(s *target.Settings) {
			s.Headers = map[string]secret.String{"authorization": secret.New("x")}
			s.Auth = &target.Auth{Bearer: secret.New("x")}
		}, []string{"headers.authorization"}},
		{"no auth", func(s *target.Settings) { s.Auth = &target.Auth{} }, []string{"auth"}},
		{"two auths", func(s *target.Settings) {
			s.Auth = &target.Auth{Bearer: secret.New("x"), Basic: &target.Basic{User: "a:b"}}
		}, []string{"auth", "auth.basic.user"}},
		{"bearer with line feed", func(s *target.Settings) { s.Auth = &target.Auth{Bearer: secret.New("x\n")} }, []string{"auth.bearer"}},
		{"hmac", func(s *target.Settings) {
			s.Auth = &target.Auth{HMAC: &target.HMAC{Secret: secret.New("whsec_%"), Encoding: "hex"}}
		}, []string{"auth.hmac.header", "auth.hmac.secret"}},
		{"hmac without secret", func(s *target.Settings) { s.Auth = &target.Auth{HMAC: &target.HMAC{Header: "Host"}} }, []string{"auth.hmac.header", "auth.hmac.secret"}},
		{"no success", func(s *target.Settings) { s.Success = nil }, []string{"success"}},
		{"success and reject", func(s *target.Settings) { s.Reject = []target.Status{"2xx"} }, []string{"reject"}},
		{"key header", func(s *target.Settings) { s.KeyHeader = "" }, []string{"key_header"}},
		{"check path", func(s *target.Settings) { s.Check = &target.Check{Path: "/../x"} }, []string{"check.path"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := target.Type().Validate(settings(tt.change))
			var got []string
			if joined, ok := err.(interface{ Unwrap() []error }); ok {
				for _, e := range joined.Unwrap() {
					if s, ok := errors.AsType[*connectors.SettingError](e); ok {
						got = append(got, s.Key)
					}
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}
