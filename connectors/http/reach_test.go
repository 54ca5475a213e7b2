// This file tests that reaching an address sends nothing and notices that nobody is there.

package http_test

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/connectors"
	target "github.com/afterchat/afterchat/connectors/http"
)

func TestReach(t *testing.T) {
	t.Parallel()
	reach := func(address string) (string, error) {
		s := settings(func(s *target.Settings) { s.URL = secret.New(address + "/hooks/canary-0123456789") })
		c, err := target.Type().Open(s, connectors.Env{Target: "api", Version: "1", Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		return c.(connectors.Reacher).Reach(t.Context())
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan string, 1)
	go func() {
		c, err := listener.Accept()
		if err != nil {
			heard <- err.Error()
			return
		}
		sent, _ := io.ReadAll(c)
		heard <- string(sent)
	}()
	defer listener.Close() //nolint:errcheck // perhaps closed already
	if remedy, err := reach("http://" + listener.Addr().String()); err != nil || !strings.Contains(remedy, "check: {path: ") {
		t.Errorf("%q, %v", remedy, err)
	}
	select {
	case sent := <-heard:
		if sent != "" {
			t.Errorf("%q was sent", sent)
		}
	case <-time.After(time.Minute):
		t.Fatal("nobody connected")
	}
	_ = listener.Close()
	_, err = reach("http://" + listener.Addr().String())
	if e := connectors.Classify(err); e == nil || e.Kind != connectors.Temporary || e.Hint == "" || !strings.Contains(err.Error(), "refused") || strings.Contains(err.Error(), "canary") {
		t.Errorf("nobody there: %v", err)
	}

	var requests atomic.Int64
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	defer server.Close()
	if _, err := reach(server.URL); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate of nobody: %v", err)
	}
	if n := requests.Load(); n > 0 {
		t.Errorf("%d requests were made", n)
	}
}
