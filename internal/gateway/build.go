// This file turns a configuration into the parts: decoders, connectors, the delivery engine, the two servers.

package gateway

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/console"
	"github.com/afterchat/afterchat/internal/delivery"
	"github.com/afterchat/afterchat/internal/intake"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/metrics"
	"github.com/afterchat/afterchat/internal/pipeline"
	"github.com/afterchat/afterchat/internal/source"
	"github.com/afterchat/afterchat/internal/source/proprofs"
	"github.com/afterchat/afterchat/internal/source/smartsupp"
)

// platforms is the list of chat platforms that ship.
func platforms() []source.Type {
	return []source.Type{proprofs.Type(), smartsupp.Type()}
}

// SourceTypes is the same list as the configuration needs it.
func SourceTypes() []config.SourceType {
	var types []config.SourceType
	for _, p := range platforms() {
		types = append(types, config.SourceType{Name: p.Name, Doc: p.Doc, NeedsTimeZone: p.NeedsTimeZone})
	}
	return types
}

// Decoder returns the decoder of a configured source.
func Decoder(s config.Source) (source.Decoder, error) {
	for _, p := range platforms() {
		if p.Name != s.Type {
			continue
		}
		var options source.Options
		if s.TimeZone != "" {
			zone, err := time.LoadLocation(s.TimeZone)
			if err != nil {
				return nil, fmt.Errorf("source %s: %w", s.Name, err)
			}
			options.Zone = zone
		}
		return p.New(options), nil
	}
	return nil, fmt.Errorf("source %s: unknown type %q", s.Name, s.Type)
}

func (g *Gateway) newEngine() (*delivery.Engine, error) {
	var targets []delivery.Target
	for _, t := range g.config.Targets {
		connector, err := t.Type.Open(t.Settings, connectors.Env{
			Target: t.Name, Folder: g.config.Folder, Version: g.Version, Timeout: t.Timeout,
			Logger: g.Logger.With("target", t.Name), Transport: g.Transport,
		})
		if err != nil {
			return nil, fmt.Errorf("target %s: %w", t.Name, err)
		}
		targets = append(targets, delivery.Target{
			Name: t.Name, ObjectName: firstName(t), Connector: connector, Once: t.Type.Once(t.Settings),
			Workers: t.Workers, Timeout: t.Timeout, Account: t.Account,
			Rate: delivery.Rate{Count: t.Rate.Count, Per: t.Rate.Per},
			Policy: delivery.Policy{
				Min: t.Retry.Min, Max: t.Retry.Max, GiveUpAfter: t.Retry.GiveUpAfter, OnUncertain: t.OnUncertain,
			},
		})
	}
	return delivery.New(delivery.Options{
		Ledger: g.ledger, Logger: g.Logger, Metrics: g.metrics,
		Setup: delivery.Setup{Targets: targets, Mapper: g.config.Pipeline, Open: g.openMapper},
	}), nil
}

// openMapper makes a pipeline of an earlier configuration, with the declared fields of today.
func (g *Gateway) openMapper(snapshot []byte) (delivery.Mapper, error) {
	var targets []pipeline.Target
	for _, t := range g.config.Targets {
		targets = append(targets, pipeline.Target{Name: t.Name, Fields: t.Type.Fields(t.Settings), IgnoreUpdates: t.OnUpdate == "ignore"})
	}
	return pipeline.Open(snapshot, targets)
}

// firstName is the name that a target was first known by: what its objects are called outside does not change with it.
func firstName(t config.Target) string {
	if len(t.Was) > 0 {
		return t.Was[0]
	}
	return t.Name
}

// plan routes a conversation with the configuration of now.
func (g *Gateway) plan(c *chat.Conversation) (ledger.Plan, error) {
	p := g.config.Pipeline
	matches, err := p.Route(c)
	if err != nil {
		return ledger.Plan{}, err
	}
	plan := ledger.Plan{Config: p.Hash()}
	for _, m := range matches {
		plan.Deliveries = append(plan.Deliveries, ledger.PlannedDelivery{
			Target: m.Target, Routes: m.Routes, Hold: m.Hold, IgnoreUpdates: m.IgnoreUpdates,
		})
	}
	return plan, nil
}

