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
