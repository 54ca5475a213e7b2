// This file adds up groups of failures.

package row

import (
	"cmp"
	"slices"

	"github.com/afterchat/afterchat/internal/ledger"
)

// Failures adds up the groups of one target, class and state, and returns the largest first. There are several where an
// engine counts in parts, and where a target had another name. Of two that are as new the later one gives the example.
func Failures(groups []ledger.Failure) (sums []ledger.Failure) {
	for _, g := range groups {
		i := slices.IndexFunc(sums, func(s ledger.Failure) bool { return s.Target == g.Target && s.Class == g.Class && s.State == g.State })
		if i < 0 {
			sums = append(sums, g)
			continue
		}
		s := &sums[i]
		s.Count += g.Count
		if g.First.Before(s.First) {
			s.First = g.First
		}
		if !g.Last.Before(s.Last) {
			s.Last, s.Reason, s.Example = g.Last, g.Reason, g.Example
		}
	}
	slices.SortFunc(sums, func(a, b ledger.Failure) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Target, b.Target), cmp.Compare(a.Class, b.Class), cmp.Compare(a.State, b.State))
	})
	return sums
}
