// This file fills the playground and the page of the configuration.

package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/afterchat/afterchat/internal/console/page"
	"github.com/afterchat/afterchat/internal/pipeline"
)

// playgroundPage shows what a hook would become, with the routes in force or with others that somebody tries out.
func playgroundPage(v *visit) (page.View, error) {
	v.limit()
	out := page.Playground{Frame: v.frame("Playground", "playground"), Source: v.FormValue("source"), Payload: v.typed("payload"), ContentType: v.FormValue("content_type"), RoutesYAML: v.typed("routes")}
	out.Static = true
	if v.console.Sources != nil {
		for _, s := range v.console.Sources() {
			out.Sources = append(out.Sources, s.Name)
		}
	}
	if out.Source == "" && len(out.Sources) > 0 {
		out.Source = out.Sources[0]
	}
	if err := v.pick(&out); err != nil {
		return nil, err
	}
	if out.RoutesYAML == "" && v.console.RoutesText != nil {
		var err error
		if out.RoutesYAML, err = v.console.RoutesText(); err != nil {
			return nil, err
		}
	}
	if strings.TrimSpace(out.Payload) == "" {
		return out, nil
	}
	payload, err := json.Marshal(out.Payload)
	if err != nil {
		return nil, err
	}
	explained, err := v.console.explain(v.Request().Context(), Explain{Source: out.Source, Payload: payload, ContentType: out.ContentType, Routes: out.RoutesYAML})
	if m, ok := errors.AsType[*MistakesError](err); ok {
		out.Problems = mistakesView(m.Mistakes, out.RoutesYAML)
		return out, nil
	}
	if err != nil {
		out.Problems = []page.Mistake{{Place: "the hook", Text: err.Error()}}
		return out, nil
	}
	out.Ran = true
	c := explained.Conversation
	decoded, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return nil, err
	}
	out.Decoded, out.Messages, out.Facts = string(decoded), messagesView(c.Messages), factsView(c)
	out.Routes = each(explained.Routes, func(r pipeline.ExplainedRoute) page.Route { return routeView(r, false) })
	for _, t := range explained.Targets {
		out.Outputs = append(out.Outputs, outputView(t, explained.Previews[t.Target]))
	}
	return out, nil
}

// pick fills in a hook that is there: of a conversation, out of quarantine, of a test of the configuration. Whoever sees a
// stored one stands in the audit log.
func (v *visit) pick(out *page.Playground) error {
	var samples []Sample
	if v.console.Samples != nil {
		samples = v.console.Samples()
	}
	out.Samples = each(samples, func(s Sample) string { return s.Test })
	conversation, quarantined, test := strings.TrimSpace(v.values.Get("conversation")), v.values.Get("quarantine"), v.values.Get("sample")
	switch {
	case conversation != "":
		out.Conversation = conversation
		return v.pickConversation(out, conversation)
	case quarantined != "":
		u, err := v.console.Ledger.Unreadable(v.Request().Context(), quarantined)
		if err != nil {
			return err
		}
		out.Source, out.Payload, out.ContentType = u.Source, string(u.Raw), u.ContentType
		return v.console.audit(v.Request().Context(), v.who, "reveal", "quarantine "+quarantined, "in the playground")
	case test != "":
		i := slices.IndexFunc(samples, func(s Sample) bool { return s.Test == test })
		if i < 0 {
			return &refusal{status: http.StatusNotFound, detail: fmt.Sprintf("The configuration has no test %q", test), hint: "It may have changed since the page was made."}
		}
		body, err := samples[i].Read()
		if err != nil {
			return &refusal{status: http.StatusNotFound, detail: "The sample of the test cannot be read", hint: err.Error()}
		}
		out.Sample, out.Source, out.Payload = test, samples[i].Source, string(body)
	}
	return nil
}

// pickConversation fills in the hook of a revision, the newest unless the address says which.
func (v *visit) pickConversation(out *page.Playground, id string) error {
	ctx := v.Request().Context()
	row, err := v.console.Ledger.Look(ctx, id)
	if err != nil {
		return err
	}
	revision := row.Revision
	if text := v.values.Get("revision"); text != "" && text != "0" {
		if revision, err = strconv.Atoi(text); err != nil {
			return &InputError{Text: fmt.Sprintf("%q is no number of a revision", text), Hint: "write 1, 2, …, or 0 for the newest"}
		}
	}
	said, err := v.console.Ledger.Revision(ctx, id, revision)
	if err != nil {
		return err
	}
	body, contentType, err := v.console.Ledger.Raw(ctx, id, revision)
	if err != nil {
		return err
	}
	out.Source, out.Payload, out.ContentType = said.Source, string(body), contentType
	return v.console.audit(ctx, v.who, "reveal", id, fmt.Sprintf("the hook of revision %d, in the playground", revision))
}

