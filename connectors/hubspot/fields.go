// This file declares the fields and reads them from a record.

package hubspot

import (
	"errors"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/afterchat/afterchat/connectors"
)

const (
	// maxProperty is how many characters a value takes, a note's body among them.
	// https://developers.hubspot.com/docs/reference/api/crm/engagements/notes
	maxProperty = 65536

	// maxNote is how many bytes of markup are mapped at most: about 17 notes.
	maxNote = 1 << 20
)

func fields(s Settings) []connectors.Field {
	noTicket := ""
	if s.Ticket == nil {
		noTicket = "needs the setting ticket: {pipeline, stage}"
	}
	value := &connectors.Field{Name: "value", Type: connectors.Text, Doc: "the value", Limit: maxProperty}
	return []connectors.Field{
		{Name: "email", Type: connectors.Text, Doc: "the visitor's e-mail address, by which the contact is found"},
		{Name: "contact", Type: connectors.Map, Items: value, Doc: "properties of the contact by internal name"},
		{Name: "ticket", Type: connectors.Map, Items: value, Unused: noTicket, Doc: "properties of the ticket by internal name; used with the setting ticket only. hs_pipeline and hs_pipeline_stage replace the settings; both are written once, when the ticket is made"},
		{Name: "note", Type: connectors.HTML, Required: true, Limit: maxNote, Doc: "the note; longer than 65,536 characters becomes several, numbered"},
		{Name: "timestamp", Type: connectors.Time, Required: true, Doc: "where the note stands on the timeline; required by HubSpot"},
		{Name: "note_properties", Type: connectors.Map, Items: value, Doc: "further properties of each note by internal name, such as hubspot_owner_id"},
	}
}

// content is what a record says.
type content struct {
	email   string // of the contact; "": none
	shared  bool   // it is the contact for everybody without an address
	contact map[string]string
	ticket  map[string]string
	notes   []map[string]string // properties, one map per part
	skipped string              // why nothing is sent; "": it is sent
}

// read reads a record. An error is Rejected.
func (t *target) read(rec connectors.Record) (content, error) {
	s := t.settings
	in := content{contact: properties(rec.Fields["contact"]), ticket: properties(rec.Fields["ticket"])}
	in.email, _ = rec.Fields["email"].(string)
	in.email = strings.TrimSpace(in.email)
	known := rec.Prior.Parts[partContact] != ""
	if in.email == "" && s.WithoutEmail == catchAll && !known {
		in.email, in.shared, in.contact = s.CatchAllEmail, true, nil
	}
	if in.email == "" && !known && s.Ticket == nil {
		in.skipped = "no e-mail address"
		return in, nil
	}
	at, ok := rec.Fields["timestamp"].(time.Time)
	if !ok {
		return in, rejected(errors.New("timestamp is absent, and HubSpot takes no note without it"),
			"map timestamp: '${coalesce(ended_at, started_at, received_at)}'")
	}
	body, _ := rec.Fields["note"].(string)
	extra := properties(rec.Fields["note_properties"])
	for i, text := range compose(body, rec.Object, t.limit) {
		note := maps.Clone(extra)
		note["hs_note_body"] = text
		// Parts of one conversation keep their order on the timeline.
		note["hs_timestamp"] = at.Add(time.Duration(i) * time.Millisecond).UTC().Format("2006-01-02T15:04:05.000Z")
		in.notes = append(in.notes, note)
	}
	return in, nil
}

// properties reads a mapped map; every value is text, as HubSpot wants it. It is never nil.
func properties(mapped any) map[string]string {
	out := map[string]string{}
	values, _ := mapped.(map[string]any)
	for name, value := range values {
		if text, ok := value.(string); ok {
			out[name] = text
		}
	}
	return out
}

// note names the part of a receipt that holds the id of the n-th note, from 1.
func note(n int) string { return partNote + strconv.Itoa(n) }
