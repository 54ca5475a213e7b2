// This file is what the console asks of the gateway: who is let in, what targets and sources are doing, what would be
// sent, and what an operator wants changed.

package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/config/password"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/console"
	"github.com/afterchat/afterchat/internal/delivery"
	"github.com/afterchat/afterchat/internal/intake"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/sqlite"
	"github.com/afterchat/afterchat/internal/rule"
	"github.com/afterchat/afterchat/internal/source"
)

// console makes the handler of the admin listener.
func (g *Gateway) console() http.Handler {
	o := console.Options{
		Version: g.Version, Started: g.started, Logger: g.Logger, Metrics: g.metrics, Ready: g.ready, Pprof: g.boot.Admin.Pprof,
		Access: g.access, Ledger: g.ledger, Config: g.status, ConfigText: g.configText, Targets: g.targets, Sources: g.sources, Alerts: g.standing,
		Gateway: console.Gateway{
			Pause: g.pause, Resume: g.resume, Probe: g.probe, Render: g.render, RenderAttempt: g.renderAttempt, Explain: g.explain, Take: g.take, Select: g.selector,
			Decide: g.decide, Routes: g.routes, RoutesText: g.routesText, Samples: g.samples, Try: g.tryAll,
			Plan:     func(c *chat.Conversation) ledger.Plan { return g.planner(g.setup.Load().config.Pipeline)(c) },
			Replayed: g.replayed,
		},
	}
	if g.Load != nil {
		o.Reload = func(ctx context.Context) error { return g.Reload(ctx, "POST /-/reload") }
	}
	if l, ok := g.ledger.(*sqlite.Ledger); ok {
		o.Repair = g.repair(l)
	}
	return console.New(o)
}

// access says who is let in, by the configuration in force.
func (g *Gateway) access() console.Access {
	if g.here {
		return console.Access{Local: true}
	}
	a := g.setup.Load().access
	a.Local = g.local
	return a
}

// accessOf reads who a configuration lets in.
func accessOf(a config.Admin) (console.Access, error) {
	var out console.Access
	if hash := a.Password.Reveal(); hash != "" {
		out.Password = &console.Password{
			Matches: func(text string) bool { return password.Matches(hash, text) },
			Key:     []byte(hash), // the same on every replica and after a restart; another one when the password changes
		}
	}
	for _, t := range a.Tokens {
		out.Tokens = append(out.Tokens, console.Token{Name: t.Name, Digest: console.DigestOf(t.Token.Reveal()), Role: console.ParseRole(t.Role)})
	}
	if p := a.Proxy; p != nil {
		trusted, err := networks(p.Networks)
		if err != nil {
			return out, fmt.Errorf("admin.proxy.networks: %w", err)
		}
		out.Proxy = &console.Proxy{Header: p.Header, RoleHeader: p.RoleHeader, Networks: trusted, Role: console.ParseRole(p.Role)}
	}
	return out, nil
}

// configText is the configuration in force, secrets masked.
func (g *Gateway) configText() (string, error) {
	var out bytes.Buffer
	err := g.setup.Load().config.WriteMasked(&out)
	return out.String(), err
}

// targets lists the targets of the configuration in force with what the engine knows of them.
func (g *Gateway) targets(stats ledger.Stats) []console.Target {
	known, now := map[string]delivery.TargetStatus{}, time.Now()
	for _, s := range g.engine.Load().Status() {
		known[s.Name] = s
	}
	var out []console.Target
	for _, t := range g.setup.Load().config.Targets {
		s := known[t.Name]
		shown := console.Target{
			Name: t.Name, Type: t.Type.Name(), Workers: t.Workers, Rate: rateText(t.Rate), HeldUntil: utc(s.HeldUntil), InFlight: s.InFlight,
			LastSuccessAt: utc(s.LastSuccess), LastFailureAt: utc(s.LastFailure), LastError: s.LastError,
		}
		shown.OverdueSince = utc(s.OverdueSince(stats.Targets[t.Name].Overdue, now))
		if use := s.Rate; use.Over > 0 {
			shown.RateUse = &console.RateUse{
				Used: use.Used, Allowed: float64(t.Rate.Count) * use.Over.Seconds() / t.Rate.Per.Seconds(), OverSeconds: use.Over.Seconds(), UsedUp: use.UsedUp,
			}
		}
		if took := s.Attempts; took.Count > 0 {
			shown.Attempts = &console.Took{
				Count: took.Count, P50Milliseconds: float64(took.P50.Microseconds()) / 1000, P95Milliseconds: float64(took.P95.Microseconds()) / 1000,
			}
		}
		if s.Paused {
			shown.Pause = &console.Pause{Since: utc(s.Since), NextProbeAt: utc(s.NextProbe), Reason: s.Reason}
		}
		out = append(out, shown)
	}
	return out
}

func rateText(r config.Rate) string {
	if r.Count == 0 {
		return ""
	}
	return r.String()
}

// sources lists the sources of the configuration in force.
func (g *Gateway) sources() []console.Source {
	s := g.setup.Load()
	var out []console.Source
	for _, c := range s.config.Sources {
		out = append(out, console.Source{
			Name: c.Name, Type: c.Type, Brand: c.Brand, Since: utc(s.since[c.Name]), ExpectEverySeconds: c.ExpectEvery.Seconds(),
		})
	}
	return out
}

func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}

func (g *Gateway) pause(ctx context.Context, target, reason string) error {
	return g.told(g.engine.Load().Pause(ctx, target, reason))
}

