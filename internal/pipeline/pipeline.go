// Package pipeline decides which targets get a conversation and what each gets: routes, redaction, mapping against the
// fields that a connector declares. Everything in it is a pure function of a conversation.
//
// This file declares what a configuration says about it.
package pipeline

import (
	"fmt"
	"time"

	"github.com/afterchat/afterchat/connectors"
)

// Definition is the part of a configuration that decides what is rendered. It holds no secret, and its JSON is the
// snapshot that the ledger keeps.
type Definition struct {
	Routes   []Route                   `json:"routes"`
	Lookups  map[string]map[string]any `json:"lookups,omitempty"`
	Redact   map[string]Redaction      `json:"redact,omitempty"`
	TimeZone string                    `json:"time_zone,omitempty"` // of transcripts; "": UTC
	Language string                    `json:"language,omitempty"`  // of transcripts; "": en
	Defaults map[string]Tree           `json:"defaults"`            // default mapping by target
	Brands   []string                  `json:"-"`                   // that brand may have, for Compile; nil: any
}

// Tree is a mapping as written: nil, bool, int64, float64, json.Number, string (with ${ }), []any, and Mapping nested.
type Tree = any

// Mapping is an ordered map, so that errors and output come in the order of the file.
type Mapping []Entry

// Entry is one key of a Mapping.
type Entry struct {
	Key   string `json:"key"`
	Value Tree   `json:"value"`
}

// Route is one entry of routes:. All that match count, top to bottom.
type Route struct {
	Name  string        `json:"name"`
	From  []string      `json:"from,omitempty"` // sources; empty: any
	When  string        `json:"when,omitempty"` // a bare boolean expression; empty: always
	Final bool          `json:"final,omitempty"`
	Empty bool          `json:"empty,omitempty"` // conversations in which nobody wrote anything match too
	Hold  time.Duration `json:"hold,omitempty"`
	To    []RouteTarget `json:"to"`
	// Alert: it renders alerts, and no conversation matches it.
	Alert bool `json:"alert,omitempty"`
}

// RouteTarget is one target of a route with the keys that it sets over the default mapping.
type RouteTarget struct {
	Target string   `json:"target"`
	Redact []string `json:"redact,omitempty"` // names of redactions
	Fields Mapping  `json:"fields,omitempty"` // a nil value removes the key
}

// Redaction is one entry of redact:.
type Redaction struct {
	Find    []Find   `json:"find,omitempty"`
	Drop    []string `json:"drop,omitempty"` // fields of the conversation removed altogether, such as visitor.ip
	Replace string   `json:"replace"`        // what takes the place; the default is [removed]
	At      string   `json:"at,omitempty"`   // AtDelivery or AtIntake; "": AtDelivery
}

// When a redaction is applied.
const (
	AtDelivery = "delivery" // to what is sent, where a route names it
	AtIntake   = "intake"   // to every conversation before it is stored, see Pipeline.AtIntake
)

// Find is one thing to find: a built-in (card, iban, email, phone, ip) or a regular expression of one's own.
type Find struct {
	Name  string `json:"name"`
	Regex string `json:"regex,omitempty"` // RE2; empty: the built-in of that name
}

// Target is what the pipeline knows of a target.
type Target struct {
	Name          string
	Was           []string // earlier names, which snapshots may still have
	Fields        []connectors.Field
	IgnoreUpdates bool // on_update: ignore
	// Vet reports what a mapping could never be sent with, as of connectors.Type; nil: nothing. Open does not call it.
	Vet func(fields map[string]any) []connectors.FieldError
}

// Path names a place in a Definition as it stands in the file: routes, 2, to, help, subject. Elements are string keys
// or int indexes.
type Path []any

// Problem is a mistake in a Definition. Offset is where in the text at Path, in bytes; config turns both into line:col.
type Problem struct { //nolint:errname // a finding, which is an error only where something has to be rendered all the same
	Path   Path
	Offset int // -1: the whole value
	Text   string
	Hint   string
}

func (p Problem) Error() string {
	if p.Hint == "" {
		return fmt.Sprintf("%v: %s", p.Path, p.Text)
	}
	return fmt.Sprintf("%v: %s; %s", p.Path, p.Text, p.Hint)
}

// Match is one delivery that routing decided on.
type Match struct {
	Target string
	Routes []string // that named the target and matched, in file order
	Hold   time.Duration
	// IgnoreUpdates: a target that holds an earlier revision skips this one.
	IgnoreUpdates bool
}
