// This file is the load of the benchmarks: hooks prepared in advance, a client that does no more than HTTP asks for, a
// closed loop (as fast as answers come) and an open one (at a fixed rate, whatever the answers do), and a target that
// notes when it got what.

package cmd_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// hooks are requests of one size, of which each call makes one of another chat.
type hooks struct {
	path      string
	templates [][]byte // whole requests
	at        []int    // where the ten digits of the chat's number stand
}

const chatDigits = 10

// newHooks prepares requests with Smartsupp bodies of about size bytes.
func newHooks(size int) *hooks {
	random := rand.New(rand.NewPCG(7, uint64(size)))
	words := strings.Fields("hello order parcel invoice tomorrow thanks please where return blue size shop delivery courier address street refund card")
	h := &hooks{path: hookPath}
	for range 32 {
		var b bytes.Buffer
		_, _ = fmt.Fprintf(&b, `{"accountId":208,"beginAt":1427470439703,"endAt":1427470476687,"channel":{"id":%0*d,"isCompleted":true,"rating":5},`+
			`"visitor":{"id":1,"name":"Ada","email":"ada@example.com"},"messages":[`, chatDigits, 0)
		for i := 0; i == 0 || b.Len() < size-100; i++ {
			if i > 0 {
				b.WriteByte(',')
			}
			text := ""
			for len(text) < min(90, size/8) {
				text += words[random.IntN(len(words))] + " " + strconv.Itoa(random.IntN(1000)) + " "
			}
			_, _ = fmt.Fprintf(&b, `{"type":"visitor","name":"Ada","from":"visitor:a","content":%q,"sentAt":%d,"triggeredBy":null}`, text, 1427470439703+i*1000)
		}
		b.WriteString("]}")
		request := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", hookPath, b.Len(), b.Bytes())
		h.templates = append(h.templates, request)
		h.at = append(h.at, bytes.Index(request, []byte(`"channel":{"id":`))+len(`"channel":{"id":`))
	}
	return h
}

// request writes the hook of chat n into buffer. Numbers begin with a 1, for JSON has no leading zeros.
func (h *hooks) request(buffer []byte, n int64) []byte {
	i := int(n) % len(h.templates)
	buffer = append(buffer[:0], h.templates[i]...)
	copy(buffer[h.at[i]:], strconv.FormatInt(1_000_000_000+n, 10))
	return buffer
}

// connection is a connection that sends hooks one after the other.
type connection struct {
	net.Conn
	reader *bufio.Reader
	buffer []byte
}

func dial(ctx context.Context, address string) (*connection, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &connection{Conn: c, reader: bufio.NewReader(c)}, nil
}

// send posts a hook and returns the status of its answer.
func (c *connection) send(h *hooks, n int64) (int, error) {
	c.buffer = h.request(c.buffer, n)
	if _, err := c.Write(c.buffer); err != nil {
		return 0, err
	}
	head, length, err := readHead(c.reader)
	if err != nil {
		return 0, err
	}
	if _, err := c.reader.Discard(length); err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.Fields(head + " 0 0")[1])
}

// readHead reads the head of an HTTP message and returns its first line and the length of its body.
func readHead(r *bufio.Reader) (first string, length int, err error) {
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return "", 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case first == "":
			first = string(line)
		case len(line) == 0:
			return first, length, nil
		case len(line) > 15 && bytes.EqualFold(line[:15], []byte("content-length:")):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[15:]))); err != nil {
				return "", 0, err
			}
		}
	}
}

// latencies are sorted.
type latencies []time.Duration

func (l latencies) at(share float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	return l[min(int(share*float64(len(l))), len(l)-1)]
}

// closedLoop sends from several connections, each as soon as it has its answer, and returns the answers per second.
func closedLoop(b testing.TB, address string, h *hooks, connections int, d time.Duration, next *atomic.Int64) (rate float64, count int64) {
	b.Helper()
	var all sync.WaitGroup
	var answers atomic.Int64
	begin := time.Now()
	for range connections {
		c, err := dial(b.Context(), address)
		if err != nil {
			b.Fatal(err)
		}
		all.Go(func() {
			defer func() { _ = c.Close() }()
			for time.Since(begin) < d {
				status, err := c.send(h, next.Add(1))
				if err != nil || status != 200 {
					b.Errorf("a hook was answered %d, %v", status, err)
					return
				}
				answers.Add(1)
			}
		})
	}
	all.Wait()
	return float64(answers.Load()) / time.Since(begin).Seconds(), answers.Load()
}

// schedule is when the hooks of an open loop were due to be sent, by the number of their chat after first.
type schedule struct {
	first int64
	due   []time.Time
}

// openLoop sends hooks at a rate for d, and returns how long each took from the moment that it was due.
func openLoop(b testing.TB, address string, h *hooks, perSecond int, d time.Duration, next *atomic.Int64) (latencies, schedule) {
	b.Helper()
	count := int(d.Seconds() * float64(perSecond))
	plan := schedule{first: next.Add(int64(count)) - int64(count) + 1, due: make([]time.Time, count)}
	took := make(latencies, count)
	tickets := make(chan int, count)
	begin := time.Now().Add(50 * time.Millisecond)
	for i := range count {
		plan.due[i] = begin.Add(time.Duration(i) * time.Second / time.Duration(perSecond))
	}
	var all sync.WaitGroup
	for range min(256, max(32, perSecond/8)) {
		c, err := dial(b.Context(), address)
		if err != nil {
			b.Fatal(err)
		}
		all.Go(func() {
			defer func() { _ = c.Close() }()
			for i := range tickets {
				status, err := c.send(h, plan.first+int64(i))
				if took[i] = time.Since(plan.due[i]); err != nil || status != 200 {
					b.Errorf("a hook was answered %d, %v", status, err)
					return
				}
			}
		})
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i, due := range plan.due {
		timer.Reset(time.Until(due))
		<-timer.C
		tickets <- i
	}
	close(tickets)
	all.Wait()
	slices.Sort(took)
	return took, plan
}

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
	number, err := strconv.ParseInt(string(body[i+len(key):i+len(key)+chatDigits]), 10, 64)
	if err != nil {
		return
	}
	now := time.Now()
	a.mu.Lock()
	if _, known := a.at[number-1_000_000_000]; !known {
		a.at[number-1_000_000_000] = now
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
