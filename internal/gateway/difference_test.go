// This file tests the comparison of expected values with rendered ones.

package gateway

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDifferences(t *testing.T) {
	t.Parallel()
	type values = map[string]any
	big := strings.Repeat("line\n", 40)
	for name, test := range map[string]struct {
		want, got any
		out       []Difference
	}{
		"equal":                 {values{"a": []any{1, "x", nil, true}}, values{"a": []any{1, "x", nil, true}}, nil},
		"number forms":          {5, 5.0, nil},
		"exponents":             {json.Number("1e2"), 100, nil},
		"large whole numbers":   {json.Number("9007199254740993"), json.Number("9007199254740992"), []Difference{{What: "f", Want: "9007199254740993", Got: "9007199254740992"}}},
		"number and text":       {"5", 5, []Difference{{What: "f", Want: `"5"`, Got: "5"}}},
		"markup stays readable": {"<b>", "&", []Difference{{What: "f", Want: `"<b>"`, Got: `"&"`}}},
		"times":                 {"2026-01-02T03:04:05Z", time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), nil},
		"missing key":           {values{"a": 1}, values{}, []Difference{{What: "f.a", Want: "1", Got: "absent"}}},
		"further key":           {values{"a": 1}, values{"a": 1, "b": 2}, []Difference{{What: "f.b", Want: "absent", Got: "2"}}},
		"item":                  {[]any{1, 2}, []any{1, 3}, []Difference{{What: "f.1", Want: "2", Got: "3"}}},
		"length":                {[]any{1}, []any{1, 3}, []Difference{{What: "f", Want: "[1]", Got: "[1,3]"}}},
		"kinds":                 {values{"a": 1}, []any{1}, []Difference{{What: "f", Want: `{"a":1}`, Got: "[1]"}}},
		"lines":                 {"a\nb\nc\nd", "a\nb\nx\nd", []Difference{{What: "f", Lines: []string{"  b", "- c", "+ x", "  d"}}}},
		"line added":            {"a", "a\nb", []Difference{{What: "f", Lines: []string{"  a", "+ b"}}}},
		"long texts":            {big, "", []Difference{{What: "f", Lines: append(slicesRepeat("- line", 12), "- … and 28 more lines", "  ")}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.out, differences("f", plain(test.want), plain(test.got))); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func slicesRepeat(s string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = s
	}
	return out
}

func TestFind(t *testing.T) {
	t.Parallel()
	v := plain(map[string]any{
		"a": map[string]any{"b.c": 1, "b": map[string]any{"c": 2, "d": 3}, "list": []any{"x", map[string]any{"y": 4}}},
	})
	for path, want := range map[string]any{
		"a.b.c": json.Number("1"), "a.b.d": json.Number("3"), "a.list.0": "x", "a.list.1.y": json.Number("4"),
		"a.list.2": nil, "a.list.-1": nil, "a.none": nil, "a.b.c.d": nil, ".": nil,
	} {
		got, ok := find(v, path)
		if diff := cmp.Diff(want, got); diff != "" || ok != (want != nil) {
			t.Errorf("%s: found %t (-want +got):\n%s", path, ok, diff)
		}
	}
}
