// This file removes fields of a conversation by their path, such as visitor.ip, pages or visitor.vars.plan.

package pipeline

import (
	"reflect"
	"slices"
	"strings"

	"github.com/afterchat/afterchat/internal/chat"
)

// dropPath is the path of a field by its JSON names. Below a list it means the field of every item; below a map the
// rest of the path are keys, which may be there or not.
type dropPath []string

// kept are the fields that cannot be dropped: without them a delivery is not recognized or a message has no sense.
func kept() []string {
	return []string{"id", "source", "platform", "revision", "outcome", "visitor", "transcript", "messages.role"}
}

// newDropPath checks a path. The problem has no path yet.
func newDropPath(path string) (dropPath, *Problem) {
	steps := strings.Split(path, ".")
	if slices.Contains(kept(), path) {
		hint := "leave it out: a delivery is not recognized or a message makes no sense without it"
		if path == "visitor" {
			hint = "drop single fields, such as visitor.ip"
		}
		return nil, &Problem{Offset: -1, Text: quoted(path) + " cannot be dropped", Hint: hint}
	}
	t := reflect.TypeFor[chat.Conversation]()
	offset := 0
	for _, step := range steps {
		for t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.Kind() == reflect.Map {
			break
		}
		names := fieldNames(t)
		i := slices.Index(names, step)
		if i < 0 {
			text, hint := unknown("field", step, names)
			return nil, &Problem{Offset: offset, Text: text, Hint: hint}
		}
		t = t.Field(i).Type
		offset += len(step) + 1
	}
	return steps, nil
}

// fieldNames returns the JSON names of a struct's fields by index, none for a type that is one value, such as a time.
func fieldNames(t reflect.Type) []string {
	if t.Kind() != reflect.Struct {
		return nil
	}
	var names []string
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" {
			return nil
		}
		names = append(names, name)
	}
	return names
}

// apply removes the field from c, whose lists and maps are its own. An address that could not be read goes with the
// address.
func (p dropPath) apply(c *chat.Conversation) {
	dropField(reflect.ValueOf(c).Elem(), p)
	if slices.Equal(p, dropPath{"visitor", "email"}) {
		c.Person.EmailRaw = ""
	}
}

func dropField(v reflect.Value, path []string) {
	switch v.Kind() {
	case reflect.Slice:
		for i := range v.Len() {
			dropField(v.Index(i), path)
		}
	case reflect.Map:
		dropKey(v, path)
	case reflect.Struct:
		i := slices.Index(fieldNames(v.Type()), path[0])
		if i < 0 {
			return
		}
		if len(path) == 1 {
			v.Field(i).SetZero()
			return
		}
		dropField(v.Field(i), path[1:])
	default: // nothing below it
	}
}

// dropKey removes a key of a map of variables, or of one nested in it. A key with dots in it is found, too.
func dropKey(m reflect.Value, path []string) {
	whole := reflect.ValueOf(strings.Join(path, "."))
	if m.MapIndex(whole).IsValid() {
		m.SetMapIndex(whole, reflect.Value{})
		return
	}
	item := m.MapIndex(reflect.ValueOf(path[0]))
	if nested, ok := interfaceOf(item).(map[string]any); ok && len(path) > 1 {
		dropKey(reflect.ValueOf(nested), path[1:])
	}
}

func interfaceOf(v reflect.Value) any {
	if !v.IsValid() {
		return nil
	}
	return v.Interface()
}
