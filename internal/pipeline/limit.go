// This file cuts what is longer than a target takes. A cut is marked in the text itself and reported, and it never
// splits what a reader sees as one character, nor an element of markup.

package pipeline

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// cutMark ends a text that was cut.
const cutMark = " […]"

// length is what a limit counts: bytes of UTF-8 or characters.
func length(s string, bytes bool) int {
	if bytes {
		return len(s)
	}
	return utf8.RuneCountInString(s)
}

// cutText returns s if it is within limit, else its beginning and the mark, together within limit.
func cutText(s string, limit int, bytes bool) (string, bool) {
	if limit <= 0 || len(s) <= limit || length(s, bytes) <= limit {
		return s, false
	}
	mark := cutMark
	room := limit - length(mark, bytes)
	if room < 1 {
		mark, room = "", limit
	}
	if head := beginning(s, room, bytes); head != "" {
		if short := strings.TrimRightFunc(head, unicode.IsSpace) + mark; short != "" {
			return short, true
		}
		return head, true // what was there is not made absent
	}
	if head := beginning(s, limit, bytes); head != "" {
		return head, true
	}
	return prefix(s, limit, bytes), true // one character is longer than the limit
}

// beginning returns as much of s as fits into room, without splitting a character.
func beginning(s string, room int, bytes bool) string {
	head := prefix(s, room, bytes)
	return s[:boundary(s, len(head))]
}

// prefix returns as many whole runes of s as fit into room.
func prefix(s string, room int, bytes bool) string {
	end, used := 0, 0
	for end < len(s) {
		_, size := utf8.DecodeRuneInString(s[end:])
		cost := 1
		if bytes {
			cost = size
		}
		if used+cost > room {
			break
		}
		used += cost
		end += size
	}
	return s[:end]
}

// joined bounds how many runes a cut moves back to find the start of a character; longer ones are nobody's writing.
const joined = 32

// boundary moves end, an offset between two runes, back to where a new character begins: not before a combining mark, a
// variation selector or a skin tone, not at a joiner, not between the two letters of a flag.
func boundary(s string, end int) int {
	at := end
	for range joined {
		if at <= 0 || at >= len(s) {
			return at
		}
		next, _ := utf8.DecodeRuneInString(s[at:])
		last, size := utf8.DecodeLastRuneInString(s[:at])
		if !extends(next) && last != '\u200d' && !splitsFlag(s[:at], next) && (last != '\r' || next != '\n') {
			return at
		}
		at -= size
	}
	return end
}

func extends(r rune) bool {
	return unicode.In(r, unicode.Mn, unicode.Me, unicode.Mc) || r == '\u200d' || 0x1f3fb <= r && r <= 0x1f3ff || 0xe0020 <= r && r <= 0xe007f
}

// splitsFlag tells whether next is the second letter of a flag that begins at the end of s.
func splitsFlag(s string, next rune) bool {
	if !isRegional(next) {
		return false
	}
	odd := false
	for range joined {
		r, size := utf8.DecodeLastRuneInString(s)
		if !isRegional(r) {
			break
		}
		odd, s = !odd, s[:len(s)-size]
	}
	return odd
}

func isRegional(r rune) bool { return 0x1f1e6 <= r && r <= 0x1f1ff }

// cutHTML returns s if it has at most limit bytes, else its beginning, the mark and the end tags of what is open then,
// together within limit. Text is cut between words, tags and entities stay whole.
func cutHTML(s string, limit int) (string, bool) {
	if limit <= 0 || len(s) <= limit {
		return s, false
	}
	mark := cutMark
	if limit < 4*len(cutMark) {
		mark = ""
	}
	c := htmlCutter{room: limit - len(mark)}
	z := html.NewTokenizer(strings.NewReader(s))
	for c.token(z) {
	}
	return strings.TrimRightFunc(c.kept.String(), unicode.IsSpace) + mark + c.endTags(), true
}

// htmlCutter collects tokens as long as they and the end tags that they need fit into room.
type htmlCutter struct {
	room    int
	kept    strings.Builder
	open    []string
	closing int // bytes of the end tags
}

// token adds the next token and tells whether there may be room for more.
func (c *htmlCutter) token(z *html.Tokenizer) bool {
	kind := z.Next()
	raw := string(z.Raw())
	free := c.room - c.kept.Len() - c.closing
	switch kind {
	case html.ErrorToken:
		return false
	case html.EndTagToken:
		if c.end(tagName(z)) {
			return true
		}
	case html.TextToken:
		if len(raw) > free {
			c.kept.WriteString(cutMarkupText(raw, free))
			return false
		}
	case html.StartTagToken:
		if name := tagName(z); !isVoid(name) {
			tag := endTag(name)
			if len(raw)+len(tag) > free {
				return false
			}
			c.open, c.closing = append(c.open, name), c.closing+len(tag)
		}
	case html.SelfClosingTagToken, html.CommentToken, html.DoctypeToken:
	}
	if len(raw) > free {
		return false
	}
	c.kept.WriteString(raw)
	return true
}

// end closes the innermost element of that name and what was left open in it, if there is one. There is room: it was
// kept free.
func (c *htmlCutter) end(name string) bool {
	i := len(c.open) - 1
	for i >= 0 && c.open[i] != name {
		i--
	}
	if i < 0 {
		return false
	}
	for len(c.open) > i {
		last := len(c.open) - 1
		tag := endTag(c.open[last])
		c.kept.WriteString(tag)
		c.closing -= len(tag)
		c.open = c.open[:last]
	}
	return true
}

// endTags returns the end tags of everything that is open.
func (c *htmlCutter) endTags() string {
	var tags strings.Builder
	for _, name := range slices.Backward(c.open) {
		tags.WriteString(endTag(name))
	}
	return tags.String()
}

func endTag(name string) string { return "</" + name + ">" }

func tagName(z *html.Tokenizer) string {
	name, _ := z.TagName()
	return string(name)
}

// isVoid tells whether an element has no end tag (HTML, 13.1.2).
func isVoid(name string) bool {
	return slices.Contains([]string{"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"}, name)
}

// cutMarkupText returns as much of a text token as fits into room, up to the last word if that loses little, and never
// half an entity.
func cutMarkupText(raw string, room int) string {
	head := beginning(raw, room, true)
	if amp := strings.LastIndexByte(head, '&'); amp >= 0 && len(head)-amp < 32 && !strings.Contains(head[amp:], ";") {
		head = head[:amp]
	}
	if blank := strings.LastIndexAny(head, " \n\t"); blank >= 0 && len(head)-blank < 24 {
		head = head[:blank]
	}
	return head
}
