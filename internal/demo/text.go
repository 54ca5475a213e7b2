// This file reads a comment's markup as text, so that the page shows what it says and no browser acts on it.

package demo

import (
	"strings"

	markup "golang.org/x/net/html"
)

// text is markup without its tags, with a line for each paragraph and each br. It is text still, to be escaped.
func text(comment string) string {
	var b strings.Builder
	newLine := true
	z := markup.NewTokenizer(strings.NewReader(comment))
	for {
		kind := z.Next()
		name := ""
		switch kind {
		case markup.ErrorToken:
			return strings.TrimSpace(b.String())
		case markup.TextToken:
			part := strings.NewReplacer("\r", "", "\n", " ").Replace(string(z.Text()))
			if newLine {
				part = strings.TrimLeft(part, " ")
			}
			b.WriteString(part)
			newLine = newLine && part == ""
		case markup.StartTagToken, markup.SelfClosingTagToken, markup.EndTagToken:
			tag, _ := z.TagName()
			name = string(tag)
		}
		if name == "br" || name == "p" && kind == markup.EndTagToken {
			b.WriteByte('\n')
			newLine = true
		}
	}
}
