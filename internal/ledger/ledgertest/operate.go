// This file holds the cases of what operators do: replay, cancel, drop, route, replay jobs; of failures, quarantine, the
// audit log and series.

package ledgertest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

var operateCases = map[string]func(*desk){
	"replay":                             operateReplay,
	"pinned":                             operatePinned,
	"cancel":                             operateCancel,
	"drop":                               operateDrop,
	"drop after retention":               operateDropExpired,
	"route":                              operateRoute,
	"classes come and go":                operateClasses,
	"failures":                           operateFailures,
	"what there is not":                  operateNothing,
	"a job":                              jobWhole,
	"a job over restarts":                jobRestarts,
	"a job and what others do":           jobOthers,
	"a job is cancelled":                 jobCancelled,
	"a job by words":                     jobByText,
	"steps at once":                      jobConcurrent,
	"jobs are listed":                    jobList,
	"quarantine":                         journalQuarantine,
	"the audit log":                      journalAudit,
	"series":                             journalSeries,
	"closed":                             operateClosed,
	"the journal does not stay for ever": journalRetained,
	"imported":                           alertImported,
	"our own conversations":              alertOwn,
	"notes":                              alertNotes,
}

// failing is an outcome with a class.
func failing(class string) func(*ledger.Settlement) {
	return func(s *ledger.Settlement) {
		s.Attempt = &ledger.Attempt{At: time.Now(), Number: 1, Kind: "rejected", Reason: "because of " + class, Detail: ledger.Detail{Class: class}}
	}
}

// delivery returns the row of the delivery of c1 to help, as operators see it.
func (d *desk) delivery() ledger.DeliveryRow {
	d.Helper()
	page, err := d.operator().Deliveries(d.Context(), ledger.Filter{IDs: []string{"c1"}, Targets: []string{"help"}}, ledger.Page{})
	d.must(err)
	if len(page.Items) != 1 {
		d.Fatalf("%d deliveries of c1 to help, want one", len(page.Items))
	}
	return page.Items[0]
}

// is checks what an error is.
func (d *desk) is(what string, err, want error) {
	d.Helper()
	if !errors.Is(err, want) {
		d.Fatalf("%s: %v, want %v", what, err, want)
	}
}

func operateReplay(d *desk) {
	o := d.operator()
	d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
	d.is("replay of what is pending", o.ReplayDelivery(d.Context(), "c1", "help", ledger.Replay{}), ledger.ErrState)
	d.settle(d.claim("help"), ledger.Dead, dead, uncertain, dead, failing("x"))
	d.must(o.ReplayDelivery(d.Context(), "c1", "help", ledger.Replay{}))
	d.counts("help", ledger.Counts{Accepted: 1, Pending: 1})
	c := d.claim("help")
	if !c.Uncertain || c.Attempt != 1 || c.Pinned != "" {
		d.Errorf("claimed %+v, want the doubt and new attempts", c)
	}
	d.settle(c, ledger.Delivered, delivered)
	d.is("replay of what is delivered", o.ReplayDelivery(d.Context(), "c1", "help", ledger.Replay{}), ledger.ErrState)
	if r := d.delivery(); r.Class+r.Reason != "" || !r.FailedAt.IsZero() {
		d.Errorf("after the success: %+v", r)
	}
}

func operatePinned(d *desk) {
	o := d.operator()
	claim := func(config string) ledger.Delivery {
		claimed, err := d.engine.Claim(d.Context(), ledger.Claim{Target: "help", Limit: 1, Lease: lease, Config: config})
		d.must(err)
		return d.one(claimed)
	}
	d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
	d.settle(claim("k1"), ledger.Dead, dead, failing("x"))
	d.must(o.ReplayDelivery(d.Context(), "c1", "help", ledger.Replay{Pinned: true}))
	d.equal("pinned in the list", d.delivery().Pinned, "k1")
	d.reopen()
	c := claim("k2")
	d.equal("pinned", c.Pinned, "k1")
	d.settle(c, ledger.Pending, again)
	c = claim("k3")
	d.equal("pinned until a success", c.Pinned, "k1")
	d.equal("tried", c.Tried, "k1")
	d.settle(c, ledger.Dead, dead, failing("x"))
	o = d.operator()
	d.must(o.ReplayDelivery(d.Context(), "c1", "help", ledger.Replay{}))
	c = claim("k4")
	d.equal("after a replay with today's", c.Pinned, "")
	d.settle(c, ledger.Dead, dead, failing("x"))
	d.must(o.ReplayDelivery(d.Context(), "c1", "help", ledger.Replay{Pinned: true}))
	c = claim("k5")
	d.equal("pinned to the newest attempt", c.Pinned, "k4")
	d.settle(c, ledger.Delivered, delivered)
	d.equal("after a success", d.delivery().Pinned, "")
	d.accept(to(hook("c1", 6, "b"), "help"), ledger.Revised, 2)
	d.settle(claim("k6"), ledger.Dead, dead)
	d.must(o.ReplayDelivery(d.Context(), "c1", "help", ledger.Replay{Pinned: true}))
	d.accept(to(hook("c1", 7, "c"), "help"), ledger.Revised, 3)
	d.equal("after a revision", claim("k7").Pinned, "")
}

