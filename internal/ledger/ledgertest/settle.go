// This file holds the cases of settling: what is known of a target afterwards.

package ledgertest

import (
	"errors"
	"time"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/ledger"
)

var settleCases = map[string]func(*desk){
	"attempts count, shutdown does not": settleTries,
	"doubt stays until a success":       settleDoubt,
	"bytes of the attempt in doubt":     settleTried,
	"receipts add up":                   settleReceipts,
	"the log of attempts":               settleAttempts,
	"dead and replayed":                 settleReplay,
	"who may not settle":                settleFenced,
	"skipped by a worker":               settleSkipped,
}

func settleTries(d *desk) {
	d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
	c := d.claim("help")
	d.settle(c, ledger.Pending, untried)
	c = d.claim("help")
	if c.Attempt != 1 || c.Uncertain || c.Tried != "" || !c.FirstAt.IsZero() {
		d.Fatalf("after a shutdown: %+v, want a first attempt", c)
	}
	d.settle(c, ledger.Pending, again, func(s *ledger.Settlement) { s.FirstAt = start })
	c = d.claim("help")
	if c.Attempt != 2 || c.Uncertain || c.Tried != "today" || !c.FirstAt.Equal(start) {
		d.Fatalf("after a failure: %+v, want a second attempt", c)
	}
	// Claims that ended well do not add up to a crash.
	for range 2 * ledger.CrashLimit {
		d.settle(c, ledger.Pending, untried)
		c = d.claim("help")
	}
	d.settle(c, ledger.Pending, later)
	d.nothing("help")
	d.counts("help", ledger.Counts{Accepted: 1, Pending: 1})
}

func settleDoubt(d *desk) {
	d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
	d.settle(d.claim("help"), ledger.Pending, uncertain)
	c := d.claim("help")
	if !c.Uncertain || !c.Resend {
		d.Fatalf("after an uncertain attempt: %+v", c)
	}
	d.settle(c, ledger.Pending, again) // failed for certain, which says nothing of the one before
	c = d.claim("help")
	if !c.Uncertain || !c.Resend {
		d.Fatalf("after a certain one: %+v", c)
	}
	d.settle(c, ledger.Pending, again)
	d.accept(to(hook("c1", 6, "a", "b"), "help"), ledger.Revised, 2)
	c = d.claim("help")
	if !c.Uncertain || c.Resend || c.Attempt != 1 || c.Tried != "" {
		d.Fatalf("after a revision: %+v, want the doubt without a resend", c)
	}
	d.settle(c, ledger.Dead, dead)
	d.must(d.engine.Replay(d.Context(), "c1", "help"))
	c = d.claim("help")
	if !c.Uncertain {
		d.Fatalf("after a replay: %+v, want the doubt", c)
	}
	d.settle(c, ledger.Delivered, delivered)
	d.accept(to(hook("c1", 7, "c"), "help"), ledger.Revised, 3)
	if c = d.claim("help"); c.Uncertain || c.Held != 2 {
		d.Fatalf("after a success: %+v, want no doubt", c)
	}
}

func settleTried(d *desk) {
	d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
	claim := func(config string) ledger.Delivery {
		claimed, err := d.engine.Claim(d.Context(), ledger.Claim{Target: "help", Limit: 1, Lease: lease, Config: config})
		d.must(err)
		return d.one(claimed)
	}
	d.settle(claim("k1"), ledger.Pending, again)
	c := claim("k2")
	d.equal("tried", c.Tried, "k1")
	d.settle(c, ledger.Pending, uncertain)
	c = claim("k3")
	d.equal("tried in doubt", c.Tried, "k2")
	d.settle(c, ledger.Pending, uncertain)
	d.equal("tried in doubt, still", claim("k4").Tried, "k2")
}

