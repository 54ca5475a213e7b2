// Package httptarget is a stateful fake of a plain HTTP API: it stores objects, honors idempotency keys, finds objects
// by a reference, and has an incoming webhook that honors nothing.
//
// This file is all of it.
package httptarget

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Target is the API. It serves:
//
//	POST      /objects                   creates; 201 {"id", "url"}; Idempotency-Key: same body → the same answer, other → 422
//	GET       /objects?external_id=REF   {"items": [{"id", "url"}]} of the objects whose body has this external_id or id
//	GET       /objects/ID                one object; 404
//	PUT PATCH /objects/ID                replaces the body; 404
//	POST      /hook/KEY                  creates, whatever was sent before; 200 "ok"
//	GET       /health                    204
//
// Use New.
type Target struct {
	// Token is the bearer token that every request but the webhook's needs. Empty: none. Set it before the first request.
	Token string

	mu      sync.Mutex
	objects []Object
	answers map[string]kept
	mux     *http.ServeMux
}

// Object is one thing that the API holds.
type Object struct {
	ID          string
	Body        string   // as last sent
	ContentType string   // of the request that created it
	Keys        []string // idempotency keys of the requests that created or updated it
	Updates     int
}

// kept is the answer to an idempotency key.
type kept struct{ request, answer string }

// New makes an empty API.
func New() *Target {
	t := &Target{answers: map[string]kept{}, mux: http.NewServeMux()}
	t.mux.HandleFunc("POST /objects", t.create)
	t.mux.HandleFunc("GET /objects", t.find)
	t.mux.HandleFunc("GET /objects/{id}", t.show)
	t.mux.HandleFunc("PUT /objects/{id}", t.replace)
	t.mux.HandleFunc("PATCH /objects/{id}", t.replace)
	t.mux.HandleFunc("POST /hook/{key}", t.hook)
	t.mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	return t
}

// Objects returns what the API holds, oldest first.
func (t *Target) Objects() []Object {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.objects)
}

// Count returns how many objects the API holds.
func (t *Target) Count() int { return len(t.Objects()) }

// ServeHTTP implements http.Handler.
func (t *Target) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if t.Token != "" && !strings.HasPrefix(r.URL.Path, "/hook/") && r.Header.Get("Authorization") != "Bearer "+t.Token {
		reply(w, http.StatusUnauthorized, map[string]any{"error": "who are you?"})
		return
	}
	t.mux.ServeHTTP(w, r)
}

func (t *Target) create(w http.ResponseWriter, r *http.Request) {
	body, ok := read(w, r)
	if !ok {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	key := r.Header.Get("Idempotency-Key")
	if old, ok := t.answers[key]; ok && key != "" {
		if old.request != body {
			reply(w, http.StatusUnprocessableEntity, map[string]any{"error": "this key was used for another request"})
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, old.answer)
		return
	}
	object := t.add(r, body, key)
	answer, _ := json.Marshal(shown(object)) // strings always encode
	t.answers[key] = kept{body, string(answer)}
	reply(w, http.StatusCreated, shown(object))
}

func (t *Target) hook(w http.ResponseWriter, r *http.Request) {
	body, ok := read(w, r)
	if !ok {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(r, body, r.Header.Get("Idempotency-Key"))
	_, _ = io.WriteString(w, "ok")
}

func (t *Target) add(r *http.Request, body, key string) Object {
	object := Object{ID: strconv.Itoa(len(t.objects) + 1), Body: body, ContentType: r.Header.Get("Content-Type"), Keys: []string{key}}
	t.objects = append(t.objects, object)
	return object
}

func (t *Target) find(w http.ResponseWriter, r *http.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	items := []any{}
	want := r.URL.Query().Get("external_id")
	for _, object := range t.objects {
		var body struct {
			ID         string `json:"id"`
			ExternalID string `json:"external_id"`
		}
		if json.Unmarshal([]byte(object.Body), &body) == nil && want != "" && (body.ExternalID == want || body.ID == want) {
			items = append(items, shown(object))
		}
	}
	reply(w, http.StatusOK, map[string]any{"items": items})
}

func (t *Target) show(w http.ResponseWriter, r *http.Request) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.index(r)
	if i < 0 {
		reply(w, http.StatusNotFound, map[string]any{"error": "no such object"})
		return
	}
	reply(w, http.StatusOK, shown(t.objects[i]))
}

func (t *Target) replace(w http.ResponseWriter, r *http.Request) {
	body, ok := read(w, r)
	if !ok {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	i := t.index(r)
	if i < 0 {
		reply(w, http.StatusNotFound, map[string]any{"error": "no such object"})
		return
	}
	object := &t.objects[i]
	object.Body, object.Updates = body, object.Updates+1
	object.Keys = append(slices.Clone(object.Keys), r.Header.Get("Idempotency-Key"))
	reply(w, http.StatusOK, shown(*object))
}

func (t *Target) index(r *http.Request) int {
	return slices.IndexFunc(t.objects, func(o Object) bool { return o.ID == r.PathValue("id") })
}

func shown(o Object) map[string]any {
	return map[string]any{"id": o.ID, "url": fmt.Sprintf("https://api.example/objects/%s", o.ID)}
}

func read(w http.ResponseWriter, r *http.Request) (string, bool) {
	body, err := io.ReadAll(r.Body)
	if err == nil && strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") && !json.Valid(body) {
		err = fmt.Errorf("the body is not JSON")
	}
	if err != nil {
		reply(w, http.StatusBadRequest, map[string]any{"error": err.Error()})
		return "", false
	}
	return string(body), true
}

func reply(w http.ResponseWriter, status int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
