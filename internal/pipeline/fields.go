// This file checks values of a mapping against the fields that a connector declares, before any conversation is seen.

package pipeline

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/rule"
)

// node is a compiled value of a mapping.
type node struct {
	kind       nodeKind
	field      connectors.Field
	value      any            // of a literal, converted to the field's type
	template   *rule.Template // of a template
	transcript bool           // it may read the transcript
	items      []node         // of a list
	entries    []entry        // of an object
}

type nodeKind int

const (
	null nodeKind = iota // removes the key
	literal
	template
	list
	object
)

// entry is a compiled Entry.
type entry struct {
	name string
	node node
}

// node compiles one value for a field.
func (c compiler) node(t Tree, f connectors.Field, path Path) (node, []Problem) {
	n := node{kind: literal, field: f} // also what stands for a value with a problem
	fail := func(format string, args ...any) (node, []Problem) {
		return n, []Problem{{Path: path, Offset: -1, Text: fmt.Sprintf(format, args...), Hint: literalHint(f.Type)}}
	}
	switch t := t.(type) {
	case nil:
		n.kind = null
		return n, nil
	case []any:
		if !accepts(f.Type, connectors.List) {
			return fail("expected %s, but got a list", typeName(f))
		}
		return c.list(t, f, path)
	case Mapping:
		if !accepts(f.Type, connectors.Map) {
			return fail("expected %s, but got keys and values", typeName(f))
		}
		return c.object(t, f, path)
	case string:
		return c.text(t, f, path)
	}
	value, ok := convert(t, f.Type)
	if !ok {
		return fail("expected %s, but got %s", typeName(f), typeOf(t))
	}
	n.value = value
	return n, checkLiteral(value, f, path)
}

func (c compiler) list(items []any, f connectors.Field, path Path) (node, []Problem) {
	n := node{kind: list, field: f}
	var problems []Problem
	sure := 0
	for i, item := range items {
		compiled, wrong := c.node(item, itemField(f), path.at(i))
		problems = append(problems, wrong...)
		n.items = append(n.items, compiled)
		if f.NoGaps {
			problems = append(problems, gap(&compiled, path.at(i))...)
		}
		n.transcript = n.transcript || compiled.transcript
		if compiled.kind == literal && compiled.value != "" {
			sure++
		}
	}
	if f.Limit > 0 && f.Type == connectors.List && sure > f.Limit {
		problems = append(problems, Problem{Path: path, Offset: -1, Text: fmt.Sprintf("%d items, at most %d are taken", sure, f.Limit), Hint: "leave some out"})
	}
	return n, problems
}

// gap reports an item that may be absent in a list where none may.
func gap(item *node, path Path) []Problem {
	if item.kind == template && item.template.MayBeAbsent() {
		return []Problem{{
			Path: path, Offset: -1, Text: "this may be absent, and without it the others would mean something else",
			Hint: "end coalesce with a literal: coalesce(visitor.id, \"unknown\")",
		}}
	}
	if item.kind == null || item.kind == literal && item.value == "" {
		return []Problem{{Path: path, Offset: -1, Text: "this is empty, and without it the others would mean something else", Hint: "leave it out"}}
	}
	return nil
}

func (c compiler) object(m Mapping, f connectors.Field, path Path) (node, []Problem) {
	n := node{kind: object, field: f}
	var problems []Problem
	for _, e := range m {
		field, ok := keyField(f, e.Key)
		if !ok {
			text, hint := unknown("key", e.Key, namesOf(f.Fields))
			problems = append(problems, Problem{Path: path.at(e.Key), Offset: -1, Text: text, Hint: hint})
			continue
		}
		problems = append(problems, checkKey(e.Key, f, path)...)
		compiled, wrong := c.node(e.Value, field, path.at(e.Key))
		problems = append(problems, wrong...)
		n.entries = append(n.entries, entry{e.Key, compiled})
		n.transcript = n.transcript || compiled.transcript
	}
	for _, field := range f.Fields {
		if !field.Required {
			continue
		}
		own := mapping{entries: n.entries}.find(field.Name)
		if own == nil {
			problems = append(problems, Problem{Path: path, Offset: -1, Text: fmt.Sprintf("key %q is required", field.Name), Hint: fmt.Sprintf("write %s: … (%s)", field.Name, field.Doc)})
			continue
		}
		problems = append(problems, notSure(own, path.at(field.Name))...)
	}
	return n, problems
}

