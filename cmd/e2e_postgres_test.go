// This file holds the tests of replicas on one PostgreSQL database: they and the server are killed, and what the target
// holds is counted.

package cmd_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/ledger/postgrestest"
)

// cluster starts a server of the test's own.
func cluster(t *testing.T, settings ...string) *postgrestest.Cluster {
	t.Helper()
	if os.Getenv(postgrestest.Variable) == "" {
		t.Skip(postgrestest.ErrNone)
	}
	c, err := postgrestest.Start(t.Context(), settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Remove)
	return c
}

// replica is one of the gateways that share a ledger.
type replica struct {
	path, hooks, admin string
	url                string // of the ledger
	shell              string // see startOptions
	running            *process
	away               atomic.Bool // the load balancer has noticed that it does not answer
}

func newReplica(t *testing.T, url, targets string) *replica {
	t.Helper()
	folder := t.TempDir()
	r := &replica{url: url}
	r.path, r.hooks, r.admin = writeConfig(t, folder, targets)
	text, err := os.ReadFile(r.path)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), "sqlite:data/afterchat.db", "${env.LEDGER}", 1)
	if err := os.WriteFile(filepath.Join(folder, "afterchat.yaml"), []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	r.launch(t)
	return r
}

func (r *replica) launch(t *testing.T) {
	t.Helper()
	r.running = start(t, r.path, r.hooks, r.admin, startOptions{shell: r.shell, env: []string{"LEDGER=" + r.url}})
}

// balancer sends hooks as a load balancer does: to the next replica when one does not answer.
type balancer struct {
	replicas     []*replica
	next         atomic.Int64
	acknowledged sync.Map     // ids of what was answered 200
	refused      atomic.Int64 // that no replica has taken
}

// send sends from several goroutines until ctx is done.
func (b *balancer) send(ctx context.Context, senders int) {
	var work sync.WaitGroup
	for range senders {
		work.Go(func() {
			for ctx.Err() == nil {
				id := int(b.next.Add(1))
				if b.take(context.WithoutCancel(ctx), id) {
					b.acknowledged.Store(id, true)
				} else {
					b.refused.Add(1)
				}
			}
		})
	}
	work.Wait()
}

// take tells whether a replica has taken the hook.
func (b *balancer) take(ctx context.Context, id int) bool {
	body := chatHook(id) // the same for every replica
	for try := range b.replicas {
		r := b.replicas[(id+try)%len(b.replicas)]
		if r.away.Load() {
			continue
		}
		switch status, _ := post(ctx, "http://"+r.hooks+"/in/shop/"+e2eSecret, body); status {
		case http.StatusOK:
			return true
		case 0:
		default:
			return false
		}
	}
	return false
}

// audit is audited for the ledger of a replica.
func (r *replica) audit(t *testing.T) {
	t.Helper()
	audited(t, r.path, "LEDGER="+r.url)
}

// TestE2EPostgresKill kills replicas at random moments under load, and every third time the database's server, in the
// middle of outages of the target, too.
func TestE2EPostgresKill(t *testing.T) {
	binary(t)
	server := cluster(t)
	cycles := chaosCycles(t, 30)
	target := newSink(t)
	target.fuzzy.Store(true)
	targets := "  desk: {type: http, url: '" + target.address + "', timeout: 1s, retry: {min: 50ms, max: 500ms}}\n"
	url := server.URL("")
	replicas := []*replica{newReplica(t, url, targets), newReplica(t, url, targets)}
	b := &balancer{replicas: replicas}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); b.send(ctx, 8) }()
	servers, slowest := 0, time.Duration(0)
	for cycle := range cycles {
		target.down.Store(cycle%4 == 1)
		select {
		case <-time.After(time.Duration(50+rand.IntN(600)) * time.Millisecond):
		case <-t.Context().Done():
		}
		if cycle%3 == 2 {
			servers++
			server.Kill()
			if err := server.Launch(t.Context()); err != nil {
				t.Fatal(err)
			}
			continue
		}
		r := replicas[cycle%2]
		r.running.kill()
		began := time.Now()
		r.launch(t)
		slowest = max(slowest, time.Since(began))
	}
	target.down.Store(false)
	for _, r := range replicas {
		r.running.waitReady(t, 20*time.Second)
	}
	cancel()
	<-done
	began := time.Now()
	// What a killed replica had leased comes back at the end of its lease, 32 s later.
	n := assertDelivered(t, target, &b.acknowledged, 90*time.Second+time.Duration(cycles)*time.Second)
	recovered := time.Since(began)
	for _, r := range replicas {
		if code := r.running.terminate(t); code != 0 {
			t.Errorf("exit code %d\n%s", code, r.running.output())
		}
	}
	b.replicas[0].audit(t)
	t.Logf("%d kills of replicas, %d of the server: %d hooks sent, %d acknowledged, all delivered once, the last %s after the end",
		cycles-servers, servers, b.next.Load(), n, recovered.Round(time.Second))
	target.count(&b.acknowledged, 0).tell(t, postgresEngine, fmt.Sprintf("kill -9, %d times one of two replicas, %d times the server, in outages of the target, too",
		cycles-servers, servers), slowest)
	if n < cycles {
		t.Errorf("only %d hooks were acknowledged", n)
	}
}