func operateCancel(d *desk) {
	o := d.operator()
	d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
	c := d.claim("help")
	d.is("cancel during an attempt", o.Cancel(d.Context(), "c1", "help", "enough"), ledger.ErrState)
	d.settle(c, ledger.Pending, later)
	d.must(o.Cancel(d.Context(), "c1", "help", "enough"))
	d.counts("help", ledger.Counts{Accepted: 1, Dead: 1})
	d.nothing("help")
	if r := d.delivery(); r.Class != "cancelled" || r.Reason != "enough" || r.FailedAt.IsZero() || r.State != ledger.Dead {
		d.Errorf("cancelled: %+v", r)
	}
	d.is("cancel of what is dead", o.Cancel(d.Context(), "c1", "help", ""), ledger.ErrState)
	d.must(o.ReplayDelivery(d.Context(), "c1", "help", ledger.Replay{}))
	old := d.lapse()
	d.must(o.Cancel(d.Context(), "c1", "help", "the worker is gone"))
	_, err := d.engine.Settle(d.Context(), settlement(old, delivered))
	d.is("settle of the worker that was gone", err, ledger.ErrFenced)
	d.must(o.ReplayDelivery(d.Context(), "c1", "help", ledger.Replay{}))
	if c := d.claim("help"); !c.Uncertain {
		d.Errorf("claimed %+v, want it in doubt", c)
	}
}

func operateDrop(d *desk) {
	o := d.operator()
	d.accept(to(hook("c1", 5, "a"), "help", "crm", "log"), ledger.Accepted, 1)
	d.must(o.Drop(d.Context(), "c1", "help", "spam"))
	d.counts("help", ledger.Counts{Accepted: 1, Skipped: 1})
	d.nothing("help")
	r := d.delivery()
	d.equal("class", r.Class, "")
	d.equal("reason", r.Reason, "spam")
	c := d.claim("crm")
	d.is("drop during an attempt", o.Drop(d.Context(), "c1", "crm", ""), ledger.ErrState)
	d.settle(c, ledger.Dead, dead, failing("x"))
	d.must(o.Drop(d.Context(), "c1", "crm", "spam"))
	d.counts("crm", ledger.Counts{Accepted: 1, Skipped: 1})
	d.equal("dead deliveries", d.stats().Targets["crm"].DeadRows, int64(0))
	d.settle(d.claim("log"), ledger.Delivered, delivered)
	for _, target := range []string{"help", "log"} {
		d.is("drop of what has ended", o.Drop(d.Context(), "c1", target, ""), ledger.ErrState)
	}
	d.is("replay of what was dropped", o.ReplayDelivery(d.Context(), "c1", "crm", ledger.Replay{}), ledger.ErrState)
	// What comes later is not dropped.
	d.accept(to(hook("c1", 6, "b"), "help"), ledger.Revised, 2)
	d.equal("revision", d.claim("help").Revision, 2)
	d.counts("help", ledger.Counts{Accepted: 2, Skipped: 1, Pending: 1})
}

func operateDropExpired(d *desk) {
	d.reopen(keeping)
	o := d.operator()
	d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
	d.settle(d.claim("help"), ledger.Dead, dead)
	d.must(d.engine.Retain(d.Context(), in(91)))
	d.is("replay", o.ReplayDelivery(d.Context(), "c1", "help", ledger.Replay{}), ledger.ErrNotFound)
	_, err := o.Route(d.Context(), "c1", to(hook("c1", 5), "crm").Plan("", 0))
	d.is("route", err, ledger.ErrNotFound)
	d.must(o.Drop(d.Context(), "c1", "help", ""))
	d.counts("help", ledger.Counts{Accepted: 1, Skipped: 1})
	d.audit()
}