// text compiles a text: one without ${ } is a literal.
func (c compiler) text(src string, f connectors.Field, path Path) (node, []Problem) {
	n := node{kind: literal, field: f}
	compiled, wrong := rule.CompileTemplate(src, c.scope)
	if len(wrong) > 0 {
		return n, ruleProblems(path, wrong)
	}
	if text, ok := compiled.Literal(); ok {
		value, ok := convert(text, f.Type)
		if !ok {
			return n, []Problem{{Path: path, Offset: -1, Text: fmt.Sprintf("expected %s, but got text", typeName(f)), Hint: literalHint(f.Type)}}
		}
		n.value = value
		return n, checkLiteral(value, f, path)
	}
	n.kind, n.template = template, compiled
	n.transcript = strings.Contains(src, "transcript") || strings.Contains(src, "conversation")
	if kind := connectors.FieldType(compiled.Kind()); !accepts(f.Type, kind) {
		return n, []Problem{{Path: path, Offset: -1, Text: fmt.Sprintf("expected %s, but got %s", typeName(f), typeName(connectors.Field{Type: kind})), Hint: conversionHint(f.Type, kind)}}
	}
	return n, checkTexts(compiled.Texts(), f, path)
}

// checkTexts reports a text that an expression can yield and the target would not take. An empty one is absent.
func checkTexts(texts []string, f connectors.Field, path Path) []Problem {
	if len(f.Values) == 0 {
		return nil
	}
	for _, text := range texts {
		if text != "" && !slices.Contains(f.Values, text) {
			problem, hint := unknown("value", text, f.Values)
			return []Problem{{Path: path, Offset: -1, Text: problem, Hint: hint}}
		}
	}
	return nil
}

// accepts tells whether an expression of a static type can fill a field. What is known only when a conversation is
// there can fill any.
func accepts(want, got connectors.FieldType) bool {
	if want == connectors.Any || want == "" || got == connectors.Any || want == got {
		return true
	}
	switch want {
	case connectors.Text, connectors.HTML:
		return got != connectors.List && got != connectors.Map
	case connectors.Integer, connectors.Number:
		return got == connectors.Integer || got == connectors.Number
	}
	return false
}

func literalHint(want connectors.FieldType) string {
	switch want {
	case connectors.Integer:
		return "write digits without quotes, or an expression in ${ }"
	case connectors.Number:
		return "write a number without quotes, or an expression in ${ }"
	case connectors.Boolean:
		return "write true or false without quotes, or an expression in ${ }"
	case connectors.Time:
		return "write it as 2006-01-02T15:04:05Z"
	case connectors.List:
		return "write it as [one, two]"
	case connectors.Map:
		return "write key: value pairs below it"
	}
	return "write one value behind the colon"
}

func conversionHint(want, got connectors.FieldType) string {
	switch {
	case want == connectors.Integer && got == connectors.Text:
		return "make a number of it with int(…)"
	case want == connectors.Number && got == connectors.Text:
		return "make a number of it with float(…)"
	case got == connectors.List && (want == connectors.Text || want == connectors.HTML):
		return "make a text of the list with join(…, \", \")"
	case want == connectors.Integer && got == connectors.Number:
		return "make a whole number of it with int(round(…))"
	case want == connectors.Map:
		return "write key: value pairs below it"
	case want == connectors.Time:
		return "use a time, such as started_at or ended_at"
	case want == connectors.List:
		return "put it in brackets: ['${…}']"
	}
	return "use an expression that gives " + typeName(connectors.Field{Type: want})
}

