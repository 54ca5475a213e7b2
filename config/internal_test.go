package config

import (
	"bytes"
	"flag"
	"fmt"
	"math"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
)

func TestDurations(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "30s": 30 * time.Second, "5m": 5 * time.Minute, "72h": 72 * time.Hour, "30d": 720 * time.Hour,
		"2w": 336 * time.Hour, "1h30m": 90 * time.Minute, "1.5h": 90 * time.Minute, "250ms": 250 * time.Millisecond,
		"1d12h": 36 * time.Hour,
	} {
		got, err := parseDuration(text)
		if err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
		again, err := parseDuration(formatDuration(got))
		if err != nil || again != got {
			t.Errorf("%q is written %q", text, formatDuration(got))
		}
	}
	for _, text := range []string{"", "30", "-3h", "five", "5 m", "1y", "5m!", "99999999999999d", "1e3s", ".5s", "½h"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}

func TestSizesAndRates(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Size{
		"0": 0, "4096": 4096, "16MiB": 16 << 20, "20GB": 20e9, "1.5KiB": 1536, "1 kB": 1000, "5B": 5, "2TiB": 2 << 40,
	} {
		var got, again Size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
		if err := again.UnmarshalText([]byte(got.String())); err != nil || again != got {
			t.Errorf("%q is written %q", text, got)
		}
	}
	for _, text := range []string{"", "16M", "x", "-1", "1 XB", "99999999999999TiB", "1..5MB"} {
		if got := Size(0); got.UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q was read as %d", text, got)
		}
	}
	for text, want := range map[string]Rate{"10/s": {10, time.Second}, "400/m": {400, time.Minute}, "5000/h": {5000, time.Hour}} {
		var got Rate
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want || got.String() != text {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "400", "0/s", "-1/s", "1.5/s", "400/day", "/m", "400/"} {
		if got := (Rate{}); got.UnmarshalText([]byte(text)) == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}

func TestNumbersLoseNothing(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"0", "-5", "9223372036854775807", "12345678901234567890", "3.10", "1.5", "1e3", "0.1"} {
		if got := fmt.Sprint(number(text)); got != text {
			t.Errorf("%s became %s", text, got)
		}
	}
	if _, ok := number("1.5").(float64); !ok || number("2") != int64(2) {
		t.Error("ordinary numbers have ordinary types")
	}
}

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"name", "from", "when", "final", "empty", "hold", "to", "give_up_after"}
	for word, want := range map[string]string{
		"wen": "when", "frm": "from", "give-up-after": "give_up_after", "When": "when", "zzz": "", "": "",
		"completely_different": "", "finale": "final",
	} {
		if got := nearest(word, known); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}

// TestOffsetsInScalars looks for the letter X of every value in the file: each must be found where it stands.
func TestOffsetsInScalars(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"a: plain X",
		"a: plain\n  over lines X\n",
		"a: plain\n\n\n  after empty lines X\n",
		"a: é plain X",
		"a: 'single X'",
		"a: 'it''s ''X'''",
		"a: 'one\n  two\n\n  three X'",
		`a: "double X"`,
		`a: "tab\t é \u00e9 \U0001F600 \x41 \\ \" X"`,
		`a: "\0\a\b\e\f\n\r\v\N\_\L\P X"`,
		"a: \"one\n  two\\\n  three \\\n\n  X\"",
		"a: \"one\\\n  \\n\\n\\x41X\"",
		"a: |\n  literal\n  X\n",
		"a: |-\n\n  literal\n\n    deeper X\n",
		"a: |2\n    indented X\n",
		"a: |+\n  keep X\n\n\n",
		"a: | # comment\n  literal X\n",
		"a: >\n  folded\n  text\n\n  X\n",
		"a: >-\n  folded\n    kept\n    as it is\n  X\n",
		"a: >-\n\n  folded\n\n\n  X\n",
		"a: &anchor !!str X",
		"a: &anchor |\n  one\n  X\n",
		"a: |\r\n  one\r\n  X\r\n",
		"a: {b: [1, 'X']}",
		"- - |\n   one\n\n   X\n",
		"a:\n  - >\n   one\n   two X\n",
		"日本: 'é' # ü\nb: 日本 X",
	} {
		f := newFile("a.yaml", []byte(text))
		var document yaml.Node
		if err := yaml.NewDecoder(strings.NewReader(f.text)).Decode(&document); err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		found := false
		walk(&document, func(n *yaml.Node) {
			at := strings.IndexByte(n.Value, 'X')
			if n.Kind != yaml.ScalarNode || at < 0 {
				return
			}
			found = true
			start, _ := f.properties(n)
			offsets := scalarOffsets(f.text, start, n)
			if offsets == nil {
				t.Errorf("%q: no offsets", text)
			} else if got := offsets[at]; f.text[got] != 'X' {
				t.Errorf("%q: X found at %d, %q", text, got, f.text[got:])
			}
		})
		if !found {
			t.Errorf("%q: no X", text)
		}
	}
}

func walk(n *yaml.Node, visit func(*yaml.Node)) {
	visit(n)
	for _, c := range n.Content {
		walk(c, visit)
	}
}

