// This file lets everything fail at random.

package delivery

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
)

// chaos draws what goes wrong. The desk calls it from several goroutines.
type chaos struct {
	mu     sync.Mutex
	rand   *rand.Rand
	over   bool
	denied time.Time // the desk denies everything until then
}

func (c *chaos) n(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rand.IntN(n)
}

func (c *chaos) denies() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.over && time.Now().Before(c.denied)
}

func (c *chaos) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
}

func (c *chaos) fault(request) fault {
	if c.denies() {
		return fault{status: http.StatusUnauthorized}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	f := fault{slow: time.Duration(c.rand.IntN(3000)) * time.Millisecond}
	if c.over {
		return f
	}
	switch c.rand.IntN(20) {
	case 0:
		f.refused = true
	case 1:
		f.status = http.StatusInternalServerError
	case 2:
		f.status, f.after = http.StatusTooManyRequests, time.Duration(c.rand.IntN(60))*time.Second
	case 3:
		f.status = http.StatusUnprocessableEntity
	case 4:
		f.status = http.StatusForbidden
	case 5, 6:
		f.lost = true
	case 7:
		f.hang = true
	case 8:
		f.panics = true
	case 9:
		f.slow = time.Minute // beyond the timeout, so nothing is done
	case 10:
		if c.rand.IntN(10) == 0 {
			c.denied = time.Now().Add(time.Duration(c.rand.IntN(3600)) * time.Second)
		}
	}
	return f
}

// TestWhateverFails: with random faults, revisions, reloads, restarts and crashed workers, every conversation is at the
// desk once in the end, in its newest revision; the books balance at every look; no key is used for two bodies; no
// object is pushed twice at once.
func TestWhateverFails(t *testing.T) {
	seeds := 12
	if testing.Short() {
		seeds = 4
	}
	for seed := range seeds {
		for _, withCheck := range []bool{false, true} {
			t.Run(fmt.Sprintf("seed %d check %v", seed, withCheck), func(t *testing.T) {
				run(t, func(t *testing.T, w *world) { whateverFails(t, w, uint64(seed), withCheck) })
			})
		}
	}
}

func whateverFails(t *testing.T, w *world, seed uint64, withCheck bool) {
	c := &chaos{rand: rand.New(rand.NewPCG(seed, 1))}
	k := &desk{upsert: true, behave: c.fault}
	help := target("help", k)
	if withCheck {
		help.Connector = checkedClient{client{k}, func() error {
			if c.denies() {
				return &connectors.Error{Kind: connectors.Denied, Err: errors.New("denied")}
			}
			return nil
		}}
	}
	w.random = func() float64 { return float64(c.n(1000)) / 1000 }
	w.startWith(w.setupOf(definition("mark 0 ", help), help))

	texts := make(map[string][]string)
	for step := range 120 {
		switch c.n(12) {
		case 0, 1, 2, 3:
			name := fmt.Sprint("visitor ", len(texts))
			texts[name] = []string{fmt.Sprint("text ", step)}
			w.accept(name, texts[name]...)
		case 4, 5:
			if len(texts) == 0 {
				break
			}
			name := fmt.Sprint("visitor ", c.n(len(texts)))
			texts[name] = append([]string{fmt.Sprint("text ", step)}, texts[name]...)
			w.accept(name, texts[name]...)
		case 6:
			w.apply(definition(fmt.Sprintf("mark %d ", step), help), help)
		case 7:
			if c.n(4) == 0 {
				w.restart()
			}
		case 8:
			w.crashedWorker(time.Duration(c.n(60)) * time.Second)
		default:
			w.pass(time.Duration(c.n(30_000)) * time.Millisecond)
		}
		w.counts("help") // which must balance
	}

	c.end()
	for round := 0; ; round++ {
		counts := w.counts("help")
		if counts.Pending == 0 && counts.Dead == 0 {
			break
		}
		if round == 48 {
			t.Fatalf("after two days without faults: %+v\n%s", counts, w.log.tail())
		}
		for name := range texts {
			err := w.ledger.Replay(t.Context(), chat.NewID("test", name), "help")
			if err != nil && !errors.Is(err, ledger.ErrNotFound) {
				t.Fatal(err)
			}
		}
		w.pass(time.Hour)
	}
	w.tidy(k)
	held := k.held()
	equal(t, "tickets", len(held), len(texts))
	for name, revisions := range texts {
		n := 0
		for _, body := range held {
			if strings.HasSuffix(body, name+" "+revisions[0]) {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%d tickets hold the newest revision of %s, %q; all tickets: %q", n, name, revisions[0], held)
		}
	}
}

// crashedWorker leases a delivery as a process would that then crashes.
func (w *world) crashedWorker(lease time.Duration) {
	w.t.Helper()
	_, err := w.ledger.Claim(w.t.Context(), ledger.Claim{Target: "help", Limit: 1, Lease: lease, Config: w.planner.Hash()})
	if err != nil {
		w.t.Fatal(err)
	}
}