// counter is the way of one replica to a target: it tells what came this way, and can keep the answers back.
type counter struct {
	*sink

	mu   sync.Mutex
	came map[string]int // requests by idempotency key
	kept chan struct{}  // answers wait until it is closed; nil: none does
	held []string       // keys whose answers wait
}

// newCounter makes a way to a target.
func newCounter(t *testing.T, to *sink) (c *counter, address string) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c = &counter{sink: to, came: map[string]int{}}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(c.handle)}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return c, "http://" + listener.Addr().String()
}

// handle lets the target take the request, and keeps its answer back perhaps.
func (c *counter) handle(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Idempotency-Key")
	c.mu.Lock()
	c.came[key]++
	kept := c.kept
	c.mu.Unlock()
	if kept == nil {
		c.ServeHTTP(w, r)
		return
	}
	answer := httptest.NewRecorder()
	c.ServeHTTP(answer, r)
	c.mu.Lock()
	c.held = append(c.held, key)
	c.mu.Unlock()
	<-kept
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

// keep keeps answers back from now on, until release.
func (c *counter) keep() (release func()) {
	kept := make(chan struct{})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = kept
	return func() { close(kept) }
}

// pass keeps no answers back from now on.
func (c *counter) pass() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = nil
}

// holding are the keys of requests that were taken and whose answers are kept back.
func (c *counter) holding() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.held)
}

// seen tells how often a request came this way.
func (c *counter) seen(key string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.came[key]
}

// fenced counts in the log of a process the settlements that were refused, because the lease had gone to another worker.
func (p *process) fenced() int {
	return strings.Count(p.output(), "the lease has gone to another worker")
}

// attempts is what the log of a process says of the requests with these idempotency keys.
func (p *process) attempts(keys []string) string {
	var said []string
	for line := range strings.Lines(p.output()) {
		if slices.ContainsFunc(keys, func(key string) bool { return strings.Contains(line, "conversation="+strings.Split(key, ":")[1]+" ") }) {
			said = append(said, line)
		}
	}
	return strings.Join(said, "")
}

// freeze stops a process, and returns when none of its threads runs any more: the signal alone may take 20 ms until then.
func (p *process) freeze(t *testing.T) {
	t.Helper()
	if err := p.command.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() error {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.command.Process.Pid))
		if err != nil {
			return err
		}
		for _, name := range threads {
			stat, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			if _, state, _ := strings.Cut(string(stat), ") "); !strings.HasPrefix(state, "T") {
				return fmt.Errorf("a thread still runs: %s", stat)
			}
		}
		if len(threads) == 0 {
			return errors.New("its threads are not in /proc")
		}
		return nil
	})
}

