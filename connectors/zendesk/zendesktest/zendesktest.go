// Package zendesktest is a stateful fake of a Zendesk Support account: tickets, comments, users, uploads, OAuth clients
// with tokens that expire, idempotency keys that are forgotten after two hours, rate limits, and a user search that lags
// behind.
//
// It checks every request against a description of its own, which knows each property by name, because Zendesk ignores
// properties that it does not know. This file holds the account and who is let in.
package zendesktest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Account is the account. Use New; set the exported fields before the first request.
type Account struct {
	ClientID, ClientSecret string        // of the OAuth client; "": none
	Email, APIToken        string        // legacy credentials; "": none
	Scope                  string        // what a token gets; "": what was asked for
	TokenLife              time.Duration // of an access token; 0: an hour
	TokenPrefix            string        // of access tokens, so that a test can look for leaks
	KeyLife                time.Duration // of an idempotency key; 0: two hours
	SearchLag              time.Duration // until the user search finds a new user
	Role                   string        // of the user of the credentials; "": admin
	Limit                  int           // requests a minute; 0: any number
	Now                    func() time.Time

	// Check is called with each request and its body before anything else; its error is kept as a problem.
	Check func(r *http.Request, body []byte) error

	mu       sync.Mutex
	mux      *http.ServeMux
	tickets  []*Ticket
	users    []*User
	uploads  map[string]*Upload
	keys     map[string]kept
	tokens   map[string]time.Time
	issued   int
	window   time.Time
	used     int
	ids      map[string]bool // brands/1, groups/2, ticket_forms/3, ticket_fields/4
	steps    []string
	problems []string
	broken   *broken
}

// Ticket is one ticket with its comments, oldest first.
type Ticket struct {
	ID         int64
	Status     string
	ExternalID string
	CreatedAt  time.Time
	Deleted    bool
	Imported   bool
	Requester  int64
	Tags       []string
	Values     map[string]any // every other property as sent
	Comments   []Comment
	FollowUpOf int64
}

// Comment is one comment.
type Comment struct {
	Author    int64
	Public    bool
	HTML      string
	CreatedAt time.Time
	Files     []Upload
}

// User is one user.
type User struct {
	ID                int64
	Name, Email, Role string
	CreatedAt         time.Time
	Writes            int
}

// Upload is one attachment.
type Upload struct {
	Name, Type, Content string
	used                bool
}

// kept is the answer to an idempotency key.
type kept struct {
	at      time.Time
	request string
	status  int
	answer  string
}

// Me is the id of the user of the credentials.
const Me = 1

// New makes an account with nothing but the user of the credentials.
func New() *Account {
	a := &Account{
		Now: time.Now, mux: http.NewServeMux(), uploads: map[string]*Upload{}, keys: map[string]kept{},
		tokens: map[string]time.Time{}, ids: map[string]bool{},
	}
	for pattern, serve := range map[string]func(http.ResponseWriter, *http.Request, request){
		"GET /api/v2/users/me":                a.me,
		"GET /api/v2/users/search":            a.searchUsers,
		"GET /api/v2/users/{id}":              a.showUser,
		"POST /api/v2/users/create_or_update": a.createOrUpdateUser,
		"GET /api/v2/tickets":                 a.listTickets,
		"POST /api/v2/tickets":                a.createTicket,
		"POST /api/v2/imports/tickets":        a.importTicket,
		"PUT /api/v2/tickets/{id}":            a.updateTicket,
		"PUT /api/v2/tickets/{id}/tags":       a.addTags,
		"GET /api/v2/tickets/{id}/comments":   a.listComments,
		"POST /api/v2/uploads":                a.upload,
		"GET /api/v2/{kind}/{id}":             a.showOther,
	} {
		a.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { a.authorized(w, r, serve) })
	}
	a.mux.HandleFunc("POST /oauth/tokens", a.token)
	return a
}

// request is what was sent, already read.
type request struct {
	body []byte
	json map[string]any
}

// ServeHTTP implements http.Handler.
func (a *Account) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.mux.ServeHTTP(w, r)
}

func (a *Account) authorized(w http.ResponseWriter, r *http.Request, serve func(http.ResponseWriter, *http.Request, request)) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		refuse(w, http.StatusBadRequest, "InvalidBody", err.Error())
		return
	}
	if !a.known(r) {
		if r.URL.Path == "/api/v2/users/me" {
			reply(w, http.StatusOK, map[string]any{"user": map[string]any{"id": nil, "name": "Anonymous user", "role": "end-user"}})
			return
		}
		refuse(w, http.StatusUnauthorized, "Couldn't authenticate you", "")
		return
	}
	if a.throttled(w) {
		return
	}
	if a.Check != nil {
		if err := a.Check(r, body); err != nil {
			a.problem("%s %s: %v", r.Method, r.URL.Path, err)
		}
	}
	in := request{body: body}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(body, &in.json); err != nil {
			refuse(w, http.StatusUnprocessableEntity, "Unprocessable Entity", "the body is not JSON")
			return
		}
	}
	if problem := describe(r, in.json); problem != "" {
		a.problem("%s %s: %s", r.Method, r.URL.Path, problem)
		refuse(w, http.StatusBadRequest, "Description", problem)
		return
	}
	serve(w, r, in)
}

