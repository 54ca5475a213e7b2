// This file writes the settings of one connector type for a configuration to start from: those that are required, those
// that the type says are missing, and all others as comments.

package config

import (
	"cmp"
	"errors"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/rule"
)

// starterBlock writes the settings of one type.
type starterBlock struct {
	starterWriter
	typ       connectors.Type
	chosen    map[string]bool // dotted keys that the type says it needs, beside the required ones
	variables []Variable
	examples  []string
}

// newStarterBlock writes the required settings; while the type complains of one that is not there, that one, too.
func newStarterBlock(t connectors.Type) *starterBlock {
	chosen := map[string]bool{}
	for {
		b := &starterBlock{typ: t, chosen: chosen}
		settings := reflect.ValueOf(t.Settings()).Elem()
		b.fields(settings.Type(), settings, "", 2)
		wrong := b.wrong()
		grown := false
		for _, key := range wrong {
			if !chosen[key] && b.knows(settings.Type(), key) {
				chosen[key], grown = true, true
			}
		}
		if !grown {
			return b
		}
	}
}

// knows tells whether a dotted key is one of the settings.
func (b *starterBlock) knows(t reflect.Type, key string) bool {
	first, rest, nested := strings.Cut(key, ".")
	for _, f := range fieldsOf(t) {
		if f.key != first {
			continue
		}
		inner := indirect(f.typ)
		return !nested || inner.Kind() == reflect.Struct && !isText(inner) && b.knows(inner, rest)
	}
	return false
}

// wrong returns the keys that the type complains of.
func (b *starterBlock) wrong() []string {
	r := &report{file: newFile("settings", []byte("type: "+b.typ.Name()+"\n"+b.text.String()))}
	settings := b.typ.Settings()
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(strings.ReplaceAll(b.text.String(), "\n    ", "\n")), &document); err == nil && len(document.Content) > 0 {
		build := &builder{report: r, open: map[*yaml.Node]bool{}}
		if root := build.build(document.Content[0], 0); root != nil {
			made := Starter{Variables: b.variables}
			d := &decoder{report: r, expanded: map[*node]bool{}, settings: rule.Settings{Env: made.lookup}}
			d.structs(root, root.at, "target", nil, reflect.ValueOf(settings).Elem())
		}
	}
	return settingKeys(b.typ.Validate(settings))
}

// settingKeys returns the keys of all *connectors.SettingError in err.
func settingKeys(err error) []string {
	if err == nil {
		return nil
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var keys []string
		for _, one := range many.Unwrap() {
			keys = append(keys, settingKeys(one)...)
		}
		return keys
	}
	if wrong, ok := errors.AsType[*connectors.SettingError](err); ok {
		return []string{wrong.Key}
	}
	return nil
}

// fields writes the settings of a struct, one below the other.
func (b *starterBlock) fields(t reflect.Type, defaults reflect.Value, prefix string, indent int) {
	fields := fieldsOf(t)
	active := func(f field) bool { return f.required || b.isChosen(prefix+f.key) }
	first := !slices.ContainsFunc(fields, active) && prefix != "" // a mapping that needs one of its keys, and all are optional
	for _, f := range fields {
		value := reflect.Value{}
		if defaults.IsValid() {
			value = defaults.FieldByIndex(f.index)
		}
		inner := indirect(f.typ)
		if !active(f) && (!first || f.example == "") {
			b.doc(indent, f.doc)
			b.line(indent, "#"+f.key+": "+b.inline(f, value))
			continue
		}
		first = false
		if inner.Kind() == reflect.Struct && !isText(inner) {
			b.doc(indent, f.doc)
			b.line(indent, f.key+":")
			b.fields(inner, reflect.Indirect(value), prefix+f.key+".", indent+1)
			continue
		}
		b.active(f, value, prefix+f.key, indent)
	}
}

