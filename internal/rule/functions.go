// This file is the table of functions. A signature is read by the checker, an example is run by a test, and the
// documentation is made from both, so that none of them can be wrong alone.

package rule

import (
	"math"

	"github.com/expr-lang/expr/ast"
)

// Function is a function as documentation shows it.
type Function struct {
	Name      string
	Signature string // name(param type, optional type?, repeated type...) result
	Doc       string
	Example   Example
}

// Example is an expression and the text that it renders to.
type Example struct{ Expr, Result string }

// Functions lists every function in the order of the documentation.
func Functions() []Function {
	var out []Function
	for _, f := range table {
		out = append(out, f.Function)
	}
	return out
}

// emptiness says when a text result may be "".
type emptiness int

const (
	neverEmpty emptiness = iota
	mayBeEmpty
	asFirst // if the first argument is
)

// function is a Function with what it does.
type function struct {
	Function
	loop    bool // has a body that runs for each item; see call.go
	partial bool // may be absent although every argument is there
	nils    bool // takes nil
	empties emptiness
	do      func(r *run, args []any) any
	shape   func(out shape, args []code) shape                  // refines the type of the result
	check   func(c *checker, n *ast.CallNode, args []code)      // looks at literal arguments
	prepare func(args []code) func(r *run, args []any) any      // makes do when the literal arguments are known
	build   func(c *checker, n *ast.CallNode, args []code) code // instead of all of it
}

func doc(signature, text, expr, result string) Function {
	name := signature[:indexByte(signature, '(')]
	return Function{Name: name, Signature: signature, Doc: text, Example: Example{expr, result}}
}

func indexByte(s string, c byte) int {
	for i := range len(s) {
		if s[i] == c {
			return i
		}
	}
	return len(s)
}

func functionNamed(name string) *function {
	for i := range table {
		if table[i].Name == name {
			return &table[i]
		}
	}
	return nil
}

func functionNames() []string {
	names := make([]string, len(table))
	for i := range table {
		names[i] = table[i].Name
	}
	return names
}

// noSubstitute is for functions without one.
const noSubstitute = "leave it to the target: nothing here does the same"

// switchedOff are functions of expr that are not part of the language, with what to write instead.
var switchedOff = map[string]string{
	"reduce":        "use sum, count, join or filter",
	"repeat":        noSubstitute,
	"now":           "use received_at, the time at which the hook arrived",
	"toJSON":        "use string(…), which writes lists and maps as JSON",
	"fromJSON":      noSubstitute,
	"toBase64":      noSubstitute,
	"fromBase64":    noSubstitute,
	"timezone":      "give date a zone: date(started_at, \"HH:mm\", \"Europe/Prague\")",
	"duration":      "write the difference, which is in seconds: ended_at - started_at > 300",
	"findLast":      "write last(filter(…))",
	"findLastIndex": noSubstitute,
	"groupBy":       noSubstitute,
	"sortBy":        "use the list as it is: messages and pages are in the order of their times",
	"sort":          "use the list as it is: messages and pages are in the order of their times",
	"toPairs":       noSubstitute,
	"fromPairs":     noSubstitute,
	"get":           "write value[key]; a missing key is absent",
	"type":          noSubstitute,
}

