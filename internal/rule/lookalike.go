// This file finds what other tools write for ${ } in the text of a template: {{ visitor.name }}, $visitor.name and
// their like. It would be sent as it stands, which nobody wants.

package rule

import (
	"fmt"
	"regexp"
	"strings"
)

// name is how a name of the conversation is written, without items of lists.
const name = `([a-z][a-z0-9_]*(?:\.[a-zA-Z][a-zA-Z0-9_]*)*)`

// lookalikes are the ways of other languages. A name stands in the first group, or in the one after it.
var lookalikes = regexp.MustCompile(`\{\{\{?-?\s*` + name + `[^{}]*\}\}\}?|[%#]?\{\s*` + name + `\s*\}|\$` + name)

// receiptID is what the type http writes for the receipt's id in paths. It is no name of the conversation there.
const receiptID = "{id}"

// Lookalikes reports each part of a template's literal text that another language would replace by a value of the
// conversation. A text that only looks similar, such as a price, a JSON object or another system's placeholder, names
// nothing of a conversation and is none. Offsets are those in src.
func Lookalikes(src string) []Problem {
	var problems []Problem
	masked := maskExpressions(src)
	for _, m := range lookalikes.FindAllStringSubmatchIndex(masked, -1) {
		found, path := masked[m[0]:m[1]], ""
		for g := 2; g < len(m); g += 2 {
			if m[g] >= 0 {
				path = masked[m[g]:m[g+1]]
			}
		}
		if found == receiptID || !names(path) {
			continue
		}
		problems = append(problems, Problem{
			Offset: m[0], Length: m[1] - m[0], Text: fmt.Sprintf("%s is sent as it stands, not as a value", found),
			Hint: fmt.Sprintf(`write ${%s}; for the text itself write ${"%s"}`, path, strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(found)),
		})
	}
	return problems
}

// maskExpressions returns src with everything in ${ }, and what $${ stands before, replaced byte for byte by spaces.
func maskExpressions(src string) string {
	out := []byte(src)
	for i := 0; i < len(src); {
		start := i
		switch {
		case strings.HasPrefix(src[i:], "$${"):
			i += 3
		case strings.HasPrefix(src[i:], "${"):
			i += 2
		default:
			i++
			continue
		}
		if length := closing(src[i:]); length >= 0 {
			i += length + 1
		} else {
			i = len(src) // it is a mistake of its own
		}
		for at := start; at < i; at++ {
			out[at] = ' '
		}
	}
	return string(out)
}

// names tells whether a path leads to something in a conversation.
func names(path string) bool {
	first, rest, more := strings.Cut(path, ".")
	at := shape{kind: Map, record: conversation().root}
	if first != "conversation" {
		rest, more = path, true
	}
	for more {
		first, rest, more = strings.Cut(rest, ".")
		switch {
		case at.record != nil:
			f, ok := at.record.fields[first]
			if !ok {
				return false
			}
			at = f.shape
		case at.kind == Map || at.isAny():
			return true
		default:
			return false
		}
	}
	return true
}
