// This file takes one record through its steps: look, create, or update. Each step notes in the receipt what it did, so
// that the next attempt goes on from there.

package zendesk

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/afterchat/afterchat/connectors"
)

// ticket is what answers say of a ticket.
type ticket struct {
	ID         int64     `json:"id"`
	ExternalID string    `json:"external_id"`
	Status     string    `json:"status"`
	CreatedAt  time.Time `json:"created_at"`
}

const closed = "closed"

// longestChain is how many closed tickets in a row, each the follow-up of the one before, are followed.
const longestChain = 50

// push is one call of Push.
type push struct {
	*target
	rec     connectors.Record
	content content
	receipt connectors.Receipt
	looked  bool // the receipt's ticket was found by looking, so its parts say nothing of it
}

func newPush(t *target, rec connectors.Record, c content) *push {
	p := &push{target: t, rec: rec, content: c, receipt: rec.Prior}
	p.receipt.Parts = maps.Clone(rec.Prior.Parts)
	if p.receipt.Parts == nil {
		p.receipt.Parts = map[string]string{}
	}
	return p
}

func (p *push) run(ctx context.Context) error {
	defer p.tidy()
	if p.receipt.ID == "" && (p.rec.Uncertain || p.rec.Attempt > 1 || p.settings.LookFirst) {
		if _, err := p.look(ctx, p.rec.Object); err != nil {
			return err
		}
	}
	if p.receipt.ID == "" {
		return p.create(ctx)
	}
	return p.update(ctx)
}

// tidy keeps a receipt that says nothing zero.
func (p *push) tidy() {
	if len(p.receipt.Parts) == 0 {
		p.receipt.Parts = nil
	}
}

// look finds the ticket with an external id and makes it the receipt's. A closed one leads on to its follow-up.
func (p *push) look(ctx context.Context, externalID string) (found bool, err error) {
	for range longestChain {
		t, ok, err := p.find(ctx, externalID)
		if err != nil || !ok {
			return found, err
		}
		p.hold(t.ID)
		found, p.looked = true, true
		if t.Status != closed {
			return true, nil
		}
		externalID = followUpID(p.rec.Object, t.ID)
	}
	return true, nil
}

// hold makes a ticket the receipt's. What is known of another one is forgotten, but for an attachment that waits.
func (p *push) hold(id int64) {
	text := strconv.FormatInt(id, 10)
	if p.receipt.ID != text {
		for _, part := range []string{partRevision, partBlocks, partDigest, partSummary, partFields} {
			delete(p.receipt.Parts, part)
		}
	}
	p.receipt.ID, p.receipt.URL = text, p.api.base+"/agent/tickets/"+text
}

// find lists the tickets with an external id. The list is read from the database, while /search lags behind it. Ids are
// not unique; of several tickets the oldest counts. Deleted tickets are not listed.
// https://developer.zendesk.com/api-reference/ticketing/tickets/tickets/#list-tickets
func (p *push) find(ctx context.Context, externalID string) (ticket, bool, error) {
	var page struct {
		Tickets *[]ticket `json:"tickets"`
	}
	err := p.api.do(ctx, call{method: http.MethodGet, path: "/api/v2/tickets", query: url.Values{"external_id": {externalID}}}, &page)
	if err != nil {
		return ticket{}, false, err
	}
	if page.Tickets == nil {
		return ticket{}, false, &connectors.Error{
			Err: errors.New("the answer to the look-up holds no list of tickets"), Hint: "check the address; nothing is created before the look-up works",
		}
	}
	found := slices.DeleteFunc(*page.Tickets, func(t ticket) bool { return t.ID <= 0 || !strings.EqualFold(t.ExternalID, externalID) })
	if len(found) == 0 {
		return ticket{}, false, nil
	}
	slices.SortFunc(found, func(a, b ticket) int {
		if c := a.CreatedAt.Compare(b.CreatedAt); c != 0 {
			return c
		}
		return int(min(max(a.ID-b.ID, -1), 1))
	})
	if len(found) > 1 {
		p.log.WarnContext(ctx, "zendesk.several_tickets", "external_id", externalID, "tickets", len(found), "used", found[0].ID,
			"hint", "merge the others into the oldest one")
	}
	return found[0], true, nil
}

