// This file checks expressions against the names and types of a conversation, and builds what runs them. A construct
// is checked and built in one place, so the two cannot disagree.

package rule

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// checker builds the code of one expression.
type checker struct {
	*report
	scope Scope
	loops []shape // items of the loops around the node
	lets  []let   // variables in sight
	slots int
	// longLoops tells for each of loops whether it may be as long as the conversation.
	longLoops []bool
	base      int // loops around the part that is computed once, see once

	composes bool // what was visited makes one text of several
}

type let struct {
	name  string
	slot  int
	shape shape
	loops int  // around it
	long  bool // it may be as long as the conversation
}

// compile checks one expression. The program is nil if there are problems.
func compile(src string, s Scope) (*program, ast.Node, []Problem) {
	c := &checker{report: &report{src: src}, scope: s}
	root := parse(c.report)
	if root == nil {
		return nil, nil, c.sorted()
	}
	if depth, at := loopDepth(root); depth > maxLoops {
		c.at(at.Location(), "write it with fewer any(…), filter(…) and their like inside each other", "loops nested %d deep, at most %d are allowed", depth, maxLoops)
		return nil, nil, c.sorted()
	}
	p := &program{code: c.visit(root)}
	p.slots, p.composes = c.slots, c.composes
	p.weight = 4*maxNodes - visits(root, 4*maxNodes) + len(src)/16
	if len(c.problems) > 0 {
		return nil, nil, c.sorted()
	}
	return p, root, nil
}

// wrong stands for a part that was reported; it causes no further problems.
func wrong() code { return code{shape: anyShape, do: func(*run) any { return nil }} }

func constant(v any, s shape) code {
	return code{shape: s, literal: v, do: func(*run) any { return v }}
}

// fail reports a problem at the start of n.
func (c *checker) fail(n ast.Node, hint, format string, args ...any) code {
	c.at(startOf(n), hint, format, args...)
	return wrong()
}

func (c *checker) visit(n ast.Node) code {
	if held, ok := c.once(n); ok {
		return held
	}
	c.product(n)
	switch n := n.(type) {
	case *ast.IdentifierNode:
		return c.identifier(n)
	case *ast.UnaryNode:
		return c.unary(n)
	case *ast.BinaryNode:
		return c.binary(n)
	case *ast.ChainNode:
		return c.visit(n.Node)
	case *ast.MemberNode:
		return c.member(n)
	case *ast.SliceNode:
		return c.slice(n)
	case *ast.CallNode:
		return c.call(n)
	case *ast.BuiltinNode:
		return c.loop(n)
	case *ast.PointerNode:
		return c.pointer(n)
	case *ast.VariableDeclaratorNode:
		return c.let(n)
	case *ast.ConditionalNode:
		return c.conditional(n)
	case *ast.ArrayNode:
		return c.array(n)
	case *ast.MapNode:
		return c.mapLiteral(n)
	case *ast.SequenceNode:
		return c.fail(n, "write one expression", "\";\" is only for let")
	}
	return c.literal(n)
}

func (c *checker) literal(n ast.Node) code {
	switch n := n.(type) {
	case *ast.NilNode:
		return code{shape: anyShape, null: true, do: func(*run) any { return nil }}
	case *ast.BoolNode:
		return constant(n.Value, shape{kind: Boolean})
	case *ast.IntegerNode:
		return constant(int64(n.Value), shape{kind: Integer}.within(math.Abs(float64(n.Value))))
	case *ast.FloatNode:
		return constant(n.Value, shape{kind: Number}.within(math.Abs(n.Value)))
	case *ast.StringNode:
		return constant(n.Value, shape{kind: Text, empty: n.Value == "", texts: []string{n.Value}})
	}
	return c.fail(n, "use names, values, operators and functions only", "this cannot be used in an expression")
}

