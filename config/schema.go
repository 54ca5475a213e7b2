// This file makes the JSON Schema of the file, from the same tags that loading reads, for editors.

package config

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/google/jsonschema-go/jsonschema"

	"github.com/afterchat/afterchat/connectors"
)

// Patterns of single values. What holds a ${ } is known only after substitution.
const (
	substituted     = `\$\{`
	durationPattern = `^(0|(\d+(\.\d+)?(ms|s|m|h|d|w))+)$`
	sizePattern     = `^\d+(\.\d+)? ?(B|kB|KB|MB|GB|TB|KiB|MiB|GiB|TiB)?$`
	ratePattern     = `^[1-9]\d*/[smh]$`
)

// Schema returns the JSON Schema (draft 2020-12) of a configuration for a program with these types, indented. It fails
// only for a type that cannot be configured: one whose settings collide with those of every target.
func Schema(known Known) ([]byte, error) {
	root := &jsonschema.Schema{
		Schema: "https://json-schema.org/draft/2020-12/schema", Title: "afterchat configuration", Type: "object",
		Required: []string{"version"}, AdditionalProperties: never(),
		AnyOf: []*jsonschema.Schema{
			{Required: []string{"sources", "targets"}}, {Required: []string{"include"}}, // what is missing may be in there
		},
		Properties:        map[string]*jsonschema.Schema{},
		PatternProperties: map[string]*jsonschema.Schema{"^x-": {Description: "not read; a place for anchors"}},
		Defs:              map[string]*jsonschema.Schema{},
	}
	defaults := Defaults()
	for _, s := range sections() {
		root.PropertyOrder = append(root.PropertyOrder, s.key)
		root.Properties[s.key] = &jsonschema.Schema{Description: s.doc}
	}
	plain := map[string]any{
		"server": defaults.Server, "admin": defaults.Admin, "ledger": defaults.Ledger, "log": defaults.Log,
		"transcript": defaults.Transcript,
	}
	for key, value := range plain {
		s := schemaBuilder{}.object(reflect.TypeOf(value), reflect.ValueOf(value))
		s.Types, s.Type = []string{"object", "null"}, ""
		s.Description = root.Properties[key].Description
		root.Properties[key] = s
	}
	version := any(Version)
	root.Properties["version"].Const = &version
	root.Properties["include"].AnyOf = []*jsonschema.Schema{
		text(), {Type: "array", Items: text(), MinItems: new(1)},
	}
	named(root.Properties["sources"], sourceSchema(known))
	target, err := targetSchema(known, root.Defs)
	if err != nil {
		return nil, err
	}
	named(root.Properties["targets"], target)
	lookupsSchema(root.Properties["lookups"])
	redactSchema(root.Properties["redact"])
	routesSchema(root.Properties["routes"], root.Properties["alerts"], known)
	testsSchema(root.Properties["tests"])
	return json.MarshalIndent(root, "", "  ")
}

// never is the schema that nothing fits.
func never() *jsonschema.Schema { return &jsonschema.Schema{Not: &jsonschema.Schema{}} }

// named makes s a mapping of names to items with at least one entry.
func named(s, item *jsonschema.Schema) {
	s.Type, s.MinProperties = "object", new(1)
	s.PropertyNames = &jsonschema.Schema{Pattern: namePattern.String()}
	s.AdditionalProperties = item
}

// schemaBuilder turns Go types into schemas.
type schemaBuilder struct {
	literal bool // values hold no ${ }
}

// object is the schema of a struct; defaults may be the zero Value.
func (b schemaBuilder) object(t reflect.Type, defaults reflect.Value) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "object", Properties: map[string]*jsonschema.Schema{}, AdditionalProperties: never()}
	b.into(s, t, defaults)
	return s
}

