// Package intake answers the hooks of chat platforms: authentication, limits, acknowledgement. A 200 means that the
// hook is on disk.
//
// This file declares the handler and walks one hook through it. The senders fire once, so nothing authentic is turned
// away that can be stored: what no decoder understands goes to quarantine.
package intake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/metrics"
	"github.com/afterchat/afterchat/internal/source"
	"github.com/afterchat/afterchat/internal/trace"
)

// Ledger is what intake needs of a ledger. When a method returns nil, what it was given is on disk.
type Ledger interface {
	Accept(ctx context.Context, h ledger.Hook) (ledger.Acceptance, error)
	Quarantine(ctx context.Context, u ledger.Unreadable) (ledger.Quarantined, error)
}

// Planner says which targets get a conversation. It is pure and fast.
type Planner func(c *chat.Conversation) ledger.Plan

// Redactor returns what may be stored of a conversation, or nil if all of it may be. It is pure.
type Redactor func(c *chat.Conversation) *chat.Conversation

// RedactedType is the content type of what is kept in place of a body: the conversation that was decoded from it, as JSON,
// without what the configuration removes before anything is stored.
const RedactedType = "application/vnd.afterchat.conversation+json"

// Source is one source, ready to answer.
type Source struct {
	Name, Brand string
	Path        string   // without a trailing slash
	Secrets     []Digest // of the last part of the path; empty: the path has no secret part
	Basic       *Basic
	Signature   *Signature
	Allow       []netip.Prefix // empty: any address
	Decoder     source.Decoder
}

// Options are what a Handler is made of.
type Options struct {
	Sources     []Source
	Ledger      Ledger
	Plan        Planner
	Redact      Redactor // nil: conversations are stored as they came
	Logger      *slog.Logger
	Metrics     *metrics.Metrics
	Traces      *trace.Traces  // nil: none
	MaxBody     int64          // bytes, inflated
	MaxInFlight int64          // bytes of bodies in memory at once
	Proxies     []netip.Prefix // whose X-Forwarded-For is believed
	// CommitTimeout is how long the ledger may take before the answer is 503; 0 means 10 s.
	CommitTimeout time.Duration
}

// RetryAfter is what a 503 asks for, in seconds.
const RetryAfter = "30"

// Handler answers hooks. It is made by New and safe for concurrent use.
type Handler struct {
	Options
	echo    *echo.Echo
	sources map[string]*Source
	budget  *budget

	strangers *quota // of log lines
}

// New makes a Handler.
func New(o Options) *Handler {
	if o.CommitTimeout == 0 {
		o.CommitTimeout = 10 * time.Second
	}
	h := &Handler{Options: o, echo: echo.New(), sources: make(map[string]*Source, len(o.Sources)), budget: &budget{}, strangers: &quota{}}
	for i := range h.Sources {
		h.sources[h.Sources[i].Path] = &h.Sources[i]
	}
	h.echo.IPExtractor = addressExtractor(o.Proxies)
	h.echo.HTTPErrorHandler = func(err error, c echo.Context) {
		// The router itself has nothing to say: every path comes to hook.
		h.Logger.Error("hook.failed", "error", err)
		_ = c.JSONBlob(http.StatusInternalServerError, answerBody("internal error"))
	}
	h.echo.RouteNotFound("/*", h.hook) // every path and method, those that HTTP does not know among them
	return h
}

// Successor makes the handler that takes over from h, which finishes what it has begun. Both count against one
// MaxInFlight.
func (h *Handler) Successor(o Options) *Handler {
	next := New(o)
	next.budget, next.strangers = h.budget, h.strangers
	return next
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.echo.ServeHTTP(w, r) }

// hook answers one request: who is it for, may it, what is in it, store it.
func (h *Handler) hook(c echo.Context) error {
	start := time.Now()
	src, match := h.authenticate(c.Request().URL.Path)
	if !match {
		return h.stranger(c, src)
	}
	if refused := h.admit(c, src); refused != nil {
		return h.reject(c, src, *refused)
	}
	span := h.begin(c, src, start)
	defer func() { span.End(c.Response().Status) }()
	r := c.Request()
	if r.Method != http.MethodPost {
		return h.probe(c, src)
	}
	memory := &share{of: h.budget, limit: h.MaxInFlight}
	defer memory.release()
	body, refused := h.read(c.Response(), r, memory)
	if refused != nil {
		return h.reject(c, src, *refused)
	}
	if src.Signature != nil && !src.Signature.verify(r.Header, body) {
		return h.reject(c, src, refusal{status: http.StatusUnauthorized, result: "unauthorized", text: "wrong signature"})
	}
	plain, err := inflate(body, r.Header.Get("Content-Encoding"), h.MaxBody, memory)
	switch {
	case errors.Is(err, errTooLarge):
		return h.reject(c, src, tooLarge)
	case errors.Is(err, errBusy):
		return h.reject(c, src, busy)
	}
	if err == nil && isProbe(plain) {
		return h.probe(c, src)
	}
	hook := source.Hook{Body: plain, ContentType: r.Header.Get("Content-Type"), ReceivedAt: start.UTC()}
	if err != nil {
		hook.Body = body
		return h.quarantine(c, src, hook, err.Error())
	}
	decoded, err := h.decode(src, hook)
	if err != nil {
		return h.quarantine(c, src, hook, err.Error())
	}
	return h.accept(c, src, hook, decoded)
}

