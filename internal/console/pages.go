// This file is the frame of the pages: how they are asked for, put together and answered. What they show is in the
// pages_….go beside it, how it looks in package page.

package console

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/afterchat/afterchat/internal/console/page"
	"github.com/afterchat/afterchat/internal/ledger"
)

// visit is one request for a page, let in.
type visit struct {
	request
	now      time.Time
	revealed bool // somebody has asked to see personal data, and it is in the audit log
}

// pages adds the console.
func (c *console) pages() {
	c.echo.GET("/assets/*", c.asset)
	c.echo.GET("/login", c.secured(c.askPassword))
	for path, show := range map[string]func(*visit) (page.View, error){
		"/": overviewPage, "/conversations": conversationsPage, "/conversations/:id": conversationPage, "/deliveries": deliveriesPage,
		"/failures": failuresPage, "/quarantine": quarantinePage, "/quarantine/:id": unreadablePage, "/targets": targetsPage,
		"/replays": replaysPage,
	} {
		c.echo.GET(path, c.shown(Viewer, show))
	}
	for path, show := range map[string]func(*visit) (page.View, error){
		"/replays/new": newReplayPage, "/audit": auditPage, "/configuration": configurationPage, "/playground": playgroundPage,
	} {
		c.echo.GET(path, c.shown(Operator, show))
	}
	c.echo.RouteNotFound("/*", c.shown(Viewer, func(*visit) (page.View, error) {
		return nil, &refusal{status: http.StatusNotFound, detail: "There is no such page", hint: "The pages are in the list above."}
	}))
	c.changesOfPages()
}

// shown answers with a page to those that have a role. What goes wrong is a page, too; who is not logged in is sent to
// do so.
func (c *console) shown(need Role, show func(*visit) (page.View, error)) echo.HandlerFunc {
	return func(e echo.Context) error {
		var who Person
		err := c.guarded(need, func(e echo.Context, p Person) error {
			who = p
			v := &visit{request: request{Context: e, console: c, who: who, values: e.QueryParams()}, now: time.Now().UTC()}
			view, err := show(v)
			if err != nil || view == nil { // nil: the answer is written
				return err
			}
			return v.render(http.StatusOK, view)
		})(e)
		return c.tellOnPage(e, who, err)
	}
}

// tellOnPage turns an error into a page.
func (c *console) tellOnPage(e echo.Context, who Person, err error) error {
	if err == nil || e.Response().Committed {
		return err
	}
	if r, ok := errors.AsType[*refusal](err); ok && r.login {
		return e.Redirect(http.StatusSeeOther, "/login?next="+url.QueryEscape(e.Request().URL.RequestURI()))
	}
	p, known := problemOf(err)
	if !known {
		c.Logger.Error("console", "method", e.Request().Method, "path", e.Request().URL.Path, "error", err)
	}
	v := &visit{request: request{Context: e, console: c, who: who, values: e.QueryParams()}, now: time.Now().UTC()}
	f := v.frame(p.Title, "")
	f.Static = true
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	return v.render(p.Status, page.Failed{Frame: f, Status: p.Status, Text: text, Hint: p.Hint})
}

// render writes a page; what the browser has already is not sent again.
func (v *visit) render(status int, view page.View) error {
	var body bytes.Buffer
	if err := page.Render(&body, view); err != nil {
		return err
	}
	if v.Request().Method == http.MethodGet && status == http.StatusOK {
		tag := tagOf(body.Bytes())
		v.Response().Header().Set("ETag", tag)
		if matches(v.Request().Header.Get("If-None-Match"), tag) {
			return v.NoContent(http.StatusNotModified)
		}
	}
	return v.HTMLBlob(status, body.Bytes())
}

// tagOf is the tag of a page. The time at which it was made does not count, nor what follows from that alone: the browser
// counts on by itself.
func tagOf(body []byte) string {
	sum := sha256.New()
	for len(body) > 0 {
		i := bytes.Index(body, []byte("data-now="))
		j := bytes.Index(body, []byte("</time>"))
		switch {
		case i >= 0 && (j < 0 || i < j):
			sum.Write(body[:i])
			end := bytes.IndexByte(body[i:], '>')
			body = body[i+max(end, 1):]
		case j >= 0:
			begin := bytes.LastIndexByte(body[:j], '>')
			sum.Write(body[:begin+1])
			body = body[j+1:]
		default:
			if k := bytes.LastIndex(body, []byte("<footer>")); k >= 0 {
				body = body[:k]
			}
			sum.Write(body)
			body = nil
		}
	}
	return `W/"` + base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:12]) + `"`
}

