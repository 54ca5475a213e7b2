// This file cuts a note into parts that HubSpot takes, each well-formed, and knows its parts again.

package hubspot

import (
	"fmt"
	"html"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	nethtml "golang.org/x/net/html"
)

// room is what a part needs beside its piece of the note: the line that numbers it and the markup of the marker.
const room = 128

// compose makes the bodies of the notes, of at most limit characters: the markup in as many parts as it needs, each with
// its marker as last line.
func compose(markup, object string, limit int) []string {
	start := html.EscapeString(markerStart(object))
	pieces := split(markup, limit-room-units(start))
	out := make([]string, len(pieces))
	for i, piece := range pieces {
		head := ""
		if len(pieces) > 1 {
			head = fmt.Sprintf("<p><i>Part %d of %d</i></p>\n", i+1, len(pieces))
		}
		out[i] = head + piece + "\n<p><small>" + html.EscapeString(marker(object, i+1, len(pieces))) + "</small></p>"
	}
	return out
}

// markerStart is what the markers of all parts begin with.
func markerStart(object string) string {
	return "afterchat:" + strings.TrimPrefix(object, "afterchat:") + ":"
}

var (
	tag       = regexp.MustCompile(`<[^>]*>`)
	markerEnd = regexp.MustCompile(`^([1-9][0-9]{0,5})/[1-9][0-9]{0,5}$`)
)

// numberOf reads a note's marker: which part of object's note it is. What a person wrote before the last line does not
// count, whatever it looks like. HubSpot may have rewritten the markup around it.
func numberOf(body, object string) (int, bool) {
	at := strings.LastIndex(body, "afterchat:")
	if at < 0 {
		return 0, false
	}
	line := strings.TrimSpace(html.UnescapeString(tag.ReplaceAllString(body[at:], "")))
	rest, ok := strings.CutPrefix(line, markerStart(object))
	if !ok {
		return 0, false
	}
	match := markerEnd.FindStringSubmatch(rest)
	if match == nil {
		return 0, false
	}
	n, err := strconv.Atoi(match[1])
	return n, err == nil
}

// units counts characters as HubSpot's limit may mean them at the strictest: UTF-16 code units.
func units(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r > 0xffff {
			n++
		}
	}
	return n
}

// split cuts markup into pieces of at most limit characters. It cuts between elements that stand side by side at the
// top, and where one of them is too long by itself, within it: between tags or words, closing what is open and opening
// it again. There is at least one piece.
func split(markup string, limit int) []string {
	if units(markup) <= limit {
		return []string{markup}
	}
	s := &splitter{limit: limit}
	z := nethtml.NewTokenizer(strings.NewReader(markup))
	var block []token
	depth := 0
	for {
		kind := z.Next()
		if kind == nethtml.ErrorToken { // the end; a reader of text has no other error
			break
		}
		t := token{raw: string(z.Raw()), kind: kind}
		if name, _ := z.TagName(); kind != nethtml.TextToken {
			t.name = string(name)
		}
		block = append(block, t)
		switch {
		case t.opens():
			depth++
		case kind == nethtml.EndTagToken:
			depth = max(depth-1, 0)
		}
		if depth == 0 {
			s.block(block)
			block = nil
		}
	}
	s.block(block)
	s.flush()
	if len(s.pieces) == 0 { // a tag without an end is all there is
		return []string{""}
	}
	return s.pieces
}

// token is a tag or a text, as it stands in the markup.
type token struct {
	raw  string
	kind nethtml.TokenType
	name string
}

// opens tells whether the token opens an element that has an end.
func (t token) opens() bool {
	if t.kind != nethtml.StartTagToken {
		return false
	}
	switch t.name {
	case "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr":
		return false
	}
	return true
}

// splitter collects pieces.
type splitter struct {
	limit  int
	pieces []string
	piece  strings.Builder
	used   int     // of limit, without the end tags of open
	open   []token // start tags without their end
	filled bool    // the piece has more than the tags that were opened again
}

// block adds an element with all that is in it: whole if it fits into a piece, else token by token.
func (s *splitter) block(tokens []token) {
	size := 0
	for _, t := range tokens {
		size += units(t.raw)
	}
	if size > s.limit-s.used {
		s.flush()
	}
	for _, t := range tokens {
		if t.kind == nethtml.TextToken {
			s.text(t.raw)
			continue
		}
		s.tag(t)
	}
}

// tag adds a tag. One that alone is longer than a piece, such as an image written into its address, is left out.
func (s *splitter) tag(t token) {
	closing := 0
	if t.opens() {
		closing = len(t.name) + len("</>")
	}
	if size := units(t.raw) + closing; s.used+size+s.closing() > s.limit && t.kind != nethtml.EndTagToken {
		s.flush()
		if s.used+size+s.closing() > s.limit {
			return
		}
	}
	if t.kind == nethtml.EndTagToken {
		s.end(t)
		return
	}
	s.add(t.raw)
	if t.opens() {
		s.open = append(s.open, t)
	}
}

// end closes the element that t names, and what is open within it. An end without a beginning is left out.
func (s *splitter) end(t token) {
	for i, begun := range slices.Backward(s.open) {
		if begun.name != t.name {
			continue
		}
		for _, inner := range slices.Backward(s.open[i:]) {
			s.add("</" + inner.name + ">")
		}
		s.open = s.open[:i]
		return
	}
}

// text adds text in as many pieces as it needs, never cutting a word that fits, nor an entity, nor a character.
func (s *splitter) text(raw string) {
	for raw != "" {
		left := s.limit - s.used - s.closing()
		if units(raw) <= left {
			s.add(raw)
			return
		}
		end := cut(raw, left)
		if end == 0 {
			if !s.filled { // not even one character beside the open tags, which no mapping makes
				s.open = nil
			}
			s.flush()
			continue
		}
		s.add(raw[:end])
		raw = raw[end:]
		s.flush()
	}
}

// cut returns how many bytes of raw are at most limit characters, and end well: after white space, else before an
// entity or a character that does not fit.
func cut(raw string, limit int) int {
	end, used, space, entity := 0, 0, 0, -1
	for end < len(raw) {
		r, size := utf8.DecodeRuneInString(raw[end:])
		cost := 1
		if r > 0xffff {
			cost = 2
		}
		if used+cost > limit {
			break
		}
		switch {
		case r == '&':
			entity = end
		case r == ';' || end-entity > 32:
			entity = -1
		}
		used, end = used+cost, end+size
		if r == ' ' || r == '\n' {
			space, entity = end, -1
		}
	}
	if space > end/2 {
		return space
	}
	if entity > 0 {
		return entity
	}
	return end
}

func (s *splitter) add(raw string) {
	s.piece.WriteString(raw)
	s.used += units(raw)
	s.filled = true
}

// closing is the length of the end tags that the piece needs.
func (s *splitter) closing() int {
	n := 0
	for _, t := range s.open {
		n += len("</>") + len(t.name)
	}
	return n
}

// flush ends the piece and begins the next one with what is open.
func (s *splitter) flush() {
	if !s.filled {
		s.piece.Reset()
		s.used = 0
	} else {
		for _, begun := range slices.Backward(s.open) {
			s.piece.WriteString("</" + begun.name + ">")
		}
		s.pieces = append(s.pieces, strings.Trim(s.piece.String(), "\n"))
		s.piece.Reset()
		s.used = 0
	}
	for _, t := range s.open {
		s.add(t.raw)
	}
	s.filled = false
}
