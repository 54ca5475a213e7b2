// This file tests two engines that deliver from one PostgreSQL ledger, as replicas do, by the real clock.

package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/postgres"
	"github.com/afterchat/afterchat/internal/ledger/postgrestest"
	"github.com/afterchat/afterchat/internal/pipeline"
)

// replica is a process: its own connection to the ledger, and its own engine.
type replica struct {
	ledger *postgres.Ledger
	engine *Engine
	pushes *atomic.Int64
}

// counted counts what one replica sends.
type counted struct {
	connectors.Connector
	pushes *atomic.Int64
}

func (c counted) Push(ctx context.Context, rec connectors.Record) (connectors.Receipt, error) {
	c.pushes.Add(1)
	return c.Connector.Push(ctx, rec)
}

// Check is that of the connector.
func (c counted) Check(ctx context.Context) error {
	if checker, ok := c.Connector.(connectors.Checker); ok {
		return checker.Check(ctx)
	}
	return errors.New("nobody knows")
}

// replicas starts two engines for a target on a database of their own.
func replicas(t *testing.T, to Target) (both [2]*replica) {
	t.Helper()
	server, err := postgrestest.Start(t.Context())
	if errors.Is(err, postgrestest.ErrNone) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Remove)
	for i := range both {
		both[i] = startReplica(t, server.URL(""), to)
	}
	return both
}

// startReplica starts one of them.
func startReplica(t *testing.T, url string, to Target) *replica {
	t.Helper()
	r := &replica{pushes: new(atomic.Int64)}
	to.Connector = counted{to.Connector, r.pushes}
	known := []pipeline.Target{{Name: to.Name, Fields: []connectors.Field{{Name: "body", Type: connectors.Text, Doc: "what it says"}}}}
	p, problems := pipeline.Compile(definition("", to), known, []string{"shop"})
	for _, problem := range problems {
		t.Fatal(problem)
	}
	var engine atomic.Pointer[Engine]
	var err error
	r.ledger, err = postgres.Open(t.Context(), url, postgres.Options{Observer: ledger.Observer{Due: func(target string) {
		if e := engine.Load(); e != nil {
			e.Wake(target)
		}
	}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.ledger.SaveConfig(t.Context(), p.Hash(), p.Snapshot()); err != nil {
		t.Fatal(err)
	}
	r.engine = New(Options{
		Setup:  Setup{Targets: []Target{to}, Mapper: p, Open: func(snapshot []byte) (Mapper, error) { return pipeline.Open(snapshot, known) }},
		Ledger: r.ledger, Logger: slog.New(slog.DiscardHandler),
	})
	engine.Store(r.engine)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- r.engine.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, r.ledger.Close()); err != nil {
			t.Error(err)
		}
	})
	return r
}

