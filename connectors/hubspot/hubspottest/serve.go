// This file serves the API: who is let in, which request goes where.

package hubspottest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	version = "2026-09"
	stamp   = "2026-11-21T10:00:00.000Z"
)

func (a *Account) routes() *http.ServeMux {
	mux := http.NewServeMux()
	root := "/crm/objects/" + version + "/{kind}"
	for pattern, h := range map[string]func(http.ResponseWriter, *http.Request, any){
		"GET " + root:                                                   a.list,
		"POST " + root:                                                  a.create,
		"PATCH " + root + "/{id}":                                       a.patch,
		"DELETE " + root + "/{id}":                                      a.remove,
		"POST " + root + "/batch/upsert":                                a.upsert,
		"POST " + root + "/batch/read":                                  a.read,
		"POST " + root + "/search":                                      a.search,
		"PUT " + root + "/{id}/associations/default/{to}/{toID}":        a.associate,
		"POST /crm/associations/" + version + "/{kind}/{to}/batch/read": a.associations,
		"GET /crm/pipelines/" + version + "/tickets":                    a.pipelines,
		"GET /crm/properties/" + version + "/{kind}/{name}":             a.property,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			body, ok := a.accept(pattern, w, r)
			if !ok {
				return
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			h(w, r, body)
		})
	}
	return mux
}

// ServeHTTP implements http.Handler.
func (a *Account) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := a.take()
	if f == ResetBefore {
		a.note(r, "")
		a.broken(f, w, r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	a.note(r, string(body))
	if f != None {
		a.broken(f, w, r)
		return
	}
	a.mux.ServeHTTP(w, r)
}

func (a *Account) note(r *http.Request, body string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests = append(a.requests, Request{Method: r.Method, Path: r.URL.RequestURI(), Body: body, Step: step(r)})
}

// step names a request for tables.
func step(r *http.Request) string {
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/crm/"), "/")
	switch {
	case len(parts) < 3:
		return r.Method + " " + r.URL.Path
	case parts[0] == "associations":
		return parts[2] + " notes"
	case parts[0] != "objects":
		return parts[0]
	case parts[len(parts)-1] == "upsert", parts[len(parts)-1] == "search":
		return parts[2] + " " + parts[len(parts)-1]
	case strings.HasSuffix(r.URL.Path, "/batch/read"):
		return parts[2] + " read"
	case strings.Contains(r.URL.Path, "/associations/"):
		return parts[2] + " tie"
	}
	return parts[2] + " " + map[string]string{"GET": "list", "POST": "create", "PATCH": "update", "DELETE": "archive"}[r.Method]
}

// accept lets a request in, checks it against the description, and returns its body.
func (a *Account) accept(pattern string, w http.ResponseWriter, r *http.Request) (any, bool) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, false
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if no := a.letIn(pattern, r); no != nil {
		no.write(w)
		return nil, false
	}
	if no := a.limited(w); no {
		return nil, false
	}
	body, wrong := describe(pattern, r, text)
	if wrong != "" {
		wrong = step(r) + ": " + wrong
		a.mistakes = append(a.mistakes, wrong)
		(&refusal{status: http.StatusBadRequest, category: "VALIDATION_ERROR", message: "Invalid input JSON: " + wrong}).write(w)
		return nil, false
	}
	return body, true
}

func (a *Account) letIn(pattern string, r *http.Request) *refusal {
	if a.Token != "" && r.Header.Get("Authorization") != "Bearer "+a.Token {
		return &refusal{status: http.StatusUnauthorized, category: "INVALID_AUTHENTICATION", message: "Authentication credentials not found."}
	}
	if a.expired {
		return &refusal{status: http.StatusUnauthorized, category: "EXPIRED_AUTHENTICATION", message: "The token used to make this call expired."}
	}
	if a.Scopes == nil {
		return nil
	}
	need := "crm.objects.contacts.read"
	switch writes := r.Method != http.MethodGet && !strings.HasSuffix(pattern, "read") && !strings.HasSuffix(pattern, "search"); {
	case r.PathValue("kind") == "tickets" || strings.Contains(pattern, "/tickets"):
		need = "tickets"
	case writes:
		need = "crm.objects.contacts.write"
	}
	if slices.Contains(a.Scopes, need) {
		return nil
	}
	return &refusal{
		status: http.StatusForbidden, category: "MISSING_SCOPES",
		message: "This app hasn't been granted all required scopes to make this call.",
		details: []map[string]any{{"message": "One or more of the following scopes are required.", "context": map[string]any{"requiredGranularScopes": []string{need}}}},
	}
}

