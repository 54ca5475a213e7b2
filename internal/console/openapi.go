// This file makes the description of the API, OpenAPI 3.1, of the list of its operations and of the Go types that they
// take and give.

package console

import (
	"encoding"
	"encoding/json"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
)

// schema is a JSON Schema, or a part of the description.
type schema map[string]any

// describer collects the schemas of named types.
type describer struct{ named schema }

var (
	timeType     = reflect.TypeFor[time.Time]()
	rawType      = reflect.TypeFor[json.RawMessage]()
	numberType   = reflect.TypeFor[json.Number]()
	marshalsText = reflect.TypeFor[encoding.TextMarshaler]()
)

// of returns the schema of a type; a struct's is kept under its name.
func (d *describer) of(t reflect.Type) schema {
	switch {
	case t == timeType:
		return schema{"type": "string", "format": "date-time"}
	case t == rawType || t.Kind() == reflect.Interface:
		return schema{}
	case t == numberType:
		return schema{"type": "number"}
	case t.Kind() == reflect.Pointer:
		return d.of(t.Elem())
	case t.Implements(marshalsText):
		return schema{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Bool:
		return schema{"type": "boolean"}
	case reflect.String:
		return schema{"type": "string"}
	case reflect.Float32, reflect.Float64:
		return schema{"type": "number"}
	case reflect.Slice, reflect.Array:
		return schema{"type": "array", "items": d.of(t.Elem())}
	case reflect.Map:
		return schema{"type": "object", "additionalProperties": d.of(t.Elem())}
	case reflect.Struct:
		return d.reference(t)
	}
	return schema{"type": "integer"}
}

// reference names a struct and describes it, once.
func (d *describer) reference(t reflect.Type) schema {
	name := typeName(t)
	if _, done := d.named[name]; !done {
		s := schema{"type": "object"}
		d.named[name] = s // first, for a type may hold itself
		properties, required := schema{}, []string{}
		d.fields(t, properties, &required)
		s["properties"] = properties
		if len(required) > 0 {
			s["required"] = required
		}
	}
	return schema{"$ref": "#/components/schemas/" + name}
}

var packagePath = regexp.MustCompile(`[\w./-]*\.`)

// typeName is the name of a type in the description: ConversationList for List[Conversation].
func typeName(t reflect.Type) string {
	outer, inner, generic := strings.Cut(t.Name(), "[")
	name := outer
	if generic {
		name = packagePath.ReplaceAllString(strings.TrimSuffix(inner, "]"), "") + outer
	}
	if pkg := t.PkgPath(); strings.HasSuffix(pkg, "/chat") {
		name = "Chat" + name // a conversation of package chat is not a line of a list
	}
	return name
}

// fields adds the fields of a struct, those of embedded ones among them, as encoding/json writes them.
func (d *describer) fields(t reflect.Type, properties schema, required *[]string) {
	for f := range t.Fields() {
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		if f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct {
			d.fields(f.Type, properties, required)
			continue
		}
		if !f.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		s := d.of(f.Type)
		if enum := f.Tag.Get("enum"); enum != "" {
			s["enum"] = strings.Split(enum, ",")
		}
		if doc := f.Tag.Get("doc"); doc != "" {
			s["description"] = doc
		}
		properties[name] = s
		if !strings.Contains(options, "omitempty") && !strings.Contains(options, "omitzero") && !slices.Contains(*required, name) {
			*required = append(*required, name)
		}
	}
}

// description is the whole API.
func (c *console) description() map[string]any {
	d := &describer{named: schema{}}
	problem := schema{"description": "what went wrong (RFC 9457)", "content": schema{
		"application/problem+json": schema{"schema": d.of(reflect.TypeFor[Problem]())},
	}}
	paths := schema{}
	for _, p := range c.endpoints() {
		path := pathParameter.ReplaceAllString(p.path, "{$1}")
		operations, ok := paths[path].(schema)
		if !ok {
			operations = schema{}
			paths[path] = operations
		}
		operations[strings.ToLower(p.method)] = d.operation(p, problem)
	}
	return map[string]any{
		"openapi": "3.1.0",
		"info": schema{
			"title": "afterchat", "version": "1",
			"description": "Search, look at and change what afterchat keeps. Lists are read page by page: next of a page is cursor of the following one. " +
				"Times are RFC 3339 in UTC. Answers have an ETag. Viewers see e-mail addresses, names, telephone numbers and texts as ***.",
		},
		"servers":    []schema{{"url": apiPath}},
		"security":   []schema{{"token": []string{}}, {"session": []string{}}, {}},
		"paths":      paths,
		"components": schema{"schemas": d.named, "securitySchemes": securitySchemes()},
	}
}

func securitySchemes() schema {
	return schema{
		"token":   schema{"type": "http", "scheme": "bearer", "description": "one of admin.tokens"},
		"session": schema{"type": "apiKey", "in": "cookie", "name": sessionSecure, "description": "log-in with admin.password"},
	}
}

var pathParameter = regexp.MustCompile(`:(\w+)`)

// operation is one operation in the description.
func (d *describer) operation(p endpoint, problem schema) schema {
	var parameters []schema
	for _, m := range pathParameter.FindAllStringSubmatch(p.path, -1) {
		kind := "string"
		if m[1] == "revision" {
			kind = "integer"
		}
		parameters = append(parameters, schema{"name": m[1], "in": "path", "required": true, "schema": schema{"type": kind}})
	}
	for _, q := range p.query {
		parameters = append(parameters, schema{"name": q.name, "in": "query", "description": q.doc, "schema": schema{"type": "string"}})
	}
	responses := schema{statusText(p): d.success(p), "default": problem}
	if _, also := p.body.(NewReplay); also {
		responses["200"] = schema{"description": "with dry_run: what it would replay", "content": schema{"application/json": schema{"schema": d.of(reflect.TypeFor[DryRun]())}}}
	}
	out := schema{"operationId": operationID(p), "summary": p.doc, "x-role": p.need.String(), "responses": responses}
	if len(parameters) > 0 {
		out["parameters"] = parameters
	}
	switch {
	case p.raw:
		out["requestBody"] = schema{"required": true, "content": schema{"*/*": schema{}}}
	case p.body != nil:
		out["requestBody"] = schema{"content": schema{"application/json": schema{"schema": d.of(reflect.TypeOf(p.body))}}}
	}
	return out
}

// operationID is such as get_conversations_id_revisions.
func operationID(p endpoint) string {
	return strings.ToLower(p.method) + strings.NewReplacer("/:", "_", "/", "_", ".", "_").Replace(p.path)
}

func statusText(p endpoint) string {
	switch {
	case p.answer == nil:
		return "204"
	case p.status == http.StatusCreated:
		return "201"
	}
	return "200"
}

func (d *describer) success(p endpoint) schema {
	switch p.answer.(type) {
	case nil:
		return schema{"description": "done"}
	case text:
		return schema{"description": p.doc, "content": schema{"text/plain": schema{"schema": schema{"type": "string"}}, "application/octet-stream": schema{}}}
	case map[string]any:
		return schema{"description": p.doc, "content": schema{"application/json": schema{"schema": schema{"type": "object"}}}}
	}
	return schema{"description": p.doc, "content": schema{"application/json": schema{"schema": d.of(reflect.TypeOf(p.answer))}}}
}
