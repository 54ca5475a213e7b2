// This file turns the markup that the vendor's widget may leave in a text into plain text: line breaks from tags,
// links kept, entities decoded once. What is not surely a tag stays as it was written, so no text is lost.

package proprofs

import (
	"html"
	"strings"
	"unicode"

	"github.com/afterchat/afterchat/internal/chat"
)

// The limits of what is taken for a tag or an entity. They keep the scan linear.
const (
	maxTag    = 4096
	maxEntity = 32
)

// plain returns s without markup.
func plain(s string) string {
	if !strings.ContainsAny(s, "<&") {
		return s
	}
	p := plainer{}
	for len(s) > 0 {
		next := strings.IndexAny(s, "<&")
		if next < 0 {
			break
		}
		p.out.WriteString(s[:next])
		s = s[next:]
		if s[0] == '&' {
			text, n := entity(s)
			p.out.WriteString(text)
			s = s[n:]
			continue
		}
		if t, n := readTag(s); n > 0 {
			p.tag(t)
			s = s[n:]
			continue
		}
		p.out.WriteByte('<')
		s = s[1:]
	}
	p.out.WriteString(s)
	p.tag(tag{name: "a", closing: true})
	return chat.Clean(p.out.String())
}

// plainLine is plain for names.
func plainLine(s string) string {
	if line := chat.CleanLine(plain(s)); line != "" {
		return line
	}
	return s
}

// entity decodes the entity that s begins with; n bytes of s are done. Only entities with their semicolon count, for
// a web address may hold &copy=1.
func entity(s string) (text string, n int) {
	end := strings.IndexByte(s[:min(len(s), maxEntity)], ';')
	if end < 0 {
		return "&", 1
	}
	text = html.UnescapeString(s[:end+1])
	if text == s[:end+1] {
		return "&", 1
	}
	if text == "\u00a0" {
		text = " "
	}
	return text, end + 1
}

// plainer collects the text.
type plainer struct {
	out  strings.Builder
	href string // of the link that is open
	from int    // where its text starts
}

// tag writes what a tag means in plain text.
func (p *plainer) tag(t tag) {
	switch elements[t.name] {
	case lineBreak:
		p.out.WriteByte('\n')
	case block:
		if text := p.out.String(); text != "" && !strings.HasSuffix(text, "\n") {
			p.out.WriteByte('\n')
		}
	case cell:
		if t.closing {
			p.out.WriteByte(' ')
		}
	case link:
		if p.href != "" && !sameLink(p.out.String()[p.from:], p.href) {
			p.out.WriteString(" (" + p.href + ")")
		}
		p.href, p.from = decode(t.attributes["href"]), p.out.Len()
	case media:
		for _, a := range []string{"alt", "src"} {
			if value := decode(t.attributes[a]); value != "" {
				p.out.WriteString(" " + value + " ")
			}
		}
	}
}

func decode(attribute string) string { return strings.TrimSpace(html.UnescapeString(attribute)) }

// sameLink tells whether a link's text says where it goes.
func sameLink(text, href string) bool {
	text = strings.TrimSpace(text)
	return text == href || "mailto:"+text == href || "tel:"+text == href ||
		strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(href, "https://"), "http://"), "/") == strings.TrimSuffix(text, "/")
}

// The kinds of elements.
const (
	inline = iota + 1
	lineBreak
	block
	cell
	link
	media
)

// elements are the tags that are taken for markup; any other "<x" is what somebody wrote.
var elements = map[string]int{
	"b": inline, "i": inline, "u": inline, "s": inline, "em": inline, "strong": inline, "small": inline, "span": inline,
	"font": inline, "big": inline, "sub": inline, "sup": inline, "code": inline, "mark": inline, "label": inline, "del": inline,
	"ins": inline, "strike": inline, "center": inline, "tbody": inline, "thead": inline, "html": inline, "body": inline,
	"br": lineBreak,
	"p":  block, "div": block, "li": block, "ul": block, "ol": block, "tr": block, "table": block, "hr": block, "pre": block,
	"h1": block, "h2": block, "h3": block, "h4": block, "h5": block, "h6": block, "blockquote": block,
	"td": cell, "th": cell,
	"a":   link,
	"img": media, "video": media, "audio": media, "source": media, "iframe": media, "embed": media,
}

type tag struct {
	name       string
	closing    bool
	attributes map[string]string
}

// readTag reads the tag that s begins with; n is its length, 0 if s begins with none: with no known element, or with
// words in it that are no attributes.
func readTag(s string) (t tag, n int) {
	s = s[:min(len(s), maxTag)]
	rest := s[1:]
	rest, t.closing = strings.CutPrefix(rest, "/")
	name := leading(rest, func(r rune) bool { return r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r)) })
	if t.name = strings.ToLower(name); elements[t.name] == 0 {
		return tag{}, 0
	}
	rest = rest[len(name):]
	for {
		trimmed := strings.TrimLeft(rest, " \t\n/")
		if strings.HasPrefix(trimmed, ">") {
			return t, len(s) - len(trimmed) + 1
		}
		if len(trimmed) == len(rest) {
			return tag{}, 0
		}
		key, value, after, ok := readAttribute(trimmed)
		if !ok {
			return tag{}, 0
		}
		if key == "href" || key == "src" || key == "alt" {
			if t.attributes == nil {
				t.attributes = map[string]string{}
			}
			t.attributes[key] = value
		}
		rest = after
	}
}

// readAttribute reads name=value, name="value" or name='value'.
func readAttribute(s string) (key, value, rest string, ok bool) {
	key = leading(s, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_:.", r) })
	rest, ok = strings.CutPrefix(strings.TrimLeft(s[len(key):], " \t\n"), "=")
	if key == "" || !ok {
		return "", "", "", false
	}
	rest = strings.TrimLeft(rest, " \t\n")
	if rest != "" && (rest[0] == '"' || rest[0] == '\'') {
		value, rest, ok = strings.Cut(rest[1:], rest[:1])
		return strings.ToLower(key), value, rest, ok
	}
	value = leading(rest, func(r rune) bool { return !strings.ContainsRune(" \t\n\"'<>=`", r) })
	return strings.ToLower(key), value, rest[len(value):], value != ""
}

// leading returns the start of s whose runes all are as wanted.
func leading(s string, want func(rune) bool) string {
	for i, r := range s {
		if !want(r) {
			return s[:i]
		}
	}
	return s
}
