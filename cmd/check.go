// This file is `afterchat check`.

package cmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/internal/gateway"
)

type checkCommand struct {
	Format    string `enum:"text,json,github" default:"text" help:"Form of the findings: text, json or github (annotations)."`
	Elsewhere bool   `help:"The configuration is for another machine: do not look whether the ledger's folder is there."`
	Live      bool   `help:"Then ask every target whether it can be reached, lets us in and has what its settings name. Creates nothing."`
}

// Run reports every mistake and every warning at once.
func (c checkCommand) Run(p *program) error {
	env := config.Environment{LookupEnv: os.LookupEnv, ReadFile: os.ReadFile}
	if !c.Elsewhere {
		env.Folder = writable
	}
	cfg, err := config.Load(p.commands.Config, p.known, env)
	if errors.Is(err, fs.ErrNotExist) {
		return noFile(p.commands.Config)
	}
	problems, mistaken := errors.AsType[config.Problems](err)
	if err != nil && !mistaken {
		return err
	}
	if !mistaken {
		problems = cfg.Warnings
	}
	if c.Live && !mistaken {
		return c.live(p, cfg)
	}
	switch {
	case c.Live && c.Format == "json":
		if err := writeLiveJSON(p.stdout, problems, nil); err != nil {
			return err
		}
	default:
		if err := problems.Write(p.stdout, c.Format); err != nil {
			return err
		}
	}
	if mistaken {
		if c.Format == "text" {
			mistakes, warnings := problems.Count()
			_, _ = fmt.Fprintf(p.stderr, "%s: %s%s\n", p.commands.Config, count(mistakes, "mistake"), also(warnings))
		}
		return errFindings
	}
	if c.Format == "text" {
		fine(p, cfg)
	}
	return nil
}

func fine(p *program, cfg *config.Config) {
	routes := "no routes: everything goes to every target"
	n := 0
	for _, r := range cfg.Definition.Routes {
		if !r.Alert { // that of alerts is none of the file's
			n++
		}
	}
	if n > 0 {
		routes = count(n, "route")
	}
	_, _ = fmt.Fprintf(p.stdout, "%s: fine (%s, %s, %s)%s\n", p.commands.Config,
		count(len(cfg.Sources), "source"), count(len(cfg.Targets), "target"), routes, also(len(cfg.Warnings)))
}

func also(warnings int) string {
	if warnings == 0 {
		return ""
	}
	return ", " + count(warnings, "warning")
}

// live asks the targets of a configuration without mistakes.
func (c checkCommand) live(p *program, cfg *config.Config) error {
	ctx, cancel := untilSignal()
	defer cancel()
	if c.Format != "json" {
		if err := cfg.Warnings.Write(p.stdout, c.Format); err != nil {
			return err
		}
	}
	if c.Format == "text" {
		fine(p, cfg)
	}
	results := gateway.CheckLive(ctx, cfg, gateway.Options{Version: Version(), Logger: slog.New(slog.DiscardHandler)})
	if ctx.Err() != nil {
		return context.Canceled
	}
	var err error
	switch c.Format {
	case "json":
		err = writeLiveJSON(p.stdout, cfg.Warnings, results)
	case "github":
		_, err = io.WriteString(p.stdout, liveGitHub(p.commands.Config, results))
	default:
		_, err = io.WriteString(p.stdout, liveText(results))
	}
	if err == nil && slices.ContainsFunc(results, func(l gateway.Live) bool { return !l.Fine() }) {
		return errFindings
	}
	return err
}

// writeLiveJSON writes one object: mistakes and warnings, and what came of asking.
func writeLiveJSON(w io.Writer, problems config.Problems, results []gateway.Live) error {
	var text strings.Builder
	if err := problems.Write(&text, "json"); err != nil {
		return err
	}
	if results == nil {
		results = []gateway.Live{}
	}
	return writeJSON(w, struct {
		Problems json.RawMessage `json:"problems"`
		Targets  []gateway.Live  `json:"targets"`
	}{json.RawMessage(text.String()), results})
}

// liveText is a line for each target, and its hint below.
func liveText(results []gateway.Live) string {
	width := 0
	for _, l := range results {
		width = max(width, len(l.Target))
	}
	var out strings.Builder
	for _, l := range results {
		mark, text := "✓", fmt.Sprintf("ok (%d ms)", l.Milliseconds)
		switch {
		case l.State == gateway.LiveUnchecked:
			mark, text = "-", unchecked(l)
		case l.Fine() && l.State == gateway.LiveFailed:
			mark, text = "✓", l.Kind+": "+l.Error
		case l.State == gateway.LiveFailed:
			mark, text = "✗", l.Kind+": "+l.Error
		}
		_, _ = fmt.Fprintf(&out, "  %s %-*s  %s\n", mark, width, l.Target, text)
		if l.Hint != "" {
			_, _ = fmt.Fprintf(&out, "    %-*s  hint: %s\n", width, "", l.Hint)
		}
	}
	return out.String()
}

// unchecked is what is known of a target that was not asked.
func unchecked(l gateway.Live) string {
	if l.Reached {
		return "somebody listens there; more cannot be checked: " + uncheckable
	}
	return "cannot be checked: " + uncheckable
}

// uncheckable says why a target was not asked.
const uncheckable = "with its settings there is no harmless request to make; afterchat send --target NAME sends a marked test record"

// liveGitHub is an annotation for each target that failed or could not be asked.
func liveGitHub(path string, results []gateway.Live) string {
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	var out strings.Builder
	for _, l := range results {
		level, text := "notice", unchecked(l)
		switch l.State {
		case gateway.LiveOK:
			continue
		case gateway.LiveFailed:
			level, text = "error", l.Kind+": "+l.Error
			if l.Fine() {
				level = "warning"
			}
		}
		if l.Hint != "" {
			text += "\nhint: " + l.Hint
		}
		_, _ = fmt.Fprintf(&out, "::%s file=%s,title=%s::%s\n", level, property.Replace(path), property.Replace("target "+l.Target), data.Replace(text))
	}
	return out.String()
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
