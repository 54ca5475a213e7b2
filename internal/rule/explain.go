// This file explains a condition: it takes the condition apart at and, or and not, and shows what each part was and
// which of them decided.

package rule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/afterchat/afterchat/internal/chat"
)

// Term is a condition, or a part of one: a group of terms, or what is compared.
type Term struct {
	Source  string  // as written, without parentheses around it
	Value   string  // true, false or absent; "too costly" if it exceeded the bounds
	True    bool    // the term holds
	Decides bool    // the condition matches, or does not, because of this term; of groups it is told of their terms
	Of      string  // of a group: AllOf, AnyOf, NoneOf or NotAllOf; else ""
	Terms   []Term  // of a group
	Inputs  []Input // what the term compares, in the order of the source
}

// What a group asks of its terms.
const (
	AllOf    = "all"     // a and b
	AnyOf    = "any"     // a or b
	NoneOf   = "none"    // not (a or b)
	NotAllOf = "not all" // not (a and b)
)

// Input is a value that a term reads or computes.
type Input struct {
	Name string // as written: visitor.email, len(messages)
	// Value is as JSON, cut after 80 characters, of lists of lists and maps the number of items; or absent. Behind a text
	// that would have to be a number stands what to write.
	Value string
}

// branch is a condition taken apart: a group, or a leaf.
type branch struct {
	of     string // "" for a leaf
	kids   []*branch
	source string
	code   *program
	inputs []input
	scope  Scope // of code
}

// Explain evaluates each term for itself and marks those that decide.
//
// Of what does not match, these are, of all terms that have to hold the first that does not, and of terms of which one
// has to hold every one. Of what matches it is the other way round.
func (c *Condition) Explain(conversation *chat.Conversation) Term {
	t, v := c.terms.explain(conversation)
	t.decide(v == true, true)
	return t
}

// explain returns the term of b with its value.
func (b *branch) explain(conversation *chat.Conversation) (Term, any) {
	if b.of == "" {
		return b.term(conversation)
	}
	t := Term{Source: b.source, Of: b.of}
	var value any = b.conjunct()
	for _, kid := range b.kids {
		term, v := kid.explain(conversation)
		t.Terms = append(t.Terms, term)
		if b.conjunct() {
			value = and(value, v)
		} else {
			value = or(value, v)
		}
	}
	if b.of == NoneOf || b.of == NotAllOf {
		value = not(value)
	}
	t.Value, t.True = word(value), value == true
	return t, value
}

// conjunct tells whether the terms of b are put together by and.
func (b *branch) conjunct() bool { return b.of == AllOf || b.of == NotAllOf }

func word(v any) string {
	switch v {
	case true:
		return "true"
	case false:
		return "false"
	}
	return "absent"
}

// decide marks the terms because of which t is what was wanted, or because of which it is not. want is what t would
// have to be for the condition to match: within a not it is false.
func (t *Term) decide(got, want bool) {
	if t.Of == "" {
		t.Decides = true
		return
	}
	inner := want
	if t.Of == NoneOf || t.Of == NotAllOf {
		inner = !want
	}
	is := func(kid Term) bool { return kid.Value == word(inner) }
	// What is wanted of every term: that all hold, or within a not that none does.
	every := (t.Of == AllOf || t.Of == NotAllOf) == inner
	if got == every {
		for i := range t.Terms {
			t.Terms[i].decide(got, inner)
		}
		return
	}
	if i := slices.IndexFunc(t.Terms, func(kid Term) bool { return is(kid) == got }); i >= 0 {
		t.Terms[i].decide(got, inner)
	}
}

