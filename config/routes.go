// This file reads what decides where conversations go and what is sent: routes, lookups, redactions. All of it is kept
// with the conversations, so ${env.NAME} and ${file("…")} have no meaning here: no secret can get into a ticket.

package config

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/pipeline"
)

// routeKeys are the keys of a route beside to.
type routeKeys struct {
	Name  string        `yaml:"name" doc:"name, unique; it stands in metrics, logs and explain; the default is route and its number"`
	From  []string      `yaml:"from" doc:"names of sources, one or a list; empty: any source"`
	When  string        `yaml:"when" doc:"a condition, without ${ }; left out: every conversation" example:"rating <= 2"`
	Final bool          `yaml:"final" doc:"a conversation that matches here is not looked at by the routes below"`
	Empty bool          `yaml:"empty" doc:"conversations in which nobody wrote anything match too"`
	Hold  time.Duration `yaml:"hold" doc:"wait so long for late content before sending"`
}

// redactionKeys are the keys of a redaction beside find.
type redactionKeys struct {
	Drop    []string `yaml:"drop" doc:"fields of the conversation that are removed altogether" example:"visitor.ip"`
	Replace string   `yaml:"replace" doc:"what takes the place of what was found"`
	At      string   `yaml:"at" enum:"delivery,intake" doc:"delivery: from what a route sends that names it; intake: from every conversation, before it is stored"`
}

// findKeys is one regular expression to find.
type findKeys struct {
	Name  string `yaml:"name" required:"true" doc:"name of what is found" example:"order"`
	Regex string `yaml:"regex" required:"true" doc:"RE2 regular expression" example:"A-[0-9]{6}"`
}

// builtinFinds lists what redactions find by name.
var builtinFinds = []string{"card", "iban", "email", "phone", "ip"}

// asWritten runs a reader in which ${ } is not replaced.
func (l *loader) asWritten(read func()) {
	l.literal = true
	defer func() { l.literal = false }()
	read()
}

// routes reads all routes. A route with mistakes keeps its place, so that numbers in paths stay right.
func (l *loader) routes(n *node, _ span) {
	if n.isNull() {
		return
	}
	items := n.items
	if n.kind != listKind {
		l.add(n.at, "begin each route with a hyphen: - to: help", "routes must be a list, but this is %s", n.kind)
		return
	}
	l.asWritten(func() {
		for i, item := range items {
			l.config.Definition.Routes = append(l.config.Definition.Routes, l.route(item, fmt.Sprintf("route %d", i+1)))
		}
	})
}

// route reads one route.
func (l *loader) route(n *node, name string) pipeline.Route {
	var keys routeKeys
	what := name
	if given := n.value("name"); l.readable(given) {
		what = fmt.Sprintf("route %q", given.text)
	}
	l.structs(n, n.at, what, []string{"to"}, reflect.ValueOf(&keys).Elem())
	if when := n.value("when"); l.readable(when) && when.yaml.Tag == "!!str" && strings.TrimSpace(when.text) == "" {
		l.add(when.at, "write a condition, such as rating <= 2, or leave out when: to take every conversation", "the condition of %s is empty", what)
		keys.When = "false" // it was reported; without one the route would seem to take everything
	}
	name = cmp.Or(keys.Name, name)
	r := pipeline.Route{
		Name: name, From: keys.From, When: keys.When, Final: keys.Final, Empty: keys.Empty, Hold: keys.Hold,
	}
	if n.kind != mappingKind {
		return r
	}
	to, ok := n.get("to")
	switch {
	case !ok:
		l.add(n.at, "name one target or more: to: help", "%s needs the key %q", what, "to")
	case to.value.kind == listKind && len(to.value.items) == 0 && r.Final: // what matches is sent nowhere
	case to.value.isNull() || (to.value.kind != scalarKind && len(to.value.items)+len(to.value.entries) == 0):
		l.add(to.key.at, "name one target or more: to: help; or, for what is sent nowhere, to: [] with final: true", "to has no value")
	default:
		r.To = l.to(to.value)
	}
	return r
}

// to reads the targets of a route: help, [help, log], or a mapping of target to its keys.
func (l *loader) to(n *node) []pipeline.RouteTarget {
	var out []pipeline.RouteTarget
	switch n.kind {
	case scalarKind:
		return []pipeline.RouteTarget{{Target: n.text}}
	case listKind:
		for _, item := range n.items {
			if item.kind != scalarKind {
				l.add(item.at, "write to: {help: {…}, log: {}} where a target has keys", "a name of a target must stand here, but this is %s", item.kind)
				continue
			}
			if slices.ContainsFunc(out, func(t pipeline.RouteTarget) bool { return t.Target == item.text }) {
				l.add(item.at, "remove it here; two tickets from one conversation are two targets", "target %q stands here twice", item.text)
				continue
			}
			out = append(out, pipeline.RouteTarget{Target: item.text})
		}
	case mappingKind:
		for _, e := range n.entries {
			out = append(out, l.routeTarget(e))
		}
	}
	return out
}