func operateRoute(d *desk) {
	o := d.operator()
	d.accept(hook("c1", 5, "a"), ledger.Unrouted, 1)
	d.equal("unrouted", d.conversations(ledger.Filter{Unrouted: true}), []string{"c1"})
	plan := func(targets ...string) ledger.Plan { return to(hook("c1", 5), targets...).Plan("", 0) }
	added, err := o.Route(d.Context(), "c1", plan("help"))
	d.must(err)
	d.equal("added", added, []string{"help"})
	d.equal("unrouted", d.conversations(ledger.Filter{Unrouted: true}), []string(nil))
	d.equal("by route", d.conversations(ledger.Filter{Routes: []string{"all"}}), []string{"c1"})
	d.settle(d.claim("help"), ledger.Delivered, delivered)
	added, err = o.Route(d.Context(), "c1", plan("help", "crm"))
	d.must(err)
	d.equal("added", added, []string{"crm"})
	c := d.claim("crm")
	d.equal("revision", c.Revision, 1)
	d.settle(c, ledger.Dead, dead)
	added, err = o.Route(d.Context(), "c1", plan("help", "crm"))
	d.must(err)
	d.equal("added", len(added), 0)
	d.counts("help", ledger.Counts{Accepted: 1, Delivered: 1})
	d.counts("crm", ledger.Counts{Accepted: 1, Dead: 1})
	// The next revision treats it as any other.
	d.accept(to(hook("c1", 6, "b"), "help", "crm"), ledger.Revised, 2)
	d.equal("held", d.claim("help").Held, 1)
	d.counts("crm", ledger.Counts{Accepted: 2, Pending: 1, Superseded: 1})
}

func operateClasses(d *desk) {
	class := func(want string) {
		d.Helper()
		d.equal("class", d.delivery().Class, want)
	}
	d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
	class("")
	d.settle(d.claim("help"), ledger.Pending, again, failing("x"))
	class("x")
	d.settle(d.claim("help"), ledger.Pending, untried)
	class("x")
	d.settle(d.claim("help"), ledger.Pending, again, func(s *ledger.Settlement) { s.Attempt = &ledger.Attempt{At: start, Kind: "temporary", Status: 503} })
	if got := d.delivery().Class; !strings.HasPrefix(got, "temporary") {
		d.Errorf("class %q of an attempt that brings none, want one that begins with its kind", got)
	}
	d.accept(to(hook("c1", 6, "b"), "help"), ledger.Revised, 2)
	class("")
	for range ledger.CrashLimit {
		d.lapse()
	}
	if c := d.claimAll("help", lease); len(c.Crashed) != 1 {
		d.Fatalf("claimed %+v, want a crash", c)
	}
	class("crash")
	d.accept(hook("c1", 7, "c"), ledger.Revised, 3)
	d.settle(d.claim("help"), ledger.Delivered, delivered)
	class("")
	d.equal("failures", d.conversations(ledger.Filter{Classes: []string{"x", "crash"}}), []string(nil))
}

