// This file finds places: the byte offset of a YAML node, of a byte inside a quoted or block scalar, and the line and
// column of a byte.

package config

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// file is the text of a configuration: of all its files, one after the other, each without a byte order mark. An offset
// into it names a place in one of them. The last one is the file that is being read.
type file struct {
	text  string
	parts []part
	lines []int // offsets of line starts as YAML counts lines, of the last part
	last  place // where offset looked last: it is mostly asked for places in order
}

// part is one file.
type part struct {
	name string
	from int // where it starts in the whole text
}

// place is a position as YAML counts and its offset.
type place struct{ line, column, at int }

// span is a piece of a file, in bytes.
type span struct{ from, to int }

func newFile(name string, text []byte) *file {
	f := &file{}
	f.append(name, text)
	return f
}

// append adds a file, which is the one that is being read from now on. A line feed stands between two files, so that
// the end of one is not the beginning of the other.
func (f *file) append(name string, text []byte) {
	if len(f.parts) > 0 {
		f.text += "\n"
	}
	f.parts = append(f.parts, part{name, len(f.text)})
	f.lines, f.last = []int{len(f.text)}, place{}
	f.text += string(bytes.TrimPrefix(text, []byte("\ufeff")))
	for i := f.start(); i < len(f.text); {
		n := breakAt(f.text, i)
		if n == 0 {
			i++
			continue
		}
		i += n
		f.lines = append(f.lines, i)
	}
}

// start is where the file that is being read starts, current its text, and top its first character.
func (f *file) start() int      { return f.parts[len(f.parts)-1].from }
func (f *file) current() string { return f.text[f.start():] }
func (f *file) top() span       { return span{f.start(), f.start() + 1} }

// partAt returns the file that an offset is in.
func (f *file) partAt(at int) part {
	i := len(f.parts) - 1
	for i > 0 && f.parts[i].from > at {
		i--
	}
	return f.parts[i]
}

// where writes a place as messages do: file:line:col.
func (f *file) where(s span) string {
	line, column, _ := f.position(s)
	return fmt.Sprintf("%s:%d:%d", f.partAt(s.from).name, line, column)
}

// breakAt returns the length of the line break at i, 0 if there is none. YAML 1.1 knows five of them, see
// https://yaml.org/spec/1.1/#id871136.
func breakAt(s string, i int) int {
	rest := s[i:]
	switch {
	case strings.HasPrefix(rest, "\r\n"):
		return 2
	case rest != "" && (rest[0] == '\n' || rest[0] == '\r'):
		return 1
	case strings.HasPrefix(rest, "\u0085"):
		return 2
	case strings.HasPrefix(rest, "\u2028"), strings.HasPrefix(rest, "\u2029"):
		return 3
	}
	return 0
}

// offset returns the byte offset of a position as YAML counts: line from 1, column from 1 in characters.
func (f *file) offset(line, column int) int {
	if line < 1 || line > len(f.lines) {
		return len(f.text)
	}
	p := place{line, 1, f.lines[line-1]}
	if f.last.line == line && f.last.column <= column {
		p = f.last
	}
	for p.column < column && p.at < len(f.text) {
		_, n := utf8.DecodeRuneInString(f.text[p.at:])
		p.at += n
		p.column++
	}
	f.last = p
	return p.at
}

// bounds returns the line around an offset, as people count lines: without its line feed.
func (f *file) bounds(at int) span {
	at = min(max(at, 0), len(f.text))
	from := strings.LastIndexByte(f.text[:at], '\n') + 1
	to := len(f.text)
	if i := strings.IndexByte(f.text[at:], '\n'); i >= 0 {
		to = at + i
	}
	for to > from && f.text[to-1] == '\r' {
		to--
	}
	return span{from, to}
}

// position returns line and column from 1 and the width within the line, all in characters.
func (f *file) position(s span) (line, column, width int) {
	at := min(max(s.from, 0), len(f.text))
	b := f.bounds(at)
	line = 1 + strings.Count(f.text[min(f.partAt(at).from, b.from):b.from], "\n")
	column = 1 + utf8.RuneCountInString(f.text[b.from:at])
	width = 1
	if to := min(s.to, b.to); to > at {
		width = utf8.RuneCountInString(strings.TrimRight(f.text[at:to], " \t"))
	}
	return line, column, max(width, 1)
}

// properties splits what may stand before a node's own text: an anchor and a tag. It returns where the node's text
// starts and where the tag is, if there is one.
func (f *file) properties(n *yaml.Node) (start int, tag span) {
	at := f.offset(n.Line, n.Column)
	if n.Kind == yaml.AliasNode {
		return at, tag
	}
	for at < len(f.text) && (f.text[at] == '&' || f.text[at] == '!') {
		end := at
		for end < len(f.text) && !strings.ContainsRune(" \t\r\n", rune(f.text[end])) {
			end++
		}
		if f.text[at] == '!' {
			tag = span{at, end}
		}
		for end < len(f.text) && strings.ContainsRune(" \t\r\n", rune(f.text[end])) {
			end++
		}
		at = end
	}
	return at, tag
}

