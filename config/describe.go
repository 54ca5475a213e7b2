// This file describes settings for people: as text on the command line and as tables in README files.

package config

import (
	"encoding"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/connectors"
)

// row is one setting.
type row struct{ key, kind, value, doc string }

// rows lists the settings of a struct, nested ones with dots; defaults may be the zero Value.
func rows(t reflect.Type, defaults reflect.Value, prefix string) []row {
	var out []row
	for _, f := range fieldsOf(t) {
		inner, kind := f.typ, ""
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		var value reflect.Value
		if defaults.IsValid() {
			value = defaults.FieldByIndex(f.index)
		}
		list := inner.Kind() == reflect.Slice && inner.Elem().Kind() == reflect.Struct && !isText(inner.Elem())
		switch {
		case list:
			kind = "list: mapping"
		case inner.Kind() == reflect.Struct && !isText(inner):
			kind = "mapping"
		default:
			kind = kindOf(inner, f)
		}
		r := row{key: prefix + f.key, kind: kind, doc: f.doc}
		if f.required {
			r.value = "required"
		} else if value.IsValid() {
			r.value = defaultText(value)
		}
		out = append(out, r)
		if kind == "mapping" {
			if value.Kind() == reflect.Pointer {
				value = value.Elem()
			}
			out = append(out, rows(inner, value, r.key+".")...)
		}
		if list {
			out = append(out, rows(inner.Elem(), reflect.Value{}, r.key+".")...)
		}
	}
	return out
}

// kindOf says how a value is written.
func kindOf(t reflect.Type, f field) string {
	switch {
	case t.Kind() == reflect.Slice && t != secretType:
		return "list: " + kindOf(t.Elem(), f)
	case t.Kind() == reflect.Map:
		return "mapping: " + kindOf(t.Elem(), f)
	case len(f.enum) > 0:
		return strings.Join(f.enum, ", ")
	case t == secretType:
		return "secret"
	case isText(t) && t != reflect.TypeFor[Size]() && t != reflect.TypeFor[Rate]():
		return "text"
	}
	return wanted(t)
}

// defaultText is a default for people, "" for none.
func defaultText(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Struct, reflect.Pointer, reflect.Map:
		if !isText(v.Type()) {
			return ""
		}
	case reflect.Slice:
		words := make([]string, v.Len())
		for i := range words {
			words[i] = written(v.Index(i))
		}
		return strings.Join(words, ", ")
	}
	if v.IsZero() && v.Kind() != reflect.Bool && v.Type() != durationType {
		return ""
	}
	return written(v)
}

// written is a single value as it stands in a file; a secret is masked.
func written(v reflect.Value) string {
	if v.Type() == durationType {
		return formatDuration(time.Duration(v.Int()))
	}
	if s, ok := reflect.TypeAssert[secret.String](v); ok {
		return s.String()
	}
	if m, ok := reflect.TypeAssert[encoding.TextMarshaler](v); ok {
		text, err := m.MarshalText()
		if err == nil {
			return string(text)
		}
	}
	return fmt.Sprint(v.Interface())
}

// table is rows in Markdown.
func table(rows []row) string {
	cell := strings.NewReplacer("|", `\|`, "\n", " ")
	var b strings.Builder
	b.WriteString("| setting | type | default | meaning |\n|---|---|---|---|\n")
	for _, r := range rows {
		value := cell.Replace(r.value)
		if value != "" && value != "required" {
			value = "`" + value + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", r.key, cell.Replace(r.kind), value, cell.Replace(r.doc))
	}
	return b.String()
}

// SettingsTable returns the settings of a connector type as a Markdown table, for its README.
func SettingsTable(t connectors.Type) string {
	settings := reflect.ValueOf(t.Settings()).Elem()
	return table(rows(settings.Type(), settings, ""))
}

// FieldsTable returns what a mapping of a connector type may fill, with its default settings, as a Markdown table.
func FieldsTable(t connectors.Type) string {
	var b strings.Builder
	b.WriteString("| field | type | limit | meaning |\n|---|---|---|---|\n")
	for _, r := range fieldRows(t.Fields(t.Settings()), "") {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", r.key, r.kind, r.value, strings.ReplaceAll(r.doc, "|", `\|`))
	}
	return b.String()
}

func fieldRows(fields []connectors.Field, prefix string) []row {
	var out []row
	for _, f := range fields {
		r := row{key: prefix + f.Name, kind: string(f.Type), doc: f.Doc}
		if f.Items != nil && (f.Type == connectors.List || f.Type == connectors.Map) {
			r.kind += " of " + string(f.Items.Type)
		}
		if len(f.Values) > 0 {
			r.kind = strings.Join(f.Values, ", ")
		}
		if f.Required {
			r.kind += ", required"
		}
		if f.Limit > 0 {
			r.value = fmt.Sprintf("%d %s", f.Limit, limitUnit(f))
		}
		out = append(out, r)
		if f.Type == connectors.Map {
			out = append(out, fieldRows(f.Fields, r.key+".")...)
		}
	}
	return out
}

func limitUnit(f connectors.Field) string {
	switch {
	case f.Type == connectors.List:
		return "items"
	case f.Bytes || f.Type == connectors.HTML:
		return "bytes"
	}
	return "characters"
}

// Describe writes what there is to know of a connector type: settings, fields and default mapping.
func Describe(w io.Writer, t connectors.Type) error {
	settings := reflect.ValueOf(t.Settings()).Elem()
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", t.Name(), t.Doc())
	fmt.Fprintf(&b, "What holds one object, with the default settings: %s\n", t.Once(t.Settings()))
	b.WriteString("\nSettings:\n")
	describeRows(&b, rows(settings.Type(), settings, ""))
	b.WriteString("\nSettings of every target:\n")
	options := reflect.ValueOf(TargetDefaults())
	describeRows(&b, rows(options.Type(), options, ""))
	b.WriteString("\nFields of a mapping:\n")
	describeRows(&b, fieldRows(t.Fields(t.Settings()), ""))
	b.WriteString("\nDefault mapping:\n")
	for line := range strings.Lines(strings.TrimRight(t.Mapping(), "\n")) {
		b.WriteString("  " + line)
	}
	b.WriteString("\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// describeRows writes each setting on a line and its meaning below.
func describeRows(b *strings.Builder, rows []row) {
	for _, r := range rows {
		fmt.Fprintf(b, "  %s (%s)", r.key, r.kind)
		switch {
		case r.value == "required":
			b.WriteString(", required")
		case r.value != "":
			b.WriteString(": " + r.value)
		}
		fmt.Fprintf(b, "\n      %s\n", r.doc)
	}
}