func operateFailures(d *desk) {
	o := d.operator()
	for i := range 9 {
		d.accept(to(hook(fmt.Sprint("c", i), 5, "a"), "help", "crm"), ledger.Accepted, 1)
	}
	for _, target := range []string{"help", "crm"} {
		for i, c := range d.claimAll(target, lease).Deliveries {
			switch {
			case i < 4 && target == "help":
				d.settle(c, ledger.Dead, dead, failing("rejected 422 custom_fields"))
			case i < 6:
				d.settle(c, ledger.Pending, later, failing("temporary timeout"))
			case i < 7:
				d.settle(c, ledger.Delivered, delivered)
			}
		}
	}
	got, err := o.Failures(d.Context(), ledger.Filter{})
	d.must(err)
	type group struct {
		target, class, reason string
		state                 ledger.State
		n                     int64
	}
	var groups []group
	for _, f := range got {
		groups = append(groups, group{f.Target, f.Class, f.Reason, f.State, f.Count})
		if f.First.IsZero() || f.Last.Before(f.First) || !slices.Contains(d.conversations(ledger.Filter{Classes: []string{f.Class}, Targets: []string{f.Target}}), f.Example) {
			d.Errorf("times or example are wrong: %+v", f)
		}
	}
	want := []group{
		{"crm", "temporary timeout", "because of temporary timeout", ledger.Pending, 6},
		{"help", "rejected 422 custom_fields", "because of rejected 422 custom_fields", ledger.Dead, 4},
		{"help", "temporary timeout", "because of temporary timeout", ledger.Pending, 2},
	}
	if !slices.Equal(groups, want) {
		d.Errorf("failures %+v, want %+v", groups, want)
	}
	// A word that all have selects all, wherever an engine cuts them into parts.
	said, err := o.Failures(d.Context(), ledger.Filter{Text: []string{"a"}})
	d.must(err)
	d.equal("groups of what all said", said, got)
	got, err = o.Failures(d.Context(), ledger.Filter{States: []ledger.State{ledger.Dead}, Text: []string{"a"}, Sources: []string{"shop"}})
	d.must(err)
	if len(got) != 1 || got[0].Count != 4 {
		d.Errorf("dead failures %+v", got)
	}
	got, err = o.Failures(d.Context(), ledger.Filter{Targets: []string{"crm"}, Classes: []string{"rejected 422 custom_fields"}})
	d.must(err)
	d.equal("no failures", len(got), 0)
}

func operateNothing(d *desk) {
	o := d.operator()
	d.accept(hook("c1", 5, "a"), ledger.Unrouted, 1)
	for _, id := range []string{"c1", "c2", ""} {
		d.is("replay", o.ReplayDelivery(d.Context(), id, "help", ledger.Replay{}), ledger.ErrNotFound)
		d.is("cancel", o.Cancel(d.Context(), id, "help", ""), ledger.ErrNotFound)
		d.is("drop", o.Drop(d.Context(), id, "help", ""), ledger.ErrNotFound)
	}
	_, route := o.Route(d.Context(), "c2", ledger.Plan{})
	d.is("route", route, ledger.ErrNotFound)
	_, job := o.ReplayJob(d.Context(), "r1")
	d.is("job", job, ledger.ErrNotFound)
	_, step := o.StepReplay(d.Context(), "r1", 1)
	d.is("step", step, ledger.ErrNotFound)
	_, cancel := o.CancelReplay(d.Context(), "r1")
	d.is("cancel of a job", cancel, ledger.ErrNotFound)
	d.is("release", o.Release(d.Context(), "q1"), ledger.ErrNotFound)
}

// deadOnes accepts n conversations and lets them die at help.
func (d *desk) deadOnes(n int) {
	d.Helper()
	for i := range n {
		d.accept(to(hook(fmt.Sprintf("c%03d", i), 5, fmt.Sprint("word", i%3)), "help"), ledger.Accepted, 1)
	}
	for _, c := range d.claimAll("help", lease).Deliveries {
		d.settle(c, ledger.Dead, dead, failing([]string{"x", "y"}[int(c.ID[3])%2]))
	}
}

func (d *desk) job(f ledger.Filter) ledger.ReplayJob {
	d.Helper()
	j, err := d.operator().CreateReplay(d.Context(), ledger.ReplayJob{By: "ann", Filter: f, PerSecond: 5})
	d.must(err)
	return j
}

func (d *desk) step(id string, limit int) ledger.ReplayJob {
	d.Helper()
	j, err := d.operator().StepReplay(d.Context(), id, limit)
	d.must(err)
	return j
}

func jobWhole(d *desk) {
	d.operator()
	d.deadOnes(10)
	j := d.job(ledger.Filter{Classes: []string{"x"}, States: []ledger.State{ledger.Pending, ledger.Dead}})
	if j.ID == "" || j.By != "ann" || j.State != ledger.JobRunning || j.Total != 5 || j.Done != 0 || j.PerSecond != 5 || j.CreatedAt.IsZero() || !j.EndedAt.IsZero() {
		d.Fatalf("created %+v", j)
	}
	j = d.step(j.ID, 2)
	if j.Done != 2 || j.State != ledger.JobRunning || j.UpdatedAt.Before(j.CreatedAt) {
		d.Fatalf("after a step: %+v", j)
	}
	d.counts("help", ledger.Counts{Accepted: 10, Pending: 2, Dead: 8})
	j = d.step(j.ID, 100)
	if j.Done != 5 || j.Skipped != 0 || j.State != ledger.JobDone || j.EndedAt.IsZero() {
		d.Fatalf("at the end: %+v", j)
	}
	d.equal("after the end", d.step(j.ID, 100), j)
	d.equal("dead", len(d.deliveries(ledger.Filter{States: []ledger.State{ledger.Dead}, Classes: []string{"y"}})), 5)
	// One that dies again is not replayed again, and what is replayed has the oldest first.
	claimed := d.claimAll("help", lease).Deliveries
	d.equal("claimed", len(claimed), 5)
	d.equal("first", claimed[0].ID, "c000")
	d.counts("help", ledger.Counts{Accepted: 10, Pending: 5, Dead: 5})
}

