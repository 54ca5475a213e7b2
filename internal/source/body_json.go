// This file reads JSON text to objects, lists and json.Number, keeps repeated keys and bounds the depth, which encoding/json
// does not. The walk takes what is valid; where it finds something that is not, encoding/json says what is wrong.

package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/afterchat/afterchat/internal/chat"
)

// readJSON reads the one object in text.
func readJSON(text string, notes *notes) (*Object, error) {
	value, err := parseJSON(text, notes)
	if err != nil {
		return nil, err
	}
	if quoted, ok := value.(string); ok && strings.HasPrefix(trimBody(quoted), "{") {
		notes.add("the JSON was encoded twice; it was read once more")
		if value, err = parseJSON(trimBody(quoted), notes); err != nil {
			return nil, err
		}
	}
	if list, ok := value.([]any); ok {
		if len(list) != 1 {
			return nil, &Error{Reason: fmt.Sprintf("the body is a JSON list of %d values, not one object", len(list)), Hint: "post one conversation per request"}
		}
		value = list[0]
	}
	object, ok := value.(*Object)
	if !ok {
		return nil, &Error{Reason: "the body is a JSON " + kindOf(value) + ", not an object"}
	}
	return object, nil
}

func parseJSON(text string, notes *notes) (any, error) {
	r := jsonReader{text: text, notes: notes}
	before := *notes
	value := r.value(0)
	r.space()
	switch {
	case r.values > maxValues && json.Valid([]byte(text)):
		return nil, tooMany()
	case r.invalid || r.pos < len(text):
		*notes = before
		return nil, mistake(text)
	}
	return value, nil
}

// mistake returns an *Error with line and column of the first mistake in text, counted from 1 in characters.
func mistake(text string) error {
	err := json.Unmarshal([]byte(text), new(json.RawMessage))
	if err == nil {
		err = errors.New("its end was not found")
	}
	reason := "the body is not valid JSON: " + err.Error()
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		before := text[:min(max(int(syntax.Offset)-1, 0), len(text))]
		line := 1 + strings.Count(before, "\n")
		column := 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
		reason = fmt.Sprintf("the body is not valid JSON at %d:%d: %v", line, column, err)
	}
	return &Error{Reason: reason, Hint: Kept, Err: err}
}

// jsonReader walks over JSON. What it returns is of no use when invalid is set.
type jsonReader struct {
	text    string
	pos     int
	values  int
	invalid bool
	notes   *notes
	size    int      // how many fields the last object has; the next is likely to have as many
	free    []field  // for the fields of objects, to have memory for many at once
	objects []Object // likewise
	recent  [32]any  // short texts
}

// fail ends the walk.
func (r *jsonReader) fail() {
	r.invalid, r.pos = true, len(r.text)
}

// peek returns the byte at pos, 0 at the end.
func (r *jsonReader) peek() byte {
	if r.pos < len(r.text) {
		return r.text[r.pos]
	}
	return 0
}

// value reads the value at pos. After maxValues values it returns nil for all others, to come to an end soon.
func (r *jsonReader) value(depth int) any {
	r.space()
	if r.values++; r.values > maxValues {
		r.fail()
		return nil
	}
	switch c := r.peek(); {
	case c == '"':
		return r.share(r.str())
	case c == '{' || c == '[':
		switch {
		case depth == maxDepth:
			return r.raw()
		case c == '{':
			return r.object(depth + 1)
		}
		return r.list(depth + 1)
	case c == '-' || c >= '0' && c <= '9':
		return r.number()
	case c == 't' && r.word("true"):
		return true
	case c == 'f' && r.word("false"):
		return false
	case c == 'n' && r.word("null"):
		return nil
	}
	r.fail()
	return nil
}

// word steps over a word.
func (r *jsonReader) word(word string) bool {
	ok := strings.HasPrefix(r.text[r.pos:], word)
	if ok {
		r.pos += len(word)
	}
	return ok
}

// number reads the number at pos, as RFC 8259 writes it.
func (r *jsonReader) number() any {
	start := r.pos
	if r.peek() == '-' {
		r.pos++
	}
	if r.peek() == '0' {
		r.pos++
	} else {
		r.digits()
	}
	if r.peek() == '.' {
		r.pos++
		r.digits()
	}
	if c := r.peek(); c == 'e' || c == 'E' {
		r.pos++
		if c := r.peek(); c == '+' || c == '-' {
			r.pos++
		}
		r.digits()
	}
	return json.Number(r.text[start:r.pos])
}

// digits steps over digits, of which there must be one at least.
func (r *jsonReader) digits() {
	start := r.pos
	for c := r.peek(); c >= '0' && c <= '9'; c = r.peek() {
		r.pos++
	}
	if r.pos == start {
		r.fail()
	}
}

