// This file moves the log into the database file beside the writer. SQLite would do it at the end of a commit, and the
// hooks of that commit would wait for it, and those behind them. It still does at logPages, when this has not kept up, and
// finds less to do then. The log begins anew when all of it has been moved and nobody reads from it.

package sqlite

import (
	"context"
	"sync"
	"sync/atomic"
)

const (
	logPages        = 4000 // bound on the log: with as many a commit moves what has not been moved
	checkpointPages = 3000 // with about as many more this begins; pages that many hooks change are moved once for all of them
)

// checkpointer is the goroutine that moves the log.
type checkpointer struct {
	ledger *Ledger
	wake   chan struct{} // holds one: there is something to do
	stop   context.CancelFunc
	ended  chan struct{}

	moving  sync.Mutex   // held while it does
	commits atomic.Int64 // since it began to move the last time
	enough  atomic.Int64 // commits for checkpointPages, going by those before
}

func startCheckpointer(l *Ledger) *checkpointer {
	ctx, stop := context.WithCancel(context.Background())
	c := &checkpointer{ledger: l, wake: make(chan struct{}, 1), stop: stop, ended: make(chan struct{})}
	c.enough.Store(checkpointPages / 20)
	go c.run(ctx)
	return c
}

func (c *checkpointer) close() {
	c.stop()
	<-c.ended
}

// committed is told of every commit that has changed something.
func (c *checkpointer) committed() {
	if c.commits.Add(1) >= c.enough.Load() {
		nudge(c.wake)
	}
}

func (c *checkpointer) run(ctx context.Context) {
	defer close(c.ended)
	before := int64(0) // pages that the log had, if some of them were left
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		}
		if c.commits.Load() < c.enough.Load() {
			continue // woken once more by a commit that has been counted
		}
		commits, generation := c.commits.Swap(0), c.ledger.generation.Load()
		log, left, err := c.move(ctx)
		if err != nil { // any but damage is for the writer to meet and to tell
			c.ledger.suspect(err, generation)
			before = 0
			continue
		}
		if log < before {
			before = 0 // it has begun anew
		}
		c.enough.Store(min(max(commits*checkpointPages/max(log-before, 1), 1), logPages))
		before = log
		if left == 0 { // the next commit begins it anew
			before = 0
		}
	}
}

// move moves the log, and tells how many pages it had and how many of them are left: those that the writer has added.
func (c *checkpointer) move(ctx context.Context) (log, left int64, err error) {
	c.moving.Lock()
	defer c.moving.Unlock()
	var busy bool
	var moved int64
	err = c.ledger.readers.Load().QueryRowContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &log, &moved)
	return log, log - moved, err
}
