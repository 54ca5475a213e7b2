// This file compiles a Definition: every expression, every field and every redaction is checked before the first
// conversation arrives, and all mistakes are reported at once.

package pipeline

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/rule"
)

// Pipeline is a compiled Definition. It never changes and may be used by many goroutines at once.
type Pipeline struct {
	snapshot   []byte
	hash       string
	routes     []*route
	targets    map[string]*target
	redactions map[string]*redaction
	intake     []*redaction // those that are applied before anything is stored
	style      chat.Style
}

// target is what every delivery to one target starts from.
type target struct {
	Target
	defaults mapping
}

// route is a compiled Route.
type route struct {
	Route
	when     *rule.Condition // nil: always
	problems []Problem       // of when
	to       []*routeTarget
}

// routeTarget is a compiled RouteTarget.
type routeTarget struct {
	target string
	redact []string
	fields mapping
}

// mapping is a compiled Mapping, or what is wrong with it.
type mapping struct {
	entries  []entry
	unused   []connectors.NotSent // fields that it fills and that are never sent with the target's settings
	problems []Problem
}

// Compile checks and compiles a definition. sources are the names of the sources. All problems are returned at once,
// and no pipeline if there is any.
//
// Paths of problems begin with routes, redact, transcript or, for what stands in no route, targets and a name.
func Compile(d Definition, targets []Target, sources []string) (*Pipeline, []Problem) {
	problems := checkDefinition(d)
	if len(problems) > 0 {
		return nil, problems // the snapshot could not hold it
	}
	implicit, brands := len(d.Routes) == 0, d.Brands
	snapshot, err := json.Marshal(d.normal(targets))
	if err != nil {
		return nil, []Problem{{Offset: -1, Text: err.Error()}}
	}
	// What is compiled is what the snapshot holds, so that both render the same bytes.
	d, err = parseDefinition(snapshot)
	if err != nil {
		return nil, []Problem{{Offset: -1, Text: err.Error()}}
	}
	d.Brands = brands
	p, problems := build(d, targets, sources, implicit)
	problems = append(problems, checkRoutes(d, targets, sources)...)
	for _, t := range targets {
		problems = append(problems, p.checkRequired(t, implicit)...)
	}
	problems = append(problems, p.checkTables(d.Lookups, implicit)...)
	problems = append(problems, checkLookalikes(d)...)
	problems = append(problems, checkUnused(d, targets, implicit)...)
	problems = append(problems, p.vet(targets, implicit)...)
	slices.SortStableFunc(problems, func(a, b Problem) int { return cmp.Compare(a.Path.routeOf(), b.Path.routeOf()) })
	if len(problems) > 0 {
		return nil, problems
	}
	return p, nil
}

// Open compiles the snapshot of an earlier configuration with the fields that targets have today. What no longer fits
// is an error of the Map or Route that needs it, so that the rest can still be delivered.
func Open(snapshot []byte, targets []Target) (*Pipeline, error) {
	d, err := parseDefinition(snapshot)
	if err != nil {
		return nil, err
	}
	for _, t := range targets {
		for _, old := range t.Was {
			d.renameTarget(old, t.Name)
		}
	}
	p, _ := build(d, targets, nil, false)
	p.snapshot, p.hash = slices.Clone(snapshot), hash(snapshot)
	return p, nil
}

// Snapshot returns the definition as JSON that Open reads. It is the same for the same definition and holds no secret.
func (p *Pipeline) Snapshot() []byte { return bytes.Clone(p.snapshot) }

// Hash returns the SHA-256 of the snapshot in hexadecimal.
func (p *Pipeline) Hash() string { return p.hash }

// build compiles as much as can be compiled. sources are nil where any name may be one.
func build(d Definition, targets []Target, sources []string, implicit bool) (*Pipeline, []Problem) {
	p := &Pipeline{targets: map[string]*target{}, redactions: map[string]*redaction{}}
	snapshot, err := json.Marshal(d)
	if err != nil {
		return p, []Problem{{Offset: -1, Text: err.Error()}}
	}
	p.snapshot, p.hash = snapshot, hash(snapshot)
	problems := p.buildStyle(d)
	for _, name := range sortedKeys(d.Redact) {
		r, wrong := newRedaction(d.Redact[name])
		p.redactions[name] = r
		r.problems = below(Path{"redact", name}, wrong)
		if d.Redact[name].At == AtIntake && len(wrong) == 0 {
			p.intake = append(p.intake, r)
		}
		problems = append(problems, r.problems...)
	}
	c := compiler{scope: rule.Scope{Lookups: d.Lookups, Sources: sources, Brands: d.Brands}}
	for _, t := range targets {
		compiled := &target{Target: t}
		compiled.defaults = c.defaults(t, d.Defaults[t.Name])
		p.targets[t.Name] = compiled
		problems = append(problems, compiled.defaults.problems...)
	}
	for i, r := range d.Routes {
		compiled := p.buildRoute(c, i, r, implicit)
		p.routes = append(p.routes, compiled)
		problems = append(problems, compiled.problems...)
		for _, to := range compiled.to {
			problems = append(problems, to.fields.problems...)
		}
	}
	return p, problems
}

