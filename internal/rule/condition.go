// Package rule is the language of routes: conditions and templates with ${ } in them, evaluated against a conversation.
// Its syntax is a subset of expr's; names, types, functions and what is absent are its own, see README.md.
//
// Sources are parsed by expr, then checked and built by this package, never optimized and never run by expr's machine:
// absent values, three-valued logic and the bounds on steps and text hold by construction. Everything here is pure:
// a compiled condition or template is safe for concurrent use, does no I/O but to load a time zone, and does not change
// the conversation.
//
// This file compiles and evaluates conditions: bare boolean expressions.
package rule

import (
	"github.com/afterchat/afterchat/internal/chat"
)

// Condition is a compiled condition. It is safe for concurrent use.
type Condition struct {
	program *program
	terms   *branch
}

// CompileCondition compiles the boolean expression of when:. The condition is nil if there are problems.
func CompileCondition(src string, s Scope) (*Condition, []Problem) {
	if at := findDollarBrace(src); at >= 0 {
		return nil, []Problem{{Offset: at, Length: 2, Text: "when: is already an expression", Hint: "leave out ${ }"}}
	}
	p, root, problems := compile(src, s)
	if problems != nil {
		return nil, problems
	}
	if !p.shape.takes(Boolean) || p.null {
		r := &report{src: src}
		r.span(0, len(src), boolHint(p.shape), "expected bool, but got "+p.word())
		return nil, r.problems
	}
	return &Condition{program: p, terms: branches(src, root, p, s)}, nil
}

// Match tells whether the condition holds. One that is absent does not. The only error is ErrTooCostly.
func (c *Condition) Match(conversation *chat.Conversation) (bool, error) {
	r := newRun(conversation)
	v := r.exec(c.program)
	return v == true, r.err()
}
