// This file holds the test of a network that is cut between a replica and the database: nothing comes through, and
// nobody is told.

package cmd_test

import (
	"context"
	"fmt"
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

// TestE2EPostgresNetworkCut cuts the network between one of two replicas and the database for longer than its leases,
// under load, while the target has taken requests of it that are not answered yet. Its hooks are refused in bounded time,
// not kept hanging; what it had leased is delivered by the other one; when the network heals it goes on by itself, and
// what it settles too late is refused.
func TestE2EPostgresNetworkCut(t *testing.T) {
	binary(t)
	server := cluster(t)
	target := newSink(t)
	nearWay, nearAddress := newCounter(t, target)
	farWay, farAddress := newCounter(t, target)
	targets := func(address string) string {
		return "  desk: {type: http, url: '" + address + "', timeout: 1s, workers: 8, retry: {min: 50ms, max: 500ms}}\n"
	}
	url := server.URL("")
	database := server.Address()
	wire := cutable(t, database)
	near, far := newReplica(t, url, targets(nearAddress)), newReplica(t, strings.Replace(url, database, wire.Address(), 1), targets(farAddress))
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
	release := farWay.keep()
	eventually(t, 900*time.Millisecond, func() error { // sooner than the requests time out
		if n := len(farWay.holding()); n < 8 {
			return fmt.Errorf("%d requests are under way, want one of each worker", n)
		}
		return nil
	})
	cut := time.Now()
	wire.Cut()
	held := farWay.holding()
	release()
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
	eventually(t, time.Until(cut.Add(45*time.Second)), func() error {
		for _, key := range held {
			if nearWay.seen(key) == 0 {
				return fmt.Errorf("nobody has taken over %s, which the replica that was cut off holds", key)
			}
		}
		return nil
	})
	taken := time.Since(cut)
	if taken < 25*time.Second {
		t.Errorf("leases were taken over after %s, before their end", taken)
	}
	near.running.waitDrained(t, 20*time.Second)
	healed := time.Now()
	wire.Heal()
	far.running.waitReady(t, 15*time.Second)
	recovered := time.Since(healed)
	eventually(t, 20*time.Second, func() error { // a settlement that gave up before the network healed has changed nothing, either
		if fenced, ended := far.running.fenced(), strings.Count(far.running.output(), " unsettled="); fenced == 0 || ended < len(held) {
			return fmt.Errorf("of %d late settlements %d have ended, %d of them refused", len(held), ended, fenced)
		}
		return nil
	})
	fenced := far.running.fenced()
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
	t.Logf("cut for %s: %d hooks acknowledged, %d refused, the slowest answer after %s; /readyz told after %s; leases were taken over until %s after the cut; ready %s after it healed, %d late settlements refused",
		healed.Sub(cut).Round(time.Second), all, refused.Load(), time.Duration(slowest.Load()).Round(time.Millisecond), told.Round(time.Millisecond),
		taken.Round(time.Second), recovered.Round(time.Millisecond), fenced)
	target.count(&acknowledged, 0).tell(t, postgresEngine,
		fmt.Sprintf("network cut between a replica and the database for %s, %d requests under way, its late settlements refused", healed.Sub(cut).Round(time.Second), len(held)), recovered)
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
