// This file tests how two renderings are compared.

package console

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/afterchat/afterchat/connectors"
)

func TestDifference(t *testing.T) {
	t.Parallel()
	request := func(body string) Rendered {
		return Rendered{Requests: []connectors.Request{{Method: "POST", URL: "https://desk.example/tickets", Body: body}}}
	}
	for name, test := range map[string]struct {
		then, today Rendered
		want        []string
	}{
		"the same": {request(`{"a":1}`), request(`{"a": 1}`), []string{}},
		"a value": {
			request(`{"id":9007199254740993,"subject":"old"}`), request(`{"id":9007199254740993,"subject":"new"}`),
			[]string{
				" POST https://desk.example/tickets", " {", `   "id": 9007199254740993,`, `-  "subject": "old"`, `+  "subject": "new"`, " }",
			},
		},
		"it failed": {
			Rendered{Error: "field subject is missing"},
			Rendered{Fields: map[string]any{"subject": "<b>"}},
			[]string{"-error: field subject is missing", "+{", `+  "subject": "<b>"`, "+}"},
		},
		"no JSON": {request("a\nb"), request("a\nc"), []string{" POST https://desk.example/tickets", " a", "-b", "+c"}},
	} {
		if diff := cmp.Diff(test.want, differenceOf(test.then, test.today)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestDiffLines: whatever is compared, both sides can be read out of the difference, and no line that both have at the same
// place in their order is told twice without need.
func TestDiffLines(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "-", ""}), 0, 12)
		a, b := lines.Draw(t, "a"), lines.Draw(t, "b")
		var left, right []string
		changed := 0
		for _, line := range diffLines(a, b) {
			if line[0] != '+' {
				left = append(left, line[1:])
			}
			if line[0] != '-' {
				right = append(right, line[1:])
			}
			if line[0] != ' ' {
				changed++
			}
		}
		if strings.Join(left, "\n") != strings.Join(a, "\n") || strings.Join(right, "\n") != strings.Join(b, "\n") {
			t.Fatalf("%q and %q became %q and %q", a, b, left, right)
		}
		if least := len(a) + len(b) - 2*longest(a, b); changed != least {
			t.Fatalf("%d lines differ between %q and %q, want %d", changed, a, b, least)
		}
	})
}

// longest is the length of the longest common subsequence, by its definition.
func longest(a, b []string) int {
	known := map[[2]int]int{}
	var of func(i, j int) int
	of = func(i, j int) int {
		if i == len(a) || j == len(b) {
			return 0
		}
		if n, ok := known[[2]int{i, j}]; ok {
			return n
		}
		n := max(of(i+1, j), of(i, j+1))
		if a[i] == b[j] {
			n = 1 + of(i+1, j+1)
		}
		known[[2]int{i, j}] = n
		return n
	}
	return of(0, 0)
}
