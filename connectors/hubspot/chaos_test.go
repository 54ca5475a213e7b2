// This file breaks every request of a push in every way, on real connections, kills the process between any two steps,
// and counts what is in the account afterwards.

package hubspot_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/connectortest"
	"github.com/afterchat/afterchat/connectors/hubspot"
	"github.com/afterchat/afterchat/connectors/hubspot/hubspottest"
)

// scenario is a push that is broken.
type scenario struct {
	name     string
	settings func(*hubspot.Settings)
	refuse   bool // contacts cannot be upserted
	fields   func(n, revision int) map[string]any
	known    bool // the contact is there already, with a first name
	later    bool // revision 2 is broken, not 1
	lost     bool // the push before was taken and its receipt lost, so the one that is broken looks for all that it made
	notes    int
	alone    bool // every conversation has an account of its own, for the first one makes what all others share
}

func scenarios() []scenario {
	noEmail := func(n, revision int) map[string]any {
		fields := twoNotes(fieldsOf(n, revision))
		delete(fields, "email")
		return fields
	}
	growing := func(n, revision int) map[string]any {
		if revision == 1 {
			return fieldsOf(n, 1)
		}
		return twoNotes(fieldsOf(n, revision))
	}
	shrinking := func(n, revision int) map[string]any { return growing(n, 3-revision) }
	return []scenario{
		{name: "new contact", fields: fieldsOf, notes: 1},
		{name: "known contact", fields: fieldsOf, known: true, notes: 1},
		{name: "no upsert", fields: fieldsOf, refuse: true, notes: 1},
		{name: "ticket", settings: withTicket, fields: fieldsOf, notes: 1},
		{name: "catch-all, ticket, two notes", settings: both(withTicket, withCatchAll), fields: noEmail, notes: 2, alone: true},
		{name: "longer revision", settings: withTicket, fields: growing, later: true, notes: 2},
		{name: "shorter revision", fields: shrinking, later: true, notes: 1},
		{name: "receipt lost", fields: fieldsOf, lost: true, notes: 1},
		{name: "receipt lost, no upsert", fields: fieldsOf, refuse: true, lost: true, notes: 1},
		{name: "receipt lost, ticket", settings: withTicket, fields: fieldsOf, lost: true, notes: 1},
		{name: "receipt lost, catch-all, two notes", fields: noEmail, lost: true, notes: 2},
		{name: "receipt lost, longer revision", settings: withTicket, fields: growing, later: true, lost: true, notes: 2},
	}
}

// desk is a scenario on a real server.
type desk struct {
	scenario
	account   *hubspottest.Account
	serving   atomic.Pointer[hubspottest.Account]
	connector connectors.Connector
	n         int // conversations so far
}

// serve opens a scenario on a real server.
func (s scenario) serve(t *testing.T) *desk {
	t.Helper()
	d := s.open()
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	d.connector = s.connect(t, nil, server.URL)
	return d
}

// open opens a scenario with an empty account; what leads there is connected afterwards.
func (s scenario) open() *desk {
	d := &desk{scenario: s}
	d.fresh()
	return d
}

