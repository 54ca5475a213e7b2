// This file tells whether somebody listens at the target's address, for a target without a check of its own.

package http

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"github.com/afterchat/afterchat/connectors"
)

// Reach connects to the url's host, or to the proxy that the environment names for it, and sends no request. With https
// the certificate is verified, too.
func (t *target) Reach(ctx context.Context) (remedy string, err error) {
	remedy = "set check: {path: …} to a request that changes nothing, such as check: {path: /health}, and it is asked for with the credentials"
	if t.fake {
		return remedy, nil
	}
	to, secure := t.base, t.base.Scheme == "https"
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: t.base})
	if err == nil && proxy != nil {
		to, secure = proxy, proxy.Scheme == "https"
	}
	address := net.JoinHostPort(to.Hostname(), cmp.Or(to.Port(), portOf(to)))
	var dialer interface {
		DialContext(ctx context.Context, network, address string) (net.Conn, error)
	} = &net.Dialer{}
	if secure {
		dialer = &tls.Dialer{Config: &tls.Config{MinVersion: tls.VersionTLS12}}
	}
	connection, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return remedy, &connectors.Error{
			Kind: connectors.Temporary, Err: fmt.Errorf("connecting to %s: %w", address, err),
			Hint: "correct the host and port of url, or start what should listen there",
		}
	}
	return remedy, connection.Close()
}

// portOf is the port of an address that names none.
func portOf(u *url.URL) string {
	if u.Scheme == "https" {
		return "443"
	}
	return "80"
}
