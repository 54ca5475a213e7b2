// Package gateway builds the whole of afterchat from a configuration and runs it.
//
// This file is its life: what is opened in which order, and how it stops without refusing a hook that could have been
// stored.
package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/internal/delivery"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/metrics"
	"github.com/afterchat/afterchat/internal/trace"
)

// Options are what a gateway needs beside its configuration. The zero value of each is explained there.
type Options struct {
	Version string
	Logger  *slog.Logger // nil: slog.Default
	// Transport is what connectors send with; nil: each its own. Tests put a fake vendor here.
	Transport http.RoundTripper
	// Load reads the configuration anew, for a reload; nil: it never changes. Its errors are for operators and hold no
	// secrets.
	Load func(ctx context.Context) (*config.Config, error)
	// Applied is called when a reload has put a configuration in force; nil: nobody.
	Applied func(*config.Config)
	// Getenv looks up the variables that turn traces on, see package trace; nil: there are no traces.
	Getenv func(string) string
	// Started is called once when hooks are answered; nil: nobody.
	Started func(Addresses)
}

// Addresses are where a running gateway listens.
type Addresses struct {
	Hooks net.Addr
	Admin net.Addr
	TLS   bool // the listener for hooks speaks HTTPS
}

// Gateway is made by New and runs once.
type Gateway struct {
	Options
	boot     *config.Config // that it was started with; listeners, ledger file and the form of the log stay its own
	metrics  *metrics.Metrics
	traces   *trace.Traces // nil: none
	ledger   Ledger
	engine   atomic.Pointer[delivery.Engine] // nil while the ledger opens
	setup    atomic.Pointer[setup]           // in force
	reload   *reload
	tidy     chan struct{} // asks for retention now
	local    bool          // the admin listener can be reached from this machine only
	here     bool          // there is no admin listener: whoever asks has opened the ledger
	draining atomic.Bool
	hooks    atomic.Uint64

	connections connections // for hooks

	started time.Time
	jobs    chan struct{} // tells of a new replay job
	series  recorder
	merged  merges
	alerts  telling
	crowd   crowd
}

// errDraining is what /readyz says on shutdown.
var errDraining = errors.New("shutting down")

const (
	// shutdownTimeout is how long requests under way may take once the listener is closed.
	shutdownTimeout = 20 * time.Second
	// retentionEvery is how often old rows are looked for.
	retentionEvery = 10 * time.Minute
)

// New makes a gateway. It does no I/O.
func New(cfg *config.Config, o Options) *Gateway {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	g := &Gateway{Options: o, boot: cfg, reload: newReload(), tidy: make(chan struct{}, 1), jobs: make(chan struct{}, 1)}
	g.series.seen = map[metrics.Count]int64{}
	g.alerts.name = rand.Text()
	g.metrics = metrics.New(o.Version, g.gauges)
	g.initSeries(cfg)
	g.metrics.Reloaded(true, time.Now())
	return g
}

// Run opens the ledger, answers hooks and delivers until ctx is done, then stops in order: /readyz turns 503, hooks
// are taken for the drain delay, the listener is closed, hooks and deliveries under way are finished, the ledger is
// closed. It returns nil after such a stop.
func (g *Gateway) Run(ctx context.Context) error {
	began := time.Now()
	seen := fingerprint(g.boot)
	listeners, err := listen(ctx, g.boot, g.Logger)
	if err != nil {
		return err
	}
	defer listeners.close()
	g.startTraces()
	defer g.traces.Stop() // when the ledger is closed, for it may take seconds
	if err := g.openLedger(ctx); err != nil {
		return err
	}
	defer g.closeLedger()
	if err := g.begin(ctx, began); err != nil {
		return err
	}
	g.local, g.started = isLocal(listeners.admin.Addr()), began
	defer g.recordOnce(context.WithoutCancel(ctx)) // when the last attempts are settled
	hooks, admin := g.server(http.HandlerFunc(g.serveHook), g.boot.Server.ReadTimeout), g.server(g.console(), time.Minute)
	hooks.ConnState = g.connections.note
	// Everything below outlives ctx for the time of an orderly stop.
	running, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	var work sync.WaitGroup
	defer work.Wait()
	engineContext, stopEngine := context.WithCancel(running)
	defer stopEngine()
	work.Go(func() { stop(g.engine.Load().Run(engineContext)) })
	work.Go(func() { g.retain(engineContext) })
	work.Go(func() { g.runReplays(engineContext) })
	work.Go(func() { g.record(engineContext) })
	work.Go(func() { g.tellAlerts(engineContext) })
	g.reload.open(seen)
	work.Go(func() { g.watch(engineContext) })

	served := make(chan struct{}) // closed when no connection is accepted any more
	work.Go(func() {
		defer close(served)
		if err := hooks.Serve(listeners.hooks); !g.draining.Load() {
			stopUnlessClosed(stop, "hooks", err)
		}
	})
	work.Go(func() { stopUnlessClosed(stop, "admin", admin.Serve(listeners.admin)) })
	notifySystemd(g.Logger, "READY=1")
	g.Logger.Info("started", "version", g.Version, "hooks", listeners.hooks.Addr().String(), "admin", listeners.admin.Addr().String(),
		"sources", len(g.boot.Sources), "targets", len(g.boot.Targets), "effective_hash", g.setup.Load().hash, "ms", time.Since(began).Milliseconds())
	for _, s := range g.boot.Sources {
		path := s.Path
		if len(s.Secret) > 0 {
			path += "/" + secret.Mask
		}
		g.Logger.Info("source", "source", s.Name, "type", s.Type, "path", path)
	}
	g.tellWaiting(ctx, g.boot)
	if g.Started != nil {
		g.Started(Addresses{Hooks: listeners.hooks.Addr(), Admin: listeners.admin.Addr(), TLS: g.boot.Server.TLS != nil})
	}

	select {
	case <-ctx.Done():
	case <-running.Done():
	}
	g.drain(running, listeners, served)
	shutdown(running, hooks)
	g.Logger.Info("stopped taking hooks")
	stopEngine()
	shutdown(running, admin)
	if cause := context.Cause(running); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// drain closes the listener for hooks and lets every connection that it has accepted come to its answer. A load balancer
// needs the drain delay to notice /readyz; with socket activation the kernel keeps the queue for the next process, so
// there is nothing to wait for.
func (g *Gateway) drain(ctx context.Context, l *listeners, served <-chan struct{}) {
	notifySystemd(g.Logger, "STOPPING=1")
	g.draining.Store(true)
	if delay := g.setup.Load().config.Server.DrainDelay; !l.activated && delay > 0 {
		g.Logger.Info("draining", "delay", delay.String(), "hint", "another signal stops at once")
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
	}
	_ = l.hooks.Close()
	<-served
	g.connections.wait(ctx)
}

func shutdown(ctx context.Context, server *http.Server) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		_ = server.Close()
	}
}

