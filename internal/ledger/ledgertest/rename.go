// This file holds the cases of names that change.

package ledgertest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

var renameCases = map[string]func(*desk){
	"a pending delivery": func(d *desk) {
		d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
		d.settle(d.claim("help"), ledger.Pending, uncertain)
		d.rename("help", "desk")
		d.nothing("help")
		c := d.claim("desk")
		if c.Target != "desk" || !c.Uncertain || !c.Resend || c.Attempt != 2 {
			d.Fatalf("claimed %+v, want the second attempt of an uncertain delivery to desk", c)
		}
		d.settle(c, ledger.Delivered, delivered)
		d.retain()
		d.counts("desk", ledger.Counts{Accepted: 1, Delivered: 1})
		d.forgotten("help")
	},
	"a lease under way": func(d *desk) {
		d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
		c := d.claim("help")
		d.rename("help", "desk")
		d.nothing("desk")
		d.settle(c, ledger.Delivered, delivered)
		d.retain()
		d.nothing("desk")
		d.counts("desk", ledger.Counts{Accepted: 1, Delivered: 1})
	},
	"a hook under way": func(d *desk) {
		d.rename("help", "desk")
		a := d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
		d.equal("targets", a.Targets, []string{"desk"})
		d.settle(d.claim("desk"), ledger.Delivered, delivered)
		d.retain()
		d.forgotten("help")
	},
	"a revision of what was delivered": renameRevised,
	"a dead delivery": func(d *desk) {
		for _, retained := range []bool{false, true} {
			id := fmt.Sprint("c", retained)
			d.rename("none", "nobody")
			d.accept(to(hook(id, 5, "a"), "help"), ledger.Accepted, 1)
			d.settle(d.claim("help"), ledger.Dead, dead)
			d.rename("help", "desk")
			if retained {
				d.retain()
				d.equal("dead deliveries", d.stats().Targets["desk"].DeadRows, int64(1))
			}
			d.must(d.engine.Replay(d.Context(), id, "desk"))
			d.settle(d.claim("desk"), ledger.Delivered, delivered)
		}
	},
	"the log of attempts": func(d *desk) {
		d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
		d.settle(d.claim("help"), ledger.Delivered, delivered, func(s *ledger.Settlement) { s.Attempt = &ledger.Attempt{Number: 1, Kind: "ok"} })
		d.rename("help", "desk")
		d.retain()
		attempts, err := d.engine.Attempts(d.Context(), "c1", "desk")
		d.must(err)
		d.equal("attempts", len(attempts), 1)
	},
	"failures of both names": func(d *desk) {
		for i, target := range []string{"help", "desk"} {
			d.accept(to(hook(fmt.Sprint("c", i), 5, "a"), target), ledger.Accepted, 1)
			d.settle(d.claim(target), ledger.Dead, dead, failing("rejected 422"))
		}
		d.rename("help", "desk")
		for _, text := range [][]string{nil, {"a"}} {
			got, err := d.operator().Failures(d.Context(), ledger.Filter{Text: text})
			d.must(err)
			if len(got) != 1 || got[0].Target != "desk" || got[0].Count != 2 {
				d.Fatalf("failures %+v, want two of desk", got)
			}
		}
	},
	"the state of a target": func(d *desk) {
		state := ledger.TargetState{Account: "f00", Paused: time.Hour}
		d.must(d.engine.SaveTargetState(d.Context(), "help", state))
		d.rename("help", "desk")
		got, err := d.engine.TargetState(d.Context(), "desk")
		d.must(err)
		d.equal("state", got, state)
		d.must(d.engine.SaveTargetState(d.Context(), "help", ledger.TargetState{Account: "late"}))
		d.rename("help", "desk")
		got, err = d.engine.TargetState(d.Context(), "desk")
		d.must(err)
		d.equal("state after a late word of the old name", got, state)
	},
	"a source": func(d *desk) {
		at := start.Add(time.Hour)
		q, err := d.engine.Quarantine(d.Context(), ledger.Unreadable{Source: "shop", Raw: []byte("?"), ReceivedAt: at})
		d.must(err)
		for range 2 {
			d.must(d.engine.Rename(d.Context(), ledger.Renames{Sources: []ledger.Rename{{Old: "shop", New: "store"}}}))
		}
		u, err := d.engine.Unreadable(d.Context(), q.ID)
		d.must(err)
		d.equal("source of the hook in quarantine", u.Source, "store")
		d.equal("last hook", d.stats().LastHook, map[string]time.Time{"store": at})
	},
	"a name that comes into use again": func(d *desk) {
		d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
		d.rename("help", "desk")
		d.must(d.engine.Rename(d.Context(), ledger.Renames{}))
		d.accept(to(hook("c2", 5, "b"), "help"), ledger.Accepted, 1)
		d.equal("delivery to the new help", d.claim("help").ID, "c2")
		d.equal("delivery to desk", d.claim("desk").ID, "c1")
	},
	"back again": func(d *desk) {
		d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
		c := d.claim("help")
		d.rename("help", "desk")
		d.rename("desk", "help")
		d.settle(c, ledger.Delivered, delivered)
		d.retain()
		d.counts("help", ledger.Counts{Accepted: 1, Delivered: 1})
		d.forgotten("desk")
	},
	"several into one": func(d *desk) {
		d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
		d.accept(to(hook("c2", 5, "b"), "support"), ledger.Accepted, 1)
		d.must(d.engine.Rename(d.Context(), ledger.Renames{Targets: []ledger.Rename{{Old: "help", New: "desk"}, {Old: "support", New: "desk"}, {Old: "desk", New: "desk"}}}))
		d.equal("deliveries", len(d.claimAll("desk", lease).Deliveries), 2)
		d.counts("desk", ledger.Counts{Accepted: 2, Pending: 2})
	},
	"both names hold a conversation":    renameMerged,
	"both names had conversations":      renameMergedTold,
	"both names have a lease under way": renameMergedLeased,
	"more than a page": func(d *desk) {
		const n = 450
		for i := range n {
			d.accept(to(hook(fmt.Sprint("c", i), 5, fmt.Sprint(i)), "help"), ledger.Accepted, 1)
		}
		for _, c := range d.claimAll("help", lease).Deliveries {
			d.settle(c, ledger.Delivered, delivered)
		}
		d.rename("help", "desk")
		d.retain()
		d.counts("desk", ledger.Counts{Accepted: n, Pending: n - 100, Delivered: 100})
		d.forgotten("help")
	},
}

