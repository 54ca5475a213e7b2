// Package console is the admin listener: metrics and health for everybody; behind the login, or on a loopback address
// only, the API below /api/v1, the pages, reload and repair; and, when enabled, /debug/pprof. It is apart from the
// listener for hooks, so that neither can be reached by the way of the other.
//
// This file says what it is made of and which paths there are.
package console

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/metrics"
	"github.com/afterchat/afterchat/internal/pipeline"
)

// Options are what the admin listener shows and changes. A function that is nil stands for something that this process
// cannot do; whoever asks for it is told so.
type Options struct {
	Version string
	Started time.Time
	Logger  *slog.Logger // nil: no log
	Metrics *metrics.Metrics
	// Ready returns nil while hooks can be taken, else why not in words for an operator.
	Ready func(ctx context.Context) error
	Pprof bool
	// Access says who is let in. It is asked for each request; nil lets nobody in.
	Access func() Access
	// Ledger is what the API reads and changes; nil: there is no API.
	Ledger Ledger
	// Config says which configuration is in force, ConfigText writes it with secrets as ***.
	Config     func() Config
	ConfigText func() (string, error)
	// Reload puts the configuration as it is on disk in force, or says why not.
	Reload func(ctx context.Context) error
	// Repair takes what can be read of a damaged ledger that was set aside into the one in use.
	Repair Repair
	// Targets and Sources are those of the configuration in force, with what the process knows of them; the console adds
	// what the ledger knows.
	Targets func(stats ledger.Stats) []Target
	Sources func() []Source
	// Alerts are what should not last; nil: nobody looks.
	Alerts func(ctx context.Context, stats ledger.Stats) []Alert
	Gateway
}

// Gateway is what the running process can do, by function. Their errors of type *InputError, *MistakesError and
// *UnavailableError, and those of package ledger, are told to whoever asked.
type Gateway struct {
	// Pause, Resume: who and why stand in the pause. Probe returns what the target says.
	Pause  func(ctx context.Context, target, reason string) error
	Resume func(ctx context.Context, target, reason string) error
	Probe  func(ctx context.Context, target string) error
	// Plan routes a conversation with today's configuration.
	Plan func(c *chat.Conversation) ledger.Plan
	// Render says what a delivery would send of a conversation; pinned: with the configuration of its newest attempt, or
	// that it was accepted under.
	Render func(ctx context.Context, d ledger.DeliveryRow, c chat.Conversation, pinned bool) (Rendered, error)
	// RenderAttempt says what an attempt of a delivery has sent of the revision c that it was of; today: what today's
	// configuration would have sent in its place.
	RenderAttempt func(ctx context.Context, d ledger.DeliveryRow, a ledger.Attempt, c chat.Conversation, today bool) (Rendered, error)
	// Decide says what today's routes make of a conversation, and why.
	Decide func(c *chat.Conversation) pipeline.Explanation
	// Routes are the routes in force, in their order.
	Routes func() []Route
	// Samples are the hooks that the tests of the configuration in force are made with.
	Samples func() []Sample
	// RoutesText is the YAML of the routes in force, as they are written in the file; "" if there are none.
	RoutesText func() (string, error)
	// Try runs the tests of the configuration in force.
	Try func(ctx context.Context) []Trial
	// Explain says what a hook would become. Nothing is sent.
	Explain func(ctx context.Context, e Explain) (*Explained, error)
	// Take takes a stored hook as if it had just come in.
	Take func(ctx context.Context, h StoredHook) (Decoded, error)
	// Select returns a condition on conversations in the language of routes.
	Select func(when string) (func(c *chat.Conversation) (bool, error), error)
	// Replayed is told of a new replay job, which somebody else steps.
	Replayed func(job ledger.ReplayJob)
}

// StoredHook is the body of a hook that came some time ago.
type StoredHook struct {
	Source, ContentType string
	Body                []byte
	ReceivedAt          time.Time
	Only                string // target that alone gets it; "": those of the routes
	Released            bool   // it comes out of quarantine
}

// Config is the answer of /-/config and of /-/reload.
type Config struct {
	Hash string `json:"hash"` // of routes, lookups and redactions: what the ledger keeps them under
	// EffectiveHash is that of everything, secrets included: another one means that a change has arrived.
	EffectiveHash string    `json:"effective_hash,omitempty"`
	LoadedAt      time.Time `json:"loaded_at"`
	// LastError is why the files as they are now are not in force; "": they are.
	LastError string `json:"last_error,omitempty"`
	// NeedsRestart are keys whose values in the files need a restart.
	NeedsRestart []string `json:"needs_restart,omitempty"`
}

// console is one admin listener.
type console struct {
	Options
	echo  *echo.Echo
	csrf  *http.CrossOriginProtection
	tries tries
}

// readyTimeout bounds the question whether the ledger can commit; a probe that hangs tells an orchestrator nothing.
const readyTimeout = 5 * time.Second

