// This file is the part of the JSON Schema that says what goes where: routes, lookups, redactions, tests.

package config

import (
	"reflect"

	"github.com/google/jsonschema-go/jsonschema"
)

// asWrittenSchema builds schemas of what is not substituted.
var asWrittenSchema = schemaBuilder{literal: true}

// lookupsSchema is tables of single values and lists of them.
func lookupsSchema(s *jsonschema.Schema) {
	single := func() *jsonschema.Schema {
		return &jsonschema.Schema{Types: []string{"string", "number", "boolean", "null"}}
	}
	s.Types = []string{"object", "null"}
	s.AdditionalProperties = &jsonschema.Schema{
		Type: "object",
		AdditionalProperties: &jsonschema.Schema{
			AnyOf: []*jsonschema.Schema{single(), {Type: "array", Items: single()}},
		},
	}
}

// redactSchema is redactions by name.
func redactSchema(s *jsonschema.Schema) {
	item := asWrittenSchema.object(reflect.TypeFor[redactionKeys](), reflect.Value{})
	find := func() *jsonschema.Schema {
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
			{Enum: anyOf(builtinFinds)},
			asWrittenSchema.object(reflect.TypeFor[findKeys](), reflect.Value{}),
		}}
	}
	item.Properties["find"] = &jsonschema.Schema{
		Description: "what is found in texts: built-ins by name, or name and regex",
		AnyOf:       []*jsonschema.Schema{find(), {Type: "array", Items: find()}},
	}
	item.PropertyOrder = append([]string{"find"}, item.PropertyOrder...)
	item.MinProperties = new(1)
	s.Types = []string{"object", "null"}
	s.AdditionalProperties = item
}

// routesSchema is a list of routes. Which target has which fields is not known to a schema, so a target's keys are
// those of all types together, and others are allowed.
func routesSchema(s, alerts *jsonschema.Schema, known Known) {
	target := &jsonschema.Schema{Types: []string{"object", "null"}, Properties: map[string]*jsonschema.Schema{}}
	for _, t := range known.Targets {
		for _, f := range t.Fields(t.Settings()) {
			made := fieldSchema(f)
			if other := target.Properties[f.Name]; other != nil {
				made = &jsonschema.Schema{AnyOf: []*jsonschema.Schema{other, made}}
			} else {
				target.PropertyOrder = append(target.PropertyOrder, f.Name)
			}
			target.Properties[f.Name] = made
		}
	}
	target.Properties["redact"] = asWrittenSchema.value(reflect.TypeFor[[]string](), field{})
	target.Properties["redact"].Description = "names of redactions"
	route := asWrittenSchema.object(reflect.TypeFor[routeKeys](), reflect.Value{})
	route.Properties["to"] = toSchema(target)
	route.Properties["to"].Description += "; [] with final: true sends what matches nowhere"
	route.PropertyOrder = append(route.PropertyOrder, "to")
	route.Required = []string{"to"}
	s.Types = []string{"array", "null"}
	s.Items = route
	alertsSchema(alerts, toSchema(target))
}

// toSchema is what to: takes; target is the schema of the fields that it sets.
func toSchema(target *jsonschema.Schema) *jsonschema.Schema {
	return &jsonschema.Schema{
		Description: "one target, a list of targets, or a mapping of targets to the fields that this route sets",
		AnyOf: []*jsonschema.Schema{
			{Type: "string"},
			{Type: "array", Items: &jsonschema.Schema{Type: "string"}},
			{Type: "object", AdditionalProperties: target, MinProperties: new(1)},
		},
	}
}

// alertsSchema is what people are told of.
func alertsSchema(s, to *jsonschema.Schema) {
	made := schemaBuilder{}.object(reflect.TypeFor[alertKeys](), reflect.ValueOf(alertDefaults()))
	made.Properties["to"] = to
	made.PropertyOrder = append([]string{"to"}, made.PropertyOrder...)
	made.Required, made.Description = []string{"to"}, s.Description
	made.Types, made.Type = []string{"object", "null"}, ""
	*s = *made
}

// testsSchema is a list of tests.
func testsSchema(s *jsonschema.Schema) {
	item := asWrittenSchema.object(reflect.TypeFor[testKeys](), reflect.Value{})
	item.Properties["expect"] = &jsonschema.Schema{
		Description:          "routes: the names of the routes that match, in order; target.field: a value",
		Types:                []string{"object", "null"},
		Properties:           map[string]*jsonschema.Schema{"routes": asWrittenSchema.value(reflect.TypeFor[[]string](), field{})},
		PatternProperties:    map[string]*jsonschema.Schema{`^[a-z0-9_-]+\..`: {}},
		AdditionalProperties: never(),
	}
	item.PropertyOrder = append(item.PropertyOrder, "expect")
	s.Types = []string{"array", "null"}
	s.Items = item
}
