// Package console is the admin listener: /metrics, /healthz, /readyz and, when enabled, /debug/pprof. It is apart from
// the listener for hooks, so that neither can be reached by the way of the other.
package console

import (
	"context"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/afterchat/afterchat/internal/metrics"
)

// Options are what the admin listener shows.
type Options struct {
	Metrics *metrics.Metrics
	// Ready returns nil while hooks can be taken, else why not in words for an operator.
	Ready func(ctx context.Context) error
	Pprof bool
}

// readyTimeout bounds the question whether the ledger can commit; a probe that hangs tells an orchestrator nothing.
const readyTimeout = 5 * time.Second

// New makes the handler of the admin listener.
func New(o Options) http.Handler {
	e := echo.New()
	e.IPExtractor = echo.ExtractIPDirect()
	e.GET("/metrics", echo.WrapHandler(promhttp.HandlerFor(o.Metrics.Registry(), promhttp.HandlerOpts{EnableOpenMetrics: true})))
	e.GET("/healthz", func(c echo.Context) error { return c.String(http.StatusOK, "ok\n") })
	e.GET("/readyz", func(c echo.Context) error {
		ctx, cancel := context.WithTimeout(c.Request().Context(), readyTimeout)
		defer cancel()
		if err := o.Ready(ctx); err != nil {
			return c.String(http.StatusServiceUnavailable, err.Error()+"\n")
		}
		return c.String(http.StatusOK, "ready\n")
	})
	if o.Pprof {
		e.GET("/debug/pprof/cmdline", echo.WrapHandler(http.HandlerFunc(pprof.Cmdline)))
		e.GET("/debug/pprof/profile", echo.WrapHandler(http.HandlerFunc(pprof.Profile)))
		e.GET("/debug/pprof/symbol", echo.WrapHandler(http.HandlerFunc(pprof.Symbol)))
		e.GET("/debug/pprof/trace", echo.WrapHandler(http.HandlerFunc(pprof.Trace)))
		e.GET("/debug/pprof/*", echo.WrapHandler(http.HandlerFunc(pprof.Index)))
	}
	return e
}
