// This file holds the cases of revisions: what a new one does to the deliveries that are there.

package ledgertest

import (
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

var reviseCases = map[string]func(*desk){
	"pending": func(d *desk) {
		first(d)
		revise(d, to(second(), "help"), ledger.Revised, "help")
		d.counts("help", ledger.Counts{Accepted: 2, Pending: 1, Superseded: 1})
		d.equal("revision", d.claim("help").Revision, 2)
	},
	"pending in backoff keeps its day": func(d *desk) {
		first(d)
		d.settle(d.claim("help"), ledger.Pending, later)
		next := d.nothing("help")
		revise(d, to(second(), "help"), ledger.Revised, "help")
		d.equal("due", d.nothing("help"), next)
	},
	"delivered": func(d *desk) {
		first(d)
		d.settle(d.claim("help"), ledger.Delivered, delivered)
		revise(d, planned(to(second(), "help"), holding(time.Hour)), ledger.Revised, "help") // no hold: the target waits already
		d.counts("help", ledger.Counts{Accepted: 2, Pending: 1, Delivered: 1})
		c := d.claim("help")
		if c.Revision != 2 || c.Held != 1 || c.Receipt.ID != "tc1" || c.Attempt != 1 || c.Uncertain {
			d.Fatalf("claimed %+v, want an update", c)
		}
		d.settle(c, ledger.Delivered, delivered)
		d.counts("help", ledger.Counts{Accepted: 2, Delivered: 2})
	},
	"delivered and ignored": func(d *desk) {
		first(d)
		d.settle(d.claim("help"), ledger.Delivered, delivered)
		revise(d, planned(to(second(), "help"), ignoring), ledger.Revised)
		d.counts("help", ledger.Counts{Accepted: 2, Delivered: 1, Skipped: 1})
		d.nothing("help")
		revise(d, to(third(), "help"), ledger.Revised, "help") // the setting has changed
		d.equal("revision", d.claim("help").Revision, 3)
	},
	"delivered and no longer planned": func(d *desk) {
		first(d)
		d.settle(d.claim("help"), ledger.Delivered, delivered)
		revise(d, second(), ledger.Revised, "help")
		c := d.claim("help")
		d.equal("routes", c.Routes, []string{"all"})
		d.equal("configuration", c.Accepted, "accepted-under")
	},
	"pending and ignored": func(d *desk) {
		d.accept(planned(to(hook("c1", 5, "a"), "help"), ignoring), ledger.Accepted, 1)
		revise(d, planned(to(second(), "help"), ignoring), ledger.Revised, "help")
		d.counts("help", ledger.Counts{Accepted: 2, Pending: 1, Superseded: 1})
		d.equal("revision", d.claim("help").Revision, 2)
	},
	"pending and no longer planned": func(d *desk) {
		first(d)
		revise(d, to(second(), "crm"), ledger.Revised, "crm")
		d.counts("help", ledger.Counts{Accepted: 1, Superseded: 1})
		d.nothing("help")
		revise(d, planned(to(third(), "help"), holding(time.Hour)), ledger.Revised, "help")
		d.counts("help", ledger.Counts{Accepted: 2, Pending: 1, Superseded: 1})
		if d.nothing("help").IsZero() {
			d.Fatal("a target that is planned anew does not wait for late content")
		}
	},
	"in doubt and no longer planned": func(d *desk) {
		first(d)
		d.settle(d.claim("help"), ledger.Pending, uncertain)
		revise(d, second(), ledger.Revised, "help")
		c := d.claim("help")
		if c.Revision != 2 || !c.Uncertain || c.Resend {
			d.Fatalf("claimed %+v, want revision 2 in doubt", c)
		}
	},
	"dead": func(d *desk) {
		first(d)
		d.settle(d.claim("help"), ledger.Dead, dead)
		revise(d, to(second(), "help"), ledger.Revised, "help")
		d.counts("help", ledger.Counts{Accepted: 2, Pending: 1, Superseded: 1})
		d.equal("dead deliveries", d.stats().Targets["help"].DeadRows, int64(0))
		if c := d.claim("help"); c.Revision != 2 || c.Attempt != 1 {
			d.Fatalf("claimed %+v, want a first attempt of revision 2", c)
		}
	},
	"dead and no longer planned": func(d *desk) {
		first(d)
		d.settle(d.claim("help"), ledger.Dead, dead)
		revise(d, second(), ledger.Unrouted)
		d.counts("help", ledger.Counts{Accepted: 1, Superseded: 1})
	},
	"dead, held and ignored": func(d *desk) {
		first(d)
		d.settle(d.claim("help"), ledger.Delivered, delivered)
		revise(d, to(second(), "help"), ledger.Revised, "help")
		d.settle(d.claim("help"), ledger.Dead, dead)
		revise(d, planned(to(third(), "help"), ignoring), ledger.Revised)
		d.counts("help", ledger.Counts{Accepted: 3, Delivered: 1, Superseded: 1, Skipped: 1})
		d.nothing("help")
	},
	"leased: not overtaken, then updated": func(d *desk) {
		first(d)
		c := d.claim("help")
		revise(d, to(second(), "help"), ledger.Revised, "help")
		d.equal("next", d.nothing("help"), c.LeaseEnd)
		d.settle(c, ledger.Pending, delivered)
		d.counts("help", ledger.Counts{Accepted: 2, Pending: 1, Delivered: 1})
		c = d.claim("help")
		if c.Revision != 2 || c.Held != 1 || c.Receipt.ID != "tc1" || c.Uncertain || c.Attempt != 1 {
			d.Fatalf("claimed %+v, want an update", c)
		}
	},
	"leased: the older one fails, the newer one has its turn": func(d *desk) {
		first(d)
		c := d.claim("help")
		revise(d, to(second(), "help"), ledger.Revised, "help")
		d.settle(c, ledger.Pending, dead)
		d.counts("help", ledger.Counts{Accepted: 2, Pending: 1, Superseded: 1})
		c = d.claim("help")
		if c.Revision != 2 || c.Held != 0 || c.Attempt != 1 || !c.FirstAt.IsZero() {
			d.Fatalf("claimed %+v, want a first attempt of revision 2", c)
		}
	},
	"leased and ignored": func(d *desk) {
		d.accept(planned(to(hook("c1", 5, "a"), "help"), ignoring), ledger.Accepted, 1)
		c := d.claim("help")
		revise(d, planned(to(second(), "help"), ignoring), ledger.Revised, "help")
		d.settle(c, ledger.Delivered, delivered) // the target has it now, so the revision is skipped
		d.counts("help", ledger.Counts{Accepted: 2, Delivered: 1, Skipped: 1})
		d.nothing("help")
	},
	"leased and no longer planned, taken": func(d *desk) {
		first(d)
		c := d.claim("help")
		revise(d, second(), ledger.Revised, "help")
		d.settle(c, ledger.Pending, delivered)
		d.equal("revision", d.claim("help").Revision, 2)
	},
	"leased and no longer planned, refused": func(d *desk) {
		first(d)
		c := d.claim("help")
		revise(d, second(), ledger.Revised, "help")
		d.settle(c, ledger.Superseded, dead)
		d.counts("help", ledger.Counts{Accepted: 2, Superseded: 2})
		d.nothing("help")
	},
	"leased over a restart": func(d *desk) {
		first(d)
		d.claim("help")
		d.reopen()
		revise(d, second(), ledger.Revised, "help") // the request may have gone out
		c := d.claim("help")
		if c.Revision != 2 || !c.Uncertain || c.Resend {
			d.Fatalf("claimed %+v, want revision 2 in doubt", c)
		}
	},
	"a further target": func(d *desk) {
		first(d)
		d.settle(d.claim("help"), ledger.Delivered, delivered)
		revise(d, to(second(), "help", "crm"), ledger.Revised, "help", "crm")
		c := d.claim("crm")
		if c.Revision != 2 || c.Held != 0 {
			d.Fatalf("claimed %+v, want a creation", c)
		}
	},
}

func first(d *desk) { d.Helper(); d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1) }

func second() ledger.Hook { return hook("c1", 6, "a", "b") }
func third() ledger.Hook  { return hook("c1", 7, "a", "b", "c") }

// revise accepts a revision and checks whom it is due at.
func revise(d *desk, h ledger.Hook, result ledger.Result, targets ...string) {
	d.Helper()
	a, err := d.engine.Accept(d.Context(), h)
	d.must(err)
	d.equal("result", a.Result, result)
	d.equal("targets", a.Targets, targets)
}
