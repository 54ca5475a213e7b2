// This file is `afterchat serve`.

package cmd

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/internal/gateway"
)

type serveCommand struct{}

// Run takes hooks and delivers until a signal. SIGHUP reloads the configuration.
func (serveCommand) Run(p *program) error {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP) // first, for without it the signal ends the process
	defer signal.Stop(hangups)
	cfg, err := p.load()
	if err != nil {
		return err
	}
	if !cfg.Admin.Pprof {
		runtime.MemProfileRate = 0 // nobody can ask for that profile
	}
	ctx, cancel := untilSignal()
	defer cancel()
	var level slog.LevelVar
	level.Set(logLevel(cfg.Log))
	log := leveledLogger(p.stderr, cfg.Log.Format, &level)
	logWarnings(log, cfg)
	g := gateway.New(cfg, gateway.Options{
		Version: Version(), Logger: log,
		Load: func(context.Context) (*config.Config, error) {
			return config.Load(p.commands.Config, p.known, config.Environment{LookupEnv: os.LookupEnv, ReadFile: os.ReadFile})
		},
		Getenv: os.Getenv,
		Applied: func(cfg *config.Config) {
			level.Set(logLevel(cfg.Log))
			logWarnings(log, cfg)
		},
	})
	go tuneCollector(ctx, g.Hooks)
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
				_ = g.Reload(ctx, "SIGHUP") // it is in the log
			}
		}
	}()
	return g.Run(ctx)
}

// logWarnings logs what check shows as warnings.
func logWarnings(log *slog.Logger, cfg *config.Config) {
	for _, w := range cfg.Warnings {
		log.Warn("configuration.warning", "place", w.Place(), "warning", w.Text, "hint", w.Hint)
	}
}
