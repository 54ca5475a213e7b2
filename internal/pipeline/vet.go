// This file asks a target's type what a mapping could never be sent with: it sees what is the same for every
// conversation.

package pipeline

import (
	"slices"

	"github.com/afterchat/afterchat/connectors"
)

// vet asks for each route by itself, with what the default mapping adds to it. Mappings with other problems are left out.
func (p *Pipeline) vet(targets []Target, implicit bool) []Problem {
	var problems []Problem
	for _, t := range targets {
		defaults := p.targets[t.Name].defaults
		if t.Vet == nil || len(defaults.problems) > 0 {
			continue
		}
		for i, r := range p.routes {
			for _, to := range r.to {
				if to.target != t.Name || len(to.fields.problems) > 0 {
					continue
				}
				path := Path{"routes", i, "to", t.Name}
				if implicit {
					path = Path{"targets", t.Name}
				}
				problems = append(problems, vetRoute(t, defaults, to.fields, path)...)
			}
		}
	}
	return problems
}

func vetRoute(t Target, defaults, own mapping, path Path) []Problem {
	fields := map[string]any{}
	for _, e := range slices.Concat(defaults.entries, own.entries) {
		delete(fields, e.name)
		if value, ok := e.node.outline(); ok {
			fields[e.name] = value
		}
	}
	var problems []Problem
	for _, wrong := range t.Vet(fields) {
		problem := Problem{Path: path.at(wrong.Path...), Offset: -1, Text: wrong.Problem, Hint: wrong.Hint}
		if name, ok := wrong.Path[0].(string); ok && own.find(name) == nil { // it stands in the connector, not in the file
			problem.Path, problem.Text = path, Path(wrong.Path).dotted()+": "+wrong.Problem
		}
		problems = append(problems, problem)
	}
	return problems
}

// outline is what is known of a node's value without a conversation, not ok if it is absent.
func (n *node) outline() (value any, ok bool) {
	switch n.kind {
	case literal:
		return n.value, true
	case template:
		if text := n.template.Outline(connectors.Hole, connectors.Gap); text != connectors.Hole && text != connectors.Gap {
			return text, true
		}
		kind := connectors.FieldType(n.template.Kind())
		return connectors.Unknown{Type: kind, Absent: n.template.MayBeAbsent()}, true
	case list:
		items := []any{}
		for i := range n.items {
			if item, ok := n.items[i].outline(); ok {
				items = append(items, item)
			}
		}
		return items, true
	case object:
		values := map[string]any{}
		for i := range n.entries {
			if item, ok := n.entries[i].node.outline(); ok {
				values[n.entries[i].name] = item
			}
		}
		return values, true
	case null:
	}
	return nil, false
}
