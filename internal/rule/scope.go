// This file knows the names that an expression may use: those of the canonical conversation, read once by reflection
// from its json and doc tags.

package rule

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
)

// Scope says what an expression may name besides the conversation.
type Scope struct {
	// Lookups are the tables of lookup(), by name. Values are text, bool, int64, float64 or json.Number.
	Lookups map[string]map[string]any
	// Sources are the names that source may have; empty: any.
	Sources []string
	// Brands are the values that brand may have; empty: any.
	Brands []string
}

// Name is one name that routes can use.
type Name struct {
	Name string // as written: visitor.email, messages[0].text
	Type string // string, bool, int, number, time, html, list, map
	Doc  string
}

// Names lists every name of a conversation with its type and meaning, in the order of the conversation.
func Names() []Name {
	names := []Name{{Name: "conversation", Type: kindWord(Map), Doc: "the whole conversation, with the names below"}}
	return append(names, namesOf(conversation().root, "")...)
}

func namesOf(r *record, prefix string) []Name {
	var names []Name
	for _, f := range r.order {
		name := prefix + f.name
		names = append(names, Name{Name: name, Type: f.shape.String(), Doc: f.doc})
		switch {
		case f.shape.record != nil:
			names = append(names, namesOf(f.shape.record, name+".")...)
		case f.shape.elem != nil && f.shape.elem.record != nil:
			names = append(names, namesOf(f.shape.elem.record, name+"[0].")...)
		}
	}
	return names
}

// schema is what reflection found.
type schema struct {
	root   *record
	byType map[reflect.Type]*record
}

// record is a struct of the conversation.
type record struct {
	pointer reflect.Type // to the struct
	fields  map[string]*field
	order   []*field
}

type field struct {
	name, doc string
	index     int
	shape     shape
}

func (r *record) names() []string {
	return slices.Sorted(maps.Keys(r.fields))
}

// conversation returns the schema, built at the first use.
var conversation = sync.OnceValue(func() *schema {
	s := &schema{byType: map[reflect.Type]*record{}}
	s.root = s.record(reflect.TypeFor[chat.Conversation]())
	s.root.fields["platform"].shape = choice([]string{"smartsupp", "proprofs"})
	s.root.fields["received_at"].shape.absent = false // intake stamps every hook
	return s
})

func (s *schema) record(t reflect.Type) *record {
	if r, ok := s.byType[t]; ok {
		return r
	}
	r := &record{pointer: reflect.PointerTo(t), fields: map[string]*field{}}
	s.byType[t] = r
	for i := range t.NumField() {
		tag := t.Field(i)
		name, options, _ := strings.Cut(tag.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		f := &field{name: name, doc: tag.Tag.Get("doc"), index: i}
		f.shape = s.shape(tag.Type, strings.Contains(options, "omit"))
		r.fields[name] = f
		r.order = append(r.order, f)
	}
	return r
}

// shape is the static type of a field. Optional fields are those that JSON leaves out.
func (s *schema) shape(t reflect.Type, optional bool) shape {
	switch t {
	case reflect.TypeFor[time.Time]():
		return shape{kind: Time, absent: optional}
	case reflect.TypeFor[chat.HTML]():
		return shape{kind: HTML, empty: optional}
	case reflect.TypeFor[chat.Outcome]():
		return choice(chat.Outcomes())
	case reflect.TypeFor[chat.Role]():
		return choice([]chat.Role{chat.Visitor, chat.Agent, chat.Bot, chat.System, chat.UnknownRole})
	case reflect.TypeFor[*chat.Transcript]():
		return shape{kind: Map, record: s.record(t.Elem())} // rendered when it is not there yet
	}
	switch t.Kind() {
	case reflect.Pointer:
		of := s.shape(t.Elem(), false)
		of.absent = true
		return of
	case reflect.Struct:
		return shape{kind: Map, record: s.record(t)}
	case reflect.Slice:
		elem := s.shape(t.Elem(), true)
		return shape{kind: List, elem: &elem}
	case reflect.Map:
		elem := anyShape
		if t.Elem().Kind() == reflect.String {
			elem = shape{kind: Text, absent: true, empty: true}
		}
		return shape{kind: Map, elem: &elem}
	case reflect.Bool:
		return shape{kind: Boolean}
	case reflect.Int:
		return shape{kind: Integer, most: counted32}
	case reflect.Int64:
		return shape{kind: Integer}
	case reflect.Float64:
		return shape{kind: Number}
	case reflect.String:
		return shape{kind: Text, empty: optional}
	}
	return anyShape
}

// choice is the shape of a text that is one of a few.
func choice[S ~string](values []S) shape {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return shape{kind: Text, enum: out, texts: out}
}
