// This file decides which failures are tried again at once, and after what wait. It is the only place that repeats a
// request; everything that has to wait longer waits in the ledger, which survives a restart.

package rest

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/afterchat/afterchat/connectors"
)

const (
	maxRetries = 2                      // repeats after the first try
	maxTotal   = 5 * time.Second        // from the first try to the beginning of the last
	reserve    = time.Second            // what must be left of the context's deadline for a repeat
	firstWait  = 100 * time.Millisecond // doubled each time
)

// exchange is one Do: a request, its tries, and what is known about the current one.
type exchange struct {
	client *Client
	req    Request
	where  string // the address as errors may name it
	began  time.Time
	tries  int
	wait   time.Duration
	wrote  atomic.Bool // set by the trace from the transport's goroutine
	// pending is the failure that is being waited out; nil while a try is under way.
	pending *connectors.Error
}

// retrying makes the retry loop of this exchange. It shares the connections of the client.
func (x *exchange) retrying() *retryablehttp.Client {
	return &retryablehttp.Client{
		HTTPClient: x.client.http,
		RetryMax:   maxRetries,
		CheckRetry: x.check,
		Backoff: func(_, _ time.Duration, _ int, _ *http.Response) time.Duration {
			return x.wait
		},
		PrepareRetry: func(r *http.Request) error {
			x.pending = nil
			x.wrote.Store(false)
			return x.authorize(r)
		},
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
}

// check is asked after every try. It never returns an error, so that the answer or the cause reaches the caller.
func (x *exchange) check(ctx context.Context, resp *http.Response, err error) (bool, error) {
	x.tries++
	if x.tries > maxRetries || ctx.Err() != nil {
		return false, nil
	}
	status, failure := 0, (*connectors.Error)(nil)
	switch {
	case err != nil:
		if !x.unsent(err) || distrusted(err) {
			return false, nil
		}
		x.wait = backoff(x.tries)
		failure = x.failed(ctx, nil, err, false)
	default:
		after, ok := retryAfter(resp.Header, time.Now())
		if !ok || (resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable) {
			return false, nil
		}
		status = resp.StatusCode
		x.wait = after + backoff(x.tries)
		failure = x.refused(nil, &Response{Status: resp.StatusCode, Header: resp.Header})
	}
	if !fits(ctx, x.began, x.wait) {
		return false, nil
	}
	x.pending = failure
	x.client.log.DebugContext(ctx, "request is tried again", "method", x.req.Method, "address", x.where,
		"status", status, "try", x.tries+1, "wait", x.wait)
	return true, nil
}

// fits tells whether a repeat after wait leaves time for an answer. retryablehttp would sleep although the context ends
// first, so a wait that does not fit is no wait.
func fits(ctx context.Context, began time.Time, wait time.Duration) bool {
	if time.Since(began)+wait > maxTotal {
		return false
	}
	deadline, ok := ctx.Deadline()
	return !ok || time.Until(deadline) >= wait+reserve
}

// backoff doubles from firstWait, with jitter of a half.
func backoff(try int) time.Duration {
	full := firstWait << (try - 1)
	return full/2 + rand.N(full/2+1)
}

// unsent tells whether it is certain that the target has seen nothing of a request that failed with err.
// A transport that is not ours reports no trace; of its errors only a failed dial is certain.
func (x *exchange) unsent(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && (op.Op == "dial" || op.Op == "proxyconnect") {
		return true
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return true
	}
	return x.client.traced && !x.wrote.Load()
}
