// This file tests what a collector gets of hooks and their deliveries, and what it does not get.

package gateway

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// visitorCanary stands for all that a visitor says and is.
const visitorCanary = "visitor-canary"

// tracedConfig has the secret wherever a configuration can have one on the way of a hook.
const tracedConfig = `version: 1
server: {listen: "127.0.0.1:0", drain_delay: 0s}
admin: {listen: "127.0.0.1:0"}
sources:
  shop: {type: smartsupp, path: /in/shop, secret: '${env.SECRET}'}
targets:
  help: {type: http, url: "DESK/hooks/${env.SECRET}?key=${env.SECRET}", auth: {bearer: '${env.SECRET}'}}
  wall: {type: http, url: "DESK/refuse/${env.SECRET}", headers: {X-Key: '${env.SECRET}'}}
  gone: {type: http, url: "http://127.0.0.1:1/${env.SECRET}", retry: {min: 1h}}
  file: {type: file, path: out.jsonl}
`

const tracedHook = `POST /in/shop/SECRET
Content-Type: application/json
Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
Cookie: visitor-canary

{"accountId":1,"beginAt":1427470439703,"endAt":1427470439703,"channel":{"id":16},"visitor":{"id":5,"name":"visitor-canary","email":"visitor-canary@example.com"},"messages":[{"type":"visitor","from":"visitor:b","content":"visitor-canary","sentAt":1427470439703}]}`

// collected is what the collector of a test got.
type collected struct {
	mu    sync.Mutex
	bytes strings.Builder // with the headers
	spans []collectedSpan
}

type collectedSpan struct {
	Name                          string
	Kind                          int
	TraceID, SpanID, ParentSpanID string
	Links                         []struct{ TraceID, SpanID string }
	Status                        struct{ Code int }
	Attributes                    []struct {
		Key   string
		Value struct{ StringValue, IntValue string }
	}
}

func (c *collected) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var sent struct {
		ResourceSpans []struct {
			ScopeSpans []struct{ Spans []collectedSpan }
		}
	}
	if err != nil || json.Unmarshal(body, &sent) != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/json" {
		http.Error(w, "this is no OTLP/JSON", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = fmt.Fprintln(&c.bytes, r.URL, r.Header, string(body))
	for _, rs := range sent.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			c.spans = append(c.spans, ss.Spans...)
		}
	}
	_, _ = io.WriteString(w, "{}")
}

// attribute returns an attribute as text, "" if there is none.
func (s collectedSpan) attribute(key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			return a.Value.StringValue + a.Value.IntValue
		}
	}
	return ""
}

// line is a span with what stays the same from run to run.
func (s collectedSpan) line() string {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "%s kind %d status %d", s.Name, s.Kind, s.Status.Code)
	for _, a := range s.Attributes {
		if a.Key != "server.port" && a.Key != "afterchat.conversation.id" {
			_, _ = fmt.Fprintf(&b, " %s=%s", a.Key, a.Value.StringValue+a.Value.IntValue)
		}
	}
	return b.String()
}

// tracedGateway sends a hook, a repeat, a probe and a stranger through a gateway, and stops it.
func tracedGateway(t *testing.T, collector http.Handler, environment map[string]string) (log, conversation string) {
	t.Helper()
	desk := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Traceparent") != "" {
			t.Error("the target got a header of traces")
		}
		if strings.HasPrefix(r.URL.Path, "/refuse/") {
			w.WriteHeader(http.StatusUnprocessableEntity)
			_, _ = io.Copy(w, r.Body) // as some targets do
			return
		}
		w.WriteHeader(http.StatusCreated)
	}))
	defer desk.Close()
	server := httptest.NewServer(collector)
	defer server.Close()
	path := filepath.Join(t.TempDir(), "afterchat.yaml")
	writeFile(t, path, strings.ReplaceAll(tracedConfig, "DESK", desk.URL))
	g := startFrom(t, path, nil, func(g *Gateway) {
		g.Getenv = func(name string) string { return strings.ReplaceAll(environment[name], "COLLECTOR", server.URL) }
	})
	address := g.addresses.Hooks.String()
	for _, request := range []string{tracedHook, tracedHook, "GET /in/shop/SECRET\n\n", "POST /in/shop/wrong\n\n{}"} {
		send(t, address, request)
	}
	deadline, ticker := time.Now().Add(20*time.Second), time.NewTicker(5*time.Millisecond)
	defer ticker.Stop()
	for strings.Count(g.log.String(), "msg=delivery.attempt") < 4 {
		if time.Now().After(deadline) {
			t.Fatalf("there were no four attempts:\n%s", g.log.String())
		}
		<-ticker.C
	}
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	log = g.log.String()
	_, rest, _ := strings.Cut(log, " conversation=")
	conversation, _, _ = strings.Cut(rest, " ")
	return log, conversation
}

