// This file holds the cases of lists: pages, filters, what a row tells.

package ledgertest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
)

var listCases = map[string]func(*desk){
	"pages do not move": listPages,
	"what is no cursor": listCursors,
	"a row tells":       listRow,
	"a look tells":      listLook,
}

// chatOf is a hook with a visitor and what was said, for targets.
func chatOf(id string, change func(*chat.Conversation), targets ...string) ledger.Hook {
	h := hook(id, 5, "hello")
	h.Conversation.ReceivedAt = start.Add(24 * time.Hour)
	change(&h.Conversation)
	h.Raw = fmt.Appendf(nil, "%s %+v", id, h.Conversation)
	return to(h, targets...)
}

func listPages(d *desk) {
	var want []string
	for i := range 25 {
		id := fmt.Sprintf("c%02d", i)
		d.accept(to(hook(id, 5, "a"), "help", "crm"), ledger.Accepted, 1)
		want = append(want, id)
	}
	slices.Reverse(want)
	o := d.operator()
	var got, targets []string
	for p := (ledger.Page{Limit: 4}); ; {
		page, err := o.Conversations(d.Context(), ledger.Filter{}, p)
		d.must(err)
		for _, c := range page.Items {
			got = append(got, c.ID)
		}
		// What comes meanwhile is newer than the first page.
		d.accept(to(hook(fmt.Sprint("late", len(got)), 5, "a"), "help"), ledger.Accepted, 1)
		if p.After = page.Next; p.After == "" {
			break
		}
	}
	d.equal("conversations", got, want)
	f := ledger.Filter{IDs: want}
	for _, id := range want {
		targets = append(targets, id+" crm", id+" help")
	}
	d.equal("deliveries", d.deliveries(f), targets)
	page, err := o.Deliveries(d.Context(), ledger.Filter{}, ledger.Page{Limit: 100000})
	d.must(err)
	d.equal("deliveries of one page", len(page.Items), 2*25+7)
	page, err = o.Deliveries(d.Context(), ledger.Filter{}, ledger.Page{})
	d.must(err)
	d.equal("deliveries of a page that asks for no number", len(page.Items), 50)
}

func listCursors(d *desk) {
	o := d.operator()
	for i := range 3 {
		d.accept(to(hook(fmt.Sprint("c", i), 5, "a"), "help"), ledger.Accepted, 1)
	}
	page, err := o.Conversations(d.Context(), ledger.Filter{}, ledger.Page{Limit: 1})
	d.must(err)
	for _, cursor := range []string{"x", page.Next + "x", page.Next[1:], strings.Repeat("A", 5000), "\x00", "' OR 1=1 --"} {
		_, c := o.Conversations(d.Context(), ledger.Filter{}, ledger.Page{After: cursor})
		_, dl := o.Deliveries(d.Context(), ledger.Filter{}, ledger.Page{After: cursor})
		_, j := o.ReplayJobs(d.Context(), ledger.Page{After: cursor})
		_, q := o.Quarantined(d.Context(), nil, ledger.Page{After: cursor})
		_, a := o.AuditLog(d.Context(), ledger.Page{After: cursor})
		for name, err := range map[string]error{"conversations": c, "deliveries": dl, "jobs": j, "quarantine": q, "audit": a} {
			if !errors.Is(err, ledger.ErrCursor) {
				d.Errorf("%s after %q: %v, want ErrCursor", name, cursor, err)
			}
		}
	}
	if _, err := o.Deliveries(d.Context(), ledger.Filter{}, ledger.Page{After: page.Next}); !errors.Is(err, ledger.ErrCursor) {
		d.Errorf("a cursor of another list: %v, want ErrCursor", err)
	}
}

