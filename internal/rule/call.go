// This file checks and builds calls: of functions, whose signatures say how they may be called, and of loops such as
// any(list, condition).

package rule

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr/ast"
)

// param is one parameter of a function.
type param struct {
	name     string
	kind     Kind
	optional bool
	repeated bool // any number of them, at least one
}

// parseSignature reads `name(a string, b int?, c any...) string`. The table of functions is fixed, and a test reads
// all of it, so a mistake in it shows at once.
func parseSignature(s string) (params []param, result Kind) {
	open, end := strings.IndexByte(s, '('), strings.LastIndexByte(s, ')')
	for text := range strings.SplitSeq(s[open+1:end], ", ") {
		name, word, _ := strings.Cut(text, " ")
		p := param{name: name, optional: strings.HasSuffix(word, "?"), repeated: strings.HasSuffix(word, "...")}
		p.kind = kindOf(strings.TrimRight(word, "?."))
		params = append(params, p)
	}
	return params, kindOf(strings.TrimSpace(s[end+1:]))
}

func kindOf(word string) Kind {
	for _, k := range []Kind{Text, HTML, Integer, Number, Boolean, Time, List, Map} {
		if kindWord(k) == word {
			return k
		}
	}
	return Any
}

// call checks a function call against its signature.
func (c *checker) call(n *ast.CallNode) code {
	callee, ok := n.Callee.(*ast.IdentifierNode)
	if !ok {
		return c.method(n)
	}
	f := functionNamed(callee.Value)
	if f == nil || f.loop {
		return c.unknownFunction(callee)
	}
	params, result := parseSignature(f.Signature)
	args := make([]code, len(n.Arguments))
	before := c.composes
	for i, a := range n.Arguments {
		args[i] = c.visit(a)
	}
	c.composes = before || f.composes(args, c.composes)
	if !c.checkCount(n, f, params) || !c.checkTypes(n, f, params, args) {
		return wrong()
	}
	if f.check != nil {
		f.check(c, n, args)
	}
	if f.build != nil {
		return f.build(c, n, args)
	}
	out := f.result(params, result, args)
	do := f.do
	if f.prepare != nil {
		do = f.prepare(args)
	}
	return code{shape: out, do: func(r *run) any {
		values, ok := r.arguments(params, args)
		if !ok {
			return nil
		}
		return do(r, values)
	}}
}

// composes tells whether a call puts values together to a text that shows them; inside: whether its arguments do.
func (f *function) composes(args []code, inside bool) bool {
	switch f.Name {
	case "sha256":
		return false // the digest shows none of them
	case "join", "replace":
		return true
	case "string":
		return inside || len(args) > 0 && (args[0].shape.kind == List || args[0].shape.kind == Map || args[0].shape.isAny())
	}
	return inside
}

// result is the type of a call with these arguments.
func (f *function) result(params []param, kind Kind, args []code) shape {
	out := shape{kind: kind, absent: f.partial, empty: f.empties == mayBeEmpty || f.empties == asFirst && args[0].shape.empty}
	for i, a := range args {
		out.absent = out.absent || a.shape.absent || a.shape.isAny() && paramAt(params, i).kind != Any
	}
	if f.shape != nil {
		out = f.shape(out, args)
	}
	return out
}

func paramAt(params []param, i int) param { return params[min(i, len(params)-1)] }

// arguments evaluates what a function gets. It is false if one is absent or of the wrong type: then there is no result.
func (r *run) arguments(params []param, args []code) ([]any, bool) {
	values := make([]any, len(args))
	for i, a := range args {
		v, ok := coerce(paramAt(params, i).kind, a.eval(r))
		if !ok {
			return nil, false
		}
		if s, isText := v.(string); isText && !r.spend(len(s)/32) {
			return nil, false
		}
		values[i] = v
	}
	return values, !r.over
}

// coerce turns a value into what a parameter takes.
func coerce(k Kind, v any) (any, bool) {
	if v == nil {
		return nil, false
	}
	switch k {
	case Text:
		return coerced(asText(v))
	case Integer:
		return coerced(toInt(v))
	case Number:
		_, ok := asNumber(v)
		return v, ok
	case Boolean:
		return coerced(as[bool](v))
	case Time:
		return coerced(as[time.Time](v))
	case List:
		return coerced(as[[]any](v))
	case Map:
		if _, ok := v.(map[string]any); ok {
			return v, true
		}
		rec, _ := recordOf(v)
		return v, rec != nil
	}
	return v, true
}