// rename gives one target another name.
func (d *desk) rename(old, name string) {
	d.Helper()
	d.must(d.engine.Rename(d.Context(), ledger.Renames{Targets: []ledger.Rename{{Old: old, New: name}}}))
	d.audit()
}

func (d *desk) retain() {
	d.Helper()
	d.must(d.engine.Retain(d.Context(), time.Now()))
	d.audit()
}

// forgotten checks that nothing is left under a name.
func (d *desk) forgotten(target string) {
	d.Helper()
	if s, ok := d.stats().Targets[target]; ok {
		d.Fatalf("there is still %+v of %s", s, target)
	}
}

// renameRevised: what the target holds is known under the new name, before and after the rest has moved.
func renameRevised(d *desk) {
	for _, retained := range []bool{false, true} {
		id := fmt.Sprint("c", retained)
		d.rename("none", "nobody")
		d.accept(to(hook(id, 5, "a"), "help"), ledger.Accepted, 1)
		d.settle(d.claim("help"), ledger.Delivered, delivered)
		d.rename("help", "desk")
		if retained {
			d.retain()
		}
		d.accept(to(hook(id, 6, "a", "b"), "desk"), ledger.Revised, 2)
		c := d.claim("desk")
		if c.Held != 1 || c.Receipt.ID != "t"+id {
			d.Fatalf("claimed %+v, want an update", c)
		}
		d.settle(c, ledger.Delivered, delivered)
	}
}

