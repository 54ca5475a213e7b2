// Package demo is what `afterchat demo` shows: a pretend help desk and sample chats of both platforms.
//
// This file is the help desk: a small HTTP service that keeps tickets in memory, honors idempotency keys, and is out
// of order now and then, so that retries can be seen.
package demo

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Ticket is what the desk keeps of one conversation.
type Ticket struct {
	ID       string    `json:"id"`
	Subject  string    `json:"subject"`
	From     string    `json:"from"`
	Priority string    `json:"priority"`
	Tags     []string  `json:"tags"`
	Body     string    `json:"body"`
	Updates  int       `json:"updates"`
	At       time.Time `json:"at"`
}

// Desk is a pretend help desk. Make it with NewDesk.
type Desk struct {
	// Received is called for every ticket that is made or updated; nil: nobody. It must be quick.
	Received func(t Ticket, updated bool)
	// Failed is called for every request that the desk turned away on purpose; nil: nobody.
	Failed func()
	// FailEvery turns every so-many-th request away with 503; 0: none.
	FailEvery int

	mu       sync.Mutex
	tickets  []*Ticket
	byKey    map[string]*Ticket // by Idempotency-Key
	requests int
	alerts   []string
}

// NewDesk makes an empty desk.
func NewDesk() *Desk { return &Desk{byKey: map[string]*Ticket{}} }

// Tickets returns a copy of all tickets in order.
func (d *Desk) Tickets() []Ticket {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []Ticket
	for _, t := range d.tickets {
		out = append(out, *t)
	}
	return out
}

// Alerts returns the texts posted to /alerts in order.
func (d *Desk) Alerts() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.alerts)
}

// Handler serves the desk: POST /tickets, PUT /tickets/{id}, POST /alerts, and a page of all tickets at /.
func (d *Desk) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /tickets", d.outOfOrder(d.create))
	mux.HandleFunc("PUT /tickets/{id}", d.outOfOrder(d.update))
	mux.HandleFunc("POST /alerts", d.alert)
	mux.HandleFunc("GET /tickets", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, d.Tickets()) })
	mux.HandleFunc("GET /{$}", d.page)
	return mux
}

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
			answer(w, http.StatusServiceUnavailable, map[string]string{"error": "the desk is out of order, try again"})
			return
		}
		next(w, r)
	}
}

// maxRequest bounds what the desk reads of a request, in bytes.
const maxRequest = 32 << 20

func (d *Desk) create(w http.ResponseWriter, r *http.Request) {
	var t Ticket
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&t); err != nil || t.Subject == "" {
		answer(w, http.StatusUnprocessableEntity, map[string]string{"error": "a ticket needs a subject"})
		return
	}
	key := r.Header.Get("Idempotency-Key")
	d.mu.Lock()
	if known := d.byKey[key]; known != nil && key != "" {
		id := known.ID
		d.mu.Unlock()
		answer(w, http.StatusOK, map[string]string{"id": id})
		return
	}
	t.ID, t.At, t.Updates = strconv.Itoa(len(d.tickets)+1), time.Now(), 0
	stored := t
	d.tickets, d.byKey[key] = append(d.tickets, &stored), &stored
	d.mu.Unlock()
	if d.Received != nil {
		d.Received(t, false)
	}
	answer(w, http.StatusCreated, map[string]string{"id": t.ID, "url": fmt.Sprintf("http://%s/#ticket-%s", r.Host, t.ID)})
}

func (d *Desk) update(w http.ResponseWriter, r *http.Request) {
	var change Ticket
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&change); err != nil {
		answer(w, http.StatusUnprocessableEntity, map[string]string{"error": "not JSON"})
		return
	}
	d.mu.Lock()
	n, _ := strconv.Atoi(r.PathValue("id"))
	if n < 1 || n > len(d.tickets) {
		d.mu.Unlock()
		answer(w, http.StatusNotFound, map[string]string{"error": "no such ticket"})
		return
	}
	t := d.tickets[n-1]
	if key := r.Header.Get("Idempotency-Key"); key == "" || d.byKey[key] != t {
		d.byKey[key] = t
		change.ID, change.At, change.Updates = t.ID, t.At, t.Updates+1
		*t = change
	}
	changed := *t
	d.mu.Unlock()
	if d.Received != nil {
		d.Received(changed, true)
	}
	answer(w, http.StatusOK, map[string]string{"id": changed.ID})
}

func (d *Desk) alert(w http.ResponseWriter, r *http.Request) {
	var alert struct {
		Text string `json:"text"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest)).Decode(&alert); err != nil {
		answer(w, http.StatusBadRequest, map[string]string{"error": "not JSON"})
		return
	}
	d.mu.Lock()
	d.alerts = append(d.alerts, alert.Text)
	d.mu.Unlock()
	answer(w, http.StatusOK, map[string]string{"ok": "true"})
}

//go:embed desk.html
var deskPage string

var deskTemplate = template.Must(template.New("desk").Parse(deskPage))

func (d *Desk) page(w http.ResponseWriter, _ *http.Request) {
	tickets := d.Tickets()
	slices.Reverse(tickets)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	if err := deskTemplate.Execute(w, map[string]any{"Tickets": tickets, "Alerts": d.Alerts()}); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
