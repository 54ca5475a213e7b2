// This file is a pretend help desk, and the connector to it.

package delivery

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/afterchat/afterchat/connectors"
)

// desk keeps tickets. It remembers idempotency keys unless it is forgetful, and refuses another body under one.
type desk struct {
	forgetful bool
	upsert    bool // one ticket for an object, whatever the key
	// behave says what goes wrong with a request; nil: nothing ever does.
	behave func(request) fault

	mu       sync.Mutex
	tickets  []*ticket
	keys     map[string]string // idempotency key to body
	requests []request
	busy     map[string]bool // objects that are being worked on now
	broken   []string        // what a connector must never do
}

type ticket struct {
	id, object, body string
	bodies           []string // all revisions
}

// request is a request as the desk saw it.
type request struct {
	at          time.Time
	object, key string
	body        string
	attempt     int
	update      string // id of the ticket; "": create
	uncertain   bool
}

// fault is what goes wrong.
type fault struct {
	refused bool // the connection is refused; nothing arrives
	status  int  // instead of doing anything
	after   time.Duration
	slow    time.Duration // before anything is done
	hang    bool          // after it is done, no answer ever comes
	lost    bool          // after it is done, the connection breaks
	panics  bool
}

var errReset = errors.New("connection reset by peer")

// RoundTrip carries a request to the desk without a network.
func (k *desk) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	in := request{
		at: time.Now(), object: r.Header.Get("X-Object"), key: r.Header.Get("Idempotency-Key"), body: string(body),
		uncertain: r.Header.Get("X-Uncertain") == "true",
	}
	in.attempt, _ = strconv.Atoi(r.Header.Get("X-Attempt"))
	if r.Method == http.MethodPut {
		in.update = strings.TrimPrefix(r.URL.Path, "/tickets/")
	}
	var f fault
	if k.behave != nil {
		f = k.behave(in)
	}
	if f.refused {
		return nil, &connectors.Error{Kind: connectors.Temporary, Err: errors.New("connection refused")}
	}
	defer k.enter(in)()
	if f.slow > 0 {
		select {
		case <-time.After(f.slow):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	answer := httptest.NewRecorder()
	if f.status != 0 {
		if f.after > 0 {
			answer.Header().Set("Retry-After", strconv.Itoa(int(f.after.Seconds())))
		}
		answer.WriteHeader(f.status)
	} else {
		k.serve(answer, in)
	}
	switch {
	case f.panics:
		panic("the connector has a bug")
	case f.lost:
		return nil, errReset
	case f.hang:
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return answer.Result(), nil
}

// enter notes a request, and until the returned function is called, that its object is being worked on.
func (k *desk) enter(in request) func() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.requests = append(k.requests, in)
	if k.busy == nil {
		k.busy = make(map[string]bool)
	}
	if k.busy[in.object] {
		k.broken = append(k.broken, "two requests at once for "+in.object)
	}
	k.busy[in.object] = true
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.busy, in.object)
	}
}

func (k *desk) serve(w http.ResponseWriter, in request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if before, seen := k.keys[in.key]; seen && !k.forgetful {
		if before != in.body {
			k.broken = append(k.broken, fmt.Sprintf("key %s came with %q and %q", in.key, before, in.body))
		}
		for _, t := range k.tickets {
			if t.object == in.object {
				k.answer(w, t)
				return
			}
		}
	}
	if k.keys == nil {
		k.keys = make(map[string]string)
	}
	k.keys[in.key] = in.body
	for _, t := range k.tickets {
		if in.update == t.id || k.upsert && in.object == t.object {
			t.body = in.body
			t.bodies = append(t.bodies, in.body)
			k.answer(w, t)
			return
		}
	}
	t := &ticket{id: strconv.Itoa(len(k.tickets) + 1), object: in.object, body: in.body, bodies: []string{in.body}}
	k.tickets = append(k.tickets, t)
	k.answer(w, t)
}

func (*desk) answer(w http.ResponseWriter, t *ticket) {
	_ = json.NewEncoder(w).Encode(connectors.Receipt{ID: t.id, URL: "https://desk.example/" + t.id})
}

// seen returns a copy of all requests.
func (k *desk) seen() []request {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.requests)
}

// held returns the bodies of all tickets, sorted.
func (k *desk) held() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var bodies []string
	for _, t := range k.tickets {
		bodies = append(bodies, t.body)
	}
	slices.Sort(bodies)
	return bodies
}

// complaints returns what a connector must never do and did, and every object that has two tickets.
func (k *desk) complaints() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := slices.Clone(k.broken)
	objects := make(map[string]bool)
	for _, t := range k.tickets {
		if objects[t.object] {
			all = append(all, "two tickets for "+t.object)
		}
		objects[t.object] = true
	}
	return all
}

// client is a connector to a desk.
type client struct{ transport http.RoundTripper }

// Push implements connectors.Connector.
func (c client) Push(ctx context.Context, rec connectors.Record) (connectors.Receipt, error) {
	method, url := http.MethodPost, "https://desk.example/tickets"
	if rec.Prior.ID != "" {
		method, url = http.MethodPut, url+"/"+rec.Prior.ID
	}
	body, _ := rec.Fields["body"].(string)
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewBufferString(body))
	if err != nil {
		return connectors.Receipt{}, err
	}
	req.Header.Set("Idempotency-Key", rec.Request)
	req.Header.Set("X-Object", rec.Object)
	req.Header.Set("X-Attempt", strconv.Itoa(rec.Attempt))
	req.Header.Set("X-Uncertain", strconv.FormatBool(rec.Uncertain))
	res, err := c.transport.RoundTrip(req)
	if err != nil {
		return connectors.Receipt{}, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode == http.StatusOK {
		var receipt connectors.Receipt
		return receipt, json.NewDecoder(res.Body).Decode(&receipt)
	}
	e := &connectors.Error{Status: res.StatusCode, Hint: "ask the desk", Err: fmt.Errorf("the desk answered %d", res.StatusCode)}
	switch code := res.StatusCode; {
	case code == http.StatusTooManyRequests:
		seconds, _ := strconv.Atoi(res.Header.Get("Retry-After"))
		e.Kind, e.After = connectors.Throttled, time.Duration(seconds)*time.Second
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		e.Kind = connectors.Denied
	case code < 500:
		e.Kind = connectors.Rejected
	default:
		e.Uncertain = true
	}
	return connectors.Receipt{}, e
}

// checkedClient is a client that can tell whether the desk works.
type checkedClient struct {
	client
	check func() error
}

// Check implements connectors.Checker.
func (c checkedClient) Check(context.Context) error { return c.check() }
