// This file tests the parsers from within.

package rest

import (
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/afterchat/afterchat/connectors"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 6, 8, 49, 37, 0, time.UTC)
	tests := []struct {
		value string
		after time.Duration
		ok    bool
	}{
		{"", 0, false},
		{"0", 0, true},
		{"120", 2 * time.Minute, true},
		{" 120 ", 2 * time.Minute, true},
		{"86401", 24 * time.Hour, true},
		{"1743960000", 24 * time.Hour, true},
		{"99999999999999999999999", 24 * time.Hour, true},
		{"-1", 0, false},
		{"1.5", 0, false},
		{"soon", 0, false},
		{"Fri, 06 Nov 2026 08:50:37 GMT", time.Minute, true},
		{"Friday, 06-Nov-26 08:50:37 GMT", time.Minute, true},
		{"Fri Nov  6 08:50:37 2026", time.Minute, true},
		{"Fri, 06 Nov 2026 08:48:37 GMT", 0, true},
		{"Fri, 06 Nov 2099 08:48:37 GMT", 24 * time.Hour, true},
	}
	for _, tt := range tests {
		after, ok := retryAfter(http.Header{"Retry-After": {tt.value}}, now)
		if after != tt.after || ok != tt.ok {
			t.Errorf("%q: %v, %v; want %v, %v", tt.value, after, ok, tt.after, tt.ok)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("120")
	f.Add("Fri, 06 Nov 2026 08:50:37 GMT")
	f.Fuzz(func(t *testing.T, value string) {
		after, ok := RetryAfter(http.Header{"Retry-After": {value}})
		if after < 0 || after > maxAfter || (!ok && after != 0) {
			t.Errorf("%q: %v, %v", value, after, ok)
		}
	})
}

func FuzzExcerpt(f *testing.F) {
	f.Add([]byte("{\"error\": \"no\"}\n\x00\xff"))
	f.Add([]byte(strings.Repeat("ä", 3000)))
	c := New(connectors.Env{}, Options{})
	f.Fuzz(func(t *testing.T, body []byte) {
		got := c.excerpt(nil, body)
		if !utf8.ValidString(got) || len(got) > maxExcerpt+len("…") || strings.ContainsAny(got, "\n\r\x00\x1b") || got != strings.TrimSpace(got) && len(got) <= maxExcerpt {
			t.Errorf("%q", got)
		}
	})
}

func TestJSONIsDeterministic(t *testing.T) {
	t.Parallel()
	v := map[string]any{"b": "<p>&", "a": []any{int64(1), 2.5, nil, true}, "c": map[string]any{"y": 1, "x": time.Unix(0, 0).UTC()}}
	const want = `{"a":[1,2.5,null,true],"b":"<p>&","c":{"x":"1970-01-01T00:00:00Z","y":1}}`
	for range 20 {
		if got, err := JSON(v); err != nil || string(got) != want {
			t.Fatalf("%s, %v", got, err)
		}
	}
	if _, err := JSON(func() {}); err == nil {
		t.Error("a function was encoded")
	}
}
