// This file tests what is shown of a push before it is made.

package hubspot_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/hubspot"
)

func TestPreview(t *testing.T) {
	t.Parallel()
	const base = "https://api.hubapi.com/crm/objects/2026-09/"
	without := func(fields map[string]any, name string) map[string]any {
		fields = maps.Clone(fields)
		delete(fields, name)
		return fields
	}
	everybody := without(fieldsOf(1, 1), "email")
	skipped := []connectors.NotSent{}
	for _, field := range []string{"contact", "note", "note_properties", "ticket", "timestamp"} {
		skipped = append(skipped, connectors.NotSent{Field: field, Why: "the conversation is skipped: no e-mail address"})
	}
	tests := map[string]struct {
		change  func(*hubspot.Settings)
		fields  map[string]any
		want    []string
		notSent []connectors.NotSent
	}{
		"a contact, a ticket and a note": {
			change: withTicket, fields: fieldsOf(1, 1),
			want: []string{
				"look POST " + base + "contacts/batch/read", "POST " + base + "contacts/batch/upsert",
				"POST " + base + "tickets/batch/upsert", "PUT " + base + "tickets/2/associations/default/contacts/1", "POST " + base + "notes",
			},
		},
		"nobody's address": {
			change: withCatchAll, fields: everybody,
			want: []string{
				"look POST " + base + "contacts/batch/read", "POST " + base + "contacts/batch/upsert", "POST " + base + "notes",
			},
			notSent: []connectors.NotSent{{Field: "contact", Why: "without an e-mail address it is the contact for everybody"}},
		},
		"a ticket for nobody": {
			change: both(withSkip, withTicket), fields: everybody,
			want:    []string{"POST " + base + "tickets/batch/upsert", "POST " + base + "notes"},
			notSent: []connectors.NotSent{{Field: "contact", Why: "without an e-mail address there is no contact"}},
		},
		"skipped": {change: withSkip, fields: everybody, notSent: skipped},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := open(t, account(), settings(tt.change))
			rec := record(1, 1, tt.fields)
			preview, err := b.Connector.(connectors.Previewer).Preview(rec)
			if err != nil {
				t.Fatal(err)
			}
			var steps, previewed, sent []string
			for _, r := range preview.Requests {
				look := ""
				if r.Reads {
					look = "look "
				}
				steps = append(steps, look+r.Method+" "+r.URL)
				if r.Headers["Authorization"] != "Bearer ***" {
					t.Errorf("headers %v", r.Headers)
				}
				previewed = append(previewed, fmt.Sprint(r.Method, " ", r.URL, " ", r.Body))
			}
			want(t, "requests", tt.want, steps)
			want(t, "not sent", tt.notSent, preview.NotSent)
			receipt := b.mustPush(t, rec)
			ids := strings.NewReplacer(
				`"`+receipt.Parts["contact"]+`"`, `"1"`, "contacts/"+receipt.Parts["contact"], "contacts/1",
				`"`+receipt.Parts["ticket"]+`"`, `"2"`, "tickets/"+receipt.Parts["ticket"], "tickets/2",
			)
			for _, r := range b.wire.Sent() {
				sent = append(sent, ids.Replace(fmt.Sprint(r.Method, " ", r.URL, " ", r.Body)))
			}
			want(t, "sent and previewed", sent, previewed)
		})
	}
}

// TestPreviewFails: what Push refuses, Preview refuses.
func TestPreviewFails(t *testing.T) {
	t.Parallel()
	fields := fieldsOf(1, 1)
	delete(fields, "timestamp")
	b := open(t, account(), settings(nil))
	if got, err := b.Connector.(connectors.Previewer).Preview(record(1, 1, fields)); connectors.Classify(err).Kind != connectors.Rejected || len(got.Requests) > 0 {
		t.Errorf("%+v, %v", got, err)
	}
}