func (s scenario) connect(t *testing.T, transport http.RoundTripper, url string) connectors.Connector {
	t.Helper()
	config := settings(s.settings)
	if url != "" {
		config.URL = url
	}
	c, err := hubspot.Type().Open(config, connectors.Env{Target: "crm", Logger: slog.New(slog.DiscardHandler), Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	hubspot.LimitNotes(c, 2000)
	return c
}

// twoNotes makes a note that is cut in two at the limit of these tests.
func twoNotes(fields map[string]any) map[string]any {
	fields["note"] = fields["note"].(string) + strings.Repeat("<p><b>Ada:</b> "+strings.Repeat("hello &amp; ", 20)+"</p>\n", 8)
	return fields
}

// fresh empties the account.
func (d *desk) fresh() {
	d.account = account()
	d.account.RefuseUpsert = d.refuse
	d.serving.Store(d.account)
}

// ServeHTTP passes requests to the account of now. Those that nobody waits for any more may still be under way.
func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.serving.Load().ServeHTTP(w, r) }

// next prepares a conversation and returns the record whose push is broken.
func (d *desk) next(t *testing.T) connectors.Record {
	t.Helper()
	d.n++
	d.account.Break(0, hubspottest.None)
	if d.known {
		d.account.Add("contacts", map[string]string{"email": fmt.Sprintf("ada%d@example.com", d.n), "firstname": "Augusta"})
	}
	rec := record(d.n, 1, d.fields(d.n, 1))
	if !d.later && !d.lost {
		return rec
	}
	receipt, err := d.connector.Push(t.Context(), rec)
	if err != nil {
		t.Fatalf("%s: the push before: %v", d.name, err)
	}
	if d.later {
		rec = record(d.n, 2, d.fields(d.n, 2))
	}
	if d.lost {
		rec.Uncertain = true
	} else {
		rec.Prior = receipt
	}
	return rec
}

// push pushes once and loses patience when the account is slow.
func (d *desk) push(t *testing.T, rec connectors.Record) (connectors.Receipt, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ended := make(chan struct{})
	defer close(ended)
	stalled := d.account.Stalled()
	go func() {
		select {
		case <-stalled:
			cancel()
		case <-ended:
		}
	}()
	return d.connector.Push(ctx, rec)
}

// deliver pushes as the engine does until the push succeeds, and returns the number of attempts.
func (d *desk) deliver(t *testing.T, rec connectors.Record) int {
	t.Helper()
	for rec.Attempt = 1; rec.Attempt <= 12; rec.Attempt++ {
		receipt, err := d.push(t, rec)
		if err == nil {
			return rec.Attempt
		}
		if !receipt.IsZero() {
			rec.Prior = receipt
		}
		e := connectors.Classify(err)
		if e.Kind == connectors.Rejected || e.Kind == connectors.Denied {
			t.Fatalf("%s: attempt %d: %v: %v", d.name, rec.Attempt, e.Kind, err)
		}
		rec.Uncertain = rec.Uncertain || e.Uncertain
	}
	t.Fatalf("%s: no success", d.name)
	return 0
}

// audit fails unless the n-th conversation is in the account once and whole.
func (d *desk) audit(t *testing.T, what string, n int) {
	t.Helper()
	mark := fmt.Sprintf("afterchat:%04d:crm:", n)
	var notes []hubspottest.Object
	for _, o := range d.account.Objects("notes") {
		if strings.Contains(o.Properties["hs_note_body"], mark) {
			notes = append(notes, o)
		}
	}
	if len(notes) != d.notes {
		t.Errorf("%s: %d notes, want %d", what, len(notes), d.notes)
	}
	for i, o := range notes {
		if !strings.Contains(o.Properties["hs_note_body"], fmt.Sprintf("%s%d/%d", mark, i+1, d.notes)) {
			t.Errorf("%s: note %d is not part %d of %d", what, i+1, i+1, d.notes)
		}
		if len(d.account.Tied("notes", o.ID, "contacts")) != 1 {
			t.Errorf("%s: note %d is tied to %d contacts", what, i+1, len(d.account.Tied("notes", o.ID, "contacts")))
		}
		if tickets := len(d.account.Tied("notes", o.ID, "tickets")); tickets > 1 || (d.settings != nil && tickets == 0) {
			t.Errorf("%s: note %d is tied to %d tickets", what, i+1, tickets)
		}
	}
	if twice := d.account.Twice(); len(twice) > 0 {
		t.Errorf("%s: there twice: %v", what, twice)
	}
}

// steps lists the requests of a push without faults.
func (d *desk) steps(t *testing.T) []string {
	t.Helper()
	rec := d.next(t)
	before := len(d.account.Requests())
	d.deliver(t, rec)
	d.audit(t, d.name+" without faults", d.n)
	var out []string
	for _, r := range d.account.Requests()[before:] {
		out = append(out, r.Step)
	}
	return out
}

const (
	repeats    = 10   // of each fault at each step
	leastFault = 1000 // faults of the whole matrix, at least
)

// TestFaultMatrix prints fault × step → faults that fired, most attempts, objects that were counted, and fails on any
// duplicate.
func TestFaultMatrix(t *testing.T) {
	t.Parallel()
	var fired, done atomic.Int64
	all := scenarios()
	t.Cleanup(func() {
		t.Logf("%d faults", fired.Load())
		if done.Load() == int64(len(all)) && fired.Load() < leastFault {
			t.Errorf("%d faults, want at least %d", fired.Load(), leastFault)
		}
	})
	for _, s := range all {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			d := s.serve(t)
			steps := d.steps(t)
			if s.lost && (!slices.Contains(steps, "notes read") || !slices.ContainsFunc(steps, isLook)) {
				t.Errorf("a push without the receipt looks for no notes: %v", steps)
			}
			table := [][]string{append([]string{s.name}, steps...)}
			for _, f := range hubspottest.Faults() {
				row := []string{f.String()}
				for at := range steps {
					c := d.cell(t, f, at, steps[at])
					fired.Add(int64(c.fired))
					row = append(row, fmt.Sprintf("%d× ≤%d attempts, %d objects", c.fired, c.attempts, c.objects))
				}
				table = append(table, row)
			}
			done.Add(1)
			t.Log("\n" + columns(table))
		})
	}
}

// isLook tells whether a step lists the notes of a contact or a ticket.
func isLook(step string) bool { return step == "contacts notes" || step == "tickets notes" }

// cell is what came of one fault at one step.
type cell struct{ fired, attempts, objects int }

// cell breaks a step of several conversations in an account that was empty and counts there: the faults that fired,
// and the conversations by the first of their notes.
func (d *desk) cell(t *testing.T, f hubspottest.Fault, at int, step string) cell {
	t.Helper()
	d.fresh()
	var out cell
	for i := range repeats {
		if d.alone && i > 0 {
			out.count(d.account)
			d.fresh()
		}
		rec := d.next(t)
		d.account.Break(at+1, f)
		out.attempts = max(out.attempts, d.deliver(t, rec))
		d.audit(t, fmt.Sprintf("%s at %s", f, step), d.n)
		sound(t, d.account)
	}
	out.count(d.account)
	if out.fired != repeats || out.objects != repeats {
		t.Errorf("%s at %s: %d faults and %d objects, want %d of each", f, step, out.fired, out.objects, repeats)
	}
	return out
}

