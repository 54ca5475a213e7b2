// This file is `afterchat explain`: what a hook becomes and why, for people or as JSON.

package cmd

import (
	"encoding/json"
	"io"
	"os"
	"time"

	"github.com/afterchat/afterchat/internal/gateway"
)

type explainCommand struct {
	Source      string `short:"s" required:"" help:"Name of the source that the hook is for."`
	Payload     string `arg:"" help:"File with the hook's body; - reads standard input."`
	ContentType string `help:"Content-Type of the hook, as its sender would say."`
	Format      string `enum:"text,json" default:"text" help:"text or json."`
	Full        bool   `help:"Show long texts and lists whole."`
}

// Run explains one hook. Nothing is sent and nothing is stored. A hook that would go to quarantine, a route that cannot be
// decided and a delivery that would be dead are findings.
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
		if err := writeJSON(p.stdout, explained); err != nil {
			return err
		}
		return found(explained)
	}
	answer := newAnswer(c.Full)
	answer.conversation(explained)
	answer.routes(explained)
	answer.targets(explained, cfg)
	if _, err = io.WriteString(p.stdout, printable(answer.text.String())); err != nil {
		return err
	}
	return found(explained)
}

// found returns errFindings if something of it would be dead.
func found(e *gateway.Explained) error {
	for _, r := range e.Routes {
		if r.Error != "" {
			return errFindings
		}
	}
	for _, t := range e.Targets {
		if t.Error != "" || e.Previews[t.Target].Error != "" {
			return errFindings
		}
	}
	return nil
}

func readPayload(path string) ([]byte, error) {
	if path == "-" {
		return io.ReadAll(os.Stdin)
	}
	return os.ReadFile(path)
}

func writeJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}
