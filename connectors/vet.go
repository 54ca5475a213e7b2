// This file is the part of the contract with which a type finds mistakes in a mapping that no conversation could be sent
// with, before there is one.

package connectors

import "strings"

// Unknown stands in the fields that Vet sees for a value that is known only when a conversation is there.
type Unknown struct {
	Type   FieldType // Any if not even that is known
	Absent bool      // it may be absent
}

// What stands for expressions inside of a text that Vet sees, one character for each: /brands/ and a Hole for
// /brands/${source}, /contacts/ and a Gap for /contacts/${visitor.id}.
const (
	Hole = "\uFFFC" // always yields something; the object replacement character
	Gap  = "\uFFFD" // may be absent, and is empty then
)

// Varies tells whether a text that Vet sees holds an expression.
func Varies(text string) bool { return strings.Contains(text, Hole) || strings.Contains(text, Gap) }

// FieldError says what is wrong with a field of a mapping, for every conversation.
type FieldError struct {
	Path    []any  // of the value, beginning with the name of a field: keys and, in lists, indexes
	Problem string // what is wrong
	Hint    string // how it would be right
}

// Vet reports what a mapping could never be sent with. fields are those of a Record, filled as far as they are the same
// for every conversation, with Unknown, Hole and Gap for the rest. A type without a Vet finds nothing.
func (t Type) Vet(settings any, fields map[string]any) []FieldError {
	return t.vet(settings, fields)
}
