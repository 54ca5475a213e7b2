// This file tries what HubSpot may say, and the settings and checks.

package hubspot_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/connectortest"
	"github.com/afterchat/afterchat/connectors/hubspot"
	"github.com/afterchat/afterchat/connectors/hubspot/hubspottest"
)

// TestAnswers gives the contact's upsert every answer that is documented.
// https://developers.hubspot.com/docs/api-reference/error-handling
func TestAnswers(t *testing.T) {
	t.Parallel()
	type outcome struct {
		Kind      string
		After     time.Duration
		Uncertain bool
	}
	retry := http.Header{"Retry-After": {"7200"}}
	tests := []struct {
		name   string
		status int
		header http.Header
		body   string
		want   outcome
		says   []string // in the error or the hint
	}{
		{name: "ten seconds", status: 429, body: `{"errorType":"RATE_LIMIT","policyName":"TEN_SECONDLY_ROLLING","message":"slow down"}`, want: outcome{Kind: "throttled", After: 10 * time.Second}, says: []string{"slow down", "TEN_SECONDLY_ROLLING", "rate"}},
		{name: "a second", status: 429, body: `{"errorType":"RATE_LIMIT","policyName":"SECONDLY"}`, want: outcome{Kind: "throttled", After: time.Second}},
		{name: "a day without zone", status: 429, body: `{"policyName":"DAILY"}`, want: outcome{Kind: "throttled", After: time.Hour}, says: []string{"time_zone"}},
		{name: "no policy", status: 429, body: `Too Many Requests`, want: outcome{Kind: "throttled", After: 10 * time.Second}},
		{name: "with Retry-After", status: 429, header: retry, body: `{"policyName":"SECONDLY"}`, want: outcome{Kind: "throttled", After: 2 * time.Hour}},
		{name: "locked", status: 423, body: `{}`, want: outcome{Kind: "temporary"}},
		{name: "migration", status: 477, header: retry, want: outcome{Kind: "throttled", After: 2 * time.Hour}, says: []string{"region"}},
		{name: "migration without time", status: 477, want: outcome{Kind: "throttled", After: time.Hour}},
		{name: "unauthorized", status: 401, body: `{"category":"INVALID_AUTHENTICATION","message":"bad token ` + token + `","correlationId":"` + token + `"}`, want: outcome{Kind: "denied"}, says: []string{"bad token ***", "service key"}},
		{name: "scope", status: 403, body: `{"category":"MISSING_SCOPES","message":"no","errors":[{"message":"One or more scopes","context":{"requiredGranularScopes":["crm.objects.contacts.write"]}}]}`, want: outcome{Kind: "denied"}, says: []string{"crm.objects.contacts.write"}},
		{name: "not found", status: 404, body: `<html>`, want: outcome{Kind: "denied"}, says: []string{"address"}},
		{name: "conflict", status: 409, body: `{"category":"CONFLICT","message":"busy"}`, want: outcome{Kind: "temporary", Uncertain: true}},
		{name: "unprocessable", status: 422, body: `{"message":"no","correlationId":"c-1"}`, want: outcome{Kind: "rejected"}, says: []string{"correlation id c-1"}},
		{name: "odd members", status: 422, body: `{"message":"no","errors":"x","context":7}`, want: outcome{Kind: "rejected"}, says: []string{"no"}},
		{name: "server error", status: 521, want: outcome{Kind: "temporary", Uncertain: true}},
		{name: "batch that is throttled", status: 207, body: `{"results":[],"numErrors":1,"errors":[{"category":"RATE_LIMITS"}]}`, want: outcome{Kind: "throttled", After: 10 * time.Second}},
		{name: "batch without scope", status: 200, body: `{"results":[],"errors":[{"category":"MISSING_SCOPES"}]}`, want: outcome{Kind: "denied"}},
		{name: "errors without words", status: 200, body: `{"results":[{"id":"1"}],"numErrors":2}`, want: outcome{Kind: "temporary", Uncertain: true}},
		{name: "nothing", status: 200, body: `{}`, want: outcome{Kind: "temporary", Uncertain: true}},
		{name: "an id that is none", status: 200, body: `{"results":[{"id":"../x"}]}`, want: outcome{Kind: "temporary", Uncertain: true}},
		{name: "null", status: 200, body: `null`, want: outcome{Kind: "temporary", Uncertain: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := open(t, account(), settings(func(s *hubspot.Settings) { s.ContactUpdate = "overwrite" }))
			b.wire.Break(0, connectortest.Answer(tt.status, tt.header, tt.body))
			_, err := b.Push(t.Context(), record(1, 1, fieldsOf(1, 1)))
			e := connectors.Classify(err)
			if e == nil {
				t.Fatal("taken for a success")
			}
			want(t, err.Error(), tt.want, outcome{e.Kind.String(), e.After, e.Uncertain})
			for _, text := range tt.says {
				if !strings.Contains(err.Error()+"\n"+e.Hint, text) {
					t.Errorf("error %q and hint %q do not say %q", err, e.Hint, text)
				}
			}
			if strings.Contains(err.Error()+e.Hint, token) {
				t.Errorf("the token shows in %v", err)
			}
		})
	}
}

