// Package ledgertest is the suite that every ledger engine passes: what the record types of package ledger promise,
// checked from outside. It uses the real clock and never waits: a lease of no length has ended at once, retention is
// told what time it is.
//
// This file declares what an engine is and how a case talks to it.
package ledgertest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
)

// Engine is what an engine offers. The comments of package ledgers' types are its protocol.
type Engine interface {
	Operator
	Accept(ctx context.Context, h ledger.Hook) (ledger.Acceptance, error)
	Quarantine(ctx context.Context, u ledger.Unreadable) (ledger.Quarantined, error)
	Claim(ctx context.Context, c ledger.Claim) (ledger.Claimed, error)
	Settle(ctx context.Context, s ledger.Settlement) (ledger.Settled, error)
	Replay(ctx context.Context, id, target string) error
	SaveConfig(ctx context.Context, hash string, snapshot []byte) error
	Config(ctx context.Context, hash string) ([]byte, error)
	TargetState(ctx context.Context, name string) (ledger.TargetState, error)
	SaveTargetState(ctx context.Context, name string, s ledger.TargetState) error
	Rename(ctx context.Context, r ledger.Renames) error
	Conversation(ctx context.Context, id string) (chat.Conversation, error)
	Raw(ctx context.Context, id string, revision int) (body []byte, contentType string, err error)
	Attempts(ctx context.Context, id, target string) ([]ledger.Attempt, error)
	Unreadable(ctx context.Context, id string) (ledger.Unreadable, error)
	Stats(ctx context.Context) (ledger.Stats, error)
	Retain(ctx context.Context, now time.Time) error
	Verify(ctx context.Context) ([]ledger.Finding, error)
	Ready(ctx context.Context) error
	Close() error
}

// Options are what a case asks of an engine.
type Options struct {
	Retention ledger.Retention
	Observer  ledger.Observer
}

// Opener opens the engine that lives in folder dir, an empty one at first. It fails t if it cannot; the suite closes.
type Opener func(t testing.TB, dir string, o Options) Engine

// Suite is an engine under test.
type Suite struct {
	Open Opener
	// Lapse ends the time of all leases in the ledger of folder dir, for an engine that several processes share: opening
	// it says nothing of the workers of others. nil: opening makes the leases of an earlier run void at once.
	Lapse func(t testing.TB, dir string)
	// Shared: several may be open in one folder at once, as replicas are.
	Shared bool
	// Killed says how a process is started that works on the ledger until it is killed.
	Killed Killed
}

// Run runs the whole suite.
func Run(t *testing.T, s Suite) {
	groups := map[string]map[string]func(*desk){
		"accept": acceptCases, "session": sessionCases, "claim": claimCases, "settle": settleCases, "revise": reviseCases,
		"keep": keepCases, "list": listCases, "search": searchCases, "operate": operateCases, "retain": retainCases, "rename": renameCases,
	}
	for group, cases := range groups {
		t.Run(group, func(t *testing.T) {
			for name, run := range cases {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					d := newDesk(t, s, Options{})
					run(d)
					d.close()
				})
			}
		})
	}
	t.Run("fresh", func(t *testing.T) { runFresh(t, s) })
	t.Run("at once", func(t *testing.T) { runAtOnce(t, s) })
	t.Run("killed", func(t *testing.T) { runCrash(t, s) })
	t.Run("model", func(t *testing.T) { runModel(t, s) })
}

// desk is an engine under test with the words that cases use. Whatever goes wrong unasked fails the test.
type desk struct {
	testing.TB
	suite  Suite
	dir    string
	opts   Options
	engine Engine
}

func newDesk(t testing.TB, s Suite, o Options) *desk {
	d := &desk{TB: t, suite: s, dir: t.TempDir(), opts: o}
	d.start()
	return d
}

// start opens the engine, after what every worker of before had leased has come to its end.
func (d *desk) start() {
	d.Helper()
	d.engine = d.suite.Open(d, d.dir, d.opts)
	if d.suite.Lapse != nil {
		d.suite.Lapse(d, d.dir)
	}
}

// reopen closes the engine and opens it again, with other options perhaps.
func (d *desk) reopen(change ...func(*Options)) {
	d.Helper()
	d.close()
	for _, c := range change {
		c(&d.opts)
	}
	d.start()
}

// close audits the ledger, too.
func (d *desk) close() {
	d.Helper()
	d.audit()
	d.must(d.engine.Close())
}

func (d *desk) audit() {
	d.Helper()
	findings, err := d.engine.Verify(d.Context())
	d.must(err)
	if len(findings) > 0 {
		d.Fatalf("the audit found %+v", findings)
	}
}

func (d *desk) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

func (d *desk) equal(what string, got, want any) {
	d.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		d.Fatalf("%s (-want +got):\n%s", what, diff)
	}
}

// start is when the conversations of the suite began.
var start = time.Date(2026, 3, 14, 15, 9, 26, 535e6, time.UTC)

