// This file generates definitions: fields that a connector could declare, and routes that map to them.

package pipelinetest

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/pipeline"
)

// Target is the name of the only target of generated definitions.
const Target = "help"

// Generated is a definition that passes check, and what it was made for.
type Generated struct {
	Definition pipeline.Definition
	Fields     []connectors.Field
	Pipeline   *pipeline.Pipeline
	Tried      int // values that were generated for the mappings
	Left       int // of them, in the definition; the others did not pass check
}

// Fields generates what a connector could declare.
func Fields() *rapid.Generator[[]connectors.Field] {
	return rapid.Custom(func(t *rapid.T) []connectors.Field {
		out := make([]connectors.Field, rapid.IntRange(1, 5).Draw(t, "fields"))
		for i := range out {
			out[i] = field(t, fmt.Sprintf("f%d", i), 2)
		}
		return out
	})
}

func field(t *rapid.T, name string, depth int) connectors.Field {
	types := []connectors.FieldType{
		connectors.Text, connectors.Text, connectors.HTML, connectors.Integer, connectors.Number, connectors.Boolean, connectors.Time, connectors.Any,
	}
	if depth > 0 {
		types = append(types, connectors.List, connectors.Map)
	}
	f := connectors.Field{Name: name, Doc: "generated", Type: rapid.SampledFrom(types).Draw(t, "field type")}
	f.Required = rapid.IntRange(0, 3).Draw(t, "required") == 0
	switch f.Type {
	case connectors.Text:
		f.Limit = rapid.SampledFrom([]int{0, 0, 1, 5, 150}).Draw(t, "limit")
		f.Bytes = f.Limit > 4 && rapid.Bool().Draw(t, "bytes") // a character may have four bytes
		if f.Limit == 0 && rapid.IntRange(0, 3).Draw(t, "enum") == 0 {
			f.Values = [][]string{{"low", "high"}, {"completed", "missed", "offline", "dropped", "unknown"}, {"smartsupp", "proprofs"}}[rapid.IntRange(0, 2).Draw(t, "values")]
		}
	case connectors.HTML:
		f.Limit = rapid.SampledFrom([]int{0, 60, 1000}).Draw(t, "limit")
	case connectors.List:
		f.Limit = rapid.SampledFrom([]int{0, 1, 3}).Draw(t, "limit")
		if rapid.Bool().Draw(t, "typed") {
			item := field(t, "item", depth-1)
			f.Items = &item
		}
	case connectors.Map:
		for i := range rapid.IntRange(0, 2).Draw(t, "keys") {
			f.Fields = append(f.Fields, field(t, fmt.Sprintf("k%d", i), depth-1))
		}
		if rapid.Bool().Draw(t, "typed") {
			item := field(t, "value", depth-1)
			f.Items = &item
		}
	default:
	}
	return f
}

// Definition generates one to three routes to one target with these fields. Values that do not pass check are left
// out one after the other until the rest passes; a required field then has what is sure of its type.
func Definition(fields []connectors.Field) *rapid.Generator[Generated] {
	return rapid.Custom(func(t *rapid.T) Generated {
		d := pipeline.Definition{
			Lookups: map[string]map[string]any{"brand_id": {"acme": int64(360001234567), "globo": int64(1)}},
			Redact: map[string]pipeline.Redaction{
				"all":   {Find: []pipeline.Find{{Name: "card"}, {Name: "iban"}, {Name: "email"}, {Name: "phone"}, {Name: "ip"}}},
				"fewer": {Find: []pipeline.Find{{Name: "own", Regex: `[0-9]{2,}`}}, Drop: []string{"visitor.name", "messages.text", "pages", "rating", "started_at", "visitor.vars.age"}, Replace: "#"},
			},
			TimeZone: "Europe/Prague", Language: rapid.SampledFrom([]string{"", "cs", "de"}).Draw(t, "language"),
			Defaults: map[string]pipeline.Tree{Target: sure(fields)},
		}
		g := Generated{Fields: fields}
		for i := range rapid.IntRange(1, 3).Draw(t, "routes") {
			r := pipeline.Route{Name: fmt.Sprintf("route %d", i), Empty: true}
			if rapid.Bool().Draw(t, "conditional") {
				r.When = Expressions("bool").Draw(t, "when")
			}
			to := pipeline.RouteTarget{Target: Target}
			if rapid.IntRange(0, 3).Draw(t, "redacted") == 0 {
				to.Redact = []string{"all", "fewer"}[:rapid.IntRange(1, 2).Draw(t, "redactions")]
			}
			for _, f := range fields {
				if rapid.IntRange(0, 4).Draw(t, "mapped") > 0 {
					to.Fields = append(to.Fields, pipeline.Entry{Key: f.Name, Value: tree(t, f, 2)})
					g.Tried++
				}
			}
			r.To = []pipeline.RouteTarget{to}
			d.Routes = append(d.Routes, r)
		}
		g.compile(t, d)
		return g
	})
}

