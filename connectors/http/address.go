// This file makes addresses and headers out of mapped values, so that nothing a visitor writes can steer a request.

package http

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/net/http/httpguts"

	"github.com/afterchat/afterchat/connectors"
)

// idPlace is replaced by the receipt's id in the path of an update.
const idPlace = "{id}"

// segments splits a mapped path and escapes each part. A text is split at its slashes; in a list each item is one
// segment, so that not even a slash gets out of it. "." and ".." and empty segments within are refused: servers and
// proxies resolve them, and an absent value in the middle would mean another address.
func segments(path any, id string) ([]string, error) {
	var parts []string
	switch p := path.(type) {
	case nil:
		return nil, nil
	case string:
		if p = strings.TrimPrefix(p, "/"); p == "" {
			return nil, nil
		}
		parts = strings.Split(p, "/")
	case []any:
		for _, item := range p {
			parts = append(parts, scalar(item))
		}
	default:
		return nil, fmt.Errorf("a path is a text or a list of texts, not %T", path)
	}
	_, list := path.([]any)
	for i, part := range parts {
		switch full := strings.ReplaceAll(part, idPlace, id); {
		case full == "." || full == "..":
			return nil, fmt.Errorf("the path has the segment %q", full)
		case full == "" && (list || i < len(parts)-1):
			return nil, errors.New("the path has an empty segment; a value in it is absent")
		}
		escaped := strings.Split(part, idPlace)
		for j := range escaped {
			escaped[j] = url.PathEscape(escaped[j])
		}
		parts[i] = strings.Join(escaped, url.PathEscape(id))
	}
	return parts, nil
}

// address appends a mapped path to the configured address and adds mapped query values to its own.
func address(base *url.URL, path any, query map[string]any, id string) (string, error) {
	parts, err := segments(path, id)
	if err != nil {
		hint := "map values that may hold anything as items of a list: path: [contacts, '${visitor.id}']"
		if _, list := path.([]any); list {
			hint = "a server would resolve it to another address; map a value that cannot be it, such as an id"
		}
		return "", rejected(err, hint)
	}
	u := *base
	if len(parts) > 0 {
		escaped := strings.TrimSuffix(base.EscapedPath(), "/") + "/" + strings.Join(parts, "/")
		if u.Path, err = url.PathUnescape(escaped); err != nil {
			return "", rejected(errors.New("the path cannot be escaped"), "")
		}
		u.RawPath = escaped
	}
	if len(query) > 0 {
		values := url.Values{}
		for name, value := range query {
			addAll(values, name, value)
		}
		u.RawQuery = strings.Trim(u.RawQuery+"&"+values.Encode(), "&")
	}
	return u.String(), nil
}

// addAll adds a value under a name; a list adds each item.
func addAll(values url.Values, name string, value any) {
	if list, ok := value.([]any); ok {
		for _, item := range list {
			values.Add(name, scalar(item))
		}
		return
	}
	values.Add(name, scalar(value))
}

// setHeaders adds mapped headers. Control characters in a value become spaces, for a line break in a visitor's name
// must neither make a header nor kill a delivery; a name that is not allowed is the mapping's mistake.
func (t *target) setHeaders(header http.Header, mapped map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(mapped)) {
		if problem, _ := checkHeader(name, t.settings); problem != "" {
			return rejected(fmt.Errorf("header %q %s", name, problem), "correct headers in the mapping")
		}
		value := strings.TrimSpace(strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return ' '
			}
			return r
		}, scalar(mapped[name])))
		if !httpguts.ValidHeaderFieldValue(value) {
			return rejected(fmt.Errorf("header %q has a value that cannot be sent", name), "correct headers in the mapping")
		}
		header.Set(name, value)
	}
	return nil
}

// scalar is a mapped value as text. Absent is empty; a container is JSON.
func scalar(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case int:
		return strconv.Itoa(v)
	case json.Number:
		return v.String()
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	text, err := json.Marshal(value)
	if err != nil {
		return ""
	}
	return string(text)
}

func rejected(err error, hint string) error {
	return &connectors.Error{Kind: connectors.Rejected, Err: err, Hint: hint}
}