// table is fixed; nothing writes to it.
var table = []function{
	{
		Function: doc("coalesce(values any...) any", `The first value that is neither absent nor "".`, `coalesce(visitor.phone, visitor.email, "unknown")`, "jana@example.com"),
		nils:     true, build: func(_ *checker, _ *ast.CallNode, args []code) code { return coalesce(args) },
	},
	{
		Function: doc("lookup(table string, key any, default any?) any", "The value of a key in a table under lookups, else the default, else absent.", `lookup("brand_id", brand, 0)`, "360001234567"),
		build:    buildLookup,
	},
	{
		Function: doc("mentions(where any, words string...) bool", "Whether messages, a list of texts or a text hold one of the words or phrases: whole words, in any case.", `mentions(messages, "refund", "money back")`, "true"),
		check:    checkMentions, do: mentions, shape: looseFirst,
	},
	{Function: doc("any(list, condition) bool", "Whether the condition holds for at least one item. Inside, .name is a field of the item and # the item.", `any(messages, .role == "bot")`, "true"), loop: true},
	{Function: doc("all(list, condition) bool", "Whether it holds for every item.", `all(agents, .name != "")`, "true"), loop: true},
	{Function: doc("none(list, condition) bool", "Whether it holds for no item.", `none(messages, .text contains "invoice")`, "true"), loop: true},
	{Function: doc("one(list, condition) bool", "Whether it holds for exactly one item.", `one(agents, .name == "Petr")`, "true"), loop: true},
	{Function: doc("find(list, condition) any", "The first item for which it holds.", `find(messages, .role == "visitor").text`, "Hello, I want a refund"), loop: true},
	{Function: doc("findIndex(list, condition) int", "The place of that item, from 0.", `findIndex(messages, .role == "visitor")`, "1"), loop: true},
	{Function: doc("filter(list, condition) list", "The items for which it holds.", `len(filter(messages, .role == "agent"))`, "2"), loop: true},
	{Function: doc("map(list, value) list", "The value for each item; absent ones are left out.", `map(agents, .name) | join(", ")`, "Petr, Eva"), loop: true},
	{Function: doc("count(list, condition) int", "How many items it holds for; without a condition, how many items are true.", `count(messages, .role == "visitor")`, "2"), loop: true},
	{Function: doc("sum(list, value) number", "The sum of the values, or of the items.", `sum([1, 2, 3.5])`, "6.5"), loop: true},
	{
		Function: doc("len(value any) int", "How many characters a text has, or items a list or a map.", `len(messages)`, "5"),
		check:    checkLen, do: length, shape: counting,
	},
	{
		Function: doc("first(list list) any", "The first item.", `first(messages).role`, "bot"), partial: true, shape: itemShape,
		do: func(_ *run, a []any) any { return item(a[0].([]any), 0) },
	},
	{
		Function: doc("last(list list) any", "The last item.", `last(messages).role`, "visitor"), partial: true, shape: itemShape,
		do: func(_ *run, a []any) any { return item(a[0].([]any), -1) },
	},
	{
		Function: doc("keys(map map) list", "The keys of a map, sorted; of a part of the conversation, as declared.", `keys(visitor.vars) | join(", ")`, "order, plan, vip"),
		do:       keys, shape: func(out shape, _ []code) shape { out.elem = &shape{kind: Text, empty: true}; return out },
	},
	{Function: doc("values(map map) list", "The values of a map in the order of its keys.", `len(values(visitor.vars))`, "3"), do: values},
	{Function: doc("join(list list, separator string?) string", "The items as one text; absent ones are left out.", `join(["a", "b"], "-")`, "a-b"), empties: mayBeEmpty, do: join},
	{
		Function: doc("split(text string, separator string, limit int?) list", "The pieces of a text between separators, at most limit.", `split("a,b,c", ",")[1]`, "b"),
		check:    literalWithin(2, 1, math.MaxInt64), do: splitText, shape: func(out shape, args []code) shape {
			out.elem = &shape{kind: Text, empty: true}
			return dynamic(2)(out, args)
		},
	},
	{Function: doc("trim(text string, characters string?) string", "The text without white space, or those characters, at both ends.", `trim("  Hello ")`, "Hello"), empties: mayBeEmpty, do: trim},
	{Function: doc("lower(text string) string", "The text in lower case.", `lower("ACME")`, "acme"), empties: asFirst, do: lower},
	{Function: doc("upper(text string) string", "The text in upper case.", `upper(language)`, "EN"), empties: asFirst, do: upper},
	{Function: doc("replace(text string, old string, new string) string", "The text with every old replaced.", `replace("a-b", "-", "+")`, "a+b"), empties: mayBeEmpty, do: replace},
	{
		Function: doc("truncate(text string, limit int) string", "At most limit characters; a longer text ends with …, which counts.", `truncate("A long question", 8)`, "A long …"),
		empties:  asFirst, check: literalWithin(1, 1, math.MaxInt64), do: truncate, shape: dynamic(1),
	},
	{
		Function: doc("between(text string, before string, after string) string", "What stands between two marks, trimmed; absent unless both are there.", `between("Order #12345, please", "#", ",")`, "12345"),
		partial:  true, empties: mayBeEmpty, do: between,
	},
	{Function: doc("slug(text string) string", "Lower-case letters and digits with single dashes between; accents of Latin letters are dropped.", `slug("Příliš žluťoučký kůň!")`, "prilis-zlutoucky-kun"), empties: mayBeEmpty, do: slug},
	{
		Function: doc("plural(n number, one string, other string) string", "The one word for 1, else the other.", `plural(len(messages), "message", "messages")`, "messages"), empties: mayBeEmpty,
		do: plural,
	},
	{Function: doc("mask(text string, keep int?) string", "Stars for all but the last keep characters (4); of an e-mail address the first character and the domain stay.", `mask(visitor.email)`, "j***@example.com"), empties: asFirst, do: mask},
	{Function: doc("sha256(text string) string", "The SHA-256 of the text in lower-case hexadecimal.", `sha256("abc")[0:8]`, "ba7816bf"), do: sha256Hex},
	{
		Function: doc("phone(text string, country string?) string", "The telephone number as + and digits. A number without country prefix needs the country in two letters; absent if it is no number.", `phone("0171 123 4567", "DE")`, "+491711234567"),
		partial:  true, do: phone,
	},
	{Function: doc("html(text string) html", "The text escaped for HTML, as HTML.", `html("a < b")`, "a &lt; b"), empties: asFirst, do: toHTML},
	{Function: doc("strip_html(text string) string", "The text without markup; paragraphs and breaks become line breaks.", `strip_html("<p>Hi <b>you</b></p>")`, "Hi you"), empties: mayBeEmpty, do: stripHTML},
	{Function: doc("markdown(text string) string", "The text escaped for Markdown, so that it shows as written.", `markdown("*not bold*")`, `\*not bold\*`), empties: asFirst, do: markdown},
	{
		Function: doc("date(when any, layout string?, zone string?) string", "A time, or RFC 3339 text, as text. The layout is written with YYYY MM DD HH mm ss and the like, or as in Go; the zone is an IANA name (UTC).", `date(started_at, "DD.MM.YYYY HH:mm", "Europe/Prague")`, "03.11.2026 10:00"),
		partial:  true, check: checkDate, prepare: date, shape: dateShape,
	},
	{Function: doc("round(x number, digits int?) number", "To the nearest number with so many digits after the point (0), halves away from zero.", `round(2.45, 1)`, "2.5"), check: literalWithin(1, 0, mostDigits), do: round, shape: dynamic(1)},
	{Function: doc("floor(x number) number", "The next lower whole number.", `floor(2.7)`, "2"), do: floor},
	{Function: doc("ceil(x number) number", "The next higher whole number.", `ceil(2.1)`, "3"), do: ceil},
	{Function: doc("abs(x number) number", "The number without its sign.", `abs(-5)`, "5"), do: abs},
	{Function: doc("min(values any...) number", "The smallest number of several, or of a list.", `min(3, 1, 2)`, "1"), partial: true, check: checkNumbers, do: minimum},
	{Function: doc("max(values any...) number", "The largest number of several, or of a list.", `max([3, 1, 2])`, "3"), partial: true, check: checkNumbers, do: maximum},
	{Function: doc("int(value any) int", "A number or the digits of a text as a whole number; a fraction is dropped.", `int("42") + 1`, "43"), partial: true, do: toInteger, shape: sureNumber},
	{Function: doc("float(value any) number", "A number or the digits of a text as a number.", `float("2.50")`, "2.5"), partial: true, do: toFloat, shape: sureNumber},
	{Function: doc("string(value any) string", "The value as text; lists and maps as JSON.", `"rated " + string(rating)`, "rated 2"), empties: asFirst, do: toText},
}
