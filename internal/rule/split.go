// This file splits the text of a template into what stands and what is computed. Quotes and braces inside ${ } count,
// so that ${ {"a": "}"} } is one expression.

package rule

import "strings"

// part is a piece of a template: literal text, or the source of an expression.
type part struct {
	text string
	expr bool
	at   int // byte offset of text in the template
}

// split cuts src. $${ is a literal ${. An unclosed ${ is a problem.
func split(src string) ([]part, []Problem) {
	var parts []part
	var literal strings.Builder
	start := 0
	flush := func() {
		if literal.Len() > 0 {
			parts = append(parts, part{text: literal.String(), at: start})
			literal.Reset()
		}
	}
	for i := 0; i < len(src); {
		switch {
		case strings.HasPrefix(src[i:], "$${"):
			literal.WriteString("${")
			i += 3
		case strings.HasPrefix(src[i:], "${"):
			length := closing(src[i+2:])
			if length < 0 {
				return nil, []Problem{unclosed(src, i)}
			}
			flush()
			parts = append(parts, part{text: src[i+2 : i+2+length], expr: true, at: i + 2})
			i += 2 + length + 1
			start = i
		default:
			literal.WriteByte(src[i])
			i++
		}
	}
	flush()
	return parts, nil
}

func unclosed(src string, at int) Problem {
	p := Problem{Offset: at, Length: 2, Text: "${ is not closed", Hint: "close it with }, or write $${ for a plain ${"}
	if hint := unclosedHint(src[at+2:]); hint != "" {
		p.Hint = hint
	}
	if quote := openQuote(src[at+2:]); quote != "" {
		p.Hint = "the text that starts with " + quote + " is not closed"
	}
	return p
}

// openQuote returns the quote in src that is opened and not closed, or "".
func openQuote(src string) string {
	for i := 0; i < len(src); i++ {
		if c := src[i]; c == '\'' || c == '"' || c == '`' {
			if i = skipQuoted(src, i); i >= len(src) {
				return string(c)
			}
		}
	}
	return ""
}

// closing returns the offset of the } that ends the expression at the start of src, or -1.
func closing(src string) int {
	depth, found := 0, -1
	scan(src, func(i int, c byte) bool {
		switch c {
		case '{':
			depth++
		case '}':
			if depth == 0 {
				found = i
				return false
			}
			depth--
		}
		return true
	})
	return found
}

// findDollarBrace returns the offset of the first ${ outside quotes, or -1.
func findDollarBrace(src string) int {
	found := -1
	scan(src, func(i int, c byte) bool {
		if c == '$' && strings.HasPrefix(src[i:], "${") {
			found = i
		}
		return found < 0
	})
	return found
}

// scan calls visit for each byte of src outside of quotes and comments, until it returns false.
func scan(src string, visit func(i int, c byte) bool) {
	for i := 0; i < len(src); i++ {
		switch c := src[i]; {
		case c == '\'' || c == '"' || c == '`':
			i = skipQuoted(src, i)
		case strings.HasPrefix(src[i:], "//"):
			i = skipUntil(src, i, "\n")
		case strings.HasPrefix(src[i:], "/*"):
			i = skipUntil(src, i+2, "*/")
		default:
			if !visit(i, c) {
				return
			}
		}
	}
}

// skipQuoted returns the offset of the quote that closes the one at i, or the length of src.
func skipQuoted(src string, i int) int {
	quote := src[i]
	for i++; i < len(src); i++ {
		switch {
		case src[i] == quote:
			return i
		case src[i] == '\\' && quote != '`':
			i++
		}
	}
	return len(src)
}

func skipUntil(src string, i int, end string) int {
	if n := strings.Index(src[min(i, len(src)):], end); n >= 0 {
		return i + n + len(end) - 1
	}
	return len(src)
}
