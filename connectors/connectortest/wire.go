// This file carries requests to a handler without a socket, and breaks on demand. It starts no goroutine, so that it
// works inside testing/synctest.

package connectortest

import (
	"bytes"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"syscall"
)

// Wire is an http.RoundTripper that calls a handler directly. Use NewWire.
type Wire struct {
	handler http.Handler

	mu   sync.Mutex
	seen []Sent
	at   int // the request that breaks, counted from the last Break; 0: every one
	n    int
	bad  Fault
	hits int
}

// Sent is one request that was put on a Wire, whether it arrived or not.
type Sent struct {
	Method, URL string
	Header      http.Header
	Body        string
}

// Fault is what happens to a request in place of an answer. Calling pass hands it to the handler.
type Fault func(r *http.Request, pass func() *http.Response) (*http.Response, error)

// NewWire makes a wire to a handler, without faults.
func NewWire(handler http.Handler) *Wire { return &Wire{handler: handler} }

// Break makes the at-th request from now fail, or every one if at is 0. A new fault replaces the old one.
func (w *Wire) Break(at int, fault Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at, w.n, w.bad, w.hits = at, 0, fault, 0
}

// Heal removes the fault.
func (w *Wire) Heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bad = nil
}

// Hits tells how many requests the current fault has broken.
func (w *Wire) Hits() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.hits
}

// Sent returns every request so far, in order.
func (w *Wire) Sent() []Sent {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Sent(nil), w.seen...)
}

// RoundTrip implements http.RoundTripper.
func (w *Wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	var body []byte
	if r.Body != nil {
		var err error
		body, err = io.ReadAll(r.Body)
		_ = r.Body.Close()
		if err != nil {
			return nil, err
		}
	}
	pass := func() *http.Response {
		in := r.Clone(r.Context())
		in.Body, in.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		in.Host, in.RequestURI, in.RemoteAddr = r.URL.Host, r.URL.RequestURI(), "192.0.2.1:1"
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, in)
		answer := rec.Result()
		answer.Request = r
		return answer
	}
	if fault := w.note(r, body); fault != nil {
		return fault(r, pass)
	}
	return pass(), nil
}

// note remembers the request and returns its fault, if it has one.
func (w *Wire) note(r *http.Request, body []byte) Fault {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = append(w.seen, Sent{Method: r.Method, URL: r.URL.String(), Header: r.Header.Clone(), Body: string(body)})
	w.n++
	if w.bad == nil || (w.at != 0 && w.at != w.n) {
		return nil
	}
	w.hits++
	return w.bad
}

// Unreachable is a failed dial: it is certain that the target has seen nothing.
func Unreachable(*http.Request, func() *http.Response) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
}

// ResetBefore breaks the connection before the target has acted.
func ResetBefore(*http.Request, func() *http.Response) (*http.Response, error) {
	return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
}

// ResetAfter breaks the connection after the target has acted.
func ResetAfter(_ *http.Request, pass func() *http.Response) (*http.Response, error) {
	_ = pass().Body.Close()
	return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
}

// Hang gives no answer until the request's context ends. The target has not acted.
func Hang(r *http.Request, _ func() *http.Response) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// HangAfter is Hang after the target has acted.
func HangAfter(r *http.Request, pass func() *http.Response) (*http.Response, error) {
	_ = pass().Body.Close()
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// CutAfter acts and breaks the connection within the body of the answer.
func CutAfter(_ *http.Request, pass func() *http.Response) (*http.Response, error) {
	answer := pass()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	answer.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body[:len(body)/2]), broken{}))
	return answer, nil
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// Answer gives this answer in place of the target's. header may be nil.
func Answer(status int, header http.Header, body string) Fault {
	return func(r *http.Request, _ func() *http.Response) (*http.Response, error) {
		return answer(r, status, header, body), nil
	}
}

// AnswerAfter gives this answer after the target has acted, as a gateway does that lost patience.
func AnswerAfter(status int, header http.Header, body string) Fault {
	return func(r *http.Request, pass func() *http.Response) (*http.Response, error) {
		_ = pass().Body.Close()
		return answer(r, status, header, body), nil
	}
}

func answer(r *http.Request, status int, header http.Header, body string) *http.Response {
	rec := httptest.NewRecorder()
	maps.Copy(rec.Header(), header)
	rec.WriteHeader(status)
	_, _ = rec.WriteString(body)
	a := rec.Result()
	a.Request = r
	return a
}
