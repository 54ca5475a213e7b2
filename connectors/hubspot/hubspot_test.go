// This file runs the suite and goes through the lives of conversations at a fake account.

package hubspot_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/connectortest"
	"github.com/afterchat/afterchat/connectors/hubspot"
	"github.com/afterchat/afterchat/connectors/hubspot/hubspottest"
)

const token = connectortest.Canary

// settings returns valid settings that lead to a fake.
func settings(change func(*hubspot.Settings)) *hubspot.Settings {
	s := hubspot.Type().Settings().(*hubspot.Settings)
	s.Token = secret.New(token)
	if change != nil {
		change(s)
	}
	return s
}

func withTicket(s *hubspot.Settings) { s.Ticket = &hubspot.Ticket{Pipeline: "0", Stage: "1"} }

func withCatchAll(s *hubspot.Settings) {
	s.WithoutEmail, s.CatchAllEmail = "catch_all", "chats@example.com"
}

func withSkip(s *hubspot.Settings) { s.WithoutEmail = "skip" }

func both(changes ...func(*hubspot.Settings)) func(*hubspot.Settings) {
	return func(s *hubspot.Settings) {
		for _, change := range changes {
			change(s)
		}
	}
}

func account() *hubspottest.Account {
	a := hubspottest.New()
	a.Token = token
	return a
}

// fieldsOf are the fields of the n-th conversation in a revision.
func fieldsOf(n, revision int) map[string]any {
	return map[string]any{
		"email":   fmt.Sprintf("ada%d@example.com", n),
		"contact": map[string]any{"firstname": "Ada", "lastname": "Lovelace", "phone": fmt.Sprint("+42060000000", revision)},
		"ticket":  map[string]any{"subject": fmt.Sprint("chat ", n), "content": fmt.Sprint("revision ", revision)},
		"note":    fmt.Sprintf("<p>chat %d, <b>revision</b> %d</p>", n, revision),
		"note_properties": map[string]any{
			"hubspot_owner_id": "7",
		},
		"timestamp": time.Date(2026, 11, 21, 10, n%60, revision, 0, time.UTC),
	}
}

// long makes a note of several parts.
func long(fields map[string]any) map[string]any {
	fields["note"] = fields["note"].(string) + strings.Repeat("<p><b>Ada:</b> "+strings.Repeat("hello &amp; ", 50)+"</p>\n", 130)
	return fields
}

func TestSuite(t *testing.T) {
	t.Parallel()
	suites := map[string]struct {
		settings func(*hubspot.Settings)
		record   func(n, revision int) map[string]any
		refuse   bool
	}{
		"note":      {record: fieldsOf},
		"overwrite": {settings: func(s *hubspot.Settings) { s.ContactUpdate = "overwrite" }, record: fieldsOf},
		"ticket":    {settings: withTicket, record: fieldsOf},
		"catch all": {settings: withCatchAll, record: func(n, revision int) map[string]any {
			fields := fieldsOf(n, revision)
			delete(fields, "email")
			return fields
		}},
		"ticket alone": {settings: both(withTicket, withSkip), record: func(n, revision int) map[string]any {
			fields := fieldsOf(n, revision)
			delete(fields, "email")
			return fields
		}},
		"no upsert of contacts": {refuse: true, record: fieldsOf},
	}
	for name, tt := range suites {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connectortest.Run(t, connectortest.Suite{
				Type: hubspot.Type(),
				Open: func(t *testing.T) connectortest.Target {
					a := account()
					a.RefuseUpsert = tt.refuse
					t.Cleanup(func() { sound(t, a) })
					return connectortest.Target{Settings: settings(tt.settings), Vendor: a, Count: a.Count}
				},
				Record: tt.record,
			})
		})
	}
}

// sound fails the test when a request was not as described or something is there twice.
func sound(t *testing.T, a *hubspottest.Account) {
	t.Helper()
	for _, mistake := range a.Mistakes() {
		t.Errorf("a request is not as HubSpot describes it: %s", mistake)
	}
	for _, twice := range a.Twice() {
		t.Errorf("there twice: %s", twice)
	}
}

