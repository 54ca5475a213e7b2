// This file keeps secrets out of what problems show: the values of secret settings, and on lines that nobody could
// understand, whatever stands behind a key that sounds like a secret.

package config

import (
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/afterchat/afterchat/config/secret"
)

// masks is what must not be shown.
type masks struct {
	spans []span   // of the file
	texts []string // anywhere
}

// leastMasked is the length from which a secret's text is masked inside messages too. Shorter ones would mask letters
// of ordinary words; messages do not quote secrets in the first place.
const leastMasked = 6

// hide notes a scalar that may not be shown. A reference to a variable or file is no secret in itself.
func (m *masks) hide(f *file, n *node) {
	if !isReference(f.text[n.at.from:n.at.to]) {
		m.spans = append(m.spans, n.at)
	}
	for _, text := range []string{n.text, n.yaml.Value} {
		if len(text) >= leastMasked && !strings.HasSuffix(text, "://") && !isReference(text) && !slices.Contains(m.texts, text) {
			m.texts = append(m.texts, text)
		}
	}
}

// hideAll notes every scalar below a node.
func (m *masks) hideAll(f *file, n *node) {
	if n.kind == scalarKind {
		if !n.isNull() && !isReference(f.text[n.at.from:n.at.to]) {
			m.spans = append(m.spans, n.at)
		}
		return
	}
	for _, item := range n.items {
		m.hideAll(f, item)
	}
	for _, e := range n.entries {
		m.hideAll(f, e.value)
	}
}

var reference = regexp.MustCompile(`^\$\{\s*(env\.\w+|file\(\s*("[^"]*"|'[^']*')\s*\))\s*\}$`)

// isReference tells whether a scalar, in quotes or not, is nothing but ${env.NAME} or ${file("…")}.
func isReference(s string) bool {
	if before, _, commented := strings.Cut(s, " #"); commented {
		s = before // a quote that the comment is in is not closed, so what is left does not match
	}
	s = strings.TrimSpace(s)
	if len(s) > 1 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		s = s[1 : len(s)-1]
	}
	return reference.MatchString(s)
}

// text masks secrets in a message.
func (m *masks) text(s string) string {
	for _, t := range m.texts {
		s = strings.ReplaceAll(s, t, secret.Mask)
	}
	return s
}

var (
	sensitive = regexp.MustCompile(`(?i)(?:^|[\s{,\-])["']?[\w-]*(?:secret|token|passw|passphrase|pwd|api[_-]?key|` +
		`private[_-]?key|signing[_-]?key|authorization|bearer|credential|webhook)[\w-]*["']?(?:\s*:\s*|\s+(["']))`)
	address   = regexp.MustCompile(`(?i)(?:^|[\s{,\-])["']?[\w-]*url["']?\s*:.*?\bhttps?://[^/?\s'",}]*[/?]([^\s'"]*)`)
	headers   = regexp.MustCompile(`(?i)(?:^|[\s{,\-])["']?headers["']?\s*:?\s*\{`)
	inBraces  = regexp.MustCompile(`^[\s,]*(?:'[^']*'|"[^"]*"|[^\s:'"]+)\s*:\s*`)
	entryKey  = regexp.MustCompile(`^\s*(?:- +)?["']?[\w-]+["']?\s*:\s*`)
	userinfo  = regexp.MustCompile(`://[^/@\s'"]+@`)
	wholeText = regexp.MustCompile(`^(?:'(?:[^']|'')*'|"(?:[^"\\]|\\.)*")\s*[,}]`)
)

// lexical returns what sounds like a secret on a line: what stands behind the key, up to the next key of a mapping in
// braces; the path of an address; what stands below headers of a target.
func lexical(f *file, line span) []span {
	text := f.text[line.from:line.to]
	var out []span
	hide := func(from, to int) {
		if from < to {
			out = append(out, span{line.from + from, line.from + to})
		}
	}
	for _, m := range sensitive.FindAllStringSubmatchIndex(text, -1) {
		from := m[1]
		if m[2] >= 0 {
			from = m[2] // no colon: the quote belongs to the value
		}
		value := valueAt(text, from)
		switch {
		case value == "" || isReference(value) || strings.HasPrefix(value, "{"):
		case strings.HasPrefix(value, "["):
			hide(from+1, from+len(strings.TrimRight(value, "]")))
		default:
			hide(from, from+len(value))
		}
	}
	for _, m := range userinfo.FindAllStringIndex(text, -1) {
		hide(m[0]+3, m[1]-1)
	}
	if m := address.FindStringSubmatchIndex(text); m != nil {
		hide(m[2], m[2]+len(strings.TrimRight(text[m[2]:m[3]], ",}")))
	}
	if m := headers.FindStringIndex(text); m != nil && inTargets(f, line.from) {
		for at := m[1]; ; {
			key := inBraces.FindStringIndex(text[at:])
			if key == nil {
				break
			}
			at += key[1]
			value := valueAt(text, at)
			if !isReference(value) {
				hide(at, at+len(value))
			}
			if at += len(value); strings.HasPrefix(text[at:], "}") {
				break
			}
		}
	}
	out = append(out, below(f, line)...)
	return out
}

