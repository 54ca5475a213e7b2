// This file checks and builds operators.

package rule

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
)

func (c *checker) unary(n *ast.UnaryNode) code {
	v := c.visit(n.Node)
	switch n.Operator {
	case "not", "!":
		if !v.shape.takes(Boolean) {
			return c.fail(n.Node, `not binds tighter than a comparison: write not (a == b)`, "expected bool, but got %s", v.shape)
		}
		return code{shape: shape{kind: Boolean, absent: v.shape.unsure()}, do: func(r *run) any { return not(v.eval(r)) }}
	}
	if !v.shape.takes(Number) {
		return c.fail(n.Node, "use it in front of a number only", "cannot use %s with a %s", n.Operator, v.shape)
	}
	out := shape{kind: Number, absent: v.shape.unsure(), most: v.shape.most}
	if v.shape.kind == Integer {
		out.kind = Integer
	}
	if n.Operator == "+" {
		return code{shape: out, do: func(r *run) any {
			value := v.eval(r)
			if _, ok := asNumber(value); !ok {
				return nil
			}
			return value
		}}
	}
	out2 := code{shape: out, do: func(r *run) any { return negate(v.eval(r)) }}
	if v.literal != nil {
		out2.literal = negate(v.literal)
	}
	return out2
}

func (c *checker) binary(n *ast.BinaryNode) code {
	if n.Operator == ".." {
		c.at(n.Location(), "write the numbers in a list: [1, 2, 3]", ".. is not available")
		return wrong()
	}
	if n.Operator == "==" || n.Operator == "!=" || n.Operator == "in" {
		if c.unquoted(n.Right, n.Left) || c.unquoted(n.Left, n.Right) {
			return wrong()
		}
	}
	a, b := c.visit(n.Left), c.visit(n.Right)
	switch n.Operator {
	case "and", "&&", "or", "||":
		return c.logic(n, a, b)
	case "==", "!=":
		return c.equality(n, a, b)
	case "<", "<=", ">", ">=":
		return c.ordering(n, a, b)
	case "in":
		return c.in(n, a, b)
	case "contains", "startsWith", "endsWith":
		return c.textTest(n, a, b)
	case "matches":
		return c.matches(n, a, b)
	case "??":
		return coalesce([]code{a, b})
	}
	return c.arithmetic(n, a, b)
}

func (c *checker) logic(n *ast.BinaryNode, a, b code) code {
	c.wantBool(n.Left, a)
	c.wantBool(n.Right, b)
	out := boolean(a, b)
	if n.Operator == "and" || n.Operator == "&&" {
		return code{shape: out, do: func(r *run) any {
			v := a.eval(r)
			if v == false {
				return false
			}
			return and(v, b.eval(r))
		}}
	}
	return code{shape: out, do: func(r *run) any {
		v := a.eval(r)
		if v == true {
			return true
		}
		return or(v, b.eval(r))
	}}
}

func boolean(a, b code) shape {
	return shape{kind: Boolean, absent: a.shape.unsure() || b.shape.unsure()}
}

// equality builds == and !=. Compared with the literal nil, absence itself is tested.
func (c *checker) equality(n *ast.BinaryNode, a, b code) code {
	wanted := n.Operator == "=="
	if a.null || b.null {
		v := a
		if a.null {
			v = b
		}
		return code{shape: shape{kind: Boolean}, do: func(r *run) any { return (v.eval(r) == nil) == wanted }}
	}
	if !a.shape.comparable(b.shape) {
		c.at(n.Location(), compareHint(a.shape, b.shape), "cannot compare %s with %s", a.shape, b.shape)
		return wrong()
	}
	c.checkEnum(n.Right, a.shape, b)
	c.checkEnum(n.Left, b.shape, a)
	if wanted {
		return code{shape: boolean(a, b), do: func(r *run) any { return r.equal(a.eval(r), b.eval(r)) }}
	}
	return code{shape: boolean(a, b), do: func(r *run) any { return not(r.equal(a.eval(r), b.eval(r))) }}
}

func compareHint(a, b shape) string {
	switch {
	case a.kind == List || b.kind == List:
		return "use in, any(…) or len(…)"
	case a.kind == Map || b.kind == Map:
		return "compare one of its fields"
	case a.kind == Time && b.isText() || b.kind == Time && a.isText():
		return `format the time: date(started_at, "YYYY-MM-DD")`
	case a.isNumber() && b.isText(), b.isNumber() && a.isText():
		return "leave out the quotes, or convert with int(…) or string(…)"
	case a.kind == Boolean || b.kind == Boolean:
		return "use it alone or behind not: flags.missed"
	}
	return "compare values of one type; where something is absent no comparison holds"
}

