// This file decides what one attempt means for its delivery. It is pure: what happened, what is known and what time it
// is come in, a settlement's content comes out.

package delivery

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/pipeline"
)

// The kinds of attempts, as they stand in the ledger, in metrics and in logs. Those of connectors.Kind come besides.
const (
	kindOK        = "ok"
	kindMapping   = "mapping"   // the conversation could not be rendered; nothing was sent
	kindPanic     = "panic"     // the connector panicked
	kindCrash     = "crash"     // claimed again and again without a settle
	kindUncertain = "uncertain" // may have been taken, and nothing at the target could tell
	kindShutdown  = "shutdown"  // cut by a shutdown; not an attempt
)

// result is what one attempt came to.
type result struct {
	receipt        connectors.Receipt
	err            error // nil: the target holds the revision
	started, ended time.Time
	cut            bool     // ended by shutdown
	trimmed        []string // what of the conversation did not fit the target
	config         string   // hash of the configuration that rendered the record; "": none did
}

// errInDoubt is the result of a delivery that is not sent because an earlier attempt may have been taken.
var errInDoubt = errors.New("an earlier attempt may have been taken, and the target cannot tell")

// errUnderWay is the result of a delivery whose last attempt was cut by a crash: the target may still be working on it,
// and a lookup would not find it yet.
var errUnderWay = &connectors.Error{
	Kind: connectors.Temporary, Uncertain: true, Err: errors.New("an attempt was cut by a crash, and the target may still be working on it"),
}

// A notSentError is a failure of our own before anything was sent. It is no attempt.
type notSentError struct{ err error }

func (e *notSentError) Error() string { return e.err.Error() }
func (e *notSentError) Unwrap() error { return e.err }

