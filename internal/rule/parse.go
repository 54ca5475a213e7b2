// This file turns source text into a syntax tree. It is the only file that calls the parser of expr, whose panics and
// messages end here.

package rule

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/checker/nature"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
)

// What one expression may be at most.
const (
	maxSource = 8 << 10 // bytes
	maxNodes  = 400     // parts of the syntax tree
	maxLoops  = 2       // nested in each other
)

// ownFunctions makes the parser treat every function but those with a closure as an ordinary call.
var ownFunctions = sync.OnceValue(func() map[string]bool {
	off := make(map[string]bool, len(builtin.Names))
	for _, name := range builtin.Names {
		off[name] = true
	}
	return off
})

// parse returns the tree of src, or nil after reporting why there is none.
func parse(r *report) (root ast.Node) {
	switch {
	case len(r.src) > maxSource:
		r.span(maxSource, len(r.src), "make two routes of it, or use a lookup table", fmt.Sprintf("expression of %d bytes, at most %d are allowed", len(r.src), maxSource))
		return nil
	case !utf8.ValidString(r.src):
		r.span(0, len(r.src), "save the file as UTF-8", "expression is not valid UTF-8")
		return nil
	case strings.TrimSpace(r.src) == "":
		r.span(0, len(r.src), "write an expression, such as visitor.name, or remove it", "expression is empty")
		return nil
	}
	defer func() {
		if recover() != nil {
			root = nil
			r.span(0, len(r.src), unclosedHint(r.src), "expression cannot be read")
		}
	}()
	config := &conf.Config{
		MaxNodes: maxNodes,
		Disabled: ownFunctions(),
		Env:      nature.FromType(nil),
	}
	tree, err := parser.ParseWithConfig(r.src, config)
	if err != nil {
		reportSyntax(r, err)
		return nil
	}
	if visits(tree.Node, 4*maxNodes) < 0 {
		r.span(0, len(r.src), "give the repeated part a name once: let name = …; …", "expression repeats parts of itself too often")
		return nil
	}
	return tree.Node
}

// visits counts down from budget for each part of n. The parser shares nodes (a ?: b is a ? a : b, a < b < c is
// a < b and b < c), so nesting those could make a walk take forever.
func visits(n ast.Node, budget int) int {
	budget--
	for _, child := range children(n) {
		if budget < 0 {
			break
		}
		budget = visits(child, budget)
	}
	return budget
}

// token is how the parser prints one: Operator("=") or EOF.
var token = regexp.MustCompile(`^unexpected token (?:(\w+)\((".*")\)|(\w+))$`)

// reportSyntax says in our words what the parser found.
func reportSyntax(r *report, err error) {
	var at *file.Error
	if !errors.As(err, &at) {
		r.span(0, len(r.src), syntaxHint, strings.ToLower(err.Error()))
		return
	}
	if reportForeign(r) {
		return
	}
	text, hint := at.Message, ""
	if m := token.FindStringSubmatch(text); m != nil {
		text, hint = unexpected(r.src, m[1], m[2], m[3])
	}
	switch {
	case strings.Contains(text, "maximum allowed nodes"):
		r.span(0, len(r.src), "make two routes of it, or use a lookup table", fmt.Sprintf("expression has more than %d parts", maxNodes))
		return
	case strings.Contains(text, "coalesce expressions"):
		text, hint = "?? cannot stand beside another operator", "put parentheses around it: (a ?? b)"
	case strings.HasPrefix(text, "expected at least"):
		text, hint = "a condition is missing", "write it behind a comma: any(messages, .role == \"visitor\")"
	case strings.HasPrefix(text, "unexpected end"):
		hint = unclosedHint(r.src)
	case strings.HasPrefix(text, "literal not terminated"):
		text, hint = "text in quotes is not closed", "write the same quote at its end"
	}
	r.at(at.Location, cmp.Or(hint, syntaxHint), "%s", strings.ToLower(text[:1])+text[1:])
}

// syntaxHint is for what has no likelier reason.
const syntaxHint = `check operators, quotes and parentheses; a condition reads like: rating <= 2 and visitor.email != ""`

func unexpected(src, kind, quoted, bare string) (text, hint string) {
	if bare == "EOF" {
		return "unexpected end of expression", unclosedHint(src)
	}
	value, err := strconv.Unquote(quoted)
	if err != nil {
		value = bare
	}
	switch {
	case kind == "Operator" && value == "=":
		hint = "compare with =="
	case kind == "Operator" && value == "#":
		hint = "use # inside any(…), filter(…) and their like only: it stands for the item"
	}
	return fmt.Sprintf("unexpected %q", value), hint
}

// unclosedHint explains the usual reason for a missing parenthesis.
func unclosedHint(src string) string {
	depth := 0
	scan(src, func(_ int, c byte) bool {
		switch c {
		case '(', '[':
			depth++
		case ')', ']':
			depth--
		}
		return true
	})
	if depth <= 0 {
		return ""
	}
	return `close the parenthesis; in YAML " #" starts a comment: write .text for #.text, or put quotes around the whole`
}

// loopDepth returns how deep loops are nested and the deepest one.
func loopDepth(root ast.Node) (depth int, deepest ast.Node) {
	v := &loopFinder{}
	v.walk(root, 0)
	return v.depth, v.node
}

type loopFinder struct {
	depth int
	node  ast.Node
}

func (v *loopFinder) walk(n ast.Node, depth int) {
	if b, ok := n.(*ast.BuiltinNode); ok {
		for _, arg := range b.Arguments {
			if p, ok := arg.(*ast.PredicateNode); ok {
				if depth+1 > v.depth {
					v.depth, v.node = depth+1, n
				}
				v.walk(p.Node, depth+1)
			} else {
				v.walk(arg, depth)
			}
		}
		return
	}
	for _, child := range children(n) {
		v.walk(child, depth)
	}
}

// children lists the parts of a node, in the order of the source as far as it matters.
func children(n ast.Node) []ast.Node {
	switch n := n.(type) {
	case *ast.UnaryNode:
		return []ast.Node{n.Node}
	case *ast.BinaryNode:
		return []ast.Node{n.Left, n.Right}
	case *ast.ChainNode:
		return []ast.Node{n.Node}
	case *ast.MemberNode:
		return []ast.Node{n.Node, n.Property}
	case *ast.SliceNode:
		return present(n.Node, n.From, n.To)
	case *ast.CallNode:
		return append([]ast.Node{n.Callee}, n.Arguments...)
	case *ast.BuiltinNode:
		return n.Arguments
	case *ast.PredicateNode:
		return []ast.Node{n.Node}
	case *ast.ConditionalNode:
		return []ast.Node{n.Cond, n.Exp1, n.Exp2}
	case *ast.VariableDeclaratorNode:
		return []ast.Node{n.Value, n.Expr}
	case *ast.SequenceNode:
		return n.Nodes
	case *ast.ArrayNode:
		return n.Nodes
	case *ast.MapNode:
		return n.Pairs
	case *ast.PairNode:
		return []ast.Node{n.Key, n.Value}
	}
	return nil
}

func present(nodes ...ast.Node) []ast.Node {
	var out []ast.Node
	for _, n := range nodes {
		if n != nil {
			out = append(out, n)
		}
	}
	return out
}

// startOf returns the location of the leftmost token of n, where a caret belongs. Parentheses around n do not count.
func startOf(n ast.Node) file.Location {
	loc := n.Location()
	for _, child := range children(n) {
		if c := startOf(child); c.From < loc.From || loc.To == 0 {
			loc = c
		}
	}
	return loc
}
