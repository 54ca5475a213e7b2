// This file writes the notes and finds those that an attempt without an answer may have made.

package hubspot

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
)

// Numbers of the association types from a note.
// https://developers.hubspot.com/docs/reference/api/crm/associations/association-details
const (
	noteToContact = 202
	noteToTicket  = 228
)

// readAtOnce is how many notes are read in one request, at most; fewer where they are long. HubSpot takes 100.
const readAtOnce = 50

// findNotes looks for notes of this conversation that no receipt tells of. They carry a marker, and they were tied to
// the ticket and the contact by the request that made them, so one of the two leads to them.
func (p *push) findNotes(ctx context.Context) error {
	if !p.rec.Uncertain {
		return nil
	}
	var ids []string
	for _, at := range p.anchors() {
		more, err := p.tied(ctx, at.kind, at.id)
		if err != nil {
			return err
		}
		ids = append(ids, more...)
	}
	seen := map[string]bool{}
	var fresh []string
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			fresh = append(fresh, id)
		}
	}
	for len(fresh) > 0 {
		read, err := p.readNotes(ctx, fresh[:min(readAtOnce, len(fresh))])
		if err != nil {
			return err
		}
		fresh = fresh[read:]
	}
	return nil
}

type anchor struct{ kind, id string }

// anchors are the objects that lead to the notes: the ticket, the contact, and the contact of an earlier revision. The
// contact for everybody has too many notes to be read when there is a ticket, and the ticket has them all then.
func (p *push) anchors() []anchor {
	var out []anchor
	ticketed := p.settings.Ticket != nil
	if ticketed {
		out = append(out, anchor{"tickets", p.parts[partTicket]})
	}
	contact, earlier := p.parts[partContact], p.rec.Prior.Parts[partContact]
	if contact != "" && (!p.in.shared || !ticketed) {
		out = append(out, anchor{"contacts", contact})
	}
	if earlier != "" && earlier != contact {
		out = append(out, anchor{"contacts", earlier})
	}
	return out
}

// readNotes reads notes and keeps those of this conversation. It returns how many of ids it has read: where the notes
// are so long that the answer is not read in full, the first half of them, and so on.
func (p *push) readNotes(ctx context.Context, ids []string) (int, error) {
	for n := len(ids); ; n = (n + 1) / 2 {
		inputs := make([]any, n)
		for i, id := range ids[:n] {
			inputs[i] = map[string]any{"id": id}
		}
		c := call{method: http.MethodPost, path: objects("notes", "batch", "read"), body: map[string]any{
			"inputs": inputs, "properties": []string{"hs_note_body"}, "propertiesWithHistory": []any{},
		}}
		found, err := p.readBatch(ctx, c)
		if errors.Is(err, errTooLong) && n > 1 {
			continue
		}
		if err != nil {
			return 0, err
		}
		for _, o := range found {
			p.recognize(ctx, o)
		}
		return n, nil
	}
}

// recognize takes a note that carries this conversation's marker. Of two with the same number the first made counts.
func (p *push) recognize(ctx context.Context, found object) {
	body := found.Properties["hs_note_body"]
	if body == nil || !found.ID.usable() {
		return
	}
	number, ok := numberOf(*body, p.rec.Object)
	if !ok {
		return
	}
	id, known := string(found.ID), p.parts[note(number)]
	switch {
	case known == id:
		return
	case known == "":
	case p.rec.Prior.Parts[note(number)] == known || !older(id, known):
		p.log.WarnContext(ctx, "a note is there twice", "keeping", known, "also", id)
		return
	default:
		p.log.WarnContext(ctx, "a note is there twice", "keeping", id, "also", known)
	}
	p.parts[note(number)] = id
	delete(p.parts, partDone+note(number))
}

// older compares ids, which HubSpot counts up.
func older(a, b string) bool { return len(a) < len(b) || (len(a) == len(b) && a < b) }

// writeNotes makes the notes, or updates those that are there.
func (p *push) writeNotes(ctx context.Context) error {
	for i, values := range p.in.notes {
		name := note(i + 1)
		err := p.step(name, values, func() (string, error) {
			if id := p.parts[name]; id != "" {
				written, err := p.update(ctx, "notes", id, values)
				return string(written.ID), err
			}
			made, err := p.create(ctx, "notes", values, p.tiesOfNote())
			if err != nil {
				return "", err
			}
			for to, id := range map[string]string{partContact: p.parts[partContact], partTicket: p.ticketID()} {
				if id != "" {
					p.parts[tiedTo(name, to)] = id
				}
			}
			return string(made.ID), nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// tiesOfNote ties a note to the contact and the ticket in the request that makes it, so that none is ever without.
func (p *push) tiesOfNote() []any {
	var out []any
	for _, to := range []struct {
		id   string
		kind int
	}{{p.ticketID(), noteToTicket}, {p.parts[partContact], noteToContact}} {
		if to.id != "" {
			out = append(out, map[string]any{
				"to":    map[string]any{"id": to.id},
				"types": []any{map[string]any{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": to.kind}},
			})
		}
	}
	return out
}

// ticketID is the ticket's id, "" when tickets are not wanted.
func (p *push) ticketID() string {
	if p.settings.Ticket == nil {
		return ""
	}
	return p.parts[partTicket]
}

// tiedTo names the part that says to which object an unfinished push has tied a note.
func tiedTo(note, to string) string { return partDone + note + "_" + to }

// tieNotes ties notes of before to a contact or a ticket that is new to them.
func (p *push) tieNotes(ctx context.Context) error {
	for _, to := range []struct{ part, kind, all, id string }{
		{partContact, "contacts", partNoteContact, p.parts[partContact]},
		{partTicket, "tickets", partNoteTicket, p.ticketID()},
	} {
		if to.id == "" || p.parts[to.all] == to.id {
			continue
		}
		for i := range p.in.notes {
			name := note(i + 1)
			if p.parts[tiedTo(name, to.part)] == to.id {
				continue
			}
			if err := p.tie(ctx, "notes", p.parts[name], to.kind, to.id); err != nil {
				return err
			}
			p.parts[tiedTo(name, to.part)] = to.id
		}
		p.parts[to.all] = to.id
	}
	return nil
}

// dropNotes archives notes that a shorter revision does not need any more.
func (p *push) dropNotes(ctx context.Context) error {
	for _, name := range names(p.parts) {
		number, ok := strings.CutPrefix(name, partNote)
		if n, err := strconv.Atoi(number); !ok || err != nil || n <= len(p.in.notes) {
			continue
		}
		if err := p.archive(ctx, "notes", p.parts[name]); err != nil {
			return err
		}
		delete(p.parts, name)
		delete(p.parts, partDone+name)
	}
	return nil
}

// marker is the last line of a note: the conversation, which part of it this is, and of how many.
func marker(object string, number, of int) string {
	return markerStart(object) + strconv.Itoa(number) + "/" + strconv.Itoa(of)
}
