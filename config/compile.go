// This file puts the definition together, compiles it, and finds the places of what package pipeline complains of.

package config

import (
	"errors"
	"io/fs"
	"strconv"
	"strings"

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

// compile checks routes, expressions and mappings.
func (l *loader) compile() {
	d := &l.config.Definition
	d.TimeZone, d.Language = l.config.Transcript.TimeZone, l.config.Transcript.Language
	d.Defaults = map[string]pipeline.Tree{}
	var targets []pipeline.Target
	for _, t := range l.config.Targets {
		made := pipeline.Target{Name: t.Name, IgnoreUpdates: t.OnUpdate == "ignore"}
		d.Defaults[t.Name] = pipeline.Mapping{}
		if t.Settings != nil {
			made.Fields = t.Type.Fields(t.Settings)
			mapping, err := defaultMapping(t.Type, made.Fields)
			if err != nil {
				e, _ := l.root.value("targets").get(t.Name)
				l.add(e.key.at, "", "%s", err)
			}
			d.Defaults[t.Name] = mapping
		}
		targets = append(targets, made)
	}
	if len(d.Routes)+len(targets) == 0 {
		return // it was reported that there are no targets
	}
	compiled, problems := pipeline.Compile(*d, targets, l.sourceNames())
	for _, p := range problems {
		at, broken := l.locate(p)
		if !broken && !l.follows(p.Path) {
			l.add(at, p.Hint, "%s", p.Text)
		}
	}
	l.config.Pipeline = compiled
}

// follows tells whether a problem only follows from one that was reported: about the fields of a target with mistakes
// of its own, or a route whose targets could not be read.
func (l *loader) follows(path pipeline.Path) bool {
	name := func(i int) string {
		if i >= len(path) {
			return ""
		}
		s, _ := path[i].(string)
		return s
	}
	switch name(0) {
	case "defaults":
		return l.broken[name(1)]
	case "routes":
		if name(2) == "to" && l.broken[name(3)] {
			return true
		}
		i, ok := -1, false
		if len(path) > 1 {
			i, ok = path[1].(int)
		}
		noTargets := ok && i < len(l.config.Definition.Routes) && len(l.config.Definition.Routes[i].To) == 0
		return noTargets && !l.config.Definition.Routes[i].Final && (len(path) == 2 || name(2) == "to")
	case "time_zone", "language":
		return true
	}
	return false
}

// locate finds the place of a problem: inside the text if it has an offset; the key if the problem names it or the
// value is a mapping; else the value. broken tells that something in that value was not readable, so that the problem
// only follows from it.
func (l *loader) locate(p pipeline.Problem) (at span, broken bool) {
	path := p.Path
	if len(path) > 1 && path[0] == "defaults" {
		path = pipeline.Path{"targets", path[1]}
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

// wordLength returns how long the word or the text in quotes at an offset is, at least 1.
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
	n := strings.IndexFunc(rest, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	if n < 0 {
		n = len(rest)
	}
	return max(n, 1)
}
