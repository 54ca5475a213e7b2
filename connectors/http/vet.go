// This file finds what a mapping could never be sent with, before there is a conversation.

package http

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/afterchat/afterchat/connectors"
)

// vetting collects what is wrong.
type vetting struct{ found []connectors.FieldError }

func (v *vetting) report(problem, hint string, path ...any) {
	v.found = append(v.found, connectors.FieldError{Path: path, Problem: problem, Hint: hint})
}

func vet(s Settings, fields map[string]any) []connectors.FieldError {
	v := &vetting{}
	v.path(fields["path"], false, "path")
	v.headers(fields["headers"])
	if s.Method != http.MethodGet {
		v.body(s, fields, "body")
	}
	if lookup, ok := fields["lookup"].(map[string]any); ok && s.Once == "lookup" {
		v.path(lookup["path"], false, "lookup", "path")
		if len(lookup) == 0 {
			v.report("a look-up needs a path or a query", "write lookup: {query: {id: '${id}'}}, as the API wants it", "lookup")
		}
	}
	if update, ok := fields["update"].(map[string]any); ok && s.updates() {
		v.path(update["path"], true, "update", "path")
		v.body(s, update, "update", "body")
		if lookup, ok := update["lookup"].(map[string]any); ok && s.Once == "lookup" {
			v.path(lookup["path"], true, "update", "lookup", "path")
		}
	}
	return v.found
}

// place is what looks like something to be filled in.
var place = regexp.MustCompile(`\{[A-Za-z_][A-Za-z0-9_.]*\}`)

// path reports what segments would refuse, and what would be sent as it stands although it was not meant so. id tells
// whether {id} is known there.
func (v *vetting) path(path any, id bool, at ...any) {
	texts := []string{}
	switch p := path.(type) {
	case nil:
		return
	case connectors.Unknown:
		if p.Type == connectors.Map {
			v.report("a path is a text or a list of texts, not keys and values", "name one of the values", at...)
		}
		return
	case string:
		texts = append(texts, p)
		switch {
		case strings.Contains(p, "://"):
			v.report("this is appended to the path of url", "write only the path, such as /contacts", at...)
			return
		case strings.Contains(strings.TrimPrefix(p, "/"), "//"):
			v.report("the path has an empty segment", "write one slash", at...)
			return
		case strings.ContainsAny(p, "?#"):
			tail := strings.NewReplacer(connectors.Hole, "…", connectors.Gap, "…").Replace(p[strings.IndexAny(p, "?#"):])
			v.report(fmt.Sprintf("%q would be sent as a part of the path", tail), "write query: {name: value} for what follows a ?", at...)
		}
		parts := strings.Split(strings.TrimPrefix(p, "/"), "/")
		for _, part := range parts[:len(parts)-1] {
			if strings.Trim(part, connectors.Gap) == "" && part != "" {
				v.report("a value within the path may be absent, and then nothing could be sent", `end coalesce with a literal: ${coalesce(visitor.id, "unknown")}`, at...)
				return
			}
		}
	case []any:
		for i, item := range p {
			switch item := item.(type) {
			case string:
				texts = append(texts, item)
			case map[string]any, []any:
				v.report("a segment of a path is one value", "write each segment as an item of the list", append(slices.Clone(at), i)...)
			}
		}
	default:
		v.report("a path is a text or a list of texts", "write path: '/contacts', or path: [contacts, '${id}']", at...)
		return
	}
	for _, name := range place.FindAllString(strings.Join(texts, " "), -1) {
		if name != idPlace {
			v.report(fmt.Sprintf("%s would be sent as it stands", name), "write ${…} for a value of the conversation; only {id} is known, in update", at...)
			return
		}
		if !id {
			v.report("{id} is known in update only", "write it in the path of update, which is for what the target holds already", at...)
			return
		}
	}
	if _, err := segments(withHoles(path), "1"); err != nil {
		v.report(err.Error(), "write the path without it: it is appended to that of url", at...)
	}
}

// withHoles is a path with a value for each item that is not known.
func withHoles(path any) any {
	list, ok := path.([]any)
	if !ok {
		return path
	}
	out := make([]any, len(list))
	for i, item := range list {
		out[i] = item
		if _, unknown := item.(connectors.Unknown); unknown {
			out[i] = connectors.Hole
		}
	}
	return out
}

// headers reports values that would not be sent as they stand. Names are a matter of the declared field.
func (v *vetting) headers(mapped any) {
	headers, _ := mapped.(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		if text, ok := headers[name].(string); ok && strings.ContainsFunc(strings.TrimSpace(text), unicode.IsControl) {
			v.report("a header has no line breaks and no control characters", "write the value on one line", "headers", name)
		}
	}
}

// body reports what the encoding cannot write.
func (v *vetting) body(s Settings, fields map[string]any, at ...any) {
	body, mapped := fields["body"]
	if !mapped {
		return
	}
	kind := kindOf(body)
	switch {
	case s.Encoding == "form" && kind != connectors.Map && kind != connectors.Any:
		v.report("a form needs names and values", "write body: {name: value}, or change encoding", at...)
	case s.Encoding == "text" && (kind == connectors.Map || kind == connectors.List):
		v.report("encoding text needs one text", "write body: '${transcript.text}', or change encoding", at...)
	}
}

// kindOf is the type of a value as far as it matters here.
func kindOf(value any) connectors.FieldType {
	switch value := value.(type) {
	case connectors.Unknown:
		return value.Type
	case map[string]any:
		return connectors.Map
	case []any:
		return connectors.List
	}
	return connectors.Text
}
