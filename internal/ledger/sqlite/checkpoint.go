// This file moves the log into the database file beside the writer. SQLite would do it at the end of a commit, and the
// hooks of that commit would wait for it, and those behind them. It still does at logPages, when this has not kept up.
//
// The log begins anew when all of it has been moved and nobody reads from it. Under load there is always a commit meanwhile
// of which nothing has been moved: that little is left to the writer, who moves it between two commits.

package sqlite

import (
	"context"
	"sync"
	"sync/atomic"
)

const (
	logPages        = 8000 // bound on the log: with as many a commit moves what has not been moved
	checkpointPages = 6000 // with as many that have not been moved this begins; pages that many hooks change are moved once for all of them
	lookCommits     = 8    // how many commits come between two looks at the log
)

// checkpointer is the goroutine that moves the log.
type checkpointer struct {
	ledger *Ledger
	wake   chan struct{} // holds one: it is time for a look
	stop   context.CancelFunc
	ended  chan struct{}

	moving  sync.Mutex   // held while it does
	commits atomic.Int64 // since the last look
	rest    atomic.Bool  // what is left is for the writer to move
}

func startCheckpointer(l *Ledger) *checkpointer {
	ctx, stop := context.WithCancel(context.Background())
	c := &checkpointer{ledger: l, wake: make(chan struct{}, 1), stop: stop, ended: make(chan struct{})}
	go c.run(ctx)
	return c
}

func (c *checkpointer) close() {
	c.stop()
	<-c.ended
}

// committed is told of every commit that has changed something.
func (c *checkpointer) committed() {
	if c.commits.Add(1) >= lookCommits {
		nudge(c.wake)
	}
}

func (c *checkpointer) run(ctx context.Context) {
	defer close(c.ended)
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		}
		c.commits.Store(0)
		generation := c.ledger.generation.Load()
		if err := c.move(ctx); err != nil { // any but damage is for the writer to meet and to tell
			c.ledger.suspect(err, generation)
		}
	}
}

// move moves the log as far as it has come, if that is worth the syncs.
func (c *checkpointer) move(ctx context.Context) error {
	c.moving.Lock()
	defer c.moving.Unlock()
	readers := c.ledger.readers.Load()
	log, moved, err := lookAtLog(ctx, readers)
	if err != nil || log-moved < checkpointPages {
		return err
	}
	if _, err = readers.ExecContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)"); err == nil {
		c.rest.Store(true)
	}
	return err
}

// lookAtLog tells how many pages the log has and how many of them have been moved.
func lookAtLog(ctx context.Context, from querier) (log, moved int64, err error) {
	var busy bool
	err = from.QueryRowContext(ctx, "PRAGMA wal_checkpoint(NOOP)").Scan(&busy, &log, &moved)
	return log, moved, err
}

// moveRest is called by the writer between two commits. It moves what has come while the rest was moved, unless the log has
// begun anew meanwhile. What fails here the next commit meets.
func (w *writer) moveRest() {
	c := w.ledger.checkpointer
	if w.conn == nil || !c.rest.Swap(false) {
		return
	}
	if log, moved, err := lookAtLog(context.Background(), w.conn); err == nil && log >= checkpointPages && moved < log {
		_, _ = w.conn.ExecContext(context.Background(), "PRAGMA wal_checkpoint(PASSIVE)")
	}
}
