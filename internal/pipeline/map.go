// This file renders a conversation for one target.

package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/chat"
)

// The causes of a MappingError that are not those of an expression.
var (
	ErrAbsent        = errors.New("required, but absent")
	ErrNoMatch       = errors.New("the route, which could not be decided before, does not match it today; nothing is to be sent")
	ErrUnknownTarget = errors.New("no such target")
	ErrUnknownRoute  = errors.New("no route of that name sends to the target")
)

// MappingError is a field that could not be rendered.
type MappingError struct {
	Route  string // that set the field; "": the default mapping
	Target string
	Field  string // custom_fields.22001; "": all of it
	Err    error
}

func (e *MappingError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "mapping for %s", e.Target)
	if e.Route != "" {
		fmt.Fprintf(&b, " (route %q)", e.Route)
	}
	if e.Field != "" {
		fmt.Fprintf(&b, ": field %s", e.Field)
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	return b.String()
}

// Unwrap returns the cause.
func (e *MappingError) Unwrap() error { return e.Err }

// Rendered is a conversation as one target gets it.
type Rendered struct {
	Fields map[string]any // by the names of connectors.Field, of the Go types that it declares
	// Cut says which fields were longer than the target takes: "subject: 312 characters, cut to 150".
	Cut []string
	// Dropped says which fields had a value that the target would not take: "priority: not one of low, high". It
	// quotes no value.
	Dropped []string
}

// absent says why a field is absent, as far as that is known.
func (r *Rendered) absent(field string) error {
	for _, dropped := range r.Dropped {
		if why, ok := strings.CutPrefix(dropped, field+": "); ok {
			return fmt.Errorf("%w: %s", ErrAbsent, why)
		}
	}
	return ErrAbsent
}

// Map renders c for a target as these routes say: the default mapping, then the keys of each route in the order of the
// configuration. A key replaces the whole value, a null removes it. Without routes it is the default mapping alone.
// An error is a *MappingError. c stays as it is.
func (p *Pipeline) Map(c *chat.Conversation, target string, routes []string) (Rendered, error) {
	t, ok := p.targets[target]
	if !ok {
		return Rendered{}, &MappingError{Target: target, Err: ErrUnknownTarget}
	}
	routes, err := p.settle(c, target, routes)
	if err != nil {
		return Rendered{}, err
	}
	plan, err := p.plan(t, routes)
	if err != nil {
		return Rendered{}, err
	}
	out := Rendered{Fields: make(map[string]any, len(plan.entries))}
	seen := p.view(c, plan)
	r := renderer{chat: seen, composed: compose(seen, slices.Concat(plan.redactions, p.intake)), out: &out}
	for _, e := range plan.entries {
		value, ok, err := r.node(e.node, e.name)
		if err != nil {
			if field, ok := errors.AsType[*MappingError](err); ok {
				field.Target, field.Route = target, e.route
			}
			return Rendered{}, err
		}
		if ok {
			out.Fields[e.name] = value
		}
	}
	for _, f := range t.Fields {
		if v, ok := out.Fields[f.Name]; f.Required && (!ok || v == "") {
			return Rendered{}, &MappingError{Target: target, Route: plan.routeOf(f.Name), Field: f.Name, Err: out.absent(f.Name)}
		}
	}
	return out, nil
}

// plan is what several routes together say of a target.
type plan struct {
	entries    []planned
	redactions []*redaction
}

// planned is the value that counts for a field, and the route that it is from.
type planned struct {
	name  string
	route string
	node  *node
}

