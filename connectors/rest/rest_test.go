// This file tests what reaches a caller of Do: kinds, repeats, caps, deadlines. The servers listen on the loopback.

package rest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/rest"
)

type expected struct {
	Kind      connectors.Kind
	Uncertain bool
	After     time.Duration
}

// TestStatus walks every status that means something to a sender, and some that mean nothing.
func TestStatus(t *testing.T) {
	t.Parallel()
	temporary := expected{Kind: connectors.Temporary}
	doubt := expected{Kind: connectors.Temporary, Uncertain: true}
	denied := expected{Kind: connectors.Denied}
	rejected := expected{Kind: connectors.Rejected}
	hour := expected{Kind: connectors.Throttled, After: time.Hour}
	tests := []struct {
		status        int
		after         string
		fixed, object expected
	}{
		{status: 301, fixed: denied, object: rejected},
		{status: 302, fixed: denied, object: rejected},
		{status: 303, fixed: denied, object: rejected},
		{status: 304, fixed: denied, object: rejected},
		{status: 307, fixed: denied, object: rejected},
		{status: 308, fixed: denied, object: rejected},
		{status: 400, fixed: rejected, object: rejected},
		{status: 401, fixed: denied, object: denied},
		{status: 402, fixed: rejected, object: rejected},
		{status: 403, fixed: denied, object: denied},
		{status: 404, fixed: denied, object: rejected},
		{status: 405, fixed: denied, object: rejected},
		{status: 406, fixed: rejected, object: rejected},
		{status: 408, fixed: doubt, object: doubt},
		{status: 409, fixed: doubt, object: doubt},
		{status: 410, fixed: denied, object: rejected},
		{status: 411, fixed: rejected, object: rejected},
		{status: 413, fixed: rejected, object: rejected},
		{status: 414, fixed: rejected, object: rejected},
		{status: 415, fixed: rejected, object: rejected},
		{status: 418, fixed: rejected, object: rejected},
		{status: 422, fixed: rejected, object: rejected},
		{status: 423, fixed: rejected, object: rejected},
		{status: 425, fixed: temporary, object: temporary},
		{status: 429, fixed: expected{Kind: connectors.Throttled}, object: expected{Kind: connectors.Throttled}},
		{status: 429, after: "3600", fixed: hour, object: hour},
		{status: 429, after: "soon", fixed: expected{Kind: connectors.Throttled}, object: expected{Kind: connectors.Throttled}},
		{status: 431, fixed: rejected, object: rejected},
		{status: 499, fixed: rejected, object: rejected},
		{status: 500, fixed: doubt, object: doubt},
		{status: 500, after: "3600", fixed: doubt, object: doubt},
		{status: 501, fixed: doubt, object: doubt},
		{status: 502, fixed: doubt, object: doubt},
		{status: 503, fixed: doubt, object: doubt},
		{status: 503, after: "3600", fixed: hour, object: hour},
		{status: 503, after: "soon", fixed: doubt, object: doubt},
		{status: 504, fixed: doubt, object: doubt},
		{status: 522, fixed: doubt, object: doubt},
		{status: 599, fixed: doubt, object: doubt},
	}
	var status atomic.Int64
	var after atomic.Value
	var requests atomic.Int64
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		requests.Add(1)
		if a := after.Load().(string); a != "" {
			w.Header().Set("Retry-After", a)
		}
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(int(status.Load()))
	})
	client := rest.New(connectors.Env{}, rest.Options{})
	for _, tt := range tests {
		for object, want := range map[bool]expected{false: tt.fixed, true: tt.object} {
			status.Store(int64(tt.status))
			after.Store(tt.after)
			requests.Store(0)
			answer, err := client.Do(t.Context(), rest.Request{Method: http.MethodPost, URL: server.URL, Body: []byte("{}"), Object: object})
			name := fmt.Sprintf("%d Retry-After %q object %v", tt.status, tt.after, object)
			if answer == nil || answer.Status != tt.status {
				t.Errorf("%s: answer = %+v, want one with the status", name, answer)
				continue
			}
			e := classified(t, err)
			if diff := cmp.Diff(want, expected{e.Kind, e.Uncertain, e.After}); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
			if e.Status != tt.status {
				t.Errorf("%s: Status = %d", name, e.Status)
			}
			if e.Kind == connectors.Denied && e.Hint == "" {
				t.Errorf("%s: no hint", name)
			}
			if n := requests.Load(); n != 1 {
				t.Errorf("%s: %d requests, want 1", name, n)
			}
		}
	}
}