func jobRestarts(d *desk) {
	d.operator()
	d.deadOnes(12)
	j := d.job(ledger.Filter{})
	d.equal("total", j.Total, int64(12))
	for i := 1; i <= 12; i++ {
		d.reopen()
		j = d.step(j.ID, 1)
		d.equal("done", j.Done, int64(i))
		// What is replayed dies again at once, and is let be.
		d.settle(d.claim("help"), ledger.Dead, dead, failing("again"))
	}
	j = d.step(j.ID, 1)
	d.equal("state", j.State, ledger.JobDone)
	d.equal("done", j.Done, int64(12))
	d.counts("help", ledger.Counts{Accepted: 12, Dead: 12})
}

func jobOthers(d *desk) {
	d.reopen(keeping)
	o := d.operator()
	d.deadOnes(6)
	j := d.job(ledger.Filter{})
	d.must(o.ReplayDelivery(d.Context(), "c001", "help", ledger.Replay{}))
	d.must(o.Drop(d.Context(), "c002", "help", "spam"))
	d.must(o.ReplayDelivery(d.Context(), "c003", "help", ledger.Replay{}))
	for _, c := range d.claimAll("help", lease).Deliveries {
		if c.ID == "c003" {
			d.settle(c, ledger.Dead, dead, failing("later"))
		}
	}
	d.accept(to(hook("new", 5, "a"), "help"), ledger.Accepted, 1)
	d.settle(d.claim("help"), ledger.Dead, dead, failing("later"))
	for j.State == ledger.JobRunning {
		j = d.step(j.ID, 2)
	}
	if j.Total != 6 || j.Done != 3 || j.Skipped != 3 {
		d.Errorf("at the end: %+v, want 3 of 6 done and 3 skipped", j)
	}
	d.equal("still dead", d.conversations(ledger.Filter{States: []ledger.State{ledger.Dead}}), []string{"new", "c003"})
}

func jobCancelled(d *desk) {
	o := d.operator()
	d.deadOnes(4)
	j := d.job(ledger.Filter{})
	d.step(j.ID, 1)
	j, err := o.CancelReplay(d.Context(), j.ID)
	d.must(err)
	if j.State != ledger.JobCancelled || j.Done != 1 || j.EndedAt.IsZero() {
		d.Fatalf("cancelled: %+v", j)
	}
	d.equal("a step after it", d.step(j.ID, 10), j)
	again, err := o.CancelReplay(d.Context(), j.ID)
	d.must(err)
	d.equal("cancelled again", again, j)
	d.counts("help", ledger.Counts{Accepted: 4, Pending: 1, Dead: 3})
	none := d.job(ledger.Filter{Targets: []string{"crm"}})
	d.equal("total of nothing", none.Total, int64(0))
	d.equal("state of nothing", d.step(none.ID, 10).State, ledger.JobDone)
}

func jobByText(d *desk) {
	d.operator()
	d.deadOnes(9)
	j, err := d.operator().CreateReplay(d.Context(), ledger.ReplayJob{Filter: ledger.Filter{Text: []string{"word1"}, Sources: []string{"shop"}}, Replay: ledger.Replay{Pinned: true}})
	d.must(err)
	d.equal("total", j.Total, int64(3))
	for j.State == ledger.JobRunning {
		j = d.step(j.ID, 1)
	}
	d.equal("done", j.Done, int64(3))
	var ids []string
	for _, c := range d.claimAll("help", lease).Deliveries {
		d.equal("pinned", c.Pinned, "today")
		ids = append(ids, c.ID)
	}
	slices.Sort(ids)
	d.equal("replayed", ids, []string{"c001", "c004", "c007"})
}

