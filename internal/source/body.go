// This file finds the one object in a hook body. Senders mislabel their bodies, wrap them, and encode them as they
// please; decoders see only the object.

package source

import (
	"bytes"
	"mime"
	"slices"
	"strconv"
	"strings"
)

// The bounds of one body. What is nested deeper is kept as its JSON text; what holds more values is refused.
const (
	maxDepth  = 100
	maxValues = 1 << 20
)

// ReadObject is [Read] for decoders that want a map.
func ReadObject(h Hook) (object map[string]any, warnings []string, err error) {
	o, warnings, err := Read(h)
	if err != nil {
		return nil, nil, err
	}
	return o.Map(), warnings, nil
}

// Read finds the one object in h: JSON, with or without a byte order mark, a list of one or quotes around it,
// whatever its content type says; or an urlencoded or multipart form, whose only field, or whose data or payload
// field, may hold that JSON.
//
// Keys and texts of the object went through [chat.Clean], numbers are json.Number. In a form every value is text;
// repeated fields and fields called x[] are lists, fields called x[y] nest as PHP nests them. Warnings say how
// a body that was not plain UTF-8 was read. An error is always an *Error. Bodies that are too deep are read up to
// 100 levels and kept as text below; more than 1,048,576 values are an error.
func Read(h Hook) (object *Object, warnings []string, err error) {
	var notes notes
	media, params, merr := mime.ParseMediaType(h.ContentType)
	if merr != nil {
		media, _, _ = strings.Cut(strings.ToLower(h.ContentType), ";")
		media = strings.TrimSpace(media)
	}
	object, err = readBody(h.Body, media, params, &notes)
	if err != nil {
		return nil, nil, err
	}
	return object, notes, nil
}

func readBody(body []byte, media string, params map[string]string, notes *notes) (*Object, error) {
	if boundary := multipartBoundary(body, media, params); boundary != "" {
		return readMultipart(body, boundary, params["charset"], notes)
	}
	text := trimBody(newCharset(params["charset"], body, notes).decode(body))
	switch {
	case text == "":
		return nil, &Error{Reason: "the body is empty"}
	case strings.HasPrefix(text, "{"), strings.HasPrefix(text, "["), strings.HasPrefix(text, `"`):
		return readJSON(text, notes)
	case looksURLEncoded(text, media):
		return readURLEncoded(bytes.Trim(body, padding), params["charset"], notes)
	case strings.HasPrefix(text, "<"):
		return nil, &Error{Reason: "the body looks like HTML or XML, not like JSON or a form", Hint: "send the hook as application/json"}
	case media == "application/json":
		return readJSON(text, notes)
	}
	return nil, &Error{Reason: "the body is neither JSON nor a form", Hint: "send the hook as application/json"}
}

// padding is what senders leave around a body: byte order marks, white space, NUL.
const padding = "\ufeff \t\r\n\x00"

func trimBody(text string) string { return strings.Trim(text, padding) }

// notes collects warnings, each once, and not more than a person would read.
type notes []string

const maxNotes = 20

func (n *notes) add(text string) {
	switch {
	case len(*n) > maxNotes, slices.Contains(*n, text):
	case len(*n) == maxNotes:
		*n = append(*n, "more was odd in the body than is listed here")
	default:
		*n = append(*n, text)
	}
}

// shorten cuts a key to what fits a message.
func shorten(key string) string {
	if r := []rune(key); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return key
}

func tooMany() *Error {
	return &Error{Reason: "the body holds more than " + strconv.Itoa(maxValues) + " values"}
}
