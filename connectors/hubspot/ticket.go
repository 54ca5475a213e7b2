// This file finds or makes the ticket.

package hubspot

import (
	"context"
	"maps"
)

// ticket makes sure that the ticket is there, with what the record says. Pipeline and stage are written when it is made
// and never again, for people move tickets along.
func (p *push) ticket(ctx context.Context) error {
	if p.settings.Ticket == nil {
		return nil
	}
	return p.step(partTicket, p.in.ticket, func() (string, error) {
		id := p.parts[partTicket]
		if id == "" && p.rec.Uncertain {
			there, ok, err := p.find(ctx, "tickets", p.settings.Ticket.property(), p.rec.Object, []string{})
			if err != nil {
				return "", err
			}
			if ok {
				id = string(there.ID)
				p.see(there)
			}
		}
		written, err := p.writeTicket(ctx, id)
		if err == nil {
			p.see(written)
		}
		return string(written.ID), err
	})
}

// writeTicket updates the ticket with an id, or makes it. The unique property is what makes it one, even if two
// requests run at once.
func (p *push) writeTicket(ctx context.Context, id string) (object, error) {
	values := maps.Clone(p.in.ticket)
	if id == "" {
		for name, value := range map[string]string{
			"hs_pipeline": p.settings.Ticket.Pipeline, "hs_pipeline_stage": p.settings.Ticket.Stage,
		} {
			if values[name] == "" {
				values[name] = value
			}
		}
		return p.upsert(ctx, "tickets", p.settings.Ticket.property(), p.rec.Object, p.rec.Object, values)
	}
	delete(values, "hs_pipeline")
	delete(values, "hs_pipeline_stage")
	delete(values, p.settings.Ticket.property())
	if len(values) == 0 {
		return object{ID: identifier(id)}, nil
	}
	return p.update(ctx, "tickets", id, values)
}