func (c *checker) identifier(n *ast.IdentifierNode) code {
	for _, v := range slices.Backward(c.lets) {
		if v.name == n.Value {
			return code{shape: v.shape, do: func(r *run) any { return r.lets[v.slot] }}
		}
	}
	root := conversation().root
	if n.Value == "conversation" {
		return code{shape: shape{kind: Map, record: root}, do: func(r *run) any { return r.chat }}
	}
	if f, ok := root.fields[n.Value]; ok {
		whole := code{do: func(r *run) any { return r.chat }}
		read := readField(whole, root, f)
		switch n.Value {
		case "source":
			read.shape.enum = c.scope.Sources
		case "brand":
			read.shape.enum = c.scope.Brands
		}
		return read
	}
	switch {
	case n.Value == "env" || n.Value == "file":
		return c.settingsOnly(n)
	case n.Value == "null":
		return c.fail(n, "", `unknown field "null", did you mean "nil"?`)
	case functionNamed(n.Value) != nil:
		return c.fail(n, "call it: "+functionNamed(n.Value).Signature, "%q is a function", n.Value)
	}
	names := append(root.names(), "conversation")
	for _, v := range c.lets {
		names = append(names, v.name)
	}
	near := didYouMean(n.Value, names)
	return c.fail(n, cmp.Or(c.elsewhere(n.Value), unlessNear(near, names)), "unknown field %q%s", n.Value, near)
}

func (c *checker) settingsOnly(n *ast.IdentifierNode) code {
	return c.fail(n, "write the value itself: routes see only the conversation, so that no secret can be sent to a target", "%q is for settings outside of routes", n.Value)
}

// elsewhere hints at a part of the conversation that has the name.
func (c *checker) elsewhere(name string) string {
	if len(c.loops) > 0 {
		if rec := c.loops[len(c.loops)-1].record; rec != nil && rec.fields[name] != nil {
			return "write ." + name
		}
	}
	for _, known := range Names() {
		if strings.HasSuffix(known.Name, "."+name) {
			return "write " + known.Name
		}
	}
	return ""
}

// readField builds the reading of a field of a struct, whose place is known now.
func readField(from code, rec *record, f *field) code {
	return code{shape: f.shape.orAbsent(from.shape.absent), do: func(r *run) any {
		v := from.do(r)
		if v == nil {
			return nil
		}
		if at := reflect.ValueOf(v); at.Type() == rec.pointer {
			return r.load(at.Elem().Field(f.index))
		}
		return r.member(v, f.name)
	}}
}

func (c *checker) member(n *ast.MemberNode) code {
	from := c.visit(n.Node)
	key, named := n.Property.(*ast.StringNode)
	switch s := from.shape; {
	case s.record != nil && named:
		if f, ok := s.record.fields[key.Value]; ok {
			return readField(from, s.record, f)
		}
		near := didYouMean(key.Value, s.record.names())
		c.at(key.Location(), unlessNear(near, s.record.names()), "unknown field %q%s", key.Value, near)
		return wrong()
	case (s.kind == Map || s.isAny()) && named:
		return code{shape: s.items().orAbsent(true), do: func(r *run) any { return r.member(from.eval(r), key.Value) }}
	case s.kind == List && named:
		return c.listMember(n, s, key)
	case s.kind == List || s.kind == Map || s.isAny():
		return c.index(n, from)
	}
	if named {
		hint := fmt.Sprintf("leave out .%s", key.Value)
		if base, ok := pathOf(n.Node); ok && from.shape.isText() && slices.Contains(countWords(), key.Value) {
			hint = fmt.Sprintf("write len(%s)", base)
		}
		c.at(key.Location(), hint, "a %s has no field %q", from.shape, key.Value)
		return wrong()
	}
	return c.fail(n.Property, "text is cut with [from:to]", "cannot take an item of a %s", from.shape)
}