func TestTraces(t *testing.T) {
	t.Parallel()
	collector := &collected{}
	log, conversation := tracedGateway(t, collector, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "COLLECTOR"})
	var got []string
	byName := map[string]collectedSpan{}
	for _, s := range collector.spans {
		got = append(got, s.line())
		byName[s.Name+s.attribute("afterchat.result")+s.attribute("http.response.status_code")+s.attribute("error.type")] = s
		if id := s.attribute("afterchat.conversation.id"); s.Kind == 1 && id != conversation {
			t.Errorf("%s is of conversation %q, want %q", s.Name, id, conversation)
		}
	}
	slices.Sort(got)
	want := []string{
		"GET /in/shop/{secret} kind 2 status 0 http.request.method=GET http.route=/in/shop/{secret} afterchat.source=shop afterchat.result=probe http.response.status_code=200",
		"POST /in/shop/{secret} kind 2 status 0 http.request.method=POST http.route=/in/shop/{secret} afterchat.source=shop afterchat.revision=1 afterchat.result=accepted http.response.status_code=200",
		"POST /in/shop/{secret} kind 2 status 0 http.request.method=POST http.route=/in/shop/{secret} afterchat.source=shop afterchat.revision=1 afterchat.result=repeated http.response.status_code=200",
		"POST kind 3 status 0 http.request.method=POST server.address=127.0.0.1 afterchat.target=help http.response.status_code=201",
		"POST kind 3 status 2 http.request.method=POST server.address=127.0.0.1 afterchat.target=gone error.type=*net.OpError",
		"POST kind 3 status 2 http.request.method=POST server.address=127.0.0.1 afterchat.target=gone error.type=*net.OpError",
		"POST kind 3 status 2 http.request.method=POST server.address=127.0.0.1 afterchat.target=gone error.type=*net.OpError",
		"POST kind 3 status 2 http.request.method=POST server.address=127.0.0.1 afterchat.target=wall http.response.status_code=422 error.type=422",
		"deliver file kind 1 status 0 afterchat.target=file afterchat.revision=1 afterchat.attempt=1 afterchat.kind=ok afterchat.outcome=delivered",
		"deliver gone kind 1 status 2 afterchat.target=gone afterchat.revision=1 afterchat.attempt=1 afterchat.kind=temporary afterchat.outcome=pending",
		"deliver help kind 1 status 0 afterchat.target=help afterchat.revision=1 afterchat.attempt=1 afterchat.kind=ok afterchat.outcome=delivered",
		"deliver wall kind 1 status 2 afterchat.target=wall afterchat.revision=1 afterchat.attempt=1 afterchat.kind=rejected afterchat.outcome=dead http.response.status_code=422",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s\n%s", diff, log)
	}
	hook, attempt, request := byName["POST /in/shop/{secret}accepted200"], byName["deliver help"], byName["POST201"]
	if hook.TraceID != "0af7651916cd43dd8448eb211c80319c" || hook.ParentSpanID != "b7ad6b7169203331" || hook.attribute("afterchat.conversation.id") != conversation {
		t.Errorf("the hook's span has another parent than the request says, or no conversation: %+v", hook)
	}
	if len(attempt.Links) != 1 || attempt.Links[0].SpanID != hook.SpanID || attempt.Links[0].TraceID != hook.TraceID || attempt.TraceID == hook.TraceID {
		t.Errorf("the attempt's span is not linked to the hook's: %+v %+v", attempt, hook)
	}
	if request.TraceID != attempt.TraceID || request.ParentSpanID != attempt.SpanID {
		t.Errorf("the request's span is not below the attempt's: %+v %+v", request, attempt)
	}
	sent := collector.bytes.String()
	for _, canary := range []string{hookSecret, visitorCanary, "example.com", "/hooks", "wrong"} {
		if strings.Contains(sent, canary) {
			t.Errorf("%q was sent to the collector:\n%s", canary, sent)
		}
	}
	if strings.Contains(log, hookSecret) {
		t.Errorf("the secret is in the log:\n%s", log)
	}
}

func TestTracesAreOff(t *testing.T) {
	t.Parallel()
	for name, environment := range map[string]map[string]string{
		"unless asked for": {},
		"when disabled":    {"OTEL_EXPORTER_OTLP_ENDPOINT": "COLLECTOR", "OTEL_SDK_DISABLED": "true"},
		"when mistaken":    {"OTEL_EXPORTER_OTLP_ENDPOINT": "COLLECTOR", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			collector := &collected{}
			log, _ := tracedGateway(t, collector, environment)
			if sent := collector.bytes.String(); sent != "" {
				t.Errorf("the collector got %s", sent)
			}
			if said := strings.Contains(log, "traces are off"); said != (name == "when mistaken") {
				t.Errorf("that traces are off is said: %v", said)
			}
		})
	}
}

// TestTracesWithoutACollector: hooks and deliveries are what they are without traces.
func TestTracesWithoutACollector(t *testing.T) {
	t.Parallel()
	log, conversation := tracedGateway(t, http.NotFoundHandler(), map[string]string{
		"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1/" + hookSecret,
		"OTEL_EXPORTER_OTLP_HEADERS": "api-key=" + hookSecret,
	})
	if conversation == "" || strings.Count(log, "outcome=delivered") != 2 || strings.Count(log, "outcome=dead") != 1 {
		t.Errorf("deliveries are not what they should be:\n%s", log)
	}
	if n := strings.Count(log, "traces.lost"); n != 1 {
		t.Errorf("%d lines tell of lost spans, want 1:\n%s", n, log)
	}
	if strings.Contains(log, hookSecret) {
		t.Errorf("the secret is in the log:\n%s", log)
	}
}