// New makes the handler of the admin listener.
func New(o Options) http.Handler {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c := &console{Options: o, echo: echo.New(), csrf: http.NewCrossOriginProtection()}
	c.echo.IPExtractor = echo.ExtractIPDirect()
	c.echo.HTTPErrorHandler = c.fail
	c.open()
	if o.Config != nil {
		c.echo.GET("/-/config", c.guarded(Viewer, func(e echo.Context, _ Person) error { return e.JSON(http.StatusOK, o.Config()) }))
	}
	if o.Reload != nil && o.Config != nil {
		c.echo.POST("/-/reload", c.guarded(Admin, c.reload))
	}
	if o.Repair != nil {
		c.echo.POST("/-/ledger/repair", c.guarded(Admin, c.repair))
	}
	if o.Ledger != nil {
		c.api()
		c.pages()
		c.echo.POST("/login", c.secured(c.logIn))
		c.echo.POST("/logout", c.secured(c.logOut))
	}
	return c.echo
}

// open adds what needs no login.
func (c *console) open() {
	e := c.echo
	e.GET("/metrics", echo.WrapHandler(promhttp.HandlerFor(c.Metrics.Registry(), promhttp.HandlerOpts{EnableOpenMetrics: true})))
	e.GET("/healthz", func(e echo.Context) error { return e.String(http.StatusOK, "ok\n") })
	e.GET("/readyz", func(e echo.Context) error {
		ctx, cancel := context.WithTimeout(e.Request().Context(), readyTimeout)
		defer cancel()
		if err := c.Ready(ctx); err != nil {
			return e.String(http.StatusServiceUnavailable, err.Error()+"\n")
		}
		return e.String(http.StatusOK, "ready\n")
	})
	if c.Pprof {
		e.GET("/debug/pprof/cmdline", echo.WrapHandler(http.HandlerFunc(pprof.Cmdline)))
		e.GET("/debug/pprof/profile", echo.WrapHandler(http.HandlerFunc(pprof.Profile)))
		e.GET("/debug/pprof/symbol", echo.WrapHandler(http.HandlerFunc(pprof.Symbol)))
		e.GET("/debug/pprof/trace", echo.WrapHandler(http.HandlerFunc(pprof.Trace)))
		e.GET("/debug/pprof/*", echo.WrapHandler(http.HandlerFunc(pprof.Index)))
	}
}

func (c *console) access() Access {
	if c.Access == nil {
		return Access{}
	}
	return c.Access()
}

// policy is what a browser may do on our pages: nothing that is not from here, nothing inline.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// secured sets the headers that keep a browser to our own, and lets no page of another site change anything.
func (c *console) secured(next echo.HandlerFunc) echo.HandlerFunc {
	return func(e echo.Context) error {
		h := e.Response().Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if err := c.csrf.Check(e.Request()); err != nil {
			return &refusal{status: http.StatusForbidden, detail: "a page of another site cannot do this", hint: "ask from a page of the console, or from a program"}
		}
		return next(e)
	}
}

// guarded lets those in that have a role.
func (c *console) guarded(need Role, next func(e echo.Context, who Person) error) echo.HandlerFunc {
	return c.secured(func(e echo.Context) error {
		who, err := c.access().enter(e.Request())
		if err == nil && !who.May(need) {
			err = lacks(who, need)
		}
		if err != nil {
			return err
		}
		return next(e, who)
	})
}

// fail answers with what went wrong: a problem for programs, a sentence for everything else that is not a page.
func (c *console) fail(err error, e echo.Context) {
	if e.Response().Committed {
		return
	}
	p, known := problemOf(err)
	if !known {
		c.Logger.Error("console", "method", e.Request().Method, "path", e.Request().URL.Path, "error", err)
	}
	c.writeProblem(e, p)
}

// reload answers 200 when the configuration is in force, and 422 with the reason when the one before stays.
func (c *console) reload(e echo.Context, who Person) error {
	err := c.Reload(e.Request().Context())
	config, detail := c.Config(), "refused"
	status := http.StatusUnprocessableEntity
	if err == nil {
		status, detail = http.StatusOK, "hash "+config.Hash
	} else {
		config.LastError = err.Error()
	}
	if err := c.audit(e.Request().Context(), who, "reload", "configuration", detail); err != nil {
		return err
	}
	return e.JSON(status, config)
}

// audit writes a line into the audit log, after what it tells of was done.
func (c *console) audit(ctx context.Context, who Person, action, object, detail string) error {
	c.Logger.Info("audit", "who", who.Name, "ip", who.Address, "action", action, "object", object, "detail", detail)
	if c.Ledger == nil {
		return nil
	}
	// Whoever asked may have hung up.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyTimeout)
	defer cancel()
	return c.Ledger.Audit(ctx, ledger.Audited{
		At: time.Now().UTC(), Who: who.Name, Address: who.Address, Action: action, Object: object, Detail: detail,
	})
}
