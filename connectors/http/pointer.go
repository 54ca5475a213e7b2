// This file reads JSON pointers.

package http

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
)

// Pointer is a JSON pointer (RFC 6901). Empty: not configured, or the whole document.
type Pointer string

// UnmarshalText checks the form: empty, or beginning with a slash, with ~ only as ~0 and ~1.
func (p *Pointer) UnmarshalText(text []byte) error {
	s := string(text)
	if s != "" && s[0] != '/' {
		return errors.New("a JSON pointer begins with a slash; write it as /id or /data/id")
	}
	rest := strings.NewReplacer("~0", "", "~1", "").Replace(s)
	if strings.Contains(rest, "~") {
		return errors.New("~ has a meaning in a JSON pointer; write ~0 for it, and ~1 for a slash in a name")
	}
	*p = Pointer(s)
	return nil
}

// MarshalText writes the pointer as it was read.
func (p Pointer) MarshalText() ([]byte, error) { return []byte(p), nil }

// in returns what the pointer points at, and false if that is not there.
func (p Pointer) in(doc any) (any, bool) {
	if p == "" {
		return doc, true
	}
	for token := range strings.SplitSeq(string(p[1:]), "/") {
		// The order matters: ~01 is ~1, not a slash.
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		switch at := doc.(type) {
		case map[string]any:
			next, ok := at[token]
			if !ok {
				return nil, false
			}
			doc = next
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(at) || token != strconv.Itoa(i) {
				return nil, false
			}
			doc = at[i]
		default:
			return nil, false
		}
	}
	return doc, true
}

// text returns the scalar that the pointer points at. Empty pointer, missing value, null and containers give "".
func (p Pointer) text(doc any) string {
	if p == "" {
		return ""
	}
	value, _ := p.in(doc)
	switch v := value.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

// parse decodes one JSON document and keeps numbers as they are written: ids may be longer than a float64.
func parse(body []byte) (any, error) {
	dec := json.NewDecoder(strings.NewReader(string(body)))
	dec.UseNumber()
	var doc any
	if err := dec.Decode(&doc); err != nil {
		return nil, err
	}
	return doc, nil
}
