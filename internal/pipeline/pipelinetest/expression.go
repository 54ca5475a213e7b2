// This file generates expressions from the names of a conversation and the library of functions, whatever they are
// today. Most of them pass check; those that do not are for the caller to leave out.

package pipelinetest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pgregory.net/rapid"

	"github.com/afterchat/afterchat/internal/rule"
)

// kinds are the words for types that names and signatures use.
func kinds() []string {
	return []string{"string", "int", "number", "bool", "time", "html", "list", "map", "any"}
}

// signature is a function as the generator needs it.
type signature struct {
	name     string
	params   []string // types
	optional int      // how many of the last ones may be left out
	result   string
}

// grammar is what expressions are made of.
type grammar struct {
	names     map[string][]string    // by type
	functions map[string][]signature // by type of the result
	items     map[string][]string    // what stands for the fields of an item in a loop, by list
}

// newGrammar reads names and functions from package rule.
func newGrammar() grammar {
	g := grammar{names: map[string][]string{}, functions: map[string][]signature{}, items: map[string][]string{}}
	for _, n := range rule.Names() {
		g.names[n.Type] = append(g.names[n.Type], n.Name)
		for _, list := range []string{"messages", "agents", "pages"} {
			if field, ok := strings.CutPrefix(n.Name, list+"[0]."); ok && !strings.Contains(field, ".") && !strings.Contains(field, "[") {
				g.items[list] = append(g.items[list], field)
			}
		}
	}
	g.names["any"] = append(g.names["any"], "visitor.vars.age", `visitor.vars["order id"]`, "extra.nested.x", `extra["a.b"]`, "messages[-1].extra.x")
	g.names["list"] = append(g.names["list"], "messages[0].files", "extra.nested")
	g.names["string"] = append(g.names["string"], `visitor.var_labels.age`, "messages[-1].text", "agents[7].name", "visitor.name[1:3]")
	for _, f := range rule.Functions() {
		if s, ok := parse(f); ok {
			g.functions[s.result] = append(g.functions[s.result], s)
		}
	}
	return g
}

// parse reads a signature, not ok for a loop, whose body needs an item.
func parse(f rule.Function) (signature, bool) {
	inside, result, _ := strings.Cut(f.Signature[len(f.Name)+1:], ") ")
	s := signature{name: f.Name, result: result}
	for param := range strings.SplitSeq(inside, ", ") {
		_, word, typed := strings.Cut(param, " ")
		if !typed {
			return signature{}, false
		}
		if strings.HasSuffix(word, "?") {
			s.optional++
		}
		s.params = append(s.params, strings.TrimRight(word, "?."))
	}
	return s, true
}

// Expressions generates expressions of a type, such as string, or of any for "".
func Expressions(kind string) *rapid.Generator[string] {
	g := newGrammar()
	return rapid.Custom(func(t *rapid.T) string {
		of := kind
		if of == "" {
			of = rapid.SampledFrom(kinds()).Draw(t, "type")
		}
		return g.draw(t, of, 3)
	})
}

func (g grammar) draw(t *rapid.T, kind string, depth int) string {
	way := rapid.IntRange(0, 9).Draw(t, "way")
	if depth <= 0 || way < 3 {
		return g.leaf(t, kind)
	}
	if way < 6 {
		if functions := g.functions[kind]; len(functions) > 0 {
			return g.call(t, rapid.SampledFrom(functions).Draw(t, "function"), depth)
		}
	}
	inner := func(kind string) string { return g.draw(t, kind, depth-1) }
	switch way {
	case 6:
		return fmt.Sprintf("(%s ? %s : %s)", inner("bool"), inner(kind), inner(kind))
	case 7:
		return fmt.Sprintf("coalesce(%s, %s)", inner(kind), inner(kind))
	}
	return g.operator(t, kind, inner)
}

// leaf draws a name or a literal.
func (g grammar) leaf(t *rapid.T, kind string) string {
	if names := g.names[kind]; len(names) > 0 && rapid.IntRange(0, 3).Draw(t, "literal") > 0 {
		return rapid.SampledFrom(names).Draw(t, "name")
	}
	switch kind {
	case "string":
		return strconv.Quote(rapid.SampledFrom([]string{"", "a visitor", "17", "<b>&</b>", "é😀", "low", "YYYY-MM-DD", "CZ", ",", "acme"}).Draw(t, "text"))
	case "int":
		// No sum or product of these is beyond what a whole number holds: that is absent, and no promise covers it.
		return rapid.SampledFrom([]string{"0", "1", "-1", "3", "60"}).Draw(t, "int")
	case "number":
		return rapid.SampledFrom([]string{"0", "2.5", "-0.1", "1e18", "3"}).Draw(t, "number")
	case "bool":
		return rapid.SampledFrom([]string{"true", "false", `visitor.email != ""`, "rating <= 2"}).Draw(t, "bool")
	case "time":
		return "started_at"
	case "html":
		return `html("<b>")`
	case "list":
		return rapid.SampledFrom([]string{"[]", `["a", "", "b"]`, "[1, rating]", `split("a,b", ",")`, `keys(visitor.vars)`}).Draw(t, "list")
	case "map":
		return `{"a": visitor.name, "b": rating}`
	}
	return g.leaf(t, rapid.SampledFrom([]string{"string", "int", "number", "bool", "time", "list", "map"}).Draw(t, "type"))
}

