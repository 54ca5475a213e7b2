// This file holds the cases of sessions: several ids that are one conversation.

package ledgertest

import (
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

var sessionCases = map[string]func(*desk){
	"a longer transcript under another id": func(d *desk) {
		d.accept(to(visit("c1", 0, "a"), "help"), ledger.Accepted, 1)
		var asked string
		h := visit("c2", 20, "a", "b")
		plan := to(h, "help").Plan
		h.Plan = func(id string, revision int) ledger.Plan { asked = id; return plan(id, revision) }
		a := d.accept(h, ledger.Revised, 2)
		d.equal("id", a.ID, "c1")
		d.equal("id that the plan was asked for", asked, "c1")
		c := d.claim("help")
		d.equal("id of the delivery", c.Conversation.ID, "c1")
		d.equal("messages", len(c.Conversation.Messages), 2)
		d.equal("conversations", d.stats().Conversations, int64(1))
	},
	"both ids repeat": func(d *desk) {
		d.accept(visit("c1", 0, "a"), ledger.Unrouted, 1)
		d.accept(visit("c2", 20, "a", "b"), ledger.Unrouted, 2)
		d.accept(visit("c3", 45, "a", "b", "c"), ledger.Unrouted, 3)
		d.equal("id", d.accept(visit("c2", 20, "a", "b"), ledger.Repeated, 2).ID, "c1")
		d.equal("id", d.accept(visit("c1", 0, "a"), ledger.Repeated, 1).ID, "c1")
	},
	"an older snapshot under another id": func(d *desk) {
		d.accept(visit("c2", 20, "a", "b"), ledger.Unrouted, 1)
		d.equal("id", d.accept(visit("c1", 0, "a"), ledger.Stale, 1).ID, "c2")
		d.equal("id", d.accept(visit("c1", 0, "a"), ledger.Repeated, 1).ID, "c2")
	},
	"the same text with another end": func(d *desk) {
		d.accept(visit("c1", 0, "a"), ledger.Unrouted, 1)
		d.equal("id", d.accept(visit("c2", 1, "a"), ledger.Unrouted, 2).ID, "c1")
	},
	"other text is another conversation": func(d *desk) {
		d.accept(visit("c1", 0, "a", "b"), ledger.Unrouted, 1)
		d.equal("id", d.accept(visit("c2", 10, "x", "b"), ledger.Unrouted, 1).ID, "c2")
		d.equal("conversations", d.stats().Conversations, int64(2))
	},
	"after the window it is another conversation": func(d *desk) {
		d.accept(visit("c1", 0, "a"), ledger.Unrouted, 1)
		d.equal("id", d.accept(visit("c2", 31, "a", "b"), ledger.Unrouted, 1).ID, "c2")
		d.equal("the nearer one", d.accept(visit("c3", 30, "a", "b", "c"), ledger.Unrouted, 2).ID, "c2")
	},
	"another session or platform is another conversation": func(d *desk) {
		d.accept(visit("c1", 0, "a"), ledger.Unrouted, 1)
		h := visit("c2", 1, "a", "b")
		h.Session = "s2"
		d.accept(h, ledger.Unrouted, 1)
		h = visit("c3", 1, "a", "b")
		h.Conversation.Platform = "other"
		d.accept(h, ledger.Unrouted, 1)
		h = visit("c4", 1, "a", "b")
		h.Session = ""
		d.accept(h, ledger.Unrouted, 1)
		d.equal("conversations", d.stats().Conversations, int64(4))
	},
	"without an end the id decides": func(d *desk) {
		d.accept(visit("c1", -1, "a"), ledger.Unrouted, 1)
		d.equal("id", d.accept(visit("c2", 1, "a", "b"), ledger.Unrouted, 1).ID, "c2")
	},
	"the id comes before the session": func(d *desk) {
		d.accept(visit("c1", 0, "a"), ledger.Unrouted, 1)
		d.accept(visit("c2", 1, "x"), ledger.Unrouted, 1)
		d.equal("id", d.accept(visit("c2", 2, "a", "b"), ledger.Unrouted, 2).ID, "c2")
	},
	"two ids at once": func(d *desk) {
		answers, err := concurrently(20, func(i int) (ledger.Acceptance, error) {
			return d.engine.Accept(d.Context(), visit([]string{"c1", "c2"}[i%2], i%2, []string{"a", "b"}[:i%2+1]...))
		})
		d.must(err)
		for _, a := range answers {
			d.equal("id", a.ID, answers[0].ID)
		}
		d.equal("conversations", d.stats().Conversations, int64(1))
	},
}

// visit is a hook of a session with a window of half an hour.
func visit(id string, ended int, messages ...string) ledger.Hook {
	h := hook(id, ended, messages...)
	h.Conversation.ExternalID = "s1"
	h.Session, h.SessionWindow = "s1", 30*time.Minute
	return h
}
