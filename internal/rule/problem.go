// This file holds what is reported when an expression is wrong: where, why, and what was probably meant.

package rule

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/file"
)

// Problem is a mistake in an expression or a template.
type Problem struct {
	Offset int    // bytes from the start of the source
	Length int    // bytes; at least 1 unless the source ends at Offset
	Text   string // lower-case, one line
	Hint   string // what an operator can do about it; may be empty
}

// String returns the text and the hint.
func (p Problem) String() string {
	if p.Hint == "" {
		return p.Text
	}
	return p.Text + "; " + p.Hint
}

// report collects the problems of one expression.
type report struct {
	src      string
	problems []Problem
}

// at adds a problem at a location. The parser counts runes, a Problem counts bytes.
func (r *report) at(loc file.Location, hint, format string, args ...any) {
	from := byteOffset(r.src, loc.From)
	to := max(byteOffset(r.src, loc.To), from)
	r.span(from, to, hint, fmt.Sprintf(format, args...))
}

// commonHint is for what has no better one.
const commonHint = "use names of the conversation, operators and functions only: visitor.name, rating <= 2, upper(brand)"

// span adds a problem between two byte offsets. The same place is reported once.
func (r *report) span(from, to int, hint, text string) {
	if hint == "" && !strings.Contains(text, "did you mean") {
		hint = commonHint
	}
	if to <= from && from < len(r.src) {
		_, size := utf8.DecodeRuneInString(r.src[from:])
		to = from + size
	}
	p := Problem{Offset: from, Length: max(to-from, 0), Text: text, Hint: hint}
	if !slices.Contains(r.problems, p) {
		r.problems = append(r.problems, p)
	}
}

// sorted returns the problems in the order of the source.
func (r *report) sorted() []Problem {
	slices.SortStableFunc(r.problems, func(a, b Problem) int { return a.Offset - b.Offset })
	return r.problems
}

// byteOffset converts an offset in runes to one in bytes, at most the length of src.
func byteOffset(src string, runes int) int {
	for i := range src {
		if runes <= 0 {
			return i
		}
		runes--
	}
	return len(src)
}

// didYouMean returns `, did you mean "x"?` for the candidate next to word, or nothing if none is near.
func didYouMean(word string, candidates []string) string {
	best, distance := "", (len(word)+1)/3+1
	for _, c := range candidates {
		d := editDistance(strings.ToLower(word), strings.ToLower(c))
		if d < distance {
			best, distance = c, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(", did you mean %q?", best)
}

// unlessNear is the hint for an unknown name: the names that there are, unless one is near and was named.
func unlessNear(near string, names []string) string {
	if near != "" || len(names) == 0 {
		return ""
	}
	sorted := slices.Sorted(slices.Values(names))
	if len(sorted) == 1 {
		return "use " + sorted[0] + ", the only one"
	}
	const most = 40
	if len(sorted) > most {
		sorted = append(sorted[:most:most], "…")
	}
	return "use one of " + strings.Join(sorted, ", ")
}

// editDistance counts insertions, deletions, replacements and swaps of neighbors.
func editDistance(a, b string) int {
	x, y := []rune(a), []rune(b)
	if len(x) > 64 || len(y) > 64 {
		return 64
	}
	var older, prior, row [65]int
	for j := range len(y) + 1 {
		prior[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			row[j] = min(prior[j]+1, row[j-1]+1, prior[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				row[j] = min(row[j], older[j-2]+1)
			}
		}
		older, prior = prior, row
	}
	return prior[len(y)]
}
