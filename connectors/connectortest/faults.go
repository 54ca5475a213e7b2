// This file holds the rules about pushing to a target that fails.

package connectortest

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/afterchat/afterchat/connectors"
)

// maxRequests is the most requests that the suite expects of one push.
const maxRequests = 40

func faultTests() []test {
	return []test{
		{"statuses are classified", testStatuses},
		{"a throttling target says when", testThrottled},
		{"a failed dial is certain", testUnreachable},
		{"a lost connection is uncertain", testReset},
		{"a hanging target is given up", testHang},
		{"one object whatever fails", testSweep},
		{"check tells what is wrong", testCheckFails},
	}
}

// echo is an answer that repeats the credentials, as some error pages do.
const echo = `{"error":"invalid request","sent":"` + Canary + `"}`

func (s Suite) wired(t *testing.T) *bench {
	t.Helper()
	b := s.bench(t)
	if b.wire == nil {
		t.Skip("the target is not on HTTP, so no answer can be forged")
	}
	return b
}

func testStatuses(t *testing.T, s Suite) {
	tests := map[int]struct {
		kind      connectors.Kind
		uncertain bool
	}{
		http.StatusBadRequest:          {kind: connectors.Rejected},
		http.StatusUnauthorized:        {kind: connectors.Denied},
		http.StatusUnprocessableEntity: {kind: connectors.Rejected},
		http.StatusInternalServerError: {kind: connectors.Temporary, uncertain: true},
		http.StatusBadGateway:          {kind: connectors.Temporary, uncertain: true},
		http.StatusServiceUnavailable:  {kind: connectors.Temporary, uncertain: true},
	}
	for status, want := range tests {
		if kind, ok := s.Kinds[status]; ok {
			want.kind = kind
		}
		b := s.wired(t)
		b.wire.Break(0, Answer(status, nil, echo))
		_, err := b.Push(t.Context(), s.record(1, 1))
		if err == nil {
			t.Errorf("%d passed for success", status)
			continue
		}
		e := b.sound(t, err)
		if e.Kind != want.kind {
			t.Errorf("%d is %v, want %v", status, e.Kind, want.kind)
		}
		if want.uncertain && !e.Uncertain {
			t.Errorf("%d is certain; the target may have acted before it failed", status)
		}
	}
}

func testThrottled(t *testing.T, s Suite) {
	b := s.wired(t)
	b.wire.Break(0, Answer(http.StatusTooManyRequests, http.Header{"Retry-After": {"600"}}, echo))
	_, err := b.Push(t.Context(), s.record(1, 1))
	if e := b.sound(t, err); e.Kind != connectors.Throttled || e.After != 10*time.Minute {
		t.Errorf("429 with Retry-After 600 is %v after %v, want throttled after 10m", e.Kind, e.After)
	}
	if n := b.wire.Hits(); n != 1 {
		t.Errorf("%d requests to a target that asked for ten minutes of peace, want 1", n)
	}
}

func testUnreachable(t *testing.T, s Suite) {
	b := s.wired(t)
	b.wire.Break(0, Unreachable)
	_, err := b.Push(t.Context(), s.record(1, 1))
	if e := b.sound(t, err); e.Kind != connectors.Temporary || e.Uncertain {
		t.Errorf("a failed dial is %v, uncertain %v; want temporary, certain", e.Kind, e.Uncertain)
	}
	b.wire.Heal()
	b.mustPush(t, s.record(1, 1))
	b.wantCount(t, 1, "the target could be reached at last")
}

func testReset(t *testing.T, s Suite) {
	b := s.wired(t)
	b.wire.Break(0, ResetBefore)
	_, err := b.Push(t.Context(), s.record(1, 1))
	if e := b.sound(t, err); e.Kind != connectors.Temporary {
		t.Errorf("a reset is %v, want temporary", e.Kind)
	}
}

func testHang(t *testing.T, s Suite) {
	for name, end := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"deadline": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 50*time.Millisecond)
		},
		"cancel": func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(50*time.Millisecond, cancel)
			return ctx, cancel
		},
	} {
		b := s.wired(t)
		b.wire.Break(0, Hang)
		ctx, cancel := end(t.Context())
		began := time.Now()
		_, err := b.Push(ctx, s.record(1, 1))
		cancel()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("%s: returned %v after the context ended, want less than 2s", name, took)
		}
		if e := b.sound(t, err); e.Kind != connectors.Temporary {
			t.Errorf("%s: a hanging target is %v, want temporary", name, e.Kind)
		}
	}
}

// testSweep breaks the first, second, … request of a push in every way, pushes again as the engine would, and counts.
func testSweep(t *testing.T, s Suite) {
	if s.Type.Once(s.Open(t).Settings) == connectors.OnceNone {
		t.Skip("nothing holds one object, by declaration")
	}
	faults := map[string]Fault{
		"reset before":  ResetBefore,
		"reset after":   ResetAfter,
		"cut after":     CutAfter,
		"hang after":    HangAfter,
		"500 before":    Answer(http.StatusInternalServerError, nil, echo),
		"502 after":     AnswerAfter(http.StatusBadGateway, nil, "<html>bad gateway</html>"),
		"200 and HTML":  AnswerAfter(http.StatusOK, nil, "<html>hello</html>"),
		"200 and empty": AnswerAfter(http.StatusOK, nil, ""),
	}
	for name, fault := range faults {
		for at := 1; s.sweep(t, fmt.Sprintf("request %d: %s", at, name), at, fault); at++ {
			if at == maxRequests {
				t.Fatalf("%s: one push takes more than %d requests", name, maxRequests)
			}
		}
	}
}

// sweep breaks one request of a push and repairs the damage as the engine would. It tells whether there was such a
// request.
func (s Suite) sweep(t *testing.T, name string, at int, fault Fault) bool {
	t.Helper()
	b := s.wired(t)
	b.wire.Break(at, fault)
	rec := s.record(1, 1)
	for rec.Attempt = 1; ; rec.Attempt++ {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		receipt, err := b.Push(ctx, rec)
		cancel()
		if !receipt.IsZero() {
			rec.Prior = receipt // the engine keeps it even when it comes with an error
		}
		if err == nil {
			break
		}
		e := b.sound(t, err)
		rec.Uncertain = rec.Uncertain || e.Uncertain
		if e.Kind == connectors.Rejected || e.Kind == connectors.Denied || rec.Attempt == 5 {
			t.Errorf("%s: attempt %d: %v: %v", name, rec.Attempt, e.Kind, err)
			break
		}
	}
	b.wantCount(t, 1, name)
	return b.wire.Hits() > 0
}

func testCheckFails(t *testing.T, s Suite) {
	tests := map[string]struct {
		fault  Fault
		denied bool
	}{
		"401":         {fault: Answer(http.StatusUnauthorized, nil, echo), denied: true},
		"500":         {fault: Answer(http.StatusInternalServerError, nil, echo)},
		"unreachable": {fault: Unreachable},
		"hang":        {fault: Hang},
	}
	for name, tt := range tests {
		b := s.wired(t)
		checker, ok := b.Connector.(connectors.Checker)
		if !ok {
			t.Skip("the connector has no check")
		}
		b.wire.Break(0, tt.fault)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		err := checker.Check(ctx)
		cancel()
		if err == nil {
			t.Errorf("%s: check passed", name)
			continue
		}
		if e := b.sound(t, err); (e.Kind == connectors.Denied) != tt.denied {
			t.Errorf("%s: check says %v: %v", name, e.Kind, err)
		}
	}
}
