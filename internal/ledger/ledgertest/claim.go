// This file holds the cases of leasing deliveries.

package ledgertest

import (
	"errors"
	"fmt"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

var claimCases = map[string]func(*desk){
	"longest due first, no more than asked": claimOrder,
	"at once nothing is claimed twice":      claimAtOnce,
	"a lapsed lease goes to another":        claimLapsed,
	"leases of an earlier run end":          claimVoid,
	"one that crashes the process is dead":  claimCrashed,
	"what is due next":                      claimNext,
	"targets are apart":                     claimTargets,
	"the observer hears of what is due":     claimObserved,
	"gauges of what is due":                 claimGauges,
	"the oldest is told, tried or not":      claimOldest,
}

func claimOrder(d *desk) {
	for i := range 5 {
		d.accept(to(hook(fmt.Sprint("c", i), 5, "a"), "help"), ledger.Accepted, 1)
	}
	for i, c := range d.claimAll("help", lease).Deliveries {
		d.settle(c, ledger.Pending, func(s *ledger.Settlement) { s.DueAt = time.Now().Add(-time.Duration(i) * time.Minute) })
	}
	var got []string
	for range 3 {
		claimed, err := d.engine.Claim(d.Context(), ledger.Claim{Target: "help", Limit: 2, Lease: lease})
		d.must(err)
		for _, c := range claimed.Deliveries {
			got = append(got, c.ID)
		}
	}
	d.equal("order", got, []string{"c4", "c3", "c2", "c1", "c0"})
}

func claimAtOnce(d *desk) {
	const n = 120
	for i := range n {
		d.accept(to(hook(fmt.Sprint("c", i), 5, "a"), "help"), ledger.Accepted, 1)
	}
	answers, err := concurrently(40, func(int) (ledger.Claimed, error) {
		return d.engine.Claim(d.Context(), ledger.Claim{Target: "help", Limit: 4, Lease: lease})
	})
	d.must(err)
	seen := map[string]int{}
	for _, a := range answers {
		for _, c := range a.Deliveries {
			seen[c.ID]++
		}
	}
	d.equal("deliveries", len(seen), n)
	for id, times := range seen {
		d.equal("claims of "+id, times, 1)
	}
}

func claimLapsed(d *desk) {
	d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
	first := d.lapse()
	if first.Uncertain {
		d.Fatal("the first claim is uncertain")
	}
	second := d.claim("help")
	if first.Lapsed || !second.Lapsed || !second.Uncertain || !second.Resend || second.Tried != "today" || second.Fence <= first.Fence {
		d.Fatalf("the second claim is %+v, want an uncertain resend", second)
	}
	_, err := d.engine.Settle(d.Context(), settlement(first, delivered))
	if !errors.Is(err, ledger.ErrFenced) {
		d.Fatalf("settle of the lapsed lease: %v, want ErrFenced", err)
	}
	d.settle(second, ledger.Delivered, delivered)
	if _, err := d.engine.Settle(d.Context(), settlement(second, dead)); !errors.Is(err, ledger.ErrFenced) {
		d.Fatalf("second settle: %v, want ErrFenced", err)
	}
	d.counts("help", ledger.Counts{Accepted: 1, Delivered: 1})
}

func claimVoid(d *desk) {
	d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
	before := d.claim("help")
	d.reopen()
	if d.suite.Lapse != nil {
		d.lapse() // another replica takes it
	}
	if _, err := d.engine.Settle(d.Context(), settlement(before, delivered)); !errors.Is(err, ledger.ErrFenced) {
		d.Fatalf("settle after a restart: %v, want ErrFenced", err)
	}
	d.settle(d.claim("help"), ledger.Pending, untried)
	after := d.claim("help")
	if !after.Lapsed || !after.Uncertain || !after.Resend || after.Attempt != 1 {
		d.Fatalf("claim after a restart: %+v, want an uncertain resend", after)
	}
	d.settle(after, ledger.Pending, uncertain)
	if c := d.claim("help"); c.Lapsed || !c.Uncertain {
		d.Fatalf("claim after an attempt: %+v, want it in doubt and not lapsed", c)
	}
}

func claimCrashed(d *desk) {
	d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
	for range ledger.CrashLimit {
		d.claim("help")
		d.reopen()
	}
	claimed := d.claimAll("help", lease)
	if len(claimed.Deliveries) != 0 || len(claimed.Crashed) != 1 || claimed.Crashed[0].ID != "c1" {
		d.Fatalf("claimed %+v, want one crashed", claimed)
	}
	d.counts("help", ledger.Counts{Accepted: 1, Dead: 1})
	attempts, err := d.engine.Attempts(d.Context(), "c1", "help")
	d.must(err)
	if len(attempts) != 1 || attempts[0].Kind != "crash" || attempts[0].Reason == "" {
		d.Fatalf("attempts %+v, want one crash", attempts)
	}
	d.must(d.engine.Replay(d.Context(), "c1", "help"))
	if c := d.claim("help"); !c.Uncertain || c.Lapsed {
		d.Fatalf("after the replay: %+v, want it uncertain", c)
	}
}

func claimNext(d *desk) {
	if next := d.nothing("help"); !next.IsZero() {
		d.Fatalf("next is %v in an empty ledger", next)
	}
	d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
	d.accept(to(hook("c2", 5, "a"), "help"), ledger.Accepted, 1)
	due := time.Now().Add(10 * time.Minute).UTC().Truncate(time.Microsecond)
	d.settle(d.claimAll("help", lease).Deliveries[0], ledger.Pending, func(s *ledger.Settlement) { s.DueAt = due })
	d.equal("next", d.nothing("help"), due)
	d.accept(to(hook("c3", 5, "a"), "help"), ledger.Accepted, 1)
	claimed := d.claimAll("help", time.Second)
	d.equal("claimed", d.one(claimed).ID, "c3")
	d.equal("next, without those just claimed", claimed.Next, due)
	d.equal("next, leased ones included", d.nothing("help"), claimed.Deliveries[0].LeaseEnd)
}

func claimTargets(d *desk) {
	d.accept(to(hook("c1", 5, "a"), "help", "crm"), ledger.Accepted, 1)
	d.settle(d.claim("help"), ledger.Dead, dead)
	d.settle(d.claim("crm"), ledger.Delivered, delivered)
	d.nothing("help")
	d.nothing("log")
	d.counts("help", ledger.Counts{Accepted: 1, Dead: 1})
	d.counts("crm", ledger.Counts{Accepted: 1, Delivered: 1})
}

func claimObserved(d *desk) {
	heard := make(chan string, 100)
	committed := make(chan int, 100)
	d.reopen(func(o *Options) {
		o.Observer.Due = func(target string) { heard <- target }
		o.Observer.Committed = func(_ time.Duration, operations int) { committed <- operations }
	})
	hears := func(what string) {
		d.Helper()
		select {
		case target := <-heard:
			d.equal(what, target, "help")
		case <-time.After(time.Minute):
			d.Fatalf("%s: the observer heard nothing", what)
		}
	}
	d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
	hears("accept")
	d.equal("operations", <-committed, 1)
	d.settle(d.claim("help"), ledger.Pending, again)
	hears("settle")
	d.settle(d.claim("help"), ledger.Dead, dead)
	d.must(d.engine.Replay(d.Context(), "c1", "help"))
	hears("replay")
	d.settle(d.claim("help"), ledger.Delivered, delivered)
	d.accept(to(hook("c1", 6, "b"), "help"), ledger.Revised, 2)
	hears("revision")
	d.close()
	d.equal("heard beside that", len(heard), 0)
	d.start()
}

// claimOldest has the oldest one wait for its first attempt, be under way, wait for another one, start again, and be gone.
func claimOldest(d *desk) {
	var at []time.Time
	for i := range 3 {
		d.accept(to(hook(fmt.Sprint("c", i), 5, "a"), "help"), ledger.Accepted, 1)
		page, err := d.operator().Deliveries(d.Context(), ledger.Filter{IDs: []string{fmt.Sprint("c", i)}}, ledger.Page{})
		d.must(err)
		at = append(at, page.Items[0].Since)
	}
	oldest := func(when string, want time.Time) {
		d.Helper()
		if got := d.stats().Targets["help"].OldestPending; !got.Equal(want) {
			d.Fatalf("%s: the oldest is pending since %s, want %s", when, got, want)
		}
	}
	oldest("untried", at[0])
	all := d.claimAll("help", lease).Deliveries
	oldest("all under way", at[0])
	d.settle(all[1], ledger.Pending, later)
	oldest("the second waits for another attempt", at[0])
	d.settle(all[0], ledger.Delivered, delivered)
	oldest("the first is delivered", at[1])
	d.accept(to(hook("c3", 5, "a"), "help"), ledger.Accepted, 1)
	d.settle(all[2], ledger.Dead, dead)
	oldest("a new one waits beside the second", at[1])
	d.reopen()
	oldest("started again", at[1])
}

func claimGauges(d *desk) {
	before := time.Now().Add(-time.Second)
	d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
	s := d.stats().Targets["help"]
	if s.Overdue.Before(before) || s.OldestPending.Before(before) || s.Overdue.After(time.Now()) {
		d.Fatalf("gauges %+v, want due now", s)
	}
	c := d.claim("help")
	if s := d.stats().Targets["help"]; !s.Overdue.IsZero() || s.OldestPending.IsZero() {
		d.Fatalf("gauges %+v while leased, want nothing overdue and one pending", s)
	}
	d.settle(c, ledger.Delivered, delivered)
	if s := d.stats().Targets["help"]; !s.Overdue.IsZero() || !s.OldestPending.IsZero() {
		d.Fatalf("gauges %+v at the end, want nothing", s)
	}
	if d.stats().Bytes <= 0 {
		d.Fatal("the ledger takes no space")
	}
}