func (r *jsonReader) object(depth int) any {
	object := r.newObject()
	for r.next('}', len(object.fields) == 0) {
		if r.peek() != '"' {
			r.fail()
			break
		}
		key := r.str()
		if r.space(); r.peek() != ':' {
			r.fail()
			break
		}
		r.pos++
		v := r.value(depth)
		if object.fields == nil {
			object.fields = r.room()
		}
		object.put(key, v, r.notes)
	}
	r.size = len(object.fields)
	return object
}

// newObject returns an object without fields.
func (r *jsonReader) newObject() *Object {
	if len(r.objects) == 0 {
		r.objects = make([]Object, r.ahead(128, 16))
	}
	object := &r.objects[0]
	r.objects = r.objects[1:]
	return object
}

// share returns s as a value. Short texts that come again and again, as names and types do, share one.
func (r *jsonReader) share(s string) any {
	if s == "" || len(s) > 40 {
		return s
	}
	recent := &r.recent[(int(s[0])+5*int(s[len(s)-1])+3*len(s))%len(r.recent)]
	if old, ok := (*recent).(string); !ok || old != s {
		*recent = s
	}
	return *recent
}

// ahead estimates how many things there are in what is left of the text if each takes that many bytes: 1 to most.
func (r *jsonReader) ahead(bytes, most int) int {
	return min(1+(len(r.text)-r.pos)/bytes, most)
}

// room returns memory for the fields of an object.
func (r *jsonReader) room() []field {
	n := min(max(r.size, 4), fewFields)
	if len(r.free) < n {
		r.free = make([]field, max(n, r.ahead(32, 2*fewFields)))
	}
	room := r.free[:0:n]
	r.free = r.free[n:]
	return room
}

func (r *jsonReader) list(depth int) any {
	list := []any{}
	for r.next(']', len(list) == 0) {
		list = append(list, r.value(depth))
	}
	return list
}

// next steps to the next entry: over the opening bracket at pos to the first, over a comma to others. It is false after
// the closing bracket, and at a mistake.
func (r *jsonReader) next(closing byte, first bool) bool {
	r.space()
	switch c := r.peek(); {
	case first:
		r.pos++
		if r.space(); r.peek() != closing {
			return true
		}
		r.pos++
		return false
	case c == closing:
		r.pos++
		return false
	case c != ',':
		r.fail()
		return false
	}
	r.pos++
	r.space()
	return true
}

func (r *jsonReader) space() {
	for r.pos < len(r.text) {
		switch r.text[r.pos] {
		case ' ', '\t', '\r', '\n':
			r.pos++
		default:
			return
		}
	}
}

// str reads the string at pos.
func (r *jsonReader) str() string {
	literal, kind := r.literal()
	switch {
	case r.invalid:
		return ""
	case kind == printable:
		return literal[1 : len(literal)-1]
	case kind == unescaped:
		return chat.Clean(literal[1 : len(literal)-1])
	}
	var s string
	if json.Unmarshal([]byte(literal), &s) != nil {
		r.fail()
		return ""
	}
	if strings.ContainsRune(s, utf8.RuneError) && !strings.ContainsRune(literal, utf8.RuneError) {
		r.notes.add("halves of surrogate pairs became \ufffd")
	}
	return chat.Clean(s)
}

// contents is what is between two quotes.
type contents uint8

const (
	printable contents = iota // ASCII that chat.Clean leaves as it is
	unescaped                 // anything without escapes
	escaped                   // there are escapes, which have not been looked at
)

// ordinary tells the bytes of a string that neither end it nor make it more than printable.
var ordinary = func() (is [256]bool) {
	for c := ' '; c <= '~'; c++ {
		is[c] = c != '"' && c != '\\'
	}
	return is
}()

// literal returns the string at pos with its quotes.
func (r *jsonReader) literal() (literal string, kind contents) {
	text := r.text
	for i := r.pos + 1; i < len(text); i++ {
		c := text[i]
		if ordinary[c] {
			i += max(0, chat.Ordinary(text[i:])-1)
			continue
		}
		switch {
		case c == '"':
			literal = text[r.pos : i+1]
			r.pos = i + 1
			return literal, kind
		case c == '\\':
			kind = escaped
			i++
		case c < ' ':
			r.fail()
			return "", kind
		case c > '~':
			kind = max(kind, unescaped)
		}
	}
	r.fail()
	return "", kind
}

// raw returns the object or list at pos as its JSON text.
func (r *jsonReader) raw() string {
	if !json.Valid([]byte(r.text)) { // what is nested deeper is not walked over
		r.fail()
		return ""
	}
	r.notes.add(fmt.Sprintf("what is nested deeper than %d levels is kept as JSON text", maxDepth))
	start := r.pos
	for open := 0; ; {
		switch r.text[r.pos] {
		case '"':
			r.literal()
			continue
		case '{', '[':
			open++
		case '}', ']':
			open--
		}
		r.pos++
		if open == 0 {
			return chat.Clean(r.text[start:r.pos])
		}
	}
}

func kindOf(value any) string {
	switch value.(type) {
	case string:
		return "string"
	case bool:
		return "true or false"
	case nil:
		return "null"
	case []any:
		return "list"
	}
	return "number"
}
