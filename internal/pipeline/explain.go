// This file says why a conversation went where it went, for people: explain on the command line, the playground, and
// tests of a configuration.

package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/rule"
)

// Explanation is what the pipeline makes of one conversation. Nothing is sent.
type Explanation struct {
	Routes  []ExplainedRoute  `json:"routes"`  // all of them but that of alerts, in file order
	Targets []ExplainedTarget `json:"targets"` // those that get a delivery
}

// ExplainedRoute is one route and whether it matches.
type ExplainedRoute struct {
	Name    string         `json:"name"`
	Matched bool           `json:"matched"`
	Why     string         `json:"why,omitempty"`   // why it did not match; "" if it did
	When    *ExplainedTerm `json:"when,omitempty"`  // the condition, if it counted
	Targets []string       `json:"targets"`         // that it names
	Error   string         `json:"error,omitempty"` // the condition could not be evaluated
}

// ExplainedTerm is a condition or a part of one: a group of terms, or what is compared.
type ExplainedTerm struct {
	Text    string           `json:"text"`  // as written
	Value   string           `json:"value"` // true, false or absent
	Holds   bool             `json:"holds"`
	Decides bool             `json:"decides,omitempty"` // the condition matches, or does not, because of this term
	Of      string           `json:"of,omitempty"`      // of a group: all, any, none, not all; how many of its terms have to hold
	Terms   []ExplainedTerm  `json:"terms,omitempty"`   // of a group
	Inputs  []ExplainedInput `json:"inputs,omitempty"`
}

// Leaves returns what is compared in t: t itself, or what is in its terms.
func (t ExplainedTerm) Leaves() []ExplainedTerm {
	if t.Of == "" {
		return []ExplainedTerm{t}
	}
	var out []ExplainedTerm
	for _, inner := range t.Terms {
		out = append(out, inner.Leaves()...)
	}
	return out
}

// ExplainedInput is a value that a term compares.
type ExplainedInput struct {
	Name  string `json:"name"`
	Value string `json:"value"` // as JSON, shortened; or absent
}

// ExplainedTarget is one delivery and what it would send.
type ExplainedTarget struct {
	Target  string         `json:"target"`
	Routes  []string       `json:"routes"`
	Hold    string         `json:"hold,omitempty"` // 5m0s
	Fields  map[string]any `json:"fields,omitempty"`
	Cut     []string       `json:"cut,omitempty"`
	Dropped []string       `json:"dropped,omitempty"`
	// NotSent are fields of the mapping that the settings of the target do not let be sent.
	NotSent []connectors.NotSent `json:"not_sent,omitempty"`
	Error   string               `json:"error,omitempty"` // the delivery would be dead
}

// Explain routes and maps a conversation and says why.
func (p *Pipeline) Explain(c *chat.Conversation) Explanation {
	e := Explanation{Routes: []ExplainedRoute{}, Targets: []ExplainedTarget{}}
	var matches []Match
	empty, stop := isEmpty(c), ""
	for _, r := range p.routes {
		if r.Alert {
			continue
		}
		explained := ExplainedRoute{Name: r.Name, Targets: []string{}}
		for _, to := range r.to {
			explained.Targets = append(explained.Targets, to.target)
		}
		v, err := r.judge(c, empty)
		if stop != "" {
			v, err = afterStop, nil
		}
		explained.Why = r.why(v, c, stop)
		switch {
		case err != nil:
			explained.Error = err.Error()
			matches = p.add(matches, r, undecided+r.Name)
		case v == matched:
			explained.Matched = true
			matches = p.add(matches, r, r.Name)
			if r.Final {
				stop = r.Name
			}
		}
		explained.When = r.explain(v, c)
		e.Routes = append(e.Routes, explained)
	}
	for _, m := range matches {
		e.Targets = append(e.Targets, p.explainTarget(c, m))
	}
	return e
}

func (r *route) why(v verdict, c *chat.Conversation, stop string) string {
	switch v {
	case otherFrom:
		return fmt.Sprintf("source %s is not one of %s", c.Source, strings.Join(r.From, ", "))
	case notWhen:
		return "its condition does not hold"
	case noContent:
		return "nobody wrote anything, and the route is without empty: true"
	case afterStop:
		return fmt.Sprintf("route %q above it is final", stop)
	case failed:
		return "its condition could not be evaluated"
	case matched:
	}
	return ""
}

// explain evaluates the parts of the condition, if it was one.
func (r *route) explain(v verdict, c *chat.Conversation) *ExplainedTerm {
	if r.when == nil || v == otherFrom || v == afterStop || v == noContent || len(r.problems) > 0 {
		return nil
	}
	term := explainedTerm(r.when.Explain(c))
	return &term
}

func explainedTerm(t rule.Term) ExplainedTerm {
	out := ExplainedTerm{Text: t.Source, Value: t.Value, Holds: t.True, Decides: t.Decides, Of: t.Of}
	for _, inner := range t.Terms {
		out.Terms = append(out.Terms, explainedTerm(inner))
	}
	for _, in := range t.Inputs {
		out.Inputs = append(out.Inputs, ExplainedInput{Name: in.Name, Value: in.Value})
	}
	return out
}

func (p *Pipeline) explainTarget(c *chat.Conversation, m Match) ExplainedTarget {
	e := ExplainedTarget{Target: m.Target, Routes: m.Routes}
	if m.Hold > 0 {
		e.Hold = m.Hold.Round(time.Second).String()
	}
	rendered, err := p.Map(c, m.Target, m.Routes)
	if err != nil {
		e.Error = err.Error()
		return e
	}
	e.Fields, e.Cut, e.Dropped = rendered.Fields, rendered.Cut, rendered.Dropped
	e.NotSent = slices.Clone(p.targets[m.Target].defaults.unused)
	return e
}