func (b *starterBlock) isChosen(path string) bool {
	for key := range b.chosen {
		if key == path || strings.HasPrefix(key, path+".") {
			return true
		}
	}
	return false
}

// active writes a setting that the file needs. A secret comes from the environment.
func (b *starterBlock) active(f field, value reflect.Value, path string, indent int) {
	doc := f.doc
	if f.typ == secretType {
		name := variableName(b.typ.Name(), path)
		example := f.example
		if m := onlyVariable.FindStringSubmatch(f.example); m != nil {
			name, example = m[1], ""
		}
		b.variables = append(b.variables, Variable{Name: name, Doc: f.doc, Example: cmp.Or(example, placeholder)})
		b.doc(indent, doc)
		b.line(indent, f.key+": '${env."+name+"}'")
		return
	}
	if f.example != "" {
		b.examples = append(b.examples, b.typ.Name()+"."+path)
		doc += " (this is an example)"
	}
	b.doc(indent, doc)
	b.line(indent, f.key+": "+b.inline(f, value))
}

var onlyVariable = regexp.MustCompile(`^\$\{env\.(\w+)\}$`)

// variableName is the name of a variable for a setting: ZENDESK_OAUTH_CLIENT_SECRET.
func variableName(parts ...string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(strings.Join(parts, "_")))
}

// inline is a value for a setting on one line: its example, its default, or what shows its form.
func (b *starterBlock) inline(f field, value reflect.Value) string {
	t := indirect(f.typ)
	value = indirectValue(value)
	mapping := t.Kind() == reflect.Struct && !isText(t)
	switch {
	case f.example != "" && (mapping || t.Kind() == reflect.Slice || t.Kind() == reflect.Map):
		return f.example
	case mapping:
		return b.inlineMapping(t, value)
	case value.IsValid() && defaultText(value) != "" && t != secretType:
		if t.Kind() == reflect.Slice {
			return "[" + defaultText(value) + "]"
		}
		return quoted(defaultText(value))
	case f.example != "":
		return quoted(f.example)
	case len(f.enum) > 0:
		return f.enum[0]
	case t == secretType:
		return "'${env." + variableName(b.name(), f.key) + "}'"
	case t.Kind() == reflect.Slice:
		return "[]"
	case t.Kind() == reflect.Map:
		return "{}"
	case t == durationType:
		return "0s"
	case t.Kind() == reflect.Bool:
		return "false"
	case t.Kind() == reflect.String || isText(t):
		return "''"
	}
	return "0"
}

func (b *starterBlock) name() string {
	if b.typ.Name() == "" {
		return "target"
	}
	return b.typ.Name()
}

// inlineMapping shows the keys of a mapping that say the most: required ones, those with examples, those with defaults.
func (b *starterBlock) inlineMapping(t reflect.Type, defaults reflect.Value) string {
	var parts []string
	required := slices.ContainsFunc(fieldsOf(t), func(f field) bool { return f.required })
	for _, f := range fieldsOf(t) {
		value := reflect.Value{}
		if defaults.IsValid() {
			value = indirectValue(defaults.FieldByIndex(f.index))
		}
		hasDefault := value.IsValid() && defaultText(value) != "" && value.Kind() != reflect.Bool
		if f.required || !required && f.example != "" || hasDefault {
			parts = append(parts, f.key+": "+b.inline(f, value))
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// indirect and indirectValue look through pointers; a nil one has no value.
func indirect(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

func indirectValue(v reflect.Value) reflect.Value {
	if v.IsValid() && v.Kind() == reflect.Pointer {
		return v.Elem()
	}
	return v
}

var plainScalar = regexp.MustCompile(`^[A-Za-z0-9/._][A-Za-z0-9/._@+ -]*$|^https?://[A-Za-z0-9/._-]+$`)

// quoted is a text as a scalar, in quotes where it needs them.
func quoted(text string) string {
	if plainScalar.MatchString(text) && text == strings.TrimSpace(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}
