// This file is how the API says what went wrong: RFC 9457.

package console

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/afterchat/afterchat/internal/ledger"
)

// Problem is the body of every answer of the API that is not a success.
type Problem struct {
	Title    string    `json:"title" doc:"of the status"`
	Status   int       `json:"status"`
	Detail   string    `json:"detail,omitempty" doc:"what is wrong"`
	Hint     string    `json:"hint,omitempty" doc:"what can be done about it"`
	Mistakes []Mistake `json:"mistakes,omitempty" doc:"in a text that was sent"`
}

// Mistake is a mistake in a text of a configuration.
type Mistake struct {
	Line   int    `json:"line" doc:"from 1"`
	Column int    `json:"column" doc:"from 1, in characters"`
	Width  int    `json:"width,omitempty" doc:"characters that are meant"`
	Text   string `json:"text" doc:"what is wrong"`
	Hint   string `json:"hint,omitempty" doc:"how it would be right"`
	Source string `json:"source,omitempty" doc:"the line"`
}

// MistakesError is returned by functions of Options that read a text somebody has sent.
type MistakesError struct {
	What     string // the routes, the condition
	Mistakes []Mistake
}

func (e *MistakesError) Error() string { return "there are mistakes in " + e.What }

// InputError is a mistake of whoever asks.
type InputError struct{ Text, Hint string }

func (e *InputError) Error() string { return e.Text }

// UnreadableError means that no decoder could read a hook.
type UnreadableError struct{ Reason, Hint string }

func (e *UnreadableError) Error() string { return e.Reason }

// UnavailableError means that something cannot be done by this process now.
type UnavailableError struct{ Text, Hint string }

func (e *UnavailableError) Error() string { return e.Text }

// errNoGateway is returned for what needs a running gateway.
var errNoGateway = &UnavailableError{"no gateway runs here", "start it with afterchat serve, and ask it"}

// problemOf is what an error says to whoever asked. known is false for one that is ours and belongs into the log.
func problemOf(err error) (p Problem, known bool) {
	say := func(status int, detail, hint string) (Problem, bool) {
		return Problem{Title: http.StatusText(status), Status: status, Detail: detail, Hint: hint}, true
	}
	if q, ok := errors.AsType[*QueryError](err); ok {
		return say(http.StatusBadRequest, q.Text, q.Hint)
	}
	if i, ok := errors.AsType[*InputError](err); ok {
		return say(http.StatusBadRequest, i.Text, i.Hint)
	}
	if m, ok := errors.AsType[*MistakesError](err); ok {
		p, _ := say(http.StatusUnprocessableEntity, m.Error(), "")
		p.Mistakes = m.Mistakes
		return p, true
	}
	if u, ok := errors.AsType[*UnreadableError](err); ok {
		return say(http.StatusUnprocessableEntity, u.Reason, u.Hint)
	}
	if u, ok := errors.AsType[*UnavailableError](err); ok {
		return say(http.StatusServiceUnavailable, u.Text, u.Hint)
	}
	if r, ok := errors.AsType[*refusal](err); ok {
		return say(r.status, r.detail, r.hint)
	}
	if e, ok := errors.AsType[*echo.HTTPError](err); ok {
		return say(e.Code, "", "")
	}
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		return say(http.StatusNotFound, "it is not in the ledger", "retention may have taken it")
	case errors.Is(err, ledger.ErrCursor):
		return say(http.StatusBadRequest, "this is not a cursor of this list", "begin without one")
	case errors.Is(err, ledger.ErrState):
		return say(http.StatusConflict, err.Error(), "look at its state; while an attempt is under way nothing can be done to it")
	case errors.Is(err, ledger.ErrFull):
		return say(http.StatusInsufficientStorage, "the ledger is full", "raise ledger.retention.max_size, or make room on the disk")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return say(http.StatusServiceUnavailable, "it took too long", "ask for less, or again")
	}
	p, _ = say(http.StatusInternalServerError, "the gateway could not do this", "its log says why")
	return p, false
}
