// This file says what attempts have sent: their requests are rendered again, with all that was known then.

package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/console/page"
	"github.com/afterchat/afterchat/internal/ledger"
)

// attempted says what the nth attempt of a delivery has sent; today: what the configuration of the day would have sent in
// its place.
func (c *console) attempted(ctx context.Context, id, target string, n int, today bool) (RenderedDelivery, error) {
	if c.RenderAttempt == nil {
		return RenderedDelivery{}, errNoGateway
	}
	row, err := c.row(ctx, id, target)
	if err != nil {
		return RenderedDelivery{}, err
	}
	attempts, err := c.Ledger.Attempts(ctx, id, target)
	if err != nil {
		return RenderedDelivery{}, err
	}
	if n > len(attempts) {
		return RenderedDelivery{}, &refusal{
			status: http.StatusNotFound, detail: fmt.Sprintf("attempt %d of the delivery to %s is not in the log, which has %d", n, target, len(attempts)),
			hint: "GET " + apiPath + "/deliveries/" + id + "/" + target + " lists them",
		}
	}
	sent, now, err := (&attempting{console: c, delivery: row}).render(ctx, attempts[n-1])
	if err != nil {
		return RenderedDelivery{}, err
	}
	attempt := attemptOf(attempts[n-1])
	out := RenderedDelivery{Rendered: sent, Difference: []string{}, Attempt: &attempt}
	if sent.Unknown == "" && now.Unknown == "" {
		out.Difference = differenceOf(sent, now)
	}
	if today {
		out.Rendered = now
	}
	return out, nil
}

// attempting renders the attempts of one delivery. What several of them said of the conversation is read once.
type attempting struct {
	console  *console
	delivery ledger.DeliveryRow
	said     map[int]chat.Conversation
}

// render says what an attempt has sent, and what the configuration of today would have sent in its place.
func (r *attempting) render(ctx context.Context, a ledger.Attempt) (sent, today Rendered, err error) {
	said, known := r.said[a.Revision]
	if !known {
		said, err = r.console.Ledger.Revision(ctx, r.delivery.ID, a.Revision)
		if errors.Is(err, ledger.ErrNotFound) {
			unknown := Rendered{With: WithThen, Config: a.Config, Revision: a.Revision, Unknown: fmt.Sprintf("retention has removed what revision %d said", a.Revision)}
			return unknown, unknown, nil
		}
		if err != nil {
			return sent, today, err
		}
		if r.said == nil {
			r.said = map[int]chat.Conversation{}
		}
		r.said[a.Revision] = said
	}
	if sent, err = r.console.RenderAttempt(ctx, r.delivery, a, said, false); err != nil {
		return sent, today, err
	}
	today, err = r.console.RenderAttempt(ctx, r.delivery, a, said, true)
	return sent, today, err
}

// alike tells whether two attempts have sent the same: of the same revision with the same configuration, knowing the same.
func alike(a, b ledger.Attempt) bool {
	return a.Config != "" && a.Revision == b.Revision && a.Config == b.Config && a.Uncertain == b.Uncertain && reflect.DeepEqual(a.Prior, b.Prior)
}

// sent shows what each attempt of a delivery has sent, the same only once. now is what would go out now, nil if nothing
// will; the newest attempt says if that is the same.
func (v *visit) sent(d ledger.DeliveryRow, attempts []ledger.Attempt, now *Rendered) ([]*page.Sent, error) {
	out := make([]*page.Sent, len(attempts))
	r := &attempting{console: v.console, delivery: d}
	for i, a := range attempts {
		newest := i == len(attempts)-1
		for k := range i {
			if out[k].SameAs == 0 && alike(attempts[k], a) {
				out[i] = &page.Sent{SameAs: k + 1, AsNow: newest && out[k].AsNow}
			}
		}
		if out[i] != nil && !newest {
			continue
		}
		then, today, err := r.render(v.Request().Context(), a)
		if err != nil {
			return nil, err
		}
		shown := sentView(then, today)
		if newest && now != nil && shown.Unknown == "" {
			shown.AsNow = len(differenceOf(then, *now)) == 0
		}
		if out[i] != nil {
			out[i].AsNow = shown.AsNow
			continue
		}
		out[i] = shown
	}
	return out, nil
}

// sentView is what an attempt has sent, beside what the configuration of today would have sent in its place.
func sentView(then, today Rendered) *page.Sent {
	out := &page.Sent{
		Unknown: then.Unknown, Error: then.Error, Config: then.Config, Notes: then.Notes, Requests: requestsView(then.Requests),
	}
	if len(then.Requests) == 0 && then.Unknown == "" {
		out.Fields = strings.Join(renderedLines(then), "\n")
	}
	switch {
	case then.Unknown != "":
	case today.Unknown != "":
		out.NoToday = today.Unknown
	default:
		if difference := differenceOf(then, today); len(difference) > 0 {
			out.Differs, out.Changes, out.Today = true, changedLines(difference), requestsView(today.Requests)
		}
	}
	return out
}
