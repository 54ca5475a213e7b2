// This file checks what a definition says as a whole: names that do not exist, routes that cannot match, required
// fields without a sure value.

package pipeline

import (
	"fmt"
	"slices"
	"strings"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/rule"
)

// at returns the path of something below p.
func (p Path) at(steps ...any) Path { return append(slices.Clip(p), steps...) }

// dotted returns the path as one writes it: custom_fields.22001, tags[2].
func (p Path) dotted() string {
	var b strings.Builder
	for _, step := range p {
		switch step := step.(type) {
		case int:
			fmt.Fprintf(&b, "[%d]", step)
		default:
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			fmt.Fprint(&b, step)
		}
	}
	return b.String()
}

// below puts problems with relative paths below a path.
func below(path Path, problems []Problem) []Problem {
	for i := range problems {
		problems[i].Path = path.at(problems[i].Path...)
	}
	return problems
}

func ruleProblems(path Path, problems []rule.Problem) []Problem {
	var out []Problem
	for _, p := range problems {
		out = append(out, Problem{Path: path, Offset: p.Offset, Text: p.Text, Hint: p.Hint})
	}
	return out
}

// routeOf returns the index of the route that a path is in; what stands in none comes first.
func (p Path) routeOf() int {
	if len(p) >= 2 && p[0] == "routes" {
		if i, ok := p[1].(int); ok {
			return i
		}
	}
	return -1
}

// checkRoutes reports names of routes, sources and targets that cannot be right.
func checkRoutes(d Definition, targets []Target, sources []string) []Problem {
	var names []string
	for _, t := range targets {
		names = append(names, t.Name)
	}
	var problems []Problem
	add := func(path Path, text, hint string) {
		problems = append(problems, Problem{Path: path, Offset: -1, Text: text, Hint: hint})
	}
	first := map[string]int{}
	for i, r := range d.Routes {
		path := Path{"routes", i}
		if j, ok := first[r.Name]; ok {
			add(path.at("name"), fmt.Sprintf("route %d is called %q, too", j+1, r.Name), "give every route a name of its own")
		} else {
			first[r.Name] = i
		}
		for j, source := range r.From {
			if !slices.Contains(sources, source) {
				text, hint := unknown("source", source, sources)
				add(path.at("from", j), text, hint)
			}
		}
		if r.Hold < 0 {
			add(path.at("hold"), "a hold cannot be negative", "write a duration such as 5m, or leave it out")
		}
		if len(r.To) == 0 && !r.Final {
			add(path, fmt.Sprintf("route %q has no target", r.Name), "name one in to:, or add final: true to send what matches nowhere")
		}
		seen := map[string]bool{}
		for _, to := range r.To {
			if !slices.Contains(names, to.Target) {
				text, hint := unknown("target", to.Target, names)
				add(path.at("to", to.Target), text, hint)
			}
			if seen[to.Target] {
				add(path.at("to", to.Target), fmt.Sprintf("target %q stands here twice", to.Target), "remove it here; two objects from one chat are two targets")
			}
			seen[to.Target] = true
		}
		if blocker := blockedBy(d.Routes[:i], r, sources); blocker != "" && !r.Alert {
			add(path, fmt.Sprintf("route %q never matches: %q above it is final and takes everything", r.Name, blocker), "move it up, or give that one a condition")
		}
	}
	return problems
}

// blockedBy returns the name of a final route above r that leaves nothing of at least one source for r, if there is
// one for every source that r takes.
func blockedBy(above []Route, r Route, sources []string) string {
	from := r.From
	if len(from) == 0 {
		from = sources
	}
	blocker := ""
	for _, source := range from {
		i := slices.IndexFunc(above, func(f Route) bool {
			return f.Final && f.When == "" && (f.Empty || !r.Empty) && (len(f.From) == 0 || slices.Contains(f.From, source))
		})
		if i < 0 {
			return ""
		}
		blocker = above[i].Name
	}
	return blocker
}

