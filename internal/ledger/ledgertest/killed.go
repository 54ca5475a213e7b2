// This file is a process that works on a ledger until it is killed, and tells through a pipe what it is about to do and
// what was acknowledged.

package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

// Killed says how the suite starts a process of its own that it can kill: another run of the test binary.
type Killed struct {
	// Test is the name of a test of the engine's package that calls Child and does nothing else.
	Test string
	// Environ are the variables that it needs to open the ledger of folder dir; nil: none.
	Environ func(dir string) []string
}

// ChildVariable is set, to the folder of the ledger, in a process that is going to be killed.
const ChildVariable = "AFTERCHAT_TEST_KILLED_LEDGER"

// roundVariable makes names of one such process different from those of the others on the same ledger.
const roundVariable = "AFTERCHAT_TEST_KILLED_ROUND"

// killedWorkers is how many goroutines of such a process deliver, each to a target of its own.
const killedWorkers = 6

// Child is what the process does that the suite kills. In any other run of the test binary it skips t.
func Child(t *testing.T, open Opener) {
	dir := os.Getenv(ChildVariable)
	if dir == "" {
		t.Skip("runs in the processes that the suite kills")
	}
	var o Options
	keeping(&o)
	engine, round := open(t, dir, o), os.Getenv(roundVariable)
	var all sync.WaitGroup
	for worker := range killedWorkers {
		all.Go(func() {
			w := &victim{engine: engine, name: fmt.Sprintf("%s-%d", round, worker), random: rand.New(rand.NewPCG(rand.Uint64(), 0))}
			for i := 0; ; i++ {
				if err := w.converse(fmt.Sprintf("c%s-%d", w.name, i)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Go(func() { t.Error(keepJournal(engine, round)) })
	all.Go(func() {
		for tick := time.Tick(5 * time.Millisecond); ; <-tick {
			if err := engine.Retain(context.Background(), time.Now()); err != nil {
				t.Error(err)
				return
			}
		}
	})
	all.Wait()
}

// say tells one line. It is short, so the pipe takes it whole.
func say(worker, phase, verb, id string, revision int) {
	_, _ = fmt.Fprintln(os.Stdout, worker, phase, verb, id, revision)
}

// keepJournal quarantines and audits, one after the other.
func keepJournal(engine Engine, round string) error {
	for i := 0; ; i++ {
		id := fmt.Sprintf("%s-%d", round, i)
		say("journal-"+round, "begin", "quarantine", id, 0)
		q, err := engine.Quarantine(context.Background(), ledger.Unreadable{Source: "shop", Raw: []byte(id), Reason: id, ReceivedAt: time.Now()})
		if err != nil {
			return err
		}
		say("journal-"+round, "done", "quarantine", q.ID, 0)
		say("journal-"+round, "begin", "audit", id, 0)
		if err := engine.Audit(context.Background(), ledger.Audited{At: time.Now(), Who: "killed", Action: "test", Object: id}); err != nil {
			return err
		}
		say("journal-"+round, "done", "audit", id, 0)
	}
}

// victim is a worker of the process: it takes one conversation after the other to its target. It is the only one who
// touches them, so what comes of it is known at each moment.
type victim struct {
	engine Engine
	name   string // of the worker and of its target
	random *rand.Rand
	card   card
}

// do says what is done before and after it is.
func (w *victim) do(verb, id string, revision int, act func(context.Context) error) error {
	say(w.name, "begin", verb, id, revision)
	if err := act(context.Background()); err != nil {
		return fmt.Errorf("%s of %s, revision %d: %w", verb, id, revision, err)
	}
	w.card.apply(verb, revision)
	say(w.name, "done", verb, id, revision)
	return nil
}

func (w *victim) accept(id string, revision int) error {
	return w.do("accept", id, revision, func(ctx context.Context) error {
		a, err := w.engine.Accept(ctx, edition(id, revision, w.name))
		if err == nil && a.Revision != revision {
			err = fmt.Errorf("it is revision %d", a.Revision)
		}
		return err
	})
}

// edition is the hook of one revision.
func edition(id string, revision int, target string) ledger.Hook {
	return to(hook(id, revision, fmt.Sprint("edition ", revision)), target)
}

// converse accepts a conversation, and revisions of it, and delivers it in the end, whatever happens on the way.
func (w *victim) converse(id string) error {
	w.card = card{}
	if err := w.accept(id, 1); err != nil {
		return err
	}
	for w.card.State == ledger.Pending || w.card.State == ledger.Dead {
		dice, err := w.random.IntN(12), error(nil)
		switch {
		case dice == 0 && w.card.Revision < 4:
			err = w.accept(id, w.card.Revision+1)
		case w.card.State == ledger.Dead && dice == 1:
			err = w.do("drop", id, w.card.Revision, func(ctx context.Context) error { return w.engine.Drop(ctx, id, w.name, "spam") })
		case w.card.State == ledger.Dead:
			err = w.do("replay", id, w.card.Revision, func(ctx context.Context) error { return w.engine.Replay(ctx, id, w.name) })
		case dice == 1:
			err = w.do("cancel", id, w.card.Revision, func(ctx context.Context) error { return w.engine.Cancel(ctx, id, w.name, "enough") })
		default:
			err = w.attempt(id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// attempt leases the delivery and settles it.
func (w *victim) attempt(id string) error {
	var leased ledger.Delivery
	err := w.do("claim", id, w.card.Revision, func(ctx context.Context) error {
		c, err := w.engine.Claim(ctx, ledger.Claim{Target: w.name, Limit: 3, Lease: lease, Config: "today"})
		if err == nil && (len(c.Deliveries) != 1 || c.Deliveries[0].ID != id) {
			err = errors.New("something else was due")
		}
		if err == nil {
			leased = c.Deliveries[0]
		}
		return err
	})
	if err == nil && w.random.IntN(6) == 0 {
		err = w.accept(id, w.card.Revision+1) // during the attempt
	}
	if err != nil {
		return err
	}
	outcomes := []struct {
		verb string
		how  func(*ledger.Settlement)
	}{{"delivered", delivered}, {"delivered", delivered}, {"dead", dead}, {"again", again}, {"uncertain", uncertain}}
	o := outcomes[w.random.IntN(len(outcomes))]
	return w.do(o.verb, id, leased.Revision, func(ctx context.Context) error {
		_, err := w.engine.Settle(ctx, settlement(leased, o.how))
		return err
	})
}

// card is a delivery as it should be.
type card struct {
	State                    ledger.State
	Revision, Held, Attempts int

	Doubt, Leased bool
}

// apply does to the card what was done to the delivery of a revision.
func (c *card) apply(verb string, revision int) {
	switch verb {
	case "accept":
		c.State, c.Revision, c.Attempts = ledger.Pending, revision, 0
	case "claim":
		c.Leased = true
	case "replay":
		c.State, c.Attempts = ledger.Pending, 0
	case "cancel":
		c.State = ledger.Dead
	case "drop":
		c.State = ledger.Skipped
	default:
		c.settle(verb, revision)
	}
}

// settle ends the lease of an attempt on a revision.
func (c *card) settle(verb string, revision int) {
	c.Leased = false
	current := revision == c.Revision
	if current {
		c.Attempts++
	}
	switch {
	case verb == "delivered":
		c.Held, c.Doubt = revision, false
		if current {
			c.State = ledger.Delivered
		}
	case verb == "uncertain":
		c.Doubt = true
	case verb == "dead" && current:
		c.State = ledger.Dead
	}
}
