// This file is the part of Zendesk's API that afterchat calls: access tokens, tickets, comments and uploads.
// https://developer.zendesk.com/api-reference/ticketing/introduction/

package demo

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The desk's only OAuth client.
const (
	clientID     = "afterchat"
	clientSecret = "demo-secret-of-the-client"
)

const (
	maxRequest = 32 << 20 // bytes that the desk reads of a request
	maxComment = 64 << 10 // bytes of a comment's markup, exclusive
	tokenLife  = 2 * time.Hour
)

func (d *Desk) serveAPI(mux *http.ServeMux) {
	mux.HandleFunc("POST /oauth/tokens", d.grant)
	mux.HandleFunc("GET /api/v2/users/me", d.known(d.me))
	mux.HandleFunc("POST /api/v2/uploads", d.known(d.upload))
	mux.HandleFunc("GET /api/v2/tickets", d.known(d.list))
	mux.HandleFunc("POST /api/v2/tickets", d.known(d.outOfOrder(d.create)))
	mux.HandleFunc("GET /api/v2/tickets/{id}", d.known(d.show))
	mux.HandleFunc("PUT /api/v2/tickets/{id}", d.known(d.outOfOrder(d.update)))
	mux.HandleFunc("PUT /api/v2/tickets/{id}/tags", d.known(d.addTags))
	mux.HandleFunc("GET /api/v2/tickets/{id}/comments", d.known(d.comments))
}

// grant gives an access token for the client's secret.
func (d *Desk) grant(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		GrantType    string `json:"grant_type"`
		ClientID     string `json:"client_id"`
		ClientSecret string `json:"client_secret"`
		Scope        string `json:"scope"`
	}
	if !read(w, r, &asked) {
		return
	}
	if asked.GrantType != "client_credentials" || asked.ClientID != clientID || asked.ClientSecret != clientSecret {
		refuse(w, http.StatusUnauthorized, "invalid_client", "the client is not known, or its secret is wrong")
		return
	}
	token := rand.Text()
	d.mu.Lock()
	d.tokens[token] = true
	d.mu.Unlock()
	answer(w, http.StatusOK, map[string]any{
		"access_token": token, "token_type": "bearer", "scope": asked.Scope, "expires_in": int(tokenLife.Seconds()),
	})
}

// known lets requests with an access token pass.
func (d *Desk) known(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		d.mu.Lock()
		ok := d.tokens[token]
		d.mu.Unlock()
		if !ok {
			refuse(w, http.StatusUnauthorized, "invalid_token", "the access token is not known")
			return
		}
		next(w, r)
	}
}

// outOfOrder turns requests away before they do anything.
func (d *Desk) outOfOrder(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		d.requests++
		fail := d.FailEvery > 0 && d.requests%d.FailEvery == 0
		d.mu.Unlock()
		if fail {
			if d.Failed != nil {
				d.Failed()
			}
			refuse(w, http.StatusServiceUnavailable, "ServiceUnavailable", "the desk is out of order, try again")
			return
		}
		next(w, r)
	}
}

func (d *Desk) me(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{"user": map[string]any{"id": 1, "name": "afterchat", "role": "agent"}})
}

// upload keeps a file until a comment uses it.
func (d *Desk) upload(w http.ResponseWriter, r *http.Request) {
	content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	name := r.URL.Query().Get("filename")
	if err != nil || name == "" {
		refuse(w, http.StatusUnprocessableEntity, "RecordInvalid", "a file needs a name, and content that is not too long")
		return
	}
	token := rand.Text()
	d.mu.Lock()
	d.uploads[token] = File{Name: name, Content: content}
	d.mu.Unlock()
	answer(w, http.StatusCreated, map[string]any{"upload": map[string]any{"token": token}})
}

// list finds tickets by external id.
func (d *Desk) list(w http.ResponseWriter, r *http.Request) {
	wanted := r.URL.Query().Get("external_id")
	found := []any{}
	for _, t := range d.Tickets() {
		if wanted != "" && strings.EqualFold(t.ExternalID, wanted) {
			found = append(found, shown(t))
		}
	}
	if d.Looked != nil {
		d.Looked(len(found) > 0)
	}
	answer(w, http.StatusOK, map[string]any{"tickets": found, "count": len(found)})
}

// shown is a ticket as answers show it.
func shown(t Ticket) map[string]any {
	return map[string]any{
		"id": t.ID, "external_id": t.ExternalID, "subject": t.Subject, "status": t.Status, "priority": t.Priority,
		"tags": t.Tags, "created_at": t.CreatedAt.UTC().Format(time.RFC3339Nano),
	}
}

// change is what a request says of a ticket. What is absent stays.
type change struct {
	Ticket struct {
		ExternalID string   `json:"external_id"`
		Subject    string   `json:"subject"`
		Status     string   `json:"status"`
		Priority   string   `json:"priority"`
		Requester  Person   `json:"requester"`
		Tags       []string `json:"tags"`
		Comment    *struct {
			HTML    string   `json:"html_body"`
			Public  bool     `json:"public"`
			Uploads []string `json:"uploads"`
		} `json:"comment"`
	} `json:"ticket"`
}

