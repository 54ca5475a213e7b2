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
	sensitive = regexp.MustCompile(`(?i)(?:^|[\s{,\-])["']?[\w-]*(?:secret|token|passw|passphrase|pwd|api_?key|` +
		`private_?key|signing_?key|authorization|bearer|credential|webhook)[\w-]*["']?\s*:\s*`)
	userinfo = regexp.MustCompile(`://[^/@\s'"]+@`)
)

// lexical returns what sounds like a secret on a line: the rest of the line behind the key, up to the next key of a
// mapping in braces.
func lexical(f *file, line span) []span {
	text := f.text[line.from:line.to]
	var out []span
	for _, m := range sensitive.FindAllStringIndex(text, -1) {
		value := text[m[1]:]
		if strings.Contains(text[:m[0]+1], "{") {
			value, _, _ = strings.Cut(value, ", ")
			for strings.HasSuffix(value, "}") && strings.Count(value, "}") > strings.Count(value, "{") {
				value = strings.TrimSuffix(value, "}")
			}
		}
		value = strings.TrimRight(value, " ")
		if value != "" && !isReference(value) && !strings.HasPrefix(value, "{") && !strings.HasPrefix(value, "[") {
			out = append(out, span{line.from + m[1], line.from + m[1] + len(value)})
		}
		if strings.HasPrefix(value, "[") {
			out = append(out, span{line.from + m[1] + 1, line.from + m[1] + len(strings.TrimRight(value, "]"))})
		}
	}
	for _, m := range userinfo.FindAllStringIndex(text, -1) {
		out = append(out, span{line.from + m[0] + 3, line.from + m[1] - 1})
	}
	if item := strings.TrimLeft(text, " "); strings.HasPrefix(item, "- ") && underSecret(f, line.from, len(text)-len(item)) {
		out = append(out, span{line.to - len(item) + 2, line.to})
	}
	return out
}

// underSecret tells whether a list item belongs to a key that sounds like a secret.
func underSecret(f *file, at, indent int) bool {
	for at > 0 {
		line := f.bounds(at - 1)
		at = line.from
		text := f.text[line.from:line.to]
		rest := strings.TrimLeft(text, " ")
		if rest == "" || strings.HasPrefix(rest, "#") || (strings.HasPrefix(rest, "- ") && len(text)-len(rest) == indent) {
			continue
		}
		return sensitive.MatchString(text)
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
