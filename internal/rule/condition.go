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
		return nil, []Problem{{Offset: at, Length: 2, Text: "when: is already an expression, leave out ${ }"}}
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
