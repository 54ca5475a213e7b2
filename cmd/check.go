// This file is `afterchat check`.

package cmd

import (
	"errors"
	"fmt"
	"os"

	"github.com/afterchat/afterchat/config"
)

type checkCommand struct {
	Format string `enum:"text,json,github" default:"text" help:"Form of the findings: text, json or github (annotations)."`
}

// Run reports every mistake at once.
func (c checkCommand) Run(p *program) error {
	cfg, err := config.Load(p.commands.Config, p.known, config.Environment{LookupEnv: os.LookupEnv, ReadFile: os.ReadFile})
	problems, mistaken := errors.AsType[config.Problems](err)
	if err != nil && !mistaken {
		return err
	}
	if mistaken || c.Format == "json" {
		if err := problems.Write(p.stdout, c.Format); err != nil {
			return err
		}
	}
	if mistaken {
		if c.Format == "text" {
			_, _ = fmt.Fprintf(p.stderr, "%s: %s\n", p.commands.Config, count(len(problems), "mistake"))
		}
		return errFindings
	}
	if c.Format == "text" {
		_, _ = fmt.Fprintf(p.stdout, "%s: fine (%s, %s, %s)\n", p.commands.Config,
			count(len(cfg.Sources), "source"), count(len(cfg.Targets), "target"), count(len(cfg.Definition.Routes), "route"))
	}
	return nil
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
