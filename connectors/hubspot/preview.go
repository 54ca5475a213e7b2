// This file shows what a push would send.

package hubspot

import (
	"context"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/rest"
)

// standIns are what stands in for ids that only HubSpot can give, by the kind of objects.
func standIns() map[string]string {
	return map[string]string{"contacts": "1", "tickets": "2", "notes": "3"}
}

// Preview implements connectors.Previewer.
func (t *target) Preview(rec connectors.Record) (connectors.Preview, error) {
	in, err := t.read(rec)
	if err != nil {
		return connectors.Preview{}, err
	}
	h := &rest.Rehearsal{Answer: usualAnswer}
	own := *t
	own.log = slog.New(slog.DiscardHandler)
	own.rest = newClient(t.settings, connectors.Env{Transport: h, Logger: own.log})
	_, err = own.Push(context.Background(), rec)
	return connectors.Preview{Requests: h.Requests, NotSent: notSent(rec, in)}, err
}

// usualAnswer is what an account answers that knows nobody and holds nothing.
func usualAnswer(r *connectors.Request) (int, string) {
	u, err := url.Parse(r.URL)
	if err != nil {
		return http.StatusNotFound, ""
	}
	_, path, _ := strings.Cut(u.Path, objects(""))
	kind, below, _ := strings.Cut(path, "/")
	id := standIns()[kind]
	switch {
	case strings.HasSuffix(u.Path, "/batch/read"):
		r.Reads = true
		r.Note = "a look-up; what follows is sent when it finds nothing"
		return http.StatusOK, `{"results":[]}`
	case below == "batch/upsert":
		r.Note = "below, " + id + " stands for the id in the answer"
		return http.StatusOK, `{"results":[{"id":"` + id + `"}]}`
	case r.Method == http.MethodPost:
		return http.StatusCreated, `{"id":"` + id + `"}`
	case r.Method == http.MethodPatch:
		return http.StatusOK, `{"id":"` + below + `"}`
	case r.Method == http.MethodDelete:
		return http.StatusNoContent, ""
	}
	return http.StatusOK, `{"results":[]}`
}

// notSent says why mapped fields are not in the requests.
func notSent(rec connectors.Record, in content) []connectors.NotSent {
	var out []connectors.NotSent
	for _, field := range slices.Sorted(maps.Keys(rec.Fields)) {
		switch {
		case in.skipped != "":
			out = append(out, connectors.NotSent{Field: field, Why: "the conversation is skipped: " + in.skipped})
		case field == "contact" && in.shared:
			out = append(out, connectors.NotSent{Field: field, Why: "without an e-mail address it is the contact for everybody"})
		case field == "contact" && in.email == "":
			out = append(out, connectors.NotSent{Field: field, Why: "without an e-mail address there is no contact"})
		}
	}
	return out
}