// checkRequired reports required fields that may end up without a value. Any set of the routes that name a target can
// match, one alone, too, so each of them needs a sure value: its own, or else that of the default mapping.
func (p *Pipeline) checkRequired(t Target, implicit bool) []Problem {
	var problems []Problem
	defaults := p.targets[t.Name].defaults
	for _, f := range t.Fields {
		if !f.Required {
			continue
		}
		fallback := defaults.find(f.Name)
		for i, r := range p.routes {
			for _, to := range r.to {
				if to.target != t.Name {
					continue
				}
				path := Path{"routes", i, "to", t.Name}
				if implicit {
					path = Path{"targets", t.Name}
				}
				own := to.fields.find(f.Name)
				switch {
				case own != nil:
					problems = append(problems, notSure(own, path.at(f.Name))...)
				case fallback == nil:
					problems = append(problems, Problem{Path: path, Offset: -1, Text: fmt.Sprintf("field %q is required", f.Name), Hint: "map a value to it"})
				case len(notSure(fallback, path)) > 0:
					problems = append(problems, Problem{
						Path: path, Offset: -1,
						Text: fmt.Sprintf("field %q is required, but the default mapping of it may be absent", f.Name), Hint: "map a value to it",
					})
				}
			}
		}
	}
	return problems
}

// checkUnused reports what routes map to fields that are never sent with the settings of the target. In a default mapping
// they stand for targets with other settings.
func checkUnused(d Definition, targets []Target, implicit bool) []Problem {
	var problems []Problem
	for i, r := range d.Routes {
		for _, to := range r.To {
			path := Path{"routes", i, "to", to.Target}
			if implicit {
				path = Path{"targets", to.Target}
			}
			at := slices.IndexFunc(targets, func(t Target) bool { return t.Name == to.Target })
			if at >= 0 {
				problems = append(problems, unused(to.Fields, targets[at].Fields, path)...)
			}
		}
	}
	return problems
}

func unused(m Mapping, fields []connectors.Field, path Path) []Problem {
	var problems []Problem
	for _, e := range m {
		f, ok := fieldNamed(fields, e.Key)
		inner, nested := e.Value.(Mapping)
		switch {
		case !ok || e.Value == nil:
		case f.Unused != "":
			problems = append(problems, Problem{
				Path: path.at(e.Key), Offset: -1, Text: fmt.Sprintf("field %q would never be sent: %s", e.Key, f.Unused),
				Hint: "change the settings of the target, or leave it out here",
			})
		case nested:
			problems = append(problems, unused(inner, f.Fields, path.at(e.Key))...)
		}
	}
	return problems
}

// checkTables reports values of lookup tables that a field does not take: they would be absent there.
func (p *Pipeline) checkTables(lookups map[string]map[string]any, implicit bool) []Problem {
	var problems []Problem
	for i, r := range p.routes {
		for _, to := range r.to {
			path := Path{"routes", i, "to", to.target}
			if implicit {
				path = Path{"targets", to.target}
			}
			for j := range to.fields.entries {
				e := &to.fields.entries[j]
				problems = append(problems, e.node.checkTables(lookups, path.at(e.name))...)
			}
		}
	}
	return problems
}

func (n *node) checkTables(lookups map[string]map[string]any, path Path) []Problem {
	var problems []Problem
	for i := range n.items {
		problems = append(problems, n.items[i].checkTables(lookups, path.at(i))...)
	}
	for i := range n.entries {
		problems = append(problems, n.entries[i].node.checkTables(lookups, path.at(n.entries[i].name))...)
	}
	if n.kind != template {
		return problems
	}
	for _, table := range n.template.Tables() {
		for _, key := range sortedKeys(lookups[table]) {
			if why := unfit(lookups[table][key], n.field); why != "" {
				problems = append(problems, Problem{
					Path: path, Offset: -1, Text: fmt.Sprintf("lookup %q, key %q: %s", table, key, why),
					Hint: "correct the value in the table",
				})
			}
		}
	}
	return problems
}

