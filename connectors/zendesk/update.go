// This file brings a ticket that exists up to the record: what is new as an internal comment, the fields that changed,
// and a follow-up for a ticket that is closed.

package zendesk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/afterchat/afterchat/connectors"
)

// update makes the receipt's ticket hold the record.
func (p *push) update(ctx context.Context) error {
	was, known := kept(p.receipt.Parts)
	if p.looked || p.rec.Uncertain || !known {
		seen, found, err := p.read(ctx)
		if err != nil {
			return p.missing(ctx, err)
		}
		if found {
			was, known = seen, true
		}
		// Comment and properties go in one request, after the tags: where the marker is, all of it is.
		now := holds(p.content, p.rec.Revision)
		if found && seen == now {
			p.done()
			return nil
		}
		if found && seen.fields == now.fields && p.receipt.Parts[partFields] == "" {
			p.receipt.Parts[partFields] = fieldDigests(p.content.sent)
		}
	}
	head, list := p.news(was, known)
	err := p.change(ctx, head, list)
	switch {
	case isClosed(err):
		return p.followUp(ctx, head, list)
	case err != nil:
		return p.missing(ctx, err)
	}
	p.done()
	return nil
}

// missing handles a ticket that is not there any more. Another one with the external id takes its place; otherwise
// somebody deleted it on purpose, and it is not made again.
func (p *push) missing(ctx context.Context, err error) error {
	if !isGone(err) {
		return err
	}
	gone := p.receipt.ID
	if !p.looked {
		found, lookErr := p.look(ctx, p.rec.Object)
		if lookErr != nil {
			return lookErr
		}
		if found && p.receipt.ID != gone {
			return p.update(ctx)
		}
	}
	e := *connectors.Classify(err)
	e.Kind, e.Uncertain = connectors.Rejected, false
	e.Err = fmt.Errorf("ticket %s is not there any more: %w", gone, err)
	e.Hint = "it was deleted in Zendesk; restore it there within 30 days and replay"
	return &e
}

// pageSizes are how many comments are read at once, at most. A comment of 64 KiB comes three times, escaped, so a page
// that is too long to be read is asked for again with fewer.
func pageSizes() []string { return []string{"50", "5", "1"} }

// longestThread is how many pages are read. A ticket has at most 5,000 comments, of which few are long.
const longestThread = 250

// read finds the state that the last of our comments on the receipt's ticket names, newest first.
// https://developer.zendesk.com/api-reference/ticketing/tickets/ticket_comments/#list-comments
func (p *push) read(ctx context.Context) (state, bool, error) {
	sizes := pageSizes()
	query := url.Values{"sort": {"-created_at"}}
	for range longestThread {
		query.Set("page[size]", sizes[0])
		var page struct {
			Comments *[]struct {
				Body      string `json:"body"`
				HTMLBody  string `json:"html_body"`
				PlainBody string `json:"plain_body"`
			} `json:"comments"`
			Meta struct {
				HasMore     bool   `json:"has_more"`
				AfterCursor string `json:"after_cursor"`
			} `json:"meta"`
		}
		path := "/api/v2/tickets/" + url.PathEscape(p.receipt.ID) + "/comments"
		err := p.api.do(ctx, call{method: http.MethodGet, path: path, query: query, object: true}, &page)
		if errors.Is(err, errTooLong) && len(sizes) > 1 {
			sizes = sizes[1:]
			continue
		}
		if err != nil {
			return state{}, false, err
		}
		if page.Comments == nil {
			return state{}, false, &connectors.Error{Err: fmt.Errorf("GET %s: the answer holds no list of comments", path), Hint: "check the address"}
		}
		for _, comment := range *page.Comments {
			for _, text := range []string{comment.HTMLBody, comment.PlainBody, comment.Body} {
				if s, ok := readMarker(p.rec.Object, text); ok {
					return s, true, nil
				}
			}
		}
		if !page.Meta.HasMore || page.Meta.AfterCursor == "" {
			return state{}, false, nil
		}
		query.Set("page[after]", page.Meta.AfterCursor)
	}
	return state{}, false, nil
}

// news returns what the ticket lacks: the head of a comment and the blocks below it. Both are empty if it lacks nothing.
func (p *push) news(was state, known bool) (head string, list []string) {
	now := holds(p.content, p.rec.Revision)
	switch {
	case known && was.same(now):
		return "", nil
	case !known:
		head, list = "The conversation as it is now:", p.content.blocks
	default:
		fresh, changed := was.fresh(p.content)
		switch {
		case changed:
			head = "The conversation was changed. All of it, as it is now:"
		case len(fresh) > 0:
			head = "The conversation went on:"
		default:
			head = "The details of the conversation changed:"
		}
		list = fresh
	}
	head = "<p><b>" + head + "</b></p>"
	if p.content.summary != "" && (!known || was.summary != now.summary) {
		head += "\n" + p.content.summary
	}
	return head, list
}

// change sends what differs from what was sent before: an agent's own changes to other fields stay. Tags are added
// first, for an update of the ticket would replace them.
func (p *push) change(ctx context.Context, head string, list []string) error {
	path := "/api/v2/tickets/" + url.PathEscape(p.receipt.ID)
	before := sentFields(p.receipt.Parts[partFields])
	body, tags := p.content.changed(before)
	if tags {
		err := p.api.do(ctx, call{method: http.MethodPut, path: path + "/tags", json: map[string]any{"tags": p.content.tags}, object: true}, nil)
		if err != nil {
			return err
		}
		before["tags"] = p.content.sent["tags"]
		p.receipt.Parts[partFields] = fieldDigests(before)
	}
	if head != "" {
		comment, err := p.comment(ctx, head, list)
		if err != nil {
			return err
		}
		body["comment"] = comment
	}
	if len(body) == 0 {
		return nil
	}
	return p.api.do(ctx, call{method: http.MethodPut, path: path, json: map[string]any{"ticket": body}, object: true}, nil)
}

// followUp makes a new ticket that refers to the closed one. An uncertain attempt may have made it already.
// https://developer.zendesk.com/documentation/ticketing/managing-tickets/creating-and-updating-tickets#creating-a-follow-up-ticket
func (p *push) followUp(ctx context.Context, head string, list []string) error {
	origin, err := strconv.ParseInt(p.receipt.ID, 10, 64)
	if err != nil {
		return &connectors.Error{Kind: connectors.Rejected, Err: errors.New("the receipt's id is no number"), Hint: "the ticket was not made by this connector"}
	}
	externalID := followUpID(p.rec.Object, origin)
	if p.rec.Uncertain || p.rec.Attempt > 1 || p.looked {
		found, err := p.look(ctx, externalID)
		if err != nil {
			return err
		}
		if found {
			return p.update(ctx)
		}
	}
	if head == "" {
		head = "<p><b>The details of the conversation changed:</b></p>\n" + p.content.summary
	}
	body := p.content.ticket(externalID)
	body["via_followup_source_id"] = origin
	p.requester(body)
	if body["comment"], err = p.comment(ctx, head, list); err != nil {
		return err
	}
	if err := p.post(ctx, "/api/v2/tickets", p.rec.Request+":f", externalID, body); err != nil {
		return err
	}
	p.receipt.Parts[partOrigin] = strconv.FormatInt(origin, 10)
	return nil
}