// bench is a connector on a wire to a fake account.
type bench struct {
	connectors.Connector
	account *hubspottest.Account
	wire    *connectortest.Wire
	logs    *bytes.Buffer
}

func open(t *testing.T, a *hubspottest.Account, s *hubspot.Settings) *bench {
	t.Helper()
	if err := hubspot.Type().Validate(s); err != nil {
		t.Fatalf("settings: %v", err)
	}
	b := &bench{account: a, wire: connectortest.NewWire(a), logs: &bytes.Buffer{}}
	var err error
	b.Connector, err = hubspot.Type().Open(s, connectors.Env{
		Target: "crm", Version: "1", Logger: slog.New(slog.NewTextHandler(b.logs, nil)), Transport: b.wire,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sound(t, a) })
	return b
}

func record(n, revision int, fields map[string]any) connectors.Record {
	object := fmt.Sprintf("afterchat:%04d:crm", n)
	return connectors.Record{Object: object, Request: fmt.Sprint(object, ":", revision), Revision: revision, Attempt: 1, Fields: fields}
}

func (b *bench) mustPush(t *testing.T, rec connectors.Record) connectors.Receipt {
	t.Helper()
	receipt, err := b.Push(t.Context(), rec)
	if err != nil {
		t.Fatalf("push: %v", err)
	}
	for name := range receipt.Parts {
		if strings.HasPrefix(name, "done_") {
			t.Errorf("a finished push leaves %s in the receipt", name)
		}
	}
	return receipt
}

// steps names the requests since the n-th.
func (b *bench) steps(since int) []string {
	var out []string
	for _, r := range b.account.Requests()[since:] {
		out = append(out, r.Step)
	}
	return out
}

