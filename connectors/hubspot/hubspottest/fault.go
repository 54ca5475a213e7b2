// This file breaks requests on demand.

package hubspottest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
)

// Fault is what happens to a request in place of a plain answer.
type Fault int

// The faults. Those that reset a connection need a real server.
const (
	None        Fault = iota
	ResetBefore       // the connection breaks before the body is read
	ResetAfter        // it breaks after HubSpot has acted
	CutAfter          // it breaks within the answer
	SlowBefore        // no answer until the client goes away, and HubSpot does not act
	SlowAfter         // the same after it has acted
	TenSecondly       // 429, the limit of 10 seconds
	Secondly          // 429, the limit of a second
	Daily             // 429, the limit of a day
	BareLimit         // 429 in plain text with Retry-After
	Locked            // 423
	Migrating         // 477
	PageBefore        // 500 with an HTML page, without acting
	PageAfter         // 502 with an HTML page after acting
	LateAfter         // 524 without a body after acting
	EmptyAfter        // 200 without a body after acting
	Unwell            // 200 with numErrors and nothing done
)

// Faults lists all but None.
func Faults() []Fault {
	var out []Fault
	for f := None + 1; f <= Unwell; f++ {
		out = append(out, f)
	}
	return out
}

// String names the fault for tables.
func (f Fault) String() string {
	return [...]string{
		"none", "reset before", "reset after", "cut after", "slow before", "slow after", "429 ten-secondly", "429 secondly",
		"429 daily", "429 text", "423 locked", "477 migration", "500 page before", "502 page after", "524 after",
		"200 empty after", "200 with numErrors",
	}[f]
}

type fault struct {
	kind Fault
	at   int // counted down
}

// Break breaks the at-th request from now, or none any more with None.
func (a *Account) Break(at int, f Fault) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fault = fault{kind: f, at: at}
}

// Fired returns how many requests were broken so far.
func (a *Account) Fired() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.fired
}

// Stalled gets a value whenever a slow request begins to wait.
func (a *Account) Stalled() <-chan struct{} { return a.stalled }

// take returns the fault of this request.
func (a *Account) take() Fault {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fault.kind == None {
		return None
	}
	if a.fault.at--; a.fault.at != 0 {
		return None
	}
	a.fired++
	return a.fault.kind
}

// broken serves r with a fault.
func (a *Account) broken(f Fault, w http.ResponseWriter, r *http.Request) {
	switch f {
	case ResetBefore:
		panic(http.ErrAbortHandler)
	case SlowBefore:
		_, _ = io.Copy(io.Discard, r.Body) // else the server does not notice that the client is gone
		a.stall(r)
		return
	case ResetAfter, CutAfter, SlowAfter, PageAfter, LateAfter, EmptyAfter:
		answer := httptest.NewRecorder()
		a.mux.ServeHTTP(answer, r)
		a.after(f, w, r, answer)
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
	limit := func(policy, message string) {
		reply(w, http.StatusTooManyRequests, map[string]any{
			"status": "error", "message": message, "errorType": "RATE_LIMIT", "policyName": policy,
			"correlationId": "c033cdaa-2c40-4a64-ae48-b4cec88dad24",
		})
	}
	switch f {
	case TenSecondly:
		limit("TEN_SECONDLY_ROLLING", "You have reached your ten_secondly_rolling limit.")
	case Secondly:
		limit("SECONDLY", "You have reached your secondly limit.")
	case Daily:
		limit("DAILY", "You have reached your daily limit.")
	case BareLimit:
		w.Header().Set("Retry-After", "30")
		http.Error(w, "Too Many Requests", http.StatusTooManyRequests)
	case Locked:
		(&refusal{status: http.StatusLocked, category: "LOCKED", message: "The resource is locked"}).write(w)
	case Migrating:
		w.Header().Set("Retry-After", "3600")
		(&refusal{status: 477, category: "MIGRATION_IN_PROGRESS", message: "This account is being moved"}).write(w)
	case PageBefore:
		page(w, http.StatusInternalServerError)
	case Unwell:
		reply(w, http.StatusOK, map[string]any{
			"status": "COMPLETE", "results": []any{}, "numErrors": 1, "startedAt": stamp, "completedAt": stamp,
			"errors": []any{map[string]any{"status": "error", "category": "INTERNAL_ERROR", "message": "internal error", "context": map[string]any{}, "errors": []any{}, "links": map[string]any{}}},
		})
	}
}

func (a *Account) after(f Fault, w http.ResponseWriter, r *http.Request, answer *httptest.ResponseRecorder) {
	switch f {
	case ResetAfter:
		panic(http.ErrAbortHandler)
	case SlowAfter:
		a.stall(r)
	case PageAfter:
		page(w, http.StatusBadGateway)
	case LateAfter:
		w.WriteHeader(524)
	case CutAfter:
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", fmt.Sprint(answer.Body.Len()+1))
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes()[:answer.Body.Len()/2])
		panic(http.ErrAbortHandler)
	}
}

func (a *Account) stall(r *http.Request) {
	a.stalled <- struct{}{}
	<-r.Context().Done()
}

func page(w http.ResponseWriter, status int) {
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<!doctype html><title>Sorry</title><h1>Something went wrong</h1>")
}
