// This file checks the conversion of values to the types of fields, and the values that no configuration can hold.

package pipeline

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/chat"
)

func TestConvert(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 2, 12, 0, 0, 0, time.FixedZone("CET", 3600))
	object := json.RawMessage(`{"b": 12345678901234567890, "a": [true]}`)
	none := struct{}{} // the value is of another type
	cases := []struct {
		in   any
		kind connectors.FieldType
		want any
	}{
		{"x", connectors.Text, "x"},
		{chat.HTML("<b>"), connectors.Text, "<b>"},
		{true, connectors.Text, "true"},
		{1e21, connectors.Text, "1000000000000000000000"},
		{json.Number("1.10"), connectors.Text, "1.10"},
		{noon, connectors.Text, "2026-03-02T11:00:00Z"},
		{[]any{"x"}, connectors.Text, none},
		{object, connectors.Text, none},
		{7, connectors.Integer, int64(7)},
		{int64(math.MaxInt64), connectors.Integer, int64(math.MaxInt64)},
		{3.0, connectors.Integer, int64(3)},
		{3.5, connectors.Integer, none},
		{1e300, connectors.Integer, none},
		{json.Number("12345678901234567890"), connectors.Integer, json.Number("12345678901234567890")},
		{json.Number("2.0"), connectors.Integer, int64(2)},
		{json.Number("1e999"), connectors.Integer, none},
		{"7", connectors.Integer, none},
		{7, connectors.Number, int64(7)},
		{0.5, connectors.Number, 0.5},
		{math.Inf(1), connectors.Number, none},
		{json.Number("7"), connectors.Number, int64(7)},
		{json.Number("0.25"), connectors.Number, 0.25},
		{json.Number("1e999"), connectors.Number, none},
		{true, connectors.Number, none},
		{false, connectors.Boolean, false},
		{"true", connectors.Boolean, none},
		{noon, connectors.Time, noon.UTC()},
		{"2026-03-02T12:00:00+01:00", connectors.Time, noon.UTC()},
		{"2026-03-02", connectors.Time, none},
		{1, connectors.Time, none},
		{[]any{1}, connectors.List, []any{1}},
		{json.RawMessage(`[1.10]`), connectors.List, []any{json.Number("1.10")}},
		{object, connectors.List, none},
		{map[string]any{"a": 1}, connectors.Map, map[string]any{"a": 1}},
		{object, connectors.Map, map[string]any{"b": json.Number("12345678901234567890"), "a": []any{true}}},
		{json.RawMessage(`{`), connectors.Map, none},
		{object, connectors.Any, object},
		{chat.HTML("<b>"), connectors.Any, "<b>"},
	}
	for _, c := range cases {
		got, ok := convert(c.in, c.kind)
		if c.want == any(none) {
			if ok {
				t.Errorf("%v (%T) as %s gave %v, want none", c.in, c.in, c.kind, got)
			}
			continue
		}
		if diff := cmp.Diff(c.want, got); !ok || diff != "" {
			t.Errorf("%v (%T) as %s (-want +got):\n%s", c.in, c.in, c.kind, diff)
		}
	}
}

// TestListsOfMarkup escapes what an expression puts into a list or map of markup, whole.
func TestListsOfMarkup(t *testing.T) {
	t.Parallel()
	markup := &connectors.Field{Type: connectors.HTML}
	targets := []Target{{Name: "x", Fields: []connectors.Field{
		{Name: "parts", Type: connectors.List, Items: markup, Limit: 2},
		{Name: "vars", Type: connectors.Map, Items: markup},
		{Name: "written", Type: connectors.List, Items: markup, Limit: 2},
	}}}
	d := Definition{Defaults: map[string]Tree{"x": Mapping{
		{"parts", "${map(messages, .text)}"},
		{"vars", "${visitor.vars}"},
		{"written", []any{"<b>${rating}</b>", "${messages[0].text}", "${brand}"}},
	}}}
	p, problems := Compile(d, targets, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	c := testConversation(t, []byte(`{"visitor": {"vars": {"v": "<i>"}}, "messages": [{"role": "visitor", "text": "a < b"}, {"role": "visitor", "text": "&"}, {"role": "visitor", "text": "x"}]}`))
	rendered, err := p.Map(c, "x", []string{"everything"})
	if err != nil {
		t.Fatal(err)
	}
	want := Rendered{
		Fields: map[string]any{
			"parts":   []any{"a &lt; b", "&amp;"},
			"vars":    map[string]any{"v": "&lt;i&gt;"},
			"written": []any{"<b>2</b>", "a &lt; b"},
		},
		Cut: []string{"parts: 3 items, cut to 2", "written: 3 items, cut to 2"},
	}
	if diff := cmp.Diff(want, rendered); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLookupsKeepNumbers(t *testing.T) {
	t.Parallel()
	d := Definition{
		Lookups:  map[string]map[string]any{"id": {"acme": json.Number("360001234567"), "deep": Mapping{{"k", []any{1, 2.5}}}}},
		Defaults: map[string]Tree{"log": Mapping{{"line", []any{`${lookup("id", brand)}`, `${lookup("id", "deep")}`}}}},
	}
	targets := []Target{{Name: "log", Fields: lineField()}}
	p, problems := Compile(d, targets, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	rendered, err := p.Map(testConversation(t, nil), "log", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []any{int64(360001234567), map[string]any{"k": []any{int64(1), json.Number("2.5")}}}
	if diff := cmp.Diff(want, rendered.Fields["line"]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestValuesThatNothingCanHold(t *testing.T) {
	t.Parallel()
	d := Definition{
		Lookups:  map[string]map[string]any{"t": {"k": math.Inf(-1)}},
		Defaults: map[string]Tree{"log": Mapping{{"line", map[string]any{"x": time.Now()}}}},
		Routes:   []Route{{Name: "r", To: []RouteTarget{{Target: "log", Fields: Mapping{{"line", []any{1, math.NaN()}}}}}}},
	}
	p, problems := Compile(d, []Target{{Name: "log", Fields: lineField()}}, nil)
	var got []string
	for _, problem := range problems {
		got = append(got, problem.Path.dotted()+": "+problem.Text)
	}
	want := []string{
		"routes[0].to.log.line[1]: not a number that can be sent",
		"targets.log.line.x: a time.Time cannot be mapped",
		"lookups.t.k: not a number that can be sent",
	}
	if diff := cmp.Diff(want, got); diff != "" || p != nil {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