// limited counts the request against the limits and answers it if it is over one.
func (a *Account) limited(w http.ResponseWriter) bool {
	now := time.Now
	if a.Now != nil {
		now = a.Now
	}
	at := now()
	recent := 0
	for _, hit := range a.hits {
		if at.Sub(hit) < 10*time.Second {
			recent++
		}
	}
	policy := ""
	switch {
	case a.PerDay > 0 && len(a.hits) >= a.PerDay:
		policy = "DAILY"
	case a.PerTenSecs > 0 && recent >= a.PerTenSecs:
		policy = "TEN_SECONDLY_ROLLING"
	}
	if policy != "" {
		reply(w, http.StatusTooManyRequests, map[string]any{
			"status": "error", "message": "You have reached your " + strings.ToLower(policy) + " limit.",
			"errorType": "RATE_LIMIT", "policyName": policy, "correlationId": "c033cdaa-2c40-4a64-ae48-b4cec88dad24",
		})
		return true
	}
	if a.PerDay > 0 || a.PerTenSecs > 0 {
		a.hits = append(a.hits, at)
	}
	return false
}

func (a *Account) pipelines(w http.ResponseWriter, _ *http.Request, _ any) {
	stages := []any{}
	for i, label := range []string{"New", "Waiting on contact", "Waiting on us", "Closed"} {
		stages = append(stages, map[string]any{"id": fmt.Sprint(i + 1), "label": label, "displayOrder": i})
	}
	reply(w, http.StatusOK, map[string]any{"results": []any{map[string]any{"id": "0", "label": "Support Pipeline", "displayOrder": 0, "stages": stages}}})
}

func (a *Account) property(w http.ResponseWriter, r *http.Request, _ any) {
	name := r.PathValue("name")
	kind := r.PathValue("kind")
	if !slices.Contains(a.known[kind], name) && !slices.Contains(a.computed, name) {
		(&refusal{status: http.StatusNotFound, category: "OBJECT_NOT_FOUND", message: "Property does not exist"}).write(w)
		return
	}
	reply(w, http.StatusOK, map[string]any{
		"name": name, "type": "string", "fieldType": "text", "hasUniqueValue": kind == "tickets" && a.unique[name], "archived": false,
		"modificationMetadata": map[string]any{"archivable": true, "readOnlyDefinition": true, "readOnlyValue": slices.Contains(a.computed, name)},
	})
}

// shown is an object as the API gives it, with the properties that were asked for.
func shown(o *Object, wanted []string) map[string]any {
	properties := map[string]any{"hs_object_id": o.ID, "createdate": stamp}
	for _, name := range wanted {
		properties[name] = nil
		if value, ok := o.Properties[name]; ok {
			properties[name] = value
		}
	}
	return map[string]any{
		"id": o.ID, "properties": properties, "createdAt": stamp, "updatedAt": stamp, "archived": o.Archived,
		"url": "https://app.hubspot.com/contacts/1/record/" + o.Kind + "/" + o.ID,
	}
}

func batch(results []any, errs []any) map[string]any {
	out := map[string]any{"status": "COMPLETE", "results": results, "startedAt": stamp, "completedAt": stamp}
	if len(errs) > 0 {
		out["numErrors"], out["errors"] = len(errs), errs
	}
	return out
}

func notFound(id string) any {
	return map[string]any{
		"status": "error", "category": "OBJECT_NOT_FOUND", "message": "Could not get some objects, they may be deleted or not exist.",
		"context": map[string]any{"ids": []string{id}}, "errors": []any{}, "links": map[string]any{},
	}
}

// texts turns what JSON holds into a map or list of text; the description has checked the types.
func texts(v any) map[string]string {
	out := map[string]string{}
	values, _ := v.(map[string]any)
	for name, value := range values {
		out[name], _ = value.(string)
	}
	return out
}

func list(v any) []string {
	var out []string
	items, _ := v.([]any)
	for _, item := range items {
		text, _ := item.(string)
		out = append(out, text)
	}
	return out
}

func inputs(body any) []map[string]any {
	fields, _ := body.(map[string]any)
	items, _ := fields["inputs"].([]any)
	var out []map[string]any
	for _, item := range items {
		fields, _ := item.(map[string]any)
		out = append(out, fields)
	}
	return out
}

func decode(text []byte) (any, error) {
	var out any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&out); err != nil {
		return nil, err
	}
	return out, nil
}