// accept stores a conversation of a visitor for the target help.
func (r *replica) accept(t *testing.T, visitor string) {
	t.Helper()
	c := chat.Conversation{
		ID: chat.NewID("test", visitor), Source: "shop", Platform: "test", ExternalID: visitor, Outcome: chat.Completed,
		Person: chat.Person{Name: visitor}, ReceivedAt: time.Now(), EndedAt: time.Now(), Messages: []chat.Message{{Role: chat.Visitor, Text: "hello"}},
	}
	c.Normalize()
	_, err := r.ledger.Accept(t.Context(), ledger.Hook{
		Raw: []byte(visitor), ContentType: "text/plain", Conversation: c,
		Plan: func(string, int) ledger.Plan {
			return ledger.Plan{Deliveries: []ledger.PlannedDelivery{{Target: "help", Routes: []string{"everything"}}}}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// delivered waits until so many deliveries have come to their end, and audits.
func (r *replica) delivered(t *testing.T, n int64) {
	t.Helper()
	soon(t, fmt.Sprintf("%d deliveries", n), func() bool {
		s, err := r.ledger.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s.Targets["help"].Counts == ledger.Counts{Accepted: n, Delivered: n}
	})
	findings, err := r.ledger.Verify(t.Context())
	if err != nil || len(findings) > 0 {
		t.Fatalf("the audit found %+v (%v)", findings, err)
	}
}

// soon waits for something.
func soon(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline, tick := time.After(30*time.Second), time.NewTicker(5*time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("after 30 s: no %s", what)
		}
	}
}

func (r *replica) paused() bool { return r.engine.Status()[0].Paused }

// Both replicas deliver, and what they send together stays below the target's rate, over all and in every second.
func TestE2EReplicasRate(t *testing.T) {
	t.Parallel()
	k := &desk{}
	help := target("help", k)
	help.Rate, help.Workers = Rate{Count: 40, Per: time.Second}, 16
	both := replicas(t, help)
	const n = 200
	for i := range n {
		both[i%2].accept(t, fmt.Sprint("visitor ", i))
	}
	both[0].delivered(t, n)
	seen := k.seen()
	// A token that was taken is used some milliseconds later: that is the slack.
	allowed := func(d time.Duration) int { return burst(help.Rate) + int(40*(d+250*time.Millisecond).Seconds()) }
	for i, first := range seen {
		in := 0
		for _, r := range seen[i:] {
			if r.at.Sub(first.at) < time.Second {
				in++
			}
		}
		if in > allowed(time.Second) {
			t.Errorf("%d requests in a second, at most %d are allowed", in, allowed(time.Second))
		}
	}
	took := seen[len(seen)-1].at.Sub(seen[0].at)
	if len(seen) > allowed(took) {
		t.Errorf("%d requests in %s, at most %d are allowed", len(seen), took, allowed(took))
	}
	for i, r := range both {
		if r.pushes.Load() < n/10 {
			t.Errorf("replica %d sent %d of %d", i, r.pushes.Load(), n)
		}
	}
	for _, c := range k.complaints() {
		t.Error("the desk: ", c)
	}
	t.Logf("%d requests in %s, %d and %d by each replica; burst %d", len(seen), took, both[0].pushes.Load(), both[1].pushes.Load(), burst(help.Rate))
}

// What the target denies one replica pauses both, and who resumes at one has both resume.
func TestE2EReplicasPause(t *testing.T) {
	t.Parallel()
	k, denies := denying()
	denies.Store(true)
	both := replicas(t, honest(k, denies))
	both[0].accept(t, "ann")
	finder := 0
	soon(t, "pause", func() bool {
		for i, r := range both {
			if r.pushes.Load() > 0 && r.paused() {
				finder = i
				return true
			}
		}
		return false
	})
	other := both[1-finder]
	soon(t, "pause of the other replica", other.paused)
	if n := other.pushes.Load(); n > 1 { // within stateInterval it may find out for itself
		t.Errorf("the other replica sent %d requests, at most 1 is allowed", n)
	}
	equal(t, "its reason", other.engine.Status()[0].Reason, both[finder].engine.Status()[0].Reason)
	before := len(k.seen())
	for i := range 20 {
		both[i%2].accept(t, fmt.Sprint("bob ", i))
	}
	<-time.After(time.Second)
	equal(t, "requests during the pause", len(k.seen()), before)
	denies.Store(false)
	if err := other.engine.Resume(t.Context(), "help", "the token is new"); err != nil {
		t.Fatal(err)
	}
	soon(t, "end of the pause", func() bool { return !both[0].paused() && !both[1].paused() })
	both[0].delivered(t, 21)
	n := int64(21)
	soon(t, "request of each replica", func() bool { // both work again
		for _, r := range both {
			r.accept(t, fmt.Sprint("eve ", n))
			n++
		}
		return both[finder].pushes.Load() > 2 && other.pushes.Load() > 2
	})
	both[1].delivered(t, n)
	for _, c := range k.complaints() {
		t.Error("the desk: ", c)
	}
}