func TestSuccess(t *testing.T) {
	t.Parallel()
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Seen", r.UserAgent()+" "+r.Header.Get("X-One"))
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(body)
	})
	client := rest.New(connectors.Env{Version: "1.2.3"}, rest.Options{})
	header := http.Header{"X-One": {"1"}}
	answer, err := client.Do(t.Context(), rest.Request{Method: http.MethodPost, URL: server.URL, Header: header, Body: []byte("hello")})
	if err != nil {
		t.Fatal(err)
	}
	if answer.Status != 201 || string(answer.Body) != "hello" || answer.Cut || answer.Header.Get("X-Seen") != "afterchat/1.2.3 1" {
		t.Errorf("answer = %+v", answer)
	}
	if diff := cmp.Diff(http.Header{"X-One": {"1"}}, header); diff != "" {
		t.Errorf("the caller's header changed (-want +got):\n%s", diff)
	}
}

func TestAnswerIsCapped(t *testing.T) {
	t.Parallel()
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/error" {
			w.WriteHeader(http.StatusBadRequest)
		}
		_, _ = io.WriteString(w, strings.Repeat("ä\x00\n ", rest.MaxAnswer))
	})
	client := rest.New(connectors.Env{}, rest.Options{})
	answer, err := client.Do(t.Context(), rest.Request{Method: http.MethodGet, URL: server.URL})
	if err != nil || len(answer.Body) != rest.MaxAnswer || !answer.Cut {
		t.Errorf("got %d bytes, cut %v, error %v", len(answer.Body), answer.Cut, err)
	}
	_, err = client.Do(t.Context(), rest.Request{Method: http.MethodGet, URL: server.URL + "/error"})
	text := classified(t, err).Error()
	if len(text) > 2300 || len(text) < 2000 || strings.ContainsAny(text, "\n\x00") || !strings.HasSuffix(text, "…") {
		t.Errorf("%d bytes: %.80q", len(text), text)
	}
}

// TestCutAnswer breaks the connection within the body. The status says success, so it is one.
func TestCutAnswer(t *testing.T) {
	t.Parallel()
	address := serveRaw(t, func(conn net.Conn) {
		readRequest(t, conn)
		_, _ = io.WriteString(conn, "HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{\"id\":")
	})
	answer, err := rest.New(connectors.Env{}, rest.Options{}).Do(t.Context(), post("http://"+address))
	if err != nil || !answer.Cut || string(answer.Body) != `{"id":` {
		t.Errorf("answer = %+v, error = %v", answer, err)
	}
}

// TestBrokenConnection breaks it at each stage and wants to know what the target may have seen.
func TestBrokenConnection(t *testing.T) {
	t.Parallel()
	closed := closedAddress(t)
	tests := []struct {
		name      string
		address   string
		uncertain bool
		text      string
	}{
		{"nobody listens", closed, false, "connection refused"},
		{"closed within the request", serveRaw(t, func(conn net.Conn) { _, _ = io.ReadFull(conn, make([]byte, 1)) }), true, "failed"},
		{"closed after the request was read", serveRaw(t, func(conn net.Conn) { readRequest(t, conn) }), true, "EOF"},
		{"rubbish for an answer", serveRaw(t, func(conn net.Conn) {
			readRequest(t, conn)
			_, _ = io.WriteString(conn, "220 mail.example ESMTP\r\n")
		}), true, "malformed"},
		{"no answer", serveRaw(t, func(conn net.Conn) {
			readRequest(t, conn)
			_, _ = io.Copy(io.Discard, conn)
		}), true, "got no answer in time"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			answer, err := rest.New(connectors.Env{}, rest.Options{}).Do(ctx, post("http://"+tt.address+"/secret-path?key=secret-key"))
			e := classified(t, err)
			if answer != nil || e.Kind != connectors.Temporary || e.Uncertain != tt.uncertain {
				t.Errorf("kind %v, uncertain %v; want temporary, %v", e.Kind, e.Uncertain, tt.uncertain)
			}
			if !strings.Contains(e.Error(), tt.text) || !strings.HasPrefix(e.Error(), "POST http://"+tt.address+" ") || strings.Contains(e.Error(), "secret-") {
				t.Errorf("text = %q", e)
			}
			if e.Hint == "" {
				t.Error("no hint")
			}
		})
	}
}

// TestUntrusted talks TLS to a server whose certificate nobody signed.
func TestUntrusted(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = quiet()
	server.StartTLS()
	t.Cleanup(server.Close)
	_, err := rest.New(connectors.Env{}, rest.Options{}).Do(t.Context(), post(server.URL))
	e := classified(t, err)
	if e.Kind != connectors.Temporary || e.Uncertain || !strings.Contains(e.Hint, "certificate") {
		t.Errorf("error = %+v", e)
	}
}

// wrapped counts the requests that pass.
type wrapped struct {
	http.RoundTripper
	requests *atomic.Int64
}

func (w wrapped) RoundTrip(r *http.Request) (*http.Response, error) {
	w.requests.Add(1)
	return w.RoundTripper.RoundTrip(r)
}

