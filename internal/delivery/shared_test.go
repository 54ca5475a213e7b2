// This file tests two engines that deliver from one ledger, as replicas do.

package delivery

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
	"github.com/afterchat/afterchat/internal/ledger/sqlite"
)

// sharedLedger is a ledger with the buckets that replicas share.
type sharedLedger struct {
	*sqlite.Ledger

	mu      sync.Mutex
	buckets map[string]*row.Bucket
}

func (l *sharedLedger) Take(_ context.Context, target string, r ledger.Rate, n int) (int, time.Duration, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now().UnixMicro()
	if l.buckets[target] == nil {
		l.buckets[target] = &row.Bucket{Tokens: float64(r.Burst), FilledAt: now}
	}
	granted, wait := l.buckets[target].Take(r, n, now)
	return granted, wait, nil
}

// replicate starts a second engine beside that of w. Nobody tells it what is due.
func (w *world) replicate() *Engine {
	w.t.Helper()
	second := New(Options{Setup: w.setup, Ledger: w.use, Logger: slog.New(slog.NewTextHandler(w.log, nil)), Jitter: w.random})
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error)
	go func() { ended <- second.Run(ctx) }()
	first := w.stopEngine
	w.stopEngine = func() {
		first()
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("Run: %v", err)
		}
	}
	synctest.Wait()
	return second
}

// TestReplicasShareTheRate: two engines together stay below 1.2 times the rate, and reach nine tenths of it.
func TestReplicasShareTheRate(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k := &desk{}
		w.use = &sharedLedger{Ledger: w.ledger, buckets: map[string]*row.Bucket{}}
		help := target("help", k)
		help.Rate = Rate{Count: 60, Per: time.Minute}
		w.start(help)
		second := w.replicate()
		for i := range 240 {
			w.accept(fmt.Sprint("visitor ", i))
		}
		second.Wake("help")
		began := time.Now()
		w.settles("help", 5*time.Minute)
		equal(t, "in less than 270 s", time.Since(began) < 270*time.Second, true)
		for minute := range 4 {
			from := began.Add(time.Duration(minute) * time.Minute)
			n := 0
			for _, r := range k.seen() {
				if !r.at.Before(from) && r.at.Before(from.Add(time.Minute)) {
					n++
				}
			}
			if n > 72 {
				t.Errorf("%d requests in minute %d, at most 72 are allowed", n, minute)
			}
		}
		w.tidy(k)
	})
}

// TestReplicasShareThePause: what one engine finds out, the other one follows.
func TestReplicasShareThePause(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k, denies := denying()
		denies.Store(true)
		w.use = &sharedLedger{Ledger: w.ledger, buckets: map[string]*row.Bucket{}}
		w.start(honest(k, denies))
		second := w.replicate()
		w.accept("visitor")
		w.pass(time.Second)
		equal(t, "paused", w.status("help").Paused, true)
		w.pass(stateInterval)
		equal(t, "paused at the second, too", second.Status()[0].Paused, true)
		denies.Store(false)
		w.settles("help", 20*time.Minute)
		w.pass(stateInterval)
		equal(t, "paused at the end", w.status("help").Paused || second.Status()[0].Paused, false)
		w.want("help", ledger.Counts{Delivered: 1})
		w.tidy(k)
	})
}

// TestReplicasLookByThemselves: a delivery that nobody told of is found all the same.
func TestReplicasLookByThemselves(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k := &desk{}
		w.use = &sharedLedger{Ledger: w.ledger, buckets: map[string]*row.Bucket{}}
		w.start(target("help", k))
		w.heard.Store(nil)
		w.accept("visitor")
		w.pass(stateInterval + time.Second)
		w.want("help", ledger.Counts{Delivered: 1})
	})
}
