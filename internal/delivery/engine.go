// Package delivery takes what the ledger holds for each target to that target: workers per target, leases, pauses, and
// the decision what a failed attempt means. It keeps nothing that a restart could lose: every decision ends in a
// settlement in the ledger.
//
// This file declares the engine: what it needs, what a target is, and how targets come and go while it runs.
package delivery

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/metrics"
	"github.com/afterchat/afterchat/internal/pipeline"
	"github.com/afterchat/afterchat/internal/trace"
)

// Ledger is what the engine needs of a ledger. When Settle or SaveTargetState returns nil, it is on disk.
type Ledger interface {
	// Claim leases due deliveries of one target to the caller, until they are settled or the lease ends.
	Claim(ctx context.Context, c ledger.Claim) (ledger.Claimed, error)
	// Settle ends a lease. It returns ledger.ErrFenced when the lease has gone to somebody else.
	Settle(ctx context.Context, s ledger.Settlement) (ledger.Settled, error)
	// TargetState returns the zero value for a target that the ledger does not know yet.
	TargetState(ctx context.Context, name string) (ledger.TargetState, error)
	SaveTargetState(ctx context.Context, name string, s ledger.TargetState) error
	// Config returns the snapshot of an earlier configuration, or ledger.ErrNotFound.
	Config(ctx context.Context, hash string) ([]byte, error)
}

// Mapper renders a conversation for a target. *pipeline.Pipeline is one. It is called from several goroutines.
type Mapper interface {
	Hash() string
	// Has tells whether all these routes still name the target.
	Has(target string, routes []string) bool
	// Map returns a *pipeline.MappingError when the conversation does not fit.
	Map(c *chat.Conversation, target string, routes []string) (pipeline.Rendered, error)
}

// Setup is the part of the engine that a reload replaces, all of it at once.
type Setup struct {
	Targets []Target
	Mapper  Mapper // of today's configuration
	// Open makes a Mapper of the snapshot of an earlier configuration, with the declared fields of today.
	Open func(snapshot []byte) (Mapper, error)
}

// Target is one target, ready to be delivered to.
type Target struct {
	Name string
	// ObjectName stands in the Object of every record, so it stays what it was when the target is renamed.
	// "" means Name.
	ObjectName string
	Connector  connectors.Connector // a connectors.Checker too, if it can tell whether the target works
	Once       connectors.Once
	Policy     Policy
	Workers    int           // attempts at once; 0 means 1
	Timeout    time.Duration // of one attempt, and of one Check; 0 means 30 s
	Rate       Rate
	// Account is a fingerprint of the settings. When it changes, a pause and a wait asked for by the target end.
	Account string
}

// Policy says what follows a failed attempt. Its zero value never gives up.
type Policy struct {
	Min time.Duration // ceiling of the first wait; 0 means 5 s
	Max time.Duration // ceiling of any wait; 0 means 1 h, and less than Min means Min
	// GiveUpAfter is how long after its first attempt a delivery is dead. Time that the target was paused does not
	// count. 0 means never.
	GiveUpAfter time.Duration
	// OnUncertain is what follows an attempt that may have been taken when nothing at the target holds "one object":
	// OnUncertainDead, or anything else to send again.
	OnUncertain string
}

// OnUncertainDead is the value of Policy.OnUncertain that rather loses a record visibly than sends it twice.
const OnUncertainDead = "dead"

// Rate is most attempts per time, shared by all workers of a target. The zero value is no limit.
type Rate struct {
	Count int
	Per   time.Duration
}

// Options are what an Engine is made of.
type Options struct {
	Setup
	Ledger  Ledger
	Logger  *slog.Logger     // nil: no log
	Metrics *metrics.Metrics // nil: no metrics
	Traces  *trace.Traces    // nil: no traces
	// Grace is how long attempts in flight may go on after Run's context has ended; 0 means 10 s.
	Grace time.Duration
	// Jitter returns numbers in [0, 1) for the spread of retries; nil means math/rand. It is called from several
	// goroutines.
	Jitter func() float64
}

// TargetStatus is what the engine knows of a target now.
type TargetStatus struct {
	Name        string
	Paused      bool
	Since       time.Time // of the pause
	NextProbe   time.Time // of the paused target; zero when only a person resumes it
	Reason      string    // of the pause; "" without one
	ByOperator  bool      // a person paused it, and resumes it
	HeldUntil   time.Time // the target asked for no more until then; zero: it did not
	InFlight    int
	LastSuccess time.Time // zero: none since the start
	LastFailure time.Time
	LastError   string // what the failure said
	// WaitsUntil is until when something that is not the engine's to change keeps what is due waiting, or kept it: a pause,
	// the target's rate, its wish for no more. A delivery that has been due for long since then is overdue. While the
	// target is paused it says nothing.
	WaitsUntil time.Time
	Attempts   Durations
	Rate       RateUse
}

