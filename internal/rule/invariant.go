// This file keeps loops affordable in conversations of any length: what is the same for every item is computed once, and
// what would walk all the messages for each item is a mistake when the configuration is read.

package rule

import (
	"slices"

	"github.com/expr-lang/expr/ast"
)

// held is a value that was computed once for all items of a loop.
type held struct{ value any }

// once builds a part of a loop's body that is the same for every item: it is computed when it is first needed. The
// result is not ok for a part that depends on the item or costs nothing.
func (c *checker) once(n ast.Node) (code, bool) {
	if len(c.loops) == c.base || !walks(n) || !c.invariant(n, 0) {
		return code{}, false
	}
	before := c.base
	c.base = len(c.loops)
	inner := c.visit(n)
	c.base = before
	if inner.literal != nil {
		return inner, true
	}
	slot := c.slots
	c.slots++
	do := func(r *run) any {
		if known, ok := r.lets[slot].(held); ok {
			return known.value
		}
		v := inner.do(r)
		r.lets[slot] = held{v}
		return v
	}
	return code{shape: inner.shape, null: inner.null, do: do}, true
}

// walks tells whether n may look at many values.
func walks(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.BuiltinNode, *ast.CallNode:
		return true
	case *ast.BinaryNode:
		return slices.Contains([]string{"+", "in", "contains", "matches"}, n.Operator)
	}
	return false
}

// invariant tells whether n is the same for every item of the loops around it. depth counts the loops within it.
func (c *checker) invariant(n ast.Node, depth int) bool {
	switch n := n.(type) {
	case *ast.PointerNode:
		return depth > 0
	case *ast.PredicateNode:
		return c.invariant(n.Node, depth+1)
	case *ast.IdentifierNode:
		return !slices.ContainsFunc(c.lets, func(l let) bool { return l.name == n.Value && l.loops > c.base })
	}
	for _, child := range children(n) {
		if !c.invariant(child, depth) {
			return false
		}
	}
	return true
}

// product reports a part of a loop's body that walks something as long as the conversation for each item of something as
// long. Agents and pages are few, so a loop over messages for each of them is fine.
func (c *checker) product(n ast.Node) {
	const why = "this would go through all messages for each item of a loop, which takes too long in a long chat"
	const hint = "compare with something shorter, such as first(messages), agents or .files, or with what a let before the loop computed"
	within := slices.Contains(c.longLoops[c.base:], true)
	if loop, ok := n.(*ast.BuiltinNode); ok && loop.Name == "map" && (within || c.long(loop.Arguments[0])) && slices.ContainsFunc(loop.Arguments[1:], c.longBody) {
		c.at(n.Location(), "map a part of the item, such as .text", "this would make all messages for each item of a list, which is too much in a long chat")
		return
	}
	if !within {
		return
	}
	var walked []ast.Node
	switch n := n.(type) {
	case *ast.BuiltinNode:
		walked = n.Arguments[:min(1, len(n.Arguments))]
	case *ast.CallNode:
		if callee, ok := n.Callee.(*ast.IdentifierNode); ok && !slices.Contains(atOnce(), callee.Value) {
			walked = n.Arguments
		}
	case *ast.BinaryNode:
		switch n.Operator {
		case "in":
			walked = []ast.Node{n.Right}
		case "contains", "matches":
			walked = []ast.Node{n.Left}
		case "+":
			walked = []ast.Node{n.Left, n.Right}
		}
	}
	if slices.ContainsFunc(walked, c.long) {
		c.at(n.Location(), hint, why)
	}
}

// longBody tells it of what a loop computes for an item.
func (c *checker) longBody(n ast.Node) bool {
	body, ok := n.(*ast.PredicateNode)
	return ok && c.long(body.Node)
}

// atOnce are functions that take the same time for any list or text.
func atOnce() []string { return []string{"len", "first", "last", "coalesce", "lookup"} }

// long tells whether n may be as long as the conversation: all messages, or the transcript.
func (c *checker) long(n ast.Node) bool {
	any := func(nodes ...ast.Node) bool { return slices.ContainsFunc(nodes, c.long) }
	switch n := n.(type) {
	case *ast.IdentifierNode:
		if i := slices.IndexFunc(c.lets, func(l let) bool { return l.name == n.Value }); i >= 0 {
			return c.lets[i].long
		}
		return slices.Contains([]string{"messages", "transcript", "conversation"}, n.Value)
	case *ast.MemberNode:
		return c.longMember(n)
	case *ast.SliceNode:
		return any(n.Node)
	case *ast.ChainNode:
		return any(n.Node)
	case *ast.ConditionalNode:
		return any(n.Exp1, n.Exp2)
	case *ast.VariableDeclaratorNode, *ast.SequenceNode, *ast.ArrayNode, *ast.MapNode, *ast.PairNode:
		return any(children(n)...)
	case *ast.BinaryNode:
		return (n.Operator == "+" || n.Operator == "??") && any(n.Left, n.Right)
	case *ast.BuiltinNode:
		return (n.Name == "filter" || n.Name == "map") && any(n.Arguments[:min(1, len(n.Arguments))]...)
	case *ast.CallNode:
		callee, ok := n.Callee.(*ast.IdentifierNode)
		return ok && !slices.Contains(brief(), callee.Value) && any(n.Arguments...)
	}
	return false
}

// brief are functions whose result is short, whatever they are given.
func brief() []string {
	return []string{
		"len", "first", "last", "mentions", "count", "sum", "min", "max", "int", "float", "round", "floor", "ceil", "abs",
		"sha256", "truncate", "between", "phone", "date", "lookup", "plural", "mask",
	}
}

// longMember: an item of a list is short, and so are most parts of the conversation.
func (c *checker) longMember(n *ast.MemberNode) bool {
	if !c.long(n.Node) {
		return false
	}
	name, ok := n.Property.(*ast.StringNode)
	if base, identifier := n.Node.(*ast.IdentifierNode); ok && identifier && base.Value == "conversation" {
		return name.Value == "messages" || name.Value == "transcript"
	}
	return ok
}