// TestPartialFailure: a batch with errors is not a success, whatever its status.
func TestPartialFailure(t *testing.T) {
	t.Parallel()
	b := open(t, account(), settings(both(withTicket, withSkip)))
	b.wire.Break(1, connectortest.Answer(http.StatusOK, nil, `{"results":[],"numErrors":1,"errors":[{"category":"VALIDATION_ERROR",
		"message":"Property values were not valid","errors":[{"message":"closed by rule","code":"INVALID_OPTION"}]}]}`))
	fields := fieldsOf(1, 1)
	delete(fields, "email")
	_, err := b.Push(t.Context(), record(1, 1, fields))
	e := connectors.Classify(err)
	if e == nil || e.Kind != connectors.Rejected || e.Uncertain || !containsAll(err.Error()+e.Hint, []string{"1 errors", "closed by rule", "options"}) {
		t.Errorf("error %v", err)
	}
}

// TestDaily waits until midnight of the account.
func TestDaily(t *testing.T) {
	t.Parallel()
	a := account()
	a.PerDay = 1
	b := open(t, a, settings(func(s *hubspot.Settings) { s.TimeZone = "Europe/Prague" }))
	_, err := b.Push(t.Context(), record(1, 1, fieldsOf(1, 1)))
	e := connectors.Classify(err)
	zone, zoneErr := time.LoadLocation("Europe/Prague")
	if zoneErr != nil {
		t.Fatal(zoneErr)
	}
	if e == nil || e.Kind != connectors.Throttled || e.After <= 0 || e.After > 24*time.Hour {
		t.Fatalf("error %+v", e)
	}
	// The request took less than a minute.
	if at := time.Now().Add(e.After).In(zone); at.Hour() != 0 && e.After != 24*time.Hour || at.Minute() > 1 {
		t.Errorf("waits until %v", at)
	}
}

