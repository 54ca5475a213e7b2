// This file tests how values are shown to people.

package cmd

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSheet(t *testing.T) {
	t.Parallel()
	type mapping = map[string]any
	b := bounds{width: 20, lines: 2, items: 2, records: 1}
	for name, test := range map[string]struct {
		value mapping
		order map[string]int
		loose bool
		want  string
	}{
		"scalars": {
			value: mapping{"a": "x", "b": int64(5), "c": true, "d": nil, "e": json.Number("1.50")},
			want:  "a: x\nb: 5\nc: true\nd: null\ne: 1.50\n",
		},
		"texts that look like something else": {
			value: mapping{"a": "", "b": "5", "c": "true", "d": " x", "e": "[x", "f": `"`, "g": "-1e5", "h": "null"},
			want:  "a: \"\"\nb: \"5\"\nc: \"true\"\nd: \" x\"\ne: \"[x\"\nf: \"\\\"\"\ng: \"-1e5\"\nh: \"null\"\n",
		},
		"short ones first": {
			value: mapping{"a": "x\ny", "b": mapping{"c": 1}, "z": 1},
			want:  "z: 1\na: (2 lines, 3 characters)\n  x\n  y\nb:\n  c: 1\n",
		},
		"in the order of the mapping": {
			value: mapping{"a": 1, "b": mapping{"c": 1, "d": 2}, "e": 3},
			order: map[string]int{"b": 0, "b.d": 1, "b.c": 2, "a": 3},
			want:  "b:\n  d: 2\n  c: 1\na: 1\ne: 3\n",
		},
		"long line":       {value: mapping{"a": strings.Repeat("ž", 30)}, want: "a: " + strings.Repeat("ž", 20) + "… (30 characters)\n"},
		"many lines":      {value: mapping{"a": "1\n2\n3\n4\n"}, want: "a: (4 lines, 8 characters)\n  1\n  2\n  … and 2 more lines\n"},
		"one line":        {value: mapping{"a": "1\n"}, want: "a: \"1\"\n"},
		"one line more":   {value: mapping{"a": "1\n2\n3"}, want: "a: (3 lines, 5 characters)\n  1\n  2\n  3\n"},
		"empty":           {value: mapping{"a": mapping{}, "b": []any{}}, want: "a: {}\nb: []\n"},
		"list":            {value: mapping{"a": []any{1, "x", nil}}, want: "a: [1, x, null]\n"},
		"long list":       {value: mapping{"a": []any{"one two three", "four five six", 3, 4}}, want: "a: (4 items)\n  - one two three\n  - four five six\n  … and 2 more\n"},
		"list of several": {value: mapping{"a": []any{mapping{"b": 1, "c": mapping{"d": 2}}}}, want: "a: (1 item)\n  - b: 1\n    c:\n      d: 2\n"},
		"records are long": {
			value: mapping{"a": []any{mapping{"b": 1, "c": 2}, mapping{"b": 3}, mapping{"b": 4}}},
			want:  "a: (3 items)\n  - b: 1\n    c: 2\n  … and 2 more\n",
		},
		"nested lists": {value: mapping{"a": []any{[]any{mapping{"b": 1}}, mapping{}}}, want: "a: (2 items)\n  - (1 item)\n    - b: 1\n  - {}\n"},
		"records": {
			value: mapping{"a": []any{json.RawMessage(`{"z":1,"b":{"y":[],"x":1.50}}`)}, "t": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
			want:  "t: 2026-01-02T03:04:05Z\na: (1 item)\n  - z: 1\n    b:\n      y: []\n      x: 1.50\n",
		},
		"known by its end": {
			value: mapping{"t": mapping{"a": 1, "b": mapping{"c": 2, "d": 3}}}, order: map[string]int{"b": 0, "b.d": 1, "a": 2}, loose: true,
			want: "t:\n  b:\n    d: 3\n    c: 2\n  a: 1\n",
		},
		"escape sequence": {value: mapping{"a": "x\x1b[2Jy"}, want: "a: x\ufffd[2Jy\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			s := sheet{text: &out, bounds: b, order: test.order, loose: test.loose}
			if s.order == nil {
				s.order = map[string]int{}
			}
			s.mapping(s.plain(test.value, "").(mapping), "", 0)
			if diff := cmp.Diff(test.want, printable(out.String())); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestShortDuration(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"5m0s": "5m", "10s": "10s", "1h0m0s": "1h", "1h30m0s": "1h30m", "0s": "0s", "20m0s": "20m"} {
		if got := shortDuration(in); got != want {
			t.Errorf("%s: want %s, got %s", in, want, got)
		}
	}
}

// FuzzSheet shows any JSON object: nothing that a terminal would obey gets out.
func FuzzSheet(f *testing.F) {
	f.Add(`{"a": [{"b": [[1, {}]], "c": "x\ny"}], "d": "\u001b[2J", "": {"": []}}`)
	f.Fuzz(func(t *testing.T, text string) {
		var fields map[string]any
		if json.Unmarshal([]byte(text), &fields) != nil || fields == nil {
			return
		}
		var out strings.Builder
		s := sheet{text: &out, bounds: bounds{width: 20, lines: 2, items: 2, records: 1}, order: map[string]int{}}
		s.mapping(s.plain(json.RawMessage(text), "").(map[string]any), "", 0)
		if strings.ContainsRune(printable(out.String()), '\x1b') {
			t.Errorf("a terminal would obey this: %q", out.String())
		}
		if len(fields) > 0 && out.Len() == 0 {
			t.Error("nothing is shown")
		}
	})
}