// known tells whether a request carries good credentials.
func (a *Account) known(r *http.Request) bool {
	kind, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch kind {
	case "Bearer":
		return a.tokens[value].After(a.Now())
	case "Basic":
		want := base64.StdEncoding.EncodeToString([]byte(a.Email + "/token:" + a.APIToken))
		return a.APIToken != "" && value == want
	}
	return false
}

// throttled applies the account's limit, as Zendesk does for each minute.
func (a *Account) throttled(w http.ResponseWriter) bool {
	if a.Limit == 0 {
		return false
	}
	now := a.Now()
	if now.Sub(a.window) >= time.Minute {
		a.window, a.used = now, 0
	}
	a.used++
	left := a.Limit - a.used
	w.Header().Set("X-Rate-Limit", strconv.Itoa(a.Limit))
	w.Header().Set("X-Rate-Limit-Remaining", strconv.Itoa(max(left, 0)))
	if left >= 0 {
		return false
	}
	w.Header().Set("Retry-After", strconv.Itoa(int((time.Minute-now.Sub(a.window)).Seconds())+1))
	refuse(w, http.StatusTooManyRequests, "APIRateLimitExceeded", "Number of allowed API requests per minute exceeded")
	return true
}

func (a *Account) token(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var in map[string]any
	if json.Unmarshal(body, &in) != nil {
		refuse(w, http.StatusBadRequest, "invalid_request", "no JSON")
		return
	}
	if problem := object(in, tokenRequest, ""); problem != "" {
		a.problem("POST /oauth/tokens: %s", problem)
	}
	if in["grant_type"] != "client_credentials" {
		refuse(w, http.StatusBadRequest, "unsupported_grant_type", "the grant type is not supported")
		return
	}
	if a.ClientID == "" || in["client_id"] != a.ClientID || in["client_secret"] != a.ClientSecret {
		refuse(w, http.StatusUnauthorized, "invalid_client", "Client authentication failed")
		return
	}
	life := a.TokenLife
	if life == 0 {
		life = time.Hour
	}
	scope := a.Scope
	if scope == "" {
		scope, _ = in["scope"].(string)
	}
	a.issued++
	text := fmt.Sprintf("%stoken-%d", a.TokenPrefix, a.issued)
	a.tokens[text] = a.Now().Add(life)
	reply(w, http.StatusOK, map[string]any{"access_token": text, "token_type": "bearer", "scope": scope, "expires_in": int(life.Seconds())})
}

// Revoke ends every access token.
func (a *Account) Revoke() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.tokens)
}

// Issued tells how many access tokens were issued.
func (a *Account) Issued() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.issued
}

// Grant makes an access token good for a time.
func (a *Account) Grant(token string, life time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tokens[token] = a.Now().Add(life)
}

// Have makes ids exist: brands/1, groups/2, ticket_forms/3, ticket_fields/4.
func (a *Account) Have(ids ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range ids {
		a.ids[id] = true
	}
}

// AddUser makes a user that the search finds at once.
func (a *Account) AddUser(u User) {
	a.mu.Lock()
	defer a.mu.Unlock()
	u.CreatedAt = a.Now().Add(-a.SearchLag)
	a.users = append(a.users, &u)
}

// Close closes a ticket, so that it takes no change any more.
func (a *Account) Close(id int64) { a.edit(id, func(t *Ticket) { t.Status = "closed" }) }

// Delete deletes a ticket.
func (a *Account) Delete(id int64) { a.edit(id, func(t *Ticket) { t.Deleted = true }) }

// Edit changes a ticket as an agent would.
func (a *Account) Edit(id int64, change func(*Ticket)) { a.edit(id, change) }

func (a *Account) edit(id int64, change func(*Ticket)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if t := a.find(id); t != nil {
		change(t)
	}
}

// Tickets returns copies of the tickets that are not deleted, oldest first.
func (a *Account) Tickets() []Ticket {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []Ticket
	for _, t := range a.tickets {
		if !t.Deleted {
			c := *t
			c.Comments, c.Tags = slices.Clone(t.Comments), slices.Clone(t.Tags)
			out = append(out, c)
		}
	}
	return out
}

// Count returns how many tickets there are.
func (a *Account) Count() int { return len(a.Tickets()) }

// Users returns copies of the users, without the one of the credentials.
func (a *Account) Users() []User {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []User
	for _, u := range a.users {
		out = append(out, *u)
	}
	return out
}

// Problems returns what was wrong with requests by the description or by Check.
func (a *Account) Problems() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.problems)
}

func (a *Account) problem(format string, args ...any) {
	a.problems = append(a.problems, fmt.Sprintf(format, args...))
}

func (a *Account) find(id int64) *Ticket {
	for _, t := range a.tickets {
		if t.ID == id {
			return t
		}
	}
	return nil
}

func pathID(r *http.Request) int64 {
	id, _ := strconv.ParseInt(r.PathValue("id"), 10, 64)
	return id
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status int, name, description string) {
	reply(w, status, map[string]any{"error": name, "description": description})
}

// invalid refuses a record, naming a field.
func invalid(w http.ResponseWriter, field, description string) {
	reply(w, http.StatusUnprocessableEntity, map[string]any{
		"error": "RecordInvalid", "description": "Record validation errors",
		"details": map[string]any{field: []any{map[string]any{"description": description, "error": "InvalidValue"}}},
	})
}