// scalarOffsets returns the byte offset in the file of every byte of a scalar's value and of its end. It returns nil
// if source and value cannot be brought together; the caller then points at the whole scalar.
func scalarOffsets(text string, start int, n *yaml.Node) []int {
	s := aligner{text: text, at: start, value: n.Value, out: make([]int, 0, len(n.Value)+1)}
	ok := false
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		ok = s.quoted('"')
	case n.Style&yaml.SingleQuotedStyle != 0:
		ok = s.quoted('\'')
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		ok = s.block()
	default:
		ok = s.flow(func() bool { return false })
	}
	if !ok || len(s.out) != len(n.Value) {
		return nil
	}
	return append(s.out, s.at)
}

// aligner walks a scalar's source and its value at once.
type aligner struct {
	text  string
	at    int
	value string
	out   []int
}

// done tells whether the whole value was found.
func (s *aligner) done() bool { return len(s.out) >= len(s.value) }

// next is the byte of the value that is looked for.
func (s *aligner) next() byte { return s.value[len(s.out)] }

// take matches one byte.
func (s *aligner) take() bool {
	if s.done() || s.at >= len(s.text) || s.text[s.at] != s.next() {
		return false
	}
	s.out = append(s.out, s.at)
	s.at++
	return true
}

// quoted matches a scalar in quotes.
func (s *aligner) quoted(quote byte) bool {
	if s.at >= len(s.text) || s.text[s.at] != quote {
		return false
	}
	s.at++
	if quote == '\'' {
		return s.flow(func() bool {
			if !strings.HasPrefix(s.text[s.at:], "''") {
				return false
			}
			s.out = append(s.out, s.at)
			s.at += 2
			return true
		})
	}
	return s.flow(s.escape)
}

// flow matches plain and quoted text, whose line breaks fold; special matches what is written unlike its value.
func (s *aligner) flow(special func() bool) bool {
	for !s.done() {
		if special() {
			continue
		}
		if end, breaks := s.fold(); breaks > 0 {
			if !s.folded(end) {
				return false
			}
			continue
		}
		if !s.take() {
			return false
		}
	}
	return true
}

// fold looks for white space with line breaks in it, from here on.
func (s *aligner) fold() (end, breaks int) {
	end = s.at
	for end < len(s.text) {
		if n := breakAt(s.text, end); n > 0 {
			breaks++
			end += n
		} else if c := s.text[end]; c == ' ' || c == '\t' {
			end++
		} else {
			break
		}
	}
	return end, breaks
}

// folded matches folded white space: one space, or line feeds, or nothing after an escaped break.
func (s *aligner) folded(end int) bool {
	if s.next() == ' ' {
		s.out = append(s.out, s.at)
	} else {
		for !s.done() && s.next() == '\n' {
			s.out = append(s.out, s.at)
		}
	}
	s.at = end
	return true
}

// escape matches a backslash escape, see https://yaml.org/spec/1.1/#id872840.
func (s *aligner) escape() bool {
	if s.at+1 >= len(s.text) || s.text[s.at] != '\\' {
		return false
	}
	if breakAt(s.text, s.at+1) > 0 {
		s.at++
		end, breaks := s.fold()
		for range breaks - 1 { // the first one is escaped
			s.out = append(s.out, s.at)
		}
		s.at = end
		return true
	}
	length, digits := 1, 0
	switch s.text[s.at+1] {
	case 'x':
		digits = 2
	case 'u':
		digits = 4
	case 'U':
		digits = 8
	case 'N', '_':
		length = 2
	case 'L', 'P':
		length = 3
	}
	if digits > 0 {
		_, length = utf8.DecodeRuneInString(s.value[len(s.out):])
	}
	for range length {
		s.out = append(s.out, s.at)
	}
	s.at = min(s.at+2+digits, len(s.text))
	return true
}

// block matches literal and folded blocks. The indentation is what the first line of text has more in the file than
// in the value.
func (s *aligner) block() bool {
	s.at = s.lineEnd(s.at)
	first := s.at
	for first < len(s.text) && strings.TrimSpace(s.text[first:s.textEnd(first)]) == "" {
		first = s.lineEnd(first)
	}
	lead := spaces(s.text[min(first, len(s.text)):])
	indent := lead - spaces(strings.TrimLeft(s.value, "\n"))
	for !s.done() && s.at < len(s.text) {
		end := s.textEnd(s.at)
		for n := 0; n < indent && s.at < end && s.text[s.at] == ' '; n++ {
			s.at++
		}
		for s.at < end && !s.done() {
			if !s.take() {
				return false
			}
		}
		if !s.done() && (s.next() == '\n' || s.next() == ' ') {
			s.out = append(s.out, s.at)
		}
		s.at = s.lineEnd(s.at)
	}
	return s.done()
}

// lineEnd returns where the next line starts, textEnd where the text of this one ends.
func (s *aligner) lineEnd(at int) int {
	at = s.textEnd(at)
	if at < len(s.text) {
		at += breakAt(s.text, at)
	}
	return at
}

func (s *aligner) textEnd(at int) int {
	for at < len(s.text) && breakAt(s.text, at) == 0 {
		at++
	}
	return at
}

func spaces(s string) int { return len(s) - len(strings.TrimLeft(s, " ")) }
