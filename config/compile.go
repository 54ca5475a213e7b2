// This file puts the definition together, compiles it, and finds the places of what package pipeline complains of.

package config

import (
	"errors"
	"io/fs"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/pipeline"
)

// cause is an error without the path that it repeats.
func cause(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
}

// sourceNames and targetNames return all names, those of entries with mistakes among them.
func (l *loader) sourceNames() []string {
	var names []string
	for _, s := range l.config.Sources {
		names = append(names, s.Name)
	}
	return names
}

func (l *loader) targetNames() []string {
	var names []string
	for _, t := range l.config.Targets {
		names = append(names, t.Name)
	}
	return names
}

// brands returns the brands of all sources, "" among them for comparisons with that; nil if one of them has none, or none
// that can be read.
func (l *loader) brands() []string {
	brands := []string{""}
	for _, s := range l.config.Sources {
		if s.Brand == "" {
			return nil
		}
		if !slices.Contains(brands, s.Brand) {
			brands = append(brands, s.Brand)
		}
	}
	return brands
}

// compile checks routes, expressions and mappings.
func (l *loader) compile() {
	d := &l.config.Definition
	d.TimeZone, d.Language = l.config.Transcript.TimeZone, l.config.Transcript.Language
	d.Defaults = map[string]pipeline.Tree{}
	var targets []pipeline.Target
	for _, t := range l.config.Targets {
		made := pipeline.Target{Name: t.Name, IgnoreUpdates: t.OnUpdate == "ignore"}
		d.Defaults[t.Name] = pipeline.Mapping{}
		switch {
		case t.Settings == nil:
			made.Fields = anyFields(d.Routes, t.Name)
		case l.broken[t.Name]:
			made.Fields = sureFields(t.Type.Fields(t.Settings), t.Type.Fields(t.Type.Settings()))
		default:
			made.Fields = t.Type.Fields(t.Settings)
			made.Vet = func(fields map[string]any) []connectors.FieldError { return t.Type.Vet(t.Settings, fields) }
			mapping, err := defaultMapping(t.Type, made.Fields)
			if err != nil {
				e, _ := l.root.value("targets").get(t.Name)
				l.add(e.key.at, "use another type; this one cannot work", "%s", err)
			}
			d.Defaults[t.Name] = mapping
		}
		targets = append(targets, made)
	}
	if len(d.Routes)+len(targets) == 0 {
		return // it was reported that there are no targets
	}
	known := *d
	known.Brands = l.brands()
	compiled, problems := pipeline.Compile(known, targets, l.sourceNames())
	for _, p := range problems {
		at, broken := l.locate(p)
		if !broken && !l.follows(p.Path) {
			l.add(at, p.Hint, "%s", p.Text)
		}
	}
	l.config.Pipeline = compiled
}

// anyFields stands for the fields of a target whose type is not known: those that the routes name, each of which may be
// anything. Names and functions in them can be wrong all the same.
func anyFields(routes []pipeline.Route, target string) []connectors.Field {
	var fields []connectors.Field
	for _, r := range routes {
		for _, to := range r.To {
			for _, e := range to.Fields {
				if to.Target == target && fieldNamed(fields, e.Key) == nil {
					fields = append(fields, connectors.Field{Name: e.Key, Type: connectors.Any})
				}
			}
		}
	}
	return fields
}

// sureFields stands for the fields of a target whose settings have mistakes: those that its type has with the settings
// as far as they could be read or with the default ones. None is required, and one that is not the same with both may
// be anything.
func sureFields(read, defaults []connectors.Field) []connectors.Field {
	fields := optional(read)
	for _, f := range optional(defaults) {
		same := fieldNamed(fields, f.Name)
		switch {
		case same == nil:
			fields = append(fields, f)
		case !reflect.DeepEqual(*same, f):
			*same = connectors.Field{Name: f.Name, Type: connectors.Any}
		}
	}
	return fields
}

// optional returns a copy of fields, and of those within them, of which none is required.
func optional(fields []connectors.Field) []connectors.Field {
	out := slices.Clone(fields)
	for i := range out {
		f := &out[i]
		f.Required, f.Unused = false, ""
		f.Fields = optional(f.Fields)
		if f.Items != nil {
			f.Items = &optional([]connectors.Field{*f.Items})[0]
		}
	}
	return out
}

// follows tells whether a problem only follows from one that was reported: about a route whose targets could not be
// read.
func (l *loader) follows(path pipeline.Path) bool {
	if len(path) < 2 || path[0] != "routes" {
		return false
	}
	i, ok := path[1].(int)
	if !ok || i >= len(l.config.Definition.Routes) {
		return false
	}
	r := l.config.Definition.Routes[i]
	return len(r.To) == 0 && !r.Final && (len(path) == 2 || path[2] == "to")
}

// locate finds the place of a problem: inside the text if it has an offset; the key if the problem names it or the
// value is a mapping; else the value. broken tells that something in that value was not readable, so that the problem
// only follows from it.
func (l *loader) locate(p pipeline.Problem) (at span, broken bool) {
	path := p.Path
	if len(path) > 1 && path[0] == "defaults" {
		path = pipeline.Path{"targets", path[1]}
	}
	if len(path) > 1 && path[0] == "routes" && path[1] == l.alertsAt {
		path = append(pipeline.Path{"alerts"}, path[2:]...)
	}
	n, key, whole := l.root, (*node)(nil), true
	last := ""
	for _, step := range path {
		k, next := n.step(step)
		if next == nil {
			whole = false
			break
		}
		n, key = next, k
		last, _ = step.(string)
	}
	names := key != nil && last != "" && strings.Contains(p.Text, strconv.Quote(last))
	switch {
	case whole && p.Offset >= 0 && n.kind == scalarKind:
		return l.file.inside(n, p.Offset, wordLength(n.text, p.Offset)), n.broken
	case key != nil && (names || !whole || n.kind == mappingKind || n.isNull()):
		return key.at, n.broken
	}
	return n.at, n.broken
}

// step goes one step of a path: into a mapping, into a list, or to a name in the short forms "to: help" and
// "to: [help, log]".
func (n *node) step(step any) (key, value *node) {
	switch step := step.(type) {
	case int:
		if n.kind == scalarKind && step == 0 {
			return nil, n
		}
		if n.kind == listKind && step >= 0 && step < len(n.items) {
			return nil, n.items[step]
		}
	case string:
		if e, ok := n.get(step); ok {
			return e.key, e.value
		}
		for _, item := range append([]*node{n}, n.items...) {
			if item.kind == scalarKind && item.text == step {
				return nil, item
			}
		}
	}
	return nil, nil
}

// otherLanguage is a value as other languages write it, such as {{ visitor.name }}.
var otherLanguage = regexp.MustCompile(`^(?:[%#]?\{+[^{}]*\}+|\$[\w.]*\w)`)

// wordLength returns how long the word, the text in quotes or the value of another language at an offset is, at least 1.
func wordLength(text string, offset int) int {
	if offset >= len(text) {
		return 1
	}
	rest := text[offset:]
	if rest[0] == '"' || rest[0] == '\'' {
		if end := strings.IndexByte(rest[1:], rest[0]); end >= 0 {
			return end + 2
		}
		return 1
	}
	if found := otherLanguage.FindString(rest); found != "" {
		return len(found)
	}
	n := strings.IndexFunc(rest, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	if n < 0 {
		n = len(rest)
	}
	return max(n, 1)
}