// checkEnum reports a literal that a field can never hold.
func (c *checker) checkEnum(n ast.Node, s shape, v code) {
	text, ok := v.literal.(string)
	if !ok || len(s.enum) == 0 || slices.Contains(s.enum, text) {
		return
	}
	near, hint := didYouMean(text, s.enum), ""
	if near == "" {
		hint = unlessNear("", s.enum)
	}
	c.fail(n, hint, "%q never occurs here%s", text, near)
}

func (c *checker) ordering(n *ast.BinaryNode, a, b code) code {
	if !a.shape.comparable(b.shape) || a.shape.kind == Boolean || b.shape.kind == Boolean || a.null || b.null {
		c.at(n.Location(), compareHint(a.shape, b.shape), "cannot compare %s with %s by %s", a.word(), b.word(), n.Operator)
		return wrong()
	}
	test := map[string]func(int) bool{
		"<":  func(i int) bool { return i < 0 },
		"<=": func(i int) bool { return i <= 0 },
		">":  func(i int) bool { return i > 0 },
		">=": func(i int) bool { return i >= 0 },
	}[n.Operator]
	return code{shape: boolean(a, b), do: func(r *run) any { return r.order(a.eval(r), b.eval(r), test) }}
}

// word names the type of an operand in a message.
func (c code) word() string {
	if c.null {
		return "nil"
	}
	return c.shape.String()
}

func (c *checker) in(n *ast.BinaryNode, a, b code) code {
	switch s := b.shape; {
	case s.isText():
		c.at(n.Location(), "write text contains part", "in looks into a list or map, not into a %s", s)
		return wrong()
	case !s.takes(List) && !s.takes(Map):
		c.at(n.Location(), "write a list behind in: outcome in [\"missed\", \"offline\"]; for a part of a text use contains", "in looks into a list or map, not into a %s", s)
		return wrong()
	case s.kind == List && s.elem != nil && !s.elem.comparable(a.shape):
		c.at(n.Location(), "compare with values of the same type", "a list of %s never holds a %s", s.elem, a.shape)
		return wrong()
	}
	if list, ok := n.Right.(*ast.ArrayNode); ok {
		for _, item := range list.Nodes {
			if text, ok := item.(*ast.StringNode); ok {
				c.checkEnum(item, a.shape, constant(text.Value, shape{}))
			}
		}
	}
	out := boolean(a, b)
	out.absent = out.absent || b.shape.kind == List && !sameKind(a.shape, b.shape.items())
	return code{shape: out, do: func(r *run) any { return r.in(a.eval(r), b.eval(r)) }}
}

func sameKind(a, b shape) bool {
	return !a.isAny() && (a.kind == b.kind || a.isNumber() && b.isNumber() || a.isText() && b.isText())
}

func (c *checker) textTest(n *ast.BinaryNode, a, b code) code {
	if !c.wantText(n, n.Left, a) || !c.wantText(n, n.Right, b) {
		return wrong()
	}
	test := map[string]func(s, part string) bool{
		"contains": strings.Contains, "startsWith": strings.HasPrefix, "endsWith": strings.HasSuffix,
	}[n.Operator]
	return code{shape: boolean(a, b), do: func(r *run) any {
		s, ok := asText(a.eval(r))
		part, ok2 := asText(b.eval(r))
		if !ok || !ok2 || !r.spend(len(s)/64) {
			return nil
		}
		return test(s, part)
	}}
}

func (c *checker) wantText(n *ast.BinaryNode, side ast.Node, got code) bool {
	if got.shape.takes(Text) {
		return true
	}
	hint := "make text of it with string(…)"
	if got.shape.kind == List && n.Operator == "contains" {
		hint = "write item in list, or any(list, .text contains …)"
	}
	c.fail(side, hint, "%s works on strings, but got %s", n.Operator, got.word())
	return false
}

