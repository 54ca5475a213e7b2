// This file holds what a claim does that waits for something to fall due.

package sqlite

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
)

// waiting is a ledger in a bubble, and a count of its commits.
type waiting struct {
	*Ledger
	t *testing.T

	mu      sync.Mutex
	commits int
	due     []string
}

func inBubble(t *testing.T, test func(t *testing.T, w *waiting)) {
	t.Helper()
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	synctest.Test(t, func(t *testing.T) {
		w := &waiting{t: t}
		l, err := Open(t.Context(), path, Options{Patience: 4 * time.Millisecond, Observer: ledger.Observer{
			Committed: func(time.Duration, int) {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.commits++
			},
			Due: func(target string) {
				w.mu.Lock()
				defer w.mu.Unlock()
				w.due = append(w.due, target)
			},
		}})
		if err != nil {
			t.Fatal(err)
		}
		w.Ledger = l
		defer func() {
			if err := l.Close(); err != nil && !errors.Is(err, ledger.ErrClosed) {
				t.Error(err)
			}
		}()
		test(t, w)
	})
}

// taken returns what was told since it was asked last.
func (w *waiting) taken() (commits int, due []string) {
	synctest.Wait() // who waits for a commit is answered before others are told
	w.mu.Lock()
	defer w.mu.Unlock()
	commits, due = w.commits, w.due
	w.commits, w.due = 0, nil
	return commits, due
}

func (w *waiting) accept(id string, hold time.Duration) {
	w.t.Helper()
	_, err := w.Accept(w.t.Context(), ledger.Hook{
		Raw: []byte(id), Conversation: chat.Conversation{ID: id, Source: "shop", Platform: "smartsupp", ReceivedAt: time.Now()},
		Plan: func(string, int) ledger.Plan {
			return ledger.Plan{Config: "today", Deliveries: []ledger.PlannedDelivery{{Target: "help", Routes: []string{"all"}, Hold: hold}}}
		},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// answer is what a claim came to, and after how long.
type answer struct {
	ids   []string
	err   error
	after time.Duration
	all   []ledger.Delivery
}

func (w *waiting) claim(ctx context.Context, limit int, wait time.Duration) <-chan answer {
	answers, begin := make(chan answer, 1), time.Now()
	go func() {
		got, err := w.Claim(ctx, ledger.Claim{Target: "help", Limit: limit, Lease: time.Hour, Config: "today", Wait: wait})
		a := answer{err: err, after: time.Since(begin), all: got.Deliveries}
		for _, d := range got.Deliveries {
			a.ids = append(a.ids, d.ID)
		}
		answers <- a
	}()
	synctest.Wait()
	return answers
}

func (a answer) want(t *testing.T, after time.Duration, ids ...string) {
	t.Helper()
	if a.err != nil || len(a.ids) != len(ids) || a.after != after {
		t.Fatalf("claimed %v after %s, %v; want %v after %s", a.ids, a.after, a.err, ids, after)
	}
	for i := range ids {
		if a.ids[i] != ids[i] {
			t.Fatalf("claimed %v, want %v", a.ids, ids)
		}
	}
}

// TestClaimWaits: what is accepted is leased in the same transaction, and nobody needs to be told that it is due.
func TestClaimWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, w *waiting) {
		claimed := w.claim(t.Context(), 4, time.Minute)
		pass(10 * time.Second)
		w.taken()
		w.accept("c1", 0)
		a := <-claimed
		a.want(t, 10*time.Second, "c1")
		if commits, due := w.taken(); commits != 1 || len(due) > 0 {
			t.Errorf("%d commits, told that %q are due; want one commit and nobody told", commits, due)
		}
		if c := a.all[0].Conversation; c.Source != "shop" || a.all[0].Attempt != 1 || a.all[0].Uncertain {
			t.Errorf("leased %+v", a.all[0])
		}
		w.accept("c2", 0)
		if _, due := w.taken(); len(due) != 1 {
			t.Errorf("told that %q are due while nobody waits", due)
		}
		(<-w.claim(t.Context(), 4, time.Minute)).want(t, 0, "c2")
	})
}