func listRow(d *desk) {
	rating := 2.5
	h := chatOf("c1", func(c *chat.Conversation) {
		c.Source, c.Brand, c.Outcome, c.ExternalID, c.Rating = "shop", "acme", chat.Missed, "x1", &rating
		c.Person = chat.Person{Name: "Ann Lee", Email: "ann@example.com"}
		c.Messages = []chat.Message{{Role: chat.Bot, Text: "May I help?"}, {Role: chat.Visitor, Text: "Where is\nmy parcel?"}}
	}, "help")
	d.accept(h, ledger.Accepted, 1)
	c := d.claim("help")
	d.settle(c, ledger.Pending, later, func(s *ledger.Settlement) {
		s.Uncertain, s.Receipt = true, connectors.Receipt{ID: "t1", URL: "https://example.com/t1"}
		s.Attempt = &ledger.Attempt{At: start, Number: 1, Kind: "temporary", Status: 503, Reason: "busy", Detail: ledger.Detail{Class: "temporary 503", Config: "today", Response: "try later"}}
	})
	page, err := d.operator().Conversations(d.Context(), ledger.Filter{}, ledger.Page{})
	d.must(err)
	d.equal("items", len(page.Items), 1)
	got := page.Items[0]
	d.equal("deliveries", len(got.Deliveries), 1)
	r := got.Deliveries[0]
	if r.FailedAt.IsZero() || r.Since.IsZero() || !r.DueAt.After(time.Now()) || got.LastAt.IsZero() {
		d.Errorf("times are missing: %+v", got)
	}
	got.Deliveries, got.LastAt = nil, time.Time{}
	d.equal("conversation", got, ledger.ConversationRow{
		ID: "c1", Revision: 1, Source: "shop", Brand: "acme", Platform: "smartsupp", Outcome: "missed", ExternalID: "x1", Visitor: "Ann Lee",
		Email: "ann@example.com", Rating: &rating, Messages: 2, Opening: "Where is my parcel?", FirstAt: start.Add(24 * time.Hour), Hooks: 1,
	})
	want := ledger.DeliveryRow{
		ID: "c1", Target: "help", State: ledger.Pending, Revision: 1, Attempts: 1, Uncertain: true, DueAt: r.DueAt, Since: r.Since,
		SettledAt: r.SettledAt, FailedAt: r.FailedAt, Routes: []string{"all"}, Accepted: "accepted-under", Tried: "today",
		Receipt: connectors.Receipt{ID: "t1", URL: "https://example.com/t1"}, Class: "temporary 503", Reason: "busy",
		Source: "shop", Visitor: "Ann Lee", Email: "ann@example.com",
	}
	d.equal("delivery", r, want)
	list, err := d.operator().Deliveries(d.Context(), ledger.Filter{}, ledger.Page{})
	d.must(err)
	d.equal("deliveries", list.Items, []ledger.DeliveryRow{want})
	attempts, err := d.engine.Attempts(d.Context(), "c1", "help")
	d.must(err)
	d.equal("detail of the attempt", attempts[0].Detail, ledger.Detail{Class: "temporary 503", Config: "today", Response: "try later"})
}

func listLook(d *desk) {
	d.accept(to(hook("c1", 5, "a", "b"), "help"), ledger.Accepted, 1)
	d.accept(to(hook("c1", 4, "a"), "help"), ledger.Stale, 1)
	long := hook("c1", 6, "a", "b", "c")
	long.Raw, long.ContentType = []byte(strings.Repeat("long ", 2000)), "text/plain"
	d.accept(to(long, "help"), ledger.Revised, 2)
	d.accept(to(long, "help"), ledger.Repeated, 2)
	c := d.claim("help")
	got, err := d.operator().Look(d.Context(), "c1")
	d.must(err)
	if len(got.Revisions) != 3 || got.Hooks != 3 || got.Revision != 2 || got.Messages != 3 {
		d.Fatalf("got %+v", got)
	}
	for _, want := range []ledger.RevisionRow{
		{Revision: 1, ContentType: "application/json", Bytes: len(hook("c1", 5, "a", "b").Raw)},
		{Revision: -1, ContentType: "application/json", Bytes: len(hook("c1", 4, "a").Raw)},
		{Revision: 2, ContentType: "text/plain", Bytes: 10000},
	} {
		i := slices.IndexFunc(got.Revisions, func(r ledger.RevisionRow) bool { return r.Revision == want.Revision })
		if i < 0 {
			d.Fatalf("revision %d is missing: %+v", want.Revision, got.Revisions)
		}
		got.Revisions[i].ReceivedAt = time.Time{}
		d.equal("revision", got.Revisions[i], want)
	}
	if r := got.Deliveries[0]; !r.Leased || r.Revision != 2 || r.State != ledger.Pending {
		d.Errorf("delivery %+v, want it leased", r)
	}
	for revision, messages := range map[int]int{0: 3, 1: 2, 2: 3, -1: 1} {
		conversation, err := d.operator().Revision(d.Context(), "c1", revision)
		d.must(err)
		d.equal(fmt.Sprint("messages of revision ", revision), len(conversation.Messages), messages)
	}
	d.settle(c, ledger.Delivered, delivered)
	for _, id := range []string{"c2", "", "\x00"} {
		if _, err := d.operator().Look(d.Context(), id); !errors.Is(err, ledger.ErrNotFound) {
			d.Errorf("a look at %q: %v, want ErrNotFound", id, err)
		}
	}
	if _, err := d.operator().Revision(d.Context(), "c1", 7); !errors.Is(err, ledger.ErrNotFound) {
		d.Errorf("revision 7: %v, want ErrNotFound", err)
	}
}