// TestE2EPostgresFrozen freezes one of three replicas past its leases and wakes it again, while the other two are
// restarted one after the other: no hook is refused, nothing is lost, nothing is twice at the target. At the moment when
// it freezes, the target has taken requests of it that are not answered yet: the others take these deliveries over at
// the end of the leases, and what the woken one settles is refused.
func TestE2EPostgresFrozen(t *testing.T) {
	binary(t)
	server := cluster(t)
	target := newSink(t)
	target.fuzzy.Store(true)
	url := server.URL("")
	b := &balancer{}
	var ways []*counter
	for range 3 {
		way, address := newCounter(t, target)
		ways = append(ways, way)
		b.replicas = append(b.replicas, newReplica(t, url, "  desk: {type: http, url: '"+address+"', timeout: 3s, workers: 8, retry: {min: 50ms, max: 500ms}}\n"))
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); b.send(ctx, 8) }()
	pass := func(d time.Duration) {
		select {
		case <-time.After(d):
		case <-t.Context().Done():
		}
	}
	pass(2 * time.Second)
	frozen, way := b.replicas[0], ways[0]
	release := way.keep()
	eventually(t, 900*time.Millisecond, func() error { // long before the requests time out
		if n := len(way.holding()); n < 8 {
			return fmt.Errorf("%d requests are under way, want one of each worker", n)
		}
		return nil
	})
	frozen.running.freeze(t)
	frozen.away.Store(true)
	since := time.Now()
	held := way.holding()
	release() // the answers wait in its sockets
	for range 2 {
		for _, r := range b.replicas[1:] {
			pass(2 * time.Second)
			r.away.Store(true)
			if code := r.running.terminate(t); code != 0 {
				t.Errorf("exit code %d\n%s", code, r.running.output())
			}
			r.launch(t)
			r.away.Store(false)
		}
	}
	cancel()
	<-done
	n := assertDelivered(t, target, &b.acknowledged, 60*time.Second) // without the frozen one
	eventually(t, time.Until(since.Add(time.Minute)), func() error { // its leases are 36 s long
		for _, key := range held {
			if ways[1].seen(key)+ways[2].seen(key) == 0 {
				return fmt.Errorf("nobody has taken over %s, which the frozen replica holds", key)
			}
		}
		return nil
	})
	taken := time.Since(since)
	if taken < 25*time.Second {
		t.Errorf("leases were taken over after %s, before their end", taken)
	}
	for _, r := range b.replicas[1:] {
		r.running.waitDrained(t, 20*time.Second)
	}
	if err := frozen.running.command.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	waking := time.Now()
	frozen.running.waitReady(t, 20*time.Second)
	woke := time.Since(waking)
	eventually(t, 20*time.Second, func() error {
		if n := frozen.running.fenced(); n < len(held) {
			return fmt.Errorf("%d of %d late settlements were refused\n%s", n, len(held), frozen.running.attempts(held))
		}
		return nil
	})
	fenced := frozen.running.fenced()
	if told := gauge(t, frozen.admin, `afterchat_fenced_total{target="desk"}`); told != strconv.Itoa(fenced) {
		t.Errorf("afterchat_fenced_total is %q, the log tells of %d", told, fenced)
	}
	for _, r := range b.replicas {
		if code := r.running.terminate(t); code != 0 {
			t.Errorf("exit code %d\n%s", code, r.running.output())
		}
	}
	if again := assertDelivered(t, target, &b.acknowledged, 5*time.Second); again != n {
		t.Errorf("%d conversations before the frozen replica woke, %d after", n, again)
	}
	if refused := b.refused.Load(); refused > 0 {
		t.Errorf("%d hooks were refused", refused)
	}
	b.replicas[0].audit(t)
	t.Logf("a replica frozen for %s with %d requests under way, taken over within %s, its %d late settlements refused, 4 orderly restarts: %d hooks acknowledged, 0 refused, all delivered once",
		waking.Sub(since).Round(time.Second), len(held), taken.Round(time.Second), fenced, n)
	target.count(&b.acknowledged, 0).tell(t, postgresEngine,
		fmt.Sprintf("one of three replicas frozen past its leases, %d requests under way, its late settlements refused; the others restarted twice each", len(held)), woke)
}

// TestE2EPostgresPromotion kills the primary under load and promotes its synchronous standby: nothing is lost, nothing is
// twice at the target, and what nobody has leased goes on within 5 s.
func TestE2EPostgresPromotion(t *testing.T) {
	binary(t)
	primary := cluster(t)
	standby, err := primary.Standby(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(standby.Remove)
	target := newSink(t)
	targets := "  desk: {type: http, url: '" + target.address + "', timeout: 1s, retry: {min: 50ms, max: 500ms}}\n"
	url := primary.URLWith(standby)
	b := &balancer{replicas: []*replica{newReplica(t, url, targets), newReplica(t, url, targets)}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); b.send(ctx, 8) }()
	pass := func(d time.Duration) {
		select {
		case <-time.After(d):
		case <-t.Context().Done():
		}
	}
	pass(3 * time.Second)
	primary.Kill()
	pass(2 * time.Second) // until somebody notices
	if err := standby.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	promoted := time.Now()
	count := func() int { return len(target.externalIDs()) }
	before := count()
	eventually(t, 10*time.Second, func() error {
		if n := count(); n <= before {
			return fmt.Errorf("%d conversations are at the target, as before", n)
		}
		return nil
	})
	resumed := time.Since(promoted)
	if resumed > 5*time.Second {
		t.Errorf("deliveries went on after %s", resumed)
	}
	pass(3 * time.Second)
	cancel()
	<-done
	n := assertDelivered(t, target, &b.acknowledged, 60*time.Second)
	for _, r := range b.replicas {
		if code := r.running.terminate(t); code != 0 {
			t.Errorf("exit code %d\n%s", code, r.running.output())
		}
	}
	b.replicas[0].audit(t)
	t.Logf("primary killed, standby promoted 2 s later: %d hooks acknowledged, %d refused, all delivered once, deliveries went on after %s",
		n, b.refused.Load(), resumed.Round(time.Millisecond))
	target.count(&b.acknowledged, 0).tell(t, postgresEngine, "primary killed, synchronous standby promoted 2 s later", resumed)
}