func want(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// TestLife follows one conversation from its first push through revisions.
func TestLife(t *testing.T) {
	t.Parallel()
	b := open(t, account(), settings(withTicket))
	first := b.mustPush(t, record(1, 1, fieldsOf(1, 1)))
	want(t, "requests", []string{"contacts read", "contacts upsert", "tickets upsert", "tickets tie", "notes create"}, b.steps(0))
	want(t, "receipt", connectors.Receipt{
		ID: "102", URL: "https://app.hubspot.com/contacts/1/record/tickets/102",
		Parts: map[string]string{"contact": "101", "ticket": "102", "ticket_contact": "101", "note_1": "103", "note_contact": "101", "note_ticket": "102"},
	}, first)
	contact, ticket, note := b.account.Objects("contacts")[0], b.account.Objects("tickets")[0], b.account.Objects("notes")[0]
	want(t, "contact", map[string]string{"email": "ada1@example.com", "firstname": "Ada", "lastname": "Lovelace", "phone": "+420600000001"}, contact.Properties)
	want(t, "ticket", map[string]string{
		"subject": "chat 1", "content": "revision 1", "hs_pipeline": "0", "hs_pipeline_stage": "1", "afterchat_conversation_id": "afterchat:0001:crm",
	}, ticket.Properties)
	want(t, "note", map[string]string{
		"hs_note_body":     `<div style="" dir="auto" data-top-level="true"><p>chat 1, <b>revision</b> 1</p>` + "\n<p><small>afterchat:0001:crm:1/1</small></p></div>",
		"hs_timestamp":     "2026-11-21T10:01:01.000Z",
		"hubspot_owner_id": "7",
	}, note.Properties)
	want(t, "ties of the ticket", []string{"101"}, b.account.Tied("tickets", "102", "contacts"))
	want(t, "ties of the note", []string{"101", "102"}, append(b.account.Tied("notes", "103", "contacts"), b.account.Tied("notes", "103", "tickets")...))

	// A longer revision updates in place and adds a note; the stage is the agents' business by now.
	n := len(b.account.Requests())
	next := record(1, 2, long(fieldsOf(1, 2)))
	next.Prior = first
	second := b.mustPush(t, next)
	want(t, "requests of the revision", []string{"contacts read", "tickets update", "notes update", "notes create"}, b.steps(n))
	want(t, "id", first.ID, second.ID)
	ticket = b.account.Objects("tickets")[0]
	want(t, "ticket", []string{"revision 2", "1"}, []string{ticket.Properties["content"], ticket.Properties["hs_pipeline_stage"]})
	if strings.Contains(lastRequest(b, "tickets update").Body, "hs_pipeline") {
		t.Error("a revision writes the stage")
	}
	notes := b.account.Objects("notes")
	want(t, "times", []string{"2026-11-21T10:01:02.000Z", "2026-11-21T10:01:02.001Z"}, []string{notes[0].Properties["hs_timestamp"], notes[1].Properties["hs_timestamp"]})
	if body := notes[1].Properties["hs_note_body"]; !strings.Contains(body, "Part 2 of 2") || !strings.Contains(body, "afterchat:0001:crm:2/2") {
		t.Errorf("the second part begins %.200q", body)
	}
	want(t, "phone that was there", "+420600000001", b.account.Objects("contacts")[0].Properties["phone"])

	// A shorter one takes the second note away again.
	n = len(b.account.Requests())
	third := record(1, 3, fieldsOf(1, 3))
	third.Prior = second
	want(t, "receipt", first, b.mustPush(t, third))
	want(t, "requests of the short revision", []string{"contacts read", "tickets update", "notes update", "notes archive"}, b.steps(n))
	want(t, "notes", 1, len(b.account.Objects("notes")))
}

func lastRequest(b *bench, step string) hubspottest.Request {
	var out hubspottest.Request
	for _, r := range b.account.Requests() {
		if r.Step == step {
			out = r
		}
	}
	return out
}

// TestContact tries what an account may hold already.
func TestContact(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		change func(*hubspot.Settings)
		set    func(*hubspottest.Account)
		steps  []string
		want   map[string]string
	}{
		{
			name: "fill leaves what is there",
			set: func(a *hubspottest.Account) {
				a.Add("contacts", map[string]string{"email": "Ada1@example.com", "firstname": "Augusta", "lastname": ""})
			},
			steps: []string{"contacts read", "contacts update", "notes create"},
			want:  map[string]string{"email": "Ada1@example.com", "firstname": "Augusta", "lastname": "Lovelace", "phone": "+420600000001"},
		},
		{
			name: "nothing to fill",
			set: func(a *hubspottest.Account) {
				a.Add("contacts", map[string]string{"email": "ada1@example.com", "firstname": "A", "lastname": "B", "phone": "C"})
			},
			steps: []string{"contacts read", "notes create"},
			want:  map[string]string{"email": "ada1@example.com", "firstname": "A", "lastname": "B", "phone": "C"},
		},
		{
			name:   "overwrite",
			change: func(s *hubspot.Settings) { s.ContactUpdate = "overwrite" },
			set: func(a *hubspottest.Account) {
				a.Add("contacts", map[string]string{"email": "ada1@example.com", "firstname": "Augusta", "company": "Acme"})
			},
			steps: []string{"contacts upsert", "notes create"},
			want:  map[string]string{"email": "ada1@example.com", "firstname": "Ada", "lastname": "Lovelace", "phone": "+420600000001", "company": "Acme"},
		},
		{
			name: "a further address of a contact",
			set: func(a *hubspottest.Account) {
				a.Add("contacts", map[string]string{"email": "ada@work.example", "hs_additional_emails": "ada1@example.com", "firstname": "Augusta"})
			},
			steps: []string{"contacts read", "contacts upsert", "contacts read", "contacts update", "notes create"},
			want: map[string]string{
				"email": "ada@work.example", "hs_additional_emails": "ada1@example.com", "firstname": "Augusta", "lastname": "Lovelace", "phone": "+420600000001",
			},
		},
		{
			name:  "upsert refused, nobody there",
			set:   func(a *hubspottest.Account) { a.RefuseUpsert = true },
			steps: []string{"contacts read", "contacts upsert", "contacts search", "contacts create", "notes create"},
			want:  map[string]string{"email": "ada1@example.com", "firstname": "Ada", "lastname": "Lovelace", "phone": "+420600000001"},
		},
		{
			name:   "upsert refused, found",
			change: func(s *hubspot.Settings) { s.ContactUpdate = "overwrite" },
			set: func(a *hubspottest.Account) {
				a.RefuseUpsert = true
				a.Add("contacts", map[string]string{"email": "ada1@example.com"})
			},
			steps: []string{"contacts upsert", "contacts search", "contacts update", "notes create"},
			want:  map[string]string{"email": "ada1@example.com", "firstname": "Ada", "lastname": "Lovelace", "phone": "+420600000001"},
		},
		{
			name:   "upsert refused, there but not yet in the search",
			change: func(s *hubspot.Settings) { s.ContactUpdate = "overwrite" },
			set: func(a *hubspottest.Account) {
				a.RefuseUpsert = true
				a.Add("contacts", map[string]string{"email": "x@example.com", "hs_additional_emails": "ada1@example.com"})
			},
			steps: []string{"contacts upsert", "contacts search", "contacts create", "contacts update", "notes create"},
			want: map[string]string{
				"email": "x@example.com", "hs_additional_emails": "ada1@example.com", "firstname": "Ada", "lastname": "Lovelace", "phone": "+420600000001",
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := account()
			tt.set(a)
			b := open(t, a, settings(tt.change))
			receipt := b.mustPush(t, record(1, 1, fieldsOf(1, 1)))
			want(t, "requests", tt.steps, b.steps(0))
			want(t, "contacts", 1, len(a.Objects("contacts")))
			want(t, "contact", tt.want, a.Objects("contacts")[0].Properties)
			want(t, "tie", []string{receipt.Parts["contact"]}, a.Tied("notes", receipt.Parts["note_1"], "contacts"))
		})
	}
}

