// This file reads the fields of JSON objects whose values may have any shape. A value that is understood is taken out
// of its object. What is left in the end becomes extra, so nothing is lost because nobody knew it. All texts and keys
// went through chat.Clean when the body was read.

package smartsupp

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/source"
)

// object is one JSON object of the hook. The zero value has no fields.
type object struct {
	place  string // the way to it, with a trailing dot, for warnings: "visitor."
	fields *source.Object
	warn   func(string)
}

// text takes a text of several lines. null is absent; anything but text and numbers stays, with a warning.
func (o object) text(key string) string {
	s, ok := scalar(o.fields.Get(key))
	if !ok {
		o.odd(key, "is no text")
		return ""
	}
	o.fields.Delete(key)
	return s
}

// line takes a text of one line.
func (o object) line(key string) string { return chat.CleanLine(o.text(key)) }

// id takes an id: the digits of a number exactly as sent, so that 5 and "5" are the same. 0 is no id and stays.
func (o object) id(key string) string {
	if s, ok := scalar(o.fields.Get(key)); ok && chat.CleanLine(s) == "0" {
		return ""
	}
	return o.line(key)
}

// number takes a number, in digits or as text. One that a float64 cannot hold exactly enough stays, as does any other text.
func (o object) number(key string) *float64 {
	s, ok := scalar(o.fields.Get(key))
	s = strings.TrimSpace(s)
	if ok && s == "" {
		o.fields.Delete(key)
		return nil
	}
	f, err := strconv.ParseFloat(s, 64)
	if !ok || err != nil || !decimal(s) || math.Abs(f) > 1<<53 {
		o.odd(key, "is no usable number")
		return nil
	}
	o.fields.Delete(key)
	return &f
}

// flag takes a boolean, also as 0, 1 or text.
func (o object) flag(key string) *bool {
	value, present := o.fields.Lookup(key)
	if !present {
		return nil
	}
	b, ok := value.(bool)
	if !ok {
		s, isScalar := scalar(value)
		switch strings.ToLower(strings.TrimSpace(s)) {
		case "1", "true":
			b, ok = true, true
		case "0", "false":
			ok = true
		case "":
			if isScalar {
				o.fields.Delete(key)
				return nil
			}
		}
	}
	if !ok {
		o.odd(key, "is neither true nor false")
		return nil
	}
	o.fields.Delete(key)
	return &b
}

// child returns the object under key, without fields if there is none. null is absent.
func (o object) child(key string) object {
	child := object{place: o.place + key + ".", warn: o.warn}
	switch v := o.fields.Get(key).(type) {
	case *source.Object:
		child.fields = v
	case nil:
		o.fields.Delete(key)
	default:
		if list, ok := v.([]any); ok && len(list) == 0 { // an empty PHP map
			o.fields.Delete(key)
			break
		}
		o.odd(key, "is no object")
	}
	return child
}

// done removes the object or list under key if everything was taken out of it.
func (o object) done(key string) {
	switch v := o.fields.Get(key).(type) {
	case *source.Object:
		if v.Len() == 0 {
			o.fields.Delete(key)
		}
	case []any:
		if len(v) == 0 {
			o.fields.Delete(key)
		}
	}
}

// odd warns that a value was not understood. The warning names the place, never the value, so there are few of them.
func (o object) odd(key, what string) {
	o.warn(o.place + key + " " + what + "; kept under extra")
}

// list returns the elements of a JSON list, of a PHP list that became an object ({"0": …, "2": …}), or of nothing.
func list(v any) (elements []any, ok bool) {
	switch v := v.(type) {
	case nil:
		return nil, true
	case []any:
		return v, true
	case *source.Object:
		indexes := make([]int, 0, v.Len())
		for key := range v.Keys() {
			i, err := strconv.Atoi(key)
			if err != nil || strconv.Itoa(i) != key {
				return nil, false
			}
			indexes = append(indexes, i)
		}
		slices.Sort(indexes)
		for _, i := range indexes {
			elements = append(elements, v.Get(strconv.Itoa(i)))
		}
		return elements, true
	}
	return nil, false
}

// scalar returns text and numbers as text; null is "".
func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case nil:
		return "", true
	case string:
		return v, true
	case json.Number:
		return plain(v), true
	}
	return "", false
}

// plain writes a whole number in digits, also when it was sent as 1e6 or 5.0; other numbers are as sent.
func plain(n json.Number) string {
	s := string(n)
	mantissa, exponent, _ := strings.Cut(strings.ToLower(s), "e")
	if exponent == "" && !strings.Contains(mantissa, ".") {
		return s
	}
	if e, err := strconv.Atoi(exponent); exponent != "" && (err != nil || e > 40 || e < -40) || len(mantissa) > 80 {
		return s
	}
	r, ok := new(big.Rat).SetString(s)
	if !ok || !r.IsInt() {
		return s
	}
	return r.Num().String()
}

// decimal tells a number in digits from the other things that strconv.ParseFloat reads: NaN, Inf, 0x1p2, 1_000.
func decimal(s string) bool {
	if strings.Trim(s, "0123456789+-.eE") != "" {
		return false
	}
	_, err := strconv.ParseFloat(s, 64)
	return err == nil || errors.Is(err, strconv.ErrRange)
}

// extra returns what is left of an object; nil if that is nothing.
func (o object) extra() map[string]any {
	if o.fields.Len() == 0 {
		return nil
	}
	return o.fields.Map()
}

// single returns an object of one field.
func single(key string, value any) *source.Object {
	o := &source.Object{}
	o.Set(key, value)
	return o
}

// names hands out keys that are not taken yet. The zero value is ready.
type names struct {
	taken map[string]bool
	last  map[string]int // the number that a key got last, so that many equal keys stay cheap
}

// unused returns key, or key with the first number behind it that is not taken, and takes it.
func (n *names) unused(key string) string {
	if n.taken == nil {
		n.taken, n.last = map[string]bool{}, map[string]int{}
	}
	free := key
	for count := max(n.last[key], 1); n.taken[free]; {
		count++
		free = key + "_" + strconv.Itoa(count)
		n.last[key] = count
	}
	n.taken[free] = true
	return free
}