// TestRule: what only the account's own rules say becomes the reason.
func TestRule(t *testing.T) {
	t.Parallel()
	a := account()
	a.Rule = func(kind string, properties map[string]string) string {
		if kind == "tickets" && !strings.HasPrefix(properties["subject"], "[chat]") {
			return "Ticket names begin with [chat]"
		}
		return ""
	}
	b := open(t, a, settings(withTicket))
	_, err := b.Push(t.Context(), record(1, 1, fieldsOf(1, 1)))
	e := connectors.Classify(err)
	if e == nil || e.Kind != connectors.Rejected || !strings.Contains(err.Error(), "Ticket names begin with [chat] (VALIDATION_ERROR, correlation id aeb5") || e.Cause != "VALIDATION_ERROR" || !strings.Contains(e.Hint, "validation rule") {
		t.Errorf("error %v", err)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change func(*hubspot.Settings)
		want   []string
	}{
		"fine":           {both(withTicket, withCatchAll), nil},
		"no token":       {func(s *hubspot.Settings) { s.Token = secret.New("") }, []string{"token"}},
		"token and more": {func(s *hubspot.Settings) { s.Token = secret.New("pat\n") }, []string{"token"}},
		"url":            {func(s *hubspot.Settings) { s.URL = "api.hubapi.com" }, []string{"url"}},
		"url with query": {func(s *hubspot.Settings) { s.URL = "https://api.hubapi.com/?a=b" }, []string{"url"}},
		"ticket":         {func(s *hubspot.Settings) { s.Ticket = &hubspot.Ticket{Property: "No"} }, []string{"ticket.pipeline", "ticket.stage", "ticket.property"}},
		"bare":           {nil, nil},
		"catch all":      {func(s *hubspot.Settings) { s.CatchAllEmail = "" }, []string{"catch_all_email"}},
		"skip":           {withSkip, nil},
		"not used":       {func(s *hubspot.Settings) { s.WithoutEmail, s.CatchAllEmail = "skip", "a@example.com" }, []string{"catch_all_email"}},
		"no address":     {func(s *hubspot.Settings) { s.WithoutEmail, s.CatchAllEmail = "catch_all", "chats" }, []string{"catch_all_email"}},
		"unknown words": {func(s *hubspot.Settings) {
			s.WithoutEmail, s.ContactUpdate, s.TimeZone = "drop", "merge", "Prague"
		}, []string{"without_email", "contact_update", "time_zone"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var keys []string
			err := hubspot.Type().Validate(settings(tt.change))
			for _, one := range unjoin(err) {
				e, ok := errors.AsType[*connectors.SettingError](one)
				if !ok {
					t.Fatalf("%v is no SettingError", one)
				}
				keys = append(keys, e.Key)
			}
			want(t, "settings that are wrong", tt.want, keys)
		})
	}
}

func unjoin(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return nil
}

// TestCheck goes through what may be wrong with an account.
func TestCheck(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		ticket *hubspot.Ticket
		set    func(*hubspottest.Account)
		kind   string // empty: passes
		says   []string
	}{
		{name: "fine"},
		{name: "fine with ticket", ticket: &hubspot.Ticket{Pipeline: "0", Stage: "4"}},
		{name: "expired", set: func(a *hubspottest.Account) { a.Expire() }, kind: "denied", says: []string{"expired", "service key"}},
		{name: "cannot write", set: func(a *hubspottest.Account) { a.Scopes = []string{"crm.objects.contacts.read"} }, kind: "denied", says: []string{"crm.objects.contacts.write"}},
		{
			name: "no tickets", ticket: &hubspot.Ticket{Pipeline: "0", Stage: "1"}, kind: "denied", says: []string{"one of tickets"},
			set: func(a *hubspottest.Account) {
				a.Scopes = []string{"crm.objects.contacts.read", "crm.objects.contacts.write"}
			},
		},
		{name: "pipeline", ticket: &hubspot.Ticket{Pipeline: "Support Pipeline", Stage: "1"}, kind: "denied", says: []string{`no ticket pipeline "Support Pipeline"`, "0 (Support Pipeline)"}},
		{name: "stage", ticket: &hubspot.Ticket{Pipeline: "0", Stage: "New"}, kind: "denied", says: []string{`no stage "New"`, "1 (New), 2 (Waiting on contact)"}},
		{name: "other property", ticket: &hubspot.Ticket{Pipeline: "0", Stage: "1", Property: "chat_id"}, kind: "denied", says: []string{`no property "chat_id"`, `curl -X POST https://api.hubapi.com/crm/properties/2026-09/tickets`, `"hasUniqueValue":true`}},
		{name: "property is not unique", ticket: &hubspot.Ticket{Pipeline: "0", Stage: "1"}, set: func(a *hubspottest.Account) { a.Remove("afterchat_conversation_id", true) }, kind: "denied", says: []string{"does not demand unique values"}},
		{name: "throttled", set: func(a *hubspottest.Account) { a.Break(2, hubspottest.Secondly) }, kind: "throttled"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := account()
			if tt.set != nil {
				tt.set(a)
			}
			b := open(t, a, settings(func(s *hubspot.Settings) { s.Ticket = tt.ticket }))
			err := b.Connector.(connectors.Checker).Check(t.Context())
			got, text := "", ""
			if e := connectors.Classify(err); e != nil {
				got, text = e.Kind.String(), err.Error()+"\n"+e.Hint
			}
			if got != tt.kind || !containsAll(text, tt.says) {
				t.Errorf("%s: %s, want %s and %q", got, text, tt.kind, tt.says)
			}
			want(t, "objects", 0, len(slices.Concat(a.Objects("contacts"), a.Objects("tickets"), a.Objects("notes"))))
		})
	}
}

