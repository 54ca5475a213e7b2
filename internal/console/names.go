// This file tells of names in a search that no target and no source has: a list without a line looks alike either way.

package console

import (
	"fmt"
	"slices"

	"github.com/afterchat/afterchat/internal/console/page"
	"github.com/afterchat/afterchat/internal/ledger"
)

// UnknownNames says which targets and sources a filter asks for and none of these is.
func UnknownNames(f ledger.Filter, targets, sources []string) []string {
	var out []string
	look := func(what string, asked, known []string) {
		for _, name := range asked {
			if slices.Contains(known, name) {
				continue
			}
			line := fmt.Sprintf("there is no %s %s", what, name)
			if near := nearest(name, known); near != "" {
				line += "; did you mean " + near + "?"
			}
			out = append(out, line)
		}
	}
	look("target", f.Targets, targets)
	look("source", f.Sources, sources)
	return out
}

// unknownNames are the notes of a list on names in its filter.
func (v *visit) unknownNames(f ledger.Filter) []page.Alarm {
	if len(f.Targets) == 0 && len(f.Sources) == 0 {
		return nil
	}
	stats, err := v.console.Ledger.Stats(v.Request().Context())
	if err != nil {
		return nil // the list says so
	}
	targets, sources := v.names(stats)
	return each(UnknownNames(f, targets, sources), func(line string) page.Alarm { return page.Alarm{Text: "T" + line[1:]} })
}

// ledgerSources adds the sources that only the ledger knows: those that were removed, and afterchat's own alerts.
func ledgerSources(sources []string, stats ledger.Stats) []string {
	var more []string
	for name := range stats.LastHook {
		if !slices.Contains(sources, name) {
			more = append(more, name)
		}
	}
	slices.Sort(more)
	return append(sources, more...)
}