func (g *Gateway) hooksServer() (*http.Server, error) {
	cfg := g.config
	o := intake.Options{
		Ledger: g.ledger, Plan: g.plan, Logger: g.Logger, Metrics: g.metrics,
		MaxBody: int64(cfg.Server.MaxBody), MaxInFlight: int64(cfg.Server.MaxInFlight),
	}
	var err error
	if o.Proxies, err = networks(cfg.Server.TrustedProxies); err != nil {
		return nil, fmt.Errorf("server.trusted_proxies: %w", err)
	}
	for _, s := range cfg.Sources {
		built, err := intakeSource(s)
		if err != nil {
			return nil, err
		}
		o.Sources = append(o.Sources, built)
	}
	server := g.server(intake.New(o), cfg.Server.ReadTimeout)
	return server, nil
}

func intakeSource(s config.Source) (intake.Source, error) {
	decoder, err := Decoder(s)
	if err != nil {
		return intake.Source{}, err
	}
	built := intake.Source{Name: s.Name, Brand: s.Brand, Path: s.Path, Decoder: decoder}
	for _, text := range s.Secret {
		built.Secrets = append(built.Secrets, intake.DigestOf(text.Reveal()))
	}
	if s.Basic != nil {
		built.Basic = &intake.Basic{User: intake.DigestOf(s.Basic.User), Password: intake.DigestOf(s.Basic.Password.Reveal())}
	}
	if s.HMAC != nil {
		built.Signature = &intake.Signature{
			Header: s.HMAC.Header, Key: []byte(s.HMAC.Secret.Reveal()), Base64: s.HMAC.Encoding == "base64",
		}
	}
	if built.Allow, err = networks(s.Allow); err != nil {
		return intake.Source{}, fmt.Errorf("source %s: allow: %w", s.Name, err)
	}
	return built, nil
}

// networks parses addresses and prefixes.
func networks(texts []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if address, single := netip.ParseAddr(text); single == nil {
			prefix, err = netip.PrefixFrom(address, address.BitLen()), nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, prefix)
	}
	return out, nil
}

func (g *Gateway) adminServer() *http.Server {
	return g.server(console.New(console.Options{Metrics: g.metrics, Ready: g.ready, Pprof: g.config.Admin.Pprof}), time.Minute)
}

// initSeries sets every series that the configuration can make to 0.
func (g *Gateway) initSeries() {
	var sources, targets []string
	for _, s := range g.config.Sources {
		sources = append(sources, s.Name)
	}
	for _, t := range g.config.Targets {
		targets = append(targets, t.Name)
	}
	routes := map[string][]string{}
	for _, r := range g.config.Definition.Routes {
		for _, to := range r.To {
			routes[r.Name] = append(routes[r.Name], to.Target)
		}
	}
	g.metrics.Configured(sources, targets, routes)
	g.metrics.Reloaded(true, time.Now())
}

// gauges reads what /metrics shows of the ledger and the engine.
func (g *Gateway) gauges() (metrics.Gauges, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	stats, err := g.ledger.Stats(ctx)
	if err != nil {
		return metrics.Gauges{}, fmt.Errorf("reading the ledger: %w", err)
	}
	now := time.Now()
	age := func(t time.Time) time.Duration {
		if t.IsZero() {
			return 0
		}
		return max(0, now.Sub(t))
	}
	out := metrics.Gauges{
		Targets: map[string]metrics.TargetGauges{}, Sources: map[string]metrics.SourceGauges{},
		Quarantined: stats.Quarantined, LedgerBytes: stats.Bytes,
	}
	for _, t := range g.config.Targets {
		out.Targets[t.Name] = metrics.TargetGauges{}
	}
	for name, t := range stats.Targets {
		out.Targets[name] = metrics.TargetGauges{
			Pending: t.Pending, Dead: t.DeadRows, OldestPending: age(t.OldestPending), Overdue: age(t.Overdue),
		}
	}
	for _, status := range g.engine.Status() {
		t := out.Targets[status.Name]
		t.Paused = status.Paused
		out.Targets[status.Name] = t
	}
	for _, s := range g.config.Sources {
		last := stats.LastHook[s.Name]
		if last.IsZero() {
			last = g.started
		}
		out.Sources[s.Name] = metrics.SourceGauges{Silent: age(last), ExpectEvery: s.ExpectEvery}
	}
	return out, nil
}