func (p *Pipeline) plan(t *target, routes []string) (plan, error) {
	if len(t.defaults.problems) > 0 {
		return plan{}, &MappingError{Target: t.Name, Err: t.defaults.problems[0]}
	}
	for _, name := range routes {
		if p.part(t.Name, name) == nil {
			return plan{}, &MappingError{Target: t.Name, Route: name, Err: ErrUnknownRoute}
		}
	}
	var result plan
	result.merge("", t.defaults.entries)
	var redact []string
	for _, r := range p.routes {
		if !slices.Contains(routes, r.Name) {
			continue
		}
		part := p.part(t.Name, r.Name)
		if len(part.fields.problems) > 0 {
			return plan{}, &MappingError{Target: t.Name, Route: r.Name, Err: part.fields.problems[0]}
		}
		result.merge(r.Name, part.fields.entries)
		for _, name := range part.redact {
			if slices.Contains(redact, name) {
				continue
			}
			redact = append(redact, name)
			compiled := p.redactions[name]
			if len(compiled.problems) > 0 {
				return plan{}, &MappingError{Target: t.Name, Route: r.Name, Err: compiled.problems[0]}
			}
			result.redactions = append(result.redactions, compiled)
		}
	}
	return result, nil
}

func (p *plan) merge(route string, entries []entry) {
	for i := range entries {
		e := planned{name: entries[i].name, route: route, node: &entries[i].node}
		if at := slices.IndexFunc(p.entries, func(old planned) bool { return old.name == e.name }); at >= 0 {
			p.entries[at] = e
			continue
		}
		p.entries = append(p.entries, e)
	}
}

func (p *plan) routeOf(field string) string {
	for _, e := range p.entries {
		if e.name == field {
			return e.route
		}
	}
	return ""
}

// view is the conversation that expressions see: a copy without what is redacted, with its transcript if one of them
// may read it.
func (p *Pipeline) view(c *chat.Conversation, of plan) *chat.Conversation {
	seen := *c
	if len(of.redactions) > 0 {
		seen = *redact(c, of.redactions)
	}
	seen.Transcript = nil
	if slices.ContainsFunc(of.entries, func(e planned) bool { return e.node.transcript }) {
		transcript := seen.Render(p.style)
		seen.Transcript = &transcript
	}
	return &seen
}

// renderer renders nodes for one conversation.
type renderer struct {
	chat     *chat.Conversation
	composed *chat.Conversation // for texts that are put together
	out      *Rendered
}

// node returns a node's value, not ok if it is absent.
func (r *renderer) node(n *node, path string) (value any, ok bool, err error) {
	switch n.kind {
	case literal:
		return n.value, true, nil
	case template:
		return r.template(n, path)
	case list:
		return r.list(n, path)
	case object:
		return r.object(n, path)
	case null:
	}
	return nil, false, nil
}

func (r *renderer) template(n *node, path string) (any, bool, error) {
	render := n.template.Render
	if n.field.Type == connectors.HTML {
		render = n.template.RenderHTML
	}
	seen := r.chat
	if n.template.Composes() {
		seen = r.composed
	}
	value, err := render(seen)
	if err != nil {
		return nil, false, &MappingError{Field: path, Err: err}
	}
	if value.Cut != "" {
		r.out.Cut = append(r.out.Cut, path+": "+value.Cut)
	}
	if value.Absent {
		return nil, false, nil
	}
	fitting, ok := r.fit(value.V, n.field, path)
	return fitting, ok, nil
}

func (r *renderer) list(n *node, path string) (any, bool, error) {
	items := make([]any, 0, len(n.items))
	for i := range n.items {
		value, ok, err := r.node(&n.items[i], fmt.Sprintf("%s[%d]", path, i))
		if err != nil {
			return nil, false, err
		}
		switch {
		case ok && value != "":
			items = append(items, value)
		case n.field.NoGaps: // an earlier configuration, from before this was checked
			return nil, false, &MappingError{Field: fmt.Sprintf("%s[%d]", path, i), Err: ErrAbsent}
		}
	}
	return r.cutList(items, n.field, path), true, nil
}

func (r *renderer) object(n *node, path string) (any, bool, error) {
	values := make(map[string]any, len(n.entries))
	for i := range n.entries {
		e := &n.entries[i]
		value, ok, err := r.node(&e.node, path+"."+e.name)
		if err != nil {
			return nil, false, err
		}
		if ok {
			values[e.name] = value
		}
	}
	if name := missing(values, n.field); name != "" {
		return nil, false, &MappingError{Field: path + "." + name, Err: ErrAbsent}
	}
	return values, true, nil
}
