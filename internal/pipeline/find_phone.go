// This file finds telephone numbers among other numbers. A number without any sign of being one (an order number, an
// id) stays; dates, times and IP addresses stay too.

package pipeline

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// findPhones finds telephone numbers: 7 to 15 digits after a + and 9 to 17 that begin with 00 (E.164 allows 15), and
// without an international prefix 9 to 12 digits that begin with 0 or stand in groups of at least two.
func findPhones(s string) []span {
	all := groups(s)
	blocked := notCalls(s, all)
	var found []span
	for i := 0; i < len(all); i++ {
		best, digits := -1, 0
		for j := i; j < len(all) && !blocked[j] && j-i < 8; j++ {
			if j > i && !joins(s[all[j-1].to:all[j].from], callSeparators) {
				break
			}
			if digits += len(all[j].digits); digits > 17 {
				break
			}
			if isPhone(s, all[i:j+1], digits) {
				best = j
			}
		}
		if best >= 0 {
			found = append(found, span{phoneStart(s, all[i].from), all[best].to})
			i = best
		}
	}
	return found
}

// phoneStart moves the start of a number to the + or the bracket before it.
func phoneStart(s string, from int) int {
	if strings.HasSuffix(s[:from], "(") {
		from--
	}
	if strings.HasSuffix(s[:from], "+") {
		from--
	}
	return from
}

func isPhone(s string, number []group, digits int) bool {
	first := number[0]
	if start := phoneStart(s, first.from); start < first.from && s[start] == '+' {
		return digits >= 7 && digits <= 15
	}
	if strings.HasPrefix(first.digits, "00") {
		return digits >= 9 && !strings.HasPrefix(first.digits, "000")
	}
	if digits < 9 || digits > 12 {
		return false
	}
	if len(number) == 1 {
		return first.digits[0] == '0'
	}
	return isGrouped(s, number)
}

// isGrouped tells whether the groups look like those of a telephone number: two to eight digits each, or two to four
// when dots separate them, for long groups after a dot are decimals.
func isGrouped(s string, number []group) bool {
	dots := 0
	for i := 1; i < len(number); i++ {
		if strings.Contains(s[number[i-1].to:number[i].from], ".") {
			dots++
		}
	}
	if dots != 0 && dots != len(number)-1 {
		return false
	}
	longest := 8
	if dots > 0 {
		longest = 4
	}
	for _, g := range number {
		if len(g.digits) < 2 || len(g.digits) > longest {
			return false
		}
	}
	return true
}

// notCalls says of each group whether it is something else than a part of a telephone number: a part of a word, of a
// time, of a date, of an IP address, or a number with # before it.
func notCalls(s string, all []group) []bool {
	blocked := make([]bool, len(all))
	for i, g := range all {
		before, _ := utf8.DecodeLastRuneInString(s[:g.from])
		after, _ := utf8.DecodeRuneInString(s[g.to:])
		if isWord(before) || isWord(after) || before == '#' || isClock(s, g) {
			blocked[i] = true
		}
		if i >= 2 && isDate(s, all[i-2:i+1]) {
			blocked[i-2], blocked[i-1], blocked[i] = true, true, true
		}
		if i >= 3 && isIPv4(s[all[i-3].from:g.to]) && !continues(s, all[i-3:i+1], ".") {
			blocked[i-3], blocked[i-2], blocked[i-1], blocked[i] = true, true, true, true
		}
	}
	return blocked
}

func isWord(r rune) bool { return r != utf8.RuneError && unicode.IsLetter(r) || r == '_' }

// isClock tells whether the group has a colon and another digit on one side.
func isClock(s string, g group) bool {
	after := strings.HasPrefix(s[g.to:], ":") && startsWithDigit(s[g.to+1:])
	before := g.from >= 2 && s[g.from-1] == ':' && '0' <= s[g.from-2] && s[g.from-2] <= '9'
	return before || after
}

func startsWithDigit(s string) bool { return s != "" && '0' <= s[0] && s[0] <= '9' }

// isDate tells whether three groups are year, month and day in any order that people write, with one kind of separator.
func isDate(s string, g []group) bool {
	sep := strings.TrimSpace(s[g[0].to:g[1].from])
	if sep != strings.TrimSpace(s[g[1].to:g[2].from]) || sep != "-" && sep != "." && sep != "/" {
		return false
	}
	a, b, c := small(g[0]), small(g[1]), small(g[2])
	year := func(i, n int) bool { return len(g[i].digits) == 4 && n >= 1900 && n <= 2199 }
	day := func(m, d int) bool { return m >= 1 && m <= 12 && d >= 1 && d <= 31 }
	switch {
	case year(0, a):
		return day(b, c)
	case year(2, c), len(g[2].digits) == 2 && !continues(s, g, sep):
		return day(a, b) || day(b, a)
	}
	return false
}

// continues tells whether the same separator and another digit stand before or after the groups.
func continues(s string, g []group, sep string) bool {
	before, after := s[:g[0].from], s[g[len(g)-1].to:]
	if rest, ok := strings.CutPrefix(after, sep); ok && startsWithDigit(rest) {
		return true
	}
	rest, ok := strings.CutSuffix(before, sep)
	return ok && rest != "" && startsWithDigit(rest[len(rest)-1:])
}

// small returns the value of a group of at most four digits, else -1.
func small(g group) int {
	if len(g.digits) > 4 {
		return -1
	}
	n, err := strconv.Atoi(g.digits)
	if err != nil {
		return -1
	}
	return n
}
