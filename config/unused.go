// This file warns of conditions that match what was not sent, and of what does nothing, mostly a forgotten or misspelled name
// elsewhere.

package config

import (
	"maps"
	"regexp"
	"slices"

	"github.com/afterchat/afterchat/internal/pipeline"
	"github.com/afterchat/afterchat/internal/rule"
)

// unused warns of redactions, targets, sources and lookups that no route uses. It is for files without mistakes: where
// routes cannot be read, nothing is known of what they use.
func (l *loader) unused() {
	d := l.config.Definition
	if len(l.found) > 0 {
		return
	}
	for i, r := range d.Routes {
		for _, p := range rule.Unsent(r.When, rule.Scope{Lookups: d.Lookups, Sources: l.sourceNames(), Brands: l.brands()}) {
			if at, broken := l.locate(pipeline.Problem{Path: pipeline.Path{"routes", i, "when"}, Offset: p.Offset}); !broken {
				l.warn(at, p.Hint, "%s", p.Text)
			}
		}
	}
	used := useOf(d)
	for _, e := range l.entries("redact") {
		if d.Redact[e.key.text].At != pipeline.AtIntake && !used.redactions[e.key.text] {
			l.warn(e.key.at, "write redact: ["+e.key.text+"] below a target of a route, or at: intake", "no route uses the redaction %q, so it removes nothing", e.key.text)
		}
	}
	for _, e := range l.entries("lookups") {
		if !used.anyLookup && !used.words[e.key.text] {
			l.warn(e.key.at, `write ${lookup("`+e.key.text+`", brand)} in a route, or remove it`, "no route uses the lookup table %q", e.key.text)
		}
	}
	if len(d.Routes) == 0 {
		return // everything goes to every target
	}
	for _, e := range l.entries("targets") {
		if !used.targets[e.key.text] {
			l.warn(e.key.at, "add it to to: of a route, or remove it", "no route names the target %q, so it gets nothing", e.key.text)
		}
	}
	for _, e := range l.entries("sources") {
		if !used.anySource && !used.sources[e.key.text] {
			l.warn(e.key.at, "add it to from: of a route", "no route takes conversations of the source %q, so they are kept and sent nowhere", e.key.text)
		}
	}
}

// entries returns what stands below a key at the top of the file.
func (l *loader) entries(key string) []entry {
	n := l.root.value(key)
	if n == nil {
		return nil
	}
	return n.entries
}

// use is what routes name.
type use struct {
	redactions, targets, sources map[string]bool
	words                        map[string]bool // texts in quotes in expressions: names of lookup tables are among them
	anySource, anyLookup         bool
}

var (
	quotedText    = regexp.MustCompile(`"([^"]*)"|'([^']*)'`)
	dynamicLookup = regexp.MustCompile(`(?:^|[^|\s])\s*lookup\(\s*[^"'\s]`)
)

// useOf returns what a definition uses.
func useOf(d pipeline.Definition) use {
	out := use{redactions: map[string]bool{}, targets: map[string]bool{}, sources: map[string]bool{}, words: map[string]bool{}}
	for _, r := range d.Routes {
		out.anySource = out.anySource || len(r.From) == 0 && !r.Alert
		for _, from := range r.From {
			out.sources[from] = true
		}
		out.read(r.When)
		for _, to := range r.To {
			out.targets[to.Target] = true
			for _, name := range to.Redact {
				out.redactions[name] = true
			}
			out.readTree(to.Fields)
		}
	}
	for _, tree := range slices.Collect(maps.Values(d.Defaults)) {
		out.readTree(tree)
	}
	return out
}

func (u *use) readTree(t pipeline.Tree) {
	switch t := t.(type) {
	case string:
		u.read(t)
	case []any:
		for _, item := range t {
			u.readTree(item)
		}
	case pipeline.Mapping:
		for _, e := range t {
			u.readTree(e.Value)
		}
	}
}

func (u *use) read(text string) {
	u.anyLookup = u.anyLookup || dynamicLookup.MatchString(text)
	for _, m := range quotedText.FindAllStringSubmatch(text, -1) {
		u.words[m[1]+m[2]] = true
	}
}