// TestCheckFields goes through what a mapping may name.
func TestCheckFields(t *testing.T) {
	t.Parallel()
	ticket := func(pairs map[string]any) map[string]any { return map[string]any{"ticket": pairs} }
	tests := []struct {
		name   string
		change func(*hubspot.Settings)
		set    func(*hubspottest.Account)
		fields map[string]any
		kind   string // empty: passes
		says   []string
	}{
		{name: "all there", change: withTicket, fields: fieldsOf(1, 1)},
		{name: "nothing mapped", fields: map[string]any{"note": "x"}},
		{name: "contact", fields: map[string]any{"contact": map[string]any{"firstname": "Ada", "favourite/color": "red", "tier": "gold"}}, kind: "denied", says: []string{"contact.favourite/color: contacts have no such property; contact.tier: contacts have", "internal names"}},
		{name: "note", fields: map[string]any{"note_properties": map[string]any{"mood": "good"}}, kind: "denied", says: []string{"note_properties.mood: notes have no such property"}},
		{name: "ticket", change: withTicket, fields: ticket(map[string]any{"topic": "x"}), kind: "denied", says: []string{"ticket.topic: tickets have no such property"}},
		{name: "ticket without the setting", fields: ticket(map[string]any{"topic": "x", "hs_pipeline": "9"})},
		{name: "computed", change: withTicket, fields: ticket(map[string]any{"createdate": "x"}), kind: "denied", says: []string{"ticket.createdate: HubSpot sets this property by itself"}},
		{name: "pipeline and stage", change: withTicket, fields: ticket(map[string]any{"hs_pipeline": "0", "hs_pipeline_stage": "4"})},
		{name: "other pipeline", change: withTicket, fields: ticket(map[string]any{"hs_pipeline": "Sales"}), kind: "denied", says: []string{`ticket.hs_pipeline: there is no ticket pipeline "Sales"`, "0 (Support Pipeline)"}},
		{name: "other stage", change: withTicket, fields: ticket(map[string]any{"hs_pipeline_stage": "9"}), kind: "denied", says: []string{`ticket.hs_pipeline_stage: the pipeline 0 has no stage "9"`, "4 (Closed)"}},
		{name: "several", change: withTicket, fields: ticket(map[string]any{"topic": "x", "hs_pipeline_stage": "9"}), kind: "denied", says: []string{"ticket.topic: ", `has no stage "9", its stages are 1 (New)`}},
		{name: "throttled", fields: fieldsOf(1, 1), set: func(a *hubspottest.Account) { a.Break(2, hubspottest.Secondly) }, kind: "throttled"},
		{name: "expired", change: withTicket, fields: ticket(map[string]any{"hs_pipeline": "0"}), set: func(a *hubspottest.Account) { a.Expire() }, kind: "denied", says: []string{"service key"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := account()
			if tt.set != nil {
				tt.set(a)
			}
			b := open(t, a, settings(tt.change))
			err := b.Connector.(connectors.FieldChecker).CheckFields(t.Context(), tt.fields)
			got, text := "", ""
			if e := connectors.Classify(err); e != nil {
				got, text = e.Kind.String(), err.Error()+"\n"+e.Hint
			}
			if got != tt.kind || !containsAll(text, tt.says) {
				t.Errorf("%s: %s, want %s and %q", got, text, tt.kind, tt.says)
			}
			for _, r := range a.Requests() {
				want(t, "method of "+r.Path, http.MethodGet, r.Method)
			}
		})
	}
}

func containsAll(text string, parts []string) bool {
	return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(text, part) })
}