// renameMerged: a target was renamed without was: and then with it, so both names have a delivery of the conversation.
func renameMerged(d *desk) {
	d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
	d.settle(d.claim("help"), ledger.Delivered, delivered)
	d.accept(to(hook("c1", 6, "a", "b"), "desk"), ledger.Revised, 2)
	d.counts("help", ledger.Counts{Accepted: 2, Pending: 1, Delivered: 1})
	d.rename("help", "desk")
	d.retain()
	c := d.claim("desk")
	if c.Held != 1 || c.Receipt.ID != "tc1" || c.Revision != 2 {
		d.Fatalf("claimed %+v, want an update of what the old name has delivered", c)
	}
	d.settle(c, ledger.Delivered, delivered)
	d.nothing("desk")
	d.counts("desk", ledger.Counts{Accepted: 3, Delivered: 2, Superseded: 1})
	d.forgotten("help")
}

// renameMergedTold: a target that had conversations of its own is given the name of another. No unit is lost, and what is
// not sent any more is told.
func renameMergedTold(d *desk) {
	told := map[ledger.Rename]ledger.Merged{}
	var mu sync.Mutex
	d.reopen(func(o *Options) {
		o.Observer.Merged = func(m ledger.Merged) {
			mu.Lock()
			defer mu.Unlock()
			sum := told[m.Rename]
			sum.Rename, sum.Conversations, sum.Superseded = m.Rename, sum.Conversations+m.Conversations, sum.Superseded+m.Superseded
			told[m.Rename] = sum
		}
	})
	for i := range 3 { // held by log, pending for web
		d.accept(to(hook(fmt.Sprint("c", i), 5, fmt.Sprint(i)), "log", "web"), ledger.Accepted, 1)
		d.settle(d.claim("log"), ledger.Delivered, delivered)
	}
	d.accept(to(hook("c3", 5, "3"), "log", "web"), ledger.Accepted, 1) // held by both
	d.settle(d.claim("log"), ledger.Delivered, delivered)
	for _, c := range d.claimAll("web", lease).Deliveries {
		if c.ID != "c3" {
			d.settle(c, ledger.Pending, later)
			continue
		}
		d.settle(c, ledger.Delivered, delivered)
	}
	d.accept(to(hook("c4", 5, "4"), "web"), ledger.Accepted, 1) // web's alone
	d.rename("web", "log")
	d.equal("delivery that was web's alone", d.claim("log").ID, "c4")
	d.retain()
	d.counts("log", ledger.Counts{Accepted: 9, Pending: 1, Delivered: 5, Superseded: 3})
	d.forgotten("web")
	r := ledger.Rename{Old: "web", New: "log"}
	mu.Lock()
	defer mu.Unlock()
	d.equal("told", told, map[ledger.Rename]ledger.Merged{r: {Rename: r, Conversations: 4, Superseded: 3}})
}

// renameMergedLeased: neither lease is good any more, and what they may have sent is in doubt.
func renameMergedLeased(d *desk) {
	d.accept(to(hook("c1", 5, "a"), "help", "desk"), ledger.Accepted, 1)
	one, other := d.claim("help"), d.claim("desk")
	d.rename("help", "desk")
	d.nothing("desk")
	for _, c := range []ledger.Delivery{one, other} {
		if _, err := d.engine.Settle(d.Context(), settlement(c, delivered)); !errors.Is(err, ledger.ErrFenced) {
			d.Fatalf("settle: %v, want ErrFenced", err)
		}
	}
	d.reopen()
	if c := d.claim("desk"); !c.Uncertain || !c.Lapsed {
		d.Fatalf("claimed %+v, want it in doubt", c)
	}
}
