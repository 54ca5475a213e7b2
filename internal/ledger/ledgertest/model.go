// This file holds the property: whatever comes in whatever order, the engine agrees with a model that keeps every unit
// in a map and counts by counting.

package ledgertest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/afterchat/afterchat/internal/ledger"
)

var (
	modelIDs     = []string{"c1", "c2"}
	modelTargets = []string{"help", "crm"}
)

// unit is one revision of one conversation for one target. life tells a conversation from the one before it under the
// same id, which retention has forgotten.
type unit struct {
	id, target string
	life       int
	revision   int
}

// talk is a conversation of the model.
type talk struct {
	life, revision int
	seen           map[string]int // variant → revision
	bodies         bool
	rows           map[string]*slip
}

// slip is a delivery of the model.
type slip struct {
	state                       ledger.State
	want, have, doubt, inFlight int
	planned, ignore, due        bool
	claims, tries               int
	lapsed                      bool
	lease                       *lent // the newest
	tried, pinned               bool
	class                       string
}

// lent is a claim that the model's workers made.
type lent struct {
	d    ledger.Delivery
	open bool // can still be settled
}

// model is the ledger as it should be.
type model struct {
	t     *rapid.T
	desk  *desk
	talks map[string]*talk
	units map[unit]ledger.State
	lent  []*lent
	lives int
}

func runModel(t *testing.T, s Suite) {
	rapid.Check(t, func(rt *rapid.T) {
		var o Options
		keeping(&o)
		d := newDesk(t, s, o)
		m := &model{t: rt, desk: d, talks: map[string]*talk{}, units: map[unit]ledger.State{}}
		defer func() {
			m.audit(rt)
			m.must(d.engine.Close())
		}()
		rt.Repeat(map[string]func(*rapid.T){
			"accept": m.accept, "accept again": m.accept, "claim": m.claim, "claim again": m.claim, "settle": m.settle,
			"settle again": m.settle, "replay": m.replay, "crash": m.crash, "retain": m.retain, "": m.check,
			"cancel": m.cancel, "drop": m.drop, "route": m.route, "job": m.job,
		})
	})
}

func (m *model) must(err error) {
	if err != nil {
		m.t.Fatal(err)
	}
}

// accept takes a hook with one of a few contents, none of which begins another.
func (m *model) accept(t *rapid.T) {
	m.t = t
	id := rapid.SampledFrom(modelIDs).Draw(t, "id")
	variant := rapid.SampledFrom([]string{"v1", "v2", "v3", "v4", "v5", "v6"}).Draw(t, "variant")
	h := hook(id, 5, variant)
	var p ledger.Plan
	for _, target := range modelTargets {
		if !rapid.Bool().Draw(t, "to "+target) {
			continue
		}
		p.Deliveries = append(p.Deliveries, ledger.PlannedDelivery{
			Target: target, IgnoreUpdates: rapid.Bool().Draw(t, "ignore"),
			Hold: rapid.SampledFrom([]time.Duration{0, 0, time.Hour}).Draw(t, "hold"),
		})
	}
	h.Plan = func(string, int) ledger.Plan { return p }
	want := m.take(id, variant, p)
	got, err := m.desk.engine.Accept(t.Context(), h)
	m.must(err)
	slices.Sort(got.Targets)
	if got.ID != id || got.Result != want.Result || got.Revision != want.Revision || !slices.Equal(got.Targets, want.Targets) {
		t.Fatalf("accept: got %+v, want %+v", got, want)
	}
}

