// This file gives rendered values the types that a connector declares, within its limits. Nothing is rounded and
// nothing is guessed: a value of another type is absent, and the record says so.

package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/rule"
)

// fit converts a value for a field, and cuts it if it is too long.
func (r *renderer) fit(v any, f connectors.Field, path string) (any, bool) {
	value, ok := convert(v, f.Type)
	if !ok {
		r.drop(path, "expected "+typeName(f))
		return nil, false
	}
	switch value := value.(type) {
	case string:
		if len(f.Values) > 0 && !slices.Contains(f.Values, value) {
			r.drop(path, "not one of "+strings.Join(f.Values, ", "))
			return nil, false
		}
		return r.cut(value, f, path), true
	case []any:
		if f.Type == connectors.List {
			return r.fitList(value, f, path)
		}
	case map[string]any:
		if f.Type == connectors.Map {
			return r.fitMap(value, f, path)
		}
	}
	return value, true
}

func (r *renderer) drop(path, why string) {
	r.out.Dropped = append(r.out.Dropped, path+": "+why)
}

func (r *renderer) cut(s string, f connectors.Field, path string) string {
	inBytes := f.Bytes || f.Type == connectors.HTML
	var short string
	var cut bool
	switch f.Type {
	case connectors.HTML:
		short, cut = cutHTML(s, f.Limit)
	case connectors.Text:
		short, cut = cutText(s, f.Limit, f.Bytes)
	default:
		return s
	}
	if cut {
		r.out.Cut = append(r.out.Cut, fmt.Sprintf("%s: %d %s, cut to %d", path, length(s, inBytes), unit(inBytes), f.Limit))
	}
	return short
}

func (r *renderer) fitList(items []any, f connectors.Field, path string) (any, bool) {
	kept := make([]any, 0, len(items))
	for i, item := range items {
		if f.Limit > 0 && len(kept) == f.Limit {
			r.out.Cut = append(r.out.Cut, cutItems(path, len(items), f.Limit))
			break
		}
		value, ok := r.fit(escaped(item, itemField(f)), itemField(f), fmt.Sprintf("%s[%d]", path, i))
		if ok && value != "" && value != nil {
			kept = append(kept, value)
		}
	}
	return kept, true
}

func cutItems(path string, items, limit int) string {
	return fmt.Sprintf("%s: %d items, cut to %d", path, items, limit)
}

// cutList cuts the items of a list that was written out.
func (r *renderer) cutList(items []any, f connectors.Field, path string) []any {
	if f.Type != connectors.List || f.Limit <= 0 || len(items) <= f.Limit {
		return items
	}
	r.out.Cut = append(r.out.Cut, cutItems(path, len(items), f.Limit))
	return items[:f.Limit]
}

func (r *renderer) fitMap(values map[string]any, f connectors.Field, path string) (any, bool) {
	kept := make(map[string]any, len(values))
	for _, key := range sortedKeys(values) {
		field, ok := keyField(f, key)
		if !ok {
			r.drop(path+"."+key, "unknown key")
			continue
		}
		value, ok := r.fit(escaped(values[key], field), field, path+"."+key)
		if ok && value != nil {
			kept[key] = value
		}
	}
	if name := missing(kept, f); name != "" { // what nobody wrote out cannot be checked before
		r.drop(path, "without the key "+name)
		return nil, false
	}
	return kept, true
}

// missing returns the name of a key of a map that must be there and is not, "" if there is none.
func missing(values map[string]any, f connectors.Field) string {
	for _, field := range f.Fields {
		if v, ok := values[field.Name]; field.Required && (!ok || v == "") {
			return field.Name
		}
	}
	return ""
}

// escaped makes markup of a text inside a list or map that an expression gave.
func escaped(v any, f connectors.Field) any {
	if text, ok := v.(string); ok && f.Type == connectors.HTML {
		return chat.EscapeHTML(text)
	}
	return v
}

// convert returns v as the Go type of a field type, see connectors.FieldType; not ok if it is something else.
func convert(v any, t connectors.FieldType) (any, bool) {
	switch t {
	case connectors.Text, connectors.HTML:
		return toText(v)
	case connectors.Integer:
		return toInteger(v)
	case connectors.Number:
		return toNumber(v)
	case connectors.Boolean:
		b, ok := v.(bool)
		return b, ok
	case connectors.Time:
		return toTime(v)
	case connectors.List:
		items, ok := plain(v).([]any)
		return items, ok
	case connectors.Map:
		values, ok := plain(v).(map[string]any)
		return values, ok
	case connectors.Any:
	}
	if markup, ok := v.(chat.HTML); ok {
		return string(markup), true
	}
	return v, true
}

func toText(v any) (any, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case chat.HTML:
		return string(v), true
	case bool, int, int64, float64, json.Number, time.Time:
		return rule.FormatValue(v), true
	}
	return nil, false
}

// exact is the largest whole number up to which a float64 holds every one.
const exact = 1 << 53

// toInteger takes whole numbers only. One that no int64 holds stays a json.Number.
func toInteger(v any) (any, bool) {
	switch v := v.(type) {
	case int:
		return int64(v), true
	case int64:
		return v, true
	case float64:
		if v != math.Trunc(v) || math.Abs(v) > exact {
			return nil, false
		}
		return int64(v), true
	case json.Number:
		if i, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return i, true
		}
		if !strings.ContainsAny(v.String(), ".eE") {
			return v, true
		}
		if f, err := v.Float64(); err == nil {
			return toInteger(f)
		}
	}
	return nil, false
}

func toNumber(v any) (any, bool) {
	switch v := v.(type) {
	case int:
		return int64(v), true
	case int64:
		return v, true
	case float64:
		return v, !math.IsNaN(v) && !math.IsInf(v, 0)
	case json.Number:
		if i, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return i, true
		}
		f, err := v.Float64()
		return f, err == nil
	}
	return nil, false
}

// toTime takes a time, and a text that is one as RFC 3339 writes it.
func toTime(v any) (any, bool) {
	switch v := v.(type) {
	case time.Time:
		return v.UTC(), true
	case string:
		t, err := time.Parse(time.RFC3339, v)
		return t.UTC(), err == nil
	}
	return nil, false
}

// plain returns lists and maps as []any and map[string]any, whatever form the expression gave them.
func plain(v any) any {
	switch v := v.(type) {
	case nil, bool, string, int, int64, float64, json.Number, time.Time, chat.HTML, []any, map[string]any:
		return v
	}
	body, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var out any
	if d.Decode(&out) != nil {
		return nil
	}
	return out
}