// typed is what was typed into a field of several lines, with the ends of lines that a file has: forms have others.
func (v *visit) typed(name string) string { return strings.ReplaceAll(v.FormValue(name), "\r\n", "\n") }

// mistakesView shows mistakes with the line they are in and a caret below.
func mistakesView(mistakes []Mistake, text string) []page.Mistake {
	lines := strings.Split(text, "\n")
	return each(mistakes, func(m Mistake) page.Mistake {
		out := page.Mistake{Place: "the routes", Text: m.Text, Hint: m.Hint}
		if m.Line >= 1 && m.Line <= len(lines) {
			line := strings.ReplaceAll(strings.TrimRight(lines[m.Line-1], "\r"), "\t", " ")
			out.Place = fmt.Sprintf("line %d, column %d", m.Line, m.Column)
			out.Snippet = line + "\n" + strings.Repeat(" ", max(m.Column-1, 0)) + strings.Repeat("^", max(m.Width, 1))
		}
		return out
	})
}

// outputView is what one target would get.
func outputView(t pipeline.ExplainedTarget, p Previewed) page.Output {
	out := page.Output{Target: t.Target, Routes: t.Routes, Hold: t.Hold, Requests: requestsView(p.Requests), Error: t.Error}
	if p.Error != "" {
		out.Error = strings.Trim(p.Error+"; "+p.Hint, "; ")
	}
	for _, cut := range t.Cut {
		out.Notes = append(out.Notes, "cut: "+cut)
	}
	for _, dropped := range t.Dropped {
		out.Notes = append(out.Notes, "left out: "+dropped)
	}
	for _, n := range slices.Concat(t.NotSent, p.NotSent) {
		out.Notes = append(out.Notes, "not sent: "+n.Field+", "+n.Why)
	}
	if text, err := json.MarshalIndent(t.Fields, "", "  "); err == nil {
		out.Fields = string(text)
	}
	return out
}

// routeView lists the terms of a route's condition, groups in front of their terms. hide leaves out the values that the
// terms read, for they are what visitors wrote.
func routeView(r pipeline.ExplainedRoute, hide bool) page.Route {
	out := page.Route{Name: r.Name, Matched: r.Matched, Why: r.Why, Error: r.Error, Targets: r.Targets}
	if r.When != nil {
		out.Terms = termsView(*r.When, 0, hide)
	}
	return out
}

func termsView(t pipeline.ExplainedTerm, depth int, hide bool) []page.Term {
	if t.Of != "" {
		out := []page.Term{{Text: t.Of + " of:", Depth: depth}}
		for _, inner := range t.Terms {
			out = append(out, termsView(inner, depth+1, hide)...)
		}
		return out
	}
	term := page.Term{Text: t.Text, Value: t.Value, Holds: t.Holds, First: t.Decides, Depth: depth}
	if !hide {
		var inputs []string
		for _, in := range t.Inputs {
			inputs = append(inputs, in.Name+" = "+in.Value)
		}
		term.Inputs = strings.Join(inputs, ", ")
	}
	return []page.Term{term}
}

// configurationPage shows the configuration in force, and what its tests say when somebody runs them.
func configurationPage(v *visit) (page.View, error) {
	if v.console.Config == nil || v.console.ConfigText == nil {
		return nil, errNoGateway
	}
	text, err := v.console.ConfigText()
	if err != nil {
		return nil, err
	}
	c := v.console.Config()
	out := page.Configuration{
		Frame: v.frame("Configuration", "configuration"), YAML: text, Hash: c.Hash, LoadedAt: c.LoadedAt, LastError: c.LastError, NeedsRestart: c.NeedsRestart,
	}
	out.Static = true
	if v.Request().Method != "POST" {
		return out, nil
	}
	out.Ran = true
	if v.console.Try == nil {
		return nil, errNoGateway
	}
	for _, t := range v.console.Try(v.Request().Context()) {
		out.Tests = append(out.Tests, page.Test(t))
	}
	return out, nil
}

// Trial is what came of one test of the configuration.
type Trial struct {
	Name   string
	Passed bool
	Lines  []string // what is not as expected
}