func settleReceipts(d *desk) {
	d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
	with := func(r connectors.Receipt) func(*ledger.Settlement) {
		return func(s *ledger.Settlement) { s.Receipt = r }
	}
	d.settle(d.claim("help"), ledger.Pending, again, with(connectors.Receipt{Parts: map[string]string{"contact": "7", "note": "8"}}))
	d.reopen()
	c := d.claim("help")
	d.equal("after a failure", c.Receipt, connectors.Receipt{Parts: map[string]string{"contact": "7", "note": "8"}})
	d.equal("held after a failure", c.Held, 0)
	d.settle(c, ledger.Delivered, delivered, with(connectors.Receipt{ID: "1", URL: "u", Parts: map[string]string{"note": "9"}}))
	d.accept(to(hook("c1", 6, "b"), "help"), ledger.Revised, 2)
	c = d.claim("help")
	want := connectors.Receipt{ID: "1", URL: "u", Parts: map[string]string{"contact": "7", "note": "9"}}
	d.equal("after a success", c.Receipt, want)
	d.equal("held", c.Held, 1)
	d.settle(c, ledger.Pending, again)
	d.equal("after nothing new", d.claim("help").Receipt, want)
}

func settleAttempts(d *desk) {
	d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
	lines := []ledger.Attempt{
		{At: start, Revision: 1, Number: 1, Kind: "temporary", Duration: 1500 * time.Millisecond, Status: 503, Reason: "busy"},
		{
			At: start.Add(time.Minute), Revision: 1, Number: 2, Kind: "ok", Duration: time.Microsecond, Status: 201, Detail: ledger.Detail{
				Config: "today", Uncertain: true, Prior: connectors.Receipt{ID: "t1", URL: "https://example.com/t1", Parts: map[string]string{"contact": "7"}},
			},
		},
		{At: start.Add(time.Hour), Revision: 2, Number: 1, Kind: "ok", Status: 200, Detail: ledger.Detail{Prior: connectors.Receipt{ID: "t1"}}},
	}
	d.settle(d.claim("help"), ledger.Pending, again, func(s *ledger.Settlement) { s.Attempt = &lines[0] })
	d.settle(d.claim("help"), ledger.Pending, untried) // no line
	d.settle(d.claim("help"), ledger.Delivered, delivered, func(s *ledger.Settlement) { s.Attempt = &lines[1] })
	d.accept(to(hook("c1", 6, "b"), "help"), ledger.Revised, 2)
	d.settle(d.claim("help"), ledger.Delivered, delivered, func(s *ledger.Settlement) { s.Attempt = &lines[2] })
	got, err := d.engine.Attempts(d.Context(), "c1", "help")
	d.must(err)
	d.equal("attempts", got, lines)
	none, err := d.engine.Attempts(d.Context(), "c1", "crm")
	d.must(err)
	d.equal("attempts of another target", len(none), 0)
}

func settleReplay(d *desk) {
	d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
	for _, target := range []string{"help", "crm"} {
		if err := d.engine.Replay(d.Context(), "c1", target); !errors.Is(err, ledger.ErrNotFound) {
			d.Fatalf("replay of what is not dead at %s: %v, want ErrNotFound", target, err)
		}
	}
	d.settle(d.claim("help"), ledger.Dead, dead, func(s *ledger.Settlement) { s.FirstAt = start })
	d.equal("dead deliveries", d.stats().Targets["help"].DeadRows, int64(1))
	d.must(d.engine.Replay(d.Context(), "c1", "help"))
	d.counts("help", ledger.Counts{Accepted: 1, Pending: 1})
	d.equal("dead deliveries", d.stats().Targets["help"].DeadRows, int64(0))
	c := d.claim("help")
	if c.Attempt != 1 || !c.FirstAt.IsZero() || c.Revision != 1 {
		d.Fatalf("after the replay: %+v, want new attempts to spend", c)
	}
	d.settle(c, ledger.Delivered, delivered)
}

func settleFenced(d *desk) {
	d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
	c := d.claim("help")
	s := settlement(c, delivered)
	s.Fence++
	if _, err := d.engine.Settle(d.Context(), s); !errors.Is(err, ledger.ErrFenced) {
		d.Fatalf("another fence: %v, want ErrFenced", err)
	}
	s = settlement(c, delivered)
	s.Target = "crm"
	if _, err := d.engine.Settle(d.Context(), s); !errors.Is(err, ledger.ErrNotFound) {
		d.Fatalf("another target: %v, want ErrNotFound", err)
	}
	d.settle(c, ledger.Delivered, delivered)
}

func settleSkipped(d *desk) {
	d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
	d.settle(d.claim("help"), ledger.Skipped, func(s *ledger.Settlement) { s.State, s.Tried = ledger.Skipped, false })
	d.counts("help", ledger.Counts{Accepted: 1, Skipped: 1})
	d.nothing("help")
}
