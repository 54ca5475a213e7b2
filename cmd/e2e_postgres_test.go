// This file holds the tests of replicas on one PostgreSQL database: they and the server are killed, and what the target
// holds is counted.

package cmd_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/ledger/postgres"
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
	running            *process
	away               atomic.Bool // the load balancer has noticed that it does not answer
}

func newReplica(t *testing.T, url, targets string) *replica {
	t.Helper()
	folder := t.TempDir()
	r := &replica{}
	r.path, r.hooks, r.admin = writeConfig(t, folder, targets)
	text, err := os.ReadFile(r.path)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), "sqlite:data/afterchat.db", "${env.LEDGER}", 1)
	if err := os.WriteFile(filepath.Join(folder, "afterchat.yaml"), []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	r.launch(t, url)
	return r
}

func (r *replica) launch(t *testing.T, url string) {
	t.Helper()
	r.running = start(t, r.path, r.hooks, r.admin, startOptions{env: []string{"LEDGER=" + url}})
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

// auditPostgres is what `afterchat ledger verify` does.
func auditPostgres(t *testing.T, url string) {
	t.Helper()
	l, err := postgres.Open(t.Context(), url, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	findings, err := l.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		t.Errorf("audit: %s %s", f.Target, f.Text)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
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
		r.launch(t, url)
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
	auditPostgres(t, url)
	t.Logf("%d kills of replicas, %d of the server: %d hooks sent, %d acknowledged, all delivered once, the last %s after the end",
		cycles-servers, servers, b.next.Load(), n, recovered.Round(time.Second))
	target.count(&b.acknowledged, 0).tell(t, postgresEngine, fmt.Sprintf("kill -9, %d times one of two replicas, %d times the server, in outages of the target, too",
		cycles-servers, servers), slowest)
	if n < cycles {
		t.Errorf("only %d hooks were acknowledged", n)
	}
}

// TestE2EPostgresFrozen freezes one of three replicas past its leases and wakes it again, while the other two are
// restarted one after the other: no hook is refused, nothing is lost, nothing is twice at the target.
func TestE2EPostgresFrozen(t *testing.T) {
	binary(t)
	server := cluster(t)
	target := newSink(t)
	target.fuzzy.Store(true)
	targets := "  desk: {type: http, url: '" + target.address + "', timeout: 1s, retry: {min: 50ms, max: 500ms}}\n"
	url := server.URL("")
	b := &balancer{}
	for range 3 {
		b.replicas = append(b.replicas, newReplica(t, url, targets))
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
	frozen := b.replicas[0]
	if err := frozen.running.command.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	frozen.away.Store(true)
	since := time.Now()
	for range 2 {
		for _, r := range b.replicas[1:] {
			pass(2 * time.Second)
			r.away.Store(true)
			if code := r.running.terminate(t); code != 0 {
				t.Errorf("exit code %d\n%s", code, r.running.output())
			}
			r.launch(t, url)
			r.away.Store(false)
		}
	}
	cancel()
	<-done
	n := assertDelivered(t, target, &b.acknowledged, 60*time.Second) // without the frozen one
	pass(time.Until(since.Add(36 * time.Second)))                    // its leases are 32 s long
	if err := frozen.running.command.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	waking := time.Now()
	frozen.running.waitReady(t, 20*time.Second)
	woke := time.Since(waking)
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
	auditPostgres(t, url)
	t.Logf("a replica frozen for %s, 4 orderly restarts: %d hooks acknowledged, 0 refused, all delivered once", time.Since(since).Round(time.Second), n)
	target.count(&b.acknowledged, 0).tell(t, postgresEngine, "one of three replicas frozen past its leases, the others restarted twice each", woke)
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
	auditPostgres(t, url)
	t.Logf("primary killed, standby promoted 2 s later: %d hooks acknowledged, %d refused, all delivered once, deliveries went on after %s",
		n, b.refused.Load(), resumed.Round(time.Millisecond))
	target.count(&b.acknowledged, 0).tell(t, postgresEngine, "primary killed, synchronous standby promoted 2 s later", resumed)
}
