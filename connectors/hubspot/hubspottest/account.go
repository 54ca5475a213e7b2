// Package hubspottest is a stateful fake of a HubSpot account: contacts, tickets, notes and what ties them, unique
// properties, a search that lags behind, tokens that expire, limits of requests, and faults at any request.
//
// It checks every request against a description of its own, for HubSpot's lets misspelt names pass.
//
// This file holds the account: what is in it, and what a test may set up and look at.
package hubspottest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Object is a contact, a ticket or a note.
type Object struct {
	ID         string
	Kind       string // contacts, tickets, notes
	Properties map[string]string
	Archived   bool
	Updates    int
}

// Request is one request that was served, faults included.
type Request struct {
	Method, Path, Body string
	Step               string // what it is about, such as "notes create"
}

// Account is the account. It is an http.Handler that serves the API below /crm. Use New.
type Account struct {
	// Set these before the first request.

	Token        string           // that is let in; "": none is asked for
	Scopes       []string         // of the token; nil: all
	RefuseUpsert bool             // contacts cannot be upserted by e-mail, as in some accounts
	PageSize     int              // of associations; 0: 100
	PerTenSecs   int              // requests in 10 seconds; 0: no limit
	PerDay       int              // requests in a day; 0: no limit
	Now          func() time.Time // clock of the limits; nil: real
	Rule         func(kind string, properties map[string]string) string

	mu       sync.Mutex
	next     int
	objects  []*Object
	ties     map[string][]string // "contacts/101/notes" to ids, in the order in which they were made
	indexed  map[string]bool     // ids that the search knows
	unique   map[string]bool     // unique properties of tickets
	known    map[string][]string // properties by kind
	computed []string            // properties of every kind that HubSpot sets by itself
	expired  bool
	requests []Request
	mistakes []string
	hits     []time.Time
	fault    fault
	fired    int // faults so far
	stalled  chan struct{}
	mux      *http.ServeMux
}

// New makes an empty account with the ticket pipeline 0 and its stages 1 to 4. Tickets have the unique property
// afterchat_conversation_id.
func New() *Account {
	a := &Account{
		next: 100, ties: map[string][]string{}, indexed: map[string]bool{},
		unique: map[string]bool{"afterchat_conversation_id": true},
		known: map[string][]string{
			"contacts": {"email", "firstname", "lastname", "phone", "company", "hs_language"},
			"tickets":  {"subject", "content", "hs_pipeline", "hs_pipeline_stage", "hs_ticket_priority", "hubspot_owner_id", "afterchat_conversation_id"},
			"notes":    {"hs_note_body", "hs_timestamp", "hubspot_owner_id", "hs_attachment_ids"},
		},
		computed: []string{"createdate", "hs_object_id"},
		stalled:  make(chan struct{}, 64),
	}
	a.mux = a.routes()
	return a
}

// Add puts an object into the account and returns its id. The search knows it.
func (a *Account) Add(kind string, properties map[string]string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	o := a.add(kind, properties)
	a.indexed[o.ID] = true
	return o.ID
}

// Tie associates two objects.
func (a *Account) Tie(kind, id, toKind, to string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.tie(kind, id, toKind, to)
}

// Archive deletes an object, as a person would.
func (a *Account) Archive(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, o := range a.objects {
		if o.ID == id {
			o.Archived = true
		}
	}
}

// Index lets the search know everything that is there.
func (a *Account) Index() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, o := range a.objects {
		a.indexed[o.ID] = true
	}
}

// Expire makes the token invalid.
func (a *Account) Expire() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.expired = true
}

// Remove takes a property of tickets away; with keep it is only not unique any more.
func (a *Account) Remove(property string, keep bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.unique, property)
	if !keep {
		a.known["tickets"] = slices.DeleteFunc(a.known["tickets"], func(name string) bool { return name == property })
	}
}

// Objects returns the objects of a kind that are not archived, in the order in which they were made.
func (a *Account) Objects(kind string) []Object {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []Object
	for _, o := range a.objects {
		if o.Kind == kind && !o.Archived {
			copied := *o
			copied.Properties = maps.Clone(o.Properties)
			out = append(out, copied)
		}
	}
	return out
}

// Tied returns the ids of the objects of a kind that an object is associated with.
func (a *Account) Tied(kind, id, toKind string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.ties[kind+"/"+id+"/"+toKind])
}

// Requests returns what was asked so far.
func (a *Account) Requests() []Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.requests)
}

// Mistakes returns what was wrong with requests by the description; none is expected, ever.
func (a *Account) Mistakes() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.mistakes)
}

