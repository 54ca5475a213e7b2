// This file describes the requests by hand and checks each against it. A name that is not in it is a mistake.

package hubspottest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// shape is what a value may be.
type shape struct {
	kind   string           // text, integer, object, list, map
	fields map[string]shape // of an object; a name with ? may be missing
	items  *shape           // of a list or a map
}

// The descriptions are made by functions, so that there is no global that could change.

func text() shape                          { return shape{kind: "text"} }
func listOf(item shape) shape              { return shape{kind: "list", items: &item} }
func mapOf(item shape) shape               { return shape{kind: "map", items: &item} }
func object(fields map[string]shape) shape { return shape{kind: "object", fields: fields} }
func batchOf(item map[string]shape) shape {
	return object(map[string]shape{"inputs": listOf(object(item))})
}

func properties(more map[string]shape) shape {
	fields := map[string]shape{"properties": mapOf(text())}
	maps.Copy(fields, more)
	return object(fields)
}

// shapes are the bodies by the end of the pattern.
func shapes() map[string]shape {
	return map[string]shape{
		"/batch/upsert": batchOf(map[string]shape{
			"id": text(), "idProperty": text(), "properties": mapOf(text()), "objectWriteTraceId?": text(),
		}),
		"{kind}/batch/read": object(map[string]shape{
			"inputs": listOf(object(map[string]shape{"id": text()})), "idProperty?": text(),
			"properties": listOf(text()), "propertiesWithHistory": listOf(text()),
		}),
		"{to}/batch/read": batchOf(map[string]shape{"id": text(), "after?": text()}),
		"/search": object(map[string]shape{
			"filterGroups": listOf(object(map[string]shape{"filters": listOf(object(map[string]shape{
				"propertyName": text(), "operator": text(), "value": text(),
			}))})),
			"properties": listOf(text()), "limit": {kind: "integer"}, "after": text(), "sorts": listOf(text()),
		}),
		"POST /crm/objects/" + version + "/{kind}": properties(map[string]shape{"associations": listOf(object(map[string]shape{
			"to": object(map[string]shape{"id": text()}),
			"types": listOf(object(map[string]shape{
				"associationCategory": text(), "associationTypeId": {kind: "integer"},
			})),
		}))}),
		"/{id}": properties(nil),
	}
}

// describe returns the body of a request, or what is wrong with it.
func describe(pattern string, r *http.Request, raw []byte) (body any, wrong string) {
	for name := range r.URL.Query() {
		if name != "limit" || r.Method != http.MethodGet {
			return nil, "the query has " + name
		}
	}
	kinds := []string{"contacts", "tickets", "notes"}
	for _, part := range []string{"kind", "to"} {
		if kind := r.PathValue(part); kind != "" && !slices.Contains(kinds, kind) {
			return nil, "there are no " + kind
		}
	}
	var want *shape
	for end, s := range shapes() {
		if strings.HasSuffix(pattern, end) && r.Method != http.MethodGet && r.Method != http.MethodDelete {
			want = &s
		}
	}
	if want == nil {
		if len(raw) > 0 {
			return nil, "it has a body"
		}
		return nil, ""
	}
	if r.Header.Get("Content-Type") != "application/json" {
		return nil, "its Content-Type is " + r.Header.Get("Content-Type")
	}
	body, err := decode(raw)
	if err != nil {
		return nil, "it is not JSON"
	}
	return body, want.check("body", body)
}

// check returns what is wrong with a value, "" if nothing is.
func (s shape) check(path string, v any) string {
	switch s.kind {
	case "text":
		if _, ok := v.(string); !ok {
			return fmt.Sprintf("%s is %T, not text", path, v)
		}
	case "integer":
		if n, ok := v.(json.Number); !ok || strings.ContainsAny(n.String(), ".eE") {
			return fmt.Sprintf("%s is no integer", path)
		}
	case "list":
		items, ok := v.([]any)
		if !ok {
			return path + " is no list"
		}
		for i, item := range items {
			if wrong := s.items.check(fmt.Sprintf("%s[%d]", path, i), item); wrong != "" {
				return wrong
			}
		}
	default:
		return s.checkFields(path, v)
	}
	return ""
}

func (s shape) checkFields(path string, v any) string {
	held, ok := v.(map[string]any)
	if !ok {
		return path + " is no object"
	}
	for _, name := range slices.Sorted(maps.Keys(held)) {
		item := s.items
		if s.kind == "object" {
			field, ok := s.fields[name]
			if !ok {
				field, ok = s.fields[name+"?"]
			}
			if !ok {
				return path + " has the name " + name + ", which does not exist"
			}
			item = &field
		}
		if wrong := item.check(path+"."+name, held[name]); wrong != "" {
			return wrong
		}
	}
	for name := range s.fields {
		if _, ok := held[name]; !ok && !strings.HasSuffix(name, "?") {
			return path + " lacks " + name
		}
	}
	return ""
}
