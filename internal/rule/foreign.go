// This file knows what people write who know another language better, and says how it is written here.

package rule

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/expr-lang/expr/ast"
)

// foreign is one way of another language. It is looked for in what cannot be read, outside of quotes.
type foreign struct {
	pattern *regexp.Regexp // the first group is what is pointed at
	say     func(found string) (text, hint string)
}

func fixed(text, hint string) func(string) (string, string) {
	return func(string) (string, string) { return text, hint }
}

// foreigners are in the order in which they are looked for: what holds another comes first.
var foreigners = []foreign{
	{regexp.MustCompile(`(=~|~=|!~)`), func(found string) (string, string) {
		if found == "!~" {
			return `"!~" is no operator`, `write not (… matches …): not (question matches "(?i)refund")`
		}
		return fmt.Sprintf("%q is no operator", found), `write matches: question matches "(?i)refund"`
	}},
	{regexp.MustCompile(`([\pL_][\pL\pN_]*\s*(?:=>|->))`), func(found string) (string, string) {
		name := strings.TrimSpace(strings.TrimRight(found, "=->"))
		return fmt.Sprintf("%q is not needed", found), fmt.Sprintf(`leave it out, and write .text for %s.text: any(messages, .role == "bot")`, name)
	}},
	{regexp.MustCompile(`(?i)\b(is\s+not\s+(?:null|nil|none|empty))\b`), fixed(`"is not" is no operator`, `write != nil; of a text, which is empty where there is none, != ""`)},
	{regexp.MustCompile(`(?i)\b(is\s+(?:null|nil|none|empty))\b`), fixed(`"is" is no operator`, `write == nil; of a text, which is empty where there is none, == ""`)},
	{regexp.MustCompile(`(?i)\b((?:not\s+)?i?like)\b`), fixed(`"like" is no operator`, `write contains "part", or matches with a regular expression: question matches "(?i)refund"`)},
	{regexp.MustCompile(`\b(AND|OR|NOT|IN|And|Or|Not)\b`), func(found string) (string, string) {
		return fmt.Sprintf("unexpected %q", found), "write it in lower case: " + strings.ToLower(found)
	}},
	{regexp.MustCompile(`(<>)`), fixed(`"<>" is no operator`, "write !=")},
	{regexp.MustCompile(`(?:^|[(,!&|?:]|\b(?:and|or|not))\s*((?:contains|startsWith|endsWith|matches)\s*\()`), func(found string) (string, string) {
		word := strings.TrimRight(found, " \t\n(")
		return fmt.Sprintf("%q is no function", word), fmt.Sprintf("write it between the two: a %s b", word)
	}},
	{regexp.MustCompile(`(?:^|[^\pL\pN_.])(\d+(?:ms|s|m|h|d|min)\b)`), func(found string) (string, string) {
		return fmt.Sprintf("%q is no number", found), "durations are numbers of seconds: write " + inSeconds(found)
	}},
}

// inSeconds writes 5m as 300.
func inSeconds(duration string) string {
	digits := strings.TrimRight(duration, "mshdin")
	n, err := strconv.ParseInt(digits, 10, 32)
	if err != nil {
		return "the seconds"
	}
	if unit := duration[len(digits):]; unit != "ms" {
		return strconv.FormatInt(n*map[string]int64{"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400}[unit], 10)
	}
	return strconv.FormatFloat(float64(n)/1000, 'f', -1, 64)
}

// reportForeign reports the first way of another language in an expression that cannot be read. It is false if there is
// none.
func reportForeign(r *report) bool {
	outside := make([]byte, len(r.src))
	for i := range outside {
		outside[i] = '_'
	}
	scan(r.src, func(i int, c byte) bool { outside[i] = c; return true })
	for _, f := range foreigners {
		if m := f.pattern.FindSubmatchIndex(outside); m != nil {
			text, hint := f.say(r.src[m[2]:m[3]])
			r.span(m[2], m[3], hint, text)
			return true
		}
	}
	return false
}

// countWords is how other languages call the number of items.
func countWords() []string { return []string{"length", "size", "count", "len"} }

// textOperators stand between two texts.
func textOperators() []string { return []string{"contains", "startsWith", "endsWith", "matches"} }

// unquoted reports names on one side of a comparison that are a value of the other: outcome == missed. It is false if
// there is none.
func (c *checker) unquoted(side, other ast.Node) bool {
	switch other.(type) {
	case *ast.IdentifierNode, *ast.MemberNode:
	default:
		return false
	}
	names := []ast.Node{side}
	if list, ok := side.(*ast.ArrayNode); ok {
		names = list.Nodes
	}
	found := false
	for _, n := range names {
		name, ok := n.(*ast.IdentifierNode)
		var f *field
		if ok {
			f = conversation().root.fields[name.Value]
		}
		if !ok || f != nil && f.shape.kind != Map || slices.ContainsFunc(c.lets, func(l let) bool { return l.name == name.Value }) {
			continue
		}
		quiet := *c
		quiet.report = &report{src: c.src}
		values := quiet.visit(other).shape.enum
		switch near := didYouMean(name.Value, values); {
		case slices.Contains(values, name.Value):
			found = true
			c.fail(name, "put quotes around a text: "+strconv.Quote(name.Value), "%s without quotes is no text", name.Value)
		case f == nil && near != "":
			found = true
			c.fail(name, "put quotes around a text", "unknown field %q%s", name.Value, near)
		}
	}
	return found
}