// TestWrap watches requests on either transport. It changes nothing of what is known about one that failed: what net/http
// did not send is still certain.
func TestWrap(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = quiet()
	server.StartTLS()
	t.Cleanup(server.Close)
	var requests atomic.Int64
	env := connectors.Env{Wrap: func(inner http.RoundTripper) http.RoundTripper { return wrapped{inner, &requests} }}
	_, err := rest.New(env, rest.Options{}).Do(t.Context(), post(server.URL))
	if e := classified(t, err); e.Uncertain || requests.Load() != 1 {
		t.Errorf("%d requests, error = %+v", requests.Load(), e)
	}
	env.Transport = server.Client().Transport
	_, err = rest.New(env, rest.Options{}).Do(t.Context(), post(server.URL))
	if e := classified(t, err); e.Status != http.StatusNotFound || requests.Load() != 2 {
		t.Errorf("%d requests, error = %+v", requests.Load(), e)
	}
}

// TestNoRedirect must not carry a conversation elsewhere.
func TestNoRedirect(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int64
	other := serve(t, func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusPermanentRedirect)
	})
	_, err := rest.New(connectors.Env{}, rest.Options{}).Do(t.Context(), post(server.URL))
	if e := classified(t, err); e.Kind != connectors.Denied || elsewhere.Load() != 0 {
		t.Errorf("error = %+v, %d requests elsewhere", e, elsewhere.Load())
	}
}

// TestNoReplay drops a reused connection after the request was read. net/http would send it again by itself because of
// the key; the engine must hear of it instead.
func TestNoReplay(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Idempotency-Key") != "k" {
			t.Error("the key is missing")
		}
		_, _ = io.ReadAll(r.Body)
		if requests.Add(1) == 2 {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_ = conn.Close()
			}
		}
	})
	client := rest.New(connectors.Env{}, rest.Options{})
	req := post(server.URL)
	req.Header = http.Header{"Idempotency-Key": {"k"}}
	if _, err := client.Do(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	_, err := client.Do(t.Context(), req)
	if e := classified(t, err); !e.Uncertain || requests.Load() != 2 {
		t.Errorf("error = %+v after %d requests, want an uncertain one after 2", e, requests.Load())
	}
}

// The tests below use a transport without sockets, so that time is fake.

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(status int, after string) *http.Response {
	rec := httptest.NewRecorder()
	if after != "" {
		rec.Header().Set("Retry-After", after)
	}
	rec.WriteHeader(status)
	return rec.Result()
}

var errRefused = &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}

func TestRepeats(t *testing.T) {
	t.Parallel()
	reset := &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset by peer")}
	tests := []struct {
		name     string
		timeout  time.Duration
		script   []any // a status with Retry-After 1, or an error; the last one stays
		requests int
		kind     connectors.Kind
		least    time.Duration
		ok       bool

		uncertain bool
	}{
		{name: "dial fails twice", timeout: time.Minute, script: []any{errRefused, errRefused, 200}, requests: 3, ok: true},
		{name: "dial fails always", timeout: time.Minute, script: []any{errRefused}, requests: 3, kind: connectors.Temporary},
		{name: "unknown host", timeout: time.Minute, script: []any{&net.DNSError{Err: "no such host", Name: "api.example", IsNotFound: true}}, requests: 3, kind: connectors.Temporary},
		{name: "reset", timeout: time.Minute, script: []any{reset, 200}, requests: 1, kind: connectors.Temporary, uncertain: true},
		{name: "server error", timeout: time.Minute, script: []any{500, 200}, requests: 1, kind: connectors.Temporary, uncertain: true},
		{name: "throttled for a moment", timeout: time.Minute, script: []any{429, 503, 200}, requests: 3, ok: true, least: 2 * time.Second},
		{name: "throttled always", timeout: time.Minute, script: []any{429}, requests: 3, kind: connectors.Throttled, least: 2 * time.Second},
		{name: "the wait does not fit the deadline", timeout: 1500 * time.Millisecond, script: []any{429, 200}, requests: 1, kind: connectors.Throttled},
		{name: "the second wait does not fit", timeout: 3 * time.Second, script: []any{429}, requests: 2, kind: connectors.Throttled, least: time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				requests := 0
				client := rest.New(connectors.Env{Transport: transport(func(r *http.Request) (*http.Response, error) {
					if body, err := io.ReadAll(r.Body); err != nil || string(body) != "{}" {
						t.Errorf("body = %q, %v", body, err)
					}
					step := tt.script[min(requests, len(tt.script)-1)]
					requests++
					if status, ok := step.(int); ok {
						return answer(status, "1"), nil
					}
					return nil, step.(error)
				})}, rest.Options{})
				ctx, cancel := context.WithTimeout(t.Context(), tt.timeout)
				defer cancel()
				began := time.Now()
				_, err := client.Do(ctx, post("https://api.example"))
				if requests != tt.requests {
					t.Errorf("%d requests, want %d", requests, tt.requests)
				}
				if took := time.Since(began); took < tt.least || took > 5*time.Second {
					t.Errorf("took %v, want %v to 5s", took, tt.least)
				}
				if tt.ok != (err == nil) {
					t.Fatalf("error = %v", err)
				}
				if err == nil {
					return
				}
				if e := classified(t, err); e.Kind != tt.kind || e.Uncertain != tt.uncertain {
					t.Errorf("error = %+v, want %v, uncertain %v", e, tt.kind, tt.uncertain)
				}
			})
		})
	}
}

