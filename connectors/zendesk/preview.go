// This file shows what a push would send.

package zendesk

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/rest"
)

// What stands in for what only Zendesk can give.
const (
	standInUser   = 1
	standInTicket = 2
	standInUpload = "TOKEN"
)

// Preview implements connectors.Previewer.
func (t *target) Preview(rec connectors.Record) (connectors.Preview, error) {
	h := &rest.Rehearsal{Answer: usualAnswer}
	own := *t
	own.log = slog.New(slog.DiscardHandler)
	own.api = newAPI(t.settings, connectors.Env{Transport: h, Logger: own.log})
	if own.api.tokens != nil {
		later := time.Now().Add(time.Hour)
		own.api.tokens.set(grant{token: secret.Mask, renew: later, expire: later})
	}
	own.users = newUsers(own.api)
	_, err := own.Push(context.Background(), rec)
	return connectors.Preview{Requests: h.Requests, NotSent: t.notSent(rec, h.Requests)}, err
}

// usualAnswer is what an account answers that knows nobody and holds nothing.
func usualAnswer(r *connectors.Request) (int, string) {
	u, err := url.Parse(r.URL)
	if err != nil {
		return http.StatusNotFound, ""
	}
	switch path := u.Path; {
	case strings.HasSuffix(path, "/comments"):
		return http.StatusOK, `{"comments":[],"meta":{"has_more":false}}`
	case r.Method == http.MethodGet && strings.HasSuffix(path, "/users/search"):
		r.Note = "a look-up; what follows is sent when it finds nobody. A user that was found stays known for an hour"
		return http.StatusOK, `{"users":[]}`
	case r.Method == http.MethodGet:
		r.Note = "a look-up; what follows is sent when it finds no ticket"
		return http.StatusOK, `{"tickets":[]}`
	case strings.HasSuffix(path, "/create_or_update"):
		r.Note = "only if there is no such user; below, " + strconv.Itoa(standInUser) + " stands for the user's id"
		return http.StatusOK, `{"user":{"id":` + strconv.Itoa(standInUser) + `}}`
	case strings.HasSuffix(path, "/uploads"):
		r.Note = "the transcript is longer than a comment may be; below, " + standInUpload + " stands for the upload"
		return http.StatusCreated, `{"upload":{"token":"` + standInUpload + `"}}`
	}
	return http.StatusOK, `{"ticket":{"id":` + strconv.Itoa(standInTicket) + `}}`
}

// notSent says why mapped fields are not in the requests.
func (t *target) notSent(rec connectors.Record, requests []connectors.Request) []connectors.NotSent {
	var out []connectors.NotSent
	add := func(field, why string) {
		if v, mapped := rec.Fields[field]; mapped && v != nil && v != "" {
			out = append(out, connectors.NotSent{Field: field, Why: why})
		}
	}
	uploaded := false
	for _, r := range requests {
		uploaded = uploaded || strings.Contains(r.URL, "/api/v2/uploads")
	}
	if requester, ok := rec.Fields["requester"].(map[string]any); ok && strings.TrimSpace(textOf(requester["email"])) == "" {
		who := "the user of the credentials asks"
		if t.settings.FallbackRequester != nil {
			who = "the fallback_requester asks"
		}
		add("requester", "without an email "+who)
	}
	if !uploaded {
		add("attachment", "the transcript is no longer than a comment may be")
	}
	if t.settings.Mode != modeImport {
		return out
	}
	if messages, _ := rec.Fields["messages"].([]any); len(messages) > 0 {
		add("html_body", "each message becomes a comment")
	}
	if textOf(rec.Fields["status"]) != "solved" {
		add("solved_at", "the status is not solved")
	}
	return out
}
