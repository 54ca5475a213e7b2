// This file explains a condition: it takes the condition apart at its top-level and / or, and shows what each term was.

package rule

import (
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/afterchat/afterchat/internal/chat"
)

// Term is one operand of the top-level and / or of a condition.
type Term struct {
	Source string  // as written, without parentheses around it
	Value  string  // true, false or absent; "too costly" if it exceeded the bounds
	True   bool    // the term holds
	First  bool    // the first term because of which the condition does not match
	Inputs []Input // the fields that the term reads, in the order of the source
}

// Input is a field that a term reads.
type Input struct {
	Name  string // as written: visitor.email
	Value string // as JSON, cut after 80 characters; or absent
}

// branch is a condition taken apart: and, or, or a leaf.
type branch struct {
	op     string // "and", "or", "" for a leaf
	kids   []*branch
	source string
	code   *program
	inputs []input
}

type input struct {
	name string
	code *program
}

// Terms evaluates each term for itself. If the condition does not match, one term is marked First.
func (c *Condition) Terms(conversation *chat.Conversation) []Term {
	var terms []Term
	result, culprit := c.terms.explain(conversation, &terms)
	if result != true && culprit >= 0 {
		terms[culprit].First = true
	}
	return terms
}

// explain appends the terms of b and returns its value with the index of the first term to blame.
func (b *branch) explain(conversation *chat.Conversation, terms *[]Term) (value any, culprit int) {
	if b.op == "" {
		*terms = append(*terms, b.term(conversation))
		t := (*terms)[len(*terms)-1]
		switch t.Value {
		case "true":
			return true, -1
		case "false":
			return false, len(*terms) - 1
		}
		return nil, len(*terms) - 1
	}
	culprit = -1
	value = b.op == "and"
	for _, kid := range b.kids {
		v, at := kid.explain(conversation, terms)
		if culprit < 0 && v != true {
			culprit = at
		}
		if b.op == "and" {
			value = and(value, v)
		} else {
			value = or(value, v)
		}
	}
	return value, culprit
}

func (b *branch) term(conversation *chat.Conversation) Term {
	r := newRun(conversation)
	v := r.exec(b.code)
	t := Term{Source: b.source, Value: "absent", True: v == true}
	switch {
	case r.over:
		t.Value, t.True = "too costly", false
	case v == true:
		t.Value = "true"
	case v == false:
		t.Value = "false"
	}
	for _, in := range b.inputs {
		r := newRun(conversation)
		t.Inputs = append(t.Inputs, Input{Name: in.name, Value: r.show(r.exec(in.code))})
	}
	return t
}

// show writes a value for people.
func (r *run) show(v any) string {
	if v == nil {
		return "absent"
	}
	out := r.export(v)
	if r.over {
		return "too large to show"
	}
	text := string(jsonOf(out))
	if runes := []rune(text); len(runes) > 80 {
		text = string(runes[:79]) + "…"
	}
	return text
}

// branches takes a checked condition apart.
func branches(src string, root ast.Node, p *program, s Scope) *branch {
	if b, ok := splitTerms(src, 0, len(src), root, s); ok {
		return b
	}
	return &branch{source: strings.TrimSpace(src), code: p}
}

// splitTerms makes the branch of n, whose text lies between two byte offsets of src.
func splitTerms(src string, from, to int, n ast.Node, s Scope) (*branch, bool) {
	if bin, op := connective(src, n); bin != nil {
		at := byteOffset(src, bin.Location().From)
		left, ok := splitTerms(src, from, at, bin.Left, s)
		right, ok2 := splitTerms(src, byteOffset(src, bin.Location().To), to, bin.Right, s)
		if ok && ok2 {
			return &branch{op: op, kids: []*branch{left, right}}, true
		}
		return leaf(unwrap(src[from:to]), n, s)
	}
	return leaf(unwrap(src[from:to]), n, s)
}

// connective returns n if it is an and / or that was written as one: a < b < c has an && that was not.
func connective(src string, n ast.Node) (*ast.BinaryNode, string) {
	bin, ok := n.(*ast.BinaryNode)
	if !ok {
		return nil, ""
	}
	op := map[string]string{"and": "and", "&&": "and", "or": "or", "||": "or"}[bin.Operator]
	loc := bin.Location()
	if op == "" || src[byteOffset(src, loc.From):byteOffset(src, loc.To)] != bin.Operator {
		return nil, ""
	}
	return bin, op
}

// leaf compiles a term by itself. It is false for a text that is no expression of its own.
func leaf(text string, n ast.Node, s Scope) (*branch, bool) {
	p, _, problems := compile(text, s)
	if problems != nil {
		return nil, false
	}
	b := &branch{source: text, code: p}
	seen := map[string]bool{}
	for _, name := range inputsOf(n, nil) {
		if seen[name] {
			continue
		}
		seen[name] = true
		if p, _, problems := compile(name, s); problems == nil {
			b.inputs = append(b.inputs, input{name: name, code: p})
		}
	}
	return b, true
}

// inputsOf lists the fields that n names, outside of loops' bodies.
func inputsOf(n ast.Node, names []string) []string {
	if _, ok := n.(*ast.PredicateNode); ok {
		return names
	}
	if call, ok := n.(*ast.CallNode); ok {
		for _, a := range call.Arguments {
			names = inputsOf(a, names)
		}
		return names
	}
	if path, ok := pathOf(n); ok {
		return append(names, path)
	}
	for _, child := range children(n) {
		names = inputsOf(child, names)
	}
	return names
}

// unwrap removes white space and parentheses that do not belong to the term.
func unwrap(s string) string {
	for {
		s = strings.TrimSpace(s)
		open, end := unbalanced(s)
		switch {
		case open > 0 && strings.HasPrefix(s, "("):
			s = s[1:]
		case end > 0 && strings.HasSuffix(s, ")"):
			s = s[:len(s)-1]
		case enclosed(s):
			s = s[1 : len(s)-1]
		default:
			return s
		}
	}
}

// unbalanced counts the parentheses that are opened and not closed, and closed and not opened.
func unbalanced(s string) (open, end int) {
	scan(s, func(_ int, c byte) bool {
		switch {
		case c == '(':
			open++
		case c == ')' && open > 0:
			open--
		case c == ')':
			end++
		}
		return true
	})
	return open, end
}

// enclosed tells whether the first parenthesis is closed by the last byte.
func enclosed(s string) bool {
	if !strings.HasPrefix(s, "(") {
		return false
	}
	depth, end := 0, -1
	scan(s, func(i int, c byte) bool {
		switch c {
		case '(':
			depth++
		case ')':
			depth--
		}
		end = i
		return depth > 0
	})
	return depth == 0 && end == len(s)-1
}