// TestWithoutEmail: a note needs something to stand on.
func TestWithoutEmail(t *testing.T) {
	t.Parallel()
	nobody := func(revision int) map[string]any {
		fields := fieldsOf(1, revision)
		delete(fields, "email")
		return fields
	}
	t.Run("unless said otherwise one contact is for all", func(t *testing.T) {
		t.Parallel()
		b := open(t, account(), settings(nil))
		receipt := b.mustPush(t, record(1, 1, nobody(1)))
		want(t, "contact", map[string]string{"email": "live-chat@example.com"}, b.account.Objects("contacts")[0].Properties)
		want(t, "tie", []string{receipt.Parts["contact"]}, b.account.Tied("notes", receipt.ID, "contacts"))
	})
	t.Run("skip without ticket sends nothing", func(t *testing.T) {
		t.Parallel()
		b := open(t, account(), settings(withSkip))
		receipt := b.mustPush(t, record(1, 1, nobody(1)))
		want(t, "receipt", connectors.Receipt{Parts: map[string]string{"skipped": "no e-mail address"}}, receipt)
		want(t, "requests", 0, len(b.account.Requests()))
		if !strings.Contains(b.logs.String(), `level=INFO msg="the conversation is skipped" object=afterchat:0001:crm reason="no e-mail address"`) {
			t.Errorf("logged %q", b.logs)
		}
		// The visitor left an address in a later revision, and none in the one after it.
		next := record(1, 2, fieldsOf(1, 2))
		next.Prior = receipt
		receipt = b.mustPush(t, next)
		want(t, "parts", map[string]string{"contact": "101", "note_1": "102", "note_contact": "101"}, receipt.Parts)
		next = record(1, 3, nobody(3))
		next.Prior = receipt
		want(t, "receipt", receipt, b.mustPush(t, next))
		want(t, "updates of the note", 1, b.account.Objects("notes")[0].Updates)
	})
	t.Run("skip with ticket", func(t *testing.T) {
		t.Parallel()
		b := open(t, account(), settings(both(withTicket, withSkip)))
		receipt := b.mustPush(t, record(1, 1, nobody(1)))
		want(t, "requests", []string{"tickets upsert", "notes create"}, b.steps(0))
		want(t, "tie", []string{receipt.ID}, b.account.Tied("notes", receipt.Parts["note_1"], "tickets"))
		// The visitor left an address in a later revision.
		next := record(1, 2, fieldsOf(1, 2))
		next.Prior = receipt
		receipt = b.mustPush(t, next)
		want(t, "ties", []string{receipt.Parts["contact"], receipt.Parts["contact"]},
			append(b.account.Tied("tickets", receipt.ID, "contacts"), b.account.Tied("notes", receipt.Parts["note_1"], "contacts")...))
	})
	t.Run("catch all", func(t *testing.T) {
		t.Parallel()
		b := open(t, account(), settings(withCatchAll))
		receipt := b.mustPush(t, record(1, 1, nobody(1)))
		b.mustPush(t, record(2, 1, nobody(1)))
		want(t, "the visitor is not written into it", map[string]string{"email": "chats@example.com"}, b.account.Objects("contacts")[0].Properties)
		want(t, "notes", 2, len(b.account.Tied("contacts", receipt.Parts["contact"], "notes")))
		// A revision without address stays with the contact it had, one with an address gets its own.
		next := record(1, 2, fieldsOf(1, 2))
		next.Prior = receipt
		receipt = b.mustPush(t, next)
		want(t, "contacts", 2, len(b.account.Objects("contacts")))
		next = record(1, 3, nobody(3))
		next.Prior = receipt
		want(t, "receipt", receipt, b.mustPush(t, next))
	})
}