// create makes the ticket.
func (p *push) create(ctx context.Context) error {
	body := p.content.ticket(p.rec.Object)
	path, key := "/api/v2/tickets", p.rec.Request
	if p.settings.Mode == modeImport {
		path, key = "/api/v2/imports/tickets", "" // imports know no key
		if err := p.imported(ctx, body); err != nil {
			return err
		}
	} else {
		p.requester(body)
		comment, err := p.comment(ctx, p.content.summary, p.content.blocks)
		if err != nil {
			return err
		}
		body["comment"] = comment
	}
	return p.post(ctx, path, key, p.rec.Object, body)
}

// post creates a ticket. When the vendor says that it knows the key with other content, or that a request with it is
// under way, the ticket is looked up at once.
func (p *push) post(ctx context.Context, path, key, externalID string, body map[string]any) error {
	var made struct {
		Ticket ticket `json:"ticket"`
	}
	err := p.api.do(ctx, call{method: http.MethodPost, path: path, json: map[string]any{"ticket": body}, key: key}, &made)
	if err == nil && made.Ticket.ID <= 0 {
		err = &connectors.Error{Uncertain: true, Err: fmt.Errorf("POST %s: the answer names no ticket", path), Hint: "check the address"}
	}
	if err != nil {
		if !mayBeThere(err) {
			return err
		}
		if found, lookErr := p.look(ctx, externalID); lookErr != nil || !found {
			return err
		}
		return p.update(ctx)
	}
	p.hold(made.Ticket.ID)
	p.done()
	return nil
}

// mayBeThere tells whether a refusal to create means that the ticket may be there already.
func mayBeThere(err error) bool {
	if said, ok := refusal(err); ok && said.name == idempotencyMismatch {
		return true
	}
	e := connectors.Classify(err)
	return e.Status == http.StatusConflict && e.Uncertain
}

// requester sets who asked: the visitor, else the configured one, else nobody, which makes it the user of the
// credentials. Zendesk creates a user for an address that it does not know.
func (p *push) requester(body map[string]any) {
	r := p.settings.FallbackRequester
	switch {
	case p.content.email != "":
		body["requester"] = person(p.content.email, p.content.name)
	case r != nil && r.ID != 0:
		body["requester_id"] = r.ID
	case r != nil:
		body["requester"] = person(r.Email, r.Name)
	}
}

func person(email, name string) map[string]any {
	if name == "" {
		name = email
	}
	return map[string]any{"email": email, "name": name}
}

// done notes that the receipt's ticket holds all of the record.
func (p *push) done() {
	holds(p.content, p.rec.Revision).keep(p.receipt.Parts)
	p.receipt.Parts[partFields] = fieldDigests(p.content.sent)
	for _, part := range []string{partUpload, partContent, partAt} {
		delete(p.receipt.Parts, part) // used up by the comment
	}
}

// note is what a comment says when the transcript is longer than it may be.
const note = "<p><i>The transcript is longer than a comment may be. The attached file has all of it.</i></p>\n"

// comment builds an internal comment from what stands above and the blocks that are new, with the marker as its last
// line. If that is too long, it is cut after a block and the whole transcript attached.
func (p *push) comment(ctx context.Context, head string, list []string) (map[string]any, error) {
	if head != "" {
		head += "\n"
	}
	mark := marker(p.rec.Object, holds(p.content, p.rec.Revision))
	comment := map[string]any{"public": false}
	text, whole := fitted(list, maxComment-len(head)-len(mark))
	if !whole {
		token, err := p.attach(ctx)
		if err != nil {
			return nil, err
		}
		comment["uploads"] = []string{token}
		text, _ = fitted(list, maxComment-len(head)-len(note)-len(mark))
		text += note
	}
	comment["html_body"] = head + text + mark
	return comment, nil
}
