// This file is `afterchat test`: the tests of the configuration, with what differs for people, as JSON or as JUnit.

package cmd

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/internal/gateway"
)

type testCommand struct {
	Name   []string `arg:"" optional:"" help:"Run only tests with one of these texts in their names."`
	Format string   `enum:"text,json" default:"text" help:"text or json."`
	JUnit  string   `name:"junit" placeholder:"FILE" help:"Write the results as JUnit XML, too."`
}

// ran is a test that has been run.
type ran struct {
	gateway.Trial
	took time.Duration
}

// Run runs every test of the file. Nothing is sent and nothing is stored.
func (c testCommand) Run(p *program) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	tests, err := c.chosen(cfg)
	if err != nil {
		return err
	}
	var results []ran
	failed := 0
	for _, t := range tests {
		started := time.Now()
		trial := try(cfg, t)
		results = append(results, ran{trial, time.Since(started)})
		if !trial.Passed {
			failed++
		}
	}
	if err := c.write(p, results, failed); err != nil {
		return err
	}
	if c.JUnit != "" {
		if err := writeJUnit(c.JUnit, cfg.Path, results); err != nil {
			return fmt.Errorf("writing the JUnit file: %w", err)
		}
	}
	if failed > 0 {
		return errFindings
	}
	return nil
}

// chosen returns the tests whose names were asked for, all if none was. To run none is never a success.
func (c testCommand) chosen(cfg *config.Config) ([]config.Test, error) {
	if len(cfg.Tests) == 0 {
		return nil, fmt.Errorf("%s has no tests; under tests: each has a name, a source, a sample and what to expect", cfg.Path)
	}
	var tests []config.Test
	var names []string
	for _, t := range cfg.Tests {
		names = append(names, fmt.Sprintf("%q", t.Name))
		if len(c.Name) == 0 || slices.ContainsFunc(c.Name, func(part string) bool {
			return strings.Contains(strings.ToLower(t.Name), strings.ToLower(part))
		}) {
			tests = append(tests, t)
		}
	}
	if len(tests) == 0 {
		return nil, fmt.Errorf("no test has %q in its name; there are %s", strings.Join(c.Name, " or "), strings.Join(names, ", "))
	}
	return tests, nil
}

func try(cfg *config.Config, t config.Test) gateway.Trial {
	body, err := os.ReadFile(cfg.Resolve(t.Sample))
	if err != nil { // it was there when the configuration was checked
		return gateway.Trial{
			Name: t.Name, Source: t.Source, Sample: t.Sample,
			Mismatch: []gateway.Difference{{What: "sample", Notes: []string{err.Error()}}},
		}
	}
	return gateway.Try(cfg, t, body, time.Now().UTC())
}

func (c testCommand) write(p *program, results []ran, failed int) error {
	if c.Format == "json" {
		trials := make([]gateway.Trial, len(results))
		for i, r := range results {
			trials[i] = r.Trial
		}
		return writeJSON(p.stdout, trials)
	}
	var out strings.Builder
	for _, r := range results {
		if r.Passed {
			_, _ = fmt.Fprintf(&out, "✓ %s\n", r.Name)
			continue
		}
		_, _ = fmt.Fprintf(&out, "✗ %s (%s)\n%s", r.Name, r.Sample, mismatchText(r.Mismatch))
	}
	summary := count(len(results), "test") + " passed"
	if failed > 0 {
		summary = fmt.Sprintf("%d of %s failed", failed, count(len(results), "test"))
	}
	_, _ = fmt.Fprintf(&out, "%s: %s\n", p.commands.Config, summary)
	_, err := io.WriteString(p.stdout, printable(out.String()))
	return err
}

// mismatchText shows each difference with what was expected above what came.
func mismatchText(differences []gateway.Difference) string {
	var out strings.Builder
	say := func(indent int, text string) {
		_, _ = fmt.Fprintf(&out, "%s%s\n", strings.Repeat(" ", indent), text)
	}
	for _, d := range differences {
		say(4, d.What)
		if d.Want != "" || d.Got != "" {
			say(6, "expected  "+d.Want)
			say(6, "got       "+d.Got)
		}
		if len(d.Lines) > 0 {
			say(6, "- expected, + got")
		}
		for _, line := range d.Lines {
			say(6, line)
		}
		for _, note := range d.Notes {
			say(6, note)
		}
	}
	return out.String()
}
