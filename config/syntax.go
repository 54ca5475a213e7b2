// This file parses YAML and turns its complaints into problems: the line that is meant, and what people usually did.

package config

import (
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/afterchat/afterchat/config/secret"
)

// parse returns the root of the only document in text, nil after a problem.
func (l *loader) parse() (root *yaml.Node) {
	defer func() {
		if r := recover(); r != nil {
			root = nil
			l.add(l.file.top(), "leave out half of the file, check again, and so find the lines that it stumbles over", "the YAML parser gave up on this file: %v", r)
		}
	}()
	if len(l.file.current()) > maxBytes {
		l.add(l.file.top(), "split it into several files and name them below include:", "the file is larger than %d MiB", maxBytes>>20)
		return nil
	}
	if at, ok := invalid(l.file.current()); ok {
		at += l.file.start()
		l.add(span{at, at + 1}, "save the file as UTF-8", "this is no UTF-8 text")
		return nil
	}
	decoder := yaml.NewDecoder(strings.NewReader(l.file.current()))
	var document, second yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) || (err == nil && len(document.Content) == 0) {
		l.add(l.file.top(), "start with version: 1", "the file is empty")
		return nil
	}
	if err != nil {
		l.syntax(err)
		return nil
	}
	switch err := decoder.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		l.syntax(err)
		return nil
	default:
		at := l.file.offset(second.Line, second.Column)
		l.add(span{at, at + 3}, "afterchat reads one document; split the file or remove the line ---", "a second document starts here")
	}
	if root = document.Content[0]; root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		l.add(l.file.top(), "start with version: 1", "the file is empty")
		return nil
	}
	return root
}

// invalid finds the first byte that is not UTF-8.
func invalid(s string) (int, bool) {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(s[i:]); n <= 1 {
				return i, true
			}
		}
	}
	return 0, false
}

// trap is a usual mistake: where the parser said something and the line it named, or one beside, looks like this, this
// is what happened.
type trap struct {
	said string         // part of the parser's words
	line *regexp.Regexp // its first group is the place
	text string
	hint string
}

// inKey matches the beginning of a line up to the value of its first key, or of its list item.
const inKey = `^[ -]*(?:[^\s:'"]+|'[^']*'|"[^"]*"):\s+`

var traps = []trap{
	{
		"", regexp.MustCompile(`^ *(\t)\s*[^\s#]`),
		"a tab in front of text", "use spaces; YAML knows no tabs here",
	},
	{
		"mapping values are not allowed", regexp.MustCompile(inKey + `([^'"|>#\s][^#]*\$\{[^}]*\?[^}]* : ?.*)`),
		"YAML takes the colon for the end of a key", "put single quotes around the value, or write it below a |-",
	},
	{
		"mapping values are not allowed", regexp.MustCompile(inKey + `([^'"|>#\s].*: .*)`),
		"YAML takes the second colon for the end of a key", "put single quotes around the value",
	},
	{
		"expected ',' or", regexp.MustCompile(`[{,\[][^'"]*?(\$\{)`),
		"${ } inside { } or [ ] needs quotes", "put single quotes around the value",
	},
	{
		"cannot start any token", regexp.MustCompile("(?:^[ -]*|[:,{\\[]\\s*)([@`%])"),
		"a value cannot start with this character", "put single quotes around the value",
	},
	{
		"unknown escape character", regexp.MustCompile(`("[^"]*\\[^0abt\tnvfre "\\N_LPxuU])`),
		"a backslash in double quotes starts an escape", "use single quotes, in which a backslash is a backslash",
	},
	{
		"expected", regexp.MustCompile(`[:\-]\s+('(?:[^']|\'\')*'[^\s,}\]#:].*)`),
		"text goes on behind the closing quote", "write a quote inside single quotes twice, as ''",
	},
	{
		"expected", regexp.MustCompile(`[:\-]\s+((?:"[^"]*"|'(?:[^']|\'\')*')\s*[^\s#,}\]:].*)`),
		"text goes on behind the closing quote", "put single quotes around the whole value",
	},
	{
		"unexpected end of stream", regexp.MustCompile(`[:,{\[\-]\s*(['"].*)`),
		"a quote is opened and not closed", "write the same quote at the end of the text",
	},
}

var complaint = regexp.MustCompile(`^yaml: (?:line (\d+): )?(?s:(.*))$`)