// TestLooking leads the look through many notes in pages, long ones, deleted ones, and notes that look like ours.
func TestLooking(t *testing.T) {
	t.Parallel()
	a := account()
	a.PageSize = 7
	b := open(t, a, settings(nil))
	contact := a.Add("contacts", map[string]string{"email": "ada1@example.com"})
	add := func(body string) string {
		id := a.Add("notes", map[string]string{"hs_note_body": body, "hs_timestamp": "2026-11-21T10:00:00.000Z"})
		a.Tie("notes", id, "contacts", contact)
		return id
	}
	for i := range 24 {
		add(strings.Repeat("ž", 65000) + fmt.Sprint("<p>afterchat:", i, "0001:crm:1/1</p>"))
	}
	quoted := add("<p>afterchat:0001:crm:1/1</p><p>said the visitor</p>")
	add("<p>afterchat:0001:crm:x/1</p>")
	a.Archive(add("<p>afterchat:0001:crm:1/1</p>"))
	mine := add("<div><p>old text</p><p><SMALL>afterchat:0001:crm:1&#47;1</SMALL></p>\n</div>")

	rec := record(1, 1, fieldsOf(1, 1))
	rec.Uncertain, rec.Attempt = true, 2
	receipt := b.mustPush(t, rec)
	want(t, "note", mine, receipt.Parts["note_1"])
	want(t, "notes", 27, len(a.Objects("notes")))
	if steps := b.steps(0); steps[len(steps)-2] != "notes update" || steps[len(steps)-1] != "notes tie" {
		t.Errorf("requests %v", steps)
	}
	a.Archive(quoted) // else it counts as the same note again
}

// TestTwoNotesOfOne: a request that was still on its way when the next attempt looked makes a second note. The first
// counts from then on, and the log says so.
func TestTwoNotesOfOne(t *testing.T) {
	t.Parallel()
	b := open(t, account(), settings(nil))
	contact := b.account.Add("contacts", map[string]string{"email": "ada1@example.com"})
	var ids []string
	for range 2 {
		id := b.account.Add("notes", map[string]string{"hs_note_body": "<p>afterchat:0001:crm:1/1</p>", "hs_timestamp": "x"})
		b.account.Tie("notes", id, "contacts", contact)
		ids = append(ids, id)
	}
	rec := record(1, 1, fieldsOf(1, 1))
	rec.Uncertain = true
	receipt := b.mustPush(t, rec)
	want(t, "note", ids[0], receipt.Parts["note_1"])
	if !strings.Contains(b.logs.String(), "a note is there twice") {
		t.Errorf("logged %q", b.logs)
	}
	b.account.Archive(ids[1]) // else it counts as the same note again
}

