// This file is the world that engine tests run in: the SQLite ledger, a compiled pipeline, a pretend help desk, and
// the clock of a testing/synctest bubble.

package delivery

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/sqlite"
	"github.com/afterchat/afterchat/internal/metrics"
	"github.com/afterchat/afterchat/internal/pipeline"
)

// testPolicy is the policy of targets that a test says nothing of.
var testPolicy = Policy{Min: 5 * time.Second, Max: time.Hour, GiveUpAfter: 72 * time.Hour}

type world struct {
	t       *testing.T
	path    string
	ledger  *sqlite.Ledger
	use     Ledger // what the engine gets; the ledger unless a test puts something between
	metrics *metrics.Metrics
	log     *journal
	engine  *Engine
	setup   Setup
	random  func() float64
	planner *pipeline.Pipeline // routes what is accepted

	heard      atomic.Pointer[Engine] // told by the ledger what is due
	stopEngine func()
}

// run runs a test in a bubble, with an open ledger and no engine yet.
func run(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	path := filepath.Join(t.TempDir(), "afterchat.db")
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, path: path, log: &journal{}, metrics: metrics.New("test", nil), random: func() float64 { return 0.5 }}
		w.open()
		defer func() { // after a Fatal, too: nothing may stay behind in the bubble
			w.stop()
			w.audit()
			w.close()
		}()
		test(t, w)
	})
}

// open opens the ledger.
func (w *world) open() {
	w.t.Helper()
	l, err := sqlite.Open(w.t.Context(), w.path, sqlite.Options{Observer: ledger.Observer{Due: func(target string) {
		if e := w.heard.Load(); e != nil {
			e.Wake(target)
		}
	}}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.ledger, w.use = l, l
}

func (w *world) close() {
	w.t.Helper()
	if err := w.ledger.Close(); err != nil {
		w.t.Error(err)
	}
}

// audit finds what must never be.
func (w *world) audit() {
	w.t.Helper()
	findings, err := w.ledger.Verify(context.Background())
	if err != nil {
		w.t.Error(err)
	}
	for _, f := range findings {
		w.t.Errorf("audit of the ledger: %s %s", f.Target, f.Text)
	}
}

// target returns a target with a client of k.
func target(name string, k *desk) Target {
	return Target{
		Name: name, Connector: client{k}, Once: connectors.OnceKey, Policy: testPolicy, Workers: 4,
		Timeout: 10 * time.Second, Account: "account 1",
	}
}

// definition maps the visitor's name into the body of every target, in front of a mark by which configurations differ.
func definition(mark string, targets ...Target) pipeline.Definition {
	route := pipeline.Route{Name: "everything"}
	defaults := make(map[string]pipeline.Tree)
	for _, t := range targets {
		defaults[t.Name] = pipeline.Mapping{}
		route.To = append(route.To, pipeline.RouteTarget{Target: t.Name, Fields: pipeline.Mapping{
			{Key: "body", Value: mark + "${visitor.name} ${messages[0].text}"},
		}})
	}
	return pipeline.Definition{Routes: []pipeline.Route{route}, Defaults: defaults}
}

// setupOf compiles a definition to a setup, and keeps its snapshot in the ledger as the gateway does.
func (w *world) setupOf(d pipeline.Definition, targets ...Target) Setup {
	w.t.Helper()
	var known []pipeline.Target
	for _, t := range targets {
		known = append(known, pipeline.Target{Name: t.Name, Fields: []connectors.Field{
			{Name: "body", Type: connectors.Text, Doc: "what it says"},
			{Name: "count", Type: connectors.Integer, Doc: "a number"},
		}})
	}
	p, problems := pipeline.Compile(d, known, []string{"shop"})
	for _, problem := range problems {
		w.t.Fatal(problem)
	}
	if err := w.ledger.SaveConfig(w.t.Context(), p.Hash(), p.Snapshot()); err != nil {
		w.t.Fatal(err)
	}
	w.planner = p
	return Setup{Targets: targets, Mapper: p, Open: func(snapshot []byte) (Mapper, error) { return pipeline.Open(snapshot, known) }}
}

// start starts an engine for targets.
func (w *world) start(targets ...Target) {
	w.t.Helper()
	w.startWith(w.setupOf(definition("", targets...), targets...))
}

func (w *world) startWith(s Setup) {
	w.t.Helper()
	w.setup = s
	w.engine = New(Options{
		Setup: s, Ledger: w.use, Logger: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Metrics: w.metrics, Jitter: w.random,
	})
	w.heard.Store(w.engine)
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error)
	go func() { ended <- w.engine.Run(ctx) }()
	w.stopEngine = func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Errorf("Run: %v", err)
		}
	}
	synctest.Wait()
}

// apply reloads.
func (w *world) apply(d pipeline.Definition, targets ...Target) {
	w.t.Helper()
	w.setup = w.setupOf(d, targets...)
	w.engine.Apply(w.setup)
	synctest.Wait()
}

