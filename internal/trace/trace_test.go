// This file tests what turns traces on, the form in which spans are sent, and what a collector that does not work can
// do: nothing but lose them. The traces of a whole gateway are tested there.

package trace

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	oteltrace "go.opentelemetry.io/otel/trace"
)

var update = flag.Bool("update", false, "write golden files anew")

func TestEnvironment(t *testing.T) {
	t.Parallel()
	const base, own = "OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318/otel", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://c/x?key=KEY"
	for _, tt := range []struct {
		variables string // one a line
		want      string // off, an error, or what was read
	}{
		{"", "off"},
		{"OTEL_SERVICE_NAME=chats", "off"},
		{"OTEL_EXPORTER_OTLP_HEADERS=a=b", "off"},
		{base, "http://c:4318/otel/v1/traces 10s"},
		{own, "https://c/x?key=KEY 10s"},
		{base + "\n" + own, "https://c/x?key=KEY 10s"},
		{"OTEL_TRACES_EXPORTER=otlp", "http://localhost:4318/v1/traces 10s"},
		{"OTEL_TRACES_EXPORTER=console, otlp", "http://localhost:4318/v1/traces 10s"},
		{"OTEL_TRACES_EXPORTER=none\n" + base, "off"},
		{"OTEL_TRACES_EXPORTER=zipkin\n" + base, `OTEL_TRACES_EXPORTER is "zipkin"; it can be otlp or none`},
		{"OTEL_SDK_DISABLED=True\n" + base, "off"},
		{"OTEL_SDK_DISABLED=no\n" + base, "http://c:4318/otel/v1/traces 10s"},
		{base + "\nOTEL_EXPORTER_OTLP_TIMEOUT=5000\nOTEL_EXPORTER_OTLP_TRACES_TIMEOUT=250", "http://c:4318/otel/v1/traces 250ms"},
		{base + "\nOTEL_EXPORTER_OTLP_TIMEOUT=5s", `OTEL_EXPORTER_OTLP_TIMEOUT is "5s", not a number of milliseconds`},
		{base + "\nOTEL_EXPORTER_OTLP_COMPRESSION=gzip", "http://c:4318/otel/v1/traces 10s gzip"},
		{base + "\nOTEL_EXPORTER_OTLP_COMPRESSION=zstd", `OTEL_EXPORTER_OTLP_COMPRESSION is "zstd"; it can be gzip or none`},
		{base + "\nOTEL_EXPORTER_OTLP_HEADERS=api-key=a%2Cb%3D, x-scope = 1,", "http://c:4318/otel/v1/traces 10s map[Api-Key:[a,b=] X-Scope:[1]]"},
		{
			base + "\nOTEL_EXPORTER_OTLP_HEADERS=a=1,KEY",
			"OTEL_EXPORTER_OTLP_HEADERS: entry 2 is not name=value with values percent-encoded",
		},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=collector:4317", "OTEL_EXPORTER_OTLP_ENDPOINT is no address of a collector; write one such as http://localhost:4318"},
		{base + "\nOTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "http://c:4318/otel/v1/traces 10s"},
		{
			base + "\nOTEL_EXPORTER_OTLP_PROTOCOL=grpc",
			"OTEL_EXPORTER_OTLP_PROTOCOL is grpc; only OTLP over HTTP is spoken here: write http/json and the address of that receiver, often port 4318",
		},
		{base + "\nOTEL_EXPORTER_OTLP_CERTIFICATE=trace_test.go", "OTEL_EXPORTER_OTLP_CERTIFICATE: trace_test.go holds no certificate"},
		{base + "\nOTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=c.pem", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE is set without its CLIENT_KEY"},
	} {
		s, err := read(func(name string) string {
			for line := range strings.Lines(tt.variables) {
				if value, ok := strings.CutPrefix(line, name+"="); ok {
					return strings.TrimSuffix(value, "\n")
				}
			}
			return ""
		})
		got := "off"
		switch {
		case err != nil:
			got = err.Error()
		case s != nil:
			got = fmt.Sprintf("%s %s", s.endpoint, s.timeout)
			if s.gzip {
				got += " gzip"
			}
			if len(s.header) > 0 {
				got += fmt.Sprint(" ", map[string][]string(s.header))
			}
		}
		if got != tt.want {
			t.Errorf("%s\ngot  %s\nwant %s", tt.variables, got, tt.want)
		}
		if err != nil && strings.Contains(got, "KEY ") {
			t.Errorf("%s: the error shows a value: %s", tt.variables, got)
		}
	}
}

// spanContext makes ids of one byte repeated.
func spanContext(trace, span byte, remote bool) oteltrace.SpanContext {
	return oteltrace.NewSpanContext(oteltrace.SpanContextConfig{
		TraceID: oteltrace.TraceID(bytes.Repeat([]byte{trace}, 16)), SpanID: oteltrace.SpanID(bytes.Repeat([]byte{span}, 8)),
		TraceFlags: oteltrace.FlagsSampled, Remote: remote,
	})
}

// stubs are spans with everything that a span here can have.
func stubs() []sdktrace.ReadOnlySpan {
	described := resource.NewWithAttributes("https://opentelemetry.io/schemas/1.43.0", attribute.String("service.name", "afterchat"))
	scope := instrumentation.Scope{Name: "github.com/afterchat/afterchat", Version: "1.2.3"}
	begin := time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC)
	return tracetest.SpanStubs{
		{
			Name: "POST /in/shop/{secret}", SpanKind: oteltrace.SpanKindServer, StartTime: begin, EndTime: begin.Add(time.Millisecond),
			SpanContext: spanContext(1, 0x1f, false), Parent: spanContext(1, 0x10, true), Resource: described, InstrumentationScope: scope,
			Attributes: []attribute.KeyValue{attribute.String("http.route", "/in/shop/{secret}"), attribute.Int("http.response.status_code", 503)},
			Status:     sdktrace.Status{Code: codes.Error},
		},
		{
			Name: "deliver desk", SpanKind: oteltrace.SpanKindInternal, StartTime: begin, EndTime: begin.Add(time.Second),
			SpanContext: spanContext(2, 0x20, false), Resource: described, InstrumentationScope: scope,
			Attributes: []attribute.KeyValue{
				attribute.String("empty", ""), attribute.Bool("bool", true), attribute.Float64("number", 1.5), attribute.StringSlice("list", []string{"a"}),
			},
			DroppedAttributes: 1,
			Links:             []sdktrace.Link{{SpanContext: spanContext(1, 0x1f, false)}},
			Status:            sdktrace.Status{Code: codes.Ok},
		},
	}.Snapshots()
}

func TestForm(t *testing.T) {
	t.Parallel()
	got, err := json.MarshalIndent(requestOf(stubs()), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	if *update {
		if err := os.WriteFile("testdata/spans.json", got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/spans.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("(-want +got; -update writes it anew)\n%s", diff)
	}
}

// TestOff walks all that intake, delivery and gateway do without traces. It is not parallel, for it counts allocations.
func TestOff(t *testing.T) {
	off, err := Open("1", func(string) string { return "" }, slog.New(slog.DiscardHandler))
	if off != nil || err != nil {
		t.Fatal(off, err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/in/shop/secret", nil)
	allocated := testing.AllocsPerRun(100, func() {
		ctx, hook := off.Hook(r, "shop", "/in/shop", time.Time{})
		HookOf(ctx).Result("accepted")
		hook.Planned("c")
		hook.Stored("c", 1)
		hook.End(http.StatusOK)
		ctx, attempt := off.Attempt(ctx, "desk", "c", 1, 1)
		attempt.End(time.Time{}, "ok", "delivered", 201, false)
		if ctx != r.Context() || off.Wrap("desk") != nil {
			t.Error("something was made")
		}
		off.Stop()
	})
	if allocated != 0 {
		t.Errorf("%v allocations", allocated)
	}
}

// collector answers as it is told. It stands in for the transport, so that time can be that of synctest.
type collector struct {
	answer   func(r *http.Request) (*http.Response, error)
	requests int
	spans    int
}

func (c *collector) RoundTrip(r *http.Request) (*http.Response, error) {
	c.requests++
	var sent exportRequest
	if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
		return nil, err
	}
	for _, rs := range sent.ResourceSpans {
		for _, ss := range rs.ScopeSpans {
			c.spans += len(ss.Spans)
		}
	}
	return c.answer(r)
}

func (c *collector) traces(log io.Writer) *Traces {
	at := &url.URL{Scheme: "https", Host: "collector", User: url.UserPassword("u", "KEY"), Path: "/KEY", RawQuery: "key=KEY"}
	logger := slog.New(slog.NewTextHandler(log, nil))
	e := newExporter(settings{endpoint: at, timeout: defaultTimeout, header: http.Header{"Api-Key": {"KEY"}}}, "1", logger)
	e.client.Transport = c
	return open("1", e, logger)
}

func answered(status int, body string) (*http.Response, error) {
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body))}, nil
}

// attempts makes spans.
func attempts(ctx context.Context, traces *Traces, n int) {
	for range n {
		_, attempt := traces.Attempt(ctx, "desk", "c", 1, 1)
		attempt.End(time.Now(), "ok", "delivered", 201, false)
	}
}

// TestACollectorThatDoesNotWork: no span waits for it, the queue is bounded, an outage is one line in the log.
func TestACollectorThatDoesNotWork(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, says string
		answer     func(*http.Request) (*http.Response, error)
	}{
		{"hangs", "context deadline exceeded", func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() }},
		{"refuses the connection", "connection refused", func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }},
		{"is busy", "the collector answered 503 Service Unavailable", func(*http.Request) (*http.Response, error) { return answered(503, "KEY") }},
		{"redirects", "the collector answered 302 Found", func(*http.Request) (*http.Response, error) { return answered(302, "") }},
		{"refuses spans", "the collector refused 2 spans", func(*http.Request) (*http.Response, error) {
			return answered(200, `{"partialSuccess":{"rejectedSpans":"2","errorMessage":"KEY"}}`)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				c := &collector{answer: tt.answer}
				traces := c.traces(&log)
				begin := time.Now()
				for range 10 {
					attempts(t.Context(), traces, 300)
					if time.Since(begin)%time.Minute != 0 {
						t.Errorf("spans took until %s", time.Since(begin))
					}
					<-time.After(time.Minute)
					synctest.Wait()
				}
				if n := strings.Count(log.String(), "traces.lost"); n != 1 || !strings.Contains(log.String(), tt.says) {
					t.Errorf("want one line with %q:\n%s", tt.says, log.String())
				}
				if c.spans != 3000 || c.requests != 10 {
					t.Errorf("%d spans in %d requests", c.spans, c.requests)
				}
				c.answer = func(*http.Request) (*http.Response, error) { return answered(200, "{}") }
				attempts(t.Context(), traces, 1)
				traces.Stop()
				if !strings.Contains(log.String(), "traces.resumed") {
					t.Errorf("nothing says that spans are taken again:\n%s", log.String())
				}
				if strings.Contains(log.String(), "KEY") {
					t.Errorf("a secret is in the log:\n%s", log.String())
				}
			})
		})
	}
}