func coerced[T any](v T, ok bool) (any, bool) { return v, ok }

func as[T any](v any) (T, bool) {
	out, ok := v.(T)
	return out, ok
}

func (c *checker) method(n *ast.CallNode) code {
	m, ok := n.Callee.(*ast.MemberNode)
	if !ok {
		return c.fail(n, "write the name of a function in front of the parenthesis", "this cannot be called")
	}
	name := ""
	if key, ok := m.Property.(*ast.StringNode); ok {
		name = key.Value
	}
	base, ok := pathOf(m.Node)
	if !ok {
		base = "…"
	}
	hint := ""
	switch {
	case slices.Contains(countWords(), name):
		hint = fmt.Sprintf("write len(%s)", base)
	case slices.Contains(textOperators(), name):
		hint = fmt.Sprintf("write %s %s …", base, name)
	case functionNamed(name) != nil:
		hint = fmt.Sprintf("write %s(%s)", name, base)
	}
	c.at(m.Property.Location(), hint, "values have no methods")
	return wrong()
}

func (c *checker) unknownFunction(n *ast.IdentifierNode) code {
	if n.Value == "env" || n.Value == "file" {
		return c.settingsOnly(n)
	}
	if hint, ok := switchedOff[n.Value]; ok {
		return c.fail(n, hint, "function %q is not available", n.Value)
	}
	near := didYouMean(n.Value, functionNames())
	return c.fail(n, unlessNear(near, functionNames()), "unknown function %q%s", n.Value, near)
}

func (c *checker) checkCount(n *ast.CallNode, f *function, params []param) bool {
	least, most := 0, len(params)
	for _, p := range params {
		if !p.optional {
			least++
		}
		if p.repeated {
			most = len(n.Arguments)
		}
	}
	switch got := len(n.Arguments); {
	case got < least:
		c.at(n.Location(), "call it as "+f.Signature, "not enough arguments to call %s", f.Name)
	case got > most:
		c.at(startOf(n.Arguments[most]), "call it as "+f.Signature, "too many arguments to call %s", f.Name)
	default:
		return true
	}
	return false
}

func (c *checker) checkTypes(n *ast.CallNode, f *function, params []param, args []code) bool {
	ok := true
	for i, a := range args {
		want := paramAt(params, i).kind
		if a.null && !f.nils || !a.shape.takes(want) {
			c.fail(n.Arguments[i], "call it as "+f.Signature, "cannot use %s as argument (type %s) to call %s", a.word(), kindWord(want), f.Name)
			ok = false
		}
	}
	return ok
}

// loop builds what has a body that runs for every item. Bodies that are absent count by three-valued logic in any, all,
// none and one, and as no match in filter, find, findIndex and count.
func (c *checker) loop(n *ast.BuiltinNode) code {
	f := functionNamed(n.Name)
	if f == nil {
		c.at(n.Location(), switchedOff[n.Name], "function %q is not available", n.Name)
		return wrong()
	}
	list := c.visit(n.Arguments[0])
	if !list.shape.takes(List) || list.null {
		return c.fail(n.Arguments[0], "call it as "+f.Signature, "cannot use %s as argument (type list) to call %s", list.word(), f.Name)
	}
	depth := len(c.loops)
	body := code{shape: list.shape.items(), do: func(r *run) any { return r.item[depth] }}
	if len(n.Arguments) > 1 {
		if len(n.Arguments) > 2 {
			return c.fail(n.Arguments[2], "call it as "+f.Signature, "too many arguments to call %s", f.Name)
		}
		predicate, ok := n.Arguments[1].(*ast.PredicateNode)
		if !ok {
			return c.fail(n.Arguments[1], "call it as "+f.Signature, "%s needs a condition", f.Name)
		}
		c.loops, c.longLoops = append(c.loops, list.shape.items().orAbsent(true)), append(c.longLoops, c.long(n.Arguments[0]))
		body = c.visit(predicate.Node)
		c.loops, c.longLoops = c.loops[:depth], c.longLoops[:depth]
		if n.Name != "map" && n.Name != "sum" {
			c.wantBool(predicate.Node, body)
		}
	}
	if n.Name == "sum" && !body.shape.takes(Number) {
		return c.fail(n.Arguments[len(n.Arguments)-1], "name a number of each item: sum(list, .number)", "sum adds numbers, but got %s", body.shape)
	}
	each := func(r *run, visit func(i int, item, v any) bool) bool {
		items, ok := list.eval(r).([]any)
		if !ok {
			return false
		}
		for i, it := range items {
			r.item[depth], r.index[depth] = it, i
			v := body.eval(r)
			if r.over {
				return false
			}
			if !visit(i, it, v) {
				break
			}
		}
		return true
	}
	do, out := loopResult(n.Name, list.shape, body.shape)
	return code{shape: out, do: func(r *run) any { return do(r, func(visit func(int, any, any) bool) bool { return each(r, visit) }) }}
}