// OverdueSince says since when a delivery that fell due at due could have been tried; zero if it could not, or there is
// none.
func (s TargetStatus) OverdueSince(due, now time.Time) time.Time {
	since := due
	if s.WaitsUntil.After(since) {
		since = s.WaitsUntil
	}
	if due.IsZero() || s.Paused || since.After(now) {
		return time.Time{}
	}
	return since
}

// Engine delivers. It is made by New; Run starts it.
type Engine struct {
	options Options

	mu      sync.Mutex
	base    context.Context // ends the claims; nil unless Run is running
	pushes  context.Context // ends the attempts in flight
	runners map[string]*runner
	order   []string // names of the targets as configured
	running sync.WaitGroup
}

// errCut is the cause of the end of an attempt that outlived the grace of a shutdown.
var errCut = errors.New("the gateway is shutting down")

// New makes an Engine. It does no I/O and starts nothing.
func New(o Options) *Engine {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Grace == 0 {
		o.Grace = 10 * time.Second
	}
	if o.Jitter == nil {
		o.Jitter = jitter
	}
	e := &Engine{options: o, runners: make(map[string]*runner)}
	e.Apply(o.Setup)
	return e
}

// Run delivers until ctx ends. Then it claims nothing more, gives the attempts in flight their grace, cuts the rest,
// settles all of them, and returns nil. An attempt that was cut does not count as one. It is called once.
func (e *Engine) Run(ctx context.Context) error {
	pushes, cut := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cut(nil)

	e.mu.Lock()
	e.base, e.pushes = ctx, pushes
	for _, r := range e.runners {
		e.start(r)
	}
	e.mu.Unlock()

	<-ctx.Done()
	grace := time.AfterFunc(e.options.Grace, func() { cut(errCut) })
	defer grace.Stop()

	e.mu.Lock() // from here on Apply starts nothing
	e.base = nil
	e.mu.Unlock()
	e.running.Wait()
	return nil
}

// Apply replaces targets and mapping. Attempts in flight end under the setup that they began with. The pending
// deliveries of a target that is gone stay in the ledger. A target whose Account changed leaves its pause.
func (e *Engine) Apply(s Setup) {
	e.mu.Lock()
	defer e.mu.Unlock()
	renderer := newRenderer(e.options.Ledger, s)
	order := make([]string, 0, len(s.Targets))
	for _, t := range s.Targets {
		order = append(order, t.Name)
		p := &plan{target: t.withDefaults(), renderer: renderer}
		if r, ok := e.runners[t.Name]; ok {
			r.replace(p)
			continue
		}
		r := newRunner(e, t.Name, p)
		e.runners[t.Name] = r
		e.start(r)
	}
	for name, r := range e.runners {
		if !slices.Contains(order, name) {
			r.retire()
			delete(e.runners, name)
		}
	}
	e.order = order
}

// start runs r if the engine runs. The caller holds e.mu.
func (e *Engine) start(r *runner) {
	if e.base == nil {
		return
	}
	ctx, cancel := context.WithCancel(e.base)
	r.pushes, r.cancel = e.pushes, cancel
	e.running.Go(func() {
		defer cancel()
		r.run(ctx)
	})
}

// Wake tells that a delivery of target has fallen due. It returns at once and fits ledger.Observer.Due. A lost call
// delays a delivery by the watch interval at most, see watchInterval.
func (e *Engine) Wake(target string) {
	e.mu.Lock()
	r := e.runners[target]
	e.mu.Unlock()
	if r != nil {
		r.poke()
	}
}

// Status returns what the engine knows of each target, in the order of the configuration.
func (e *Engine) Status() []TargetStatus {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]TargetStatus, 0, len(e.order))
	for _, name := range e.order {
		all = append(all, e.runners[name].status())
	}
	return all
}

func (t Target) withDefaults() Target {
	t.ObjectName = cmp.Or(t.ObjectName, t.Name)
	t.Workers = max(t.Workers, 1)
	t.Timeout = cmp.Or(t.Timeout, 30*time.Second)
	t.Policy.Min = cmp.Or(t.Policy.Min, 5*time.Second)
	t.Policy.Max = cmp.Or(t.Policy.Max, time.Hour)
	return t
}

// lease is how long a claim lasts: the attempt, a Check after it, and time to settle.
func (t Target) lease() time.Duration { return 2*t.Timeout + leaseMargin }

const leaseMargin = 30 * time.Second
