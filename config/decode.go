// This file is the walk: it fills structs by their tags from the tree and reports what does not fit. yaml.v3's own
// decoding is not used anywhere, because it accepts misspelt keys below the first level and forgets places.

package config

import (
	"cmp"
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/internal/rule"
)

// decoder fills Go values from the tree.
type decoder struct {
	*report
	masks    masks
	settings rule.Settings
	expanded map[*node]bool // scalars whose ${ } are replaced; false: that failed and was reported
	literal  bool           // ${ } is not replaced: in what is kept with the conversations
	private  bool           // the values of unknown keys are not shown: in sources and targets
}

// field is one key of a struct.
type field struct {
	key, doc, example, min string
	enum                   []string
	required               bool
	typ                    reflect.Type
	index                  []int
}

// fieldsOf returns the keys of a struct type in order, those of embedded structs among them.
func fieldsOf(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if f.Anonymous && key == "" && f.Type.Kind() == reflect.Struct {
			for _, inner := range fieldsOf(f.Type) {
				inner.index = append([]int{i}, inner.index...)
				out = append(out, inner)
			}
			continue
		}
		if key == "" || key == "-" || !f.IsExported() {
			continue
		}
		made := field{
			key: key, doc: f.Tag.Get("doc"), example: f.Tag.Get("example"), min: f.Tag.Get("min"),
			required: f.Tag.Get("required") == "true", typ: f.Type, index: []int{i},
		}
		if enum := f.Tag.Get("enum"); enum != "" {
			made.enum = strings.Split(enum, ",")
		}
		out = append(out, made)
	}
	return out
}

func keysOf(t reflect.Type) []string {
	var keys []string
	for _, f := range fieldsOf(t) {
		keys = append(keys, f.key)
	}
	return keys
}

// structs fills several structs from one mapping; their keys together are the keys that it may have, beside also.
// at is what to point at when a key is missing, name what the mapping is called in messages.
func (d *decoder) structs(n *node, at span, name string, also []string, into ...reflect.Value) {
	if n.isNull() {
		n = &node{kind: mappingKind, yaml: n.yaml, at: n.at}
	}
	if n.kind != mappingKind {
		d.add(n.at, "write its keys below it: "+sampleKeys(also, into), "%s must be a mapping, but this is %s", name, n.kind)
		return
	}
	known := slices.Clone(also)
	type slot struct {
		field
		value reflect.Value
	}
	slots := map[string]slot{}
	var order []string
	for _, v := range into {
		for _, f := range fieldsOf(v.Type()) {
			if slices.Contains(known, f.key) {
				continue // the first one has it; Schema reports types whose settings collide with common ones
			}
			known, order = append(known, f.key), append(order, f.key)
			slots[f.key] = slot{f, v.FieldByIndex(f.index)}
		}
	}
	for _, e := range n.entries {
		if s, ok := slots[e.key.text]; ok {
			d.value(e.value, e.key.at, s.field, s.value)
			continue
		}
		if !slices.Contains(also, e.key.text) {
			if d.private || slices.ContainsFunc(into, func(v reflect.Value) bool { return holdsSecret(v.Type()) }) {
				d.masks.hideAll(d.file, e.value) // it may be a secret whose key is misspelt
			}
			d.unknown(e.key, "key", known)
		}
	}
	for _, key := range order {
		if _, has := n.get(key); !has && slots[key].required {
			d.add(at, missingHint(slots[key].field), "%s needs the key %q", name, key)
		}
	}
}

// missingHint says what to write for a key, with its example where it has one.
func missingHint(f field) string {
	key := f.key[strings.LastIndexByte(f.key, '.')+1:]
	if f.example == "" {
		return fmt.Sprintf("write %s: … (%s)", key, cmp.Or(f.doc, "a value"))
	}
	example := f.example
	if strings.HasPrefix(example, "${") {
		example = "'" + example + "'"
	}
	return fmt.Sprintf("write %s: %s (%s)", key, example, cmp.Or(f.doc, "an example"))
}

// remedied parts what a type's UnmarshalText says into what is wrong and, behind the last semicolon, what to do.
func remedied(text string) (problem, remedy string) {
	if i := strings.LastIndex(text, "; "); i >= 0 {
		return text[:i], text[i+2:]
	}
	return text, ""
}

// sampleKeys lists some of the keys that a mapping may have, required ones first.
func sampleKeys(also []string, into []reflect.Value) string {
	var needed, others []string
	for _, v := range into {
		for _, f := range fieldsOf(v.Type()) {
			if f.required {
				needed = append(needed, f.key)
			} else {
				others = append(others, f.key)
			}
		}
	}
	const most = 5
	keys := slices.Concat(also, needed, others)
	if len(keys) > most {
		keys = append(keys[:most:most], "…")
	}
	return strings.Join(keys, ", ")
}

