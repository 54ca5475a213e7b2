// This file is the target of the benchmarks: it answers at once and notes when it got what.

package cmd_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// arrivals is a target that answers 201 and notes when each chat came first.
type arrivals struct {
	address string
	count   atomic.Int64

	mu sync.Mutex
	at map[int64]time.Time
}

func newArrivals(b testing.TB) *arrivals {
	b.Helper()
	a := &arrivals{at: map[int64]time.Time{}}
	a.address = rawServer(b, a.serve)
	return a
}

// rawServer accepts connections until the test ends.
func rawServer(b testing.TB, serve func(net.Conn)) string {
	b.Helper()
	listener, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	return "http://" + listener.Addr().String()
}

func (a *arrivals) serve(c net.Conn) {
	serveRaw(c, func(body []byte) string {
		a.note(body)
		return "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}"
	})
}

// serveRaw answers the requests of one connection; an empty answer is none.
func serveRaw(c net.Conn, answer func(body []byte) string) {
	defer func() { _ = c.Close() }()
	reader := bufio.NewReaderSize(c, 32<<10)
	var body []byte
	for {
		_, length, err := readHead(reader)
		if err != nil {
			return
		}
		body = slices.Grow(body[:0], length)[:length]
		if _, err := io.ReadFull(reader, body); err != nil {
			return
		}
		text := answer(body)
		if text == "" {
			return
		}
		if _, err := io.WriteString(c, text); err != nil {
			return
		}
	}
}

func (a *arrivals) note(body []byte) {
	const key = `"external_id":"`
	i := bytes.Index(body, []byte(key))
	if i < 0 {
		return
	}
	chat, now := int64(number(body[i+len(key):i+len(key)+chatDigits]))-firstChat, time.Now()
	a.mu.Lock()
	if _, known := a.at[chat]; !known {
		a.at[chat] = now
		a.count.Add(1)
	}
	a.mu.Unlock()
}

// since returns how long the chats of a schedule took to arrive, and how many did not.
func (a *arrivals) since(plan schedule) (took latencies, missing int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, due := range plan.due {
		at, ok := a.at[plan.first+int64(i)]
		if !ok {
			missing++
			continue
		}
		took = append(took, at.Sub(due))
	}
	slices.Sort(took)
	return took, missing
}

// forget drops what was noted, so that a long benchmark stays small.
func (a *arrivals) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.at)
}
