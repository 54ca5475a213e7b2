// This file makes one attempt: it renders the record, pushes it, has the result judged, settles it, and writes the one
// line in the log that says all about it.

package delivery

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/pipeline"
)

// work takes one leased delivery from its attempt to its settlement, and clears it: others that were claimed with it lie in
// the same memory, and may take long. It runs in a worker, and returns what the worker tells when it is free again.
func (r *runner) work(ctx context.Context, p *plan, d *ledger.Delivery, probe bool) finished {
	defer func() { *d = ledger.Delivery{} }()
	a := &report{plan: p, delivery: d, probe: probe, ruled: make(chan outcome, 1)}
	var pushes context.Context
	pushes, a.span = r.engine.options.Traces.Attempt(r.pushes, r.name, d.ID, d.Revision, d.Attempt)
	r.attempt(ctx, pushes, a)
	r.reports <- a
	return r.conclude(a, <-a.ruled)
}

// conclude settles an attempt as it was ruled. It is not a part of work, so that the frame of work stays small: below it
// is all that a connector and net/http need, and every delivery would pay for a larger stack.
//
//go:noinline
func (r *runner) conclude(a *report, o outcome) finished {
	settled, err := r.settle(a.delivery, a.result, o)
	r.tell(a, o, settled, err)
	f := finished{probe: a.probe}
	switch {
	case err != nil:
		f.look = a.delivery.LeaseEnd
	case settled.State == ledger.Pending && o.state == ledger.Pending:
		f.look = o.due
	case settled.State == ledger.Pending: // a newer revision came meanwhile
		f.look = a.result.ended
	}
	return f
}

// attempt renders and pushes the delivery of a, and puts the result into it. ctx ends when nothing new may be started; what
// is under way then goes on until pushes ends.
func (r *runner) attempt(ctx, pushes context.Context, a *report) {
	p, d, res := a.plan, a.delivery, &a.result
	res.started = time.Now()
	defer func() {
		res.ended = time.Now()
		res.cut = res.cut || res.err != nil && pushes.Err() != nil
	}()
	switch {
	case ctx.Err() != nil:
		res.cut, res.err = true, &notSentError{errCut}
	case d.Lapsed && d.Resend && mayDuplicate(p.target.Once, p.target.Policy):
		res.err = errInDoubt
	case d.Lapsed && p.target.Once == connectors.OnceLookup:
		res.err = errUnderWay
	default:
		var record connectors.Record
		if record, res.trimmed, res.config, res.err = r.record(pushes, p, d); res.err == nil {
			res.receipt, res.err = push(pushes, p.target, record)
		}
	}
}

// record renders d. trimmed says in words what did not fit the target, config is the hash of what rendered it.
func (r *runner) record(ctx context.Context, p *plan, d *ledger.Delivery) (rec connectors.Record, trimmed []string, config string, err error) {
	defer recovered(&err, false)
	m, err := p.renderer.mapper(ctx, d)
	if err != nil {
		return rec, nil, "", &notSentError{fmt.Errorf("configuration of the delivery: %w", err)}
	}
	config = m.Hash()
	rendered, err := m.Map(&d.Conversation, d.Target, d.Routes)
	if err != nil {
		if _, ok := errors.AsType[*pipeline.MappingError](err); !ok {
			err = &pipeline.MappingError{Route: strings.Join(d.Routes, ", "), Target: d.Target, Err: err}
		}
		return rec, nil, config, err
	}
	object := objectName(d.ID, p.target.ObjectName)
	return connectors.Record{
		Object: object, Request: fmt.Sprintf("%s:%d", object, d.Revision),
		Revision: d.Revision, Attempt: d.Attempt, Uncertain: d.Uncertain, Prior: d.Receipt, Fields: rendered.Fields,
	}, slices.Concat(rendered.Cut, rendered.Dropped), config, nil
}

// push calls the connector within the target's timeout.
func push(ctx context.Context, t Target, rec connectors.Record) (receipt connectors.Receipt, err error) {
	defer recovered(&err, true)
	ctx, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	return t.Connector.Push(ctx, rec)
}

// recovered turns a panic into an error.
func recovered(err *error, pushed bool) {
	if v := recover(); v != nil {
		*err = &panicError{value: v, stack: debug.Stack(), pushed: pushed}
	}
}

// longestObject is how many bytes an Object has at most. The Request adds a colon and a number and stays below 255,
// which is what the header fields and external ids of the known targets take.
const longestObject = 240

// objectName names a conversation at a target, in printable ASCII without spaces. target is its first name ever.
func objectName(id, target string) string {
	name := "afterchat:" + id + ":" + target
	plain := !strings.ContainsFunc(name, func(c rune) bool { return c <= ' ' || c > '~' })
	if plain && len(name) <= longestObject {
		return name
	}
	digest := sha256.Sum256([]byte(id + ":" + target))
	return "afterchat:" + hex.EncodeToString(digest[:])
}

