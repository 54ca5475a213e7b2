// This file reads JSON text to maps, lists and json.Number. encoding/json judges the syntax; the walk here keeps
// repeated keys and bounds the depth, which encoding/json does not.

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
func readJSON(text string, notes *notes) (map[string]any, error) {
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
	object, ok := value.(map[string]any)
	if !ok {
		return nil, &Error{Reason: "the body is a JSON " + kindOf(value) + ", not an object"}
	}
	return object, nil
}

func parseJSON(text string, notes *notes) (any, error) {
	if err := checkJSON(text); err != nil {
		return nil, err
	}
	r := jsonReader{text: text, notes: notes}
	value := r.value(0)
	if r.values > maxValues {
		return nil, tooMany()
	}
	return value, nil
}

// checkJSON returns an *Error with line and column of the first mistake, counted from 1 in characters.
func checkJSON(text string) error {
	if json.Valid([]byte(text)) {
		return nil
	}
	err := json.Unmarshal([]byte(text), new(json.RawMessage))
	if err == nil {
		return nil
	}
	reason := "the body is not valid JSON: " + err.Error()
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		before := text[:min(max(int(syntax.Offset)-1, 0), len(text))]
		line := 1 + strings.Count(before, "\n")
		column := 1 + utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:])
		reason = fmt.Sprintf("the body is not valid JSON at %d:%d: %v", line, column, err)
	}
	return &Error{Reason: reason, Hint: "the body is kept as it came and can be decoded again", Err: err}
}

// jsonReader walks over valid JSON.
type jsonReader struct {
	text   string
	pos    int
	values int
	notes  *notes
}

// value reads the value at pos. After maxValues values it returns nil for all others, to come to an end soon.
func (r *jsonReader) value(depth int) any {
	r.space()
	if r.values++; r.values > maxValues {
		r.pos = len(r.text)
		return nil
	}
	switch r.text[r.pos] {
	case '{':
		if depth == maxDepth {
			return r.raw()
		}
		return r.object(depth + 1)
	case '[':
		if depth == maxDepth {
			return r.raw()
		}
		return r.list(depth + 1)
	case '"':
		return r.str()
	case 't':
		r.pos += len("true")
		return true
	case 'f':
		r.pos += len("false")
		return false
	case 'n':
		r.pos += len("null")
		return nil
	}
	start := r.pos
	for r.pos < len(r.text) && strings.IndexByte("+-.0123456789eE", r.text[r.pos]) >= 0 {
		r.pos++
	}
	return json.Number(r.text[start:r.pos])
}

func (r *jsonReader) object(depth int) any {
	object := map[string]any{}
	for r.next('}') {
		key := r.str()
		r.space()
		r.pos++ // the colon
		put(object, key, r.value(depth), r.notes)
	}
	return object
}

func (r *jsonReader) list(depth int) any {
	list := []any{}
	for r.next(']') {
		list = append(list, r.value(depth))
	}
	return list
}

// next steps over the bracket or comma at pos to the next entry; false after the closing bracket.
func (r *jsonReader) next(closing byte) bool {
	r.space()
	if r.pos >= len(r.text) { // after too many values
		return false
	}
	if r.text[r.pos] != closing {
		r.pos++
		r.space()
	}
	if r.text[r.pos] == closing {
		r.pos++
		return false
	}
	return true
}

func (r *jsonReader) space() {
	for r.pos < len(r.text) && strings.IndexByte(" \t\r\n", r.text[r.pos]) >= 0 {
		r.pos++
	}
}

// str reads the string at pos.
func (r *jsonReader) str() string {
	literal, escaped := r.literal()
	if !escaped {
		return chat.Clean(literal[1 : len(literal)-1])
	}
	var s string
	_ = json.Unmarshal([]byte(literal), &s) // valid, as all of the text is
	if strings.ContainsRune(s, utf8.RuneError) && !strings.ContainsRune(literal, utf8.RuneError) {
		r.notes.add("halves of surrogate pairs became \ufffd")
	}
	return chat.Clean(s)
}

// literal returns the string at pos with its quotes, and whether it holds escapes.
func (r *jsonReader) literal() (literal string, escaped bool) {
	start := r.pos
	for r.pos++; r.text[r.pos] != '"'; r.pos++ {
		if r.text[r.pos] == '\\' {
			escaped = true
			r.pos++
		}
	}
	r.pos++
	return r.text[start:r.pos], escaped
}

// raw returns the object or list at pos as its JSON text.
func (r *jsonReader) raw() string {
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
