// This file tells the metrics which series there are and what the gauges show.

package gateway

import (
	"context"
	"fmt"
	"time"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/internal/metrics"
)

// initSeries sets every series that a configuration can make to 0, unless it is there.
func (g *Gateway) initSeries(cfg *config.Config) {
	var sources, targets []string
	for _, s := range cfg.Sources {
		sources = append(sources, s.Name)
	}
	for _, t := range cfg.Targets {
		targets = append(targets, t.Name)
	}
	routes := map[string][]string{}
	for _, r := range cfg.Definition.Routes {
		for _, to := range r.To {
			routes[r.Name] = append(routes[r.Name], to.Target)
		}
	}
	g.metrics.Configured(sources, targets, routes)
}

// gauges reads what /metrics shows of the ledger and the engine. What waits for a target that is no longer configured
// is shown, too.
func (g *Gateway) gauges() (metrics.Gauges, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	stats, err := g.ledger.Stats(ctx)
	if err != nil {
		g.Logger.Warn("the ledger cannot be read for /metrics; afterchat_ledger_up is 0", "error", err)
		return metrics.Gauges{}, fmt.Errorf("reading the ledger: %w", err)
	}
	now, setup := time.Now(), g.setup.Load()
	age := func(t time.Time) time.Duration {
		if t.IsZero() {
			return 0
		}
		return max(0, now.Sub(t))
	}
	out := metrics.Gauges{
		Targets: map[string]metrics.TargetGauges{}, Sources: map[string]metrics.SourceGauges{},
		Quarantined: stats.Quarantined, LedgerBytes: stats.Bytes, LedgerUsed: stats.Used,
		LedgerMax: retention(setup.config).MaxSize, LedgerSetAside: stats.SetAside > 0,
	}
	for _, t := range setup.config.Targets {
		out.Targets[t.Name] = metrics.TargetGauges{}
	}
	for name, t := range stats.Targets {
		out.Targets[name] = metrics.TargetGauges{
			Pending: t.Pending, Dead: t.DeadRows, OldestPending: age(t.OldestPending),
		}
	}
	for _, status := range g.engine.Load().Status() {
		t := out.Targets[status.Name]
		t.Paused, t.Overdue = status.Paused, age(status.OverdueSince(stats.Targets[status.Name].Overdue, now))
		out.Targets[status.Name] = t
	}
	for _, s := range setup.config.Sources {
		last := stats.LastHook[s.Name]
		if since := setup.since[s.Name]; last.Before(since) {
			last = since
		}
		out.Sources[s.Name] = metrics.SourceGauges{Silent: age(last), ExpectEvery: s.ExpectEvery}
	}
	return out, nil
}
