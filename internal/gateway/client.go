// This file is the command line's way to the API: of a running gateway, or else, with the ledger opened here, of the very
// same handlers in this process.

package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/config/password"
	"github.com/afterchat/afterchat/internal/console"
	"github.com/afterchat/afterchat/internal/ledger"
)

// What the API takes and gives.
type (
	// Delivery is one line of a list of deliveries.
	Delivery = console.Delivery
	// DeliveryDetail is a delivery with its attempts.
	DeliveryDetail = console.DeliveryDetail
	// RenderedDelivery is what a delivery would send, or what an attempt of it has sent.
	RenderedDelivery = console.RenderedDelivery
	// DeliveryList is one page of them.
	DeliveryList = console.List[console.Delivery]
	// Failure is a group of deliveries that failed alike.
	Failure = console.Failure
	// FailureList are all of them.
	FailureList = console.List[console.Failure]
	// Role is what somebody may do.
	Role = console.Role
	// ReplayJob is a replay job.
	ReplayJob = console.Job
	// ReplayJobList is one page of them.
	ReplayJobList = console.List[console.Job]
	// NewReplay asks for a replay job.
	NewReplay = console.NewReplay
	// DryRun is what a replay job would replay.
	DryRun = console.DryRun
	// Decoded is what became of an imported hook.
	Decoded = console.Decoded
)

// The states of a replay job.
const (
	JobRunning   = ledger.JobRunning
	JobDone      = ledger.JobDone
	JobCancelled = ledger.JobCancelled
)

// Roles that a request may need.
const (
	Viewer   = console.Viewer
	Operator = console.Operator
	Admin    = console.Admin
)

// ProblemError is what the API says to a request that it does not fulfil.
type ProblemError struct{ console.Problem }

// Error is what is wrong and what can be done about it.
func (e *ProblemError) Error() string {
	var out strings.Builder
	out.WriteString(e.Detail)
	if e.Detail == "" {
		out.WriteString(e.Title)
	}
	if e.Hint != "" && len(e.Mistakes) == 0 {
		out.WriteString("; " + e.Hint)
	}
	for _, m := range e.Mistakes {
		_, _ = fmt.Fprintf(&out, "\n  %d:%d: %s", m.Line, m.Column, m.Text)
		if m.Hint != "" {
			out.WriteString("; " + m.Hint)
		}
	}
	return out.String()
}

// API asks a gateway.
type API struct {
	// Here: no gateway runs, and the ledger is open in this process. Deliveries go out when a gateway runs.
	Here bool

	base, token string
	client      *http.Client
	close       func() error
}

// reachTimeout is how long a gateway may take to let us connect.
const reachTimeout = 3 * time.Second

// OpenAPI returns a way to the API of a configuration's gateway at base, such as http://127.0.0.1:9080; if none runs there,
// it opens the ledger. token is sent along; "" takes the first of admin.tokens that has the role need. Close ends it.
func OpenAPI(ctx context.Context, cfg *config.Config, o Options, base, token string, need console.Role) (*API, error) {
	a := &API{base: base, client: &http.Client{}, close: func() error { return nil }}
	var err error
	if a.client.Transport, err = AdminTransport(cfg); err != nil {
		return nil, err
	}
	a.token = tokenFor(cfg, token, need)
	switch err := a.reach(ctx); {
	case err == nil:
		return a, nil
	case !errors.Is(err, ErrNotRunning):
		return nil, err
	}
	if _, err := os.Stat(cfg.LedgerFile()); need < Admin && !cfg.Ledger.URL.Shared() && errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no gateway answers at %s, and there is no ledger %s; start one with afterchat serve, or say with --url where it is", base, cfg.LedgerFile())
	}
	return openHere(ctx, cfg, o, base)
}

// RemoteAPI returns a way to the API of a gateway somewhere, at base. token may be "".
func RemoteAPI(ctx context.Context, base, token string) (*API, error) {
	at, err := url.Parse(base)
	if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" {
		return nil, fmt.Errorf("%q is no address of a gateway; write one such as https://console.example.com", base)
	}
	a := &API{base: strings.TrimRight(base, "/"), token: token, client: &http.Client{}, close: func() error { return nil }}
	if err := a.reach(ctx); err != nil {
		return nil, fmt.Errorf("at %s: %w", a.base, withoutURL(err))
	}
	return a, nil
}

// tokenFor is the token to send: the given one, else the first of the configuration that has a role, else "".
func tokenFor(cfg *config.Config, given string, need console.Role) string {
	if i := slices.IndexFunc(cfg.Admin.Tokens, func(t config.Token) bool { return console.ParseRole(t.Role) >= need }); i >= 0 && given == "" {
		return cfg.Admin.Tokens[i].Token.Reveal()
	}
	return given
}

// reach tells whether a gateway listens.
func (a *API) reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+"/healthz", nil)
	if err != nil {
		return err
	}
	response, err := a.client.Do(request)
	if err != nil {
		return notRunning(err)
	}
	return response.Body.Close()
}

// notRunning makes ErrNotRunning of an error that says that nobody listens.
func notRunning(err error) error {
	if dial, ok := errors.AsType[*net.OpError](err); ok && dial.Op == "dial" {
		return ErrNotRunning
	}
	return err
}

