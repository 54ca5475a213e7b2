// This file reads tests: samples of hooks and what is expected of them.

package config

import (
	"reflect"
	"slices"
	"strings"

	"github.com/afterchat/afterchat/connectors"
)

// testKeys are the keys of a test beside expect.
type testKeys struct {
	Name   string `yaml:"name" required:"true" doc:"what the test shows" example:"missed chat becomes an urgent ticket"`
	Source string `yaml:"source" required:"true" doc:"name of the source that the sample came to" example:"shop"`
	Sample string `yaml:"sample" required:"true" doc:"path of a stored hook body, relative to this file" example:"testdata/missed.json"`
}

// tests reads all tests.
func (l *loader) tests(n *node, _ span) {
	if n.isNull() {
		return
	}
	if n.kind != listKind {
		l.add(n.at, "begin each test with a hyphen: - name: …", "tests must be a list, but this is %s", n.kind)
		return
	}
	l.asWritten(func() {
		for _, item := range n.items {
			l.config.Tests = append(l.config.Tests, l.test(item))
		}
	})
}

// test reads one test.
func (l *loader) test(n *node) Test {
	var keys testKeys
	l.structs(n, n.at, "test", []string{"expect"}, reflect.ValueOf(&keys).Elem())
	t := Test{Name: keys.Name, Source: keys.Source, Sample: keys.Sample}
	if at := n.value("source"); l.readable(at) && t.Source != "" {
		if names := l.sourceNames(); !slices.Contains(names, t.Source) {
			l.unknown(at, "source", names)
		}
	}
	if at := n.value("sample"); l.readable(at) && t.Sample != "" {
		if _, err := l.env.ReadFile(l.config.Resolve(t.Sample)); err != nil {
			l.add(at.at, fileHint, "sample cannot be read: %s", cause(err))
		}
	}
	if expect, ok := n.get("expect"); ok && !expect.value.isNull() {
		t.Expect = l.expect(expect.value)
	}
	return t
}

// expect reads routes and any number of target.field: value.
func (l *loader) expect(n *node) Expect {
	var out Expect
	if n.kind != mappingKind {
		l.add(n.at, "write routes: [name] or target.field: value", "expect must be a mapping, but this is %s", n.kind)
		return out
	}
	for _, e := range n.entries {
		if e.key.text == "routes" {
			out.Routes = []string{}
			if e.value.kind != listKind || len(e.value.items) > 0 {
				l.value(e.value, e.key.at, field{key: "routes"}, reflect.ValueOf(&out.Routes).Elem())
			}
			l.expectRoutes(e.value)
			continue
		}
		if out.Fields == nil {
			out.Fields = map[string]any{}
		}
		out.Fields[e.key.text] = l.expectField(e)
	}
	return out
}

// expectRoutes checks the names of routes.
func (l *loader) expectRoutes(n *node) {
	names := []string{"everything"}
	if len(l.config.Definition.Routes) > 0 {
		names = nil
		for _, r := range l.config.Definition.Routes {
			names = append(names, r.Name)
		}
	}
	for _, item := range append([]*node{n}, n.items...) {
		if l.readable(item) && !slices.Contains(names, item.text) {
			l.unknown(item, "route", names)
		}
	}
}

// expectField reads one target.field: value.
func (l *loader) expectField(e entry) any {
	target, path, _ := strings.Cut(e.key.text, ".")
	if path == "" {
		l.add(e.key.at, "write target.field: value", "%q names no field of a target", e.key.text)
		return nil
	}
	if names := l.targetNames(); !slices.Contains(names, target) {
		text, hint := unknown("target", target, names)
		l.add(e.key.at, hint, "%s", text)
		return nil
	}
	if l.broken[target] {
		return nil // what it declares is not known
	}
	want, ok := l.expectPath(e.key, target, path)
	if !ok {
		return nil
	}
	value := plainTree(l.tree(e.value, want))
	if text, isText := value.(string); isText && want != nil && len(want.Values) > 0 && !slices.Contains(want.Values, text) {
		l.unknown(e.value, "value", want.Values)
	}
	return value
}

// expectPath finds what a target's connector declares at field.sub.sub, nil where it may be anything. It is false, and
// reported, for a path that no mapping can fill: such a test could never hold.
func (l *loader) expectPath(at *node, target, path string) (*connectors.Field, bool) {
	first, rest, _ := strings.Cut(path, ".")
	fields, known := l.fields(target)
	if !known {
		return nil, false // it was reported
	}
	want := fieldNamed(fields, first)
	if want == nil {
		text, hint := unknown("field", first, fieldNames(fields))
		l.add(at.at, hint, "%s", text)
		return nil, false
	}
	for rest != "" && want != nil {
		first, rest, _ = strings.Cut(rest, ".")
		switch inner := keyOf(want, first); {
		case want.Type == connectors.List:
			want = itemOf(want)
		case inner == nil && want.Type == connectors.Map && len(want.Fields) > 0 && want.Items == nil:
			text, hint := unknown("key", first, fieldNames(want.Fields))
			l.add(at.at, hint, "%s", text)
			return nil, false
		default:
			want = inner
		}
	}
	return want, true
}

func fieldNames(fields []connectors.Field) []string {
	var names []string
	for _, f := range fields {
		names = append(names, f.Name)
	}
	return names
}
