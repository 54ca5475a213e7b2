// This file carries requests to the account without a socket and breaks them on demand, step by step.

package zendesktest

import (
	"bytes"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
)

// Fault is what happens to a request in place of an answer. Calling pass hands it to the account.
type Fault func(r *http.Request, pass func() *http.Response) (*http.Response, error)

// broken is a fault that waits for its request.
type broken struct {
	step  string
	skip  int
	times int
	fault Fault
	hits  int
}

// Step names what a request does: "POST /api/v2/tickets", with * for an id.
func Step(r *http.Request) string { return r.Method + " " + generic(r.URL.Path) }

// Break makes requests of one step fail, after skip of them have passed, so many times. A new fault replaces the old
// one. It works for RoundTrip only.
func (a *Account) Break(step string, skip, times int, fault Fault) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.broken = &broken{step: step, skip: skip, times: times, fault: fault}
}

// Heal removes the fault.
func (a *Account) Heal() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.broken = nil
}

// Hits tells how many requests the current fault has broken.
func (a *Account) Hits() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.broken == nil {
		return 0
	}
	return a.broken.hits
}

// Steps returns the steps of all requests so far, and forgets them.
func (a *Account) Steps() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	steps := a.steps
	a.steps = nil
	return steps
}

// RoundTrip implements http.RoundTripper. It starts no goroutine.
func (a *Account) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close()
	}
	pass := func() *http.Response {
		in := r.Clone(r.Context())
		in.Body, in.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		in.Host, in.RequestURI, in.RemoteAddr = r.URL.Host, r.URL.RequestURI(), "192.0.2.1:1"
		rec := httptest.NewRecorder()
		a.ServeHTTP(rec, in)
		answer := rec.Result()
		answer.Request = r
		return answer
	}
	if fault := a.note(Step(r)); fault != nil {
		return fault(r, pass)
	}
	return pass(), nil
}

func (a *Account) note(step string) Fault {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.steps = append(a.steps, step)
	b := a.broken
	if b == nil || (b.step != "" && b.step != step) {
		return nil
	}
	if b.skip > 0 {
		b.skip--
		return nil
	}
	if b.hits >= b.times {
		return nil
	}
	b.hits++
	return b.fault
}

// Faults returns every way in which a request breaks, by name.
func Faults() map[string]Fault {
	page := "<html><head><title>502 Bad Gateway</title></head><body>cloudflare</body></html>"
	return map[string]Fault{
		"refused dial": func(*http.Request, func() *http.Response) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
		},
		"reset before": before(nil),
		"reset after":  after(nil),
		"slow before":  slow(false),
		"slow after":   slow(true),
		"cut answer":   cut,
		"500 before":   before(answer(http.StatusInternalServerError, nil, page)),
		"502 after":    after(answer(http.StatusBadGateway, nil, page)),
		"503 after":    after(answer(http.StatusServiceUnavailable, nil, "")),
		"504 after":    after(answer(http.StatusGatewayTimeout, nil, page)),
		"200 and page": after(answer(http.StatusOK, nil, page)),
		"409 before":   before(answer(http.StatusConflict, nil, `{"error":"IdempotentRequestInProgress","description":"in progress"}`)),
		"409 after":    after(answer(http.StatusConflict, nil, `{"error":"IdempotentRequestInProgress","description":"in progress"}`)),
		"429 retry-after": before(answer(http.StatusTooManyRequests, http.Header{"Retry-After": {"57"}},
			`{"error":"APIRateLimitExceeded","description":"Number of allowed API requests per minute exceeded"}`)),
		"429 plain text": before(answer(http.StatusTooManyRequests, nil, "Number of allowed incident ticket updates per minute exceeded")),
		"429 resets": before(answer(http.StatusTooManyRequests, http.Header{"Zendesk-Ratelimit-Tickets-Create": {"total=100; remaining=0; resets=41"}},
			`{"error":"APIRateLimitExceeded","description":"endpoint"}`)),
	}
}

// made builds an answer.
type made func(r *http.Request) *http.Response

func answer(status int, header http.Header, body string) made {
	return func(r *http.Request) *http.Response {
		rec := httptest.NewRecorder()
		maps.Copy(rec.Header(), header)
		rec.WriteHeader(status)
		_, _ = rec.WriteString(body)
		a := rec.Result()
		a.Request = r
		return a
	}
}

func reset() error { return &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET} }

// before answers without the account having acted; nil resets the connection.
func before(m made) Fault {
	return func(r *http.Request, _ func() *http.Response) (*http.Response, error) {
		if m == nil {
			return nil, reset()
		}
		return m(r), nil
	}
}

// after answers after the account has acted; nil resets the connection.
func after(m made) Fault {
	return func(r *http.Request, pass func() *http.Response) (*http.Response, error) {
		_ = pass().Body.Close()
		if m == nil {
			return nil, reset()
		}
		return m(r), nil
	}
}

// slow gives no answer until the request's context ends.
func slow(acts bool) Fault {
	return func(r *http.Request, pass func() *http.Response) (*http.Response, error) {
		if acts {
			_ = pass().Body.Close()
		}
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
}

// cut breaks the connection within the body of the answer, after the account has acted.
func cut(_ *http.Request, pass func() *http.Response) (*http.Response, error) {
	whole := pass()
	body, err := io.ReadAll(whole.Body)
	if err != nil {
		return nil, err
	}
	whole.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body[:len(body)/2]), severed{}))
	return whole, nil
}

type severed struct{}

func (severed) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// Kill ends the process that sends, as far as a test can: it panics with Killed instead of sending, or after the account
// has acted.
func Kill(acts bool) Fault {
	return func(_ *http.Request, pass func() *http.Response) (*http.Response, error) {
		if acts {
			_ = pass().Body.Close()
		}
		panic(Killed)
	}
}

// Killed is the value of the panic of Kill.
const Killed = "zendesktest: the process was killed"
