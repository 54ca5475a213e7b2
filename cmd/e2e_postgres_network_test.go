// This file holds the test of a network that is cut between a replica and the database: nothing comes through, and
// nobody is told.

package cmd_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/ledger/postgrestest"
)

// cutable is a network to address.
func cutable(t *testing.T, address string) *postgrestest.Wire {
	t.Helper()
	w, err := postgrestest.NewWire(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Remove)
	return w
}

// slowly is a target that takes its time, so that deliveries are under way at any moment.
func slowly(t *testing.T, s *sink, d time.Duration) (address string) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(w, r)
		select {
		case <-time.After(d):
		case <-r.Context().Done():
		}
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return "http://" + listener.Addr().String()
}

// TestE2EPostgresNetworkCut cuts the network between one of two replicas and the database for longer than its leases,
// under load. Its hooks are refused in bounded time, not kept hanging; what it had leased is delivered by the other one;
// when the network heals it goes on by itself.
func TestE2EPostgresNetworkCut(t *testing.T) {
	binary(t)
	server := cluster(t)
	target := newSink(t)
	targets := "  desk: {type: http, url: '" + slowly(t, target, 200*time.Millisecond) + "', timeout: 1s, workers: 16, retry: {min: 50ms, max: 500ms}}\n"
	url := server.URL("")
	database := server.Address()
	wire := cutable(t, database)
	near, far := newReplica(t, url, targets), newReplica(t, strings.Replace(url, database, wire.Address(), 1), targets)
	var acknowledged sync.Map
	var next atomic.Int64
	var refused, hung atomic.Int64
	var slowest, kept atomic.Int64 // nanoseconds
	ctx, cancel := context.WithCancel(t.Context())
	var senders sync.WaitGroup
	for i := range 12 {
		at := []*replica{near, far}[i%2]
		senders.Go(func() {
			for ctx.Err() == nil {
				id := int(next.Add(1))
				began := time.Now()
				status, answer := post(context.WithoutCancel(ctx), "http://"+at.hooks+"/in/shop/"+e2eSecret, chatHook(id))
				took := int64(time.Since(began))
				switch {
				case status == http.StatusOK:
					acknowledged.Store(id, true)
					kept.Store(max(kept.Load(), took))
				case status == http.StatusServiceUnavailable && at == far:
					refused.Add(1)
				default:
					hung.Add(1)
					t.Errorf("hook %d at %s: %d %s after %s", id, at.hooks, status, answer, time.Duration(took))
				}
				slowest.Store(max(slowest.Load(), took))
				if status != http.StatusOK {
					continue
				}
				select { // not faster than what is delivered
				case <-time.After(50 * time.Millisecond):
				case <-ctx.Done():
				}
			}
		})
	}
	pass := func(d time.Duration) {
		select {
		case <-time.After(d):
		case <-t.Context().Done():
		}
	}
	pass(3 * time.Second)
	cut := time.Now()
	wire.Cut()
	far.running.waitStatus(t, http.StatusServiceUnavailable, 15*time.Second)
	told := time.Since(cut)
	pass(time.Until(cut.Add(20 * time.Second)))
	cancel()
	senders.Wait()
	if refused.Load() == 0 {
		t.Error("no hook was refused while the database was out of reach")
	}
	if d := time.Duration(slowest.Load()); d > 12*time.Second {
		t.Errorf("a hook waited for %s", d)
	}
	// Without the one that is cut off: its leases end 32 s after they began.
	n := assertDelivered(t, target, &acknowledged, time.Until(cut.Add(50*time.Second)))
	taken := time.Since(cut)
	if taken < 20*time.Second {
		t.Errorf("all was delivered %s after the cut: nothing was under way at the replica that was cut off", taken)
	}
	pass(time.Until(cut.Add(40 * time.Second)))
	healed := time.Now()
	wire.Heal()
	far.running.waitReady(t, 15*time.Second)
	recovered := time.Since(healed)
	ctx, cancel = context.WithTimeout(t.Context(), time.Second)
	load(ctx, "http://"+far.hooks+"/in/shop/"+e2eSecret, 4, &next, &acknowledged)
	cancel()
	all := assertDelivered(t, target, &acknowledged, 60*time.Second)
	if all <= n {
		t.Errorf("the replica that was cut off takes no hooks after the network healed: %d before, %d now", n, all)
	}
	for _, r := range []*replica{near, far} {
		if code := r.running.terminate(t); code != 0 {
			t.Errorf("exit code %d\n%s", code, r.running.output())
		}
	}
	near.audit(t)
	t.Logf("cut for %s: %d hooks acknowledged, %d refused, the slowest answer after %s; /readyz told after %s; leases were taken over until %s after the cut; ready %s after it healed",
		healed.Sub(cut).Round(time.Second), all, refused.Load(), time.Duration(slowest.Load()).Round(time.Millisecond), told.Round(time.Millisecond),
		taken.Round(time.Second), recovered.Round(time.Millisecond))
	target.count(&acknowledged, 0).tell(t, postgresEngine, fmt.Sprintf("network cut between a replica and the database for %s", healed.Sub(cut).Round(time.Second)), recovered)
}

// TestE2EPostgresResets resets all connections between two replicas and the database again and again, under load: a
// hook waits a moment, nothing is lost, nothing is twice at the target.
func TestE2EPostgresResets(t *testing.T) {
	binary(t)
	server := cluster(t)
	target := newSink(t)
	target.fuzzy.Store(true)
	targets := "  desk: {type: http, url: '" + target.address + "', timeout: 1s, retry: {min: 50ms, max: 500ms}}\n"
	url, database := server.URL(""), server.Address()
	wire := cutable(t, database)
	through := strings.Replace(url, database, wire.Address(), 1)
	b := &balancer{replicas: []*replica{newReplica(t, through, targets), newReplica(t, through, targets)}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); b.send(ctx, 6) }()
	const resets = 30
	for range resets {
		wait(t, 600*time.Millisecond)
		wire.Reset()
	}
	began := time.Now()
	for _, r := range b.replicas {
		r.running.waitReady(t, 15*time.Second)
	}
	recovered := time.Since(began)
	cancel()
	<-done
	n := assertDelivered(t, target, &b.acknowledged, 60*time.Second)
	for _, r := range b.replicas {
		if code := r.running.terminate(t); code != 0 {
			t.Errorf("exit code %d\n%s", code, r.running.output())
		}
	}
	b.replicas[0].audit(t)
	if refused := b.refused.Load(); refused > 0 {
		t.Errorf("%d hooks were refused", refused)
	}
	if n < resets {
		t.Errorf("only %d hooks were acknowledged", n)
	}
	target.count(&b.acknowledged, 0).tell(t, postgresEngine, fmt.Sprintf("all connections to the database reset, %d times", resets), recovered)
}
