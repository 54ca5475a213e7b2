// This file decides which targets get a conversation.

package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/afterchat/afterchat/internal/chat"
)

// RouteError is a condition that could not be evaluated. It is never "no match": its deliveries wait where a person sees
// them.
type RouteError struct {
	Route string
	Err   error
}

func (e *RouteError) Error() string { return fmt.Sprintf("route %q: %v", e.Route, e.Err) }

// Unwrap returns the cause.
func (e *RouteError) Unwrap() error { return e.Err }

// verdict is why a route matches or not.
type verdict string

const (
	matched   verdict = "matched"
	otherFrom verdict = "from"  // the source is not in from:
	notWhen   verdict = "when"  // the condition does not hold
	noContent verdict = "empty" // nobody wrote anything, and the route does not take that
	afterStop verdict = "final" // a final route above it matched
	failed    verdict = "error" // the condition could not be evaluated
)

// undecided stands before the name of a route in Match.Routes when its condition could not be evaluated. Map evaluates
// it again, so the delivery is dead until the condition is mended, and then a replay does what it says.
const undecided = "undecided: "

// Route returns the deliveries that a conversation makes, one for each target, in the order in which matching routes
// first name them. None is a conversation that matches nothing. The error joins a *RouteError for each route that could
// not be decided; its deliveries are among those returned, and Map refuses them.
func (p *Pipeline) Route(c *chat.Conversation) ([]Match, error) {
	var matches []Match
	var failures []error
	empty := isEmpty(c)
	for _, r := range p.routes {
		if r.Alert {
			continue
		}
		v, err := r.judge(c, empty)
		switch {
		case err != nil:
			failures = append(failures, &RouteError{Route: r.Name, Err: err})
			matches = p.add(matches, r, undecided+r.Name)
		case v == matched:
			matches = p.add(matches, r, r.Name)
		}
		if v == matched && r.Final {
			break
		}
	}
	return matches, errors.Join(failures...)
}

// settle returns routes without the mark of undecided ones, which are evaluated now. An error is a *MappingError.
func (p *Pipeline) settle(c *chat.Conversation, target string, routes []string) ([]string, error) {
	settled := slices.Clone(routes)
	for i, marked := range routes {
		name, found := strings.CutPrefix(marked, undecided)
		at := slices.IndexFunc(p.routes, func(r *route) bool { return r.Name == name })
		if !found || at < 0 {
			continue
		}
		settled[i] = name
		switch v, err := p.routes[at].judge(c, isEmpty(c)); {
		case err != nil:
			return nil, &MappingError{Target: target, Route: name, Err: err}
		case v != matched:
			return nil, &MappingError{Target: target, Route: name, Err: ErrNoMatch}
		}
	}
	return settled, nil
}

func (p *Pipeline) add(matches []Match, r *route, name string) []Match {
	for _, to := range r.to {
		i := slices.IndexFunc(matches, func(m Match) bool { return m.Target == to.target })
		if i < 0 {
			i = len(matches)
			m := Match{Target: to.target}
			if t, ok := p.targets[to.target]; ok {
				m.IgnoreUpdates = t.IgnoreUpdates
			}
			matches = append(matches, m)
		}
		matches[i].Routes = append(matches[i].Routes, name)
		matches[i].Hold = max(matches[i].Hold, r.Hold)
	}
	return matches
}

// judge tells whether a route matches, apart from final routes above it.
func (r *route) judge(c *chat.Conversation, empty bool) (verdict, error) {
	if len(r.From) > 0 && !slices.Contains(r.From, c.Source) {
		return otherFrom, nil
	}
	if empty && !r.Empty {
		return noContent, nil
	}
	if len(r.problems) > 0 {
		return failed, r.problems[0]
	}
	if r.when == nil {
		return matched, nil
	}
	ok, err := r.when.Match(c)
	switch {
	case err != nil:
		return failed, err
	case !ok:
		return notWhen, nil
	}
	return matched, nil
}

// isEmpty tells whether nobody wrote anything: no question, no comment beside the rating, and no message with a text
// or a file but those of the system.
func isEmpty(c *chat.Conversation) bool {
	return c.Question == "" && c.RatingComment == "" && !slices.ContainsFunc(c.Messages, func(m chat.Message) bool {
		return m.Role != chat.System && (m.Text != "" || len(m.Files) > 0)
	})
}

// Has tells whether the target exists and every one of these routes names it, so that Map can render with them.
func (p *Pipeline) Has(target string, routes []string) bool {
	if _, ok := p.targets[target]; !ok {
		return false
	}
	for _, name := range routes {
		if p.part(target, name) == nil {
			return false
		}
	}
	return true
}

// part returns what a route says of a target, nil if it does not name it.
func (p *Pipeline) part(target, name string) *routeTarget {
	name = strings.TrimPrefix(name, undecided)
	for _, r := range p.routes {
		if r.Name != name {
			continue
		}
		for _, to := range r.to {
			if to.target == target {
				return to
			}
		}
	}
	return nil
}
