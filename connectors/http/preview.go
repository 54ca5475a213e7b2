// This file shows what a push would send.

package http

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/rest"
)

// Preview implements connectors.Previewer. The url's own path and query show as ***, for incoming webhooks carry their
// key there; what a mapping adds is shown.
func (t *target) Preview(rec connectors.Record) (connectors.Preview, error) {
	lookup := t.settings.Once == "lookup" && t.settings.Method != http.MethodGet
	h := &rest.Rehearsal{Masked: t.masked(), Answer: func(r *connectors.Request) (int, string) {
		r.URL = t.shown(r.URL)
		r.Reads = r.Method == http.MethodGet && lookup
		if r.Reads {
			r.Note = "a look-up before a repeated attempt; what follows is sent when it finds nothing"
			return http.StatusNoContent, ""
		}
		return t.usual(), "{}"
	}}
	own := *t
	own.log = slog.New(slog.DiscardHandler)
	own.rest = rest.New(connectors.Env{Transport: h, Logger: own.log}, rest.Options{Authorize: t.authorize})
	_, err := own.Push(context.Background(), rec)
	return connectors.Preview{Requests: h.Requests, NotSent: t.notSent(rec, h.Requests)}, err
}

// usual is a status that means success.
func (t *target) usual() int {
	for _, status := range t.settings.Success {
		if code, err := strconv.Atoi(string(status)); err == nil {
			return code
		}
		if code, err := strconv.Atoi(string(status[0]) + "00"); err == nil {
			return code
		}
	}
	return http.StatusOK
}

// masked names the headers that hold a secret or a signature.
func (t *target) masked() []string {
	names := slices.Collect(maps.Keys(t.settings.Headers))
	if a := t.settings.Auth; a != nil && a.HMAC != nil {
		names = append(names, "Webhook-Signature", "Webhook-Timestamp")
		if a.HMAC.Header != "" {
			names = append(names, a.HMAC.Header)
		}
	}
	return names
}

// shown is an address made by address, without what the url setting holds besides scheme and host.
func (t *target) shown(full string) string {
	u, err := url.Parse(full)
	if err != nil {
		return secret.Mask
	}
	out := u.Scheme + "://" + u.Host
	own := strings.TrimSuffix(t.base.EscapedPath(), "/")
	if own != "" {
		out += "/" + secret.Mask
	}
	out += strings.TrimPrefix(u.EscapedPath(), own)
	query := u.RawQuery
	if t.base.RawQuery != "" {
		query = secret.Mask + strings.TrimPrefix(query, t.base.RawQuery)
	}
	if query != "" {
		out += "?" + query
	}
	return out
}

// notSent says why mapped fields are not in the requests.
func (t *target) notSent(rec connectors.Record, requests []connectors.Request) []connectors.NotSent {
	var out []connectors.NotSent
	add := func(field, why string) {
		if _, mapped := rec.Fields[field]; mapped {
			out = append(out, connectors.NotSent{Field: field, Why: why})
		}
	}
	if t.settings.Method == http.MethodGet {
		add("body", "GET sends no body")
	}
	if !slices.ContainsFunc(requests, func(r connectors.Request) bool { return r.Reads }) {
		add("lookup", "looks before a repeated attempt only")
	}
	if rec.Prior.ID == "" {
		add("update", "for a conversation that the target holds already")
	}
	return out
}