// Twice names what is in the account twice: contacts by e-mail, tickets by unique property, notes by marker. A note
// that nothing is tied to is named, too.
func (a *Account) Twice() []string {
	seen := map[string]int{}
	for _, o := range a.Objects("contacts") {
		seen["contact "+strings.ToLower(o.Properties["email"])]++
	}
	for _, o := range a.Objects("tickets") {
		seen["ticket "+o.Properties["afterchat_conversation_id"]]++
	}
	for _, o := range a.Objects("notes") {
		seen["note "+markerOf(o.Properties["hs_note_body"])]++
		if len(a.Tied("notes", o.ID, "contacts"))+len(a.Tied("notes", o.ID, "tickets")) == 0 {
			seen["note that is tied to nothing: "+o.ID] += 2
		}
	}
	var out []string
	for _, what := range slices.Sorted(maps.Keys(seen)) {
		if seen[what] > 1 {
			out = append(out, what)
		}
	}
	return out
}

// markerOf is the last line of a note without the number of parts, whatever markup is around it.
func markerOf(body string) string {
	_, text, _ := strings.Cut(body[max(0, strings.LastIndex(body, "afterchat:")):], "afterchat:")
	text, _, _ = strings.Cut(text, "<")
	text, _, _ = strings.Cut(text, "/")
	return strings.TrimSpace(text)
}

// Count returns how many notes there are, and all that is there twice besides.
func (a *Account) Count() int { return len(a.Objects("notes")) + len(a.Twice()) }

// The following need the lock.

func (a *Account) add(kind string, properties map[string]string) *Object {
	a.next++
	o := &Object{ID: strconv.Itoa(a.next), Kind: kind, Properties: maps.Clone(properties)}
	a.objects = append(a.objects, o)
	return o
}

func (a *Account) tie(kind, id, toKind, to string) {
	for _, end := range [][2]string{{kind + "/" + id + "/" + toKind, to}, {toKind + "/" + to + "/" + kind, id}} {
		if !slices.Contains(a.ties[end[0]], end[1]) {
			a.ties[end[0]] = append(a.ties[end[0]], end[1])
		}
	}
}

func (a *Account) byID(kind, id string) *Object {
	for _, o := range a.objects {
		if o.Kind == kind && o.ID == id && !o.Archived {
			return o
		}
	}
	return nil
}

func (a *Account) by(kind, property, value string) *Object {
	for _, o := range a.objects {
		held, ok := o.Properties[property]
		if o.Kind == kind && !o.Archived && ok && (held == value || property == "email" && strings.EqualFold(held, value)) {
			return o
		}
	}
	return nil
}

// refuse is what HubSpot says of properties that it does not take; nil if it does.
func (a *Account) refuse(kind string, properties map[string]string) *refusal {
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if !slices.Contains(a.known[kind], name) {
			return &refusal{
				status: http.StatusBadRequest, category: "VALIDATION_ERROR",
				message: fmt.Sprintf("Property values were not valid: [{\"isValid\":false,\"message\":\"Property \\\"%s\\\" does not exist\",\"error\":\"PROPERTY_DOESNT_EXIST\",\"name\":\"%s\"}]", name, name),
			}
		}
		if len([]rune(properties[name])) > 65536 {
			return &refusal{status: http.StatusBadRequest, category: "VALIDATION_ERROR", message: name + " is longer than 65536 characters"}
		}
	}
	if email, ok := properties["email"]; ok && (!strings.Contains(email, "@") || reserved(email)) {
		return &refusal{
			status: http.StatusBadRequest, category: "VALIDATION_ERROR", message: "Property values were not valid",
			details: []map[string]any{{"message": "Email address " + email + " is invalid", "code": "INVALID_EMAIL", "in": "email"}},
		}
	}
	if a.Rule != nil {
		if text := a.Rule(kind, properties); text != "" {
			return &refusal{status: http.StatusBadRequest, category: "VALIDATION_ERROR", message: text}
		}
	}
	return nil
}

// reserved tells whether an address ends in a top-level domain that is none (RFC 2606), which HubSpot does not take.
func reserved(email string) bool {
	top := email[strings.LastIndex(email, ".")+1:]
	return slices.Contains([]string{"example", "invalid", "localhost", "test"}, strings.ToLower(top))
}

// refusal is an error answer.
type refusal struct {
	status   int
	category string
	message  string
	details  []map[string]any
	context  map[string]any
}

func (r *refusal) write(w http.ResponseWriter) {
	reply(w, r.status, r.body())
}

func (r *refusal) body() map[string]any {
	body := map[string]any{
		"status": "error", "message": r.message, "category": r.category, "correlationId": "aeb5f871-7f07-4993-9211-075dc63e7cbf",
	}
	if r.details != nil {
		body["errors"] = r.details
	}
	if r.context != nil {
		body["context"] = r.context
	}
	return body
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the connection may be gone
}
