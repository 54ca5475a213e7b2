// This file knows which connections for hooks have a request under way, so that a stop drops none of them.

package gateway

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// headerPatience is how long a stop waits for the request of a connection that was opened, or written to, just before.
const headerPatience = 5 * time.Second

// connections are those of a server that are not idle. http.Server.Shutdown drops a request whose header it is still
// reading; the senders of hooks fire once, so the listener is closed first, and Shutdown is called when these are quiet.
// The zero value is ready for use.
type connections struct {
	mu    sync.Mutex
	busy  map[net.Conn]struct{}
	quiet chan struct{} // closed when none is busy; nil while nobody waits
}

// note is the server's ConnState. A connection that was accepted is noted before Serve returns.
func (c *connections) note(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if state == http.StateNew || state == http.StateActive {
		if c.busy == nil {
			c.busy = map[net.Conn]struct{}{}
		}
		c.busy[conn] = struct{}{}
		return
	}
	delete(c.busy, conn)
	if len(c.busy) == 0 && c.quiet != nil {
		close(c.quiet)
		c.quiet = nil
	}
}

// wait returns when no connection is busy, after headerPatience or when ctx is done. It is called once, when no
// connection is accepted any more.
func (c *connections) wait(ctx context.Context) {
	c.mu.Lock()
	if len(c.busy) == 0 {
		c.mu.Unlock()
		return
	}
	quiet := make(chan struct{})
	c.quiet = quiet
	c.mu.Unlock()
	timer := time.NewTimer(headerPatience)
	defer timer.Stop()
	select {
	case <-quiet:
	case <-timer.C:
	case <-ctx.Done():
	}
}
