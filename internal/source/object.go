// This file holds the fields of a JSON object while a decoder takes out what it understands. A map costs several times as
// much, for objects that have a handful of fields and end up empty.

package source

import (
	"fmt"
	"iter"
)

// Object is a JSON object. Its values are string, bool, json.Number, nil, []any and *Object. The order of the fields says
// nothing. A nil Object has no fields.
type Object struct {
	fields []field
	index  map[string]int // where in fields a key is; nil while there are few
}

type field struct {
	key   string
	value any
}

// fewFields is up to how many fields each is looked at; a visitor or a channel has up to about 20.
const fewFields = 32

// find returns where in fields a key is, -1 if nowhere.
func (o *Object) find(key string) int {
	if o == nil {
		return -1
	}
	if o.index != nil {
		if i, ok := o.index[key]; ok {
			return i
		}
		return -1
	}
	for i := range o.fields {
		if o.fields[i].key == key {
			return i
		}
	}
	return -1
}

// Len returns how many fields there are.
func (o *Object) Len() int {
	if o == nil {
		return 0
	}
	return len(o.fields)
}

// Lookup returns the value under key and tells whether there is one.
func (o *Object) Lookup(key string) (any, bool) {
	if i := o.find(key); i >= 0 {
		return o.fields[i].value, true
	}
	return nil, false
}

// Get returns the value under key; nil if there is none.
func (o *Object) Get(key string) any {
	v, _ := o.Lookup(key)
	return v
}

// Set puts a value under key.
func (o *Object) Set(key string, value any) {
	if i := o.find(key); i >= 0 {
		o.fields[i].value = value
		return
	}
	o.add(key, value)
}

// add adds a field under a key that is not there.
func (o *Object) add(key string, value any) {
	o.fields = append(o.fields, field{key, value})
	switch {
	case o.index != nil:
		o.index[key] = len(o.fields) - 1
	case len(o.fields) > fewFields:
		o.index = make(map[string]int, 2*fewFields)
		for i := range o.fields {
			o.index[o.fields[i].key] = i
		}
	}
}

// Delete removes the field under key, if there is one.
func (o *Object) Delete(key string) {
	i := o.find(key)
	if i < 0 {
		return
	}
	last := len(o.fields) - 1
	if o.index != nil {
		o.index[o.fields[last].key] = i
		delete(o.index, key)
	}
	if i < last {
		o.fields[i] = o.fields[last]
	}
	o.fields = o.fields[:last] // what is behind is not cleared, since no object lives long
}

// Keys yields the keys in no order. The object must not change meanwhile.
func (o *Object) Keys() iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range o.Len() {
			if !yield(o.fields[i].key) {
				return
			}
		}
	}
}

// Map returns the object, and all objects in it, as maps. The lists in it are no longer of use to o.
func (o *Object) Map() map[string]any {
	m := make(map[string]any, o.Len())
	for i := range o.Len() {
		m[o.fields[i].key] = Plain(o.fields[i].value)
	}
	return m
}

// Plain returns a value with all objects in it as maps.
func Plain(v any) any {
	switch v := v.(type) {
	case *Object:
		return v.Map()
	case []any:
		for i := range v {
			v[i] = Plain(v[i])
		}
	}
	return v
}

// put sets a key that may come twice. The last value that says something wins, as it does in the senders' own parsers;
// the others are kept beside it.
func (o *Object) put(key string, v any, notes *notes) {
	i := o.find(key)
	if i < 0 {
		o.add(key, v)
		return
	}
	notes.add(fmt.Sprintf("the key %q comes more than once; the last value is used and the others are kept as %q", shorten(key), shorten(key)+repeatedSuffix))
	old := o.fields[i].value
	if v == nil || v == "" {
		v, old = old, v
	}
	o.fields[i].value = v
	if old != nil && old != "" {
		first, taken := o.Lookup(key + repeatedSuffix)
		kept, isList := first.([]any)
		if taken && !isList {
			kept = []any{first}
		}
		o.Set(key+repeatedSuffix, append(kept, old))
	}
}

const repeatedSuffix = " (repeated)"
