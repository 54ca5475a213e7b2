// This file finds what a redaction removes: cards, IBANs, e-mail addresses, telephone numbers and IP addresses. Each
// finder reads a text once from left to right with bounded look-ahead, so its cost is linear in the text.

package pipeline

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// span is a part of a text in bytes: from, and to exclusive.
type span struct{ from, to int }

// finder returns what it finds in a text, in order and without overlaps.
type finder func(text string) []span

// builtin names a finder that ships. Their order is the order in which they run: an address that contains digits is an
// address first.
type builtin struct {
	name string
	find finder
}

func builtins() []builtin {
	return []builtin{{"email", findEmails}, {"iban", findIBANs}, {"card", findCards}, {"ip", findIPs}, {"phone", findPhones}}
}

// replace puts text in the place of every span.
func replace(s string, spans []span, text string) string {
	if len(spans) == 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	last := 0
	for _, sp := range spans {
		b.WriteString(s[last:sp.from])
		b.WriteString(text)
		last = sp.to
	}
	b.WriteString(s[last:])
	return b.String()
}

// findRegex makes a finder of a regular expression. Empty matches are no finds.
func findRegex(re *regexp.Regexp) finder {
	return func(s string) []span {
		var found []span
		for _, m := range re.FindAllStringIndex(s, -1) {
			if m[1] > m[0] {
				found = append(found, span{m[0], m[1]})
			}
		}
		return found
	}
}

var email = regexp.MustCompile(`[\p{L}\p{N}._%+'-]+(?:@|%40)[\p{L}\p{N}][\p{L}\p{N}-]*(?:\.[\p{L}\p{N}-]+)+`)

func findEmails(s string) []span {
	if !strings.Contains(s, "@") && !strings.Contains(s, "%40") {
		return nil
	}
	return findRegex(email)(s)
}

// group is a run of decimal digits of any script, its values as ASCII.
type group struct {
	span
	digits string
}

// groups splits a text into its runs of digits. The digits of a blank as it stands in an address (%20) are none.
func groups(s string) []group {
	var all []group
	var digits []byte
	start := -1
	end := func(at int) {
		if start >= 0 {
			all = append(all, group{span{start, at}, string(digits)})
		}
		start, digits = -1, digits[:0]
	}
	skip := 0
	for i, r := range s {
		if i < skip {
			continue
		}
		if r == '%' && strings.HasPrefix(s[i:], "%20") {
			end(i)
			skip = i + len("%20")
			continue
		}
		d, ok := decimal(r)
		if !ok {
			end(i)
			continue
		}
		if start < 0 {
			start = i
		}
		digits = append(digits, d)
	}
	end(len(s))
	return all
}

// decimal returns the ASCII digit of a decimal digit of any script. Unicode encodes the digits of a script in a row
// from zero to nine.
func decimal(r rune) (byte, bool) {
	if r < utf8.RuneSelf {
		return byte(r), '0' <= r && r <= '9'
	}
	if !unicode.Is(unicode.Nd, r) {
		return 0, false
	}
	for _, t := range unicode.Nd.R16 {
		if rune(t.Lo) <= r && r <= rune(t.Hi) {
			return '0' + byte((r-rune(t.Lo))%10), true
		}
	}
	for _, t := range unicode.Nd.R32 {
		if rune(t.Lo) <= r && r <= rune(t.Hi) {
			return '0' + byte((r-rune(t.Lo))%10), true
		}
	}
	return 0, false
}

// separators are what people put between the groups of a number.
const (
	blanks         = " \u00a0\u2009\u202f"
	dashes         = "-\u2010\u2011\u2012\u2013"
	cardSeparators = blanks + dashes + "+"
	ibanSeparators = blanks + dashes
	callSeparators = blanks + dashes + "./()"
)

// joins tells whether sep, the text between two groups, is at most three of the separators, or a blank as it stands in
// an address (%20).
func joins(sep, separators string) bool {
	if sep == "%20" {
		return true
	}
	return len(sep) <= 9 && utf8.RuneCountInString(sep) <= 3 && strings.Trim(sep, separators) == ""
}

// joinsCard tells whether sep joins two groups of a card, which have so many digits. A point or a line break does it
// between groups as they stand on cards (4 to 6 digits, fewer at the end), so that dates, IP addresses and lists of
// longer numbers are none.
func joinsCard(sep string, before, after int) bool {
	if joins(sep, cardSeparators) {
		return true
	}
	printed := 4 <= before && before <= 6 && 3 <= after && after <= 6
	return printed && joins(sep, cardSeparators+".\r\n")
}

// findCards finds payment card numbers: 13 to 19 digits whose check digit is right (ISO/IEC 7812-1, the Luhn
// algorithm), in groups or not, never a part of a longer run of digits. No card begins with 0, one that begins with 1
// has 15 digits (UATP), and up to 15 digits after a + are a telephone number; this keeps times in milliseconds and
// numbers of other kinds readable.
func findCards(s string) []span { return findLongCards(s, 13) }