func (g *Gateway) resume(ctx context.Context, target, reason string) error {
	return g.told(g.engine.Load().Resume(ctx, target, reason))
}

// probe asks a target whether it works.
func (g *Gateway) probe(ctx context.Context, target string) error {
	err := g.engine.Load().Probe(ctx, target)
	switch {
	case err == nil, errors.Is(err, delivery.ErrNoTarget), errors.Is(err, delivery.ErrNoCheck), errors.Is(err, delivery.ErrNotRunning):
		return g.told(err)
	}
	return &console.ProbeError{Err: err, Hint: connectors.Classify(err).Hint}
}

// told makes errors of the engine those that the console tells to whoever asked.
func (g *Gateway) told(err error) error {
	switch {
	case errors.Is(err, delivery.ErrNoTarget):
		return &console.InputError{Text: err.Error(), Hint: fmt.Sprintf("there are %q", targetNames(g.setup.Load().config))}
	case errors.Is(err, delivery.ErrNoCheck):
		return &console.InputError{Text: err.Error(), Hint: "send a test record: afterchat send --target NAME"}
	case errors.Is(err, delivery.ErrNotRunning):
		return &console.UnavailableError{Text: err.Error(), Hint: "start the gateway with afterchat serve"}
	}
	return err
}

// explain says what a hook would become, with the routes in force or with others.
func (g *Gateway) explain(_ context.Context, e console.Explain) (*console.Explained, error) {
	cfg := g.setup.Load().config
	if e.Routes != "" {
		var err error
		if cfg, err = cfg.WithRoutes([]byte(e.Routes)); err != nil {
			return nil, mistakes(err)
		}
	}
	explained, err := Explain(cfg, e.Source, e.Body(), e.ContentType, time.Now().UTC())
	if unknown, ok := errors.AsType[*UnknownNameError](err); ok {
		return nil, &console.InputError{Text: unknown.Error(), Hint: "GET /api/v1/sources lists them"}
	}
	if unreadable, ok := errors.AsType[*source.Error](err); ok {
		return nil, notStored(err, unreadable)
	}
	return explained, err
}

// notStored is an error about a hook that is in no quarantine.
func notStored(err error, unreadable *source.Error) *console.UnreadableError {
	out := &console.UnreadableError{Reason: strings.TrimSuffix(err.Error(), "; "+unreadable.Hint), Hint: "nothing was stored"}
	if unreadable.Hint != "" {
		out.Hint = unreadable.Hint + "; " + out.Hint
	}
	return out
}

// mistakes makes problems of a configuration those of a text that somebody has sent.
func mistakes(err error) error {
	problems, ok := errors.AsType[config.Problems](err)
	if !ok {
		return err
	}
	out := &console.MistakesError{What: "the routes"}
	for _, p := range problems {
		out.Mistakes = append(out.Mistakes, console.Mistake{Line: p.Line, Column: p.Column, Width: p.Width, Text: p.Text, Hint: p.Hint, Source: p.Source})
	}
	return out
}

// take takes a stored hook.
func (g *Gateway) take(ctx context.Context, h console.StoredHook) (console.Decoded, error) {
	s := g.setup.Load()
	if h.Only != "" && !slices.Contains(targetNames(s.config), h.Only) {
		return console.Decoded{}, &console.InputError{Text: unknownName("target", h.Only, targetNames(s.config)).Error(), Hint: "GET /api/v1/targets lists them"}
	}
	name := h.Source
	for _, c := range s.config.Sources {
		if slices.Contains(c.Was, name) {
			name = c.Name
		}
	}
	a, err := s.hooks.Take(ctx, name, source.Hook{Body: h.Body, ContentType: h.ContentType, ReceivedAt: h.ReceivedAt}, intake.Taking{Only: h.Only, Released: h.Released})
	if errors.Is(err, intake.ErrNoSource) {
		var names []string
		for _, c := range s.config.Sources {
			names = append(names, c.Name)
		}
		return console.Decoded{}, &console.InputError{Text: unknownName("source", h.Source, names).Error(), Hint: "GET /api/v1/sources lists them"}
	}
	if unreadable, ok := errors.AsType[*source.Error](err); ok {
		unreadable = notKept(unreadable)
		return console.Decoded{}, notStored(unreadable, unreadable)
	}
	return console.Decoded{Conversation: a.ID, Revision: a.Revision, Result: string(a.Result), Targets: a.Targets}, err
}

// selector compiles a condition on conversations.
func (g *Gateway) selector(when string) (func(c *chat.Conversation) (bool, error), error) {
	condition, problems := rule.CompileCondition(when, rule.Scope{Lookups: g.setup.Load().config.Definition.Lookups})
	if len(problems) == 0 {
		return condition.Match, nil
	}
	out := &console.MistakesError{What: "the condition"}
	for _, p := range problems {
		line, column := place(when, p.Offset)
		out.Mistakes = append(out.Mistakes, console.Mistake{Line: line, Column: column, Width: p.Length, Text: p.Text, Hint: p.Hint, Source: when})
	}
	return nil, out
}

// place is where an offset is in a text: line and column, in characters, from 1.
func place(text string, offset int) (line, column int) {
	before := text[:min(max(offset, 0), len(text))]
	line = 1 + bytes.Count([]byte(before), []byte("\n"))
	return line, 1 + len([]rune(before[1+bytes.LastIndexByte([]byte(before), '\n'):]))
}
