// This file puts spans into the form of OTLP/JSON: field names in lowerCamelCase, ids in hex, enums as numbers, 64-bit
// integers as text (OpenTelemetry Protocol Specification, "JSON Protobuf Encoding"). Spans here have no events.

package trace

import (
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
)

type exportRequest struct {
	ResourceSpans []resourceSpans `json:"resourceSpans"`
}

type resourceSpans struct {
	Resource   resourceJSON `json:"resource"`
	ScopeSpans []scopeSpans `json:"scopeSpans"`
	SchemaURL  string       `json:"schemaUrl,omitempty"`
}

type resourceJSON struct {
	Attributes []keyValue `json:"attributes"`
}

type scopeSpans struct {
	Scope scopeJSON  `json:"scope"`
	Spans []spanJSON `json:"spans"`
}

type scopeJSON struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

type spanJSON struct {
	TraceID      string     `json:"traceId"`
	SpanID       string     `json:"spanId"`
	TraceState   string     `json:"traceState,omitempty"`
	ParentSpanID string     `json:"parentSpanId,omitempty"`
	Flags        uint32     `json:"flags"`
	Name         string     `json:"name"`
	Kind         int        `json:"kind"`
	Start        string     `json:"startTimeUnixNano"`
	End          string     `json:"endTimeUnixNano"`
	Attributes   []keyValue `json:"attributes,omitempty"`
	Dropped      int        `json:"droppedAttributesCount,omitempty"`
	Links        []linkJSON `json:"links,omitempty"`
	Status       statusJSON `json:"status"`
}

type linkJSON struct {
	TraceID    string `json:"traceId"`
	SpanID     string `json:"spanId"`
	TraceState string `json:"traceState,omitempty"`
	Flags      uint32 `json:"flags"`
}

type statusJSON struct {
	Code int `json:"code,omitempty"`
}

type keyValue struct {
	Key   string   `json:"key"`
	Value anyValue `json:"value"`
}

// anyValue has one of its fields.
type anyValue struct {
	String *string  `json:"stringValue,omitempty"`
	Int    string   `json:"intValue,omitempty"`
	Bool   *bool    `json:"boolValue,omitempty"`
	Double *float64 `json:"doubleValue,omitempty"`
}

// requestOf puts a batch of spans together. All of them are of one provider, so they share their resource, and of one
// tracer, so they share their scope.
func requestOf(spans []sdktrace.ReadOnlySpan) exportRequest {
	if len(spans) == 0 {
		return exportRequest{}
	}
	described := spans[0].Resource()
	r := resourceSpans{
		Resource: resourceJSON{Attributes: keyValues(described.Attributes())}, SchemaURL: described.SchemaURL(),
		ScopeSpans: []scopeSpans{{Scope: scopeOf(spans[0].InstrumentationScope())}},
	}
	for _, s := range spans {
		r.ScopeSpans[0].Spans = append(r.ScopeSpans[0].Spans, spanOf(s))
	}
	return exportRequest{ResourceSpans: []resourceSpans{r}}
}

func scopeOf(s instrumentation.Scope) scopeJSON { return scopeJSON{Name: s.Name, Version: s.Version} }

func spanOf(s sdktrace.ReadOnlySpan) spanJSON {
	at := s.SpanContext()
	out := spanJSON{
		TraceID: at.TraceID().String(), SpanID: at.SpanID().String(), TraceState: at.TraceState().String(),
		Flags: flags(at, s.Parent().IsRemote()), Name: s.Name(),
		// The kinds of Go are those of the protocol.
		Kind:  int(s.SpanKind()),
		Start: strconv.FormatInt(s.StartTime().UnixNano(), 10), End: strconv.FormatInt(s.EndTime().UnixNano(), 10),
		Attributes: keyValues(s.Attributes()), Dropped: s.DroppedAttributes(),
		Status: statusJSON{Code: statusCode(s.Status().Code)},
	}
	if s.Parent().HasSpanID() {
		out.ParentSpanID = s.Parent().SpanID().String()
	}
	for _, l := range s.Links() {
		out.Links = append(out.Links, linkJSON{
			TraceID: l.SpanContext.TraceID().String(), SpanID: l.SpanContext.SpanID().String(),
			TraceState: l.SpanContext.TraceState().String(), Flags: flags(l.SpanContext, l.SpanContext.IsRemote()),
		})
	}
	return out
}

// flags are the flags of W3C Trace Context, with what the protocol adds: that it is known whether the other end, a
// parent or what a link leads to, is in another process, and whether it is.
func flags(c oteltrace.SpanContext, remote bool) uint32 {
	const known, isRemote = 0x100, 0x200
	out := uint32(c.TraceFlags()) | known
	if remote {
		out |= isRemote
	}
	return out
}

// statusCode returns the number of a status in the protocol, which counts them in another order than Go.
func statusCode(c codes.Code) int {
	switch c {
	case codes.Ok:
		return 1
	case codes.Error:
		return 2
	}
	return 0
}

func keyValues(attributes []attribute.KeyValue) []keyValue {
	var out []keyValue
	for _, a := range attributes {
		out = append(out, keyValue{Key: string(a.Key), Value: valueOf(a.Value)})
	}
	return out
}

// valueOf writes a value. Lists are text: no span here has one.
func valueOf(v attribute.Value) anyValue {
	switch v.Type() {
	case attribute.BOOL:
		b := v.AsBool()
		return anyValue{Bool: &b}
	case attribute.INT64:
		return anyValue{Int: strconv.FormatInt(v.AsInt64(), 10)}
	case attribute.FLOAT64:
		f := v.AsFloat64()
		return anyValue{Double: &f}
	}
	text := v.String()
	return anyValue{String: &text}
}
