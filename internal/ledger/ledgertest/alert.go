// This file holds the cases of what alerts need: which deliveries are imported, which conversations are our own, and what
// has been told.

package ledgertest

import (
	"sync"
	"sync/atomic"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
)

// imported makes it a hook from a file.
func imported(h ledger.Hook) ledger.Hook {
	h.Import = true
	return h
}

// alertImported: what only imported hooks have asked for is not live, however it goes on, until another hook comes.
func alertImported(d *desk) {
	live := ledger.Filter{Live: true}
	d.accept(imported(to(hook("c1", 5, "a"), "help", "crm")), ledger.Accepted, 1)
	d.accept(to(hook("c2", 5, "b"), "help"), ledger.Accepted, 1)
	d.accept(to(hook("c3", 5, "c")), ledger.Unrouted, 1)
	d.equal("imported and not", d.deliveries(live), []string{"c2 help"})
	d.equal("conversations that have one", d.conversations(live), []string{"c2"})
	for _, c := range d.claimAll("help", lease).Deliveries {
		d.equal(c.ID+" is imported", c.Imported, c.ID == "c1")
		d.settle(c, ledger.Dead, dead, failing("rejected 422"))
	}
	d.settle(d.claim("crm"), ledger.Pending, again, failing("temporary timeout"))
	groups, err := d.operator().Failures(d.Context(), ledger.Filter{Live: true, States: []ledger.State{ledger.Dead}})
	d.must(err)
	if len(groups) != 1 || groups[0].Count != 1 || groups[0].Example != "c2" {
		d.Fatalf("dead and live are %+v, want c2 alone", groups)
	}
	d.reopen()
	_, err = d.operator().Route(d.Context(), "c1", to(hook("c1", 5, "a"), "log").Plan("c1", 1))
	d.must(err)
	d.accept(imported(to(hook("c1", 6, "a", "more"), "help", "crm")), ledger.Revised, 2)
	d.accept(imported(to(hook("c2", 6, "b", "more"), "help", "crm")), ledger.Revised, 2)
	d.equal("imported again", d.deliveries(live), []string{"c2 help"})
	d.must(d.operator().Drop(d.Context(), "c1", "help", "not needed"))
	d.accept(to(hook("c1", 7, "a", "more", "and more"), "help"), ledger.Revised, 3)
	d.equal("live again", d.deliveries(live), []string{"c2 help", "c1 help"})
}

// alertOwn: conversations of our own are kept as others are, and are not counted as such.
func alertOwn(d *desk) {
	own := to(hook("c2", 5, "b"), "slack")
	own.Conversation.Platform, own.Conversation.Source = chat.OwnPlatform, "afterchat"
	d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
	d.accept(own, ledger.Accepted, 1)
	d.accept(to(hook("c3", 5, "c"), "help"), ledger.Accepted, 1)
	d.equal("all", d.conversations(ledger.Filter{}), []string{"c3", "c2", "c1"})
	d.equal("chats", d.conversations(ledger.Filter{Chats: true}), []string{"c3", "c1"})
	d.equal("pending chats", d.conversations(ledger.Filter{Chats: true, States: []ledger.State{ledger.Pending}}), []string{"c3", "c1"})
	d.equal("chats with a word", d.conversations(ledger.Filter{Chats: true, Text: []string{"a"}}), []string{"c1"})
	d.equal("our own", d.conversations(ledger.Filter{Sources: []string{"afterchat"}}), []string{"c2"})
	d.equal("conversations", d.stats().Conversations, int64(2))
	for _, target := range []string{"help", "slack"} {
		for _, c := range d.claimAll(target, lease).Deliveries {
			d.settle(c, ledger.Delivered, delivered)
		}
	}
	d.reopen(keeping)
	d.must(d.engine.Retain(d.Context(), in(2)))
	d.must(d.engine.Retain(d.Context(), in(800)))
	d.equal("conversations after retention", d.stats().Conversations, int64(0))
	d.equal("all after retention", len(d.conversations(ledger.Filter{})), 0)
}

// alertNotes: of those who change a note at once, one does.
func alertNotes(d *desk) {
	o := d.operator()
	n, err := o.Note(d.Context(), "alerts")
	d.must(err)
	d.equal("at first", n, ledger.Note{})
	d.must(o.SaveNote(d.Context(), "alerts", ledger.Note{Text: "one"}))
	d.is("the same again", o.SaveNote(d.Context(), "alerts", ledger.Note{Text: "two"}), ledger.ErrChanged)
	d.must(o.SaveNote(d.Context(), "others", ledger.Note{Text: "beside"}))
	d.must(o.SaveNote(d.Context(), "alerts", ledger.Note{Text: "two", Version: 1}))
	d.reopen()
	o = d.operator()
	n, err = o.Note(d.Context(), "alerts")
	d.must(err)
	d.equal("after a restart", n, ledger.Note{Text: "two", Version: 2})
	var changed atomic.Int32
	var work sync.WaitGroup
	for _, text := range []string{"a", "b", "c", "d", "e"} {
		work.Go(func() {
			if o.SaveNote(d.Context(), "alerts", ledger.Note{Text: text, Version: 2}) == nil {
				changed.Add(1)
			}
		})
	}
	work.Wait()
	d.equal("of five at once", changed.Load(), int32(1))
}