func (g grammar) call(t *rapid.T, s signature, depth int) string {
	count := len(s.params) - rapid.IntRange(0, s.optional).Draw(t, "left out")
	args := make([]string, count)
	for i := range args {
		args[i] = g.draw(t, s.params[i], depth-1)
	}
	if s.name == "date" && count > 1 { // layouts and zones are literals in practice
		args = append(args[:1], `"YYYY-MM-DD HH:mm"`, `"Europe/Prague"`)
	}
	if s.name == "lookup" {
		args[0] = `"brand_id"`
	}
	return s.name + "(" + strings.Join(args, ", ") + ")"
}

// operator draws what has no signature: operators, loops, indexes, pieces.
func (g grammar) operator(t *rapid.T, kind string, inner func(string) string) string {
	pick := func(of ...string) string { return rapid.SampledFrom(of).Draw(t, "operator") }
	switch kind {
	case "string":
		return pick(inner("string")+" + "+inner("string"), "("+inner("string")+")[0:3]", "split("+inner("string")+`, ",")[1]`, g.growing(t, inner))
	case "int":
		return "(" + inner("int") + pick(" + ", " - ", " * ", " % ") + inner("int") + ")"
	case "number":
		return "(" + inner("number") + pick(" + ", " - ", " * ", " / ", " ** ") + inner(pick("number", "int", "any")) + ")"
	case "bool":
		return g.condition(t, inner)
	case "list":
		if rapid.IntRange(0, 4).Draw(t, "growing") == 0 {
			return "split(" + g.growing(t, inner) + `, "")`
		}
		list := pick("messages", "agents", "pages")
		field := "." + rapid.SampledFrom(g.items[list]).Draw(t, "field")
		return pick("map("+list+", "+field+")", "filter("+list+", "+field+` != "x")`, "["+inner("any")+", "+inner("any")+"]", list+"[1:]")
	case "map":
		return `{"a": ` + inner("any") + `, "b": ` + inner("any") + "}"
	case "any":
		return pick("first("+inner("list")+")", inner("list")+"["+inner("int")+"]", "visitor.vars["+inner("string")+"]",
			"find(messages, .role == \"visitor\")", inner("string")+" ?? "+inner("number"))
	}
	return g.leaf(t, kind)
}

// growing draws a text that grows with the square of the conversation, or is doubled again and again.
func (g grammar) growing(t *rapid.T, inner func(string) string) string {
	text := rapid.SampledFrom([]string{"transcript.text", "string(conversation)", inner("string")}).Draw(t, "text")
	switch rapid.IntRange(0, 2).Draw(t, "growth") {
	case 0:
		return "replace(" + text + `, "", ` + text + ")"
	case 1:
		return "replace(" + text + `, " ", ` + inner("string") + " + " + text + ")"
	}
	return "(let a = " + text + "; let b = a + a; let c = b + b; let d = c + c; let e = d + d; let f = e + e; f + f)"
}

func (g grammar) condition(t *rapid.T, inner func(string) string) string {
	pick := func(of ...string) string { return rapid.SampledFrom(of).Draw(t, "condition") }
	kind := pick("string", "int", "number", "any", "time")
	switch pick("compare", "text", "logic", "not", "in", "loop", "nil") {
	case "compare":
		return "(" + inner(kind) + pick(" == ", " != ", " < ", " <= ", " > ", " >= ") + inner(kind) + ")"
	case "text":
		return "(" + inner("string") + pick(" contains ", " startsWith ", " endsWith ") + inner("string") + ")"
	case "logic":
		return "(" + inner("bool") + pick(" and ", " or ") + inner("bool") + ")"
	case "not":
		return "(not " + inner("bool") + ")"
	case "in":
		return "(" + inner("string") + pick(" in ", " not in ") + inner(pick("list", "map")) + ")"
	case "loop":
		loop := pick("any", "all", "none", "one")
		return loop + "(messages, ." + rapid.SampledFrom(g.items["messages"]).Draw(t, "field") + pick(" == ", " != ") + inner(kind) + ")"
	}
	return "(" + inner(kind) + pick(" == ", " != ") + "nil)"
}

// fits lists the types of expressions that a field of some type takes.
func fits(field string) []string {
	switch field {
	case "text", "html":
		return []string{"string", "html", "int", "number", "bool", "time", "any"}
	case "integer", "number":
		return []string{"int", "number", "any"}
	case "boolean":
		return []string{"bool", "any"}
	}
	if slices.Contains(kinds(), field) && field != "any" {
		return []string{field, "any"}
	}
	return kinds()
}
