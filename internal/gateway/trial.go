// This file runs the tests of a configuration: a sample through decoder, routes and mapping, and what came of it beside
// what was expected.

package gateway

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/internal/pipeline"
)

// Term is a condition or a part of one.
type Term = pipeline.ExplainedTerm

// Trial is what came of one test of a configuration.
type Trial struct {
	Name     string       `json:"name"`
	Source   string       `json:"source"`
	Sample   string       `json:"sample"`
	Passed   bool         `json:"passed"`
	Mismatch []Difference `json:"mismatch,omitempty"` // in the order: what kept it from running, routes, fields by name
}

// Difference is one thing that is not as expected. Want and Got are JSON, or "absent"; both are "" where there is
// nothing to compare and Notes says what happened.
type Difference struct {
	What  string   `json:"what"` // routes, help.priority, sample
	Want  string   `json:"want,omitempty"`
	Got   string   `json:"got,omitempty"`
	Lines []string `json:"lines,omitempty"` // of texts with several lines: those that differ, "- " expected, "+ " got
	Notes []string `json:"notes,omitempty"` // why, as far as it is known
}

// Try runs one test. body is its sample. It sends nothing and needs no ledger.
func Try(cfg *config.Config, t config.Test, body []byte, now time.Time) Trial {
	trial := Trial{Name: t.Name, Source: t.Source, Sample: t.Sample}
	explained, err := explain(cfg, t.Source, body, "", now)
	if err != nil {
		trial.Mismatch = []Difference{{What: "sample", Notes: []string{err.Error()}}}
		return trial
	}
	trial.Mismatch = slices.Concat(
		broken(explained.Explanation), wrongRoutes(t.Expect.Routes, explained.Routes), wrongFields(t.Expect.Fields, explained.Targets),
	)
	trial.Passed = len(trial.Mismatch) == 0
	return trial
}

// broken lists what no conversation may do, whatever the test expects.
func broken(e pipeline.Explanation) []Difference {
	var out []Difference
	for _, r := range e.Routes {
		if r.Error != "" {
			out = append(out, Difference{What: "route " + r.Name, Notes: []string{r.Error}})
		}
	}
	for _, t := range e.Targets {
		if t.Error != "" {
			out = append(out, Difference{What: t.Target, Notes: []string{"the delivery would be dead: " + t.Error}})
		}
	}
	return out
}

// wrongRoutes compares the names of the routes that matched; nil expects nothing of them.
func wrongRoutes(want []string, routes []pipeline.ExplainedRoute) []Difference {
	if want == nil {
		return nil
	}
	got := []string{}
	var notes []string
	for _, r := range routes {
		if r.Matched {
			got = append(got, r.Name)
		}
		if r.Matched == slices.Contains(want, r.Name) {
			continue
		}
		notes = append(notes, fmt.Sprintf("%q %s", r.Name, whyRoute(r)))
	}
	if slices.Equal(want, got) {
		return nil
	}
	if len(notes) == 0 {
		notes = []string{"routes are listed in the order of the file"}
	}
	return []Difference{{What: "routes", Want: compact(want), Got: compact(got), Notes: notes}}
}

// whyRoute says in one line why a route matched or not.
func whyRoute(r pipeline.ExplainedRoute) string {
	var deciding []Term
	if r.When != nil {
		deciding = slices.DeleteFunc(r.When.Leaves(), func(t Term) bool { return !t.Decides })
	}
	switch {
	case r.Matched:
		return "matches" + inputsOf(deciding)
	case len(deciding) == 0:
		return "does not match: " + cmp.Or(r.Why, r.Error)
	}
	var said []string
	for _, t := range deciding {
		said = append(said, fmt.Sprintf("%s is %s", t.Text, t.Value)+inputsOf([]Term{t}))
	}
	return "does not match: " + strings.Join(said, ", and ")
}

// inputsOf lists the values that some terms compare, in parentheses.
func inputsOf(terms []Term) string {
	var values []string
	for _, t := range terms {
		for _, in := range t.Inputs {
			if text := in.Name + " = " + in.Value; !slices.Contains(values, text) {
				values = append(values, text)
			}
		}
	}
	if len(values) == 0 {
		return ""
	}
	return " (" + strings.Join(values, ", ") + ")"
}

// wrongFields compares "target.field.sub": value; a nil value expects that there is none.
func wrongFields(want map[string]any, targets []pipeline.ExplainedTarget) []Difference {
	var out []Difference
	for _, key := range slices.Sorted(maps.Keys(want)) {
		target, path, _ := strings.Cut(key, ".")
		expected := plain(want[key])
		i := slices.IndexFunc(targets, func(t pipeline.ExplainedTarget) bool { return t.Target == target })
		switch {
		case i < 0 && expected == nil:
		case i < 0:
			out = append(out, Difference{
				What: key, Want: compact(expected), Got: absentValue,
				Notes: []string{fmt.Sprintf("no route that matches sends to %s", target)},
			})
		case targets[i].Error != "": // said already
		default:
			got, _ := find(plain(targets[i].Fields), path)
			for _, d := range differences(key, expected, got) {
				d.Notes = append(d.Notes, droppedNotes(targets[i], path)...)
				out = append(out, d)
			}
		}
	}
	return out
}

// droppedNotes is what mapping said of a field: cut to a length, or a value that the target would not take.
func droppedNotes(t pipeline.ExplainedTarget, path string) []string {
	var notes []string
	for _, note := range slices.Concat(t.Cut, t.Dropped) {
		if field, _, _ := strings.Cut(note, ":"); field == path || strings.HasPrefix(field, path+".") || strings.HasPrefix(path, field+".") {
			notes = append(notes, note)
		}
	}
	return notes
}