// begin begins the span of a hook. Who is not let in has none: anybody could fill the queue of spans, or name a parent.
func (h *Handler) begin(c echo.Context, src *Source, at time.Time) trace.Hook {
	if h.Traces == nil {
		return trace.Hook{}
	}
	route := src.Path
	if len(src.Secrets) > 0 {
		route += "/{secret}"
	}
	ctx, span := h.Traces.Hook(c.Request(), src.Name, route, at)
	c.SetRequest(c.Request().WithContext(ctx))
	return span
}

// count says what the hook turned out to be.
func (h *Handler) count(c echo.Context, src *Source, result string) {
	h.Metrics.Hook(src.Name, result)
	trace.HookOf(c.Request().Context()).Result(result)
}

// decode runs the decoder. A panic in it is our mistake, so the body is kept like one that cannot be read.
func (h *Handler) decode(src *Source, hook source.Hook) (_ *source.Decoded, err error) {
	defer func() {
		if p := recover(); p != nil {
			h.Logger.Error("decoder.panic", "source", src.Name, "panic", p, "stack", string(debug.Stack()))
			err = &source.Error{Reason: "the decoder failed on this body", Hint: "please report it; " + source.Kept}
		}
	}()
	decoded, err := src.Decoder.Decode(hook)
	return &decoded, err
}

func (h *Handler) accept(c echo.Context, src *Source, hook source.Hook, decoded *source.Decoded) error {
	conversation := &decoded.Conversation
	conversation.Source, conversation.Brand, conversation.ReceivedAt = src.Name, src.Brand, hook.ReceivedAt
	conversation.Normalize()
	conversation.Revision = 1
	if err := h.redact(conversation, &hook); err != nil {
		return h.unavailable(c, src, err)
	}
	plan := h.Plan(conversation)
	span := trace.HookOf(c.Request().Context())
	ctx, cancel := h.commitContext(c)
	defer cancel()
	acceptance, err := h.Ledger.Accept(ctx, ledger.Hook{
		Raw: hook.Body, ContentType: hook.ContentType, Conversation: *conversation,
		Session: decoded.Session, SessionWindow: decoded.SessionWindow,
		Plan: func(id string, revision int) ledger.Plan {
			span.Planned(id)
			return h.planAs(conversation, id, revision, plan)
		},
	})
	if err != nil {
		return h.unavailable(c, src, err)
	}
	span.Stored(acceptance.ID, acceptance.Revision)
	if acceptance.Revision == 1 && (acceptance.Result == ledger.Accepted || acceptance.Result == ledger.Unrouted) {
		h.Metrics.Conversation(conversation)
	}
	h.Logger.Info("hook", "source", src.Name, "result", string(acceptance.Result), "conversation", acceptance.ID,
		"revision", acceptance.Revision, "targets", strings.Join(acceptance.Targets, ","),
		"bytes", len(hook.Body), "ms", milliseconds(time.Since(hook.ReceivedAt)))
	return h.ok(c, src, hook, string(acceptance.Result), answerOK)
}

// redact removes from a conversation what must not be stored, and with it the body as it was sent: a number in it can be
// written in more ways than a pattern finds, and a field that is dropped may stand in it anywhere. From here on nothing
// knows what was removed: repeats and revisions are told apart by what is left, and no digest of the rest is kept.
func (h *Handler) redact(conversation *chat.Conversation, hook *source.Hook) error {
	if h.Redact == nil {
		return nil
	}
	clean := h.Redact(conversation)
	if clean == nil {
		return nil
	}
	kept := *clean
	kept.ReceivedAt = time.Time{} // the ledger has it; without it a repeat has the same bytes
	body, err := json.Marshal(&kept)
	if err != nil {
		return fmt.Errorf("writing the redacted conversation: %w", err)
	}
	*conversation = *clean
	hook.Body, hook.ContentType = body, RedactedType
	return nil
}

// planAs returns the plan for the id and revision that the ledger found: first unless they are not what first was
// made for.
func (h *Handler) planAs(c *chat.Conversation, id string, revision int, first ledger.Plan) ledger.Plan {
	if c.ID == id && c.Revision == revision {
		return first
	}
	found := *c
	found.ID, found.Revision = id, revision
	return h.Plan(&found)
}

