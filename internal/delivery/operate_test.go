// This file tests what an operator may ask of a target, and what is kept of a failure for one.

package delivery

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/pipeline"
)

// TestPauseByOperator: nothing is sent until a person says so, whatever happens meanwhile, and paused time is not lost.
func TestPauseByOperator(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k := new(desk)
		w.start(target("help", k))
		if err := w.engine.Pause(t.Context(), "help", "ann: maintenance\nat the desk"); err != nil {
			t.Fatal(err)
		}
		w.accept("ann")
		w.pass(100 * time.Hour)
		s := w.status("help")
		equal(t, "requests", len(k.seen()), 0)
		equal(t, "paused", s.Paused && s.ByOperator && s.NextProbe.IsZero(), true)
		equal(t, "reason", s.Reason, "ann: maintenance at the desk")
		changed := target("help", k)
		changed.Account = "account 2"
		w.apply(definition("", changed), changed)
		w.pass(time.Minute)
		equal(t, "requests after the settings changed", len(k.seen()), 0)
		w.restart()
		w.pass(time.Minute)
		equal(t, "requests after a restart", len(k.seen()), 0)
		if err := w.engine.Resume(t.Context(), "help", "by ann"); err != nil {
			t.Fatal(err)
		}
		w.settles("help", time.Second)
		w.want("help", ledger.Counts{Delivered: 1})
		equal(t, "paused", w.status("help").Paused, false)
		if err := w.engine.Resume(t.Context(), "help", "by ann"); err != nil {
			t.Errorf("resuming what runs: %v", err)
		}
		if err := w.engine.Pause(t.Context(), "desk", ""); !errors.Is(err, ErrNoTarget) {
			t.Errorf("pausing what is not there: %v", err)
		}
		w.stop()
		if err := w.engine.Pause(t.Context(), "help", ""); !errors.Is(err, ErrNotRunning) {
			t.Errorf("pausing after the stop: %v", err)
		}
	})
}

// TestPauseIsStored: an operator is not told that it is paused while that may be forgotten.
func TestPauseIsStored(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k, fails := new(desk), new(atomic.Bool)
		w.use = brokenState{w.ledger, fails}
		w.start(target("help", k))
		fails.Store(true)
		if err := w.engine.Pause(t.Context(), "help", "ann"); err == nil || !strings.Contains(err.Error(), "ledger") {
			t.Errorf("a pause that is not stored: %v", err)
		}
		w.accept("ann")
		w.pass(time.Hour)
		fails.Store(false)
		w.pass(time.Hour)
		equal(t, "requests", len(k.seen()), 0)
		w.restart()
		equal(t, "paused after a restart", w.status("help").ByOperator, true)
	})
}

// brokenState is a ledger that cannot store the state of targets while fails is set.
type brokenState struct {
	Ledger
	fails *atomic.Bool
}

func (b brokenState) SaveTargetState(ctx context.Context, name string, s ledger.TargetState) error {
	if b.fails.Load() {
		return errDisk
	}
	return b.Ledger.SaveTargetState(ctx, name, s)
}

// TestProbe: a target that paused itself is looked at when an operator asks, not at its next time.
func TestProbe(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k, denies := denying()
		denies.Store(true)
		w.start(honest(k, denies), target("plain", new(desk)))
		w.accept("ann")
		w.pass(24 * time.Hour)
		equal(t, "paused", w.status("help").Paused, true)
		if err := w.engine.Probe(t.Context(), "help"); err == nil || connectors.Classify(err).Kind != connectors.Denied {
			t.Errorf("a probe while it denies: %v", err)
		}
		w.pass(time.Second)
		equal(t, "paused after a probe in vain", w.status("help").Paused, true)
		denies.Store(false)
		if err := w.engine.Probe(t.Context(), "help"); err != nil {
			t.Errorf("a probe when it takes again: %v", err)
		}
		w.pass(time.Second)
		w.want("help", ledger.Counts{Delivered: 1})
		equal(t, "paused", w.status("help").Paused, false)
		if err := w.engine.Probe(t.Context(), "plain"); !errors.Is(err, ErrNoCheck) {
			t.Errorf("a target without a check: %v", err)
		}
	})
}

func TestClass(t *testing.T) {
	t.Parallel()
	refused := &connectors.Error{Kind: connectors.Rejected, Status: 422, Cause: "RecordInvalid  custom_fields", Err: errors.New("no")}
	for want, c := range map[string]struct {
		kind   string
		status int
		err    error
	}{
		"": {kind: kindOK},
		"rejected 422 RecordInvalid custom_fields": {kind: "rejected", status: 422, err: refused},
		"denied 401":            {kind: "denied", status: 401, err: &connectors.Error{Kind: connectors.Denied, Err: errors.New("no")}},
		"temporary":             {kind: "temporary", err: errors.New("odd")},
		"mapping custom_fields": {kind: kindMapping, err: &pipeline.MappingError{Field: "custom_fields", Err: errors.New("no")}},
		"panic":                 {kind: kindPanic, err: &panicError{value: "x"}},
	} {
		equal(t, "class", classOf(c.kind, c.status, c.err), want)
	}
	long := classOf("rejected", 400, &connectors.Error{Cause: strings.Repeat("á", 100)})
	if len(long) > longestClass || !strings.HasPrefix(long, "rejected 400 áá") || !strings.HasSuffix(long, "á") {
		t.Errorf("a long class: %q", long)
	}
}

// TestWhatIsKeptOfAFailure: the class, what the target answered, and the configuration that rendered the record.
func TestWhatIsKeptOfAFailure(t *testing.T) {
	run(t, func(t *testing.T, w *world) {
		k := &desk{behave: func(request) fault { return fault{status: http.StatusUnprocessableEntity} }}
		var got ledger.Detail
		w.use = overheard{w.ledger, func(s ledger.Settlement) { got = s.Attempt.Detail }}
		w.start(target("help", k))
		w.accept("ann")
		w.pass(time.Second)
		w.want("help", ledger.Counts{Dead: 1})
		equal(t, "class", got.Class, "rejected 422")
		equal(t, "configuration", got.Config, w.planner.Hash())
	})
}

// overheard is a ledger that tells of settlements.
type overheard struct {
	Ledger
	hear func(ledger.Settlement)
}

func (o overheard) Settle(ctx context.Context, s ledger.Settlement) (ledger.Settled, error) {
	o.hear(s)
	return o.Ledger.Settle(ctx, s)
}
