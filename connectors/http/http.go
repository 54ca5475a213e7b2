// Package http puts conversations into any HTTP API: a webhook, a chat room, a service of one's own.
//
// This file declares the type and pushes one record.
package http

import (
	"context"
	_ "embed"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/rest"
)

//go:embed mapping.yaml
var mapping string

// alert is what incoming webhooks of chat tools take: Slack, Mattermost, Rocket.Chat and Teams show text.
// https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
// Reasons of targets stand in it, and Slack reads <!channel> as a call of everybody, so its marks are escaped.
const alert = `body: {text: '${let t = question + (len(messages) > 0 ? "\n" : "") + join(map(messages, "• " + .text), "\n"); ` +
	`replace(replace(replace(t, "&", "&amp;"), "<", "&lt;"), ">", "&gt;")}'}`

// Type declares the connector.
func Type() connectors.Type {
	return connectors.Define("http", connectors.Definition[Settings]{
		Doc:      "sends each conversation to an HTTP API, as JSON, a form or text",
		Defaults: defaults(),
		Fields:   fields,
		Once:     once,
		Mapping:  mapping,
		Alert:    alert,
		New:      open,
		Vet:      vet,
	})
}

func once(s Settings) connectors.Once {
	switch s.Once {
	case "lookup":
		return connectors.OnceLookup
	case "none":
		return connectors.OnceNone
	}
	return connectors.OnceKey
}

func fields(s Settings) []connectors.Field {
	noLookup, noUpdate, noBody := "", "", ""
	if s.Once != "lookup" {
		noLookup = "needs once: lookup"
	}
	if !s.updates() {
		noUpdate = "needs receipt.id, which says where the answer holds the id"
	}
	if s.Method == http.MethodGet && noUpdate != "" {
		noBody = "method GET sends no body"
	}
	text := &connectors.Field{Name: "value", Type: connectors.Text, Doc: "the value"}
	path := connectors.Field{
		Name: "path", Type: connectors.Any, NoGaps: true,
		Doc: "path that is appended to the url's: a text, or a list of which each item is one segment, whatever it holds",
	}
	query := connectors.Field{Name: "query", Type: connectors.Map, Items: text, Doc: "query values, added to the url's"}
	body := connectors.Field{Name: "body", Type: connectors.Any, Unused: noBody, Doc: "the body; with encoding form a map, with text a text"}
	updatePath := path
	updatePath.Doc = "path that is appended to the url's; {id} is the id from the receipt"
	lookup := connectors.Field{
		Name: "lookup", Type: connectors.Map, Required: s.Once == "lookup", Unused: noLookup,
		Doc:    "the GET request that finds what an uncertain attempt may have created; needs once: lookup",
		Fields: []connectors.Field{path, query},
	}
	updateLookup := connectors.Field{
		Name: "lookup", Type: connectors.Map, Unused: noLookup,
		Doc:    "the GET request that finds something if the target has this update already; needs once: lookup. Without it an update of which the outcome is unknown is sent again",
		Fields: []connectors.Field{updatePath, query},
	}
	update := connectors.Field{
		Name: "update", Type: connectors.Map, Unused: noUpdate,
		Doc: "the request for a conversation that the target holds already; needs receipt.id. Without it the same request is sent again under a new key, or with once: lookup nothing",
		Fields: []connectors.Field{
			{Name: "method", Type: connectors.Text, Values: []string{"PUT", "PATCH", "POST"}, Doc: "method of the update; PUT unless said"},
			updatePath,
			{Name: "body", Type: connectors.Any, Doc: "body of the update; that of the record unless said"},
			updateLookup,
		},
	}
	headers := connectors.Field{
		Name: "headers", Type: connectors.Map, Keys: token, NotKeys: s.taken(), Items: text,
		Doc: "further headers, whose names are letters, digits and hyphens; line breaks become spaces",
	}
	return []connectors.Field{body, path, query, headers, lookup, update}
}

// updates tells whether the id of what the target holds can be known, so that it can be updated.
func (s Settings) updates() bool {
	return s.Receipt.ID != "" || s.Once == "lookup" && s.Lookup.ID != ""
}

// target is one configured API.
type target struct {
	settings  Settings
	base      *url.URL
	authorize func(*http.Request, []byte) error // nil: nothing to add
	rest      *rest.Client
	log       *slog.Logger
	fake      bool // the transport is a test's, so there is nobody to connect to
}

// checkedTarget is a target with a check of its own. A plain target has none: no request to an unknown address is
// known to be harmless.
type checkedTarget struct{ *target }

func open(s Settings, env connectors.Env) (connectors.Connector, error) {
	base, err := url.Parse(s.URL.Reveal())
	if err != nil || base.Host == "" {
		return nil, errors.New("url is no valid address") // the cause would quote it
	}
	authorize, err := s.Auth.authorize()
	if err != nil {
		return nil, err
	}
	t := &target{
		settings: s, base: base, authorize: authorize, log: env.Logger, fake: env.Transport != nil,
		rest: rest.New(env, rest.Options{Authorize: authorize, Secrets: s.secrets(base)}),
	}
	if s.Check != nil {
		return checkedTarget{t}, nil
	}
	return t, nil
}

