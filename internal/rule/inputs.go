// This file finds what a term compares, so that an explanation can show the values that made it true or false: the
// operands of a comparison as written, len(messages) and not all the messages.

package rule

import (
	"fmt"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"

	"github.com/afterchat/afterchat/internal/chat"
)

// input is a part of a term that has a value of its own.
type input struct {
	name string
	code *program
	from []input // what it is computed from, which tells why it is absent
}

// longestShown is how many characters of a value are shown.
const longestShown = 80

// show appends the value of in. One that was computed and is absent brings what it was computed from.
func (in input) show(conversation *chat.Conversation, inputs []Input) []Input {
	r := newRun(conversation)
	v := r.exec(in.code)
	if !slices.ContainsFunc(inputs, func(known Input) bool { return known.Name == in.name }) {
		inputs = append(inputs, Input{Name: in.name, Value: r.show(v)})
	}
	if v == nil && !r.over {
		for _, from := range in.from {
			inputs = from.show(conversation, inputs)
		}
	}
	return inputs
}

// show writes a value for people.
func (r *run) show(v any) string {
	if v == nil {
		if r.over {
			return "too costly"
		}
		return "absent"
	}
	if list, ok := v.([]any); ok && slices.ContainsFunc(list, nested) {
		if len(list) == 1 {
			return "1 item"
		}
		return fmt.Sprintf("%d items", len(list))
	}
	out := r.export(v)
	if r.over {
		return "too large to show"
	}
	text := string(jsonOf(out))
	if runes := []rune(text); len(runes) > longestShown {
		text = string(runes[:longestShown-1]) + "…"
	}
	return text
}

// nested tells whether v has values within it.
func nested(v any) bool {
	switch v.(type) {
	case []any, map[string]any:
		return true
	}
	rec, _ := recordOf(v)
	return rec != nil
}

// newInput compiles a part. It is false for one that is always the same, and for one that means nothing by itself, such
// as a variable of let.
func newInput(text string, s Scope) (input, bool) {
	p, root, problems := compile(text, s)
	if problems != nil {
		return input{}, false
	}
	names := pathsOf(root, nil)
	if len(names) == 0 {
		return input{}, false
	}
	in := input{name: strings.Join(strings.Fields(text), " "), code: p}
	if path, ok := pathOf(root); ok {
		in.name = path
		return in, true
	}
	for _, name := range names {
		if p, _, problems := compile(name, s); problems == nil {
			in.from = append(in.from, input{name: name, code: p})
		}
	}
	return in, true
}

// compared returns the texts of what a term compares, in order. n is a tree of the term: the operators in text are found
// by parsing it anew, for n may be a part of a longer source.
func compared(text string, n ast.Node) []string {
	r := &report{src: text}
	if root := parse(r); root != nil {
		n = root
	}
	if negation, ok := n.(*ast.UnaryNode); ok {
		if _, comparison := negation.Node.(*ast.BinaryNode); comparison && negation.Location() == negation.Node.Location() {
			return operands(text, negation.Node) // a not in b
		}
		if negation.Operator == "not" || negation.Operator == "!" {
			return compared(unwrap(text[byteOffset(text, negation.Location().To):]), negation.Node)
		}
	}
	if parts := operands(text, n); parts != nil {
		return parts
	}
	if parts := arguments(text, n); parts != nil {
		return parts
	}
	return pathsOf(n, nil)
}

// operands cuts a comparison, also 1 < a < 3, at its operators.
func operands(text string, n ast.Node) []string {
	var cuts [][2]int
	if !comparisons(text, n, &cuts) {
		return nil
	}
	slices.SortFunc(cuts, func(a, b [2]int) int { return a[0] - b[0] })
	var parts []string
	from := 0
	for _, cut := range cuts {
		part := strings.TrimSpace(text[from:cut[0]])
		if without, ok := strings.CutSuffix(part, "not"); ok && strings.TrimSpace(without) != without {
			part = without // a not in b
		}
		parts, from = append(parts, unwrap(part)), cut[1]
	}
	return append(parts, unwrap(text[from:]))
}

// comparisons notes where the operators of a comparison stand. It is false for anything else.
func comparisons(text string, n ast.Node, cuts *[][2]int) bool {
	bin, ok := n.(*ast.BinaryNode)
	if !ok {
		return false
	}
	switch bin.Operator {
	case "&&":
		return comparisons(text, bin.Left, cuts) && comparisons(text, bin.Right, cuts)
	case "==", "!=", "<", "<=", ">", ">=", "in", "contains", "startsWith", "endsWith", "matches":
		loc := bin.Location()
		*cuts = append(*cuts, [2]int{byteOffset(text, loc.From), byteOffset(text, loc.To)})
		return true
	}
	return false
}

// arguments cuts a call, f(a, b) or a | f(b), at its commas. Conditions of loops are left out.
func arguments(text string, n ast.Node) []string {
	var of []ast.Node
	switch n := n.(type) {
	case *ast.CallNode:
		of = n.Arguments
	case *ast.BuiltinNode:
		of = n.Arguments
	default:
		return nil
	}
	at := byteOffset(text, n.Location().From)
	var parts []string
	if before, piped := strings.CutSuffix(strings.TrimSpace(text[:at]), "|"); piped {
		parts = append(parts, unwrap(before))
	}
	depth, from := 0, -1
	scan(text[at:], func(i int, c byte) bool {
		switch {
		case strings.IndexByte("([{", c) >= 0:
			depth++
			if depth == 1 {
				from = at + i + 1
			}
		case strings.IndexByte(")]}", c) >= 0:
			depth--
			if depth == 0 {
				parts, from = append(parts, unwrap(text[from:at+i])), -1
			}
		case c == ',' && depth == 1:
			parts, from = append(parts, unwrap(text[from:at+i])), at+i+1
		}
		return depth > 0 || c != ')'
	})
	if len(parts) != len(of) {
		return nil
	}
	var out []string
	for i, part := range parts {
		if _, loop := of[i].(*ast.PredicateNode); !loop {
			out = append(out, part)
		}
	}
	return out
}

// pathsOf lists the fields that n names, outside of loops' conditions.
func pathsOf(n ast.Node, names []string) []string {
	if _, ok := n.(*ast.PredicateNode); ok {
		return names
	}
	if call, ok := n.(*ast.CallNode); ok {
		for _, a := range call.Arguments {
			names = pathsOf(a, names)
		}
		return names
	}
	if path, ok := pathOf(n); ok {
		return append(names, path)
	}
	for _, child := range children(n) {
		names = pathsOf(child, names)
	}
	return names
}
