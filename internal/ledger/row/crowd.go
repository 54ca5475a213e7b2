// This file knows when a ledger is so near its limit that finished conversations go before their age.

package row

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

const (
	tellEvery = 5 * time.Second // how often retention is asked for where it does not help
	warnEvery = time.Hour
)

// Crowd is what an engine knows of a ledger that is near its max_size.
type Crowd struct {
	told, warned atomic.Int64 // in microseconds, of this process's clock
	hopeless     atomic.Int64 // until then nobody looks for finished conversations again
}

// Fruitless notes that nothing finished was found, in a look that took so long. In a ledger that is full of what waits
// each hook would ask for one; they take a tenth of the time at most.
func (c *Crowd) Fruitless(took time.Duration) {
	c.hopeless.Store(time.Now().Add(9 * took).UnixMicro())
}

// WorthALook tells whether something may have been finished since nothing was found.
func (c *Crowd) WorthALook() bool { return time.Now().UnixMicro() >= c.hopeless.Load() }

// Crowded tells whether so much is stored that finished conversations go before their age.
func Crowded(size, limit int64) bool { return limit > 0 && size > limit/10*9 }

// Roomy is the size at which enough of them have gone.
func Roomy(limit int64) int64 { return limit / 10 * 8 }

// Tell asks for retention if the ledger is crowded and nobody has asked since Eased, or not lately.
func (c *Crowd) Tell(size, limit int64, crowded func()) {
	now, told := time.Now().UnixMicro(), c.told.Load()
	if crowded == nil || !Crowded(size, limit) || told > now-tellEvery.Microseconds() && told <= now || !c.told.CompareAndSwap(told, now) {
		return
	}
	crowded()
}

// Eased lets the next Tell ask at once.
func (c *Crowd) Eased() { c.told.Store(0) }

// Warn logs that conversations are about to go before their age.
func (c *Crowd) Warn(logger *slog.Logger, size, limit int64) {
	now := time.Now().UnixMicro()
	if last := c.warned.Load(); last > now-warnEvery.Microseconds() && last <= now || !c.warned.CompareAndSwap(last, now) {
		return
	}
	logger.Warn("the ledger is near max_size: finished conversations are removed before their age; raise max_size or shorten retention",
		"bytes", size, "max_size", limit)
}

// Finished tells whether nobody waits for anything of a conversation: none of its deliveries is pending or dead.
func Finished(rows []*Delivery) bool {
	for _, r := range rows {
		if r.State == ledger.Pending || r.State == ledger.Dead {
			return false
		}
	}
	return true
}
