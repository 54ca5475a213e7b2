// This file holds the commands that only print: schema, connectors, version.

package cmd

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/afterchat/afterchat/config"
)

type schemaCommand struct{}

// Run prints the JSON Schema of the whole file.
func (schemaCommand) Run(p *program) error {
	schema, err := config.Schema(p.known)
	if err != nil {
		return err
	}
	_, err = p.stdout.Write(append(schema, '\n'))
	return err
}

type connectorsCommand struct {
	Name string `arg:"" optional:"" help:"Kind of target to describe."`
}

// Run lists the connector types, or describes one.
func (c connectorsCommand) Run(p *program) error {
	var names []string
	for _, t := range p.known.Targets {
		if t.Name() == c.Name {
			return config.Describe(p.stdout, t)
		}
		names = append(names, t.Name())
		if c.Name == "" {
			_, _ = fmt.Fprintf(p.stdout, "%-10s %s\n", t.Name(), t.Doc())
		}
	}
	if c.Name != "" {
		return errors.New(config.Unknown("connector", c.Name, names))
	}
	return nil
}

type versionCommand struct{}

// Run prints the version.
func (versionCommand) Run(p *program) error {
	_, err := fmt.Fprintln(p.stdout, versionText())
	return err
}

func versionText() string {
	return fmt.Sprintf("afterchat %s (%s %s/%s)", Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
