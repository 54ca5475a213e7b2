// This file turns YAML nodes into the tree that the rest of the package reads: aliases and merge keys resolved, tags,
// keys and repetitions checked, every part with its place in the file.

package config

import (
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Bounds of a file. Aliases count as often as they are used.
const (
	maxBytes = 4 << 20
	maxText  = 4 * maxBytes
	maxNodes = 200_000
	maxDepth = 64
)

type kind int

const (
	scalarKind kind = iota
	listKind
	mappingKind
)

func (k kind) String() string {
	return [...]string{"a single value", "a list", "a mapping"}[k]
}

// node is one value of the file.
type node struct {
	kind    kind
	yaml    *yaml.Node
	at      span
	text    string // of a scalar: its value, after substitution
	from    string // of a scalar that substitution changed: what stands in the file
	items   []*node
	entries []entry
	broken  bool // something in it could not be read and was reported
}

// entry is one key of a mapping.
type entry struct{ key, value *node }

// isNull tells whether a value is missing or null.
func (n *node) isNull() bool { return n.kind == scalarKind && n.yaml.Tag == "!!null" && n.from == "" }

// shown is a scalar as a message may show it: as it stands in the file, never what a variable holds.
func (n *node) shown() string {
	s := n.text
	if n.from != "" {
		s = n.from
	}
	if len(s) > 60 {
		s = strings.ToValidUTF8(s[:57], "") + "..."
	}
	return s
}

// end returns where the last part of a value ends.
func (n *node) end() int {
	end := n.at.to
	for _, item := range n.items {
		end = max(end, item.end())
	}
	for _, e := range n.entries {
		end = max(end, e.value.end())
	}
	return end
}

// get returns the entry of a key.
func (n *node) get(key string) (entry, bool) {
	if n != nil && n.kind == mappingKind {
		for _, e := range n.entries {
			if e.key.text == key {
				return e, true
			}
		}
	}
	return entry{}, false
}

// value returns the value of a key, nil if there is none.
func (n *node) value(key string) *node {
	e, _ := n.get(key)
	return e.value
}

// builder builds the tree.
type builder struct {
	*report
	count int                 // of nodes
	bytes int                 // of scalars
	open  map[*yaml.Node]bool // anchors that are being followed
	over  bool                // a bound was passed and reported
}

// build returns the tree of a document's root, nil after a problem that leaves nothing to look at.
func (b *builder) build(y *yaml.Node, depth int) *node {
	if y.Kind == yaml.AliasNode {
		return b.alias(y, depth)
	}
	start, tag := b.file.offset(y.Line, y.Column), span{}
	if !startsWithKey(y) {
		start, tag = b.file.properties(y)
	}
	n := &node{yaml: y, at: span{start, start + 1}}
	b.count++
	b.bytes += len(y.Value)
	if b.count > maxNodes || b.bytes > maxText || depth > maxDepth {
		b.bound(n.at, depth)
		return nil
	}
	b.tag(tag)
	switch y.Kind {
	case yaml.MappingNode:
		n.kind = mappingKind
		b.mapping(n, depth)
	case yaml.SequenceNode:
		n.kind = listKind
		for _, item := range y.Content {
			child := b.build(item, depth+1)
			if child == nil {
				n.broken = true
				continue
			}
			n.items = append(n.items, child)
		}
	default:
		n.text = y.Value
		n.at.to = b.file.scalarEnd(start, y)
	}
	return n
}

// startsWithKey tells whether the place of a mapping is that of its first key, whose anchor or tag is not the
// mapping's.
func startsWithKey(y *yaml.Node) bool {
	return y.Kind == yaml.MappingNode && len(y.Content) > 0 &&
		y.Content[0].Line == y.Line && y.Content[0].Column == y.Column
}

func (b *builder) bound(at span, depth int) {
	if b.over {
		return
	}
	b.over = true
	if depth > maxDepth {
		b.add(at, "write it with fewer brackets and levels", "nested more than %d deep", maxDepth)
		return
	}
	b.add(at, "use fewer aliases (*name) of large parts", "more than %d values or %d MiB of text, aliases counted as often as they are used", maxNodes, maxText>>20)
}

func (b *builder) alias(y *yaml.Node, depth int) *node {
	at := b.file.offset(y.Line, y.Column)
	here := span{at, at + 1 + len(y.Value)}
	if b.open[y.Alias] {
		b.add(here, "remove the alias, or move the anchor away from what is around it", "anchor %q contains itself", y.Value)
		return nil
	}
	b.open[y.Alias] = true
	defer delete(b.open, y.Alias)
	return b.build(y.Alias, depth)
}

// tag refuses tags: in this format they are always expressions that start with "!" by mistake.
func (b *builder) tag(at span) {
	if at == (span{}) {
		return
	}
	text := b.file.text[at.from:at.to]
	if strings.ContainsAny(text, `'"`) || b.file.sounds(at) {
		text = "!" // what is behind it may be a secret that begins so
	}
	switch text {
	case "!!str", "!!int", "!!float", "!!bool", "!!null", "!!map", "!!seq":
		return
	}
	hint := "write `not` where a condition is meant, else put quotes around the value"
	if rest := strings.TrimPrefix(text, "!"); rest != "" && !strings.HasPrefix(rest, "!") {
		hint = fmt.Sprintf("write `not %s` or put quotes around it", rest)
	}
	b.add(at, hint, "%q is a YAML tag, not an expression", text)
}

// sounds tells whether a span lies in what sounds like a secret.
func (f *file) sounds(at span) bool {
	return slices.ContainsFunc(lexical(f, f.bounds(at.from)), func(s span) bool { return s.from < at.to && at.from < s.to })
}

// mapping fills in the entries: a key once, merge keys (<<) where they stand, explicit keys over merged ones.
func (b *builder) mapping(n *node, depth int) {
	own := map[string]*node{}
	for i := 0; i+1 < len(n.yaml.Content); i += 2 {
		if k := n.yaml.Content[i]; k.Kind == yaml.ScalarNode && k.Tag != "!!merge" {
			own[k.Value] = nil
		}
	}
	for i := 0; i+1 < len(n.yaml.Content); i += 2 {
		key, value := n.yaml.Content[i], n.yaml.Content[i+1]
		if key.Tag == "!!merge" {
			b.merge(n, value, own, depth)
			continue
		}
		k := b.build(key, depth+1)
		if k == nil {
			n.broken = true
			continue
		}
		if k.kind != scalarKind {
			n.broken = true
			b.add(k.at, braceHint(key), "a key must be text, but this is %s", k.kind)
			continue
		}
		v := b.build(value, depth+1)
		if v == nil {
			n.broken = true
			continue
		}
		if first := own[k.text]; first != nil {
			line, _, _ := b.file.position(first.at)
			b.add(k.at, fmt.Sprintf("remove one of the two; the first is in line %d", line), "key %q stands here twice", k.text)
			continue
		}
		own[k.text] = k
		n.entries = append(n.entries, entry{k, v})
	}
}

func braceHint(key *yaml.Node) string {
	if key.Kind == yaml.MappingNode {
		return "{{ }} is not used here; write ${ } around an expression, or quotes around the text"
	}
	return "put quotes around it if it is text"
}

// merge adds the entries of a merged mapping, or of a list of them, that the mapping does not have itself.
func (b *builder) merge(n *node, y *yaml.Node, own map[string]*node, depth int) {
	m := b.build(y, depth+1)
	if m == nil {
		return
	}
	from := []*node{m}
	if m.kind == listKind {
		from = m.items
	}
	for _, f := range from {
		if f.kind != mappingKind {
			b.add(f.at, "write <<: *name, where &name stands at a mapping", "<< merges mappings, but this is %s", f.kind)
			continue
		}
		for _, e := range f.entries {
			if _, has := own[e.key.text]; has {
				continue
			}
			own[e.key.text] = e.key
			n.entries = append(n.entries, e)
		}
	}
}

// scalarEnd returns where a scalar ends in the file, or a place shortly after its start if that cannot be told.
func (f *file) scalarEnd(start int, y *yaml.Node) int {
	if offsets := scalarOffsets(f.text, start, y); offsets != nil {
		end := offsets[len(offsets)-1]
		if y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
			end++
		}
		return max(min(end, len(f.text)), start)
	}
	return min(start+1, len(f.text))
}

// inside returns the span in the file of a piece of a scalar's value as it stands in the file.
func (f *file) inside(n *node, offset, length int) span {
	offsets := scalarOffsets(f.text, n.at.from, n.yaml)
	if offsets == nil || offset < 0 || offset >= len(offsets) {
		return n.at
	}
	from, to := offsets[offset], offsets[min(offset+max(length, 1), len(offsets)-1)]
	return span{from, max(to, from+1)}
}