func (c *checker) listMember(n *ast.MemberNode, s shape, key *ast.StringNode) code {
	name := "list"
	if path, ok := pathOf(n.Node); ok {
		name = path
	}
	hint := fmt.Sprintf("write %s[0].%s, or map(%s, .%s) for all of them", name, key.Value, name, key.Value)
	if rec := s.items().record; rec != nil && rec.fields[key.Value] == nil {
		hint = ""
	}
	if slices.Contains(countWords(), key.Value) {
		hint = fmt.Sprintf("write len(%s)", name)
	}
	c.at(key.Location(), hint, "a list has no field %q", key.Value)
	return wrong()
}

// index builds value[key], where key is computed.
func (c *checker) index(n *ast.MemberNode, from code) code {
	key := c.visit(n.Property)
	s := from.shape
	switch {
	case s.kind == List && !key.shape.takes(Integer):
		return c.fail(n.Property, "write a whole number: [0] is the first, [-1] the last", "an item of a list is taken by int, not by %s", key.shape)
	case s.kind == Map && !key.shape.takes(Text):
		return c.fail(n.Property, "put quotes around the key", "a key is a string, not a %s", key.shape)
	}
	out := s.items()
	if s.record != nil {
		out = anyShape
	}
	return code{shape: out.orAbsent(true), do: func(r *run) any {
		v, k := from.eval(r), key.eval(r)
		if list, ok := v.([]any); ok {
			if i, ok := toInt(k); ok {
				return item(list, i)
			}
			return nil
		}
		if name, ok := asText(k); ok {
			return r.member(v, name)
		}
		return nil
	}}
}

// slice builds value[from:to] for lists and for the characters of text. Bounds beyond the ends are cut.
func (c *checker) slice(n *ast.SliceNode) code {
	value := c.visit(n.Node)
	if !value.shape.takes(List) && !value.shape.takes(Text) {
		return c.fail(n.Node, "use it with text and lists only; string(…) makes text of anything", "cannot cut a %s with [from:to]", value.shape)
	}
	bound := func(b ast.Node) *code {
		if b == nil {
			return nil
		}
		out := c.visit(b)
		if !out.shape.takes(Integer) {
			out = c.fail(b, "write a whole number", "a bound is an int, not a %s", out.shape)
		}
		return &out
	}
	from, to := bound(n.From), bound(n.To)
	out := value.shape
	out.absent = out.unsure() || from != nil && from.shape.unsure() || to != nil && to.shape.unsure()
	out.empty, out.enum, out.texts = true, nil, nil
	if out.kind == HTML {
		out.kind = Text // a piece of markup is not safe
	}
	return code{shape: out, do: func(r *run) any { return r.cut(value.eval(r), from, to) }}
}

func (r *run) cut(value any, from, to *code) any {
	text, isText := asText(value)
	list, isList := value.([]any)
	var runes []rune
	length := len(list)
	switch {
	case isText:
		runes = []rune(r.fitting(text, 1))
		length = len(runes)
	case !isList:
		return nil
	}
	bound := func(c *code, otherwise int) (int, bool) {
		if c == nil {
			return otherwise, true
		}
		i, ok := toInt(c.eval(r))
		if i < 0 {
			i += int64(length)
		}
		return int(min(max(i, 0), int64(length))), ok
	}
	a, ok := bound(from, 0)
	b, ok2 := bound(to, length)
	if !ok || !ok2 {
		return nil
	}
	b = max(a, b)
	if isText {
		return string(runes[a:b])
	}
	return list[a:b]
}

func (c *checker) pointer(n *ast.PointerNode) code {
	depth := len(c.loops) - 1
	switch {
	case depth < 0:
		return c.fail(n, "write the name of a field instead", "# stands for the item inside any(…), filter(…) and their like")
	case n.Name == "index":
		return code{shape: shape{kind: Integer, most: counted32}, do: func(r *run) any { return int64(r.index[depth]) }}
	case n.Name != "":
		return c.fail(n, "use one of the two", "unknown name \"#%s\", there are # and #index", n.Name)
	}
	return code{shape: c.loops[depth], do: func(r *run) any { return r.item[depth] }}
}

