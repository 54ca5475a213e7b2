// This file is what the pages of the console ask beside what the API does.

package gateway

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/console"
	"github.com/afterchat/afterchat/internal/pipeline"
)

// decide says what today's routes make of a conversation.
func (g *Gateway) decide(c *chat.Conversation) pipeline.Explanation {
	return g.setup.Load().config.Pipeline.Explain(c)
}

// routes lists the routes in force.
func (g *Gateway) routes() []console.Route {
	cfg := g.setup.Load().config
	var out []console.Route
	for _, r := range cfg.Definition.Routes {
		shown := console.Route{Name: r.Name, Targets: []string{}}
		for _, to := range r.To {
			shown.Targets = append(shown.Targets, to.Target)
		}
		out = append(out, shown)
	}
	if len(out) == 0 { // what the pipeline makes of none
		out = append(out, console.Route{Name: "everything", Targets: targetNames(cfg)})
	}
	return out
}

// routesText is the YAML of the routes in force.
func (g *Gateway) routesText() (string, error) { return g.setup.Load().config.RoutesText() }

// samples lists the hooks of the tests of the configuration in force.
func (g *Gateway) samples() []console.Sample {
	cfg := g.setup.Load().config
	var out []console.Sample
	for _, t := range cfg.Tests {
		out = append(out, console.Sample{Test: t.Name, Source: t.Source, Read: func() ([]byte, error) { return os.ReadFile(cfg.Resolve(t.Sample)) }})
	}
	return out
}

// tryAll runs the tests of the configuration in force.
func (g *Gateway) tryAll(ctx context.Context) []console.Trial {
	cfg := g.setup.Load().config
	var out []console.Trial
	for _, t := range cfg.Tests {
		if ctx.Err() != nil {
			break
		}
		body, err := os.ReadFile(cfg.Resolve(t.Sample))
		if err != nil {
			out = append(out, console.Trial{Name: t.Name, Lines: []string{err.Error()}})
			continue
		}
		trial := Try(cfg, t, body, time.Now().UTC())
		shown := console.Trial{Name: t.Name, Passed: trial.Passed}
		for _, d := range trial.Mismatch {
			shown.Lines = append(shown.Lines, d.text()...)
		}
		out = append(out, shown)
	}
	return out
}

// text is a difference for people.
func (d Difference) text() []string {
	var out []string
	if d.Want != "" || d.Got != "" {
		out = append(out, d.What+": wanted "+d.Want+", got "+d.Got)
	}
	for _, line := range d.Lines {
		out = append(out, "  "+line)
	}
	if len(d.Notes) > 0 {
		notes := strings.Join(d.Notes, "; ")
		if len(out) == 0 {
			return []string{d.What + ": " + notes}
		}
		out = append(out, "  "+notes)
	}
	return out
}