// findLongCards is findCards for numbers of at least so many digits.
func findLongCards(s string, least int) []span {
	all := groups(s)
	var found []span
	for i := 0; i < len(all); i++ {
		var digits []byte
		best := -1
		for j := i; j < len(all); j++ {
			if j > i && !joinsCard(s[all[j-1].to:all[j].from], len(all[j-1].digits), len(all[j].digits)) {
				break
			}
			if len(digits)+len(all[j].digits) > 19 {
				break
			}
			digits = append(digits, all[j].digits...)
			called := len(digits) <= 15 && strings.HasSuffix(s[:all[i].from], "+")
			if len(digits) >= least && !called && isCard(digits) {
				best = j
			}
		}
		if best >= 0 {
			found = append(found, span{all[i].from, all[best].to})
			i = best
		}
	}
	return found
}

func isCard(digits []byte) bool {
	if len(digits) < 13 || len(digits) > 19 || digits[0] == '0' || digits[0] == '1' && len(digits) != 15 {
		return false
	}
	sum := 0
	for i := range digits {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

// words splits a text into its runs of ASCII letters and digits.
func words(s string) []span {
	var all []span
	start := -1
	for i := 0; i <= len(s); i++ {
		if i < len(s) && isAlnum(s[i]) {
			if start < 0 {
				start = i
			}
			continue
		}
		if start >= 0 {
			all = append(all, span{start, i})
			start = -1
		}
	}
	return all
}

func isAlnum(c byte) bool { return isLetter(c) || '0' <= c && c <= '9' }

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// findIBANs finds international bank account numbers (ISO 13616): a country, two check digits that are right and 11 to
// 30 characters, in groups or not.
func findIBANs(s string) []span {
	all := words(s)
	var found []span
	for i := 0; i < len(all); i++ {
		if !beginsIBAN(s[all[i].from:all[i].to]) {
			continue
		}
		var number []byte
		best := -1
		for j := i; j < len(all); j++ {
			if j > i && !joins(s[all[j-1].to:all[j].from], ibanSeparators) {
				break
			}
			if len(number)+all[j].to-all[j].from > 34 {
				break
			}
			number = append(number, s[all[j].from:all[j].to]...)
			if isIBAN(number) {
				best = j
			}
		}
		if best >= 0 {
			found = append(found, span{all[i].from, all[best].to})
			i = best
		}
	}
	return found
}

func beginsIBAN(word string) bool {
	return len(word) >= 4 && isLetter(word[0]) && isLetter(word[1]) && word[2] >= '0' && word[2] <= '9' && word[3] >= '0' && word[3] <= '9'
}

// isIBAN computes the remainder of ISO 7064 (mod 97-10): the first four characters count last, letters are 10 to 35.
func isIBAN(number []byte) bool {
	if len(number) < 15 || len(number) > 34 {
		return false
	}
	rest := 0
	for i := range number {
		switch c := number[(i+4)%len(number)]; {
		case '0' <= c && c <= '9':
			rest = (rest*10 + int(c-'0')) % 97
		default:
			rest = (rest*100 + int(c|0x20-'a') + 10) % 97
		}
	}
	return rest == 1
}

// findIPs finds IPv4 and IPv6 addresses that stand alone; a port after one stays. A masked address (192.0.2.x) is none.
func findIPs(s string) []span {
	var found []span
	start := -1
	for i := 0; i <= len(s); i++ {
		if i < len(s) && (isAlnum(s[i]) || s[i] == '.' || s[i] == ':' || s[i] == '%') {
			if start < 0 {
				start = i
			}
			continue
		}
		if start >= 0 {
			found = appendIPs(found, s, start, i)
			start = -1
		}
	}
	return found
}

// appendIPs adds the addresses in one run of characters that addresses are made of: the whole run, or else its parts
// between colons.
func appendIPs(found []span, s string, from, to int) []span {
	for from < to && (s[from] == '.' || s[from] == ':' && !strings.HasPrefix(s[from:to], "::")) {
		from++
	}
	for from < to && (s[to-1] == '.' || s[to-1] == ':' && !strings.HasSuffix(s[from:to], "::")) {
		to--
	}
	run := s[from:to]
	if len(run) <= 64 && strings.Count(run, ":") >= 2 && run != "::" {
		if _, err := netip.ParseAddr(run); err == nil {
			return append(found, span{from, to})
		}
	}
	for _, part := range strings.SplitAfter(run, ":") {
		part = strings.TrimSuffix(part, ":")
		if end := from + len(part); isIPv4(strings.TrimRight(part, ".")) {
			found = append(found, span{from, end - len(part) + len(strings.TrimRight(part, "."))})
		}
		from += len(part) + 1
	}
	return found
}

func isIPv4(s string) bool {
	if len(s) < 7 || len(s) > 15 || strings.Count(s, ".") != 3 {
		return false
	}
	for part := range strings.SplitSeq(s, ".") {
		if n, err := strconv.ParseUint(part, 10, 16); err != nil || n > 255 || len(part) > 3 {
			return false
		}
	}
	return true
}
