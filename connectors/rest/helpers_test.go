// This file holds the servers and shortcuts of the tests.

package rest_test

import (
	"bufio"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/rest"
)

func post(address string) rest.Request {
	return rest.Request{Method: http.MethodPost, URL: address, Body: []byte("{}")}
}

// classified fails unless err holds a classified error.
func classified(t *testing.T, err error) *connectors.Error {
	t.Helper()
	e, ok := errors.AsType[*connectors.Error](err)
	if !ok {
		t.Fatalf("error = %v (%T), want a *connectors.Error", err, err)
	}
	return e
}

func quiet() *log.Logger { return log.New(io.Discard, "", 0) }

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server
}

// serveRaw gives each connection to talk and closes it afterwards.
func serveRaw(t *testing.T, talk func(net.Conn)) (address string) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var talks sync.WaitGroup
	t.Cleanup(talks.Wait)
	t.Cleanup(func() { _ = listener.Close() })
	talks.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			talks.Go(func() {
				defer func() { _ = conn.Close() }()
				talk(conn)
			})
		}
	})
	return listener.Addr().String()
}

func readRequest(t *testing.T, conn net.Conn) {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		t.Errorf("read the request: %v", err)
		return
	}
	_, _ = io.ReadAll(r.Body)
}

// closedAddress is one where nobody listens.
func closedAddress(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}