// routeTarget reads what a route says of one target.
func (l *loader) routeTarget(e entry) pipeline.RouteTarget {
	out := pipeline.RouteTarget{Target: e.key.text}
	if e.value.isNull() {
		return out
	}
	if e.value.kind != mappingKind {
		l.add(e.value.at, "write {} for the default mapping", "%s must be a mapping of fields, but this is %s", e.key.text, e.value.kind)
		return out
	}
	fields, known := l.fields(e.key.text)
	for _, f := range e.value.entries {
		if f.key.text == "redact" {
			l.value(f.value, f.key.at, field{key: "redact"}, reflect.ValueOf(&out.Redact).Elem())
			continue
		}
		want := fieldNamed(fields, f.key.text)
		if !known {
			want = &unknownField // whether a number or a text is meant cannot be told
		}
		out.Fields = append(out.Fields, pipeline.Entry{Key: f.key.text, Value: l.tree(f.value, want)})
	}
	return out
}

// fields returns what the mapping of a target may fill, false if that is not known.
func (l *loader) fields(target string) ([]connectors.Field, bool) {
	for _, t := range l.config.Targets {
		if t.Name == target && t.Settings != nil {
			return t.Type.Fields(t.Settings), true
		}
	}
	return nil, false
}

// lookups reads all tables.
func (l *loader) lookups(n *node, _ span) {
	if n.isNull() {
		return
	}
	if n.kind != mappingKind {
		l.add(n.at, "write a name and below it key: value", "lookups must be a mapping, but this is %s", n.kind)
		return
	}
	l.config.Definition.Lookups = map[string]map[string]any{}
	for _, e := range n.entries {
		table := map[string]any{}
		l.config.Definition.Lookups[e.key.text] = table
		if e.value.kind != mappingKind {
			l.add(e.value.at, "write key: value pairs", "lookup %q must be a mapping, but this is %s", e.key.text, e.value.kind)
			continue
		}
		for _, row := range e.value.entries {
			table[row.key.text] = l.lookupValue(row.value)
		}
	}
}

// lookupValue reads a value of a table: a single value or a list of them.
func (l *loader) lookupValue(n *node) any {
	switch {
	case n.kind == mappingKind:
		l.add(n.at, "write one value, or make it a table of its own", "a lookup gives a single value or a list, but this is a mapping")
		return nil
	case n.kind == listKind:
		out := make([]any, 0, len(n.items))
		for _, item := range n.items {
			out = append(out, l.lookupValue(item))
		}
		return out
	case strings.Contains(n.text, "${"):
		l.add(n.at, "write the value itself; variables and files could carry a secret into a ticket", "lookups hold plain values, without ${ }")
		return nil
	}
	return l.typed(n)
}

// redactions reads all redactions.
func (l *loader) redactions(n *node, _ span) {
	if n.isNull() {
		return
	}
	if n.kind != mappingKind {
		l.add(n.at, "write a name and below it find: [card, iban]", "redact must be a mapping, but this is %s", n.kind)
		return
	}
	l.config.Definition.Redact = map[string]pipeline.Redaction{}
	l.asWritten(func() {
		for _, e := range n.entries {
			l.config.Definition.Redact[e.key.text] = l.redaction(e)
		}
	})
}

// redaction reads one redaction.
func (l *loader) redaction(e entry) pipeline.Redaction {
	keys := redactionKeys{Replace: "[removed]", At: pipeline.AtDelivery}
	l.structs(e.value, e.key.at, fmt.Sprintf("redaction %q", e.key.text), []string{"find"}, reflect.ValueOf(&keys).Elem())
	out := pipeline.Redaction{Drop: keys.Drop, Replace: keys.Replace}
	if keys.At != pipeline.AtDelivery {
		out.At = keys.At
	}
	if n := e.value.value("replace"); l.readable(n) && strings.Contains(n.text, "${") {
		l.add(n.at, "write the text itself", "redactions hold plain values, without ${ }")
	}
	if find, ok := e.value.get("find"); ok {
		items := find.value.items
		if find.value.kind != listKind {
			items = []*node{find.value}
		}
		for _, item := range items {
			out.Find = append(out.Find, l.find(item))
		}
	}
	return out
}

// find reads one thing to find: a name, or name and regex.
func (l *loader) find(n *node) pipeline.Find {
	if n.kind == mappingKind {
		var keys findKeys
		l.structs(n, n.at, "find", nil, reflect.ValueOf(&keys).Elem())
		if keys.Regex == "" {
			keys.Regex = "x" // it was reported; without one the name would be taken for a built-in's
		}
		return pipeline.Find(keys)
	}
	name, _ := l.text(n, "find")
	return pipeline.Find{Name: name}
}