func (p *Pipeline) buildStyle(d Definition) []Problem {
	var problems []Problem
	zone, err := time.LoadLocation(d.TimeZone)
	if err != nil || d.TimeZone == "Local" { // the same transcript wherever it is rendered
		problems = append(problems, Problem{
			Path: Path{"transcript", "time_zone"}, Offset: -1,
			Text: "unknown time zone " + quoted(d.TimeZone), Hint: "use a name of the IANA database, such as Europe/Prague",
		})
	}
	if d.Language != "" && !slices.Contains(chat.Languages(), d.Language) {
		text, hint := unknown("language", d.Language, chat.Languages())
		problems = append(problems, Problem{Path: Path{"transcript", "language"}, Offset: -1, Text: text, Hint: hint})
	}
	p.style = chat.Style{Zone: zone, Language: d.Language}
	return problems
}

func (p *Pipeline) buildRoute(c compiler, i int, r Route, implicit bool) *route {
	compiled := &route{Route: r}
	if r.When != "" {
		when, wrong := rule.CompileCondition(r.When, c.scope)
		compiled.when = when
		compiled.problems = ruleProblems(Path{"routes", i, "when"}, wrong)
	}
	for _, to := range r.To {
		path := Path{"routes", i, "to", to.Target}
		if implicit {
			path = Path{"targets", to.Target}
		}
		rt := &routeTarget{target: to.Target, redact: to.Redact}
		fields := anyFields(to.Fields)
		if t, ok := p.targets[to.Target]; ok {
			fields = t.Fields
		}
		rt.fields = c.mapping(to.Fields, fields, path)
		for j, name := range to.Redact {
			if _, ok := p.redactions[name]; !ok {
				text, hint := unknown("redaction", name, sortedKeys(p.redactions))
				rt.fields.problems = append(rt.fields.problems, Problem{Path: path.at("redact", j), Offset: -1, Text: text, Hint: hint})
			}
		}
		compiled.to = append(compiled.to, rt)
	}
	return compiled
}

// compiler compiles trees in one scope.
type compiler struct{ scope rule.Scope }

func (c compiler) defaults(t Target, tree Tree) mapping {
	path := Path{"targets", t.Name}
	switch tree := tree.(type) {
	case nil:
		return mapping{}
	case Mapping:
		m := c.mapping(tree, t.Fields, path)
		for i := range m.problems { // its text stands in the connector, not in the file
			key := m.problems[i].Path[len(path):]
			m.problems[i].Text = fmt.Sprintf("default mapping, %s: %s", key.dotted(), m.problems[i].Text)
			m.problems[i].Path, m.problems[i].Offset = path, -1
		}
		return m
	}
	return mapping{problems: []Problem{{Path: path, Offset: -1, Text: "the default mapping has no keys", Hint: "use another type; this one cannot work"}}}
}

func (c compiler) mapping(m Mapping, fields []connectors.Field, path Path) mapping {
	var compiled mapping
	for _, e := range m {
		field, ok := fieldNamed(fields, e.Key)
		if !ok {
			text, hint := unknown("field", e.Key, namesOf(fields))
			compiled.problems = append(compiled.problems, Problem{Path: path.at(e.Key), Offset: -1, Text: text, Hint: hint})
			_, problems := c.node(e.Value, connectors.Field{Type: connectors.Any}, path.at(e.Key)) // what is wrong for any field
			compiled.problems = append(compiled.problems, problems...)
			continue
		}
		n, problems := c.node(e.Value, field, path.at(e.Key))
		compiled.problems = append(compiled.problems, problems...)
		if field.Unused != "" && e.Value != nil {
			compiled.unused = append(compiled.unused, connectors.NotSent{Field: e.Key, Why: field.Unused})
			continue
		}
		compiled.entries = append(compiled.entries, entry{e.Key, n})
	}
	return compiled
}

// checkDefinition reports values that no snapshot can hold.
func checkDefinition(d Definition) []Problem {
	var problems []Problem
	for i, r := range d.Routes {
		for _, to := range r.To {
			problems = append(problems, checkTree(to.Fields, Path{"routes", i, "to", to.Target})...)
		}
	}
	for _, name := range sortedKeys(d.Defaults) {
		problems = append(problems, checkTree(d.Defaults[name], Path{"targets", name})...)
	}
	for _, table := range sortedKeys(d.Lookups) {
		for _, key := range sortedKeys(d.Lookups[table]) {
			problems = append(problems, checkTree(d.Lookups[table][key], Path{"lookups", table, key})...)
		}
	}
	return problems
}

func checkTree(t Tree, path Path) []Problem {
	var problems []Problem
	switch t := t.(type) {
	case nil, bool, string, int, int64, json.Number:
	case float64:
		if math.IsNaN(t) || math.IsInf(t, 0) {
			return []Problem{{Path: path, Offset: -1, Text: "not a number that can be sent", Hint: "put quotes around it if it is text"}}
		}
	case []any:
		for i, item := range t {
			problems = append(problems, checkTree(item, path.at(i))...)
		}
	case Mapping:
		for _, e := range t {
			problems = append(problems, checkTree(e.Value, path.at(e.Key))...)
		}
	case map[string]any:
		for _, key := range sortedKeys(t) {
			problems = append(problems, checkTree(t[key], path.at(key))...)
		}
	default:
		return []Problem{{Path: path, Offset: -1, Text: fmt.Sprintf("a %T cannot be mapped", t), Hint: "write a text, a number, a boolean, a list or keys and values"}}
	}
	return problems
}
