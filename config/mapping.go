// This file reads mappings: the values of a route's targets, typed as YAML types them, except that text fields keep
// what stands in the file.

package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"gopkg.in/yaml.v3"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/pipeline"
)

// tree reads a value. want is the field that it is for; nil: it may be anything.
func (r *report) tree(n *node, want *connectors.Field) pipeline.Tree {
	switch n.kind {
	case listKind:
		list := make([]any, 0, len(n.items))
		for _, item := range n.items {
			list = append(list, r.tree(item, itemOf(want)))
		}
		return list
	case mappingKind:
		return r.mapping(n, func(key string) *connectors.Field { return keyOf(want, key) })
	}
	if isTextField(want) && !n.isNull() {
		return n.text
	}
	return r.typed(n)
}

// mapping reads a mapping; field finds what a key is for.
func (r *report) mapping(n *node, field func(key string) *connectors.Field) pipeline.Mapping {
	out := make(pipeline.Mapping, 0, len(n.entries))
	for _, e := range n.entries {
		out = append(out, pipeline.Entry{Key: e.key.text, Value: r.tree(e.value, field(e.key.text))})
	}
	return out
}

func isTextField(f *connectors.Field) bool {
	return f == &unknownField || f != nil && (f.Type == connectors.Text || f.Type == connectors.HTML)
}

// unknownField is what a key of a target that is not known is for. Its values are kept as they stand.
var unknownField = connectors.Field{Name: "unknown", Type: connectors.Any}

// itemOf and keyOf go one level down in what a field declares.
func itemOf(f *connectors.Field) *connectors.Field {
	if f == &unknownField {
		return f
	}
	if f == nil || f.Type != connectors.List {
		return nil
	}
	return f.Items
}

func keyOf(f *connectors.Field, key string) *connectors.Field {
	if f == &unknownField {
		return f
	}
	if f == nil || f.Type != connectors.Map {
		return nil
	}
	if inner := fieldNamed(f.Fields, key); inner != nil {
		return inner
	}
	return f.Items
}

func fieldNamed(fields []connectors.Field, name string) *connectors.Field {
	for i := range fields {
		if fields[i].Name == name {
			return &fields[i]
		}
	}
	return nil
}

// typed reads a scalar as YAML types it: null, boolean, number or text. Numbers that YAML would change on the way are
// refused, for they are telephone numbers and the like.
func (r *report) typed(n *node) pipeline.Tree {
	if n.from != "" {
		return n.text
	}
	switch n.yaml.Tag {
	case "!!null":
		return nil
	case "!!bool":
		return n.text == "true" || n.text == "True" || n.text == "TRUE"
	case "!!int", "!!float":
		if !jsonNumber.MatchString(n.text) {
			r.add(n.at, "put quotes around it if it is text", "%s is a number to YAML, but not as it is written here", n.shown())
			return nil
		}
		return number(n.text)
	}
	return n.text
}

// number is a number without any loss: int64, float64, or as written.
func number(text string) any {
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return i
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && strconv.FormatFloat(f, 'f', -1, 64) == text {
		return f
	}
	return json.Number(text)
}

// plainTree is a tree without order: maps instead of pipeline.Mapping.
func plainTree(t pipeline.Tree) any {
	switch t := t.(type) {
	case pipeline.Mapping:
		out := make(map[string]any, len(t))
		for _, e := range t {
			out[e.Key] = plainTree(e.Value)
		}
		return out
	case []any:
		out := make([]any, len(t))
		for i := range t {
			out[i] = plainTree(t[i])
		}
		return out
	}
	return t
}

// defaultMapping reads a type's default mapping. An error is a mistake in the type.
func defaultMapping(t connectors.Type, fields []connectors.Field) (pipeline.Mapping, error) {
	return ownMapping("default mapping of type "+t.Name(), t.Mapping(), fields)
}

// ownMapping reads a mapping that a type brings along.
func ownMapping(what, text string, fields []connectors.Field) (pipeline.Mapping, error) {
	r := &report{file: newFile(what, []byte(text))}
	var document yaml.Node
	err := yaml.NewDecoder(bytes.NewReader([]byte(r.file.text))).Decode(&document)
	if errors.Is(err, io.EOF) {
		return pipeline.Mapping{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	b := &builder{report: r, open: map[*yaml.Node]bool{}}
	root := b.build(document.Content[0], 0)
	var out pipeline.Mapping
	if root != nil && root.kind == mappingKind {
		out = r.mapping(root, func(key string) *connectors.Field { return fieldNamed(fields, key) })
	} else if root != nil && !root.isNull() {
		r.add(root.at, "write field: value", "a mapping is needed, but this is %s", root.kind)
	}
	if len(r.found) > 0 {
		return nil, r.list(masks{})
	}
	return out, nil
}