// checkLiteral reports a literal that the target would not take.
func checkLiteral(value any, f connectors.Field, path Path) []Problem {
	text, ok := value.(string)
	if !ok {
		return nil
	}
	if len(f.Values) > 0 && !slices.Contains(f.Values, text) {
		problem, hint := unknown("value", text, f.Values)
		return []Problem{{Path: path, Offset: -1, Text: problem, Hint: hint}}
	}
	inBytes := f.Bytes || f.Type == connectors.HTML
	if n := length(text, inBytes); f.Limit > 0 && n > f.Limit {
		return []Problem{{Path: path, Offset: -1, Text: fmt.Sprintf("%d %s, at most %d are taken", n, unit(inBytes), f.Limit), Hint: "shorten it"}}
	}
	return nil
}

func unit(bytes bool) string {
	if bytes {
		return "bytes"
	}
	return "characters"
}

// typeName is a field's type with its article, for a sentence.
func typeName(f connectors.Field) string {
	switch f.Type {
	case connectors.Integer:
		return "a whole number"
	case connectors.Number:
		return "a number"
	case connectors.Boolean:
		return "true or false"
	case connectors.Time:
		return "a time"
	case connectors.List:
		return "a list"
	case connectors.Map:
		return "keys and values"
	}
	return string(f.Type)
}

func typeOf(v any) string {
	switch v := v.(type) {
	case int64, float64, json.Number:
		return rule.FormatValue(v)
	case bool:
		return "true or false"
	case string:
		return "text"
	case []any:
		return "a list"
	case map[string]any:
		return "keys and values"
	}
	return fmt.Sprintf("a %T", v)
}

func fieldNamed(fields []connectors.Field, name string) (connectors.Field, bool) {
	for _, f := range fields {
		if f.Name == name {
			return f, true
		}
	}
	return connectors.Field{}, false
}

func namesOf(fields []connectors.Field) []string {
	var names []string
	for _, f := range fields {
		names = append(names, f.Name)
	}
	return names
}

// itemField is what the items of a list field are.
func itemField(f connectors.Field) connectors.Field {
	if f.Type == connectors.List && f.Items != nil {
		return *f.Items
	}
	return connectors.Field{Type: connectors.Any}
}

// checkKey reports a key that the target would not take, whatever its value.
func checkKey(key string, f connectors.Field, path Path) []Problem {
	if f.Type != connectors.Map {
		return nil
	}
	if _, ok := fieldNamed(f.Fields, key); ok {
		return nil
	}
	problem := func(text, hint string) []Problem {
		return []Problem{{Path: path.at(key), Offset: -1, Text: text, Hint: hint}}
	}
	if slices.ContainsFunc(f.NotKeys, func(taken string) bool { return strings.EqualFold(taken, key) }) {
		return problem(fmt.Sprintf("key %s is not for a mapping to set", quoted(key)), "leave it out: it is set, or not sent at all")
	}
	if f.Keys == "" {
		return nil
	}
	pattern, err := regexp.Compile(`^(?:` + f.Keys + `)$`)
	switch {
	case err != nil:
		return problem(fmt.Sprintf("the pattern for keys of %q is wrong: %v", f.Name, err), "leave it out; the connector is wrong here")
	case !pattern.MatchString(key):
		return problem(fmt.Sprintf("%s cannot be a key of %q", quoted(key), f.Name), "write another key: "+f.Doc)
	}
	return nil
}

// keyField is what a key of a map field is; not ok if it may not be there.
func keyField(f connectors.Field, key string) (connectors.Field, bool) {
	if f.Type == connectors.Map {
		if field, ok := fieldNamed(f.Fields, key); ok {
			return field, true
		}
		if f.Items != nil {
			return *f.Items, true
		}
		if len(f.Fields) > 0 {
			return connectors.Field{}, false
		}
	}
	return connectors.Field{Type: connectors.Any}, true
}