// unfit says why a field would not take a value of a table, "" if it would, or if the value is absent anyhow.
func unfit(value any, f connectors.Field) string {
	if value == nil || value == "" {
		return ""
	}
	fitting, ok := convert(value, f.Type)
	if !ok {
		return fmt.Sprintf("expected %s, but got %s", typeName(f), typeOf(value))
	}
	if text, isText := fitting.(string); isText && len(f.Values) > 0 && !slices.Contains(f.Values, text) {
		return fmt.Sprintf("%s is none of %s", quoted(text), strings.Join(f.Values, ", "))
	}
	return ""
}

// notSure reports a node that stands for a required value and may be absent.
func notSure(n *node, path Path) []Problem {
	name := path[len(path)-1]
	switch {
	case n.kind == null:
		return []Problem{{Path: path, Offset: -1, Text: fmt.Sprintf("field %q is required and cannot be removed", name), Hint: "map a value to it, or leave the key out"}}
	case n.kind == literal && n.value == "":
		return []Problem{{Path: path, Offset: -1, Text: fmt.Sprintf("field %q is required and cannot be empty", name), Hint: "map a value to it, or leave the key out"}}
	case n.kind == template && n.template.MayBeAbsent():
		return []Problem{{
			Path: path, Offset: -1, Text: fmt.Sprintf("field %q is required, but this may be absent", name),
			Hint: presentHint(n.field.Type),
		}}
	case n.kind == template:
		return notFitting(n, path)
	}
	return nil
}

// presentHint says how a value becomes one that is never absent.
func presentHint(want connectors.FieldType) string {
	if want == connectors.Time {
		return "end coalesce with the time of the hook, which is always there: coalesce(ended_at, received_at)"
	}
	return "end coalesce with a literal: coalesce(visitor.name, \"a visitor\")"
}

// notFitting reports a template that stands for a required value and always yields one, but perhaps not one that the
// field takes.
func notFitting(n *node, path Path) []Problem {
	problem := func(why, hint string) []Problem {
		return []Problem{{Path: path, Offset: -1, Text: fmt.Sprintf("field %q is required, but %s", path[len(path)-1], why), Hint: hint}}
	}
	switch f := n.field; {
	case len(f.Values) > 0 && n.template.Texts() == nil:
		return problem("this may be none of "+strings.Join(f.Values, ", "), fmt.Sprintf("choose with a condition: rating <= 2 ? %q : %q", f.Values[0], f.Values[len(f.Values)-1]))
	case n.template.Kind() == rule.Any && f.Type != connectors.Any && f.Type != "":
		return problem("this may be something else than "+typeName(f), sureHint(f.Type))
	case f.Type == connectors.Integer && n.template.Kind() != rule.Integer:
		return problem("this may be no whole number", "make one of it with int(round(…))")
	case f.Type == connectors.Map && slices.ContainsFunc(f.Fields, func(f connectors.Field) bool { return f.Required }):
		return problem("this may lack keys that it needs", "write the keys and values out")
	}
	return nil
}

// sureHint says how a value of any type becomes surely one of a type.
func sureHint(want connectors.FieldType) string {
	switch want {
	case connectors.Text, connectors.HTML:
		return "make text of it with string(…): coalesce(string(visitor.vars.plan), \"none\")"
	case connectors.Integer:
		return "end coalesce with a number: coalesce(int(visitor.vars.age), 0)"
	case connectors.Number:
		return "end coalesce with a number: coalesce(float(visitor.vars.age), 0)"
	}
	return "use a name of the conversation that always has this type"
}

func (m mapping) find(name string) *node {
	for i := range slices.Backward(m.entries) {
		if m.entries[i].name == name {
			return &m.entries[i].node
		}
	}
	return nil
}
