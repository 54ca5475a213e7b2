// This file writes an explanation for people: who talked to whom, which routes match and why, what each target gets.

package cmd

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/internal/gateway"
)

// answer is what explain prints.
type answer struct {
	text     strings.Builder
	messages int // most that are shown
	bounds   bounds
}

func newAnswer(full bool) *answer {
	if full {
		return &answer{messages: unbounded, bounds: bounds{unbounded, unbounded, unbounded, unbounded}}
	}
	return &answer{messages: 8, bounds: bounds{width: 90, lines: 6, items: 8, records: 2}}
}

func (a *answer) line(format string, args ...any) {
	_, _ = fmt.Fprintf(&a.text, format+"\n", args...)
}

// say writes a labelled line, unless there is nothing to say.
func (a *answer) say(label, text string) {
	if text != "" {
		a.line("%-14s%s", label, text)
	}
}

// conversation says in a few lines who talked to whom, how it ended and where it goes.
func (a *answer) conversation(e *gateway.Explained) {
	c := e.Conversation
	a.say("conversation", fmt.Sprintf("%s (%s %s of account %s)", c.ID, e.Platform, orNone(c.ExternalID), orNone(c.Account)))
	outcome := string(c.Outcome)
	if c.Rating != nil {
		outcome += fmt.Sprintf(", rated %g", *c.Rating)
		if c.RatingComment != "" {
			outcome += fmt.Sprintf(" (%s)", a.bounds.oneLine(c.RatingComment))
		}
	}
	a.say("outcome", outcome)
	a.say("visitor", strings.TrimSpace(orNone(c.Person.Name)+" "+bracket(c.Person.Email)))
	var vars []string
	for _, name := range slices.Sorted(maps.Keys(c.Person.Vars)) {
		vars = append(vars, fmt.Sprintf("%s = %v", name, c.Person.Vars[name]))
	}
	a.say("variables", a.bounds.oneLine(strings.Join(vars, ", ")))
	var agents []string
	for _, author := range c.Agents {
		agents = append(agents, author.Name)
	}
	a.say("agents", strings.Join(agents, ", "))
	span := ""
	if !c.StartedAt.IsZero() {
		span = " from " + c.StartedAt.Format(time.RFC3339)
	}
	if !c.EndedAt.IsZero() {
		span += " to " + c.EndedAt.Format(time.RFC3339)
	}
	a.say("messages", fmt.Sprintf("%d%s", len(c.Messages), span))
	shown := upTo(a.messages, len(c.Messages))
	for _, m := range c.Messages[:shown] {
		text := m.Text
		if text == "" {
			text = m.Event
		}
		a.say("", fmt.Sprintf("%-8s %s", m.Role, a.bounds.oneLine(strings.TrimPrefix(m.Author+": "+text, ": "))))
	}
	if more := len(c.Messages) - shown; more > 0 {
		a.say("", fmt.Sprintf("… and %d more", more))
	}
	a.say("question", a.bounds.oneLine(c.Question))
	for _, warning := range c.Warnings {
		a.say("warning", warning)
	}
	a.say("goes to", goesTo(e))
}

// goesTo is the answer in one line.
func goesTo(e *gateway.Explained) string {
	var targets []string
	for _, t := range e.Targets {
		targets = append(targets, t.Target)
	}
	if len(targets) > 0 {
		return strings.Join(targets, ", ")
	}
	for _, r := range e.Routes {
		if r.Matched {
			return fmt.Sprintf("no target: %s names none, it would be kept as unrouted", r.Name)
		}
	}
	return "no target: no route matches, it would be kept as unrouted"
}

// routes shows each route, and each term of its condition with the values that it read.
func (a *answer) routes(e *gateway.Explained) {
	a.line("\nroutes")
	for _, r := range e.Routes {
		mark, tail := "✗", r.Why
		if r.Matched {
			mark, tail = "✓", "→ "+cmp.Or(strings.Join(r.Targets, ", "), "no target")
		}
		if r.Error != "" {
			mark, tail = "!", r.Error
		}
		a.line("  %s %s: %s", mark, r.Name, tail)
		if r.When != nil {
			a.condition(*r.When, r.Matched)
		}
	}
}

// condition shows the terms of a condition, groups of them indented, and which of them decide. They are not marked when
// all of them do and it matches.
func (a *answer) condition(when gateway.Term, matched bool) {
	other := func(t gateway.Term) bool { return !t.Decides }
	marked := !matched || slices.ContainsFunc(when.Leaves(), other)
	a.term(when, "      ", widest(when, 0), marked)
}

// widest is how much room the longest text of a term takes, with what it is indented.
func widest(t gateway.Term, indent int) int {
	if t.Of == "" {
		return indent + min(utf8.RuneCountInString(t.Text), maxTerm)
	}
	most := 0
	for _, inner := range t.Terms {
		most = max(most, widest(inner, indent+2))
	}
	return most
}

func (a *answer) term(t gateway.Term, indent string, width int, marked bool) {
	mark := "✗"
	if t.Holds {
		mark = "✓"
	}
	if t.Of != "" {
		a.line("%s%s %s of:", indent, mark, t.Of)
		for _, inner := range t.Terms {
			a.term(inner, indent+"  ", width-2, marked)
		}
		return
	}
	var values []string
	for _, in := range t.Inputs {
		values = append(values, in.Name+" = "+in.Value)
	}
	if t.Value != "true" && t.Value != "false" {
		values = append(values, "so the term is "+t.Value)
	}
	tail := ""
	if t.Decides && marked {
		tail = "   ← decides"
	}
	a.line("%s", strings.TrimRight(fmt.Sprintf("%s%s %-*s   %s%s", indent, mark, width, t.Text, strings.Join(values, ", "), tail), " "))
}

// maxTerm is how wide the column of terms gets, in characters.
const maxTerm = 60

// targets shows what each target gets, after redaction and limits, in the order of the mapping.
func (a *answer) targets(e *gateway.Explained, cfg *config.Config) {
	for _, t := range e.Targets {
		about := "by " + strings.Join(t.Routes, ", ")
		if t.Hold != "" {
			about += "; held " + shortDuration(t.Hold) + " for late content"
		}
		if names := e.Redacted[t.Target]; len(names) > 0 {
			about += "; redacted by " + strings.Join(names, ", ")
		}
		a.line("\n%s (%s)", t.Target, about)
		if t.Error != "" {
			a.line("  ! it cannot be rendered, the delivery would be dead: %s", t.Error)
			continue
		}
		for _, note := range t.Cut {
			a.line("  cut      %s", note)
		}
		for _, note := range t.Dropped {
			a.line("  dropped  %s", note)
		}
		order := gateway.FieldOrder(cfg, t.Target)
		if preview, ok := e.Previews[t.Target]; ok {
			a.requests(preview, order)
			a.notSent(append(t.NotSent, preview.NotSent...))
			continue
		}
		s := sheet{text: &a.text, bounds: a.bounds, order: order}
		if fields, ok := s.plain(t.Fields, "").(map[string]any); ok {
			s.mapping(fields, "", 2)
		}
		a.notSent(t.NotSent)
	}
}

// shortDuration writes 5m0s as 5m.
func shortDuration(s string) string {
	for _, tail := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, tail) {
			s = s[:len(s)-2]
		}
	}
	return s
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}

func bracket(s string) string {
	if s == "" {
		return ""
	}
	return "<" + s + ">"
}