func stopUnlessClosed(stop context.CancelCauseFunc, name string, err error) {
	if !errors.Is(err, http.ErrServerClosed) {
		stop(fmt.Errorf("the listener for %s failed: %w", name, err))
	}
}

func retention(cfg *config.Config) ledger.Retention {
	keep := cfg.Ledger.Retention
	return ledger.Retention{Delivered: keep.Delivered, Dead: keep.Dead, MaxSize: int64(keep.MaxSize)}
}

// begin puts the first configuration in force.
func (g *Gateway) begin(ctx context.Context, now time.Time) error {
	first, err := g.newSetup(g.boot, nil, now)
	if err != nil {
		return err
	}
	if err := g.keepConfig(ctx, g.boot); err != nil {
		return err
	}
	if err := g.ledger.Rename(ctx, renames(g.boot)); err != nil {
		return fmt.Errorf("renaming in the ledger: %w", err)
	}
	g.tellMerged(ctx)
	g.engine.Store(delivery.New(delivery.Options{
		Ledger: g.ledger, Logger: g.Logger, Metrics: g.metrics, Traces: g.traces, Setup: first.delivery,
	}))
	g.setup.Store(first)
	return nil
}

// keepConfig stores what deliveries that are accepted under a configuration may need later.
func (g *Gateway) keepConfig(ctx context.Context, cfg *config.Config) error {
	if err := g.ledger.SaveConfig(ctx, cfg.Pipeline.Hash(), cfg.Pipeline.Snapshot()); err != nil {
		return fmt.Errorf("keeping the configuration in the ledger: %w", err)
	}
	return nil
}

// startTraces starts traces if the environment asks for them. What is wrong with them is no reason not to take hooks.
func (g *Gateway) startTraces() {
	if g.Getenv == nil {
		return
	}
	var err error
	if g.traces, err = trace.Open(g.Version, g.Getenv, g.Logger); err != nil {
		g.Logger.Error("traces are off", "error", err)
	}
}

func (g *Gateway) closeLedger() {
	g.tellMerged(context.Background())
	if err := g.ledger.Close(); err != nil {
		g.Logger.Error("closing the ledger failed", "error", err)
		return
	}
	g.Logger.Info("stopped")
}

// wake passes on that deliveries are due. The ledger is open before the engine exists.
func (g *Gateway) wake(target string) {
	if engine := g.engine.Load(); engine != nil {
		engine.Wake(target)
	}
}

// tidyUp asks for retention now.
func (g *Gateway) tidyUp() {
	select {
	case g.tidy <- struct{}{}:
	default:
	}
}

func (g *Gateway) retain(ctx context.Context) {
	ticker := time.NewTicker(retentionEvery)
	defer ticker.Stop()
	for {
		if err := g.ledger.Retain(ctx, time.Now()); err != nil && ctx.Err() == nil {
			g.Logger.Error("retention failed", "error", err)
		}
		g.crowd.look(ctx, g)
		g.tellMerged(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-g.tidy:
		}
	}
}

// ready tells whether hooks can be taken.
func (g *Gateway) ready(ctx context.Context) error {
	if g.draining.Load() {
		return errDraining
	}
	if err := g.ledger.Ready(ctx); err != nil {
		return fmt.Errorf("the ledger cannot store: %w", err)
	}
	return nil
}