func (h *Handler) quarantine(c echo.Context, src *Source, hook source.Hook, reason string) error {
	ctx, cancel := h.commitContext(c)
	defer cancel()
	kept, err := h.Ledger.Quarantine(ctx, ledger.Unreadable{
		Source: src.Name, Raw: hook.Body, ContentType: hook.ContentType, Reason: reason, ReceivedAt: hook.ReceivedAt,
	})
	if err != nil {
		return h.unavailable(c, src, err)
	}
	h.Logger.Warn("hook", "source", src.Name, "result", "quarantined", "quarantine", kept.ID, "repeat", kept.Repeat,
		"reason", reason, "bytes", len(hook.Body), "ms", milliseconds(time.Since(hook.ReceivedAt)))
	return h.ok(c, src, hook, "quarantined", answerQuarantined(reason))
}

// commitContext outlives the sender: what has been read is stored even if the sender hangs up.
func (h *Handler) commitContext(c echo.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(c.Request().Context()), h.CommitTimeout)
}

func (h *Handler) ok(c echo.Context, src *Source, hook source.Hook, result string, body []byte) error {
	h.count(c, src, result)
	h.Metrics.Acked(time.Since(hook.ReceivedAt))
	return c.JSONBlob(http.StatusOK, body)
}

// probe answers a connection check. Nothing is stored.
func (h *Handler) probe(c echo.Context, src *Source) error {
	h.Logger.Info("hook", "source", src.Name, "result", "probe", "method", c.Request().Method)
	h.count(c, src, "probe")
	return c.JSONBlob(http.StatusOK, answerOK)
}

func (h *Handler) unavailable(c echo.Context, src *Source, err error) error {
	return h.reject(c, src, refusal{status: http.StatusServiceUnavailable, result: "unavailable", text: "cannot store now, send it again", err: err})
}

// stranger answers a request without the right secret, with the same 404 whatever is wrong. src is the source whose path
// it is, nil for a path of none. The path is not logged, for it may hold a secret that is nearly right; what is logged
// is bounded, for anybody can send such requests.
func (h *Handler) stranger(c echo.Context, src *Source) error {
	name, reason := "", "the path is of no source"
	if src != nil {
		name, reason = src.Name, "wrong secret in the path"
		h.Metrics.Hook(src.Name, "unauthorized")
	}
	if more, ok := h.strangers.next(time.Now()); ok {
		h.Logger.Warn("hook", "source", name, "result", "unauthorized", "status", http.StatusNotFound, "reason", reason,
			"ip", c.RealIP(), "method", c.Request().Method, "unlogged", more,
			"hint", "compare the address that is entered at the chat platform with path and secret of the source")
	}
	return c.JSONBlob(http.StatusNotFound, answerBody("not found"))
}

// reject answers a hook that was not taken. Each is worth an operator's eye, for the sender will not come back.
func (h *Handler) reject(c echo.Context, src *Source, r refusal) error {
	h.count(c, src, r.result)
	level := slog.LevelError
	if r.result == "unauthorized" {
		level = slog.LevelWarn
	}
	attributes := []slog.Attr{
		slog.String("source", src.Name), slog.String("result", r.result), slog.Int("status", r.status),
		slog.String("reason", r.text), slog.String("ip", c.RealIP()),
	}
	if r.err != nil {
		attributes = append(attributes, slog.String("error", r.err.Error()))
	}
	h.Logger.LogAttrs(c.Request().Context(), level, "hook", attributes...)
	header := c.Response().Header()
	switch r.status {
	case http.StatusServiceUnavailable:
		header.Set("Retry-After", RetryAfter)
	case http.StatusMethodNotAllowed:
		header.Set("Allow", "GET, HEAD, POST")
	case http.StatusUnauthorized:
		if src.Basic != nil {
			header.Set("WWW-Authenticate", `Basic realm="afterchat"`)
		}
	case http.StatusRequestEntityTooLarge, http.StatusRequestTimeout:
		header.Set("Connection", "close")
	}
	return c.JSONBlob(r.status, answerBody(r.text))
}

// addressExtractor believes X-Forwarded-For only from the named proxies. Echo's default believes it from anybody.
func addressExtractor(proxies []netip.Prefix) echo.IPExtractor {
	if len(proxies) == 0 {
		return echo.ExtractIPDirect()
	}
	trust := []echo.TrustOption{echo.TrustLoopback(false), echo.TrustLinkLocal(false), echo.TrustPrivateNet(false)}
	for _, p := range proxies {
		trust = append(trust, echo.TrustIPRange(&net.IPNet{IP: p.Masked().Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}))
	}
	return echo.ExtractIPFromXFFHeader(trust...)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