// asset answers with a file that pages refer to. Its address changes with it, so it may be kept for ever.
func (c *console) asset(e echo.Context) error {
	a, ok := page.File(e.Request().URL.Path)
	if !ok {
		return echo.ErrNotFound
	}
	h := e.Response().Header()
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", policy)
	return e.Blob(http.StatusOK, a.Type, a.Data)
}

// askPassword is the page to log in.
func (c *console) askPassword(e echo.Context) error {
	v := &visit{request: request{Context: e, console: c, values: e.QueryParams()}, now: time.Now().UTC()}
	if c.access().Password == nil {
		return e.Redirect(http.StatusSeeOther, "/")
	}
	f := page.Frame{Title: "Log in", Active: "login", Now: v.now, Version: c.Version, Static: true}
	switch e.QueryParam("error") {
	case "wrong":
		f.Problem = "That is not the password."
	case "wait":
		f.Problem = "Too many tries. Wait a minute."
	}
	return v.render(http.StatusOK, page.Login{Frame: f, Then: ownPath(e.QueryParam("next"))})
}

// frame is what every page has around its own.
func (v *visit) frame(title, active string) page.Frame {
	f := page.Frame{
		Title: title, Active: active, Now: v.now, Version: v.console.Version, Role: page.Role(max(v.who.role-Viewer, 0)), Logout: v.who.Session,
		Notice: done[v.values.Get("done")],
	}
	if v.who.Name != "local" {
		f.User = v.who.Name
	}
	return f
}

// done are the notices of what has just been done, by the word for it in the address: nothing else can be shown there.
var done = map[string]string{
	"replay": "It is due again.", "cancel": "It is canceled and can be replayed.", "drop": "It is dropped.", "route": "It is routed with the configuration of today.",
	"decode": "It is read, stored and on its way.", "released": "It is removed from quarantine.", "pause": "The target is paused.", "resume": "The target is resumed.",
	"probe": "The target answers and lets us in.", "job": "The replay has begun.", "stop": "The replay is canceled.", "reload": "The configuration is in force.",
}

// list reads what lists have in common: the filter of the address, the page, what the search box shows.
func (v *visit) list(title, active string) (page.List, ledger.Filter, ledger.Page) {
	l := page.List{Frame: v.frame(title, active), Filter: url.Values{}, First: v.values.Get("cursor") == ""}
	for name, values := range v.values {
		if name != "cursor" && name != "limit" && name != "done" && len(values) > 0 && values[0] != "" {
			l.Filter[name] = values
		}
	}
	if active != "quarantine" && active != "replays" {
		l.Fields = each(searchFields(), func(s searchField) page.Fact { return page.Fact{Name: s.name, Value: s.about()} })
	}
	l.Search = v.values.Get("q")
	f, err := filterOf(l.Filter, v.now)
	if q, ok := errors.AsType[*QueryError](err); ok {
		l.SearchE = strings.TrimSuffix(q.Text, ".") + ". " + q.Hint
	}
	p, err := v.page()
	if err != nil {
		l.SearchE = err.Error()
	}
	if l.SearchE == "" {
		l.Alarms = v.unknownNames(f)
	}
	return l, f, p
}

// facet offers the values of a field.
func (v *visit) facet(field, label string, values []string) page.Facet {
	out := page.Facet{Field: field, Label: label}
	for _, value := range values {
		out.Values = append(out.Values, page.FacetValue{Value: value, Count: -1, On: v.values.Get(field) == value})
	}
	if now := v.values.Get(field); now != "" && !slices.Contains(values, now) {
		out.Values = append(out.Values, page.FacetValue{Value: now, Count: -1, On: true})
	}
	return out
}

var stateNames = []string{"pending", "delivered", "dead", "skipped", "superseded"}

// names are the names of the targets and sources of the configuration, and of those that only the ledger knows.
func (v *visit) names(stats ledger.Stats) (targets, sources []string) {
	for _, t := range v.console.targets(stats) {
		targets = append(targets, t.Name)
	}
	for _, s := range v.console.sources(stats) {
		sources = append(sources, s.Name)
	}
	return targets, ledgerSources(sources, stats)
}