// TestTheQueueIsBounded: while a request hangs, what does not fit the queue is dropped at once.
func TestTheQueueIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &collector{}
		c.answer = func(r *http.Request) (*http.Response, error) {
			if c.requests > 1 {
				return answered(200, "{}")
			}
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		traces := c.traces(io.Discard)
		attempts(t.Context(), traces, sdktrace.DefaultMaxExportBatchSize)
		synctest.Wait() // the first request hangs
		begin := time.Now()
		attempts(t.Context(), traces, 10_000)
		if time.Since(begin) != 0 {
			t.Errorf("spans waited %s", time.Since(begin))
		}
		<-time.After(time.Minute)
		synctest.Wait()
		traces.Stop()
		if want := sdktrace.DefaultMaxExportBatchSize + sdktrace.DefaultMaxQueueSize; c.spans != want {
			t.Errorf("%d spans were kept, the queue has room for %d", c.spans, want)
		}
	})
}

// TestStop: what there is is sent, and a collector that hangs holds a stop for five seconds.
func TestStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &collector{answer: func(*http.Request) (*http.Response, error) { return answered(200, "") }}
		traces := c.traces(io.Discard)
		attempts(t.Context(), traces, 3)
		begin := time.Now()
		traces.Stop()
		if c.spans != 3 || time.Since(begin) != 0 {
			t.Errorf("%d spans in %s", c.spans, time.Since(begin))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		var log lines
		c := &collector{answer: func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() }}
		traces := c.traces(&log)
		attempts(t.Context(), traces, 2000)
		begin := time.Now()
		traces.Stop()
		if d := time.Since(begin); d != stopTimeout {
			t.Errorf("it took %s", d)
		}
		attempts(t.Context(), traces, 1) // one that ends too late is dropped
		synctest.Wait()
		if !strings.Contains(strings.Join(log, ""), "the last spans were not taken in time") {
			t.Errorf("nothing is said of the lost spans:\n%s", log)
		}
	})
}

// lines is a log.
type lines []string

func (l *lines) Write(p []byte) (int, error) { *l = append(*l, string(p)); return len(p), nil }

// TestOrigins: the conversations remembered are the latest ones.
func TestOrigins(t *testing.T) {
	t.Parallel()
	var o origins
	for i := range keptOrigins + 10 {
		o.keep(fmt.Sprint("c", i), spanContext(1, 1, false))
	}
	o.keep("c10", spanContext(2, 2, false)) // known, so it takes no more room
	_, first := o.of("c9")
	latest, kept := o.of("c10")
	kept = kept && latest.SpanID() == spanContext(2, 2, false).SpanID()
	if first || !kept || len(o.spans) > keptOrigins || len(o.order) > keptOrigins {
		t.Errorf("first %v, kept %v, %d spans, %d in order", first, kept, len(o.spans), len(o.order))
	}
}
