// This file reads forms: urlencoded and multipart, nested as PHP nests them, with JSON in a field or without.

package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/textproto"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/afterchat/afterchat/internal/chat"
)

// pair is one field of a form, still in the sender's encoding.
type pair struct{ key, value []byte }

var firstField = regexp.MustCompile(`^[\w.\[\]%+ -]{1,200}=`)

// looksURLEncoded tells whether text is a form: it says so and has a field, or it begins with a plausible field.
func looksURLEncoded(text, media string) bool {
	if media == "application/x-www-form-urlencoded" {
		return strings.Contains(text, "=")
	}
	return firstField.MatchString(text)
}

func readURLEncoded(body []byte, label string, notes *notes) (*Object, error) {
	if name, rest, ok := bytes.Cut(body, []byte("=")); ok && jsonField(string(name)) && json.Valid(rest) {
		// JSON that was pasted behind the field's name without being encoded.
		return readJSON(trimBody(newCharset(label, rest, notes).decode(rest)), notes)
	}
	var pairs []pair
	for field := range bytes.SplitSeq(body, []byte("&")) {
		if len(field) == 0 {
			continue
		}
		if len(pairs) == maxValues {
			return nil, tooMany()
		}
		key, value, _ := bytes.Cut(field, []byte("="))
		pairs = append(pairs, pair{unescape(key), unescape(value)})
	}
	return readForm(pairs, label, notes)
}

// unescape undoes percent encoding; what is no valid escape stays as it is.
func unescape(b []byte) []byte {
	if !bytes.ContainsAny(b, "%+") {
		return b
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		switch {
		case b[i] == '+':
			out = append(out, ' ')
		case b[i] == '%' && i+2 < len(b):
			n, err := strconv.ParseUint(string(b[i+1:i+3]), 16, 8)
			if err != nil {
				out = append(out, '%')
				continue
			}
			out = append(out, byte(n))
			i += 2
		default:
			out = append(out, b[i])
		}
	}
	return out
}

// multipartBoundary returns the boundary of a multipart body, from the label or from the body itself; "" if it is none.
func multipartBoundary(body []byte, media string, params map[string]string) string {
	if boundary := params["boundary"]; strings.HasPrefix(media, "multipart/") && boundary != "" && bytes.Contains(body, []byte("--"+boundary)) {
		return boundary
	}
	line, rest, ok := bytes.Cut(body, []byte("\n"))
	line = bytes.TrimRight(line, "\r")
	if !ok || !bytes.HasPrefix(line, []byte("--")) || len(line) < 3 || len(line) > 80 {
		return ""
	}
	head := rest[:min(len(rest), len("content-disposition:"))]
	if !strings.HasPrefix(strings.ToLower(string(head)), "content-") {
		return ""
	}
	return string(line[2:])
}

func readMultipart(body []byte, boundary, label string, notes *notes) (*Object, error) {
	var pairs []pair
	reader := multipart.NewReader(bytes.NewReader(body), boundary)
	for {
		part, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, &Error{Reason: "the multipart form is broken: " + err.Error(), Err: err}
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return nil, &Error{Reason: "the multipart form is broken: " + err.Error(), Err: err}
		}
		if len(pairs) == maxValues {
			return nil, tooMany()
		}
		name := part.FormName()
		if file := part.FileName(); file != "" {
			notes.add("the form holds files; their names are kept, and their content only if it is text")
			pairs = append(pairs, pair{[]byte(name + "[name]"), []byte(file)})
			name += "[content]"
			if !isText(value, part.Header) {
				continue
			}
		}
		pairs = append(pairs, pair{[]byte(name), value})
	}
	return readForm(pairs, label, notes)
}

func isText(value []byte, header textproto.MIMEHeader) bool {
	return utf8.Valid(value) && !bytes.Contains(value, []byte{0}) || strings.HasPrefix(header.Get("Content-Type"), "text/")
}

