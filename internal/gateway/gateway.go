// Package gateway builds the whole of afterchat from a configuration and runs it.
//
// This file is its life: what is opened in which order, and how it stops without refusing a hook that could have been
// stored.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/internal/delivery"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/sqlite"
	"github.com/afterchat/afterchat/internal/metrics"
)

// Options are what a gateway needs beside its configuration. The zero value of each is explained there.
type Options struct {
	Version string
	Logger  *slog.Logger // nil: slog.Default
	// Transport is what connectors send with; nil: each its own. Tests put a fake vendor here.
	Transport http.RoundTripper
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
	config   *config.Config
	metrics  *metrics.Metrics
	ledger   *sqlite.Ledger
	engine   *delivery.Engine
	started  time.Time
	draining atomic.Bool
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
	g := &Gateway{Options: o, config: cfg}
	g.metrics = metrics.New(o.Version, g.gauges)
	g.initSeries()
	return g
}

// Run opens the ledger, answers hooks and delivers until ctx is done, then stops in order: /readyz turns 503, hooks
// are taken for the drain delay, the listener is closed, hooks and deliveries under way are finished, the ledger is
// closed. It returns nil after such a stop.
func (g *Gateway) Run(ctx context.Context) error {
	g.started = time.Now()
	listeners, err := listen(ctx, g.config, g.Logger)
	if err != nil {
		return err
	}
	defer listeners.close()
	if err := g.openLedger(ctx); err != nil {
		return err
	}
	defer g.closeLedger()
	if g.engine, err = g.newEngine(); err != nil {
		return err
	}
	hooks, err := g.hooksServer()
	if err != nil {
		return err
	}
	admin := g.adminServer()
	// Everything below outlives ctx for the time of an orderly stop.
	running, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	var work sync.WaitGroup
	defer work.Wait()
	engineContext, stopEngine := context.WithCancel(running)
	defer stopEngine()
	work.Go(func() { stop(g.engine.Run(engineContext)) })
	work.Go(func() { g.retain(engineContext) })

	work.Go(func() { stopUnlessClosed(stop, "hooks", hooks.Serve(listeners.hooks)) })
	work.Go(func() { stopUnlessClosed(stop, "admin", admin.Serve(listeners.admin)) })
	notifySystemd(g.Logger, "READY=1")
	g.Logger.Info("started", "version", g.Version, "hooks", listeners.hooks.Addr().String(), "admin", listeners.admin.Addr().String(),
		"sources", len(g.config.Sources), "targets", len(g.config.Targets), "ms", time.Since(g.started).Milliseconds())
	if g.Started != nil {
		g.Started(Addresses{Hooks: listeners.hooks.Addr(), Admin: listeners.admin.Addr(), TLS: g.config.Server.TLS != nil})
	}

	select {
	case <-ctx.Done():
	case <-running.Done():
	}
	g.drain(running, hooks, listeners.activated)
	stopEngine()
	shutdown(running, admin)
	if cause := context.Cause(running); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// drain stops taking hooks. A load balancer needs the drain delay to notice /readyz; with socket activation the kernel
// keeps the queue for the next process, so there is nothing to wait for.
func (g *Gateway) drain(ctx context.Context, hooks *http.Server, activated bool) {
	notifySystemd(g.Logger, "STOPPING=1")
	g.draining.Store(true)
	hooks.SetKeepAlivesEnabled(false)
	if delay := g.config.Server.DrainDelay; !activated && delay > 0 {
		g.Logger.Info("draining", "delay", delay.String())
		select {
		case <-time.After(delay):
		case <-ctx.Done():
		}
	}
	shutdown(ctx, hooks)
	g.Logger.Info("stopped taking hooks")
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

func (g *Gateway) openLedger(ctx context.Context) error {
	path, keep := g.config.LedgerFile(), g.config.Ledger.Retention
	var err error
	g.ledger, err = sqlite.Open(ctx, path, sqlite.Options{
		Retention: ledger.Retention{Delivered: keep.Delivered, Dead: keep.Dead, MaxSize: int64(keep.MaxSize)},
		Observer:  ledger.Observer{Committed: g.metrics.Committed, Due: g.wake},
		Logger:    g.Logger,
	})
	if err != nil {
		return fmt.Errorf("opening the ledger %s: %w", path, err)
	}
	pipeline := g.config.Pipeline
	if err := g.ledger.SaveConfig(ctx, pipeline.Hash(), pipeline.Snapshot()); err != nil {
		_ = g.ledger.Close()
		return fmt.Errorf("keeping the configuration in the ledger: %w", err)
	}
	return nil
}

func (g *Gateway) closeLedger() {
	if err := g.ledger.Close(); err != nil {
		g.Logger.Error("closing the ledger failed", "error", err)
		return
	}
	g.Logger.Info("stopped")
}

// wake passes on that deliveries are due. The ledger is open before the engine exists.
func (g *Gateway) wake(target string) {
	if g.engine != nil {
		g.engine.Wake(target)
	}
}

func (g *Gateway) retain(ctx context.Context) {
	ticker := time.NewTicker(retentionEvery)
	defer ticker.Stop()
	for {
		if err := g.ledger.Retain(ctx, time.Now()); err != nil && ctx.Err() == nil {
			g.Logger.Error("retention failed", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
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