func jobConcurrent(d *desk) {
	d.operator()
	d.deadOnes(60)
	j := d.job(ledger.Filter{})
	_, err := concurrently(20, func(int) (ledger.ReplayJob, error) { return d.operator().StepReplay(d.Context(), j.ID, 3) })
	d.must(err)
	for j.State == ledger.JobRunning {
		j = d.step(j.ID, 7)
	}
	d.equal("done", j.Done, int64(60))
	d.counts("help", ledger.Counts{Accepted: 60, Pending: 60})
}

func jobList(d *desk) {
	o := d.operator()
	since := start
	want := ledger.ReplayJob{
		By: "ann", Filter: ledger.Filter{Targets: []string{"help"}, Text: []string{"\"odd\" 'text'"}, Since: since, MinRating: new(1.0)}, Replay: ledger.Replay{Pinned: true}, PerSecond: 0.5,
	}
	var ids []string
	for range 7 {
		j, err := o.CreateReplay(d.Context(), want)
		d.must(err)
		ids = append(ids, j.ID)
	}
	slices.Reverse(ids)
	d.reopen()
	o = d.operator()
	jobs := all(d, 3, func(p ledger.Page) (ledger.Listed[ledger.ReplayJob], error) { return o.ReplayJobs(d.Context(), p) })
	var got []string
	for _, j := range jobs {
		got = append(got, j.ID)
	}
	d.equal("jobs", got, ids)
	one, err := o.ReplayJob(d.Context(), ids[0])
	d.must(err)
	d.equal("a job by id", one, jobs[0])
	one.ID, one.CreatedAt, one.UpdatedAt, one.State, one.Filter.States = "", time.Time{}, time.Time{}, "", nil
	d.equal("a job", one, want)
}

func journalQuarantine(d *desk) {
	o := d.operator()
	var want []string
	for i := range 8 {
		q, err := d.engine.Quarantine(d.Context(), ledger.Unreadable{
			Source: []string{"shop", "desk"}[i%2], Raw: []byte(strings.Repeat("?", i*100)), ContentType: "text/plain", Reason: fmt.Sprint("reason ", i),
			ReceivedAt: start.Add(time.Duration(i/2) * time.Minute), // some at the same moment
		})
		d.must(err)
		want = append(want, q.ID)
	}
	rows := all(d, 3, func(p ledger.Page) (ledger.Listed[ledger.QuarantineRow], error) {
		return o.Quarantined(d.Context(), nil, p)
	})
	d.equal("rows", len(rows), 8)
	for i, r := range rows {
		n := slices.Index(want, r.ID)
		if n < 0 || n/2 != 3-i/2 || r.Bytes != n*100 || r.Reason != fmt.Sprint("reason ", n) || r.ContentType != "text/plain" ||
			!r.ReceivedAt.Equal(start.Add(time.Duration(n/2)*time.Minute)) {
			d.Errorf("row %d is %+v", i, r)
		}
	}
	rows = all(d, 3, func(p ledger.Page) (ledger.Listed[ledger.QuarantineRow], error) {
		return o.Quarantined(d.Context(), []string{"desk"}, p)
	})
	d.equal("rows of a source", len(rows), 4)
	d.must(o.Release(d.Context(), want[1]))
	d.is("release again", o.Release(d.Context(), want[1]), ledger.ErrNotFound)
	d.equal("quarantined", d.stats().Quarantined, int64(7))
	_, err := d.engine.Unreadable(d.Context(), want[1])
	d.is("released", err, ledger.ErrNotFound)
}

func journalAudit(d *desk) {
	o := d.operator()
	var want []ledger.Audited
	for i := range 8 {
		a := ledger.Audited{At: start.Add(time.Duration(-i) * time.Minute), Who: "ann", Address: "::1", Action: "replay", Object: fmt.Sprint("c", i), Detail: "to \"help\""}
		d.must(o.Audit(d.Context(), a))
		want = append(want, a)
	}
	slices.Reverse(want)
	d.reopen()
	o = d.operator()
	d.equal("audit log", all(d, 3, func(p ledger.Page) (ledger.Listed[ledger.Audited], error) { return o.AuditLog(d.Context(), p) }), want)
	d.must(o.Audit(d.Context(), ledger.Audited{Who: "bob"}))
	page, err := o.AuditLog(d.Context(), ledger.Page{Limit: 1})
	d.must(err)
	if page.Items[0].At.IsZero() || page.Items[0].Who != "bob" {
		d.Errorf("a line without a time is %+v", page.Items[0])
	}
}