// settle writes the outcome to the ledger. While the ledger fails it tries again until the lease ends, for a success
// that is not written down is sent again.
func (r *runner) settle(d *ledger.Delivery, res result, o outcome) (ledger.Settled, error) {
	s := ledger.Settlement{
		ID: d.ID, Target: d.Target, Revision: d.Revision, Fence: d.Fence, State: o.state, DueAt: o.due,
		Tried: o.tried, Uncertain: o.uncertain, Receipt: res.receipt, FirstAt: o.firstAt,
	}
	if o.kind != kindShutdown || o.tried {
		s.Attempt = &ledger.Attempt{
			At: res.started, Number: d.Attempt, Kind: o.kind, Duration: res.ended.Sub(res.started), Status: o.status,
			Reason: join(o.reason, o.hint), Detail: ledger.Detail{
				Class: classOf(o.kind, o.status, res.err), Config: res.config, Response: response(res.err), Prior: d.Receipt, Uncertain: d.Uncertain,
			},
		}
	}
	for n := 1; ; n++ {
		settled, err := r.engine.options.Ledger.Settle(context.WithoutCancel(r.pushes), s)
		if err == nil || errors.Is(err, ledger.ErrFenced) || errors.Is(err, ledger.ErrNotFound) || errors.Is(err, ledger.ErrClosed) {
			return settled, err
		}
		wait := ledgerWait(n)
		if time.Now().Add(wait).After(d.LeaseEnd) {
			return settled, err
		}
		r.log.Warn("delivery.unsettled", "conversation", d.ID, "revision", d.Revision, "error", err, "next", wait)
		select {
		case <-time.After(wait):
		case <-r.pushes.Done():
			return settled, err
		}
	}
}

// tell counts an attempt, ends its span and logs it in one line, which never holds payload.
func (r *runner) tell(a *report, o outcome, settled ledger.Settled, failed error) {
	d, res := a.delivery, a.result
	m, target := r.engine.options.Metrics, r.name
	if d.Conversation.Platform == chat.OwnPlatform {
		m.OwnAttempt(target, o.kind)
	}
	m.Attempt(target, o.kind, res.ended.Sub(res.started))
	if o.uncertain || d.Lapsed { // d.Lapsed: the attempt before was cut by a crash
		m.Uncertain(target)
	}
	if errors.Is(failed, ledger.ErrFenced) {
		m.Fenced(target)
	}
	if e, ok := errors.AsType[*pipeline.MappingError](res.err); ok {
		m.MappingError(e.Route, target)
	}
	became := o.state
	if failed == nil {
		if became = ended(o.state, settled.State); became != ledger.Pending {
			r.counted(d, became)
		}
	}
	a.span.End(res.ended, o.kind, became.String(), o.status, res.err != nil && o.kind != kindShutdown)

	level := slog.LevelInfo
	switch {
	case became == ledger.Dead || failed != nil:
		level = slog.LevelError
	case res.err != nil && o.kind != kindShutdown:
		level = slog.LevelWarn
	}
	attrs := []slog.Attr{
		slog.String("conversation", d.ID), slog.Int("revision", d.Revision), slog.Int("attempt", d.Attempt),
		slog.String("kind", o.kind), slog.String("outcome", became.String()),
		slog.Int64("ms", res.ended.Sub(res.started).Milliseconds()),
	}
	if o.status != 0 {
		attrs = append(attrs, slog.Int("status", o.status))
	}
	if o.uncertain {
		attrs = append(attrs, slog.Bool("uncertain", true))
	}
	if o.state == ledger.Pending {
		attrs = append(attrs, slog.Time("next", o.due))
	}
	for _, text := range []slog.Attr{slog.String("reason", o.reason), slog.String("hint", o.hint), slog.String("receipt", res.receipt.ID)} {
		if text.Value.String() != "" {
			attrs = append(attrs, text)
		}
	}
	if len(res.trimmed) > 0 {
		attrs = append(attrs, slog.Any("trimmed", res.trimmed))
	}
	if e, ok := errors.AsType[*panicError](res.err); ok {
		attrs = append(attrs, slog.String("stack", string(e.stack)))
	}
	if failed != nil {
		attrs = append(attrs, slog.Any("unsettled", failed))
	}
	r.log.LogAttrs(context.Background(), level, "delivery.attempt", attrs...)
}

// ended returns what became of the revision that was tried, from what was decided and the state of its row. When a
// newer revision has taken the row over, a success stays one, and a dead end is superseded.
func ended(decided, row ledger.State) ledger.State {
	switch {
	case decided == ledger.Delivered:
		return ledger.Delivered
	case decided == ledger.Dead && row == ledger.Pending:
		return ledger.Superseded
	}
	return row
}

// join puts a hint behind a reason.
func join(reason, hint string) string {
	if reason == "" || hint == "" {
		return reason + hint
	}
	return reason + "; " + hint
}
