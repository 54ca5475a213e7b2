// Package console is the admin listener: /metrics, /healthz, /readyz, on a loopback address
// /-/config, /-/reload and /-/ledger/repair, and, when enabled, /debug/pprof. It is apart from
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
	// Local: the listener can be reached from this machine only. There is no login yet, so what is not for everybody is
	// answered 403 elsewhere.
	Local bool
	// Config says which configuration is in force; nil: that is not shown.
	Config func() Config
	// Reload puts the configuration as it is on disk in force, or says why not; nil: there is no reload.
	Reload func(ctx context.Context) error
	// Repair takes what can be read of a damaged ledger that was set aside into the one in use; nil: it cannot be done.
	Repair Repair
}

// Config is the answer of /-/config and of /-/reload.
type Config struct {
	Hash     string    `json:"hash"` // of routes, lookups and redactions: what the ledger keeps them under
	LoadedAt time.Time `json:"loaded_at"`
	// LastError is why the files as they are now are not in force; "": they are.
	LastError string `json:"last_error,omitempty"`
	// NeedsRestart are keys whose values in the files need a restart.
	NeedsRestart []string `json:"needs_restart,omitempty"`
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
	if o.Config != nil {
		e.GET("/-/config", o.guarded(func(c echo.Context) error { return c.JSON(http.StatusOK, o.Config()) }))
	}
	if o.Reload != nil && o.Config != nil {
		e.POST("/-/reload", o.guarded(o.reload))
	}
	if o.Repair != nil {
		e.POST("/-/ledger/repair", o.guarded(o.repair))
	}
	if o.Pprof {
		e.GET("/debug/pprof/cmdline", echo.WrapHandler(http.HandlerFunc(pprof.Cmdline)))
		e.GET("/debug/pprof/profile", echo.WrapHandler(http.HandlerFunc(pprof.Profile)))
		e.GET("/debug/pprof/symbol", echo.WrapHandler(http.HandlerFunc(pprof.Symbol)))
		e.GET("/debug/pprof/trace", echo.WrapHandler(http.HandlerFunc(pprof.Trace)))
		e.GET("/debug/pprof/*", echo.WrapHandler(http.HandlerFunc(pprof.Index)))
	}
	return e
}

// reload answers 200 when the configuration is in force, and 422 with the reason when the one before stays.
func (o Options) reload(c echo.Context) error {
	if err := http.NewCrossOriginProtection().Check(c.Request()); err != nil {
		return c.String(http.StatusForbidden, "a page of another site cannot reload the configuration\n")
	}
	err := o.Reload(c.Request().Context())
	config := o.Config()
	if err != nil {
		config.LastError = err.Error()
		return c.JSON(http.StatusUnprocessableEntity, config)
	}
	return c.JSON(http.StatusOK, config)
}

// guarded lets only this machine in.
func (o Options) guarded(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if !o.Local {
			return c.String(http.StatusForbidden, "only on a loopback address, for there is no login: set admin.listen to 127.0.0.1:9080, "+
				"or reload with SIGHUP\n")
		}
		return next(c)
	}
}
