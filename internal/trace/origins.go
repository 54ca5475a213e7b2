// This file remembers which hooks brought the conversations that are delivered now.

package trace

import (
	"sync"

	oteltrace "go.opentelemetry.io/otel/trace"
)

// keptOrigins is how many conversations are remembered, about 1 MB.
const keptOrigins = 4096

// origins holds the spans of the latest hooks, by conversation. The zero value is ready for use.
type origins struct {
	mu    sync.Mutex
	spans map[string]oteltrace.SpanContext
	order []string // a ring of the keys of spans
	next  int      // the oldest in order, once it is full
}

// keep remembers the hook of a conversation, and forgets the conversation that was remembered first if there are many.
func (o *origins) keep(conversation string, hook oteltrace.SpanContext) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.spans == nil {
		o.spans = map[string]oteltrace.SpanContext{}
	}
	if _, known := o.spans[conversation]; !known {
		if len(o.order) < keptOrigins {
			o.order = append(o.order, conversation)
		} else {
			delete(o.spans, o.order[o.next])
			o.order[o.next] = conversation
			o.next = (o.next + 1) % keptOrigins
		}
	}
	o.spans[conversation] = hook
}

// of returns the latest hook of a conversation, if it is remembered.
func (o *origins) of(conversation string) (hook oteltrace.SpanContext, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	hook, ok = o.spans[conversation]
	return hook, ok
}
