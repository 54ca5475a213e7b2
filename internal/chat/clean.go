// This file makes text from a stranger safe to keep: valid UTF-8, without the control characters that terminals,
// databases and spreadsheets act upon. Nothing that a person can read is removed.

package chat

import (
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"
)

// nextLine is NEL, the line break among the C1 control characters.
const nextLine = '\u0085'

// Clean returns s as valid UTF-8 without control characters other than tab and line breaks. Every line break of the
// control characters (CR LF, CR, VT, FF, NEL) becomes LF; a byte that is no UTF-8 becomes U+FFFD.
func Clean(s string) string {
	clean := true
	for i := Ordinary(s); i < len(s); i++ {
		if c := s[i]; (c < ' ' || c > '~') && c != '\n' && c != '\t' {
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
		case r == '\r', r == '\v', r == '\f', r == nextLine:
			return '\n'
		case unicode.Is(unicode.Cc, r):
			return -1
		}
		return r
	}, s)
}

// printable tells text of printable ASCII alone, which most values are.
func printable(s string) bool {
	for i := Ordinary(s); i < len(s); i++ {
		if c := s[i]; c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// CleanLine is Clean for values of one line, such as names: trimmed, every line break (those of Unicode too) and tab a
// single space.
func CleanLine(s string) string {
	if printable(s) {
		return strings.TrimSpace(s)
	}
	s = strings.Map(func(r rune) rune {
		switch r {
		case '\n', '\t', '\u2028', '\u2029':
			return ' '
		}
		return r
	}, Clean(s))
	return strings.TrimSpace(s)
}

// maxEmail is the length of the longest address that SMTP carries, in bytes (RFC 5321, 4.5.3.1.3, without the brackets).
const maxEmail = 254

// Email reads an e-mail field: one valid address comes back trimmed and lower-cased as address; anything else comes
// back as raw, so that it is kept but never used as a key. Invisible characters around an address, as copied from web
// pages, are trimmed; inside of one they make it invalid.
func Email(field string) (address, raw string) {
	field = strings.TrimFunc(CleanLine(field), invisible)
	if field == "" || len(field) > maxEmail || strings.ContainsFunc(field, invisible) {
		return "", field
	}
	parsed, err := mail.ParseAddress(field)
	_, domain, _ := strings.Cut(field, "@")
	if err != nil || parsed.Address != field || !strings.Contains(domain, ".") || strings.HasPrefix(domain, "[") {
		return "", field
	}
	return strings.ToLower(field), ""
}

// invisible tells characters that no address has and no reader sees, and the one that stands for broken text.
func invisible(r rune) bool {
	return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) || r == utf8.RuneError
}