// TestClaimWaitsForATime: a delivery that is held, and the end of a lease.
func TestClaimWaitsForATime(t *testing.T) {
	inBubble(t, func(t *testing.T, w *waiting) {
		claimed := w.claim(t.Context(), 4, time.Hour)
		w.accept("c1", 10*time.Minute)
		(<-claimed).want(t, 10*time.Minute) // to claim again
		(<-w.claim(t.Context(), 4, time.Hour)).want(t, 0, "c1")
		(<-w.claim(t.Context(), 4, 5*time.Minute)).want(t, 5*time.Minute)
	})
}

// TestClaimIsCalledBack: nothing is leased to somebody who has gone.
func TestClaimIsCalledBack(t *testing.T) {
	inBubble(t, func(t *testing.T, w *waiting) {
		ctx, cancel := context.WithCancel(t.Context())
		claimed := w.claim(ctx, 4, time.Hour)
		pass(time.Second)
		cancel()
		(<-claimed).want(t, time.Second)
		ctx, cancel = context.WithCancel(t.Context())
		claimed = w.claim(ctx, 4, time.Hour)
		go cancel()
		w.accept("c1", 0)
		if a := <-claimed; len(a.ids) == 0 { // whoever was first
			(<-w.claim(t.Context(), 4, time.Hour)).want(t, 0, "c1")
		}
	})
}

// TestClaimsWaitTogether: each delivery goes to one of several who wait, and a claim gets no more than it asked for.
func TestClaimsWaitTogether(t *testing.T) {
	inBubble(t, func(t *testing.T, w *waiting) {
		one, two := w.claim(t.Context(), 1, time.Hour), w.claim(t.Context(), 1, time.Hour)
		w.accept("c1", 0)
		(<-one).want(t, 0, "c1")
		w.accept("c2", 0)
		(<-two).want(t, 0, "c2")
	})
}

// TestClaimWaitsUntilTheEnd: closing the ledger answers it.
func TestClaimWaitsUntilTheEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, w *waiting) {
		claimed := w.claim(t.Context(), 1, time.Hour)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if a := <-claimed; !errors.Is(a.err, ledger.ErrClosed) {
			t.Errorf("answered %v", a.err)
		}
	})
}

// TestClaimWaitsThroughAFailure: a transaction that fails leases nothing, and the claim goes on waiting.
func TestClaimWaitsThroughAFailure(t *testing.T) {
	inBubble(t, func(t *testing.T, w *waiting) {
		claimed := w.claim(t.Context(), 1, time.Hour)
		err := w.write(t.Context(), func(t *tx) error {
			t.wake("help")
			return t.exec(`INSERT INTO counter VALUES ('x', 1, 0, 0, 0, 0, 0, 0)`) // out of balance
		})
		if err == nil {
			t.Error("books out of balance were kept")
		}
		pass(time.Second)
		w.accept("c1", 0)
		(<-claimed).want(t, time.Second, "c1")
	})
}

// TestSettlementWaitsForCompany: alone it waits a moment; whoever is in a hurry takes it along at once.
func TestSettlementWaitsForCompany(t *testing.T) {
	inBubble(t, func(t *testing.T, w *waiting) {
		settle := func(d ledger.Delivery) <-chan time.Duration {
			took, begin := make(chan time.Duration, 1), time.Now()
			go func() {
				_, err := w.Settle(t.Context(), ledger.Settlement{ID: d.ID, Target: d.Target, Revision: 1, Fence: d.Fence, State: ledger.Delivered, Tried: true})
				if err != nil {
					t.Error(err)
				}
				took <- time.Since(begin)
			}()
			synctest.Wait()
			return took
		}
		for _, id := range []string{"c1", "c2"} {
			w.accept(id, 0)
		}
		got := (<-w.claim(t.Context(), 4, 0)).all
		if took := <-settle(got[0]); took != w.options.Patience {
			t.Errorf("alone it takes %s, want %s", took, w.options.Patience)
		}
		w.taken()
		settled := settle(got[1])
		pass(time.Millisecond)
		w.accept("c3", 0)
		if took := <-settled; took != time.Millisecond {
			t.Errorf("with a hook it takes %s, want %s", took, time.Millisecond)
		}
		if commits, _ := w.taken(); commits != 1 {
			t.Errorf("%d commits, want one for both", commits)
		}
	})
}

// pass lets time go by.
func pass(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}
