// This file guesses what somebody meant.

package config

import (
	"fmt"
	"slices"
	"strings"
)

// nearest returns the word that is likely meant, "" if none is near.
func nearest(word string, known []string) string {
	best, least := "", 1+max(1, len(word)/3)
	plain := strings.ToLower(strings.ReplaceAll(word, "-", "_"))
	for _, k := range known {
		if d := distance(plain, strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// unknown says that a word is none of the known ones: the message, and the hint where there is no likely one.
func unknown(what, word string, known []string) (text, hint string) {
	text = fmt.Sprintf("unknown %s %q", what, word)
	if near := nearest(word, known); near != "" {
		return text + fmt.Sprintf(", did you mean %q?", near), ""
	}
	if len(known) == 0 {
		return text, "define it first: there is none yet"
	}
	sorted := slices.Sorted(slices.Values(known))
	if len(sorted) == 1 {
		return text, "use " + sorted[0] + ", the only one"
	}
	const most = 30
	if len(sorted) > most {
		sorted = append(sorted[:most:most], "…")
	}
	return text, "use one of " + strings.Join(sorted, ", ")
}

// Unknown says on one line that a name is none of the known ones, and which was likely meant or which there are.
func Unknown(what, name string, known []string) string {
	text, hint := unknown(what, name, known)
	if hint == "" {
		return text
	}
	return text + "; " + hint
}

// distance is the number of letters inserted, left out, replaced or swapped with their neighbor.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