func (m *model) take(id, variant string, p ledger.Plan) ledger.Acceptance {
	c := m.talks[id]
	if c == nil {
		m.lives++
		c = &talk{life: m.lives, seen: map[string]int{}, rows: map[string]*slip{}}
		m.talks[id] = c
	}
	if revision, ok := c.seen[variant]; ok {
		return ledger.Acceptance{Result: ledger.Repeated, Revision: revision}
	}
	c.revision++
	c.seen[variant], c.bodies = c.revision, true
	answer := ledger.Acceptance{Result: ledger.Revised, Revision: c.revision}
	if c.revision == 1 {
		answer.Result = ledger.Accepted
	}
	reached := false
	for _, target := range slices.Sorted(slices.Values(modelTargets)) {
		i := slices.IndexFunc(p.Deliveries, func(d ledger.PlannedDelivery) bool { return d.Target == target })
		r := c.rows[target]
		holds := r != nil && (r.have > 0 || r.doubt > 0 || r.inFlight > 0)
		if i < 0 && !holds {
			m.unplan(id, target, c)
			continue
		}
		reached = true
		if m.reach(id, target, c, i, p) {
			answer.Targets = append(answer.Targets, target)
		}
	}
	if !reached {
		answer.Result = ledger.Unrouted
	}
	return answer
}

// unplan ends what waits for a target that has nothing and is in no plan.
func (m *model) unplan(id, target string, c *talk) {
	r := c.rows[target]
	if r == nil {
		return
	}
	r.planned = false
	if r.state == ledger.Pending || r.state == ledger.Dead {
		m.units[unit{id, target, c.life, r.want}] = ledger.Superseded
	}
	r.state, r.class, r.pinned = ledger.Superseded, "", false
}

// reach takes the newest revision to a target that is planned at i, or holds the conversation.
func (m *model) reach(id, target string, c *talk, i int, p ledger.Plan) (due bool) {
	r := c.rows[target]
	if r == nil {
		r = &slip{state: ledger.Superseded}
		c.rows[target] = r
	}
	hold := false
	if r.planned = i >= 0; r.planned {
		r.ignore, hold = p.Deliveries[i].IgnoreUpdates, p.Deliveries[i].Hold > 0
	}
	news := unit{id, target, c.life, c.revision}
	old := unit{id, target, c.life, r.want}
	waits := r.state == ledger.Pending || r.state == ledger.Dead
	if r.have > 0 && r.ignore {
		m.units[news] = ledger.Skipped
		if r.state == ledger.Dead {
			m.units[old] = ledger.Superseded
			r.state, r.want, r.class, r.pinned = ledger.Skipped, c.revision, "", false
		}
		return false
	}
	if waits {
		m.units[old] = ledger.Superseded
	}
	m.units[news] = ledger.Pending
	if r.state != ledger.Pending {
		r.due = r.state != ledger.Superseded || !hold
		r.claims = 0
	}
	r.state, r.want, r.tries = ledger.Pending, c.revision, 0
	r.class, r.pinned, r.tried = "", false, false
	return true
}

func (m *model) claim(t *rapid.T) {
	m.t = t
	target := rapid.SampledFrom(modelTargets).Draw(t, "target")
	length := rapid.SampledFrom([]time.Duration{0, lease}).Draw(t, "lease")
	got, err := m.desk.engine.Claim(t.Context(), ledger.Claim{Target: target, Limit: 10, Lease: length, Config: "today"})
	m.must(err)
	claimed, crashed := map[string]ledger.Delivery{}, map[string]bool{}
	for _, d := range got.Deliveries {
		claimed[d.ID] = d
	}
	for _, d := range got.Crashed {
		crashed[d.ID] = true
	}
	for id, c := range m.talks {
		r := c.rows[target]
		if r == nil || r.state != ledger.Pending || !r.due {
			if _, ok := claimed[id]; ok || crashed[id] {
				t.Fatalf("%s was claimed for %s, it is not due", id, target)
			}
			continue
		}
		if r.lease != nil {
			r.lease.open = false
		}
		if r.inFlight > 0 {
			r.doubt, r.inFlight, r.lapsed = r.inFlight, 0, true
		}
		if r.claims == ledger.CrashLimit {
			if !crashed[id] {
				t.Fatalf("%s was claimed %d times and is not dead", id, r.claims)
			}
			r.state, r.class = ledger.Dead, "crash"
			m.units[unit{id, target, c.life, r.want}] = ledger.Dead
			continue
		}
		d, ok := claimed[id]
		if !ok || d.Revision != r.want || d.Held != r.have || d.Attempt != r.tries+1 || d.Uncertain != (r.doubt > 0) || d.Lapsed != r.lapsed ||
			(d.Pinned != "") != r.pinned ||
			d.Resend != (r.doubt > 0 && r.doubt == r.want) || len(d.Conversation.Messages) != 1 || c.seen[d.Conversation.Messages[0].Text] != r.want {
			t.Fatalf("claim of %s for %s: got %+v, want %+v", id, target, d, *r)
		}
		r.claims++
		r.inFlight, r.due, r.tried = r.want, length == 0, true
		r.lease = &lent{d: d, open: true}
		m.lent = append(m.lent, r.lease)
	}
}

