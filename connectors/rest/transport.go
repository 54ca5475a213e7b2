// This file builds the real transport.

package rest

import (
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

const (
	// idleConns is how many connections wait for the next request. Workers beyond that dial and shake hands for each.
	idleConns = 128
	// writeBuffer holds the head and the body of most requests, in bytes, so that they leave in one piece. net/http would
	// make a buffer for every body that does not fit.
	writeBuffer = 16 << 10
)

// newTransport makes a transport of this client's own. The context limits the whole request; the limits here end the
// steps that would otherwise eat all of it.
func newTransport() http.RoundTripper {
	return once{&http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:    10 * time.Second,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           idleConns,
		MaxIdleConnsPerHost:    idleConns,
		IdleConnTimeout:        30 * time.Second,
		MaxResponseHeaderBytes: 256 << 10,
		WriteBufferSize:        writeBuffer,
	}}
}

// once keeps net/http from repeating a request by itself. It does so for any method when the header map has the key
// Idempotency-Key, even after the server read the request; not every target that gets such a key honors it. Field names
// are compared without case on the wire, but net/http looks for this spelling only.
type once struct{ inner *http.Transport }

func (o once) RoundTrip(r *http.Request) (*http.Response, error) {
	var own *http.Request
	for name, plain := range map[string]string{"Idempotency-Key": "idempotency-key", "X-Idempotency-Key": "x-idempotency-key"} {
		values, ok := r.Header[name]
		if !ok {
			continue
		}
		if own == nil {
			own = r.Clone(r.Context())
		}
		delete(own.Header, name)
		own.Header[plain] = values
	}
	if own != nil {
		r = own
	}
	return o.inner.RoundTrip(r)
}

// CloseIdleConnections is called by http.Client.
func (o once) CloseIdleConnections() { o.inner.CloseIdleConnections() }
