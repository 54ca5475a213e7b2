// This file guesses what a misspelled name was meant to be.

package pipeline

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// unknown says that there is no such name among the known ones: the text, with the nearest of them, or else a hint that
// lists them.
func unknown(what, name string, known []string) (text, hint string) {
	text = "unknown " + what + " " + quoted(name)
	best, least := "", min(1+len(name)/3, len(name)-1)
	for _, k := range known {
		if d := distance(strings.ToLower(name), strings.ToLower(k)); d <= least && (best == "" || d < least) {
			best, least = k, d
		}
	}
	switch {
	case best != "":
		return text + ", did you mean " + quoted(best) + "?", ""
	case len(known) == 0:
		return text, "define it first: there is none yet"
	}
	sorted := slices.Sorted(slices.Values(known))
	if len(sorted) == 1 {
		return text, "use " + sorted[0] + ", the only one"
	}
	const most = 40
	if len(sorted) > most {
		sorted = append(sorted[:most:most], "…")
	}
	return text, "use one of " + strings.Join(sorted, ", ")
}

// distance counts the insertions, deletions and substitutions of bytes that turn a into b, a swap of neighbors as one.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 1 << 20
	}
	before, last := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
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
		before, last = last, row
	}
	return last[len(b)]
}

func quoted(name string) string { return strconv.Quote(name) }

func has[K comparable, V any](m map[K]V, key K) bool {
	_, ok := m[key]
	return ok
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
