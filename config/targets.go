// This file reads targets: the settings that all have, and those of a connector's type in the same block.

package config

import (
	"cmp"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"fmt"
	"hash"
	"reflect"
	"slices"
	"strings"

	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/connectors"
)

// targets reads all targets.
func (l *loader) targets(n *node, _ span) {
	l.broken = map[string]bool{}
	if n.isNull() {
		return
	}
	if n.kind != mappingKind {
		l.add(n.at, "write a name and below it type, …", "targets must be a mapping, but this is %s", n.kind)
		return
	}
	l.private = true
	defer func() { l.private = false }()
	for _, e := range n.entries {
		before := len(l.found)
		t := l.target(e)
		l.broken[t.Name] = len(l.found) > before
		l.config.Targets = append(l.config.Targets, t)
	}
	l.names(n, "target")
}

// target reads one target.
func (l *loader) target(e entry) Target {
	t := Target{Name: e.key.text, TargetOptions: TargetDefaults()}
	what := fmt.Sprintf("target %q", t.Name)
	l.name(e.key, "target")
	if e.value.kind != mappingKind && !e.value.isNull() {
		l.add(e.value.at, "write type: and its settings below the name", "%s must be a mapping, but this is %s", what, e.value.kind)
		return t
	}
	options := reflect.ValueOf(&t.TargetOptions).Elem()
	typ, ok := l.targetType(e, what)
	if !ok {
		l.structs(e.value, e.key.at, what, l.hideSettings(e.value), options)
		return t
	}
	t.Type, t.Settings = typ, typ.Settings()
	before := len(l.found)
	l.structs(e.value, e.key.at, what, []string{"type"}, options, reflect.ValueOf(t.Settings).Elem())
	l.settingErrors(e, what, before, t.Settings, typ.Validate(t.Settings))
	if len(l.found) == before {
		for _, w := range typ.Warnings(t.Settings) {
			l.warn(e.setting(w.Key).key.at, w.Hint, "%s: %s", w.Key, w.Problem)
		}
	}
	l.options(e, t)
	t.Account = account(typ.Name(), t.Settings)
	return t
}

// targetType finds the connector type.
func (l *loader) targetType(e entry, what string) (connectors.Type, bool) {
	var names []string
	for _, t := range l.known.Targets {
		names = append(names, t.Name())
	}
	n := e.value.value("type")
	if n == nil {
		l.add(e.key.at, "write type: and one of "+strings.Join(slices.Sorted(slices.Values(names)), ", "), "%s needs the key %q", what, "type")
		return connectors.Type{}, false
	}
	name, ok := l.text(n, "type")
	if !ok {
		return connectors.Type{}, false
	}
	if i := slices.Index(names, name); i >= 0 {
		return l.known.Targets[i], true
	}
	l.unknown(n, "type", names)
	return connectors.Type{}, false
}

// hideSettings masks the settings of a target whose type is not known, for any may be a secret, and returns their keys.
func (l *loader) hideSettings(n *node) []string {
	keys := []string{"type"}
	common := keysOf(reflect.TypeFor[TargetOptions]())
	for _, e := range n.entries {
		if e.key.text != "type" && !slices.Contains(common, e.key.text) {
			l.masks.hideAll(l.file, e.value)
			keys = append(keys, e.key.text)
		}
	}
	return keys
}

// settingErrors shows what a type says about its settings at the lines of their keys. What was reported already, since
// before, is not said again in other words.
func (l *loader) settingErrors(e entry, what string, before int, settings any, err error) {
	if err == nil {
		return
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range many.Unwrap() {
			l.settingErrors(e, what, before, settings, one)
		}
		return
	}
	wrong, ok := err.(*connectors.SettingError) //nolint:errorlint // a wrapped one has text around it that would be lost
	if !ok {
		if len(l.found) == before {
			l.add(e.key.at, "correct its settings; afterchat connectors lists them", "%s: %s", what, err)
		}
		return
	}
	at := e.setting(wrong.Key)
	if !l.saidWithin(at, before) {
		l.add(at.key.at, cmp.Or(wrong.Hint, settingHint(reflect.TypeOf(settings).Elem(), wrong.Key)), "%s: %s", wrong.Key, wrong.Problem)
	}
}

// setting returns the entry of a key below e, such as oauth.client_id; where a part of it is missing, what is around it.
func (e entry) setting(path string) entry {
	for key := range strings.SplitSeq(path, ".") {
		inner, has := e.value.get(key)
		if !has {
			break
		}
		e = inner
	}
	return e
}

// settingHint says what to write for a setting about which its type says only what is wrong.
func settingHint(t reflect.Type, key string) string {
	first, rest, _ := strings.Cut(key, ".")
	for _, f := range fieldsOf(t) {
		if f.key != first {
			continue
		}
		inner := f.typ
		for inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if rest != "" && inner.Kind() == reflect.Struct && !isText(inner) {
			return settingHint(inner, rest)
		}
		return missingHint(f)
	}
	return "correct it, or remove the key"
}

// saidWithin tells whether a problem inside an entry was noted since before.
func (l *loader) saidWithin(e entry, before int) bool {
	from, to := e.key.at.from, e.value.end()
	return slices.ContainsFunc(l.found[before:], func(f finding) bool { return f.span.from >= from && f.span.from < to })
}

// options checks the common settings against each other and the type.
func (l *loader) options(e entry, t Target) {
	if t.Retry.Min > t.Retry.Max {
		at := e.key.at
		if retry, ok := e.value.get("retry"); ok {
			at = retry.key.at
		}
		l.add(at, "write a smaller min or a larger max", "retry: min (%s) is larger than max (%s)", formatDuration(t.Retry.Min), formatDuration(t.Retry.Max))
	}
	on, ok := e.value.get("on_uncertain")
	if once := t.Type.Once(t.Settings); ok && once != connectors.OnceNone {
		l.add(on.key.at, "remove the key", "on_uncertain has no meaning here: this target holds one object by %s", once)
	}
}

// account is a fingerprint of a type and its settings, secrets included.
func account(typ string, settings any) string {
	h := sha256.New()
	d := digester{h}
	d.feed("type %q", typ)
	d.value(reflect.ValueOf(settings))
	return hex.EncodeToString(h.Sum(nil))
}

// digester feeds values to a hash: every part with its kind and length, so that no two values feed the same bytes.
type digester struct{ hash hash.Hash }

// feed cannot fail: a hash.Hash never returns an error.
func (d digester) feed(format string, args ...any) {
	d.hash.Write(fmt.Appendf(nil, format, args...))
}

func (d digester) value(v reflect.Value) {
	if s, ok := reflect.TypeAssert[secret.String](v); ok {
		d.feed("secret %q", s.Reveal())
		return
	}
	if m, ok := reflect.TypeAssert[encoding.TextMarshaler](v); ok && (v.Kind() != reflect.Pointer || !v.IsNil()) {
		text, err := m.MarshalText()
		d.feed("text %q %v", text, err)
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		d.feed("pointer %t", v.IsNil())
		if !v.IsNil() {
			d.value(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				d.feed("field %q", f.Name)
				d.value(v.Field(i))
			}
		}
	case reflect.Slice, reflect.Array:
		d.feed("list %d", v.Len())
		for i := range v.Len() {
			d.value(v.Index(i))
		}
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		d.feed("map %d", len(keys))
		for _, k := range keys {
			d.feed("key %q", k.String())
			d.value(v.MapIndex(k))
		}
	default:
		d.feed("%s %v", v.Kind(), v.Interface())
	}
}
