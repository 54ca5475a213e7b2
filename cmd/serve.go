// This file is `afterchat serve`.

package cmd

import (
	"github.com/afterchat/afterchat/internal/gateway"
)

type serveCommand struct{}

// Run takes hooks and delivers until a signal.
func (serveCommand) Run(p *program) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	ctx, cancel := untilSignal()
	defer cancel()
	return gateway.New(cfg, gateway.Options{Version: Version(), Logger: logger(p.stderr, cfg.Log)}).Run(ctx)
}
