// Package rest is the one outbound HTTP stack: timeouts, careful retries, capped answers, errors that are classified
// and hold no secret. Connectors that speak HTTP build their requests and read their answers; the rest is here.
//
// This file declares the client and sends one request.
package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/connectors"
)

const (
	// MaxAnswer is how many bytes of an answer are read, after decompression. What follows is dropped.
	MaxAnswer = 1 << 20

	// defaultTimeout ends a request whose context has no deadline, when the gateway names no time limit either.
	defaultTimeout = 30 * time.Second
)

// Options say what is special about one target. The zero value is a target without credentials.
type Options struct {
	// Authorize is called before every try with the request and its body, to add credentials or a signature. It must
	// return soon after the request's context is done. Its error ends the request before anything is sent; an
	// *connectors.Error in the chain keeps its kind, another error is Denied. nil: nothing to add.
	Authorize func(r *http.Request, body []byte) error

	// Secrets are texts that must not appear in an error even if the target echoes them: keys in a header of their own,
	// parts of a secret address. What Authorize puts into Authorization is hidden without being named here.
	Secrets []secret.String

	// ShowPath lets errors name the path of an address. Leave it false where the path is a secret, as with incoming
	// webhooks: errors then name scheme and host only. Query and user info never appear.
	ShowPath bool
}

// Client sends requests to one target. It is safe for concurrent use and starts no goroutine of its own when it is
// given a Transport.
type Client struct {
	opts    Options
	http    *http.Client
	traced  bool // the transport is net/http's, so that httptrace tells what was written
	agent   string
	timeout time.Duration
	log     *slog.Logger
}

// New makes a client. It does no I/O. Env.Transport replaces the real transport, Env.Wrap goes around either,
// Env.Timeout is used for a request whose context has no deadline (0: 30 s).
func New(env connectors.Env, opts Options) *Client {
	c := &Client{
		opts:    opts,
		agent:   "afterchat/" + orElse(env.Version, "dev"),
		timeout: orElse(env.Timeout, defaultTimeout),
		log:     orElse(env.Logger, slog.New(slog.DiscardHandler)),
	}
	transport := env.Transport
	if transport == nil {
		transport, c.traced = newTransport(), true
	}
	if env.Wrap != nil {
		transport = env.Wrap(transport)
	}
	c.http = &http.Client{
		Transport: transport,
		// A redirect would carry a conversation to an address that nobody configured.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

func orElse[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// Request is one request.
type Request struct {
	Method string
	URL    string
	Header http.Header // may be nil
	Body   []byte      // nil: none

	// Object says that the address is made from the id of one object. 404, 405, 410 and redirects then speak about that
	// object and are Rejected for the connector to read by Status; otherwise they speak about the target and are Denied.
	Object bool
}

// Response is an answer, read and closed.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	// Cut tells that Body is not all of it: it was longer than MaxAnswer, or the connection broke while it was read.
	Cut bool
}

// Do sends req and returns the answer. The error is nil for 2xx only, else it is a *connectors.Error, and the Response
// comes with it if there was one, so that a connector can read more from it.
//
// A request is repeated, at most twice and within 5 seconds and the context's deadline, only after a failure that is
// certain to have had no effect: a failed dial, or 429 and 503 with a short Retry-After.
func (c *Client) Do(ctx context.Context, req Request) (*Response, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	x := &exchange{client: c, req: req, began: time.Now()}
	trace := &httptrace.ClientTrace{WroteHeaders: func() { x.wrote.Store(true) }}
	return x.do(httptrace.WithClientTrace(ctx, trace))
}

func (x *exchange) do(ctx context.Context) (*Response, error) {
	body := any(x.req.Body)
	if x.req.Body == nil {
		body = nil
	}
	r, err := retryablehttp.NewRequestWithContext(ctx, x.req.Method, x.req.URL, body)
	if err != nil {
		// The cause quotes the address, so it is left out.
		return nil, &connectors.Error{
			Kind: connectors.Denied, Err: errors.New("the request's address or method is not valid"),
			Hint: "check the target's address",
		}
	}
	if x.req.Header != nil {
		r.Header = x.req.Header.Clone()
	}
	if r.Header.Get("User-Agent") == "" {
		r.Header.Set("User-Agent", x.client.agent)
	}
	x.where = x.client.where(r.URL)
	if ctx.Err() != nil {
		return nil, x.failed(ctx, r.Request, ctx.Err(), false)
	}
	if err := x.authorize(r.Request); err != nil {
		return nil, err
	}
	resp, err := x.retrying().Do(r)
	if err != nil {
		if resp != nil { // the library returns both after a failed PrepareRetry
			_ = resp.Body.Close()
		}
		return nil, x.ended(ctx, r.Request, err)
	}
	answer := read(resp)
	if answer.Status >= 200 && answer.Status <= 299 {
		return answer, nil
	}
	return answer, x.refused(r.Request, answer)
}

func (x *exchange) authorize(r *http.Request) error {
	if x.client.opts.Authorize == nil {
		return nil
	}
	err := x.client.opts.Authorize(r, x.req.Body)
	if err == nil {
		return nil
	}
	if known, ok := errors.AsType[*connectors.Error](err); ok {
		e := *known
		e.Uncertain = false // whatever failed, this request was not sent
		e.Err = fmt.Errorf("%s %s: not sent: %w", x.req.Method, x.where, known.Err)
		return &e
	}
	return &connectors.Error{
		Kind: connectors.Denied, Hint: "check the target's credentials",
		Err: fmt.Errorf("%s %s: not sent: %w", x.req.Method, x.where, err),
	}
}

// read takes at most MaxAnswer bytes. A status that came is an answer even if its body breaks off.
func read(resp *http.Response) *Response {
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, MaxAnswer+1))
	answer := &Response{Status: resp.StatusCode, Header: resp.Header, Body: body, Cut: err != nil}
	if len(body) > MaxAnswer {
		answer.Body, answer.Cut = body[:MaxAnswer], true
	}
	return answer
}

// where is what errors call an address.
func (c *Client) where(u *url.URL) string {
	w := u.Scheme + "://" + u.Host
	if c.opts.ShowPath {
		w += u.EscapedPath()
	}
	return w
}
