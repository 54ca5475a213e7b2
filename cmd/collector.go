// This file lets the garbage collector rest under load. What hooks and deliveries allocate is garbage at once, of which a
// small live heap makes the collector go round a hundred times a second.

package cmd

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	glance     = 250 * time.Millisecond // between two looks at what comes in
	linger     = 8                      // glances without load before what it has taken is given back
	manyHooks  = 500                    // in a second: fewer are no load to make room for
	mostOften  = 12                     // collections in a second that the heap may grow to avoid more of
	mostRoom   = 20 << 20               // bytes that may be allocated between two collections for that
	usualShare = 100                    // percent of the live heap, the default of Go
	mostShare  = 600
)

// tuneCollector lets the heap grow by up to mostRoom between collections while many hooks come in, and by as much as is
// alive otherwise: a backlog that is being tried takes no more memory than it must. hooks counts those that have come.
// Whoever sets GOGC or GOMEMLIMIT has decided. It returns when ctx ends.
func tuneCollector(ctx context.Context, hooks func() uint64) {
	if os.Getenv("GOGC") != "" || os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	ticker := time.NewTicker(glance)
	defer ticker.Stop()
	samples := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(samples)
	before, share, came := samples[0].Value.Uint64(), usualShare, hooks()
	for n, quiet := 1, 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		metrics.Read(samples)
		allocated, live, count := samples[0].Value.Uint64(), samples[1].Value.Uint64(), hooks()
		next := share
		if quiet++; (count-came)*uint64(time.Second/glance) >= manyHooks {
			quiet = 0
			next = collectorShare((allocated-before)*uint64(time.Second/glance), live)
		} else if quiet > linger {
			next = usualShare
		}
		before, came = allocated, count
		if next == usualShare && share != usualShare || max(next-share, share-next) > share/8 { // each change stops everything for a moment
			share = next
			debug.SetGCPercent(share)
		}
		if n == int(time.Second/glance) {
			debug.FreeOSMemory() // what the start has left behind
			forgetProgram()
		}
	}
}

// collectorShare is how much the heap may grow until it is collected, in percent of what is alive, when so many bytes
// were allocated within a second.
func collectorShare(allocated, live uint64) int {
	room := min(allocated/mostOften, mostRoom)
	return int(min(max(100*room/max(live, 1), usualShare), mostShare))
}
