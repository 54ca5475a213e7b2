// Package demo is what `afterchat demo` shows: a pretend help desk and sample chats of both platforms.
//
// This file is what the help desk keeps, and the page that shows it. Its API is in api.go.
package demo

import (
	_ "embed"
	"html/template"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Ticket is what the desk keeps of one conversation.
type Ticket struct {
	ID         int64
	ExternalID string
	Subject    string
	Status     string // new, open, pending, hold, solved
	Priority   string // low, normal, high, urgent; "": none
	Requester  Person // zero: the user of the credentials
	Tags       []string
	Comments   []Comment
	Updates    int // how often it was changed after it had been made
	CreatedAt  time.Time
}

// Person is who asked.
type Person struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

// Comment is one comment of a ticket.
type Comment struct {
	HTML   string // the markup as it came: never show it as markup
	Text   string // what it reads like
	Public bool
	Files  []File
	At     time.Time
}

// File is one attachment.
type File struct {
	Name    string
	Content []byte
}

// Desk is a pretend help desk that speaks as much of the API of Zendesk as afterchat calls. It keeps everything in
// memory, honors idempotency keys, and is out of order now and then, so that retries can be seen. Make it with NewDesk.
type Desk struct {
	// Received is called for every ticket that is made or updated; nil: nobody. It must be quick.
	Received func(t Ticket, updated bool)
	// Looked is called when a ticket is looked for by its external id; nil: nobody.
	Looked func(found bool)
	// Failed is called for every request that the desk turned away on purpose; nil: nobody.
	Failed func()
	// FailEvery turns every so-many-th request that makes or changes a ticket away with 503; 0: none.
	FailEvery int

	mu       sync.Mutex
	tokens   map[string]bool // access tokens that were given out
	tickets  []*Ticket
	byKey    map[string]made // by Idempotency-Key
	uploads  map[string]File // by token, until a comment uses them
	requests int
	alerts   []string
}

// made is a ticket and the request that made it.
type made struct {
	ticket *Ticket
	body   string
}

// NewDesk makes an empty desk.
func NewDesk() *Desk {
	return &Desk{tokens: map[string]bool{}, byKey: map[string]made{}, uploads: map[string]File{}}
}

// Tickets returns a copy of all tickets in order.
func (d *Desk) Tickets() []Ticket {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []Ticket
	for _, t := range d.tickets {
		out = append(out, t.copied())
	}
	return out
}

// copied returns a copy that later changes of t leave alone. Comments themselves never change.
func (t *Ticket) copied() Ticket {
	out := *t
	out.Tags, out.Comments = slices.Clone(t.Tags), slices.Clone(t.Comments)
	return out
}

// Alerts returns the texts posted to /alerts in order.
func (d *Desk) Alerts() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.alerts)
}

// Handler serves the desk: the API below /api/v2 and /oauth, POST /alerts, and a page of all tickets at /.
func (d *Desk) Handler() http.Handler {
	mux := http.NewServeMux()
	d.serveAPI(mux)
	mux.HandleFunc("POST /alerts", d.alert)
	mux.HandleFunc("GET /agent/tickets/{id}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/#ticket-"+r.PathValue("id"), http.StatusSeeOther)
	})
	mux.HandleFunc("GET /{$}", d.page)
	return mux
}

func (d *Desk) alert(w http.ResponseWriter, r *http.Request) {
	var alert struct {
		Text string `json:"text"`
	}
	if !read(w, r, &alert) {
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
