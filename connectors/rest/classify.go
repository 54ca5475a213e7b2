// This file turns answers and failures into classified errors: one table for every connector.

package rest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/afterchat/afterchat/connectors"
)

// refused classifies an answer outside 2xx. r is nil while the request may still be repeated; the text is not final then.
func (x *exchange) refused(r *http.Request, answer *Response) *connectors.Error {
	e := classify(answer.Status, answer.Header, x.req.Object)
	text := fmt.Sprintf("%s %s answered %s", x.req.Method, x.where, statusText(answer.Status))
	e.Response = x.client.excerpt(r, answer.Body)
	if excerpt := withoutEcho(e.Response, x.req.Body); excerpt != "" {
		text += ": " + excerpt
	}
	e.Err = errors.New(text)
	return e
}

// statusText is the code with its name, if it has one.
func statusText(status int) string {
	if name := http.StatusText(status); name != "" {
		return fmt.Sprintf("%d %s", status, name)
	}
	return fmt.Sprint(status)
}

// classify is the table. It is RFC 9110 read by a sender that must neither lose nor double a record.
func classify(status int, header http.Header, object bool) *connectors.Error {
	e := &connectors.Error{Status: status}
	after, hasAfter := retryAfter(header, time.Now())
	switch {
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable && hasAfter:
		e.Kind, e.After = connectors.Throttled, after
		e.Hint = "the target asks to be called more slowly; a lower rate on the target avoids this"
	case status >= 500:
		e.Kind, e.Uncertain = connectors.Temporary, true
		e.Hint = "the target has trouble of its own"
	case status == http.StatusRequestTimeout:
		e.Kind, e.Uncertain = connectors.Temporary, true // some servers mean their own work by it
	case status == http.StatusTooEarly:
		e.Kind = connectors.Temporary
	case status == http.StatusUnauthorized:
		e.Kind, e.Hint = connectors.Denied, "the target does not accept the credentials; check them, and whether they have expired"
	case status == http.StatusForbidden:
		e.Kind, e.Hint = connectors.Denied, "the credentials are known but not allowed to do this; check their rights and the account"
	case status == http.StatusConflict:
		// Either a request with the same key is under way or the object is there. Both heal by looking again.
		e.Kind, e.Uncertain = connectors.Temporary, true
	case aboutAddress(status):
		if object {
			e.Kind = connectors.Rejected
			e.Hint = "the object may have been removed at the target"
			break
		}
		e.Kind, e.Hint = connectors.Denied, addressHint(status)
	case status >= 400:
		e.Kind, e.Hint = connectors.Rejected, "the target does not take this record as it is; correct the mapping and replay"
	default: // 1xx, or a number that is no status
		e.Kind, e.Uncertain = connectors.Temporary, true
		e.Hint = "the target does not seem to speak HTTP properly"
	}
	return e
}

// aboutAddress tells whether a status speaks about the address and not about what was sent to it.
func aboutAddress(status int) bool {
	switch status {
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone:
		return true
	}
	return status >= 300 && status <= 399
}

func addressHint(status int) string {
	switch status {
	case http.StatusGone:
		return "the target says that this address is gone for good; put a new one into the configuration"
	case http.StatusMethodNotAllowed:
		return "the address exists but does not take this method; check both"
	case http.StatusNotFound:
		return "there is nothing at this address; check it"
	}
	return "redirects are not followed; configure the address that it leads to"
}

// ended classifies what the retry loop returned in place of an answer.
func (x *exchange) ended(ctx context.Context, r *http.Request, err error) error {
	if known, ok := errors.AsType[*connectors.Error](err); ok {
		return known // authorize failed before a repeat
	}
	if x.pending != nil {
		return x.pending // the context ended while the wait was on; nothing was sent since
	}
	return x.failed(ctx, r, err, !x.unsent(err))
}

// failed classifies a request that got no answer.
func (x *exchange) failed(ctx context.Context, r *http.Request, err error, uncertain bool) *connectors.Error {
	// The *url.Error of net/http quotes the whole address.
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err
	}
	e := &connectors.Error{Kind: connectors.Temporary, Uncertain: uncertain}
	text := "failed: " + x.client.clean(r, err.Error())
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		text, e.Cause = "stopped before the target answered", "cut off"
	case ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded):
		text, e.Cause = "got no answer in time", "timeout"
		e.Hint = "the target is slow or out of reach; timeout on the target gives it longer"
	default:
		e.Cause, e.Hint = failureHint(err)
	}
	e.Err = &failureError{text: x.req.Method + " " + x.where + " " + text, cause: err}
	return e
}

func failureHint(err error) (cause, hint string) {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "name not found", "the host name cannot be resolved; check its spelling and this machine's DNS"
	}
	switch {
	case distrusted(err):
		return "certificate", "the target's TLS certificate is not trusted here; check the host name, its date and this machine's certificate authorities"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused", "nothing listens at this address; check host and port"
	}
	return "connection failed", "the connection failed; check the address and the network between"
}

// distrusted tells whether TLS refused the target's certificate, which another try does not change.
func distrusted(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return true
	}
	_, ok := errors.AsType[x509.HostnameError](err)
	return ok
}

// failureError says what happened in words of its own; errors.Is and errors.As still see the cause, which may hold secrets
// and is therefore not part of the text.
type failureError struct {
	text  string
	cause error
}

func (f *failureError) Error() string { return f.text }
func (f *failureError) Unwrap() error { return f.cause }