// create makes a ticket, or shows the one that the same request has made before. A key takes one content only:
// https://developer.zendesk.com/api-reference/ticketing/introduction/#idempotency
func (d *Desk) create(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	var in change
	if err != nil || json.Unmarshal(body, &in) != nil {
		refuse(w, http.StatusBadRequest, "Bad Request", "the request is not JSON, or too long")
		return
	}
	key := r.Header.Get("Idempotency-Key")
	d.mu.Lock()
	if old, ok := d.byKey[key]; ok && key != "" {
		t := old.ticket.copied()
		d.mu.Unlock()
		if old.body != string(body) {
			refuse(w, http.StatusBadRequest, "IdempotentRequestError", "Request parameters don't match the given idempotency key")
			return
		}
		w.Header().Set("X-Idempotency-Lookup", "hit")
		answer(w, http.StatusCreated, map[string]any{"ticket": shown(t)})
		return
	}
	if in.Ticket.Subject == "" || in.Ticket.Comment == nil {
		d.mu.Unlock()
		refuse(w, http.StatusUnprocessableEntity, "RecordInvalid", "a ticket needs a subject and a comment")
		return
	}
	t := &Ticket{ID: int64(len(d.tickets) + 1), Status: "new", CreatedAt: time.Now()}
	if problem := d.apply(t, in); problem != "" {
		d.mu.Unlock()
		refuse(w, http.StatusUnprocessableEntity, "RecordInvalid", problem)
		return
	}
	d.tickets, d.byKey[key] = append(d.tickets, t), made{ticket: t, body: string(body)}
	stored := t.copied()
	d.mu.Unlock()
	if d.Received != nil {
		d.Received(stored, false)
	}
	answer(w, http.StatusCreated, map[string]any{"ticket": shown(stored)})
}

// apply makes a change, or none of it and returns what is wrong with it. The lock must be held.
func (d *Desk) apply(t *Ticket, in change) (problem string) {
	if c := in.Ticket.Comment; c != nil {
		if strings.TrimSpace(c.HTML) == "" || len(c.HTML) >= maxComment {
			return "a comment must not be blank, and is shorter than 64 KiB"
		}
		comment := Comment{HTML: c.HTML, Text: text(c.HTML), Public: c.Public, At: time.Now()}
		for _, token := range c.Uploads {
			file, ok := d.uploads[token]
			if !ok {
				return "an upload is not known, or was used before"
			}
			comment.Files = append(comment.Files, file)
		}
		for _, token := range c.Uploads {
			delete(d.uploads, token)
		}
		t.Comments = append(t.Comments, comment)
	}
	t.ExternalID = cmp.Or(in.Ticket.ExternalID, t.ExternalID)
	t.Subject = cmp.Or(in.Ticket.Subject, t.Subject)
	t.Status = cmp.Or(in.Ticket.Status, t.Status)
	t.Priority = cmp.Or(in.Ticket.Priority, t.Priority)
	t.Requester = cmp.Or(in.Ticket.Requester, t.Requester)
	if in.Ticket.Tags != nil {
		t.Tags = in.Ticket.Tags
	}
	return ""
}

// with calls do with the ticket of the path, under the lock, and answers what it returns.
func (d *Desk) with(w http.ResponseWriter, r *http.Request, do func(t *Ticket) (status int, out any)) {
	d.mu.Lock()
	n, err := strconv.Atoi(r.PathValue("id"))
	if err != nil || n < 1 || n > len(d.tickets) {
		d.mu.Unlock()
		refuse(w, http.StatusNotFound, "RecordNotFound", "Not found")
		return
	}
	status, out := do(d.tickets[n-1])
	d.mu.Unlock()
	answer(w, status, out)
}

func (d *Desk) show(w http.ResponseWriter, r *http.Request) {
	d.with(w, r, func(t *Ticket) (int, any) { return http.StatusOK, map[string]any{"ticket": shown(*t)} })
}

func (d *Desk) update(w http.ResponseWriter, r *http.Request) {
	var in change
	if !read(w, r, &in) {
		return
	}
	var changed *Ticket
	d.with(w, r, func(t *Ticket) (int, any) {
		if problem := d.apply(t, in); problem != "" {
			return http.StatusUnprocessableEntity, refusal("RecordInvalid", problem)
		}
		t.Updates++
		stored := t.copied()
		changed = &stored
		return http.StatusOK, map[string]any{"ticket": shown(stored)}
	})
	if changed != nil && d.Received != nil {
		d.Received(*changed, true)
	}
}

// addTags adds tags and removes none.
func (d *Desk) addTags(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Tags []string `json:"tags"`
	}
	if !read(w, r, &in) {
		return
	}
	d.with(w, r, func(t *Ticket) (int, any) {
		for _, tag := range in.Tags {
			if !slices.Contains(t.Tags, tag) {
				t.Tags = append(t.Tags, tag)
			}
		}
		return http.StatusOK, map[string]any{"tags": slices.Clone(t.Tags)}
	})
}

// comments shows the comments of a ticket on one page, newest first.
func (d *Desk) comments(w http.ResponseWriter, r *http.Request) {
	d.with(w, r, func(t *Ticket) (int, any) {
		list := []any{}
		for i, c := range slices.Backward(t.Comments) {
			list = append(list, map[string]any{
				"id": i + 1, "html_body": c.HTML, "plain_body": c.Text, "public": c.Public, "created_at": c.At.UTC().Format(time.RFC3339Nano),
			})
		}
		return http.StatusOK, map[string]any{"comments": list, "meta": map[string]any{"has_more": false}}
	})
}

// read decodes a request, or refuses it and returns false.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(into); err != nil {
		refuse(w, http.StatusBadRequest, "Bad Request", "the request is not JSON, or too long")
		return false
	}
	return true
}

func refusal(name, description string) map[string]string {
	return map[string]string{"error": name, "description": description}
}

func refuse(w http.ResponseWriter, status int, name, description string) {
	answer(w, status, refusal(name, description))
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