func (m *model) settle(t *rapid.T) {
	m.t = t
	if len(m.lent) == 0 {
		t.Skip("nothing was claimed")
	}
	l := rapid.SampledFrom(m.lent).Draw(t, "claim")
	outcomes := map[string][]func(*ledger.Settlement){
		"delivered": {delivered}, "dead": {dead, failing("x")}, "dead in doubt": {uncertain, dead, failing("z")}, "again": {again, failing("y")}, "later": {later},
		"uncertain": {uncertain}, "untried": {untried},
	}
	name := rapid.SampledFrom(slices.Sorted(maps.Keys(outcomes))).Draw(t, "outcome")
	s := settlement(l.d, outcomes[name]...)
	got, err := m.desk.engine.Settle(t.Context(), s)
	if !l.open {
		if !errors.Is(err, ledger.ErrFenced) && !errors.Is(err, ledger.ErrNotFound) {
			t.Fatalf("settle of an old lease: %v, want ErrFenced", err)
		}
		return
	}
	m.must(err)
	l.open = false
	r := m.talks[l.d.ID].rows[l.d.Target]
	m.end(r, l.d, s)
	if got.State != r.state {
		t.Fatalf("settle: the delivery is %s, want %s", got.State, r.state)
	}
}

func (m *model) end(r *slip, d ledger.Delivery, s ledger.Settlement) {
	life := m.talks[d.ID].life
	tried, wanted := unit{d.ID, d.Target, life, d.Revision}, unit{d.ID, d.Target, life, r.want}
	r.inFlight = 0
	if !s.Tried {
		r.claims--
	} else {
		r.claims, r.lapsed = 0, false
		if tried == wanted {
			r.tries++
		}
	}
	if s.Attempt != nil {
		r.class = s.Attempt.Class
	}
	if s.State == ledger.Delivered {
		r.have, r.doubt, r.due = d.Revision, 0, true
		r.class, r.pinned = "", false
		m.units[tried] = ledger.Delivered
		if tried == wanted {
			r.state = ledger.Delivered
		} else if r.ignore {
			m.units[wanted] = ledger.Skipped
			r.state, r.want = ledger.Delivered, d.Revision
		}
		return
	}
	if s.Uncertain {
		r.doubt = d.Revision
	}
	r.due = s.State == ledger.Dead || !s.DueAt.After(time.Now())
	switch {
	case tried == wanted:
		r.state = s.State
	case !r.planned && r.have == 0 && r.doubt == 0:
		r.state, r.class, r.pinned = ledger.Superseded, "", false
	}
	m.units[wanted] = r.state
}

func (m *model) replay(t *rapid.T) {
	m.t = t
	id, target, c, r := m.pick(t)
	how := ledger.Replay{Pinned: rapid.Bool().Draw(t, "pinned")}
	err := m.desk.operator().ReplayDelivery(t.Context(), id, target, how)
	switch {
	case r == nil || r.state == ledger.Dead && !c.bodies:
		m.is(err, ledger.ErrNotFound)
	case r.state != ledger.Dead:
		m.is(err, ledger.ErrState)
	default:
		m.must(err)
		m.replayed(id, target, how)
	}
}

func (m *model) replayed(id, target string, how ledger.Replay) {
	c := m.talks[id]
	r := c.rows[target]
	r.state, r.due, r.claims, r.tries, r.lapsed = ledger.Pending, true, 0, 0, false
	r.pinned = how.Pinned && r.tried
	m.units[unit{id, target, c.life, r.want}] = ledger.Pending
}

