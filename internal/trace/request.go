// This file makes the spans of requests to targets.

package trace

import (
	"fmt"
	"net/http"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// Wrap returns what makes a span of each request of a target, as connectors.Env.Wrap; nil for nil.
//
// The transport of otelhttp is not used: it records whole addresses, and the path of a webhook is a secret.
func (t *Traces) Wrap(target string) func(http.RoundTripper) http.RoundTripper {
	if t == nil {
		return nil
	}
	return func(inner http.RoundTripper) http.RoundTripper {
		return &requests{traces: t, target: target, inner: inner}
	}
}

// requests is a transport that watches another. Requests and answers pass as they are.
type requests struct {
	traces *Traces
	target string
	inner  http.RoundTripper
}

// RoundTrip makes a span that ends when the header of the answer has come.
func (w *requests) RoundTrip(r *http.Request) (*http.Response, error) {
	method := method(r.Method)
	attributes := []attribute.KeyValue{
		attribute.String("http.request.method", method), attribute.String("server.address", r.URL.Hostname()),
		attribute.String("afterchat.target", w.target),
	}
	if port := port(r); port != 0 {
		attributes = append(attributes, attribute.Int("server.port", port))
	}
	_, span := w.traces.tracer.Start(r.Context(), method,
		oteltrace.WithSpanKind(oteltrace.SpanKindClient), oteltrace.WithAttributes(attributes...))
	defer span.End()
	response, err := w.inner.RoundTrip(r)
	switch {
	case err != nil: // its text may hold an address
		span.SetStatus(codes.Error, "")
		span.SetAttributes(attribute.String("error.type", fmt.Sprintf("%T", err)))
	default:
		span.SetAttributes(attribute.Int("http.response.status_code", response.StatusCode))
		if response.StatusCode >= 400 {
			span.SetStatus(codes.Error, "")
			span.SetAttributes(attribute.String("error.type", strconv.Itoa(response.StatusCode)))
		}
	}
	return response, err
}

// CloseIdleConnections is called by http.Client.
func (w *requests) CloseIdleConnections() {
	if inner, ok := w.inner.(interface{ CloseIdleConnections() }); ok {
		inner.CloseIdleConnections()
	}
}

// port is where a request goes; 0: unknown.
func port(r *http.Request) int {
	if port, err := strconv.Atoi(r.URL.Port()); err == nil {
		return port
	}
	switch r.URL.Scheme {
	case "http":
		return 80
	case "https":
		return 443
	}
	return 0
}