// unknown reports a word that is none of the known ones.
func (d *decoder) unknown(n *node, what string, known []string) {
	text, hint := unknown(what, n.shown(), known)
	d.add(n.at, hint, "%s", text)
}

var (
	secretType   = reflect.TypeFor[secret.String]()
	durationType = reflect.TypeFor[time.Duration]()
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// holdsSecret tells whether one of the keys of a struct is a secret, or a list or mapping of them.
func holdsSecret(t reflect.Type) bool {
	return slices.ContainsFunc(fieldsOf(t), func(f field) bool {
		for k := f.typ.Kind(); k == reflect.Slice || k == reflect.Map || k == reflect.Pointer; k = f.typ.Kind() {
			f.typ = f.typ.Elem()
		}
		return f.typ == secretType
	})
}

// isText tells whether values of a type are written as one scalar that the type reads itself.
func isText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textType) }

// value fills one value of any kind.
func (d *decoder) value(n *node, at span, f field, v reflect.Value) {
	t := v.Type()
	if n.isNull() {
		if k := t.Kind(); k == reflect.Pointer || k == reflect.Map || (k == reflect.Struct && !isText(t)) {
			if f.required {
				d.add(n.at, missingHint(f), "%s has no value", f.key)
			}
			return
		}
		d.add(at, "remove the key or give it a value", "%s has no value", f.key)
		return
	}
	switch {
	case t.Kind() == reflect.Pointer:
		fresh := reflect.New(t.Elem())
		d.value(n, at, f, fresh.Elem())
		v.Set(fresh)
	case isText(t) || t == durationType:
		d.scalar(n, f, v)
	case t.Kind() == reflect.Struct:
		d.structs(n, at, f.key, nil, v)
	case t.Kind() == reflect.Slice:
		d.slice(n, at, f, v)
	case t.Kind() == reflect.Map:
		d.mapOf(n, f, v)
	default:
		d.scalar(n, f, v)
	}
}

// slice fills a list; a single value stands for a list of one.
func (d *decoder) slice(n *node, at span, f field, v reflect.Value) {
	items := n.items
	switch n.kind {
	case scalarKind:
		items = []*node{n}
	case mappingKind:
		if v.Type().Elem().Kind() != reflect.Struct {
			d.add(n.at, "write it as [one, two]", "%s must be a list, but this is a mapping", f.key)
			return
		}
		items = []*node{n}
	}
	if len(items) == 0 && f.required {
		d.add(n.at, missingHint(f), "%s is empty", f.key)
	}
	out := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		d.value(item, at, f, out.Index(i))
	}
	v.Set(out)
}

// mapOf fills a map with text keys.
func (d *decoder) mapOf(n *node, f field, v reflect.Value) {
	if n.kind != mappingKind {
		d.add(n.at, "write key: value pairs below it", "%s must be a mapping, but this is %s", f.key, n.kind)
		return
	}
	out := reflect.MakeMapWithSize(v.Type(), len(n.entries))
	for _, e := range n.entries {
		item := reflect.New(v.Type().Elem()).Elem()
		inner := f
		inner.key = f.key + "." + e.key.text
		d.value(e.value, e.key.at, inner, item)
		out.SetMapIndex(reflect.ValueOf(e.key.text).Convert(v.Type().Key()), item)
	}
	v.Set(out)
}

// scalar fills one single value.
func (d *decoder) scalar(n *node, f field, v reflect.Value) {
	if v.Type() == secretType {
		d.secret(n, f, v)
		return
	}
	text, ok := d.text(n, f.key)
	if !ok {
		return
	}
	if f.required && text == "" {
		d.add(n.at, missingHint(f), "%s is empty", f.key)
		return
	}
	if len(f.enum) > 0 && !slices.Contains(f.enum, text) {
		near, hint := unknown("value", n.shown(), f.enum)
		d.add(n.at, hint, "%s: %s", f.key, near)
		return
	}
	if hint := d.set(text, v); hint != "" {
		if what := wanted(v.Type()); what != "" {
			d.add(n.at, hint, "%s: %q is no %s", f.key, n.shown(), what)
			return
		}
		if n.from != "" {
			hint = strings.ReplaceAll(hint, text, n.from) // what a variable holds is not shown
		}
		problem, remedy := remedied(hint)
		d.add(n.at, cmp.Or(remedy, missingHint(f)), "%s: %s", f.key, problem)
		return
	}
	d.least(n, f, v)
}

