// This file is what check prints: every mistake and every warning at its line and column, as text for people, as JSON for programs and
// as annotations for GitHub.

package config

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// ErrFormat is returned by Problems.Write for a format that it does not know.
var ErrFormat = errors.New("unknown format; known are text, json and github")

// Severity tells mistakes from warnings.
type Severity string

// The severities. With a mistake nothing is loaded; a warning tells of what works and was hardly meant so.
const (
	Mistake Severity = "error"
	Warning Severity = "warning"
)

// Problem is one mistake in a configuration, or one warning. No part of it shows the text of a secret.
type Problem struct {
	Severity Severity `json:"severity"`
	File     string   `json:"file"`
	Line     int      `json:"line"`             // from 1
	Column   int      `json:"column"`           // from 1, in characters
	Text     string   `json:"text"`             // what is wrong
	Hint     string   `json:"hint,omitempty"`   // how it would be right
	Source   string   `json:"source,omitempty"` // the line, with secrets masked
	Width    int      `json:"width"`            // characters from Column on that are meant, within the line; at least 1

	at    int // place in the text of all files
	caret int // characters of Source before the caret: Column-1, unless something before it is masked
}

// String is the problem on one line: file:line:col: text; hint.
func (p Problem) String() string {
	s := fmt.Sprintf("%s: %s", p.Place(), p.said())
	if p.Hint != "" {
		s += "; " + p.Hint
	}
	return s
}

// Place is file:line:col.
func (p Problem) Place() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// said is the text, with its severity if that is not the usual one.
func (p Problem) said() string {
	if p.Severity == Warning {
		return "warning: " + p.Text
	}
	return p.Text
}

// Problems are all mistakes of a configuration and all warnings, by position. It is the error that Load and Parse return
// if there is a mistake; else the warnings are in Config.Warnings.
type Problems []Problem //nolint:errname // it is a list of what was found, and read as one

// Error is one line for each mistake.
func (p Problems) Error() string {
	var lines []string
	for _, problem := range p {
		if problem.Severity != Warning {
			lines = append(lines, problem.String())
		}
	}
	return strings.Join(lines, "\n")
}

// Count returns how many problems are mistakes and how many are warnings.
func (p Problems) Count() (mistakes, warnings int) {
	for _, problem := range p {
		if problem.Severity == Warning {
			warnings++
		} else {
			mistakes++
		}
	}
	return mistakes, warnings
}

// Write writes the problems in a format: text (with the line and a caret), json (one array) or github (workflow
// commands). Another format is ErrFormat.
func (p Problems) Write(w io.Writer, format string) error {
	switch format {
	case "text":
		return p.writeText(w)
	case "json":
		if p == nil {
			p = Problems{}
		}
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(p)
	case "github":
		return p.writeGitHub(w)
	}
	return fmt.Errorf("%q: %w", format, ErrFormat)
}

func (p Problems) writeText(w io.Writer) error {
	var b strings.Builder
	for _, problem := range p {
		fmt.Fprintf(&b, "%s: %s\n", problem.Place(), problem.said())
		if strings.TrimSpace(problem.Source) != "" {
			fmt.Fprintf(&b, "    %s\n    %s%s\n", problem.Source, problem.indent(), problem.underline())
		}
		if problem.Hint != "" {
			fmt.Fprintf(&b, "    hint: %s\n", problem.Hint)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// indent is what stands before the caret: tabs where the source has tabs, so that both line up.
func (p Problem) indent() string {
	var b strings.Builder
	n := 0
	for _, r := range p.Source {
		if n == p.caret {
			break
		}
		n++
		if r == '\t' {
			b.WriteByte('\t')
		} else {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

func (p Problem) underline() string {
	return "^" + strings.Repeat("~", max(p.Width, 1)-1)
}

// writeGitHub writes workflow commands, escaped as
// https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands and its toolkit do.
func (p Problems) writeGitHub(w io.Writer) error {
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	var b strings.Builder
	for _, problem := range p {
		text := problem.Text
		if problem.Hint != "" {
			text += "\nhint: " + problem.Hint
		}
		fmt.Fprintf(&b, "::%s file=%s,line=%d,col=%d,endColumn=%d::%s\n", cmp.Or(problem.Severity, Mistake), property.Replace(problem.File),
			problem.Line, problem.Column, problem.Column+max(problem.Width, 1), data.Replace(text))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// report collects problems by byte offset; list turns them into lines and columns.
type report struct {
	file   *file
	found  []finding // mistakes
	warned []finding
}

type finding struct {
	span       span
	text, hint string
}

// add notes a problem.
func (r *report) add(at span, hint, format string, args ...any) {
	r.found = append(r.found, finding{at, fmt.Sprintf(format, args...), hint})
}

// warn notes what works and was hardly meant so.
func (r *report) warn(at span, hint, format string, args ...any) {
	r.warned = append(r.warned, finding{at, fmt.Sprintf(format, args...), hint})
}

// list returns what was found, sorted, each once, with secrets masked.
func (r *report) list(m masks) Problems {
	out := append(r.shown(r.found, Mistake, m), r.shown(r.warned, Warning, m)...)
	slices.SortStableFunc(out, func(a, b Problem) int { return cmp.Compare(a.at, b.at) })
	return out
}

// shown returns findings as problems, sorted, each once.
func (r *report) shown(all []finding, severity Severity, m masks) Problems {
	slices.SortStableFunc(all, func(a, b finding) int {
		return cmp.Or(cmp.Compare(a.span.from, b.span.from), cmp.Compare(a.text, b.text))
	})
	found := slices.CompactFunc(slices.Clone(all), func(a, b finding) bool {
		return a.span.from == b.span.from && a.text == b.text
	})
	var out Problems
	for _, f := range found {
		line, column, width := r.file.position(f.span)
		source, caret, width := m.line(r.file, f.span.from, width)
		out = append(out, Problem{
			Severity: severity, at: f.span.from, File: r.file.partAt(f.span.from).name, Line: line, Column: column, Width: width,
			Text: m.text(f.text), Hint: m.text(f.hint), Source: source, caret: caret,
		})
	}
	return out
}