func journalSeries(d *desk) {
	o := d.operator()
	point := func(minute int, kind, name, what string, n int64) ledger.Point {
		return ledger.Point{At: start.Truncate(time.Minute).Add(time.Duration(minute) * time.Minute), Kind: kind, Name: name, What: what, Count: n}
	}
	d.must(o.AddPoints(d.Context(), nil))
	d.must(o.AddPoints(d.Context(), []ledger.Point{point(0, "source", "shop", "accepted", 2), point(1, "source", "shop", "accepted", 5), point(0, "target", "help", "delivered", 1)}))
	odd := point(0, "source", "shop", "accepted", 3)
	odd.At = odd.At.Add(59 * time.Second)
	d.must(o.AddPoints(d.Context(), []ledger.Point{odd, point(0, "source", "desk", "repeated", 1), odd}))
	got, err := o.Series(d.Context(), "source", start.Truncate(time.Minute))
	d.must(err)
	d.equal("series", got, []ledger.Point{
		point(0, "source", "desk", "repeated", 1), point(0, "source", "shop", "accepted", 8), point(1, "source", "shop", "accepted", 5),
	})
	got, err = o.Series(d.Context(), "target", start.Add(time.Minute))
	d.must(err)
	d.equal("later", len(got), 0)
}

func journalRetained(d *desk) {
	o := d.operator()
	now := time.Now().UTC().Truncate(time.Minute)
	d.must(o.Audit(d.Context(), ledger.Audited{At: now, Who: "ann"}))
	d.must(o.AddPoints(d.Context(), []ledger.Point{{At: now, Kind: "source", Name: "shop", What: "accepted", Count: 1}}))
	j := d.job(ledger.Filter{})
	d.step(j.ID, 1)
	count := func(days, audit, jobs, points int) {
		d.Helper()
		d.must(d.engine.Retain(d.Context(), in(days)))
		a, err := o.AuditLog(d.Context(), ledger.Page{})
		d.must(err)
		r, err := o.ReplayJobs(d.Context(), ledger.Page{})
		d.must(err)
		s, err := o.Series(d.Context(), "source", now)
		d.must(err)
		d.equal(fmt.Sprintf("lines, jobs, points after %d days", days), []int{len(a.Items), len(r.Items), len(s)}, []int{audit, jobs, points})
	}
	count(29, 1, 1, 1)
	count(31, 1, 1, 0)
	count(367, 0, 0, 0)
}

func operateClosed(d *desk) {
	o := d.operator()
	d.must(d.engine.Close())
	ctx := d.Context()
	_, conversations := o.Conversations(ctx, ledger.Filter{}, ledger.Page{})
	_, look := o.Look(ctx, "c1")
	_, revision := o.Revision(ctx, "c1", 1)
	_, deliveries := o.Deliveries(ctx, ledger.Filter{Text: []string{"a"}}, ledger.Page{})
	_, count := o.Count(ctx, ledger.Filter{}, 0)
	_, failures := o.Failures(ctx, ledger.Filter{})
	_, route := o.Route(ctx, "c1", ledger.Plan{})
	_, create := o.CreateReplay(ctx, ledger.ReplayJob{})
	_, step := o.StepReplay(ctx, "r1", 1)
	_, jobs := o.ReplayJobs(ctx, ledger.Page{})
	_, quarantined := o.Quarantined(ctx, nil, ledger.Page{})
	_, log := o.AuditLog(ctx, ledger.Page{})
	_, series := o.Series(ctx, "source", start)
	for name, err := range map[string]error{
		"Conversations": conversations, "Look": look, "Revision": revision, "Deliveries": deliveries, "Count": count, "Failures": failures,
		"Route": route, "CreateReplay": create, "StepReplay": step, "ReplayJobs": jobs, "Quarantined": quarantined, "AuditLog": log, "Series": series,
		"Cancel": o.Cancel(ctx, "c1", "help", ""), "Drop": o.Drop(ctx, "c1", "help", ""), "Release": o.Release(ctx, "q1"),
		"Audit": o.Audit(ctx, ledger.Audited{}), "AddPoints": o.AddPoints(ctx, []ledger.Point{{Kind: "source"}}),
	} {
		if !errors.Is(err, ledger.ErrClosed) {
			d.Errorf("%s after Close: %v, want ErrClosed", name, err)
		}
	}
	d.start()
}
