// This file turns a whole configuration into the parts that a reload replaces: the handler of hooks, the targets, the
// mapping.

package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/console"
	"github.com/afterchat/afterchat/internal/delivery"
	"github.com/afterchat/afterchat/internal/intake"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/pipeline"
)

// setup is a configuration with all that was made of it. It never changes.
type setup struct {
	config   *config.Config
	hash     string // of all of it
	hooks    *intake.Handler
	delivery delivery.Setup
	since    map[string]time.Time // when a source, by name, was first seen in the configuration
	loadedAt time.Time
	access   console.Access // to the console, without what the listener adds
}

// newSetup builds a configuration without putting it in force. before is the setup in force; nil at the start.
func (g *Gateway) newSetup(cfg *config.Config, before *setup, now time.Time) (*setup, error) {
	s := &setup{config: cfg, hash: cfg.Hash(), since: map[string]time.Time{}, loadedAt: now}
	for _, source := range cfg.Sources {
		s.since[source.Name] = now
		for _, name := range append([]string{source.Name}, source.Was...) {
			if before != nil && !before.since[name].IsZero() {
				s.since[source.Name] = before.since[name]
				break
			}
		}
	}
	var err error
	if s.delivery, err = g.deliverySetup(cfg, before); err != nil {
		return nil, err
	}
	if s.hooks, err = g.handler(cfg, before); err != nil {
		return nil, err
	}
	if s.access, err = accessOf(cfg.Admin); err != nil {
		return nil, err
	}
	return s, nil
}

// deliverySetup opens the connectors. One whose settings have not changed is used on, with its connections.
func (g *Gateway) deliverySetup(cfg *config.Config, before *setup) (delivery.Setup, error) {
	d := delivery.Setup{Mapper: cfg.Pipeline, Open: func(snapshot []byte) (delivery.Mapper, error) { return openPipeline(snapshot, cfg) }}
	for _, t := range cfg.Targets {
		connector := before.connector(t, cfg.Folder)
		if connector == nil {
			var err error
			connector, err = t.Type.Open(t.Settings, connectors.Env{
				Target: t.Name, Folder: cfg.Folder, Version: g.Version, Timeout: t.Timeout,
				Logger: g.Logger.With("target", t.Name), Transport: g.Transport, Wrap: g.traces.Wrap(t.Name),
			})
			if err != nil {
				return delivery.Setup{}, fmt.Errorf("target %s: %w", t.Name, err)
			}
		}
		d.Targets = append(d.Targets, delivery.Target{
			Name: t.Name, ObjectName: firstName(t), Connector: connector, Once: t.Type.Once(t.Settings),
			Workers: t.Workers, Timeout: t.Timeout, Account: t.Account,
			Rate: delivery.Rate{Count: t.Rate.Count, Per: t.Rate.Per},
			Policy: delivery.Policy{
				Min: t.Retry.Min, Max: t.Retry.Max, GiveUpAfter: t.Retry.GiveUpAfter, OnUncertain: t.OnUncertain,
			},
		})
	}
	return d, nil
}

// connector returns the connector of a target that would be opened the same way again, else nil.
func (s *setup) connector(t config.Target, folder string) connectors.Connector {
	if s == nil || s.config.Folder != folder {
		return nil
	}
	i := slices.IndexFunc(s.config.Targets, func(old config.Target) bool {
		return old.Name == t.Name && old.Account == t.Account && old.Timeout == t.Timeout
	})
	if i < 0 {
		return nil
	}
	return s.delivery.Targets[i].Connector
}

// openPipeline makes a pipeline of an earlier configuration, with the declared fields of cfg.
func openPipeline(snapshot []byte, cfg *config.Config) (*pipeline.Pipeline, error) {
	var targets []pipeline.Target
	for _, t := range cfg.Targets {
		targets = append(targets, pipeline.Target{
			Name: t.Name, Was: t.Was, Fields: t.Type.Fields(t.Settings), IgnoreUpdates: t.OnUpdate == "ignore",
		})
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

// renames lists the earlier names in a configuration.
func renames(cfg *config.Config) ledger.Renames {
	var r ledger.Renames
	for _, t := range cfg.Targets {
		for _, old := range t.Was {
			r.Targets = append(r.Targets, ledger.Rename{Old: old, New: t.Name})
		}
	}
	for _, s := range cfg.Sources {
		for _, old := range s.Was {
			r.Sources = append(r.Sources, ledger.Rename{Old: old, New: s.Name})
		}
	}
	return r
}

// handler makes the handler of hooks.
func (g *Gateway) handler(cfg *config.Config, before *setup) (*intake.Handler, error) {
	o := intake.Options{
		Ledger: g.ledger, Plan: g.planner(cfg.Pipeline), Redact: cfg.Pipeline.AtIntake, Logger: g.Logger, Metrics: g.metrics,
		Traces: g.traces, MaxBody: int64(cfg.Server.MaxBody), MaxInFlight: int64(cfg.Server.MaxInFlight),
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
	if before != nil {
		return before.hooks.Successor(o), nil
	}
	return intake.New(o), nil
}

// planner routes conversations.
func (g *Gateway) planner(p *pipeline.Pipeline) intake.Planner {
	return func(c *chat.Conversation) ledger.Plan {
		matches, err := p.Route(c)
		if err != nil { // the deliveries of such a route will be dead, where a person sees them
			g.Logger.Error("a route could not be decided", "conversation", c.ID, "error", err)
		}
		plan := ledger.Plan{Config: p.Hash()}
		for _, m := range matches {
			plan.Deliveries = append(plan.Deliveries, ledger.PlannedDelivery{
				Target: m.Target, Routes: m.Routes, Hold: m.Hold, IgnoreUpdates: m.IgnoreUpdates,
			})
		}
		return plan
	}
}

// serveHook answers a hook with the configuration in force. One that is under way when that changes is finished with
// the configuration that it began with.
func (g *Gateway) serveHook(w http.ResponseWriter, r *http.Request) {
	g.hooks.Add(1)
	if g.draining.Load() {
		// The client opens another connection, which a load balancer takes elsewhere. Idle connections stay until the
		// listener closes: cutting them now would refuse the hooks that come on them.
		w.Header().Set("Connection", "close")
	}
	g.setup.Load().hooks.ServeHTTP(w, r)
}

// Hooks is how many requests the hook listener has had since the start.
func (g *Gateway) Hooks() uint64 { return g.hooks.Load() }
