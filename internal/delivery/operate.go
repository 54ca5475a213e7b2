// This file is what an operator may ask of a target: to stop, to go on, to be looked at. The runner obeys in its own
// goroutine, between two steps of its work.

package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/ledger"
)

// Errors of an operator's wishes, to be tested with errors.Is.
var (
	// ErrNoTarget means that the configuration in force has no such target.
	ErrNoTarget = errors.New("there is no such target in the configuration")
	// ErrNoCheck means that the connector cannot tell whether its target works.
	ErrNoCheck = errors.New("this type of target cannot be checked")
)

// ErrNotRunning means that the engine has not started or has stopped.
var ErrNotRunning = errors.New("deliveries are not running now; ask again when the gateway has started")

// command is an operator's wish.
type command struct {
	do   func(r *runner) error
	done chan error // has room for the answer
}

// Pause stops deliveries to a target until a person resumes it. What is in flight ends as it does. reason is shown where
// the pause is; who asked for it belongs into it. When Pause returns nil, the pause is in the ledger and other replicas
// follow within seconds.
func (e *Engine) Pause(ctx context.Context, target, reason string) error {
	return e.command(ctx, target, func(r *runner) error {
		return r.byOperator(pausedByOperator(r.state, r.plan.target.Account, oneLine(reason), time.Now()))
	})
}

// Resume ends a pause, whoever began it. A target that is not paused stays as it is.
func (e *Engine) Resume(ctx context.Context, target, reason string) error {
	return e.command(ctx, target, func(r *runner) error {
		if !r.state.Pause.Active() {
			return nil
		}
		r.resume(time.Now(), oneLine(reason))
		return r.byOperator(r.state)
	})
}

// Probe looks at a target now: it returns what its connector's Check says, and has a target that paused itself probed
// at once rather than at its next time. It returns ErrNoCheck if the connector cannot tell.
func (e *Engine) Probe(ctx context.Context, target string) error {
	var t Target
	err := e.command(ctx, target, func(r *runner) error {
		t = r.plan.target
		if p := r.state.Pause; p.Active() && !p.ByOperator && !r.probing.flying {
			r.state.Pause.Until = time.Now()
		}
		return nil
	})
	if err != nil {
		return err
	}
	checker, ok := t.Connector.(connectors.Checker)
	if !ok {
		return fmt.Errorf("target %s: %w", target, ErrNoCheck)
	}
	ctx, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	return safeCheck(ctx, checker)
}

// command has do run by the runner of a target and returns its error, or that of ctx while the runner is busy.
func (e *Engine) command(ctx context.Context, target string, do func(*runner) error) error {
	e.mu.Lock()
	r, running := e.runners[target], e.base
	e.mu.Unlock()
	switch {
	case r == nil:
		return fmt.Errorf("target %s: %w", target, ErrNoTarget)
	case running == nil:
		return ErrNotRunning
	}
	c := command{do: do, done: make(chan error, 1)}
	select {
	case r.commands <- c:
	case <-ctx.Done():
		return ctx.Err()
	case <-running.Done():
		return ErrNotRunning
	}
	select {
	case err := <-c.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// obey runs a command.
func (r *runner) obey(c command) {
	err := c.do(r)
	r.lookAt = time.Time{}
	c.done <- err
}

// byOperator takes over a state of the target that a person wants, and stores it before it says so.
func (r *runner) byOperator(s ledger.TargetState) error {
	r.change(s)
	r.probing = probing{flying: r.probing.flying}
	r.save(time.Now())
	if r.unsaved {
		return errors.New("the ledger cannot store it now; it holds in this process and is stored when the ledger works again")
	}
	if s.Pause.Active() {
		r.log.Warn("delivery.paused", "reason", s.Pause.Reason, "hint", "a person resumes it")
	}
	return nil
}
