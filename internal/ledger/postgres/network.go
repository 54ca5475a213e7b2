// This file bounds what a network that swallows everything can do: a connection over which nothing comes back is given
// up, whether it is being written to, read from, or idle.

package postgres

import (
	"context"
	"net"
	"syscall"
	"time"
)

const (
	// connectTimeout is how long a connection may take to be made, login included.
	connectTimeout = 5 * time.Second
	// queryTimeout bounds a query outside of a transaction that a hook, a worker or a person waits for.
	queryTimeout = 5 * time.Second
	// silence is how long sent bytes may stay unacknowledged, and a quiet connection unanswered when it is probed.
	// Without it the system would wait for a quarter of an hour, in which a question that takes long cannot be told from
	// a network that is cut.
	silence = 20 * time.Second
)

// dial connects so that the system notices a network that is cut.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{
		Timeout:         connectTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: silence / 2, Interval: silence / 8, Count: 4},
		ControlContext: func(_ context.Context, _, _ string, socket syscall.RawConn) error {
			return socket.Control(func(fd uintptr) { limitSilence(fd, silence) })
		},
	}
	return d.DialContext(ctx, network, address)
}

// brief bounds a query.
func brief(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, queryTimeout)
}
