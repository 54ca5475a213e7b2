// This file is the load of the benchmarks: hooks prepared in advance, a client that does no more than HTTP asks for, a
// closed loop (as fast as answers come) and an open one (at a fixed rate, whatever the answers do).

package cmd_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// hooks are requests of one size, of which each call makes one of another chat.
type hooks struct {
	path      string
	templates [][]byte // whole requests
	at        []int    // where the ten digits of the chat's number stand
}

// The numbers of chats have ten digits, the first is no zero: JSON has no leading ones.
const (
	chatDigits = 10
	firstChat  = 1_000_000_000
)

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

// request writes the hook of chat n into buffer.
func (h *hooks) request(buffer []byte, n int64) []byte {
	i := int(n) % len(h.templates)
	buffer = append(buffer[:0], h.templates[i]...)
	copy(buffer[h.at[i]:], strconv.FormatInt(firstChat+n, 10))
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
	status, length, err := readHead(c.reader)
	if err != nil {
		return 0, err
	}
	_, err = c.reader.Discard(length)
	return status, err
}

// readHead reads the head of an HTTP message and returns the length of its body, and its status if it is an answer.
// It allocates nothing.
func readHead(r *bufio.Reader) (status, length int, err error) {
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case first:
			if answer, found := bytes.CutPrefix(line, []byte("HTTP/1.1 ")); found && len(answer) >= 3 {
				status = number(answer[:3])
			}
		case len(line) == 0:
			return status, length, nil
		case len(line) > 15 && bytes.EqualFold(line[:15], []byte("content-length:")):
			length = number(bytes.TrimSpace(line[15:]))
		}
	}
}

// number reads digits.
func number(digits []byte) (n int) {
	for _, d := range digits {
		if d < '0' || d > '9' {
			return 0
		}
		n = n*10 + int(d-'0')
	}
	return n
}

// served is a server under load, a process of its own.
type served struct {
	address string
	pid     int
}

// window is what one window of a closed loop has measured.
type window struct {
	rate float64 // answers per second
	kept float64 // share of the answers whose deliveries came meanwhile
	// server, load and others are the shares of all processors that were busy for the server, for this process, which is
	// the load and the target, and for what else runs on the machine.
	server, load, others float64
	all                  int64 // answers, with those of the warm-up
}

// reading is a look at everything that is counted.
type reading struct {
	at                    time.Time
	answers, arrived      int64
	server, load, machine float64
}

// closedLoop sends from several connections, each as soon as it has its answer: a warm-up, which counts for nothing, and
// a window of d.
func (s *bench) closedLoop(to served, h *hooks, connections int, d time.Duration) window {
	s.Helper()
	var all sync.WaitGroup
	var answers atomic.Int64
	var over atomic.Bool
	for range connections {
		c, err := dial(s.Context(), to.address)
		if err != nil {
			s.Fatal(err)
		}
		all.Go(func() {
			defer func() { _ = c.Close() }()
			for !over.Load() {
				status, err := c.send(h, s.next.Add(1))
				if err != nil || status != http.StatusOK {
					s.Errorf("a hook was answered %d, %v", status, err)
					return
				}
				answers.Add(1)
			}
		})
	}
	read := func() reading {
		return reading{time.Now(), answers.Load(), s.target.count.Load(), processor(s, to.pid), processor(s, os.Getpid()), machineProcessor(s)}
	}
	pass(s.pace.warm)
	before := read()
	pass(d)
	after := read()
	over.Store(true)
	all.Wait()
	n, took := float64(after.answers-before.answers), after.at.Sub(before.at).Seconds()
	if n == 0 {
		s.Errorf("no answer within %s", d)
	}
	share := func(before, after float64) float64 { return (after - before) / took / float64(runtime.NumCPU()) }
	w := window{
		rate: n / took, kept: float64(after.arrived-before.arrived) / n,
		server: share(before.server, after.server), load: share(before.load, after.load), all: answers.Load(),
	}
	w.others = max(share(before.machine, after.machine)-w.server-w.load, 0)
	return w
}

// schedule is when the hooks of an open loop were due to be sent, by the number of their chat after first.
type schedule struct {
	first int64
	due   []time.Time
}

// openLoop sends hooks at a rate for d after a warm-up, and returns how long each took from the moment that it was due.
func (s *bench) openLoop(address string, h *hooks, perSecond int, d time.Duration) (latencies, schedule) {
	s.Helper()
	warm, count := int(s.pace.warm.Seconds()*float64(perSecond)), int((s.pace.warm+d).Seconds()*float64(perSecond))
	plan := schedule{first: s.next.Add(int64(count)) - int64(count) + 1, due: make([]time.Time, count)}
	took := make(latencies, count)
	tickets := make(chan int, count)
	begin := time.Now().Add(50 * time.Millisecond)
	for i := range count {
		plan.due[i] = begin.Add(time.Duration(i) * time.Second / time.Duration(perSecond))
	}
	var all sync.WaitGroup
	for range min(256, max(32, perSecond/8)) {
		c, err := dial(s.Context(), address)
		if err != nil {
			s.Fatal(err)
		}
		all.Go(func() {
			defer func() { _ = c.Close() }()
			for i := range tickets {
				status, err := c.send(h, plan.first+int64(i))
				if took[i] = time.Since(plan.due[i]); err != nil || status != http.StatusOK {
					s.Errorf("a hook was answered %d, %v", status, err)
					return
				}
			}
		})
	}
	for i, due := range plan.due {
		pass(time.Until(due))
		tickets <- i
	}
	close(tickets)
	all.Wait()
	took = slices.Sorted(slices.Values(took[warm:]))
	return took, schedule{plan.first + int64(warm), plan.due[warm:]}
}

// pass lets time go by.
func pass(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}
