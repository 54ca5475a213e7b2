// This file hands values out: typed for a field that is one ${ } alone, as text where they stand inside text.

package rule

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
)

// Value is what a template renders to.
//
// V is a string, bool, int64, float64, json.Number, time.Time in UTC, chat.HTML, []any, map[string]any, or a
// json.RawMessage for a part of the conversation (an object with the declared names in the declared order); lists and
// maps hold the same. It is nil if and only if Absent is true. A value of "" alone is absent.
type Value struct {
	V      any
	Absent bool
	Cut    string // what was cut or left out because the expression made too much of it; "" for nothing
}

// FormatValue writes a value as text: numbers with all their digits and no exponent, times as RFC 3339 in UTC, lists
// and maps as JSON, nil as "".
func FormatValue(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case chat.HTML:
		return string(v)
	case bool:
		return strconv.FormatBool(v)
	case int:
		return strconv.Itoa(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case json.Number:
		return plainDigits(string(v))
	case time.Time:
		return v.UTC().Format(time.RFC3339)
	}
	return string(jsonOf(v))
}

// plainDigits writes a number without exponent. One with an exponent beyond what a float64 holds stays as it is.
func plainDigits(s string) string {
	mantissa, exponent, ok := strings.Cut(strings.ToLower(s), "e")
	if !ok {
		return s
	}
	shift, err := strconv.Atoi(exponent)
	if err != nil || shift > 400 || shift < -400 {
		return s
	}
	sign := ""
	if strings.HasPrefix(mantissa, "-") {
		sign, mantissa = "-", mantissa[1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	point := len(whole) + shift
	digits := whole + fraction
	if point < 1 {
		digits = strings.Repeat("0", 1-point) + digits
		point = 1
	}
	if point > len(digits) {
		digits += strings.Repeat("0", point-len(digits))
	}
	whole, fraction = strings.TrimLeft(digits[:point], "0"), strings.TrimRight(digits[point:], "0")
	if whole == "" {
		whole = "0"
	}
	if fraction != "" {
		whole += "." + fraction
	}
	return sign + whole
}

// jsonOf encodes without escaping < > &, which text in JSON does not need.
func jsonOf(v any) json.RawMessage {
	if c, ok := v.(*chat.Conversation); ok {
		if body, err := c.JSON(); err == nil {
			return body
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return json.RawMessage("null") // only a json.Number that is no number; decoders make none
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// export makes a value that its taker may keep and change. It counts every byte of text, for lists can hold one text
// many times.
func (r *run) export(v any) any {
	if !r.spend(1) {
		return nil
	}
	switch v := v.(type) {
	case string:
		return r.fitting(v, 1)
	case chat.HTML:
		if r.produce(len(v)) < len(v) {
			return chat.HTML(cutMark) // half of it may be no markup
		}
		return v
	case json.Number:
		r.produce(len(v)) // short, and worth nothing without its last digits
		return v
	case time.Time:
		return v.UTC()
	case []any:
		out := make([]any, 0, len(v))
		for _, it := range v {
			if out = append(out, r.export(it)); r.over {
				return nil
			}
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, it := range v {
			if r.produce(len(key)) < len(key) {
				return out
			}
			if out[key] = r.export(it); r.over {
				return nil
			}
		}
		return out
	case int:
		return int64(v)
	case bool, int64, float64, nil:
		return v
	}
	raw := r.encode(v)
	if r.produce(len(raw)) < len(raw) {
		return nil // half of it is no JSON
	}
	return raw
}

// encode writes a part of the conversation as JSON. The whole conversation has its transcript and no null lists.
func (r *run) encode(v any) json.RawMessage {
	if c, ok := v.(*chat.Conversation); ok {
		whole := *c
		whole.Normalize()
		if whole.Transcript == nil {
			whole.Transcript = r.rendered()
		}
		v = &whole
	}
	return jsonOf(v)
}

// format is FormatValue. It is false when the steps ran out; the text is for the caller to count.
func (r *run) format(v any) (string, bool) {
	switch v.(type) {
	case nil:
		return "", !r.over
	case []any, map[string]any:
		v = r.export(v)
	default:
		if rec, _ := recordOf(v); rec != nil {
			return string(r.encode(v)), !r.over
		}
	}
	if r.over {
		return "", false
	}
	return FormatValue(v), true
}
