// This file tells of names in a search that no target, source or route has: a list without a line looks alike either way.

package console

import (
	"fmt"
	"slices"

	"github.com/afterchat/afterchat/internal/console/page"
	"github.com/afterchat/afterchat/internal/ledger"
)

// KnownNames are what a search can name. Targets and sources that only the ledger knows are among them; routes are those
// of the configuration.
type KnownNames struct{ Targets, Sources, Routes []string }

// NeedsNames tells whether a filter names something.
func NeedsNames(f ledger.Filter) bool { return len(f.Targets)+len(f.Sources)+len(f.Routes) > 0 }

// UnknownNames says which targets, sources and routes a filter asks for and none of these is.
func UnknownNames(f ledger.Filter, known KnownNames) []string {
	var out []string
	look := func(what, where string, asked, known []string) {
		for _, name := range asked {
			if slices.Contains(known, name) {
				continue
			}
			line := fmt.Sprintf("there is no %s %s%s", what, name, where)
			if near := nearest(name, known); near != "" {
				line += "; did you mean " + near + "?"
			}
			out = append(out, line)
		}
	}
	look("target", "", f.Targets, known.Targets)
	look("source", "", f.Sources, known.Sources)
	look("route", " in the configuration", f.Routes, known.Routes)
	return out
}

// unknownNames are the notes of a list on names in its filter.
func (v *visit) unknownNames(f ledger.Filter) []page.Alarm {
	if !NeedsNames(f) {
		return nil
	}
	stats, err := v.console.Ledger.Stats(v.Request().Context())
	if err != nil {
		return nil // the list says so
	}
	var known KnownNames
	known.Targets, known.Sources = v.names(stats)
	if v.console.Routes == nil {
		f.Routes = nil
	} else {
		known.Routes = each(v.console.Routes(), func(r Route) string { return r.Name })
	}
	return each(UnknownNames(f, known), func(line string) page.Alarm { return page.Alarm{Text: "T" + line[1:]} })
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