// pick draws a delivery, which need not be there.
func (m *model) pick(t *rapid.T) (id, target string, c *talk, r *slip) {
	id = rapid.SampledFrom(modelIDs).Draw(t, "id")
	target = rapid.SampledFrom(modelTargets).Draw(t, "target")
	if c = m.talks[id]; c != nil {
		r = c.rows[target]
	}
	return id, target, c, r
}

func (m *model) is(err, want error) {
	if !errors.Is(err, want) {
		m.t.Fatalf("%v, want %v", err, want)
	}
}

// seize takes a delivery from the worker whose lease has ended.
func (r *slip) seize() {
	if r.inFlight > 0 {
		r.doubt, r.inFlight, r.lapsed = r.inFlight, 0, true
	}
	if r.lease != nil {
		r.lease.open = false
	}
}

func (m *model) cancel(t *rapid.T) {
	m.t = t
	id, target, c, r := m.pick(t)
	err := m.desk.operator().Cancel(t.Context(), id, target, "enough")
	switch {
	case r == nil:
		m.is(err, ledger.ErrNotFound)
	case r.state != ledger.Pending || r.inFlight > 0 && !r.due:
		m.is(err, ledger.ErrState)
	default:
		m.must(err)
		r.seize()
		r.state, r.class = ledger.Dead, "cancelled"
		m.units[unit{id, target, c.life, r.want}] = ledger.Dead
	}
}

func (m *model) drop(t *rapid.T) {
	m.t = t
	id, target, c, r := m.pick(t)
	err := m.desk.operator().Drop(t.Context(), id, target, "spam")
	switch {
	case r == nil:
		m.is(err, ledger.ErrNotFound)
	case r.state != ledger.Dead && r.state != ledger.Pending || r.inFlight > 0 && !r.due:
		m.is(err, ledger.ErrState)
	default:
		m.must(err)
		r.seize()
		r.state, r.class, r.pinned = ledger.Skipped, "", false
		m.units[unit{id, target, c.life, r.want}] = ledger.Skipped
	}
}

func (m *model) route(t *rapid.T) {
	m.t = t
	id, target, c, r := m.pick(t)
	hold := rapid.SampledFrom([]time.Duration{0, time.Hour}).Draw(t, "hold")
	plan := ledger.Plan{Deliveries: []ledger.PlannedDelivery{{Target: target, Hold: hold}}}
	added, err := m.desk.operator().Route(t.Context(), id, plan)
	if c == nil || !c.bodies {
		m.is(err, ledger.ErrNotFound)
		return
	}
	m.must(err)
	if r != nil && r.state != ledger.Superseded {
		if len(added) > 0 {
			t.Fatalf("route: %v were added to a conversation that has them", added)
		}
		return
	}
	if !slices.Equal(added, []string{target}) {
		t.Fatalf("route: %v were added, want %s", added, target)
	}
	if r == nil {
		r = &slip{}
		c.rows[target] = r
	}
	*r = slip{state: ledger.Pending, want: c.revision, planned: true, due: hold == 0, lapsed: r.lapsed, lease: r.lease}
	m.units[unit{id, target, c.life, c.revision}] = ledger.Pending
}

// job replays all that is dead at a target.
func (m *model) job(t *rapid.T) {
	m.t = t
	target := rapid.SampledFrom(modelTargets).Draw(t, "target")
	how := ledger.Replay{Pinned: rapid.Bool().Draw(t, "pinned")}
	j, err := m.desk.operator().CreateReplay(t.Context(), ledger.ReplayJob{Filter: ledger.Filter{Targets: []string{target}}, Replay: how})
	m.must(err)
	for j.State == ledger.JobRunning {
		j, err = m.desk.operator().StepReplay(t.Context(), j.ID, rapid.IntRange(1, 3).Draw(t, "limit"))
		m.must(err)
	}
	var done, skipped int64
	for id, c := range m.talks {
		r := c.rows[target]
		switch {
		case r == nil || r.state != ledger.Dead:
		case !c.bodies:
			skipped++
		default:
			done++
			m.replayed(id, target, how)
		}
	}
	if j.Done != done || j.Skipped != skipped || j.Total != done+skipped {
		t.Fatalf("job %+v, want %d done and %d skipped", j, done, skipped)
	}
}

