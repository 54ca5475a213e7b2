// This file takes markup apart where messages end, and puts as much of it into a comment as Zendesk takes.

package zendesk

import (
	"html"
	"slices"
	"strings"
	"unicode/utf8"

	markup "golang.org/x/net/html"
)

// maxComment is the most bytes of UTF-8 that the body of a comment may have: 64 KiB, less one byte, for a column of that
// size ends there.
const maxComment = 64<<10 - 1

// blocks cuts markup at its outermost elements: in a transcript that is one paragraph for each message. Joined with line
// feeds the blocks are the markup again, apart from white space between them. Text outside of any element begins a block
// of its own and takes the inline elements that follow.
func blocks(text string) []string {
	var out []string
	var block strings.Builder
	end := func() {
		if b := strings.TrimSpace(block.String()); b != "" {
			out = append(out, b)
		}
		block.Reset()
	}
	var open []string
	z := markup.NewTokenizer(strings.NewReader(text))
	for {
		kind := z.Next()
		if kind == markup.ErrorToken {
			end()
			return out
		}
		raw := string(z.Raw())
		name, _ := z.TagName()
		tag := string(name)
		switch kind {
		case markup.StartTagToken:
			if len(open) == 0 && !inline(tag) {
				end()
			}
			if !void(tag) {
				open = append(open, tag)
			}
			block.WriteString(raw)
		case markup.EndTagToken:
			block.WriteString(raw)
			var closed bool
			if open, closed = without(open, tag); closed && len(open) == 0 && !inline(tag) {
				end()
			}
		default:
			block.WriteString(raw)
		}
	}
}

// without closes the innermost element of that name and what was left open in it. Without one it closes nothing.
func without(open []string, tag string) (rest []string, closed bool) {
	for i, name := range slices.Backward(open) {
		if name == tag {
			return open[:i], true
		}
	}
	return open, false
}

// inline tells whether an element goes on within a line of text, so that it ends no block.
func inline(tag string) bool {
	return slices.Contains([]string{"a", "abbr", "b", "br", "code", "em", "i", "img", "mark", "s", "small", "span", "strong", "sub", "sup", "u"}, tag)
}

// void tells whether an element has no end tag (HTML, 13.1.2).
func void(tag string) bool {
	return slices.Contains([]string{"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}, tag)
}

// fitted joins as many blocks as fit into room bytes, in order. Whole tells whether these are all. If not even the first
// one fits, its text is cut between two characters.
func fitted(list []string, room int) (text string, whole bool) {
	var b strings.Builder
	for _, block := range list {
		if b.Len()+len(block)+1 > room {
			if b.Len() == 0 {
				b.WriteString(cutBlock(block, room))
			}
			return b.String(), false
		}
		b.WriteString(block)
		b.WriteByte('\n')
	}
	return b.String(), true
}

// cutBlock returns the beginning of a block's text as a paragraph of at most room bytes.
func cutBlock(block string, room int) string {
	const before, after = "<p>", " […]</p>\n"
	if room < len(before)+len(after) {
		return ""
	}
	var b strings.Builder
	b.WriteString(before)
	room -= len(before) + len(after)
	for _, r := range plainText(block) {
		escaped := html.EscapeString(string(r))
		if r == '\n' {
			escaped = "<br>\n"
		}
		if len(escaped) > room {
			break
		}
		room -= len(escaped)
		b.WriteString(escaped)
	}
	return b.String() + after
}

// plainText is markup without its tags; a br is a line feed.
func plainText(text string) string {
	var b strings.Builder
	z := markup.NewTokenizer(strings.NewReader(text))
	for {
		switch z.Next() {
		case markup.ErrorToken:
			return b.String()
		case markup.TextToken:
			b.WriteString(strings.ReplaceAll(string(z.Text()), "\n", " "))
		case markup.StartTagToken, markup.SelfClosingTagToken:
			if name, _ := z.TagName(); string(name) == "br" {
				b.WriteByte('\n')
			}
		}
	}
}

// escape makes markup of text; line feeds stay visible.
func escape(text string) string {
	return strings.ReplaceAll(html.EscapeString(text), "\n", "<br>\n")
}

// pieces cuts text into parts of which the escaped form has at most room bytes, between two characters and, where that
// costs little, at white space.
func pieces(text string, room int) []string {
	var out []string
	for text != "" {
		end, used := 0, 0
		for end < len(text) {
			r, size := utf8.DecodeRuneInString(text[end:])
			cost := len(escape(string(r)))
			if used+cost > room {
				break
			}
			used, end = used+cost, end+size
		}
		if end < len(text) {
			if blank := strings.LastIndexAny(text[:end], " \n"); blank > end*3/4 {
				end = blank + 1
			}
		}
		if end == 0 {
			return out // room for not even one character
		}
		out = append(out, text[:end])
		text = text[end:]
	}
	return out
}