// TestStopWhileWaiting cancels within the wait for a repeat. What is known by then must not get lost.
func TestStopWhileWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		client := rest.New(connectors.Env{Transport: transport(func(*http.Request) (*http.Response, error) {
			time.AfterFunc(time.Second, cancel)
			return answer(429, "3"), nil
		})}, rest.Options{})
		began := time.Now()
		_, err := client.Do(ctx, post("https://api.example"))
		e := classified(t, err)
		if e.Kind != connectors.Throttled || e.Uncertain || e.After != 3*time.Second || time.Since(began) != time.Second {
			t.Errorf("error = %+v after %v", e, time.Since(began))
		}
	})
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	hang := transport(func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
	t.Run("of the context", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 7*time.Second)
			defer cancel()
			checkDeadline(ctx, t, connectors.Env{Transport: hang}, 7*time.Second)
		})
	})
	t.Run("of the gateway", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			checkDeadline(t.Context(), t, connectors.Env{Transport: hang, Timeout: 3 * time.Second}, 3*time.Second)
		})
	})
	t.Run("of nobody", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			checkDeadline(t.Context(), t, connectors.Env{Transport: hang}, 30*time.Second)
		})
	})
	t.Run("passed before", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := rest.New(connectors.Env{Transport: hang}, rest.Options{}).Do(ctx, post("https://api.example"))
		if e := classified(t, err); e.Uncertain || !errors.Is(err, context.Canceled) {
			t.Errorf("error = %+v", e)
		}
	})
}

func checkDeadline(ctx context.Context, t *testing.T, env connectors.Env, want time.Duration) {
	t.Helper()
	began := time.Now()
	_, err := rest.New(env, rest.Options{}).Do(ctx, post("https://api.example"))
	e := classified(t, err)
	if e.Kind != connectors.Temporary || !e.Uncertain || e.Cause != "timeout" || time.Since(began) != want {
		t.Errorf("error = %+v after %v", e, time.Since(began))
	}
	if e.Error() != "POST https://api.example got no answer in time" || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("text = %q", e)
	}
}

func TestAuthorize(t *testing.T) {
	t.Parallel()
	t.Run("before every try", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			var seen []string
			signed := 0
			client := rest.New(connectors.Env{Transport: transport(func(r *http.Request) (*http.Response, error) {
				seen = append(seen, r.Header.Get("Authorization"))
				return nil, errRefused
			})}, rest.Options{Authorize: func(r *http.Request, body []byte) error {
				signed++
				r.Header.Set("Authorization", fmt.Sprintf("Try %d %s", signed, body))
				return nil
			}})
			_, _ = client.Do(t.Context(), post("https://api.example"))
			if diff := cmp.Diff([]string{"Try 1 {}", "Try 2 {}", "Try 3 {}"}, seen); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	})
	errToken := errors.New("no token")
	for _, tt := range []struct {
		name string
		err  error
		kind connectors.Kind
	}{
		{"plain", errToken, connectors.Denied},
		{"classified", fmt.Errorf("token: %w", &connectors.Error{Kind: connectors.Throttled, After: time.Minute, Uncertain: true, Err: errToken}), connectors.Throttled},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			client := rest.New(connectors.Env{Transport: transport(func(*http.Request) (*http.Response, error) {
				t.Error("a request was sent")
				return nil, errRefused
			})}, rest.Options{Authorize: func(*http.Request, []byte) error { return tt.err }})
			_, err := client.Do(t.Context(), post("https://api.example"))
			if e := classified(t, err); e.Kind != tt.kind || e.Uncertain || !errors.Is(err, errToken) {
				t.Errorf("error = %+v", e)
			}
		})
	}
}

func TestBadAddress(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"https://api.example/secret\x00", "http://[secret", "://secret", "https://user:secret@ho st/"} {
		_, err := rest.New(connectors.Env{}, rest.Options{}).Do(t.Context(), post(address))
		if e := classified(t, err); e.Kind != connectors.Denied || strings.Contains(e.Error(), "secret") {
			t.Errorf("%q: error = %+v", address, e)
		}
	}
}