// valueAt returns the value that begins at a byte of a line: in braces up to the next key, if it can be told where that
// is, else the rest of the line.
func valueAt(text string, from int) string {
	value := text[from:]
	if !strings.Contains(text[:from], "{") {
		return strings.TrimRight(value, " ")
	}
	if m := wholeText.FindStringIndex(value); m != nil {
		return strings.TrimRight(value[:m[1]-1], " ")
	}
	if strings.HasPrefix(value, "'") || strings.HasPrefix(value, `"`) {
		return strings.TrimRight(value, " }")
	}
	value, _, _ = strings.Cut(value, ", ")
	for strings.HasSuffix(value, "}") && strings.Count(value, "}") > strings.Count(value, "{") {
		value = strings.TrimSuffix(value, "}")
	}
	return strings.TrimRight(value, " ")
}

// below hides items of a list below a key that sounds like a secret, and the values of headers of a target.
func below(f *file, line span) []span {
	text := f.text[line.from:line.to]
	item := strings.TrimLeft(text, " \t")
	parent, _ := above(f, line.from, len(text)-len(item), strings.HasPrefix(item, "- "))
	key := entryKey.FindString(parent)
	switch {
	case strings.HasPrefix(item, "- ") && sensitive.MatchString(parent):
		return []span{{line.to - len(item) + 2, line.to}}
	case strings.Contains(strings.ToLower(key), "headers") && strings.TrimSpace(parent[len(key):]) == "" && inTargets(f, line.from):
		if own := entryKey.FindString(text); own != "" && !isReference(text[len(own):]) {
			return []span{{line.from + len(own), line.to}}
		}
	}
	return nil
}

// above returns the line that a line belongs to: the nearest one that is indented less, for an item of a list the nearest
// one that is none.
func above(f *file, at, indent int, item bool) (text string, found bool) {
	for at > 0 {
		line := f.bounds(at - 1)
		at = line.from
		text = f.text[line.from:line.to]
		rest := strings.TrimLeft(text, " \t")
		isItem := strings.HasPrefix(rest, "- ")
		switch {
		case rest == "" || strings.HasPrefix(rest, "#"):
		case item && !isItem, !item && len(text)-len(rest) < indent:
			return text, true
		}
	}
	return "", false
}

// inTargets tells whether a line stands in the section of targets, whose headers are settings and not mapped.
func inTargets(f *file, at int) bool {
	for at > 0 {
		line := f.bounds(at - 1)
		at = line.from
		if text := f.text[line.from:line.to]; text != "" && !strings.ContainsAny(text[:1], " \t#-}") {
			return strings.HasPrefix(text, "targets")
		}
	}
	return false
}

// line returns the masked line around a byte, shortened if it is very long, and where in it the caret and how wide it
// is, in characters.
func (m *masks) line(f *file, at, width int) (text string, caret, shown int) {
	b := f.bounds(at)
	at = min(max(at, b.from), b.to)
	hidden := append(lexical(f, b), m.spans...)
	slices.SortFunc(hidden, func(x, y span) int { return x.from - y.from })
	var out strings.Builder
	caret, shown = -1, width
	pos := b.from
	for _, h := range hidden {
		from, to := max(h.from, pos), min(h.to, b.to)
		if from >= to {
			continue
		}
		if caret < 0 && at < from {
			caret = utf8.RuneCountInString(out.String() + f.text[pos:at])
		}
		out.WriteString(f.text[pos:from])
		if caret < 0 && at < to {
			caret, shown = utf8.RuneCountInString(out.String()), len(secret.Mask)
		}
		out.WriteString(secret.Mask)
		pos = to
	}
	if caret < 0 {
		caret = utf8.RuneCountInString(out.String() + f.text[pos:max(pos, at)])
	}
	out.WriteString(f.text[pos:b.to])
	return window(out.String(), caret, shown)
}

// Longest part of a line that is shown, and how much of it stands before the caret.
const (
	shownLine = 160
	shownLead = 80
)

// window shortens a line to the part around the caret.
func window(text string, caret, width int) (string, int, int) {
	text = printable(text)
	runes := []rune(text)
	if len(runes) > shownLine {
		from := max(0, min(caret-shownLead, len(runes)-shownLine))
		runes = runes[from:min(from+shownLine, len(runes))]
		caret -= from
		text = string(runes)
	}
	return text, caret, max(1, min(width, len(runes)-caret))
}

// printable replaces control characters, one for one: a file must not steer a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\t' && (r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069) {
			return utf8.RuneError
		}
		return r
	}, s)
}