// matches builds a test against a regular expression in RE2 syntax. Only a literal will do: a pattern made from a
// conversation would be the visitor's program.
func (c *checker) matches(n *ast.BinaryNode, a, b code) code {
	pattern, ok := b.literal.(string)
	if !ok {
		return c.fail(n.Right, "write the pattern out: question matches \"(?i)refund\"", "matches needs a pattern in quotes")
	}
	if !c.wantText(n, n.Left, a) {
		return wrong()
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return c.fail(n.Right, "the syntax is RE2: no look-ahead, no back-references", "%s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	factor := 1 + len(pattern)/32
	return code{shape: boolean(a, a), do: func(r *run) any {
		s, ok := asText(a.eval(r))
		if !ok || !r.spend((len(s)/2+1)*factor) {
			return nil
		}
		return re.MatchString(s)
	}}
}

// coalesce builds ?? and coalesce(): the first value that is neither absent nor "".
func coalesce(values []code) code {
	var known *shape
	missing := true
	for _, v := range values {
		if v.null {
			continue
		}
		missing = missing && v.shape.gone()
		s := v.shape
		if known != nil {
			s = known.union(s)
		}
		known = &s
	}
	out := deref(known)
	out.absent, out.empty = missing, missing
	return code{shape: out, do: func(r *run) any {
		for _, v := range values {
			if value := v.eval(r); !gone(value) {
				return value
			}
		}
		return nil
	}}
}

// arithmetic builds + - * / % and **. Text is put together by +, and the seconds between two times are had by -.
func (c *checker) arithmetic(n *ast.BinaryNode, a, b code) code {
	out, ok := arithmeticShape(n.Operator, a.shape, b.shape)
	do, partial := arithmeticOperator(n.Operator)
	if !ok || do == nil || a.null || b.null {
		hint := "use numbers; int(…) and float(…) make one of a text"
		if n.Operator == "+" && (a.shape.isText() || b.shape.isText()) {
			hint = "convert with string(…)"
		}
		c.at(n.Location(), hint, "cannot use %s with %s and %s", n.Operator, a.word(), b.word())
		return wrong()
	}
	c.composes = c.composes || out.isText() || out.isAny()
	divisor, known := asNumber(b.literal)
	if partial && (!known || divisor.f == 0) {
		out.absent = true
	}
	if out.isNumber() && !out.absent {
		out = out.within(magnitude(n.Operator, a.shape.magnitude(), b.shape.magnitude(), math.Abs(divisor.f)))
	}
	return code{shape: out, do: func(r *run) any { return do(r, a.eval(r), b.eval(r)) }}
}

// arithmeticShape is the type of a result. It is false for operands that can never have one.
func arithmeticShape(op string, a, b shape) (shape, bool) {
	out := shape{kind: Number, absent: a.unsure() || b.unsure()}
	both := func(k Kind) bool { return a.takes(k) && b.takes(k) }
	switch {
	case op == "+" && a.isAny() && b.isAny():
		return anyShape, true
	case op == "+" && both(Text):
		out.kind, out.empty = Text, a.empty && b.empty
		return out, true
	case op == "-" && both(Time):
		return out, true
	case !both(Number):
		return out, false
	case a.kind == Integer && b.kind == Integer && strings.Contains("+-*%", op):
		out.kind = Integer
	}
	return out, true
}

// magnitude bounds the result of a calculation by those of its operands. x % y is not larger than x.
func magnitude(op string, a, b, divisor float64) float64 {
	switch op {
	case "+", "-":
		return a + b
	case "*":
		return a * b
	case "/":
		return a / divisor
	}
	return a
}

// arithmeticOperator returns what an operator does, and whether numbers can make it absent.
func arithmeticOperator(op string) (do func(r *run, a, b any) any, partial bool) {
	plain := func(f func(a, b any) any) func(*run, any, any) any {
		return func(_ *run, a, b any) any { return f(a, b) }
	}
	switch op {
	case "+":
		return func(r *run, a, b any) any { return r.add(a, b) }, false
	case "-":
		return plain(subtract), false
	case "*":
		return plain(multiply), false
	case "/":
		return plain(divide), true
	case "%":
		return plain(remainder), true
	case "**", "^":
		return plain(power), true
	}
	return nil, false
}

// pathOf writes a chain of names as the source has it: visitor.vars.plan, messages[0].text.
func pathOf(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.IdentifierNode:
		return n.Value, true
	case *ast.ChainNode:
		return pathOf(n.Node)
	case *ast.MemberNode:
		base, ok := pathOf(n.Node)
		if !ok {
			return "", false
		}
		switch key := n.Property.(type) {
		case *ast.StringNode:
			if plainName.MatchString(key.Value) {
				return base + "." + key.Value, true
			}
			return fmt.Sprintf("%s[%q]", base, key.Value), true
		case *ast.IntegerNode:
			return fmt.Sprintf("%s[%d]", base, key.Value), true
		}
	}
	return "", false
}

var plainName = regexp.MustCompile(`^[\pL_][\pL\pN_]*$`)