// hook is a hook of conversation id that ended minutes after start, with these messages. Its body is its content; see
// variants to change that.
func hook(id string, ended int, messages ...string) ledger.Hook {
	c := chat.Conversation{ID: id, Source: "shop", Platform: "smartsupp", ExternalID: "x" + id, Outcome: chat.Completed, StartedAt: start}
	if ended >= 0 {
		c.EndedAt = start.Add(time.Duration(ended) * time.Minute)
	}
	for i, text := range messages {
		c.Messages = append(c.Messages, chat.Message{At: start.Add(time.Duration(i) * time.Second), Role: chat.Visitor, Text: text})
	}
	c.Normalize()
	return ledger.Hook{
		Raw: fmt.Appendf(nil, "%s %d %q", id, ended, messages), ContentType: "application/json", Conversation: c,
		Plan: func(string, int) ledger.Plan { return ledger.Plan{} },
	}
}

// to plans the hook for targets.
func to(h ledger.Hook, targets ...string) ledger.Hook {
	var p ledger.Plan
	p.Config = "accepted-under"
	for _, target := range targets {
		p.Deliveries = append(p.Deliveries, ledger.PlannedDelivery{Target: target, Routes: []string{"all"}})
	}
	h.Plan = func(string, int) ledger.Plan { return p }
	return h
}

// planned changes each planned delivery of a hook.
func planned(h ledger.Hook, change func(*ledger.PlannedDelivery)) ledger.Hook {
	p := h.Plan("", 0)
	p.Deliveries = slices.Clone(p.Deliveries)
	for i := range p.Deliveries {
		change(&p.Deliveries[i])
	}
	h.Plan = func(string, int) ledger.Plan { return p }
	return h
}

func ignoring(p *ledger.PlannedDelivery) { p.IgnoreUpdates = true }

func holding(d time.Duration) func(*ledger.PlannedDelivery) {
	return func(p *ledger.PlannedDelivery) { p.Hold = d }
}

// accept stores a hook and checks what it turned out to be.
func (d *desk) accept(h ledger.Hook, result ledger.Result, revision int) ledger.Acceptance {
	d.Helper()
	a, err := d.engine.Accept(d.Context(), h)
	d.must(err)
	if a.Result != result || a.Revision != revision {
		d.Fatalf("the hook is %s, revision %d; want %s, revision %d", a.Result, a.Revision, result, revision)
	}
	return a
}

// lease is longer than any test.
const lease = time.Hour

func (d *desk) claimAll(target string, length time.Duration) ledger.Claimed {
	d.Helper()
	c, err := d.engine.Claim(d.Context(), ledger.Claim{Target: target, Limit: 100, Lease: length, Config: "today"})
	d.must(err)
	return c
}

// claim leases the one delivery that is due.
func (d *desk) claim(target string) ledger.Delivery {
	d.Helper()
	return d.one(d.claimAll(target, lease))
}

// lapse leases the one delivery that is due at help, for no time.
func (d *desk) lapse() ledger.Delivery {
	d.Helper()
	return d.one(d.claimAll("help", 0))
}

func (d *desk) one(c ledger.Claimed) ledger.Delivery {
	d.Helper()
	if len(c.Deliveries) != 1 || len(c.Crashed) != 0 {
		d.Fatalf("%d deliveries and %d crashed ones were claimed, want one delivery", len(c.Deliveries), len(c.Crashed))
	}
	return c.Deliveries[0]
}

// nothing checks that nothing is due and returns when something will be.
func (d *desk) nothing(target string) time.Time {
	d.Helper()
	c := d.claimAll(target, lease)
	if len(c.Deliveries)+len(c.Crashed) > 0 {
		d.Fatalf("claimed %+v, want nothing", c)
	}
	return c.Next
}

// outcomes of an attempt.
func delivered(s *ledger.Settlement) {
	s.State, s.Receipt = ledger.Delivered, connectors.Receipt{ID: "t" + s.ID}
}
func dead(s *ledger.Settlement)      { s.State = ledger.Dead }
func again(s *ledger.Settlement)     { s.DueAt = time.Now() }
func later(s *ledger.Settlement)     { s.DueAt = time.Now().Add(time.Hour) }
func uncertain(s *ledger.Settlement) { s.Uncertain, s.DueAt = true, time.Now() }
func untried(s *ledger.Settlement)   { s.Tried, s.DueAt = false, time.Now() }

func settlement(c ledger.Delivery, outcomes ...func(*ledger.Settlement)) ledger.Settlement {
	s := ledger.Settlement{ID: c.ID, Target: c.Target, Revision: c.Revision, Fence: c.Fence, Tried: true}
	for _, o := range outcomes {
		o(&s)
	}
	return s
}

// settle ends a lease and checks the state that the row is in then.
func (d *desk) settle(c ledger.Delivery, state ledger.State, outcomes ...func(*ledger.Settlement)) {
	d.Helper()
	got, err := d.engine.Settle(d.Context(), settlement(c, outcomes...))
	d.must(err)
	if got.State != state {
		d.Fatalf("the delivery is %s after the settle, want %s", got.State, state)
	}
}

func (d *desk) stats() ledger.Stats {
	d.Helper()
	s, err := d.engine.Stats(d.Context())
	d.must(err)
	return s
}

// counts checks the counters of target.
func (d *desk) counts(target string, want ledger.Counts) {
	d.Helper()
	d.equal("counters of "+target, d.stats().Targets[target].Counts, want)
}