// A panicError is a recovered panic of a connector or a mapping.
type panicError struct {
	value  any
	stack  []byte
	pushed bool // Push had been called
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// circumstances are what decide needs to know beside the delivery and its result.
type circumstances struct {
	policy   Policy
	once     connectors.Once
	patience time.Duration // how long the target may go on with a request that was cut
	now      time.Time
	paused   time.Duration // how far the target's active clock is behind
	denial   denial        // what a denial means; only looked at for one
	probe    time.Time     // when a paused target is probed next
	random   float64       // in [0, 1)
}

// outcome is what follows from an attempt.
type outcome struct {
	kind      string
	state     ledger.State // Delivered, Pending or Dead
	due       time.Time    // of a Pending one
	tried     bool         // counts as an attempt
	uncertain bool
	firstAt   time.Time     // see ledger.Settlement
	after     time.Duration // that a throttling target asked for
	hold      time.Time     // the whole target sends nothing before; zero: nothing to wait for
	status    int
	reason    string
	hint      string
}

// decide says what follows from res for d.
func decide(d ledger.Delivery, res result, c circumstances) outcome {
	o := describe(res)
	switch {
	case o.kind == kindOK:
		o.state, o.firstAt = ledger.Delivered, firstAt(d, res, c)
	case o.kind == kindMapping || o.kind == kindUncertain:
		o.state = ledger.Dead
	case o.kind == kindShutdown:
		o.due = c.now
	case is[*notSentError](res.err):
		o.due = c.now.Add(backoff(c.policy.Min, c.policy.Max, 1, c.random))
	case o.kind == connectors.Rejected.String():
		o.state = ledger.Dead
	case o.kind == connectors.Denied.String():
		decideDenial(&o, d, c)
	default:
		decideRetry(&o, d, res, c)
	}
	if o.uncertain && mayDuplicate(c.once, c.policy) {
		o.state, o.kind, o.due = ledger.Dead, kindUncertain, time.Time{}
		o.hint = "look at the target for it; replay it if it is not there"
	}
	return o
}

// describe reads the error of an attempt: its kind, whether it counts, whether it may have been taken.
func describe(res result) outcome {
	if res.err == nil {
		return outcome{kind: kindOK, tried: true}
	}
	o := outcome{tried: true, reason: oneLine(res.err.Error())}
	switch crash, crashed := errors.AsType[*panicError](res.err); {
	case crashed:
		o.kind, o.uncertain = kindPanic, crash.pushed
		o.hint = "the log of the gateway has the stack; please report it"
	case is[*pipeline.MappingError](res.err):
		o.kind, o.tried = kindMapping, false
		o.hint = "correct the mapping, then replay the delivery"
	case errors.Is(res.err, errInDoubt):
		o.kind, o.tried = kindUncertain, false
		o.hint = "look at the target for it; replay it if it is not there"
	case is[*notSentError](res.err):
		o.kind, o.tried = connectors.Temporary.String(), false
	default:
		e := connectors.Classify(res.err)
		o.kind, o.uncertain, o.status, o.hint = e.Kind.String(), e.Uncertain, e.Status, e.Hint
		if e.Kind == connectors.Throttled {
			// The target did not look at the record, so its backoff is left alone.
			o.after, o.tried = e.After, e.Uncertain
		}
	}
	if res.cut {
		o.kind, o.tried = kindShutdown, o.uncertain
	}
	return o
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// decideDenial handles a target that takes nothing. A denial alone never kills a delivery, nor starts its clock.
func decideDenial(o *outcome, d ledger.Delivery, c circumstances) {
	o.state = ledger.Pending
	switch c.denial {
	case denialRejects:
		o.state, o.kind = ledger.Dead, connectors.Rejected.String()
		o.reason = "denied twice although the target takes others: " + o.reason
	case denialProbe:
		o.due = c.probe // behind everything that waits, so that the next probe takes another record
	case denialPauses, denialRetryNow:
		o.due = c.now
	case denialRetry:
		o.due = c.now.Add(backoff(c.policy.Min, c.policy.Max, d.Attempt, c.random))
	}
	if o.state == ledger.Pending {
		o.firstAt = d.FirstAt
	}
}

// decideRetry handles what may pass later: temporary and throttled failures, and panics.
func decideRetry(o *outcome, d ledger.Delivery, res result, c circumstances) {
	o.firstAt = firstAt(d, res, c)
	wait := backoff(c.policy.Min, c.policy.Max, d.Attempt, c.random)
	if o.kind == connectors.Throttled.String() {
		if o.after <= 0 { // the target did not say how long
			o.after = max(c.policy.Min, retryFloor)
		}
		o.hold = res.ended.Add(o.after)
		wait = o.hold.Sub(c.now)
	}
	if o.uncertain && c.once == connectors.OnceLookup {
		wait = max(wait, c.patience) // what is looked for must have arrived
	}
	o.state, o.due = ledger.Pending, c.now.Add(wait)
	if c.policy.GiveUpAfter <= 0 {
		return
	}
	left := c.policy.GiveUpAfter - c.now.Add(-c.paused).Sub(o.firstAt)
	switch {
	case left <= 0:
		o.state, o.due = ledger.Dead, time.Time{}
		o.reason = fmt.Sprintf("gave up after %s: %s", c.policy.GiveUpAfter, o.reason)
		if o.hint == "" {
			o.hint = "replay it once the target works again"
		}
	case o.hold.IsZero() && wait > left:
		o.due = c.now.Add(left) // one last attempt when the time is up
	}
}

// firstAt returns when the first attempt of the revision was made, on the target's active clock.
func firstAt(d ledger.Delivery, res result, c circumstances) time.Time {
	if !d.FirstAt.IsZero() {
		return d.FirstAt
	}
	return res.started.Add(-c.paused)
}

// mayDuplicate tells whether sending again what may have been taken is forbidden.
func mayDuplicate(once connectors.Once, p Policy) bool {
	return once == connectors.OnceNone && p.OnUncertain == OnUncertainDead
}

// longestReason is how many bytes of a failure's text are kept.
const longestReason = 2048

// oneLine makes text fit for a log line and a cell: no control characters, at most longestReason bytes.
func oneLine(text string) string {
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "�"), func(r rune) bool {
		return r < ' ' || r == 0x7f
	}), " ")
	if len(text) <= longestReason {
		return text
	}
	cut := longestReason
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}
