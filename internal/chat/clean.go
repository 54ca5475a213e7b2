// This file makes text from a stranger safe to keep: valid UTF-8, without the control characters that terminals,
// databases and spreadsheets act upon. Nothing that a person can read is removed.

package chat

import (
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean returns s as valid UTF-8 without control characters other than tab and line breaks; CR LF and lone CR become LF.
func Clean(s string) string {
	clean := true
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 0x20 && c != '\n' && c != '\t' || c == 0x7f || c >= 0x80 {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return r
		case r == '\r':
			return '\n'
		case unicode.Is(unicode.Cc, r):
			return -1
		}
		return r
	}, s)
}

// CleanLine is Clean for values of one line, such as names: trimmed, every line break and tab a single space.
func CleanLine(s string) string {
	s = Clean(s)
	if strings.ContainsAny(s, "\n\t") {
		s = strings.NewReplacer("\n", " ", "\t", " ").Replace(s)
	}
	return strings.TrimSpace(s)
}

// Email reads an e-mail field: one valid address comes back trimmed and lower-cased as address; anything else comes
// back as raw, so that it is kept but never used as a key.
func Email(field string) (address, raw string) {
	field = CleanLine(field)
	if field == "" {
		return "", ""
	}
	parsed, err := mail.ParseAddress(field)
	if err != nil || parsed.Address != field || !strings.Contains(field[strings.LastIndex(field, "@"):], ".") {
		return "", field
	}
	return strings.ToLower(field), ""
}