func TestLinesAreMasked(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"secret: hunter2":                    "secret: ***",
		"  - api_key: 'hunter2'":             "  - api_key: ***",
		"{user: u, password: hunter2, x: y}": "{user: u, password: ***, x: y}",
		`"Authorization": Bearer hunter2`:    `"Authorization": ***`,
		"secret: [hunter2, other]":           "secret: [***]",
		"token: '${env.TOKEN}'":              "token: '${env.TOKEN}'",
		`token: ${file("/run/secrets/x")}`:   `token: ${file("/run/secrets/x")}`,
		`token: ${env.TOKEN ?? "hunter2"}`:   "token: ***",
		"url: postgres://chat:hunter2@db/x":  "url: postgres://***@db/x",
		"name: nothing to hide":              "name: nothing to hide",
		"cert: \x1b[31mred":                  "cert: \ufffd[31mred",
	} {
		got, _, _ := (&masks{}).line(newFile("a", []byte(line)), 0, 1)
		if got != want {
			t.Errorf("%q is shown as %q, want %q", line, got, want)
		}
	}
	f := newFile("a", []byte("secret:\n  # two of them\n  - first\n  - hunter2\n"))
	if got, _, _ := (&masks{}).line(f, len(f.text)-2, 1); got != "  - ***" {
		t.Errorf("an item of a list of secrets is shown as %q", got)
	}
	long := "a: " + strings.Repeat("x", 500) + "Y" + strings.Repeat("z", 500)
	got, caret, _ := (&masks{}).line(newFile("a", []byte(long)), 503, 1)
	if len(got) != shownLine || got[caret] != 'Y' {
		t.Errorf("a long line is shown as %q with the caret at %d", got, caret)
	}
}

var generated = regexp.MustCompile(`(?s)<!-- generated: (\S+) -->\n.*?<!-- end -->\n`)

// TestReferenceIsFresh fails when a table of README.md is not what the code says; -update rewrites them.
func TestReferenceIsFresh(t *testing.T) {
	t.Parallel()
	defaults, options := Defaults(), TargetDefaults()
	of := func(v any) string { return table(rows(reflect.TypeOf(v), reflect.ValueOf(v), "")) }
	find := row{"find", "list: name, or mapping of name and regex", "", "what is found in texts: card, iban, email, phone, ip, or a regular expression of one's own"}
	to := row{"to", "name, list: name, or mapping: fields", "required", "targets, and what each gets over its default mapping; redact in it names redactions"}
	expect := row{"expect", "mapping", "", "routes: the names of the routes that match, in order; target.field: a value"}
	redaction := redactionKeys{Replace: "[removed]", At: "delivery"}
	alertsTo := row{key: "to", kind: "as in a route", value: "required", doc: "target that tells people, or several"}
	var top []row
	for _, s := range sections() {
		r := row{key: s.key, doc: s.doc, kind: "mapping"}
		switch s.key {
		case "version":
			r.kind, r.value = "whole number", "required"
		case "sources", "targets":
			r.value = "required"
		case "routes", "tests":
			r.kind = "list"
		case "include":
			r.kind = "list: text"
		}
		top = append(top, r)
	}
	parts := map[string]string{
		"top": table(top), "server": of(defaults.Server), "admin": of(defaults.Admin), "ledger": of(defaults.Ledger),
		"log": of(defaults.Log), "transcript": of(defaults.Transcript), "source": of(Source{}), "target": of(options),
		"redaction": table(append([]row{find}, rows(reflect.TypeOf(redaction), reflect.ValueOf(redaction), "")...)),
		"route":     table(append(rows(reflect.TypeFor[routeKeys](), reflect.Value{}, ""), to)),
		"alerts":    table(append([]row{alertsTo}, rows(reflect.TypeFor[alertKeys](), reflect.ValueOf(alertDefaults()), "")...)),
		"test":      table(append(rows(reflect.TypeFor[testKeys](), reflect.Value{}, ""), expect)),
	}
	old, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	used := 0
	fresh := generated.ReplaceAllFunc(old, func(part []byte) []byte {
		name := string(generated.FindSubmatch(part)[1])
		text, ok := parts[name]
		if !ok {
			t.Errorf("README.md has an unknown part %s", name)
			return part
		}
		used++
		return []byte("<!-- generated: " + name + " -->\n" + text + "<!-- end -->\n")
	})
	if used != len(parts) {
		t.Errorf("README.md has %d of %d parts", used, len(parts))
	}
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile("README.md", fresh, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if !bytes.Equal(old, fresh) {
		t.Errorf("README.md is stale; run the tests of this package with -update:\n%s", cmp.Diff(string(old), string(fresh)))
	}
}

func TestDigestTellsValuesApart(t *testing.T) {
	t.Parallel()
	type nested struct{ A, B string }
	seen := map[string]any{}
	for _, v := range []any{
		[]string{"a", "b"},
		[]string{"ab"},
		[]string{"a", "b", ""},
		map[string]string{"a": "b"},
		map[string]string{"a": "", "b": ""},
		nested{"a", "b"},
		nested{"", "ab"},
		&nested{"a", "b"}, (*nested)(nil), 1, 1.5, math.Pi, true, false, "true",
	} {
		sum := account("t", v)
		if other, clash := seen[sum]; clash {
			t.Errorf("%v and %v have one fingerprint", v, other)
		}
		seen[sum] = v
	}
}