// crash closes and opens: every lease is void, or at its end.
func (m *model) crash(t *rapid.T) {
	m.audit(t)
	m.must(m.desk.engine.Close())
	m.desk.start()
	for _, l := range m.lent {
		l.open = l.open && m.desk.suite.Lapse != nil
	}
	for _, c := range m.talks {
		for _, r := range c.rows {
			r.due = r.due || r.state == ledger.Pending && r.inFlight > 0
		}
	}
}

func (m *model) retain(t *rapid.T) {
	m.t = t
	days := rapid.SampledFrom([]int{1, 31, 91, 400}).Draw(t, "days")
	m.must(m.desk.engine.Retain(t.Context(), in(days)))
	m.audit(t)
	for id, c := range m.talks {
		keep := days < 31
		for _, r := range c.rows {
			keep = keep || r.state == ledger.Pending || r.state == ledger.Dead && days < 90
		}
		if !keep {
			c.bodies = false
		}
		if !c.bodies && days > 365 {
			delete(m.talks, id)
		}
		for _, r := range c.rows {
			if !c.bodies {
				r.class = ""
			}
		}
	}
}

func (m *model) audit(t *rapid.T) {
	m.t = t
	findings, err := m.desk.engine.Verify(m.desk.Context())
	m.must(err)
	if len(findings) > 0 {
		t.Fatalf("the audit found %+v", findings)
	}
}

// check compares all that can be seen. The audit is slow; it follows what removes and what restarts.
func (m *model) check(t *rapid.T) {
	m.t = t
	stats, err := m.desk.engine.Stats(t.Context())
	m.must(err)
	for _, target := range modelTargets {
		states := map[ledger.State]int64{}
		for u, state := range m.units {
			if u.target == target {
				states[state]++
			}
		}
		want := ledger.Counts{
			Pending: states[ledger.Pending], Delivered: states[ledger.Delivered], Dead: states[ledger.Dead],
			Skipped: states[ledger.Skipped], Superseded: states[ledger.Superseded],
		}
		for _, n := range states {
			want.Accepted += n
		}
		var deadRows int64
		for _, c := range m.talks {
			if r := c.rows[target]; r != nil && r.state == ledger.Dead && c.bodies {
				deadRows++
			}
		}
		if got := stats.Targets[target]; got.Counts != want || got.DeadRows != deadRows || !got.Balanced() {
			t.Fatalf("counters of %s: got %+v, want %+v and %d dead deliveries", target, got, want, deadRows)
		}
	}
	m.checkRows(t)
	if stats.Conversations != int64(len(m.talks)) {
		t.Fatalf("%d conversations, want %s", stats.Conversations, fmt.Sprint(slices.Sorted(maps.Keys(m.talks))))
	}
}

// checkRows compares the list of deliveries.
func (m *model) checkRows(t *rapid.T) {
	list, err := m.desk.operator().Deliveries(t.Context(), ledger.Filter{}, ledger.Page{})
	m.must(err)
	n := 0
	for _, c := range m.talks {
		n += len(c.rows)
	}
	if len(list.Items) != n {
		t.Fatalf("%d deliveries are listed, want %d", len(list.Items), n)
	}
	for _, got := range list.Items {
		r := m.talks[got.ID].rows[got.Target]
		if got.State != r.state || got.Revision != r.want || got.Held != r.have || got.Attempts != r.tries || got.Class != r.class ||
			(got.Pinned != "") != r.pinned || got.FailedAt.IsZero() != (r.class == "") || got.Leased != (r.inFlight > 0 && !r.due) {
			t.Fatalf("delivery of %s to %s is listed as %+v, want %+v", got.ID, got.Target, got, *r)
		}
	}
}
