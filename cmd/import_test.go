// This file tests how files are cut into hooks, and the bar that shows how far an import is.

package cmd

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// cut returns the hooks of a file with this text: type, place and body of each.
func cut(t *testing.T, text string) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out := []string{}
	read := int64(0)
	err := eachHook(path, func(h storedHook) error {
		kind := "form"
		switch {
		case h.broken != "":
			kind = "broken"
		case h.contentType == "application/json":
			kind = "json"
		}
		if h.read < read || h.read > int64(len(text)) {
			t.Errorf("%q: %d bytes are read after %d, of %d", text, h.read, read, len(text))
		}
		read = h.read
		out = append(out, kind+strings.TrimPrefix(h.place, path)+" "+string(h.body))
		return nil
	})
	if err != nil {
		t.Errorf("%q: %v", text, err)
	}
	return out
}

func TestEachHook(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":                       {},
		" \n":                    {},
		`{"a":1}`:                {`json: hook 1 {"a":1}`},
		"\ufeff {\"a\": 1}\n":    {`json: hook 1 {"a": 1}`},
		"{}\n{\"b\":2}\r\n\n":    {`json: hook 1 {}`, `json: hook 2 {"b":2}`},
		`[{"a":1}, {"b":2}]`:     {`json: hook 1 {"a":1}`, `json: hook 2 {"b":2}`},
		"[]":                     {},
		`{"a":9007199254740993}`: {`json: hook 1 {"a":9007199254740993}`},
		"l2s_sesid=1&l2s_msg=a":  {"form l2s_sesid=1&l2s_msg=a"},
		`{"a":`:                  {`json {"a":`},
		`{"a":1} x`:              {`json: hook 1 {"a":1}`, `broken: hook 2 `},
		`{"a":1}{"b"`:            {`json: hook 1 {"a":1}`, `broken: hook 2 `},
	} {
		if diff := cmp.Diff(want, cut(t, text)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

func FuzzEachHook(f *testing.F) {
	for _, text := range []string{`[{"a":1}, {}]`, "{}\n{\"b\":2}", "a=b", `{"a":1} x`, "\ufeff{"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) { cut(t, text) })
}

func TestProgress(t *testing.T) {
	t.Parallel()
	var lines bytes.Buffer
	p := newProgress(&lines)
	for done := range int64(26) {
		p.show(done, 25)
	}
	p.end()
	if got := strings.Count(lines.String(), "\n"); got != 11 || !strings.HasPrefix(lines.String(), "  0 %  0 of 25\n") || !strings.HasSuffix(lines.String(), "100 %  25 of 25\n") {
		t.Errorf("%d lines:\n%s", got, lines.String())
	}
	var drawn bytes.Buffer
	p = &progress{w: &drawn, bar: true, began: time.Now().Add(-10 * time.Second)}
	p.show(50, 100)
	p.show(100, 100)
	p.end()
	want := "\r[" + strings.Repeat("█", 15) + strings.Repeat("·", 15) + "] 50 of 100, 10s left\r[" + strings.Repeat("█", 30) + "] 100 of 100         \n"
	if got := drawn.String(); got != want {
		t.Errorf("drawn %q, want %q", got, want)
	}
}