// stop shuts the engine down, if one runs.
func (w *world) stop() {
	if w.stopEngine != nil {
		w.stopEngine()
		w.stopEngine = nil
	}
}

// restart is a shutdown and a start of the whole process with the same setup.
func (w *world) restart() {
	w.t.Helper()
	w.stop()
	w.heard.Store(nil)
	w.close()
	w.open()
	w.startWith(w.setup)
}

// accept stores a conversation of a visitor; texts are its messages.
func (w *world) accept(visitor string, texts ...string) ledger.Acceptance {
	w.t.Helper()
	if len(texts) == 0 {
		texts = []string{"hello"}
	}
	c := chat.Conversation{
		ID: chat.NewID("test", visitor), Source: "shop", Platform: "test", ExternalID: visitor, Outcome: chat.Completed,
		Person: chat.Person{Name: visitor}, ReceivedAt: time.Now(), EndedAt: time.Now(),
	}
	for _, text := range texts {
		c.Messages = append(c.Messages, chat.Message{Role: chat.Visitor, Text: text})
	}
	c.Normalize()
	a, err := w.ledger.Accept(context.Background(), ledger.Hook{
		Raw: fmt.Appendf(nil, "%s %q", visitor, texts), ContentType: "text/plain", Conversation: c,
		Plan: func(id string, revision int) ledger.Plan {
			routed := c
			routed.ID, routed.Revision = id, revision
			matches, err := w.planner.Route(&routed)
			if err != nil {
				w.t.Error(err)
			}
			plan := ledger.Plan{Config: w.planner.Hash()}
			for _, m := range matches {
				plan.Deliveries = append(plan.Deliveries, ledger.PlannedDelivery{Target: m.Target, Routes: m.Routes, Hold: m.Hold})
			}
			return plan
		},
	})
	if err != nil {
		w.t.Fatalf("accept %s: %v", visitor, err)
	}
	return a
}

// pass lets time go by, until everything that falls due in it is done.
func (w *world) pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// settles lets time go by until the target has nothing pending, for at most d.
func (w *world) settles(target string, d time.Duration) {
	w.t.Helper()
	for end := time.Now().Add(d); w.counts(target).Pending > 0; w.pass(time.Second) {
		if time.Now().After(end) {
			w.t.Fatalf("after %s %d deliveries to %s are still pending\n%s", d, w.counts(target).Pending, target, w.log.tail())
		}
	}
}

func (w *world) counts(target string) ledger.Counts {
	w.t.Helper()
	stats, err := w.ledger.Stats(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	c := stats.Targets[target].Counts
	if !c.Balanced() {
		w.t.Fatalf("counts of %s do not balance: %+v", target, c)
	}
	return c
}

// want compares the counts of a target.
func (w *world) want(target string, want ledger.Counts) {
	w.t.Helper()
	want.Accepted = want.Pending + want.Delivered + want.Dead + want.Skipped + want.Superseded
	if got := w.counts(target); got != want {
		w.t.Fatalf("counts of %s are %+v, want %+v\n%s", target, got, want, w.log.tail())
	}
}

// lines returns the attempts of a visitor's conversation at the target help, oldest first.
func (w *world) lines(visitor string) []ledger.Attempt {
	w.t.Helper()
	lines, err := w.ledger.Attempts(context.Background(), chat.NewID("test", visitor), "help")
	if err != nil {
		w.t.Fatal(err)
	}
	slices.SortStableFunc(lines, func(a, b ledger.Attempt) int { return a.At.Compare(b.At) })
	return lines
}

// attempts returns them as "1 temporary, 2 ok".
func (w *world) attempts(visitor string) string {
	w.t.Helper()
	var all []string
	for _, a := range w.lines(visitor) {
		all = append(all, fmt.Sprintf("%d %s", a.Number, a.Kind))
	}
	return strings.Join(all, ", ")
}

// reason returns what the newest of them said.
func (w *world) reason(visitor string) string {
	w.t.Helper()
	lines := w.lines(visitor)
	if len(lines) == 0 {
		w.t.Fatalf("no attempts of %s", visitor)
	}
	return lines[len(lines)-1].Reason
}

// status returns the status of a target.
func (w *world) status(target string) TargetStatus {
	w.t.Helper()
	for _, s := range w.engine.Status() {
		if s.Name == target {
			return s
		}
	}
	w.t.Fatalf("no status of %s", target)
	return TargetStatus{}
}

// tidy fails the test if the desk saw what it must never see.
func (w *world) tidy(k *desk) {
	w.t.Helper()
	for _, c := range k.complaints() {
		w.t.Error("the desk: ", c)
	}
}

// journal is a log that several goroutines write and a test reads.
type journal struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.all.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.all.String()
}

// tail returns the last lines.
func (j *journal) tail() string {
	lines := strings.SplitAfter(j.String(), "\n")
	return strings.Join(lines[max(0, len(lines)-30):], "")
}

// equal compares two values.
func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