// let builds `let name = value; rest`.
func (c *checker) let(n *ast.VariableDeclaratorNode) code {
	value := c.visit(n.Value)
	if conversation().root.fields[n.Name] != nil || n.Name == "conversation" || functionNamed(n.Name) != nil {
		c.at(n.Location(), "choose another name", "%q has a meaning already", n.Name)
	}
	slot := c.slots
	c.slots++
	c.lets = append(c.lets, let{name: n.Name, slot: slot, shape: value.shape, loops: len(c.loops), long: c.long(n.Value)})
	rest := c.visit(n.Expr)
	c.lets = c.lets[:len(c.lets)-1]
	return code{shape: rest.shape, do: func(r *run) any {
		r.lets[slot] = value.eval(r)
		return rest.eval(r)
	}}
}

// conditional builds cond ? a : b. A condition that is absent does not hold, so b is taken.
func (c *checker) conditional(n *ast.ConditionalNode) code {
	if !n.Ternary {
		return c.fail(n, "write condition ? a : b", "if … else is not available")
	}
	cond, yes, no := c.visit(n.Cond), c.visit(n.Exp1), c.visit(n.Exp2)
	c.wantBool(n.Cond, cond)
	out := yes.shape.union(no.shape)
	switch {
	case yes.null:
		out = no.shape.orAbsent(true)
	case no.null:
		out = yes.shape.orAbsent(true)
	}
	return code{shape: out, do: func(r *run) any {
		if cond.eval(r) == true {
			return yes.eval(r)
		}
		return no.eval(r)
	}}
}

// array builds [a, b]. Absent items are left out.
func (c *checker) array(n *ast.ArrayNode) code {
	items := make([]code, len(n.Nodes))
	var elem *shape
	for i, node := range n.Nodes {
		items[i] = c.visit(node)
		s := items[i].shape
		s.absent = false
		if elem != nil {
			s = elem.union(s)
		}
		elem = &s
	}
	return code{shape: shape{kind: List, elem: elem}, do: func(r *run) any {
		list := make([]any, 0, len(items))
		for _, it := range items {
			if v := it.eval(r); v != nil {
				list = append(list, v)
			}
		}
		return list
	}}
}

// mapLiteral builds {"a": b}. Absent values are left out.
func (c *checker) mapLiteral(n *ast.MapNode) code {
	keys, values := make([]code, len(n.Pairs)), make([]code, len(n.Pairs))
	for i, p := range n.Pairs {
		pair, ok := p.(*ast.PairNode)
		if !ok {
			return c.fail(p, "write it so", "a map is written {\"key\": value}")
		}
		keys[i], values[i] = c.visit(pair.Key), c.visit(pair.Value)
		if !keys[i].shape.takes(Text) {
			c.fail(pair.Key, "put quotes around the key", "a key is a string, not a %s", keys[i].shape)
		}
	}
	return code{shape: shape{kind: Map}, do: func(r *run) any {
		out := make(map[string]any, len(keys))
		for i := range keys {
			key, ok := asText(keys[i].eval(r))
			if v := values[i].eval(r); ok && v != nil {
				out[key] = v
			}
		}
		return out
	}}
}

// wantBool reports a part of a condition that can never be true or false.
func (c *checker) wantBool(n ast.Node, got code) {
	if !got.shape.takes(Boolean) {
		c.fail(n, boolHint(got.shape), "expected bool, but got %s", got.shape)
	}
}

func boolHint(s shape) string {
	switch {
	case s.isText():
		return `compare it: … != ""`
	case s.kind == List:
		return "compare its length: len(…) > 0"
	case s.kind == Number || s.kind == Integer:
		return "compare it: … <= 2, or … != nil where it is there"
	}
	return "compare it with something: … == …"
}
