// This file is `afterchat explain`: what a hook becomes and why, for people or as JSON.

package cmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/afterchat/afterchat/internal/gateway"
)

type explainCommand struct {
	Source      string `short:"s" required:"" help:"Name of the source that the hook is for."`
	Payload     string `arg:"" help:"File with the hook's body; - reads standard input."`
	ContentType string `help:"Content-Type of the hook, as its sender would say."`
	Format      string `enum:"text,json" default:"text" help:"text or json."`
}

// Run explains one hook. Nothing is sent and nothing is stored.
func (c explainCommand) Run(p *program) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	body, err := readPayload(c.Payload)
	if err != nil {
		return err
	}
	explained, err := gateway.Explain(cfg, c.Source, body, c.ContentType, time.Now().UTC())
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return writeJSON(p.stdout, explained)
	}
	return explainText(p.stdout, explained)
}

func readPayload(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(path)
}

func explainText(w io.Writer, e *gateway.Explained) error {
	var out bytes.Buffer
	explainConversation(&out, e)
	explainRoutes(&out, e)
	if err := explainTargets(&out, e); err != nil {
		return err
	}
	_, err := w.Write(out.Bytes())
	return err
}

// explainConversation says in a few lines who talked to whom and how it ended.
func explainConversation(out *bytes.Buffer, e *gateway.Explained) {
	c := e.Conversation
	say := func(label, text string) {
		if text != "" {
			_, _ = fmt.Fprintf(out, "%-14s%s\n", label, text)
		}
	}
	say("conversation", fmt.Sprintf("%s (%s %s of account %s)", c.ID, e.Platform, orNone(c.ExternalID), orNone(c.Account)))
	outcome := string(c.Outcome)
	if c.Rating != nil {
		outcome += fmt.Sprintf(", rated %g", *c.Rating)
		if c.RatingComment != "" {
			outcome += fmt.Sprintf(" (%s)", c.RatingComment)
		}
	}
	say("outcome", outcome)
	say("visitor", strings.TrimSpace(fmt.Sprintf("%s %s", orNone(c.Person.Name), bracket(c.Person.Email))))
	var agents []string
	for _, a := range c.Agents {
		agents = append(agents, a.Name)
	}
	say("agents", strings.Join(agents, ", "))
	span := ""
	if !c.StartedAt.IsZero() {
		span = " from " + c.StartedAt.Format(time.RFC3339)
	}
	if !c.EndedAt.IsZero() {
		span += " to " + c.EndedAt.Format(time.RFC3339)
	}
	say("messages", fmt.Sprintf("%d%s", len(c.Messages), span))
	for _, m := range c.Messages[:min(len(c.Messages), maxShownMessages)] {
		text := m.Text
		if text == "" {
			text = m.Event
		}
		say("", fmt.Sprintf("%-8s %s", m.Role, oneLine(strings.TrimPrefix(m.Author+": "+text, ": "))))
	}
	if more := len(c.Messages) - maxShownMessages; more > 0 {
		say("", fmt.Sprintf("… and %d more", more))
	}
	for _, warning := range c.Warnings {
		say("warning", warning)
	}
	if c.Question != "" {
		say("question", oneLine(c.Question))
	}
}

const (
	maxShownMessages = 8
	maxShownText     = 90
)

func explainRoutes(out *bytes.Buffer, e *gateway.Explained) {
	_, _ = fmt.Fprintln(out, "\nroutes")
	for _, r := range e.Routes {
		mark, tail := "✗", r.Why
		if r.Matched {
			mark, tail = "✓", "→ "+strings.Join(r.Targets, ", ")
		}
		if r.Error != "" {
			mark, tail = "!", r.Error
		}
		_, _ = fmt.Fprintf(out, "  %s %s: %s\n", mark, r.Name, tail)
		for _, t := range r.Terms {
			mark, tail := "✗", ""
			if t.Holds {
				mark = "✓"
			}
			if t.First {
				tail = "   ← decides"
			}
			var inputs []string
			for _, i := range t.Inputs {
				inputs = append(inputs, i.Name+" = "+i.Value)
			}
			_, _ = fmt.Fprintf(out, "      %s %s   (%s)%s\n", mark, t.Text, strings.Join(append(inputs, t.Value), "; "), tail)
		}
	}
	if len(e.Targets) == 0 {
		_, _ = fmt.Fprintln(out, "\nNo target gets it: it would be kept as unrouted.")
	}
}

func explainTargets(out *bytes.Buffer, e *gateway.Explained) error {
	for _, t := range e.Targets {
		_, _ = fmt.Fprintf(out, "\n%s (by %s", t.Target, strings.Join(t.Routes, ", "))
		if t.Hold != "" {
			_, _ = fmt.Fprintf(out, "; held %s for late content", t.Hold)
		}
		_, _ = fmt.Fprintln(out, ")")
		if t.Error != "" {
			_, _ = fmt.Fprintf(out, "  ! it cannot be rendered, the delivery would be dead: %s\n", t.Error)
			continue
		}
		for _, note := range slices.Concat(t.Cut, t.Dropped) {
			_, _ = fmt.Fprintf(out, "  note: %s\n", note)
		}
		var fields bytes.Buffer
		if err := writeJSON(&fields, t.Fields); err != nil {
			return err
		}
		for line := range strings.Lines(fields.String()) {
			out.WriteString("  " + line)
		}
	}
	return nil
}

func writeJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
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

func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > maxShownText {
		return string(runes[:maxShownText]) + "…"
	}
	return s
}
