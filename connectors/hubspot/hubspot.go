// Package hubspot puts conversations into HubSpot: a contact, a note with the transcript, and a ticket if wanted.
//
// This file declares the type and goes through the steps of one push.
package hubspot

import (
	"context"
	"crypto/sha256"
	_ "embed" // the default mapping
	"encoding/hex"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"

	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/rest"
)

//go:embed mapping.yaml
var mapping string

// Type declares the connector.
func Type() connectors.Type {
	return connectors.Define("hubspot", connectors.Definition[Settings]{
		Doc:      "puts each conversation into HubSpot: a contact, a note with the transcript, and a ticket if wanted",
		Defaults: defaults(),
		Fields:   fields,
		// Contacts and tickets are upserted, but notes are only found by looking, so that is what holds for the whole.
		Once:    func(Settings) connectors.Once { return connectors.OnceLookup },
		Mapping: mapping,
		New:     open,
		Vet:     vet,
	})
}

// target is one HubSpot account.
type target struct {
	settings Settings
	base     string // without a slash at the end
	limit    int    // most characters of a note
	rest     *rest.Client
	log      *slog.Logger
}

func open(s Settings, env connectors.Env) (connectors.Connector, error) {
	log := env.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &target{
		settings: s, base: strings.TrimRight(s.URL, "/"), limit: maxProperty, log: log,
		rest: newClient(s, env),
	}, nil
}

func newClient(s Settings, env connectors.Env) *rest.Client {
	token := s.Token.Reveal()
	authorize := func(r *http.Request, _ []byte) error {
		r.Header.Set("Authorization", "Bearer "+token)
		return nil
	}
	// Paths hold ids and names of properties only, so errors may show them.
	return rest.New(env, rest.Options{Authorize: authorize, Secrets: []secret.String{s.Token}, ShowPath: true})
}

// The parts of a receipt. Those that begin with partDone say what a step of an unfinished push has written, as a digest;
// a finished push leaves them out, so that a replay writes everything again, in place.
const (
	partContact       = "contact"
	partTicket        = "ticket"
	partNote          = "note_" // and the number of the note, from 1
	partTicketContact = "ticket_contact"
	partNoteContact   = "note_contact"
	partNoteTicket    = "note_ticket"
	partSkipped       = "skipped" // why nothing was sent
	partDone          = "done_"
)

// push is one call of Push: what is known to be at HubSpot so far.
type push struct {
	*target
	rec   connectors.Record
	in    content
	parts map[string]string
	url   string
}

// Push upserts the contact and the ticket, ties them to each other, and writes the notes. What is known to be done is
// not done again; whether a note was made by an attempt without an answer is looked up at the contact and the ticket.
// What has nothing to stand on by the settings is skipped: that is a success, and the receipt says so.
func (t *target) Push(ctx context.Context, rec connectors.Record) (connectors.Receipt, error) {
	in, err := t.read(rec)
	if err != nil {
		return rec.Prior, err
	}
	p := &push{target: t, rec: rec, in: in, parts: maps.Clone(rec.Prior.Parts), url: rec.Prior.URL}
	if p.parts == nil {
		p.parts = map[string]string{}
	}
	if in.skipped != "" {
		t.log.InfoContext(ctx, "the conversation is skipped", "object", rec.Object, "reason", in.skipped)
		p.parts[partSkipped] = in.skipped
		return p.receipt(), nil
	}
	delete(p.parts, partSkipped)
	steps := []func(context.Context) error{p.contact, p.ticket, p.tieTicket, p.findNotes, p.writeNotes, p.tieNotes, p.dropNotes}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return p.receipt(), err
		}
	}
	maps.DeleteFunc(p.parts, func(name, _ string) bool { return strings.HasPrefix(name, partDone) })
	return p.receipt(), nil
}

// receipt is what is known now. The ticket's id is that of the conversation, without tickets the first note's.
func (p *push) receipt() connectors.Receipt {
	id := p.parts[partTicket]
	if id == "" || p.settings.Ticket == nil {
		id = p.parts[note(1)]
	}
	out := connectors.Receipt{ID: id, URL: p.url}
	if len(p.parts) > 0 {
		out.Parts = p.parts
	}
	return out
}

// step runs do unless this content is known to be written already, and remembers the id that do returns.
func (p *push) step(name string, content any, do func() (string, error)) error {
	sum, err := digest(content)
	if err != nil {
		return err
	}
	if p.parts[name] != "" && p.parts[partDone+name] == sum {
		return nil
	}
	id, err := do()
	if err != nil {
		return err
	}
	p.parts[name], p.parts[partDone+name] = id, sum
	return nil
}

// digest is short, for it only has to tell the contents of one step apart.
func digest(content any) (string, error) {
	text, err := rest.JSON(content)
	if err != nil {
		return "", rejected(fmt.Errorf("hubspot: %w", err), "correct the mapping and replay")
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6]), nil
}

// tieTicket associates the ticket with the contact. The request changes nothing if they are.
func (p *push) tieTicket(ctx context.Context) error {
	ticket, contact := p.parts[partTicket], p.parts[partContact]
	if p.settings.Ticket == nil || contact == "" || p.parts[partTicketContact] == contact {
		return nil
	}
	if err := p.tie(ctx, "tickets", ticket, "contacts", contact); err != nil {
		return err
	}
	p.parts[partTicketContact] = contact
	return nil
}

func rejected(err error, hint string) error {
	return &connectors.Error{Kind: connectors.Rejected, Err: err, Hint: hint}
}