// compile leaves out what does not pass check.
func (g *Generated) compile(t *rapid.T, d pipeline.Definition) {
	targets := []pipeline.Target{{Name: Target, Fields: g.Fields}}
	for {
		compiled, problems := pipeline.Compile(d, targets, []string{"shop", "desk"})
		if len(problems) == 0 {
			g.Definition, g.Pipeline = d, compiled
			break
		}
		if !leaveOut(&d, problems[0].Path) {
			t.Fatalf("what is left does not pass: %v", problems)
		}
	}
	for _, r := range d.Routes {
		g.Left += len(r.To[0].Fields)
	}
}

// leaveOut removes the condition or the entry that a problem is about, not ok if it is about neither.
func leaveOut(d *pipeline.Definition, path pipeline.Path) bool {
	if len(path) < 3 || path[0] != "routes" {
		return false
	}
	r := &d.Routes[path[1].(int)]
	switch {
	case path[2] == "when":
		r.When = ""
		return true
	case len(path) > 4 && path[2] == "to":
		to := &r.To[0]
		for i, e := range to.Fields {
			if e.Key == path[4] {
				to.Fields = append(to.Fields[:i:i], to.Fields[i+1:]...)
				return true
			}
		}
	}
	return false
}

// sure is a mapping of what can never be absent to the required fields.
func sure(fields []connectors.Field) pipeline.Mapping {
	out := pipeline.Mapping{}
	for _, f := range fields {
		if f.Required {
			out = append(out, pipeline.Entry{Key: f.Name, Value: literal(f)})
		}
	}
	return out
}

// literal is a value that a field takes.
func literal(f connectors.Field) pipeline.Tree {
	switch f.Type {
	case connectors.Integer:
		return int64(1)
	case connectors.Number:
		return 2.5
	case connectors.Boolean:
		return true
	case connectors.Time:
		return "2026-11-03T09:00:00Z"
	case connectors.List:
		return []any{}
	case connectors.Map:
		return sure(f.Fields)
	default:
	}
	if len(f.Values) > 0 {
		return f.Values[0]
	}
	return "x"
}

// tree draws a value for a field: an expression alone, one inside text, a literal, or a list or mapping of them.
func tree(t *rapid.T, f connectors.Field, depth int) pipeline.Tree {
	way := rapid.IntRange(0, 9).Draw(t, "value")
	expression := func() string {
		return "${" + Expressions(rapid.SampledFrom(fits(string(f.Type))).Draw(t, "of type")).Draw(t, "expression") + "}"
	}
	switch {
	case way == 0:
		return nil
	case way == 1:
		return literal(f)
	case way < 5 && depth > 0 && f.Type == connectors.List:
		item := connectors.Field{Type: connectors.Any}
		if f.Items != nil {
			item = *f.Items
		}
		var items []any
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			items = append(items, tree(t, item, depth-1))
		}
		return items
	case way < 5 && depth > 0 && f.Type == connectors.Map:
		m := pipeline.Mapping{}
		for _, inner := range f.Fields {
			m = append(m, pipeline.Entry{Key: inner.Name, Value: tree(t, inner, depth-1)})
		}
		return m
	case way < 4 && (f.Type == connectors.Text || f.Type == connectors.HTML):
		var b strings.Builder
		b.WriteString(rapid.SampledFrom([]string{"", "<p>chat", "$${ "}).Draw(t, "before"))
		b.WriteString(expression())
		b.WriteString(rapid.SampledFrom([]string{"", " / ", "</p>"}).Draw(t, "after"))
		return b.String()
	}
	return expression()
}
