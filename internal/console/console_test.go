// This file tests what the admin listener shows and what it does not.

package console_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/afterchat/afterchat/internal/console"
	"github.com/afterchat/afterchat/internal/metrics"
)

func TestEndpoints(t *testing.T) {
	t.Parallel()
	m := metrics.New("v1", nil)
	ready := console.New(console.Options{Metrics: m, Ready: func(context.Context) error { return nil }})
	unready := console.New(console.Options{Metrics: m, Ready: func(context.Context) error { return errors.New("the disk is full") }, Pprof: true})
	for _, test := range []struct {
		handler http.Handler
		path    string
		status  int
		text    string
	}{
		{ready, "/healthz", http.StatusOK, "ok"},
		{ready, "/readyz", http.StatusOK, "ready"},
		{ready, "/metrics", http.StatusOK, "afterchat_build_info"},
		{ready, "/debug/pprof/", http.StatusNotFound, ""},
		{ready, "/in/shop/secret", http.StatusNotFound, ""},
		{unready, "/healthz", http.StatusOK, "ok"},
		{unready, "/readyz", http.StatusServiceUnavailable, "the disk is full"},
		{unready, "/debug/pprof/", http.StatusOK, "goroutine"},
		{unready, "/debug/pprof/cmdline", http.StatusOK, ""},
	} {
		recorder := httptest.NewRecorder()
		test.handler.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, test.path, nil))
		if recorder.Code != test.status || !strings.Contains(recorder.Body.String(), test.text) {
			t.Errorf("%s: %d %s, want %d %q", test.path, recorder.Code, recorder.Body, test.status, test.text)
		}
	}
}

// TestReload: what is not for everybody is open on a loopback address only, and a page in a browser cannot ask for it.
func TestReload(t *testing.T) {
	t.Parallel()
	m := metrics.New("v1", nil)
	failure := error(nil)
	o := console.Options{
		Metrics: m, Ready: func(context.Context) error { return nil },
		Config: func() console.Config { return console.Config{Hash: "f00"} },
		Reload: func(context.Context) error { return failure },
	}
	o.Access = func() console.Access { return console.Access{} }
	remote := console.New(o)
	o.Access = func() console.Access { return console.Access{Local: true} }
	local := console.New(o)
	fixed := console.New(console.Options{Metrics: m, Ready: o.Ready, Access: o.Access, Config: o.Config})
	for _, test := range []struct {
		handler         http.Handler
		method, path    string
		origin, failure string
		status          int
		text            string
	}{
		{handler: local, method: "GET", path: "/-/config", status: http.StatusOK, text: `{"hash":"f00","loaded_at":"0001-01-01T00:00:00Z"}`},
		{handler: local, method: "POST", path: "/-/reload", status: http.StatusOK, text: `"hash":"f00"`},
		{handler: local, method: "GET", path: "/-/reload", status: http.StatusMethodNotAllowed},
		{handler: local, method: "POST", path: "/-/reload", failure: "a.yaml:1:2: no", status: http.StatusUnprocessableEntity, text: `"last_error":"a.yaml:1:2: no"`},
		{handler: local, method: "POST", path: "/-/reload", origin: "https://evil.example", status: http.StatusForbidden, text: "another site"},
		{handler: remote, method: "GET", path: "/-/config", status: http.StatusForbidden, text: "loopback"},
		{handler: remote, method: "POST", path: "/-/reload", status: http.StatusForbidden, text: "SIGHUP"},
		{handler: fixed, method: "POST", path: "/-/reload", status: http.StatusNotFound},
	} {
		failure = nil
		if test.failure != "" {
			failure = errors.New(test.failure)
		}
		request := httptest.NewRequestWithContext(t.Context(), test.method, test.path, nil)
		request.Host = "127.0.0.1:9080"
		if test.origin != "" {
			request.Header.Set("Origin", test.origin)
		}
		recorder := httptest.NewRecorder()
		test.handler.ServeHTTP(recorder, request)
		if recorder.Code != test.status || !strings.Contains(recorder.Body.String(), test.text) {
			t.Errorf("%s %s: %d %s, want %d %q", test.method, test.path, recorder.Code, recorder.Body, test.status, test.text)
		}
	}
}