// items runs a loop: visit gets each item with the value of the body, and ends the loop by returning false. It tells
// whether there was a list.
type items func(visit func(i int, item, v any) bool) bool

func loopResult(name string, list, body shape) (func(*run, items) any, shape) {
	truth := shape{kind: Boolean, absent: list.unsure() || body.unsure()}
	switch name {
	case "any":
		return anyOf, truth
	case "none":
		return func(r *run, each items) any { return not(anyOf(r, each)) }, truth
	case "all":
		return allOf, truth
	case "one":
		return oneOf, truth
	case "find":
		return func(_ *run, each items) any { item, _ := first(each); return item }, list.items().orAbsent(true)
	case "findIndex":
		return func(_ *run, each items) any { _, i := first(each); return i }, shape{kind: Integer, absent: true}
	case "filter":
		return filtered, shape{kind: List, elem: list.elem, absent: list.unsure()}
	case "map":
		body.absent = false
		return mapped, shape{kind: List, elem: &body, absent: list.unsure()}
	case "count":
		return counted, shape{kind: Integer, absent: list.unsure(), most: counted32}
	}
	kind := Number
	if body.kind == Integer {
		kind = Integer
	}
	return summed, shape{kind: kind, absent: list.unsure() || body.isAny()}
}

func anyOf(_ *run, each items) any {
	var out any = false
	if !each(func(_ int, _, v any) bool { out = or(out, v); return out != true }) {
		return nil
	}
	return out
}

func allOf(_ *run, each items) any {
	var out any = true
	if !each(func(_ int, _, v any) bool { out = and(out, v); return out != false }) {
		return nil
	}
	return out
}

func oneOf(_ *run, each items) any {
	yes, unknown := 0, false
	ok := each(func(_ int, _, v any) bool {
		if v == true {
			yes++
		} else if v != false {
			unknown = true
		}
		return yes < 2
	})
	if !ok || unknown && yes < 2 {
		return nil
	}
	return yes == 1
}

func first(each items) (item, index any) {
	each(func(i int, it, v any) bool {
		if v == true {
			item, index = it, int64(i)
		}
		return v != true
	})
	return item, index
}

func filtered(r *run, each items) any {
	out := []any{}
	ok := each(func(_ int, it, v any) bool {
		if v == true {
			out = append(out, it)
		}
		return r.spend(1)
	})
	if !ok {
		return nil
	}
	return out
}

func mapped(r *run, each items) any {
	out := []any{}
	ok := each(func(_ int, _, v any) bool {
		if v != nil {
			out = append(out, v)
		}
		return r.spend(3)
	})
	if !ok {
		return nil
	}
	return slices.Clip(out)
}

func counted(_ *run, each items) any {
	n := int64(0)
	ok := each(func(_ int, _, v any) bool {
		if v == true {
			n++
		}
		return true
	})
	if !ok {
		return nil
	}
	return n
}

// summed adds what is there; anything but numbers makes the sum absent.
func summed(r *run, each items) any {
	var sum any = int64(0)
	ok := each(func(_ int, _, v any) bool {
		if v == nil {
			return true
		}
		if _, isNumber := asNumber(v); !isNumber {
			sum = nil
			return false
		}
		sum = r.add(sum, v)
		return sum != nil
	})
	if !ok {
		return nil
	}
	return sum
}
