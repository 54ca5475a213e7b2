// Package trace makes OpenTelemetry spans of hooks, of attempts to deliver and of the requests that these make, and
// sends them to a collector. It alone imports OpenTelemetry.
//
// A span holds configured names, kinds, numbers, times and the id of a conversation. It holds nothing of a visitor and
// nothing that may be a secret: no path or query of an address, no header, no text of an error. Whatever fails here
// costs spans and nothing else.
//
// This file declares the traces of a gateway and the spans.
package trace

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// Traces makes spans. A nil *Traces makes none, starts nothing and allocates nothing. It is safe for concurrent use.
type Traces struct {
	provider *sdktrace.TracerProvider
	tracer   oteltrace.Tracer
	exporter *exporter
	log      *slog.Logger
	origins  origins
}

// stopTimeout is how long Stop waits for the collector.
const stopTimeout = 5 * time.Second

// Open starts traces if the variables of the environment ask for them. It returns nil if they do not, or, with an error,
// if they cannot be followed. getenv returns "" for a variable that is not set. The sampler, the resource and the size
// of the queue are read by OpenTelemetry itself, from the environment of the process.
func Open(version string, getenv func(string) string, log *slog.Logger) (*Traces, error) {
	s, err := read(getenv)
	if s == nil || err != nil {
		return nil, err
	}
	return open(version, newExporter(*s, version, log), log), nil
}

func open(version string, e *exporter, log *slog.Logger) *Traces {
	// What OpenTelemetry has to say of its variables goes to standard error otherwise, in a form of its own.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces.sdk", "error", err) }))
	described, err := resource.New(context.Background(),
		resource.WithAttributes(attribute.String("service.name", "afterchat"), attribute.String("service.version", version)),
		resource.WithTelemetrySDK(), resource.WithFromEnv()) // the later one wins
	if err != nil {
		otel.Handle(err)
	}
	t := &Traces{exporter: e, log: log}
	t.provider = sdktrace.NewTracerProvider(sdktrace.WithBatcher(e), sdktrace.WithResource(described))
	t.tracer = t.provider.Tracer("github.com/afterchat/afterchat", oteltrace.WithInstrumentationVersion(version))
	log.Info("traces", "collector", e.where)
	return t
}

// Stop sends what there is, for at most 5 seconds. Spans that end later are dropped. It is called once.
func (t *Traces) Stop() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if t.provider.Shutdown(ctx) != nil {
		t.log.Warn("traces.lost", "collector", t.exporter.where, "error", "the last spans were not taken in time")
	}
	t.exporter.cut()
}

// Hook is the span of a hook under way. The zero value is none.
type Hook struct {
	traces *Traces
	span   oteltrace.Span
}

// Hook begins the span of a request whose sender is known to be let in. route is its path without the secret. A parent
// that the request names (W3C Trace Context) is taken over. The context returned carries the span.
func (t *Traces) Hook(r *http.Request, source, route string, began time.Time) (context.Context, Hook) {
	if t == nil {
		return r.Context(), Hook{}
	}
	method := method(r.Method)
	ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := t.tracer.Start(ctx, method+" "+route,
		oteltrace.WithSpanKind(oteltrace.SpanKindServer), oteltrace.WithTimestamp(began),
		oteltrace.WithAttributes(
			attribute.String("http.request.method", method), attribute.String("http.route", route),
			attribute.String("afterchat.source", source),
		))
	h := Hook{traces: t, span: span}
	return context.WithValue(ctx, hookKey{}, h), h
}

type hookKey struct{}

// HookOf returns the span that a context of Hook carries, none of another.
func HookOf(ctx context.Context) Hook {
	h, _ := ctx.Value(hookKey{}).(Hook)
	return h
}

// Planned notes which conversation the hook is about, before its deliveries are stored: their attempts are linked to it.
func (h Hook) Planned(conversation string) {
	if h.span != nil && h.span.SpanContext().IsSampled() {
		h.traces.origins.keep(conversation, h.span.SpanContext())
	}
}

// Stored says what was stored.
func (h Hook) Stored(conversation string, revision int) {
	if h.span != nil {
		h.span.SetAttributes(attribute.String("afterchat.conversation.id", conversation), attribute.Int("afterchat.revision", revision))
	}
}

// Result says what the hook turned out to be: a value of result in afterchat_hooks_total.
func (h Hook) Result(result string) {
	if h.span != nil {
		h.span.SetAttributes(attribute.String("afterchat.result", result))
	}
}

// End ends the span with the status of the answer.
func (h Hook) End(status int) {
	if h.span == nil {
		return
	}
	h.span.SetAttributes(attribute.Int("http.response.status_code", status))
	if status >= 500 {
		h.span.SetStatus(codes.Error, "")
	}
	h.span.End()
}

// Attempt is the span of an attempt under way. The zero value is none.
type Attempt struct{ span oteltrace.Span }

// Attempt begins the span of an attempt to deliver. It is a trace of its own, linked to the span of the hook if this
// process has taken that hook not long ago: an attempt may come days later. The context returned carries the span.
func (t *Traces) Attempt(ctx context.Context, target, conversation string, revision, number int) (context.Context, Attempt) {
	if t == nil {
		return ctx, Attempt{}
	}
	options := []oteltrace.SpanStartOption{
		oteltrace.WithNewRoot(), oteltrace.WithAttributes(
			attribute.String("afterchat.target", target), attribute.String("afterchat.conversation.id", conversation),
			attribute.Int("afterchat.revision", revision), attribute.Int("afterchat.attempt", number),
		),
	}
	if hook, ok := t.origins.of(conversation); ok {
		options = append(options, oteltrace.WithLinks(oteltrace.Link{SpanContext: hook}))
	}
	ctx, span := t.tracer.Start(ctx, "deliver "+target, options...)
	return ctx, Attempt{span}
}

// End ends the span at a time with what the attempt came to: kind is a value of kind in afterchat_attempts_total,
// outcome is what became of the delivery, status that of HTTP or 0.
func (a Attempt) End(at time.Time, kind, outcome string, status int, failed bool) {
	if a.span == nil {
		return
	}
	a.span.SetAttributes(attribute.String("afterchat.kind", kind), attribute.String("afterchat.outcome", outcome))
	if status != 0 {
		a.span.SetAttributes(attribute.Int("http.response.status_code", status))
	}
	if failed {
		a.span.SetStatus(codes.Error, "")
	}
	a.span.End(oteltrace.WithTimestamp(at))
}

// method is a method as it may stand in a span: there is no end of names that a sender can make up.
func method(name string) string {
	switch name {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return name
	}
	return "_OTHER"
}
