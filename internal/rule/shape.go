// This file holds static types: what is known of a value before any conversation is seen.

package rule

import "slices"

// Kind is the static type of a template. The words are those of a connector's field types.
type Kind string

// The kinds.
const (
	Text    Kind = "text"
	HTML    Kind = "html"
	Integer Kind = "integer"
	Number  Kind = "number"
	Boolean Kind = "boolean"
	Time    Kind = "time"
	List    Kind = "list"
	Map     Kind = "map"
	Any     Kind = "any" // known only when a conversation is there
)

// kindWord is a kind as messages and signatures write it.
func kindWord(k Kind) string {
	switch k {
	case Text:
		return "string"
	case Integer:
		return "int"
	case Boolean:
		return "bool"
	}
	return string(k)
}

// shape is a static type.
type shape struct {
	kind   Kind
	record *record  // Map: a struct of the conversation
	elem   *shape   // List: its items; Map: its values
	enum   []string // Text: the only values there are, of a field that is one of a few
	texts  []string // Text: the only texts that it can be, where that is known; nil otherwise
	tables []string // the lookup tables that it may be from
	most   float64  // Integer, Number: the largest absolute value, where that is known; 0: as for any whole number
	absent bool     // it may be absent
	empty  bool     // Text, HTML: it may be ""
}

var anyShape = shape{kind: Any, absent: true, empty: true}

func (s shape) String() string { return kindWord(s.kind) }

// gone tells whether coalesce could pass over it.
func (s shape) gone() bool {
	switch s.kind {
	case Text, HTML, Any:
		return s.absent || s.empty
	}
	return s.absent
}

// unsure tells whether a computation with the value may fail: it may be absent, or of the wrong type.
func (s shape) unsure() bool { return s.absent || s.isAny() }

// orAbsent is s with the possibility of being absent.
func (s shape) orAbsent(absent bool) shape {
	s.absent = s.absent || absent
	return s
}

// wholeNumbers is the largest number up to which a float64 holds every whole one.
const wholeNumbers = 1 << 53

// counted32 bounds what is counted: characters, items, revisions.
const counted32 = 1 << 32

// magnitude is the largest absolute value that a number of shape s surely does not exceed.
func (s shape) magnitude() float64 {
	if s.most == 0 {
		return wholeNumbers
	}
	return s.most
}

// within is s with a bound. Beyond the whole numbers that are exact a calculation may have no result of its type.
func (s shape) within(most float64) shape {
	s.most = max(most, 1)
	return s.orAbsent(most > wholeNumbers)
}

func (s shape) isAny() bool    { return s.kind == Any }
func (s shape) isText() bool   { return s.kind == Text || s.kind == HTML }
func (s shape) isNumber() bool { return s.kind == Integer || s.kind == Number }
func (s shape) items() shape   { return deref(s.elem) }
func deref(s *shape) shape {
	if s == nil {
		return anyShape
	}
	return *s
}

// takes tells whether a value of shape s can stand where want is asked for.
func (s shape) takes(want Kind) bool {
	switch {
	case s.isAny() || want == Any || s.kind == want:
		return true
	case want == Text:
		return s.kind == HTML
	case want == Integer || want == Number:
		return s.isNumber()
	}
	return false
}

// comparable tells whether == between the two can ever hold.
func (s shape) comparable(t shape) bool {
	if s.kind == List || s.kind == Map || t.kind == List || t.kind == Map {
		return false
	}
	return s.isAny() || t.isAny() || s.kind == t.kind || s.isText() && t.isText() || s.isNumber() && t.isNumber()
}

// union is the shape of a value that is either s or t.
func (s shape) union(t shape) shape {
	out := shape{kind: Any, absent: s.absent || t.absent, empty: s.empty || t.empty, tables: slices.Concat(s.tables, t.tables)}
	switch {
	case s.kind == t.kind:
		out.kind = s.kind
		if s.texts != nil && t.texts != nil {
			out.texts = slices.Concat(s.texts, t.texts)
		}
		if s.record == t.record {
			out.record = s.record
		}
		if s.elem != nil && t.elem != nil {
			elem := s.elem.union(*t.elem)
			out.elem = &elem
		}
	case s.isNumber() && t.isNumber():
		out.kind = Number
	}
	if out.isNumber() && s.most > 0 && t.most > 0 {
		out.most = max(s.most, t.most)
	}
	return out
}