// secrets lists what must not be shown: credentials, and the parts of the address that look like keys.
func (s Settings) secrets(base *url.URL) []secret.String {
	out := append(s.Auth.secrets(), s.URL)
	for _, value := range s.Headers {
		out = append(out, value)
	}
	for part := range strings.SplitSeq(base.Path, "/") {
		if len(part) >= 16 || (len(part) >= 6 && strings.ContainsAny(part, "0123456789")) {
			out = append(out, secret.New(part))
		}
	}
	for _, values := range base.Query() {
		for _, value := range values {
			out = append(out, secret.New(value))
		}
	}
	return out
}

// Push sends the record, or the update for what the target holds already. With once: lookup it looks first when an
// earlier attempt may have been taken.
func (t *target) Push(ctx context.Context, rec connectors.Record) (connectors.Receipt, error) {
	prior := rec.Prior
	update, hasUpdate := rec.Fields["update"].(map[string]any)
	if t.settings.Once == "lookup" && (rec.Uncertain || rec.Revision > 1 && prior.IsZero()) {
		var done bool
		var err error
		if prior, done, err = t.look(ctx, rec, update); done || err != nil {
			return prior, err
		}
	}
	switch {
	case hasUpdate && prior.ID != "":
		return t.update(ctx, rec, update, prior)
	case t.settings.Once == "lookup" && !prior.IsZero():
		return prior, nil // one object, and no update is mapped
	}
	return t.create(ctx, rec)
}

func (t *target) create(ctx context.Context, rec connectors.Record) (connectors.Receipt, error) {
	query, _ := rec.Fields["query"].(map[string]any)
	to, err := address(t.base, rec.Fields["path"], query, "")
	if err != nil {
		return connectors.Receipt{}, err
	}
	req, err := t.request(rec, t.settings.Method, to, rec.Fields["body"])
	if err != nil {
		return connectors.Receipt{}, err
	}
	answer, err := t.send(ctx, req)
	if err != nil {
		return connectors.Receipt{}, err
	}
	return t.receipt(answer, t.settings.Receipt, rec.Prior), nil
}

func (t *target) update(ctx context.Context, rec connectors.Record, update map[string]any, prior connectors.Receipt) (connectors.Receipt, error) {
	query, _ := rec.Fields["query"].(map[string]any)
	to, err := address(t.base, update["path"], query, prior.ID)
	if err != nil {
		return prior, err
	}
	method, _ := update["method"].(string)
	if method == "" {
		method = http.MethodPut
	}
	body, ok := update["body"]
	if !ok {
		body = rec.Fields["body"]
	}
	req, err := t.request(rec, method, to, body)
	if err != nil {
		return prior, err
	}
	req.Object = true
	answer, err := t.send(ctx, req)
	if err != nil {
		return prior, err
	}
	return t.receipt(answer, t.settings.Receipt, prior), nil
}

// request builds what create and update have in common.
func (t *target) request(rec connectors.Record, method, to string, body any) (rest.Request, error) {
	header := t.header(rec.Request)
	if t.settings.Once == "key" {
		header.Set(t.settings.KeyHeader, rec.Request)
	}
	mapped, _ := rec.Fields["headers"].(map[string]any)
	if err := t.setHeaders(header, mapped); err != nil {
		return rest.Request{}, err
	}
	req := rest.Request{Method: method, URL: to, Header: header}
	if body == nil || method == http.MethodGet {
		return req, nil
	}
	content, kind, err := encode(t.settings.Encoding, body)
	if err != nil {
		return rest.Request{}, rejected(err, "correct body in the mapping, or encoding")
	}
	req.Body = content
	if header.Get("Content-Type") == "" {
		header.Set("Content-Type", kind)
	}
	return req, nil
}

// header returns the headers of every request.
func (t *target) header(id string) http.Header {
	header := http.Header{"Accept": {"application/json"}}
	for name, value := range t.settings.Headers {
		header.Set(name, value.Reveal())
	}
	if a := t.settings.Auth; a != nil && a.HMAC != nil && a.HMAC.Header == "" {
		header.Set(idHeader, id)
	}
	return header
}

// send applies success and reject to the answer; everything else is as rest says.
func (t *target) send(ctx context.Context, req rest.Request) (*rest.Response, error) {
	answer, err := t.rest.Do(ctx, req)
	if answer == nil {
		return nil, err
	}
	switch {
	case has(t.settings.Success, answer.Status):
		return answer, nil
	case has(t.settings.Reject, answer.Status):
		return nil, t.unwanted(answer, err)
	case err == nil:
		return nil, t.unexpected(answer)
	}
	e := *connectors.Classify(err)
	if answer.Status == http.StatusConflict {
		e.Hint = "if the target means that it has this record already, add 409 to success"
	}
	return nil, &e
}

// Check sends the configured request.
func (t checkedTarget) Check(ctx context.Context) error {
	to, err := address(t.base, t.settings.Check.Path, nil, "")
	if err != nil {
		return err
	}
	method := t.settings.Check.Method
	if method == "" {
		method = http.MethodGet
	}
	_, err = t.rest.Do(ctx, rest.Request{Method: method, URL: to, Header: t.header("check")})
	return err
}