// openHere opens the ledger and has replay jobs run while the API is used.
func openHere(ctx context.Context, cfg *config.Config, o Options, base string) (*API, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	g := New(cfg, o)
	g.here = true
	if err := g.openLedger(ctx); err != nil {
		if errors.Is(err, ledger.ErrLocked) {
			err = fmt.Errorf("%w; a gateway seems to run, but none answers at %s: is that its admin.listen?", err, base)
		}
		return nil, err
	}
	if err := g.begin(ctx, time.Now()); err != nil {
		return nil, errors.Join(err, g.ledger.Close())
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	var work sync.WaitGroup
	work.Go(func() { g.runReplays(running) })
	return &API{
		Here: true, base: "http://localhost", client: &http.Client{Transport: inProcess{g.console()}},
		close: func() error {
			stop()
			work.Wait()
			return g.ledger.Close()
		},
	}, nil
}

// Close ends what OpenAPI has begun.
func (a *API) Close() error { return a.close() }

// inProcess answers requests with a handler.
type inProcess struct{ http.Handler }

// RoundTrip implements http.RoundTripper.
func (h inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	request := r.Clone(r.Context())
	request.Host, request.RequestURI = r.URL.Host, r.URL.RequestURI()
	if request.Body == nil {
		request.Body = http.NoBody
	}
	w := &answerWriter{header: http.Header{}, status: http.StatusOK}
	h.ServeHTTP(w, request)
	return &http.Response{
		StatusCode: w.status, Status: fmt.Sprintf("%d %s", w.status, http.StatusText(w.status)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.header, Body: io.NopCloser(&w.body), ContentLength: int64(w.body.Len()), Request: r,
	}, nil
}

// answerWriter keeps an answer.
type answerWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (w *answerWriter) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *answerWriter) WriteHeader(status int) { w.status = status }

// Write implements http.ResponseWriter.
func (w *answerWriter) Write(p []byte) (int, error) { return w.body.Write(p) }

// Get reads a path below /api/v1 into out.
func (a *API) Get(ctx context.Context, path string, query url.Values, out any) error {
	return a.do(ctx, http.MethodGet, path, query, "", nil, out)
}

// Post sends in as JSON, nil for nothing, and reads the answer into out.
func (a *API) Post(ctx context.Context, path string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	return a.do(ctx, http.MethodPost, path, nil, "application/json", body, out)
}

// Send sends a body as it is.
func (a *API) Send(ctx context.Context, path string, query url.Values, contentType string, body []byte, out any) error {
	return a.do(ctx, http.MethodPost, path, query, contentType, body, out)
}

func (a *API) do(ctx context.Context, method, path string, query url.Values, contentType string, body []byte, out any) error {
	address := a.base + "/api/v1" + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if contentType != "" {
		request.Header.Set("Content-Type", contentType)
	}
	if a.token != "" {
		request.Header.Set("Authorization", "Bearer "+a.token)
	}
	response, err := a.client.Do(request)
	if err != nil {
		return fmt.Errorf("asking the gateway at %s: %w", a.base, withoutURL(err))
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("asking the gateway at %s: %w", a.base, err)
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		e := &ProblemError{}
		if json.Unmarshal(text, &e.Problem) != nil || e.Status == 0 {
			return fmt.Errorf("the gateway at %s answers %s: %s", a.base, response.Status, strings.TrimSpace(string(text)))
		}
		if e.Status == http.StatusUnauthorized {
			e.Hint += "; the command line takes its token from AFTERCHAT_TOKEN"
		}
		return e
	}
	if out == nil || len(text) == 0 {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("the gateway at %s answers what cannot be read: %w", a.base, err)
	}
	return nil
}

// AdminTransport is a transport to a configuration's own admin listener, which trusts its own certificate; nil for the
// usual one.
func AdminTransport(cfg *config.Config) (http.RoundTripper, error) {
	files := cfg.AdminTLSFiles()
	if files == nil {
		return nil, nil //nolint:nilnil // http.Client reads it so
	}
	trust, err := trustOwn(files.CertFile)
	if err != nil {
		return nil, fmt.Errorf("admin.tls: %w", err)
	}
	return &http.Transport{TLSClientConfig: trust}, nil
}

// LeastPassword is how many characters the password of the console needs.
const LeastPassword = password.Least

// HashPassword makes a value of admin.password.
func HashPassword(text string) string { return password.Hash(text) }

// UnknownNames says which targets and sources a search names that neither the configuration nor the ledger knows, and
// which routes are not in the configuration.
func UnknownNames(ctx context.Context, a *API, search string) []string {
	f, err := console.ParseQuery(search, time.Now())
	if err != nil || !console.NeedsNames(f) {
		return nil // the API has told of the mistake
	}
	var targets console.List[console.Target]
	var sources console.List[console.Source]
	var routes console.List[console.Route]
	if a.Get(ctx, "/targets", nil, &targets) != nil || a.Get(ctx, "/sources", nil, &sources) != nil || a.Get(ctx, "/routes", nil, &routes) != nil {
		return nil // it is a hint only
	}
	var known console.KnownNames
	for _, t := range targets.Items {
		known.Targets = append(known.Targets, t.Name)
	}
	for _, s := range sources.Items {
		known.Sources = append(known.Sources, s.Name)
	}
	for _, r := range routes.Items {
		known.Routes = append(known.Routes, r.Name)
	}
	return console.UnknownNames(f, known)
}

// SearchHelp says in lines what can be searched for.
func SearchHelp() string { return console.SearchHelp() }