// into adds the keys of a struct.
func (b schemaBuilder) into(s *jsonschema.Schema, t reflect.Type, defaults reflect.Value) {
	for _, f := range fieldsOf(t) {
		p := b.value(f.typ, f)
		p.Description = f.doc
		if f.example != "" {
			p.Examples = []any{f.example}
		}
		if defaults.IsValid() {
			p.Default = defaultJSON(defaults.FieldByIndex(f.index))
		}
		s.Properties[f.key] = p
		s.PropertyOrder = append(s.PropertyOrder, f.key)
		if f.required {
			s.Required = append(s.Required, f.key)
		}
	}
}

// defaultJSON is a default as it would be written, nil for none and for what is not a single value.
func defaultJSON(v reflect.Value) json.RawMessage {
	switch v.Kind() {
	case reflect.Struct, reflect.Map, reflect.Slice, reflect.Pointer:
		return nil
	}
	if v.IsZero() && v.Kind() != reflect.Bool {
		return nil
	}
	var out any = written(v)
	if v.Type() != durationType && !isText(v.Type()) && v.Kind() != reflect.String {
		out = v.Interface()
	}
	text, err := json.Marshal(out)
	if err != nil {
		return nil
	}
	return text
}

// value is the schema of one value.
func (b schemaBuilder) value(t reflect.Type, f field) *jsonschema.Schema {
	switch {
	case t.Kind() == reflect.Pointer:
		s := b.value(t.Elem(), f)
		if s.Type == "object" {
			s.Type, s.Types = "", []string{"object", "null"}
		}
		return s
	case len(f.enum) > 0 && t.Kind() != reflect.Slice && t.Kind() != reflect.Map:
		return b.orText(&jsonschema.Schema{Enum: anyOf(f.enum)})
	case t == durationType:
		zero := any(0)
		return b.orText(&jsonschema.Schema{Type: "string", Pattern: durationPattern}, &jsonschema.Schema{Const: &zero})
	case t == reflect.TypeFor[Size]():
		return b.orText(&jsonschema.Schema{Type: "string", Pattern: sizePattern}, &jsonschema.Schema{Type: "integer", Minimum: new(0.0)})
	case t == reflect.TypeFor[Rate]():
		return b.orText(&jsonschema.Schema{Type: "string", Pattern: ratePattern})
	case isText(t):
		return text()
	}
	switch t.Kind() {
	case reflect.Struct:
		return b.object(t, reflect.Value{})
	case reflect.Slice:
		item := b.value(t.Elem(), f)
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{item, {Type: "array", Items: item.CloneSchemas()}}}
	case reflect.Map:
		return &jsonschema.Schema{Types: []string{"object", "null"}, AdditionalProperties: b.value(t.Elem(), f)}
	case reflect.Bool:
		return b.orText(&jsonschema.Schema{Type: "boolean"})
	case reflect.Float32, reflect.Float64:
		return b.orText(least(&jsonschema.Schema{Type: "number"}, f))
	case reflect.String:
		s := text()
		if f.required {
			s.MinLength = new(1)
		}
		return s
	}
	return b.orText(least(&jsonschema.Schema{Type: "integer"}, f))
}

// text is any single value: what is not in quotes is taken as it is written.
func text() *jsonschema.Schema {
	return &jsonschema.Schema{Types: []string{"string", "number", "boolean"}}
}

// orText allows text with ${ } beside what a value is.
func (b schemaBuilder) orText(any ...*jsonschema.Schema) *jsonschema.Schema {
	if !b.literal {
		any = append(any, &jsonschema.Schema{Type: "string", Pattern: substituted})
	}
	if len(any) == 1 {
		return any[0]
	}
	return &jsonschema.Schema{AnyOf: any}
}

func least(s *jsonschema.Schema, f field) *jsonschema.Schema {
	if f.min != "" {
		var n float64
		if _, err := fmt.Sscan(f.min, &n); err == nil {
			s.Minimum = &n
		}
	}
	return s
}

func anyOf(words []string) []any {
	out := make([]any, len(words))
	for i, w := range words {
		out[i] = w
	}
	return out
}

