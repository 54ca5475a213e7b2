// This file knows when retention can make no more room in the ledger, before there is none.

package gateway

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

const (
	// crowdedFor is how long the ledger is near its limit although retention has run, before people are told: another
	// replica may be removing.
	crowdedFor = time.Minute
	// crowdedLog is how often the log says so.
	crowdedLog = time.Hour
)

// crowd is what retention has left.
type crowd struct {
	since, logged atomic.Int64 // Unix nanoseconds; 0: never, or no more
}

// look is called when retention has run.
func (c *crowd) look(ctx context.Context, g *Gateway) {
	limit := retention(g.setup.Load().config).MaxSize
	if limit <= 0 {
		c.since.Store(0)
		return
	}
	stats, err := g.ledger.Stats(ctx)
	if err != nil {
		return // others say so
	}
	if !row.Crowded(stats.Used, limit) {
		c.since.Store(0)
		return
	}
	now := time.Now()
	c.since.CompareAndSwap(0, now.UnixNano())
	last := c.logged.Load()
	if c.trouble(stats, limit, now) != "" && now.Sub(time.Unix(0, last)) >= crowdedLog && c.logged.CompareAndSwap(last, now.UnixNano()) {
		g.Logger.Warn("the ledger is nearly full, and retention can remove nothing more; at max_size hooks are refused",
			"bytes", stats.Used, "max_size", limit, "hint", "settle what is dead or pending, or raise ledger.retention.max_size")
	}
}

// trouble says that the ledger stays near its limit; "" if it does not.
func (c *crowd) trouble(stats ledger.Stats, limit int64, now time.Time) string {
	since := c.since.Load()
	if since == 0 || !row.Crowded(stats.Used, limit) || now.Sub(time.Unix(0, since)) < crowdedFor {
		return ""
	}
	return fmt.Sprintf("the ledger is nearly full, %d of %d MiB, and retention can remove nothing more: replay or drop what is dead, or raise ledger.retention.max_size",
		stats.Used>>20, limit>>20)
}
