// This file replaces the configuration while hooks are taken and deliveries are made: as a whole, or not at all.

package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/internal/console"
)

// errFixed means that the gateway was made without a way to read its configuration again.
var errFixed = errors.New("this gateway has a fixed configuration; restart it to change that")

// reload is what reloads know of each other.
type reload struct {
	turn  chan struct{} // holds one token while no reload is under way; none before the start
	every time.Duration // how often the files are looked at

	// These belong to whoever has the token.
	seen string // fingerprint of the files in force; "": look again

	mu        sync.Mutex
	lastError string // "": the files as they are now are in force
}

func newReload() *reload { return &reload{turn: make(chan struct{}, 1), every: watchEvery} }

// open lets reloads begin. It is called once.
func (r *reload) open(seen string) {
	r.seen = seen
	r.turn <- struct{}{}
}

func (r *reload) failure() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lastError
}

// fail keeps an error and tells whether it is another one than before.
func (r *reload) fail(err error) (news bool) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	news = r.lastError != text
	r.lastError = text
	return news
}

// onDisk is the cause of a reload that nobody asked for.
const onDisk = "the files have changed"

// Reload reads the configuration and puts it in force: new hooks and attempts go by it, those under way are finished
// by the one before. A configuration with mistakes changes nothing; the error says what they are. What only a restart
// can change is left as it is, and Status says so. Reload is safe for concurrent use; before the gateway has started it
// waits. why stands in the log.
func (g *Gateway) Reload(ctx context.Context, why string) error {
	if g.Load == nil {
		return errFixed
	}
	select {
	case <-g.reload.turn:
		defer func() { g.reload.turn <- struct{}{} }()
	case <-ctx.Done():
		return ctx.Err()
	}
	return g.reloadInTurn(ctx, why)
}

// reloadInTurn is Reload for whoever has the token.
func (g *Gateway) reloadInTurn(ctx context.Context, why string) error {
	if g.draining.Load() {
		return errDraining
	}
	before := g.setup.Load()
	looked := fingerprint(before.config)
	cfg, err := g.Load(ctx)
	var next *setup
	if err == nil {
		next, err = g.apply(ctx, cfg, before)
	}
	news := g.reload.fail(err)
	if next == nil {
		g.metrics.Reloaded(false, time.Now())
		if news || why != onDisk {
			g.Logger.Error("configuration.refused", "cause", why, "error", err, "hint", "the one before stays in force")
		}
		return err
	}
	// A change between the two looks at the same files may have been missed, so it is looked again soon.
	if g.reload.seen = fingerprint(cfg); fingerprint(before.config) != looked {
		g.reload.seen = ""
	}
	g.metrics.Reloaded(err == nil, next.loadedAt)
	attributes := []any{
		"cause", why, "hash", cfg.Pipeline.Hash(), "effective_hash", next.hash, "sources", len(cfg.Sources), "targets", len(cfg.Targets),
		"ms", time.Since(next.loadedAt).Milliseconds(),
	}
	if keys := needRestart(g.boot, cfg); len(keys) > 0 {
		attributes = append(attributes, "needs_restart", keys)
	}
	g.Logger.Info("configuration.reloaded", attributes...)
	if err != nil {
		g.Logger.Error("configuration.incomplete", "error", err, "hint", "it is tried again")
	}
	g.tellWaiting(ctx, cfg)
	return err
}

// apply puts a configuration in force. The setup is nil if it could not; an error beside a setup means that some
// deliveries still wait under an earlier name of their target.
func (g *Gateway) apply(ctx context.Context, cfg *config.Config, before *setup) (*setup, error) {
	next, err := g.newSetup(cfg, before, time.Now())
	if err != nil {
		return nil, err
	}
	if err := g.keepConfig(ctx, cfg); err != nil {
		return nil, err
	}
	g.initSeries(cfg)
	// From here on nothing can be taken back, nor does it fail: whoever asked may hang up.
	if err = g.ledger.Rename(context.WithoutCancel(ctx), renames(cfg)); err != nil {
		err = fmt.Errorf("renaming in the ledger: %w", err)
	}
	g.tellMerged(context.WithoutCancel(ctx))
	g.engine.Load().Apply(next.delivery)
	g.setup.Store(next)
	g.ledger.Keep(retention(cfg))
	g.tidyUp()
	if g.Applied != nil {
		g.Applied(cfg)
	}
	return next, err
}

// needRestart lists the keys whose new values a reload cannot put in force.
func needRestart(boot, next *config.Config) []string {
	files := func(t *config.TLS) config.TLS {
		if t == nil {
			return config.TLS{}
		}
		return *t
	}
	var keys []string
	for _, k := range []struct {
		name    string
		changed bool
	}{
		{"server.listen", boot.Server.Listen != next.Server.Listen},
		{"server.read_timeout", boot.Server.ReadTimeout != next.Server.ReadTimeout},
		{"server.tls", files(boot.Server.TLS) != files(next.Server.TLS)},
		{"admin.tls", files(boot.Admin.TLS) != files(next.Admin.TLS)},
		{"admin.listen", boot.Admin.Listen != next.Admin.Listen},
		{"admin.pprof", boot.Admin.Pprof != next.Admin.Pprof},
		{"ledger.url", boot.LedgerFile() != next.LedgerFile() || next.Ledger.URL.Shared() && boot.Ledger.URL != next.Ledger.URL},
		{"log.format", boot.Log.Format != next.Log.Format},
	} {
		if k.changed {
			keys = append(keys, k.name)
		}
	}
	return keys
}

// tellWaiting names targets that are not configured and for which deliveries wait.
func (g *Gateway) tellWaiting(ctx context.Context, cfg *config.Config) {
	stats, err := g.ledger.Stats(ctx)
	if err != nil {
		return // the metrics show it
	}
	for _, name := range slices.Sorted(maps.Keys(stats.Targets)) {
		configured := slices.ContainsFunc(cfg.Targets, func(t config.Target) bool { return t.Name == name })
		if pending := stats.Targets[name].Pending; pending > 0 && !configured {
			g.Logger.Warn("deliveries wait for a target that is not configured", "target", name, "pending", pending,
				"hint", "they go out when it is configured again, under its name or, if it has got a new one, with was: in the target that it is now; "+
					"was: in a target that has conversations of its own would merge the two")
		}
	}
}

// status is what GET /-/config shows.
func (g *Gateway) status() console.Config {
	s := g.setup.Load()
	return console.Config{
		Hash: s.config.Pipeline.Hash(), EffectiveHash: s.hash, LoadedAt: s.loadedAt.UTC(), LastError: g.reload.failure(),
		NeedsRestart: needRestart(g.boot, s.config),
	}
}

// isLocal tells whether a listener takes connections from this machine only.
func isLocal(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