// foreignVariable is how shells, Windows and other tools write variables. A whole secret that looks so is none.
var foreignVariable = regexp.MustCompile(`^(?:\$[A-Z][A-Z0-9_]*|\$\([A-Z][A-Z0-9_]*\)|%[A-Z][A-Z0-9_]*%|\{\{.*\}\})$`)

// secret fills a secret. Its text goes into no message.
func (d *decoder) secret(n *node, f field, v reflect.Value) {
	d.masks.hideAll(d.file, n)
	d.settings.Secret, d.settings.Chosen = true, f.key == "secret"
	text, ok := d.text(n, f.key)
	d.settings.Secret, d.settings.Chosen = false, false
	if !ok {
		return
	}
	d.masks.hide(d.file, n)
	if f.required && text == "" {
		d.add(n.at, missingHint(f), "%s is empty", f.key)
		return
	}
	if name := foreignVariable.FindStringSubmatch(n.yaml.Value); name != nil {
		d.add(n.at, "write ${env.NAME} for the value of a variable", "%s is the name of a variable as text, not its value", f.key)
		return
	}
	v.Set(reflect.ValueOf(secret.New(text)))
}

// text returns a scalar's text with every ${ } replaced, false after a problem.
func (d *decoder) text(n *node, key string) (string, bool) {
	if n.kind != scalarKind {
		d.add(n.at, "write one value behind the colon, without brackets, braces or hyphens", "%s must be a single value, but this is %s", key, n.kind)
		return "", false
	}
	if n.isNull() {
		d.add(n.at, "remove it or give it a value", "%s has no value", key)
		return "", false
	}
	if ok, done := d.expanded[n]; done {
		return n.text, ok
	}
	if d.literal || !strings.Contains(n.text, "${") {
		return n.text, true
	}
	text, problems := rule.ExpandSetting(n.text, d.settings)
	for _, p := range problems {
		d.add(d.file.inside(n, p.Offset, p.Length), p.Hint, "%s", p.Text)
	}
	d.expanded[n] = len(problems) == 0
	n.from, n.text = n.text, text
	return text, len(problems) == 0
}

// readable tells whether a value is a scalar with a text that no problem was reported about.
func (d *decoder) readable(n *node) bool {
	if n == nil || n.kind != scalarKind || n.isNull() {
		return false
	}
	ok, done := d.expanded[n]
	return ok || !done
}

// set gives a value its text. What it returns is not "" if that does not fit, and says how it would be right.
func (d *decoder) set(text string, v reflect.Value) (hint string) {
	if v.Type() == durationType {
		n, err := parseDuration(text)
		if err != nil {
			return err.Error()
		}
		v.SetInt(int64(n))
		return ""
	}
	if isText(v.Type()) {
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text)); err != nil {
			return err.Error()
		}
		return ""
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		if text != "true" && text != "false" {
			return "write true or false"
		}
		v.SetBool(text == "true")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		if err != nil {
			return "write digits only, such as 4"
		}
		v.SetInt(n)
	case reflect.Float32, reflect.Float64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || !jsonNumber.MatchString(text) {
			return "write a number, such as 0.5"
		}
		v.SetFloat(n)
	default:
		return "this program cannot read values of Go type " + v.Type().String()
	}
	return ""
}

// wanted is what values of a type are called, "" for a type that reads its own text and says what is wrong with it.
func wanted(t reflect.Type) string {
	switch {
	case t == durationType:
		return "duration"
	case t == reflect.TypeFor[Size]():
		return "size"
	case t == reflect.TypeFor[Rate]():
		return "rate"
	case isText(t):
		return ""
	}
	switch t.Kind() {
	case reflect.Bool:
		return "boolean"
	case reflect.Float32, reflect.Float64:
		return "number"
	case reflect.String:
		return "text"
	}
	return "whole number"
}

// least checks the smallest value that a field may have.
func (d *decoder) least(n *node, f field, v reflect.Value) {
	if f.min == "" {
		return
	}
	low := reflect.New(v.Type()).Elem()
	if hint := d.set(f.min, low); hint != "" {
		d.add(n.at, "remove the key; the program is wrong here", "%s has the broken tag min:%q", f.key, f.min)
		return
	}
	below := false
	switch {
	case v.CanInt():
		below = v.Int() < low.Int()
	case v.CanFloat():
		below = v.Float() < low.Float()
	}
	if below {
		d.add(n.at, "write "+f.min+" or more", "%s: %q is too small", f.key, n.shown())
	}
}
