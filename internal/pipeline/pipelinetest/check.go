// Package pipelinetest is for property tests of mappings: it generates configurations and checks what they render.
//
// This file checks a rendered record against the fields that a connector declares.
package pipelinetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/afterchat/afterchat/connectors"
)

// CheckFields reports everything in a rendered record that a connector would not expect: a field that it did not
// declare, a required one that is missing, a value of another Go type, one that is too long or not one of the allowed.
func CheckFields(declared []connectors.Field, got map[string]any) error {
	return checkKeys(declared, nil, got, "")
}

// checkKeys checks the keys of a record or of a Map.
func checkKeys(declared []connectors.Field, others *connectors.Field, got map[string]any, path string) error {
	var problems []error
	for _, f := range declared {
		if v, ok := got[f.Name]; f.Required && (!ok || v == "" || v == nil) {
			problems = append(problems, fmt.Errorf("%s%s: required, but missing", path, f.Name))
		}
	}
	for name, v := range got {
		i := slices.IndexFunc(declared, func(f connectors.Field) bool { return f.Name == name })
		switch {
		case i >= 0:
			problems = append(problems, checkValue(declared[i], v, path+name))
		case others != nil:
			problems = append(problems, checkValue(*others, v, path+name))
		case len(declared) > 0 || path == "":
			problems = append(problems, fmt.Errorf("%s%s: not declared", path, name))
		}
	}
	return errors.Join(problems...)
}

func checkValue(f connectors.Field, v any, path string) error {
	wrong := func() error { return fmt.Errorf("%s: %T is no %s", path, v, f.Type) }
	switch f.Type {
	case connectors.Text, connectors.HTML:
		s, ok := v.(string)
		if !ok {
			return wrong()
		}
		return checkText(f, s, path)
	case connectors.Integer:
		if n, ok := v.(json.Number); ok && whole(n) {
			return nil
		}
		if _, ok := v.(int64); !ok {
			return wrong()
		}
	case connectors.Number:
		n, ok := v.(float64)
		if _, isWhole := v.(int64); !ok && !isWhole || math.IsNaN(n) || math.IsInf(n, 0) {
			return wrong()
		}
	case connectors.Boolean:
		if _, ok := v.(bool); !ok {
			return wrong()
		}
	case connectors.Time:
		if at, ok := v.(time.Time); !ok || at.IsZero() || at.Location() != time.UTC {
			return wrong()
		}
	case connectors.List:
		items, ok := v.([]any)
		if !ok {
			return wrong()
		}
		return checkList(f, items, path)
	case connectors.Map:
		values, ok := v.(map[string]any)
		if !ok {
			return wrong()
		}
		return checkKeys(f.Fields, f.Items, values, path+".")
	default:
		if raw, ok := v.(json.RawMessage); ok {
			if len(raw) == 0 || raw[0] != '{' { // what cannot be encoded is null
				return fmt.Errorf("%s: %.20q is no part of a conversation", path, raw)
			}
			return nil
		}
		if _, err := json.Marshal(v); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// whole tells a whole number that no int64 holds.
func whole(n json.Number) bool {
	for i, r := range n.String() {
		if (r < '0' || r > '9') && (i > 0 || r != '-') {
			return false
		}
	}
	return n != ""
}

func checkText(f connectors.Field, s, path string) error {
	if len(f.Values) > 0 && !slices.Contains(f.Values, s) {
		return fmt.Errorf("%s: %q is none of %q", path, s, f.Values)
	}
	length := utf8.RuneCountInString(s)
	if f.Bytes || f.Type == connectors.HTML {
		length = len(s)
	}
	if f.Limit > 0 && length > f.Limit {
		return fmt.Errorf("%s: length %d, at most %d is taken", path, length, f.Limit)
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("%s: no UTF-8", path)
	}
	return nil
}

func checkList(f connectors.Field, items []any, path string) error {
	if f.Limit > 0 && len(items) > f.Limit {
		return fmt.Errorf("%s: %d items, at most %d are taken", path, len(items), f.Limit)
	}
	var problems []error
	for i, item := range items {
		if f.Items != nil {
			problems = append(problems, checkValue(*f.Items, item, fmt.Sprintf("%s[%d]", path, i)))
		}
	}
	return errors.Join(problems...)
}
