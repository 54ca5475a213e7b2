// This file is about conversations that an engine hands over in memory: what they are, and that they are no others.

package ledgertest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/chat/chattest"
	"github.com/afterchat/afterchat/internal/ledger"
)

// runFresh accepts conversations of all kinds and claims each twice. A delivery renders with the conversation from memory
// the first time and with the stored one later; a request whose outcome is unknown must have the same bytes both times.
func runFresh(t *testing.T, s Suite) {
	t.Parallel()
	d := newDesk(t, s, Options{})
	defer d.close()
	rapid.Check(t, func(r *rapid.T) {
		c := *chattest.Conversation().Draw(r, "conversation")
		c.Normalize()
		c.ReceivedAt = time.Now()
		c.ID = chat.NewID("test", rapid.StringMatching(`[a-z]{30}`).Draw(r, "id"))
		h := ledger.Hook{Raw: []byte(c.ID), Conversation: c, Plan: func(string, int) ledger.Plan {
			return ledger.Plan{Config: "c", Deliveries: []ledger.PlannedDelivery{{Target: "help"}}}
		}}
		if _, err := d.engine.Accept(t.Context(), h); err != nil {
			r.Skip("JSON cannot hold it: ", err)
		}
		stored, err := d.engine.Conversation(t.Context(), c.ID)
		if err != nil {
			r.Fatal(err)
		}
		hand := func(from string) ledger.Delivery {
			got := d.claim("help")
			if diff := cmp.Diff(stored, got.Conversation); diff != "" {
				r.Fatalf("stored (-), handed out from %s (+):\n%s", from, diff)
			}
			return got
		}
		d.settle(hand("memory"), ledger.Pending, again)
		d.settle(hand("the ledger"), ledger.Delivered, delivered)
	})
}