// TestGoesOn: what an attempt has done before it failed is not done again.
func TestGoesOn(t *testing.T) {
	t.Parallel()
	b := open(t, account(), settings(both(withTicket, func(s *hubspot.Settings) { s.ContactUpdate = "overwrite" })))
	rec := record(1, 1, long(fieldsOf(1, 1)))
	var sent []string
	for at := 1; ; at++ {
		n := len(b.account.Requests())
		b.account.Break(2, hubspottest.Locked) // so that each attempt gets one request further
		receipt, err := b.Push(t.Context(), rec)
		sent = append(sent, b.steps(n)...)
		rec.Prior = receipt
		if err == nil {
			break
		}
		if e := connectors.Classify(err); e.Uncertain || e.Kind != connectors.Temporary {
			t.Fatalf("attempt %d: %v", at, err)
		}
		if at > 20 {
			t.Fatal("no end")
		}
	}
	want(t, "requests", []string{
		"contacts upsert", "tickets upsert", // locked
		"tickets upsert", "tickets tie", // locked
		"tickets tie", "notes create", // locked
		"notes create", "notes create", // locked
		"notes create",
	}, sent)
	want(t, "notes", 2, len(b.account.Objects("notes")))
}

// TestCorrectedMapping: a replay with another mapping writes the steps that were done already, in place.
func TestCorrectedMapping(t *testing.T) {
	t.Parallel()
	b := open(t, account(), settings(withTicket))
	fields := fieldsOf(1, 1)
	fields["note_properties"] = map[string]any{"typo": "x"}
	receipt, err := b.Push(t.Context(), record(1, 1, fields))
	if e := connectors.Classify(err); e == nil || e.Kind != connectors.Rejected || !strings.Contains(e.Hint, "make the property") {
		t.Fatalf("error %v, hint %q", err, e.Hint)
	}
	want(t, "ticket before the note", "102", receipt.ID)
	fields = fieldsOf(1, 1)
	fields["ticket"].(map[string]any)["subject"] = "corrected"
	rec := record(1, 1, fields)
	rec.Prior = receipt
	n := len(b.account.Requests())
	b.mustPush(t, rec)
	want(t, "requests", []string{"tickets update", "notes create"}, b.steps(n))
	want(t, "subject", "corrected", b.account.Objects("tickets")[0].Properties["subject"])
}

// TestDeleted: what people delete in HubSpot is not made again.
func TestDeleted(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"tickets", "notes"} {
		b := open(t, account(), settings(withTicket))
		next := record(1, 2, fieldsOf(1, 2))
		next.Prior = b.mustPush(t, record(1, 1, fieldsOf(1, 1)))
		b.account.Archive(b.account.Objects(kind)[0].ID)
		_, err := b.Push(t.Context(), next)
		if e := connectors.Classify(err); e == nil || e.Kind != connectors.Rejected || !strings.Contains(e.Hint, "deleted") {
			t.Errorf("%s: %v", kind, err)
		}
		want(t, kind, 0, len(b.account.Objects(kind)))
	}
}

// TestLimit: an account that is asked too often says so, and the window ends.
func TestLimit(t *testing.T) {
	t.Parallel()
	a := account()
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	a.PerTenSecs, a.Now = 4, func() time.Time { return now }
	b := open(t, a, settings(nil))
	b.mustPush(t, record(1, 1, fieldsOf(1, 1)))
	receipt, err := b.Push(t.Context(), record(2, 1, fieldsOf(2, 1)))
	if e := connectors.Classify(err); e == nil || e.Kind != connectors.Throttled || e.After != 10*time.Second || e.Uncertain {
		t.Fatalf("error %+v", e)
	}
	now = now.Add(10 * time.Second)
	rec := record(2, 1, fieldsOf(2, 1))
	rec.Prior = receipt
	b.mustPush(t, rec)
	a.Expire()
	_, err = b.Push(t.Context(), record(3, 1, fieldsOf(3, 1)))
	if e := connectors.Classify(err); e == nil || e.Kind != connectors.Denied || !strings.Contains(err.Error(), "expired") {
		t.Errorf("error %v", err)
	}
}