func (b *branch) term(conversation *chat.Conversation) (Term, any) {
	r := newRun(conversation)
	v := r.exec(b.code)
	if r.over {
		v = nil
	}
	t := Term{Source: b.source, Value: word(v), True: v == true}
	if r.over {
		t.Value = "too costly"
	}
	for _, in := range b.inputs {
		t.Inputs = in.show(conversation, t.Inputs)
	}
	if v == nil && !r.over {
		for i := range t.Inputs {
			if remedy := b.asNumber(conversation, t.Inputs[i]); remedy != "" {
				t.Inputs[i].Value += fmt.Sprintf(" (a text: write %s)", remedy)
			}
		}
	}
	return t, v
}

// asNumber returns what to write for an input that is the digits of a number as text, if the term has a value then.
func (b *branch) asNumber(conversation *chat.Conversation, in Input) string {
	text, err := strconv.Unquote(in.Value)
	n, ok := parseNumber(strings.TrimSpace(text))
	if err != nil || !ok || !strings.Contains(b.source, in.Name) {
		return ""
	}
	remedy := "float(" + in.Name + ")"
	if n.whole {
		remedy = "int(" + in.Name + ")"
	}
	p, _, problems := compile(strings.Replace(b.source, in.Name, remedy, 1), b.scope)
	if problems != nil || newRun(conversation).exec(p) == nil {
		return ""
	}
	return remedy
}

// branches takes a checked condition apart.
func branches(src string, root ast.Node, p *program, s Scope) *branch {
	if b, ok := splitTerms(src, 0, len(src), root, s); ok {
		return b
	}
	return &branch{source: strings.TrimSpace(src), code: p, scope: s}
}

// splitTerms makes the branch of n, whose text lies between two byte offsets of src.
func splitTerms(src string, from, to int, n ast.Node, s Scope) (*branch, bool) {
	text := unwrap(src[from:to])
	if bin, of := connective(src, n); bin != nil {
		loc := bin.Location()
		left, ok := splitTerms(src, from, byteOffset(src, loc.From), bin.Left, s)
		right, ok2 := splitTerms(src, byteOffset(src, loc.To), to, bin.Right, s)
		if ok && ok2 {
			return &branch{of: of, source: text, kids: append(left.flat(of), right.flat(of)...)}, true
		}
	}
	if negation, ok := n.(*ast.UnaryNode); ok && (negation.Operator == "not" || negation.Operator == "!") {
		if bin, _ := connective(src, negation.Node); bin != nil {
			inner, ok := splitTerms(src, byteOffset(src, negation.Location().To), to, negation.Node, s)
			if ok {
				return &branch{of: map[string]string{AllOf: NotAllOf, AnyOf: NoneOf}[inner.of], source: text, kids: inner.kids}, true
			}
		}
	}
	return leaf(text, n, s)
}

// flat returns the terms of b if it is a group of that kind, so that a and b and c is one group.
func (b *branch) flat(of string) []*branch {
	if b.of == of {
		return b.kids
	}
	return []*branch{b}
}

// connective returns n if it is an and / or that was written as one: a < b < c has an && that was not.
func connective(src string, n ast.Node) (*ast.BinaryNode, string) {
	bin, ok := n.(*ast.BinaryNode)
	if !ok {
		return nil, ""
	}
	of := map[string]string{"and": AllOf, "&&": AllOf, "or": AnyOf, "||": AnyOf}[bin.Operator]
	loc := bin.Location()
	if of == "" || src[byteOffset(src, loc.From):byteOffset(src, loc.To)] != bin.Operator {
		return nil, ""
	}
	return bin, of
}

// leaf compiles a term by itself. It is false for a text that is no expression of its own.
func leaf(text string, n ast.Node, s Scope) (*branch, bool) {
	p, _, problems := compile(text, s)
	if problems != nil {
		return nil, false
	}
	b := &branch{source: text, code: p, scope: s}
	for _, part := range compared(text, n) {
		in, ok := newInput(part, s)
		if ok && !slices.ContainsFunc(b.inputs, func(known input) bool { return known.name == in.name }) {
			b.inputs = append(b.inputs, in)
		}
	}
	return b, true
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
