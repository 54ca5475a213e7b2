// This file notices that the files of the configuration have changed. It reads them instead of asking the kernel to be
// told: that works on every file system, through symbolic links that are swapped as Kubernetes does, and with editors
// that replace files.

package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/afterchat/afterchat/config"
)

const (
	// watchEvery is how often the files are looked at.
	watchEvery = 5 * time.Second
	// settleTime is how long the files must stay the same before they are read: half a file may well be a valid one.
	settleTime = 250 * time.Millisecond
	// settleTries bounds the wait for files that never stay the same.
	settleTries = 40
)

// watch reloads when files change, until ctx ends. What failed is tried again every time: the reason may be a file that
// is not known to belong to the configuration, and the ledger.
func (g *Gateway) watch(ctx context.Context) {
	if g.Load == nil {
		return
	}
	ticker := time.NewTicker(g.reload.every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		select {
		case <-ctx.Done():
			return
		case <-g.reload.turn:
		}
		if g.changed(ctx) {
			_ = g.reloadInTurn(ctx, onDisk) // it has told what is wrong
		}
		g.reload.turn <- struct{}{}
	}
}

// changed tells whether there is something to read, and waits until it is written.
func (g *Gateway) changed(ctx context.Context) bool {
	cfg := g.setup.Load().config
	now := fingerprint(cfg)
	if now == g.reload.seen && g.reload.failure() == "" {
		return false
	}
	ticker := time.NewTicker(settleTime)
	defer ticker.Stop()
	for range settleTries {
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
		before := now
		if now = fingerprint(cfg); now == before {
			break
		}
	}
	return true
}

// fingerprint is a hash of what the files of a configuration hold now. Names are followed through symbolic links. What
// is no regular file, such as a pipe, can be read once only and is left out. New files that are included by a pattern
// count.
func fingerprint(cfg *config.Config) string {
	h := sha256.New()
	for _, name := range append([]string{cfg.Path}, cfg.Files...) {
		_, _ = fmt.Fprintf(h, "%q %s\n", name, content(name))
	}
	for _, pattern := range cfg.Patterns {
		names, err := filepath.Glob(pattern) // sorted
		_, _ = fmt.Fprintf(h, "%q %q %v\n", pattern, names, err)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// content is a hash of a file, of the names in a folder, or why there is none.
func content(name string) string {
	info, err := os.Stat(name)
	if err != nil {
		return err.Error()
	}
	h := sha256.New()
	switch {
	case info.IsDir():
		entries, err := os.ReadDir(name)
		for _, e := range entries {
			_, _ = fmt.Fprintf(h, "%q", e.Name())
		}
		if err != nil {
			return err.Error()
		}
	case info.Mode().IsRegular():
		f, err := os.Open(name)
		if err != nil {
			return err.Error()
		}
		defer f.Close() //nolint:errcheck // it was only read
		if _, err := io.Copy(h, f); err != nil {
			return err.Error()
		}
	default:
		return info.Mode().Type().String()
	}
	return hex.EncodeToString(h.Sum(nil))
}
