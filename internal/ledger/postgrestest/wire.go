// This file is a network that can be cut.

package postgrestest

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
)

// Wire is a network between a replica and the database that can be cut. Bytes that are sent meanwhile arrive when it
// heals, as TCP sends them again; connections are neither refused nor reset.
type Wire struct {
	listener net.Listener
	to       string

	mu     sync.Mutex
	whole  chan struct{} // closed while the network is whole
	ended  chan struct{}
	open   map[net.Conn]bool
	active sync.WaitGroup
}

// NewWire makes a network to the server that listens at to.
func NewWire(ctx context.Context, to string) (*Wire, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w := &Wire{listener: listener, to: to, whole: make(chan struct{}), ended: make(chan struct{}), open: map[net.Conn]bool{}}
	close(w.whole)
	go w.run()
	return w, nil
}

// Address is the near end.
func (w *Wire) Address() string { return w.listener.Addr().String() }

// Remove ends it and all connections.
func (w *Wire) Remove() {
	_ = w.listener.Close()
	close(w.ended)
	w.active.Wait()
}

// Cut stops everything.
func (w *Wire) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.whole = make(chan struct{})
}

// Heal lets it go on.
func (w *Wire) Heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.whole)
}

// Reset ends all connections as a router that restarts does: with a reset, whatever is under way.
func (w *Wire) Reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for conn := range w.open {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
}

// hold notes a connection as open until the function that it returns is called.
func (w *Wire) hold(conn net.Conn) (release func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open[conn] = true
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.open, conn)
		_ = conn.Close()
	}
}

// pass waits until the network is whole; false at the end of the test.
func (w *Wire) pass() bool {
	w.mu.Lock()
	whole := w.whole
	w.mu.Unlock()
	select {
	case <-whole:
		return true
	case <-w.ended:
		return false
	}
}

func (w *Wire) run() {
	for {
		near, err := w.listener.Accept()
		if err != nil {
			return
		}
		w.active.Go(func() {
			defer w.hold(near)()
			if !w.pass() {
				return
			}
			far, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", w.to)
			if err != nil {
				return
			}
			defer w.hold(far)()
			var both sync.WaitGroup
			both.Go(func() { w.carry(far, near) })
			both.Go(func() { w.carry(near, far) })
			both.Wait()
		})
	}
}

// carry takes bytes one way, and the end of the connection, too.
func (w *Wire) carry(to, from net.Conn) {
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-w.ended:
			_ = from.Close()
		case <-stop:
		}
	}()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if !w.pass() {
			return
		}
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if errors.Is(err, io.EOF) {
			_ = to.Close()
			return
		}
		if err != nil {
			return
		}
	}
}