// syntax reports what the parser said. It names a line only, at times the one before or after, and no column.
func (l *loader) syntax(err error) {
	m := complaint.FindStringSubmatch(err.Error())
	if m == nil {
		l.add(l.file.top(), yamlHint, "%s", err)
		return
	}
	line, _ := strconv.Atoi(m[1])
	text := m[2]
	if strings.HasPrefix(text, "did not find expected") {
		line++ // the parser counts from 0 here, its scanner from 1
	}
	if name, ok := strings.CutPrefix(text, "unknown anchor '"); ok {
		name, _, _ = strings.Cut(name, "'")
		if at := strings.Index(l.file.current(), "*"+name); at >= 0 {
			at += l.file.start()
			if l.file.sounds(span{at, at + 1 + len(name)}) {
				name = secret.Mask
			}
			l.add(span{at, at + 1 + len(name)}, "define the anchor with & further up, or put quotes around the text", "unknown anchor %q", name)
			return
		}
	}
	if at, ok := control(l.file.current()); ok && strings.Contains(text, "control character") {
		at += l.file.start()
		l.add(span{at, at + 1}, "remove it, or write it as an escape in double quotes, such as \"\\x01\"", "a control character, which YAML does not allow")
		return
	}
	for _, n := range []int{line, line + 1, line - 1} {
		if l.trapped(n, text) {
			return
		}
	}
	if strings.Contains(text, "did not find expected key") || strings.Contains(text, "'-' indicator") {
		if at, ok := misindented(l.file); ok {
			l.add(span{at, at + 1}, "indent it as far as the keys or items that it belongs to", "this line stands between two levels of indentation")
			return
		}
	}
	b := l.file.bounds(l.file.lines[min(max(line, 1), len(l.file.lines))-1])
	from := b.from + spaces(l.file.text[b.from:b.to])
	l.add(span{from, max(b.to, from+1)}, hintFor(text), "YAML: %s", text)
}

const yamlHint = "check colons, quotes, brackets and indentation there and in the line above"

// hintFor says what to do about words of the parser that no trap knows.
func hintFor(said string) string {
	switch {
	case strings.Contains(said, "',' or ']'"):
		return "close the list with ], or put a comma between its items"
	case strings.Contains(said, "',' or '}'"):
		return "close the braces with }, or put a comma between the keys"
	case strings.Contains(said, "could not find expected ':'"):
		return "write a colon and a space behind the key"
	}
	return yamlHint
}

// trapped looks for a usual mistake on a line.
func (l *loader) trapped(line int, said string) bool {
	if line < 1 || line > len(l.file.lines) {
		return false
	}
	b := l.file.bounds(l.file.lines[line-1])
	for _, t := range traps {
		if !strings.Contains(said, t.said) {
			continue
		}
		if g := t.line.FindStringSubmatchIndex(l.file.text[b.from:b.to]); g != nil {
			l.add(span{b.from + g[2], b.from + g[3]}, t.hint, "%s", t.text)
			return true
		}
	}
	return false
}

// misindented finds the first line whose indentation is that of no level that it could belong to.
func misindented(f *file) (at int, found bool) {
	levels := []int{0}
	block := -1 // indentation of the key whose block of text is being passed over
	for _, start := range f.lines {
		b := f.bounds(start)
		line := f.text[b.from:b.to]
		rest := strings.TrimLeft(line, " ")
		indent := len(line) - len(rest)
		if rest == "" || rest[0] == '#' || (block >= 0 && indent > block) {
			continue
		}
		block = -1
		for levels[len(levels)-1] > indent {
			levels = levels[:len(levels)-1]
			if levels[len(levels)-1] < indent {
				return b.from + indent, true
			}
		}
		for levels[len(levels)-1] < indent || strings.HasPrefix(rest, "- ") {
			if levels[len(levels)-1] < indent {
				levels = append(levels, indent)
			}
			if !strings.HasPrefix(rest, "- ") {
				break
			}
			inner := strings.TrimLeft(rest[1:], " ")
			indent += len(rest) - len(inner)
			rest = inner
		}
		if opensBlock.MatchString(line) {
			block = levels[len(levels)-1]
		}
	}
	return 0, false
}

var opensBlock = regexp.MustCompile(`[|>][-+0-9]*\s*(#.*)?$`)

func control(s string) (int, bool) {
	for i, r := range s {
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f || r == 0xfffe || r == 0xffff {
			return i, true
		}
	}
	return 0, false
}