// readForm decodes the fields and finds the object: the fields themselves, or the JSON in one of them.
func readForm(pairs []pair, label string, notes *notes) (*Object, error) {
	var sample []byte
	for _, p := range pairs {
		sample = append(append(append(sample, p.key...), '\n'), p.value...)
	}
	charset := newCharset(label, sample, notes)
	object := &Object{}
	embedded := ""
	for _, p := range pairs {
		key, value := chat.Clean(trimBody(charset.decode(p.key))), charset.decode(p.value)
		if len(pairs) == 1 && strings.HasPrefix(key, "{") && json.Valid([]byte(key)) {
			return readJSON(key, notes) // JSON in the place of a field's name
		}
		if jsonField(key) && embedded == "" && holdsObject(value, len(pairs) == 1) {
			embedded = key
			object.Set(key, value)
			continue
		}
		putField(object, key, chat.Clean(value))
	}
	if object.Len() == 0 {
		return nil, &Error{Reason: "the form has no fields"}
	}
	if embedded != "" {
		return readEmbedded(object, embedded, notes)
	}
	return lists(object), nil
}

// jsonField tells whether a form field of this name carries a hook as JSON.
func jsonField(name string) bool {
	switch strings.ToLower(name) {
	case "data", "payload", "json", "body":
		return true
	}
	return false
}

// holdsObject tells whether a field's value is an object, or is meant to be one because there is no other field.
func holdsObject(value string, only bool) bool {
	return strings.HasPrefix(strings.TrimLeft(value, "["+padding), "{") && (only || json.Valid([]byte(trimBody(value))))
}

// readEmbedded reads the JSON in the field name of object. The form's other fields join it unless a name would clash;
// then the JSON stays below its field.
func readEmbedded(object *Object, name string, notes *notes) (*Object, error) {
	text, _ := object.Get(name).(string)
	inner, err := readJSON(trimBody(text), notes)
	if err != nil {
		return nil, err
	}
	object.Delete(name)
	outer := lists(object)
	for key := range outer.Keys() {
		if _, clash := inner.Lookup(key); clash {
			outer.Set(name, inner)
			return outer, nil
		}
	}
	for key := range outer.Keys() {
		inner.Set(key, outer.Get(key))
	}
	return inner, nil
}

const maxFieldDepth = 8

// putField sets the field key of a form: a[] and repeated fields become lists, a[b] an object a with b. A key that
// fits nowhere keeps its literal name.
func putField(form *Object, key, value string) {
	path, list := fieldPath(key)
	o, name := form, path[0]
	for _, next := range path[1:] {
		child, ok := o.Get(name).(*Object)
		if !ok {
			if _, taken := o.Lookup(name); taken {
				o, name, list = form, key, false
				break
			}
			child = &Object{}
			o.Set(name, child)
		}
		o, name = child, next
	}
	if _, object := o.Get(name).(*Object); object {
		o, name = form, key+repeatedSuffix
	}
	switch old := o.Get(name).(type) {
	case nil:
		if list {
			o.Set(name, []any{value})
			return
		}
		o.Set(name, value)
	case []any:
		o.Set(name, append(old, value))
	default:
		o.Set(name, []any{old, value})
	}
}

// fieldPath splits a[b][c] into a, b, c; list tells that it ended in []. Anything odd is one literal name.
func fieldPath(key string) (path []string, list bool) {
	base, rest, nested := strings.Cut(key, "[")
	if !nested || base == "" || !strings.HasSuffix(rest, "]") {
		return []string{key}, false
	}
	path = append([]string{base}, strings.Split(rest[:len(rest)-1], "][")...)
	if last := len(path) - 1; path[last] == "" {
		path, list = path[:last], true
	}
	for _, part := range path {
		if part == "" || strings.ContainsAny(part, "[]") || len(path) > maxFieldDepth {
			return []string{key}, false
		}
	}
	return path, list
}

// lists turns objects with the keys 0, 1, 2, … into lists.
func lists(form *Object) *Object {
	for i := range form.fields {
		if child, ok := form.fields[i].value.(*Object); ok {
			form.fields[i].value = listOf(lists(child))
		}
	}
	return form
}

func listOf(object *Object) any {
	list := make([]any, object.Len())
	for i := range list {
		value, ok := object.Lookup(strconv.Itoa(i))
		if !ok {
			return object
		}
		list[i] = value
	}
	return list
}