// count adds what happened in an account and what is in it.
func (c *cell) count(a *hubspottest.Account) {
	c.fired += a.Fired()
	for _, o := range a.Objects("notes") {
		if strings.Contains(o.Properties["hs_note_body"], ":crm:1/") {
			c.objects++
		}
	}
}

func columns(rows [][]string) string {
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		_, _ = fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	_ = w.Flush()
	return out.String()
}

// TestRandomFaults breaks several requests of each push, in any way.
func TestRandomFaults(t *testing.T) {
	t.Parallel()
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(2026, uint64(len(s.name))))
			d := s.serve(t)
			for range 40 {
				d.fresh()
				a := d.account
				rec := d.next(t)
				var faults []string
				for rec.Attempt = 1; rec.Attempt <= 4; rec.Attempt++ {
					f := hubspottest.Faults()[random.IntN(len(hubspottest.Faults()))]
					faults = append(faults, f.String())
					a.Break(1+random.IntN(6), f)
					receipt, err := d.push(t, rec)
					if err == nil { // and the process dies before the receipt is written down
						rec.Uncertain = true
						break
					}
					rec.Uncertain = rec.Uncertain || connectors.Classify(err).Uncertain
					if random.IntN(3) > 0 { // else it dies here, too
						if !receipt.IsZero() {
							rec.Prior = receipt
						}
					} else {
						rec.Uncertain = true
					}
				}
				a.Break(0, hubspottest.None)
				d.deliver(t, rec)
				d.audit(t, strings.Join(faults, ", "), d.n)
				sound(t, a)
			}
		})
	}
}

var errKilled = errors.New("killed")

// TestKill kills the process before and after every request. No receipt of the killed push is left, so the next one has
// to find everything by looking.
func TestKill(t *testing.T) {
	t.Parallel()
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			d := s.open()
			wire := connectortest.NewWire(d)
			d.connector = s.connect(t, wire, "")
			steps := d.steps(t)
			for _, acted := range []bool{false, true} {
				for at := range steps {
					d.fresh()
					for again := range 3 { // killed once, twice, three times
						rec := d.next(t)
						for range again + 1 {
							d.kill(t, wire, rec, at+1, acted)
							rec.Uncertain, rec.Attempt = true, rec.Attempt+1
						}
						d.deliver(t, rec)
						d.audit(t, fmt.Sprintf("killed at %s, acted: %t", steps[at], acted), d.n)
					}
					sound(t, d.account)
				}
			}
		})
	}
}

// kill pushes until the at-th request and panics there, as far from any cleaning up as a kill is.
func (d *desk) kill(t *testing.T, wire *connectortest.Wire, rec connectors.Record, at int, acted bool) {
	t.Helper()
	defer wire.Heal()
	defer func() {
		if v := recover(); v != nil && v != any(errKilled) {
			panic(v)
		}
	}()
	wire.Break(at, func(_ *http.Request, pass func() *http.Response) (*http.Response, error) {
		if acted {
			_ = pass().Body.Close()
		}
		panic(errKilled)
	})
	// A later try may need fewer requests and then succeed; its receipt is lost, too.
	if _, err := d.connector.Push(t.Context(), rec); err != nil {
		t.Errorf("before the kill: %v", err)
	}
}

// TestAtOnce pushes many conversations of few visitors at once, with faults in between.
func TestAtOnce(t *testing.T) {
	t.Parallel()
	d := scenario{name: "at once", settings: withTicket}.serve(t)
	a := d.account
	const n = 40
	errs := make(chan error, n)
	for i := range n {
		go func() {
			fields := fieldsOf(i+1, 1)
			fields["email"] = fmt.Sprintf("ada%d@example.com", i%3)
			rec := record(i+1, 1, fields)
			var err error
			for rec.Attempt = 1; rec.Attempt < 9; rec.Attempt++ {
				if i%4 == 0 {
					a.Break(2, []hubspottest.Fault{hubspottest.ResetAfter, hubspottest.PageAfter, hubspottest.Secondly}[rec.Attempt%3])
				}
				var receipt connectors.Receipt
				if receipt, err = d.connector.Push(t.Context(), rec); err == nil {
					break
				}
				rec.Prior, rec.Uncertain = receipt, rec.Uncertain || connectors.Classify(err).Uncertain
				if rec.Attempt == 6 {
					a.Break(0, hubspottest.None)
				}
			}
			errs <- err
		}()
	}
	var failed []string
	for range n {
		if err := <-errs; err != nil {
			failed = append(failed, err.Error())
		}
	}
	slices.Sort(failed)
	want(t, "failures", []string(nil), failed)
	want(t, "contacts, tickets, notes", []int{3, n, n},
		[]int{len(a.Objects("contacts")), len(a.Objects("tickets")), len(a.Objects("notes"))})
	sound(t, a)
}
