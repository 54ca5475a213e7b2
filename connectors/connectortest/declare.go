// This file holds the rules about what a type declares: settings, fields, default mapping, README.

package connectortest

import (
	"encoding"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/afterchat/afterchat/connectors"
)

var (
	snakeCase  = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)*$`)
	mappingKey = regexp.MustCompile(`(?m)^['"]?([^\s#'":]+)['"]?\s*:`)
)

func declareTests() []test {
	return []test{
		{"settings are declared", testSettings},
		{"secrets hold the canary", testCanary},
		{"fields are declared", testFields},
		{"the default mapping fits", testMapping},
		{"README.md names everything", testReadme},
	}
}

func testSettings(t *testing.T, s Suite) {
	if !snakeCase.MatchString(s.Type.Name()) {
		t.Errorf("the type's name %q is not snake_case", s.Type.Name())
	}
	if s.Type.Doc() == "" {
		t.Error("the type has no Doc")
	}
	if a, b := s.Type.Settings(), s.Type.Settings(); a == b {
		t.Error("Settings returns the same struct twice")
	}
	settings := s.Open(t).Settings
	if got, want := reflect.TypeOf(settings), reflect.TypeOf(s.Type.Settings()); got != want {
		t.Fatalf("the suite's settings are %v, want %v", got, want)
	}
	if err := s.Type.Validate(settings); err != nil {
		t.Errorf("the suite's settings are not valid: %v", err)
	}
	keys := settingKeys(t, reflect.TypeOf(settings).Elem(), "")
	for _, key := range keys {
		if !snakeCase.MatchString(key[strings.LastIndex(key, ".")+1:]) {
			t.Errorf("setting %s is not snake_case", key)
		}
	}
	for _, warning := range s.Type.Warnings(settings) {
		if !slices.Contains(keys, warning.Key) || warning.Hint == "" {
			t.Errorf("the warning %q needs the key of a setting and a hint", warning)
		}
	}
}

// settingKeys lists the keys of a settings struct, nested ones with dots, and complains about missing tags.
func settingKeys(t *testing.T, in reflect.Type, prefix string) []string {
	t.Helper()
	var keys []string
	for field := range in.Fields() {
		if !field.IsExported() {
			continue
		}
		key := prefix + field.Tag.Get("yaml")
		if field.Tag.Get("yaml") == "" {
			t.Errorf("settings field %s.%s has no yaml tag", in, field.Name)
		}
		if field.Tag.Get("doc") == "" {
			t.Errorf("setting %s has no doc", key)
		}
		keys = append(keys, key)
		if inner := field.Type; nested(&inner) {
			keys = append(keys, settingKeys(t, inner, key+".")...)
		}
	}
	return keys
}

// nested finds the struct behind pointers, slices and maps. A type that reads itself from text is a scalar.
func nested(in *reflect.Type) bool {
	for {
		if reflect.PointerTo(*in).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
			return false
		}
		switch (*in).Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map:
			*in = (*in).Elem()
		case reflect.Struct:
			return true
		default:
			return false
		}
	}
}

// testCanary walks the settings for values with a Reveal method, so that the search for leaks searches for something.
func testCanary(t *testing.T, s Suite) {
	walkSecrets(t, reflect.ValueOf(s.Open(t).Settings), "settings")
}

func walkSecrets(t *testing.T, v reflect.Value, path string) {
	t.Helper()
	if !v.IsValid() || !v.CanInterface() {
		return
	}
	if held, ok := reflect.TypeAssert[interface{ Reveal() string }](v); ok && v.Kind() != reflect.Pointer {
		if text := held.Reveal(); text != "" && !strings.Contains(text, Canary) {
			t.Errorf("the secret %s does not hold connectortest.Canary", path)
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		walkSecrets(t, v.Elem(), path)
	case reflect.Struct:
		for i := range v.NumField() {
			walkSecrets(t, v.Field(i), path+"."+v.Type().Field(i).Name)
		}
	case reflect.Slice:
		for i := range v.Len() {
			walkSecrets(t, v.Index(i), path)
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			walkSecrets(t, v.MapIndex(key), path+"."+key.String())
		}
	}
}

func testFields(t *testing.T, s Suite) {
	fields := s.Type.Fields(s.Open(t).Settings)
	if len(fields) == 0 {
		t.Fatal("the type declares no fields")
	}
	checkFields(t, fields, "")
	for name := range s.Record(1, 1) {
		if !declared(fields, name) {
			t.Errorf("the suite's record has the field %s, which is not declared", name)
		}
	}
}

func checkFields(t *testing.T, fields []connectors.Field, prefix string) {
	t.Helper()
	seen := map[string]bool{}
	for _, f := range fields {
		name := prefix + f.Name
		if !snakeCase.MatchString(f.Name) {
			t.Errorf("field %s is not snake_case", name)
		}
		if seen[f.Name] {
			t.Errorf("field %s is declared twice", name)
		}
		seen[f.Name] = true
		if f.Doc == "" {
			t.Errorf("field %s has no Doc", name)
		}
		if f.Limit < 0 {
			t.Errorf("field %s has the limit %d", name, f.Limit)
		}
		if _, err := regexp.Compile(f.Keys); err != nil {
			t.Errorf("field %s: Keys: %v", name, err)
		}
		if f.Type != connectors.Map && (f.Keys != "" || len(f.NotKeys) > 0) {
			t.Errorf("field %s is no map and has a rule for keys", name)
		}
		switch f.Type {
		case connectors.Text, connectors.HTML, connectors.Integer, connectors.Number, connectors.Boolean,
			connectors.Time, connectors.List, connectors.Map, connectors.Any:
		default:
			t.Errorf("field %s has the type %q, which does not exist", name, f.Type)
		}
		checkFields(t, f.Fields, name+".")
		if f.Items != nil {
			checkFields(t, f.Items.Fields, name+"[].")
		}
	}
}

func declared(fields []connectors.Field, name string) bool {
	for _, f := range fields {
		if f.Name == name {
			return true
		}
	}
	return false
}

// testMapping reads the keys at the left edge; that is all of YAML that the suite knows.
func testMapping(t *testing.T, s Suite) {
	fields := s.Type.Fields(s.Type.Settings())
	mapped := map[string]bool{}
	for _, match := range mappingKey.FindAllStringSubmatch(s.Type.Mapping(), -1) {
		mapped[match[1]] = true
		if !declared(fields, match[1]) {
			t.Errorf("the default mapping fills %s, which is not declared", match[1])
		}
	}
	for _, f := range fields {
		if f.Required && !mapped[f.Name] {
			t.Errorf("field %s is required and not in the default mapping", f.Name)
		}
	}
}

func testReadme(t *testing.T, s Suite) {
	path := filepath.Join(s.Folder, "README.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("a connector has a README.md: %v", err)
	}
	names := settingKeys(t, reflect.TypeOf(s.Type.Settings()).Elem(), "")
	for _, f := range s.Type.Fields(s.Open(t).Settings) {
		names = append(names, f.Name)
	}
	for _, name := range names {
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("%s does not explain `%s`", path, name)
		}
	}
}
