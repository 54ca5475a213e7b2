// This file finds conditions that match what has no text: question != "x" holds for a chat without a question.

package rule

import (
	"fmt"
	"slices"

	"github.com/expr-lang/expr/ast"
)

// Unsent reports each != and not in that compares a text which may be empty with texts that are not, in a condition that
// compares it with "" nowhere. It works and is hardly meant so. A source with mistakes has none.
func Unsent(src string, s Scope) []Problem {
	c := &checker{report: &report{src: src}, scope: s}
	root := parse(c.report)
	if root == nil {
		return nil
	}
	r := &report{src: src}
	var walk func(n ast.Node)
	walk = func(n ast.Node) {
		if side, bin := c.excludes(n); side != nil {
			if path, ok := pathOf(side); ok && !comparesEmpty(root, path) {
				r.at(bin.Location(), fmt.Sprintf(`write %s != "" and … if it is not to match those`, path), "this also matches where %s is empty or was not sent", path)
			}
		}
		for _, child := range children(n) {
			if _, body := child.(*ast.PredicateNode); !body {
				walk(child)
			}
		}
	}
	walk(root)
	return r.sorted()
}

// excludes returns the text that n compares by != or not in with literals that are not empty, nil if n is none such.
func (c *checker) excludes(n ast.Node) (side ast.Node, at *ast.BinaryNode) {
	wanted := "!="
	if negation, ok := n.(*ast.UnaryNode); ok {
		n, wanted = negation.Node, "in"
	}
	bin, ok := n.(*ast.BinaryNode)
	if !ok || bin.Operator != wanted {
		return nil, nil
	}
	texts := []ast.Node{bin.Right}
	if list, ok := bin.Right.(*ast.ArrayNode); ok && wanted == "in" {
		texts = list.Nodes
	}
	for _, t := range texts {
		if text, ok := t.(*ast.StringNode); !ok || text.Value == "" {
			return nil, nil
		}
	}
	switch bin.Left.(type) {
	case *ast.IdentifierNode, *ast.MemberNode:
	default:
		return nil, nil
	}
	if of := c.visit(bin.Left).shape; of.kind != Text || !of.empty || of.absent || len(of.enum) > 0 {
		return nil, nil
	}
	return bin.Left, bin
}

// comparesEmpty tells whether a condition compares the text of that name with "".
func comparesEmpty(n ast.Node, path string) bool {
	if bin, ok := n.(*ast.BinaryNode); ok {
		left, _ := pathOf(bin.Left)
		if text, ok := bin.Right.(*ast.StringNode); ok && text.Value == "" && left == path {
			return true
		}
	}
	return slices.ContainsFunc(children(n), func(child ast.Node) bool { return comparesEmpty(child, path) })
}