// sourceSchema is one source.
func sourceSchema(known Known) *jsonschema.Schema {
	s := schemaBuilder{}.object(reflect.TypeFor[Source](), reflect.Value{})
	var names []string
	for _, t := range known.Sources {
		names = append(names, t.Name)
		if t.NeedsTimeZone {
			name := any(t.Name)
			s.AllOf = append(s.AllOf, &jsonschema.Schema{
				If:   &jsonschema.Schema{Properties: map[string]*jsonschema.Schema{"type": {Const: &name}}, Required: []string{"type"}},
				Then: &jsonschema.Schema{Required: []string{"time_zone"}},
			})
		}
	}
	s.Properties["type"].AnyOf, s.Properties["type"].Types, s.Properties["type"].MinLength = nil, nil, nil
	s.Properties["type"].Enum = anyOf(names)
	for _, one := range []string{"secret", "basic", "hmac"} {
		s.AnyOf = append(s.AnyOf, &jsonschema.Schema{Required: []string{one}})
	}
	return s
}

// targetSchema is one target: by its type, one of the schemas that it puts into defs.
func targetSchema(known Known, defs map[string]*jsonschema.Schema) (*jsonschema.Schema, error) {
	s := &jsonschema.Schema{Type: "object", Required: []string{"type"}, Properties: map[string]*jsonschema.Schema{}}
	var names []string
	common := append(keysOf(reflect.TypeFor[TargetOptions]()), "type")
	for _, t := range known.Targets {
		name := any(t.Name())
		names = append(names, t.Name())
		settings := reflect.ValueOf(t.Settings()).Elem()
		for _, key := range keysOf(settings.Type()) {
			if slices.Contains(common, key) {
				return nil, fmt.Errorf("connector type %s: its setting %q is one of every target", t.Name(), key)
			}
		}
		def := &jsonschema.Schema{
			Type: "object", Description: t.Doc(), AdditionalProperties: never(),
			Properties:    map[string]*jsonschema.Schema{"type": {Const: &name, Description: t.Doc()}},
			PropertyOrder: []string{"type"},
		}
		schemaBuilder{}.into(def, settings.Type(), settings)
		options := reflect.ValueOf(TargetDefaults())
		schemaBuilder{}.into(def, options.Type(), options)
		defs["target_"+t.Name()] = def
		s.AllOf = append(s.AllOf, &jsonschema.Schema{
			If:   &jsonschema.Schema{Properties: map[string]*jsonschema.Schema{"type": {Const: &name}}, Required: []string{"type"}},
			Then: &jsonschema.Schema{Ref: "#/$defs/target_" + t.Name()},
		})
	}
	s.Properties["type"] = &jsonschema.Schema{Enum: anyOf(names), Description: "kind of target"}
	return s, nil
}

// fieldSchema is what a mapping may give a field.
func fieldSchema(f connectors.Field) *jsonschema.Schema {
	expression := &jsonschema.Schema{Type: "string", Pattern: substituted}
	null := &jsonschema.Schema{Type: "null"}
	either := func(s *jsonschema.Schema) *jsonschema.Schema {
		return &jsonschema.Schema{Description: f.Doc, AnyOf: []*jsonschema.Schema{s, expression, null}}
	}
	switch f.Type {
	case connectors.Text, connectors.HTML:
		if len(f.Values) > 0 {
			return either(&jsonschema.Schema{Enum: anyOf(f.Values)})
		}
		return either(text())
	case connectors.Integer:
		return either(&jsonschema.Schema{Type: "integer"})
	case connectors.Number:
		return either(&jsonschema.Schema{Type: "number"})
	case connectors.Boolean:
		return either(&jsonschema.Schema{Type: "boolean"})
	case connectors.List:
		return either(&jsonschema.Schema{Type: "array"})
	case connectors.Map:
		return either(&jsonschema.Schema{Type: "object"})
	}
	return &jsonschema.Schema{Description: f.Doc}
}
