// This file declares connector types: what check, the JSON Schema, the documentation and the engine know of a kind of
// target before one exists.

package connectors

import (
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"time"
)

// Type is a kind of target, made by Define.
type Type struct {
	name     string
	doc      string
	mapping  string
	alert    string
	settings func() any
	warnings func(any) []*SettingError
	fields   func(any) []Field
	once     func(any) Once
	vet      func(any, map[string]any) []FieldError
	open     func(any, Env) (Connector, error)
}

// Definition declares a type with settings S, a struct.
//
// Every exported field of S is one setting. Its tags say the rest: `yaml:"name"` (required; the key in snake_case),
// `doc:"one sentence"`, `enum:"a,b"`, `required:"true"`, `example:"…"`. Known kinds: string, bool, int, int64, float64,
// time.Duration (written 30s, 5m, 72h), any encoding.TextUnmarshaler (a secret among them), slices, maps with string
// keys, nested structs and pointers to them (nil: not set). S may have a method Validate() error; it returns
// *SettingError values, joined with errors.Join, so that each is shown at its line.
type Definition[S any] struct {
	Doc      string                          // one sentence: what it puts where
	Defaults S                               // what a setting is when the file does not say
	Fields   func(S) []Field                 // what a mapping may fill; may depend on the settings
	Once     func(S) Once                    // what holds "one object"
	Mapping  string                          // the default mapping: YAML of field: value, expressions in ${ }
	Alert    string                          // the mapping of an alert that the file maps nothing for, over the default one; its text is in question and messages
	New      func(S, Env) (Connector, error) // does no I/O
	Warnings func(S) []*SettingError         // what works and should be changed, with its hint; nil: nothing

	// Vet reports what a mapping could never be sent with, see Type.Vet. nil: nothing.
	Vet func(s S, fields map[string]any) []FieldError
}

// Define makes a Type. It panics on a definition that cannot work, which a test of the type finds at once.
func Define[S any](name string, d Definition[S]) Type {
	if name == "" || d.Doc == "" || d.Fields == nil || d.Once == nil || d.New == nil {
		panic(fmt.Sprintf("connector type %q: name, Doc, Fields, Once and New are required", name))
	}
	if reflect.TypeFor[S]().Kind() != reflect.Struct {
		panic(fmt.Sprintf("connector type %q: settings must be a struct", name))
	}
	return Type{
		name: name, doc: d.Doc, mapping: d.Mapping, alert: d.Alert,
		settings: func() any { s := clone(reflect.ValueOf(d.Defaults)).Interface().(S); return &s },
		fields:   func(s any) []Field { return d.Fields(*s.(*S)) },
		once:     func(s any) Once { return d.Once(*s.(*S)) },
		warnings: func(s any) []*SettingError {
			if d.Warnings == nil {
				return nil
			}
			return d.Warnings(*s.(*S))
		},
		vet: func(s any, fields map[string]any) []FieldError {
			if d.Vet == nil {
				return nil
			}
			return d.Vet(*s.(*S), fields)
		},
		open: func(s any, env Env) (Connector, error) { return d.New(*s.(*S), env) },
	}
}

// Name returns the name as in a target's type:.
func (t Type) Name() string { return t.name }

// Doc returns one sentence on the type.
func (t Type) Doc() string { return t.doc }

// Mapping returns the default mapping as YAML text.
func (t Type) Mapping() string { return t.mapping }

// Alert returns the mapping of an alert as YAML text, "" if the default mapping does for it.
func (t Type) Alert() string { return t.alert }

// Settings returns a pointer to a fresh settings struct that holds the defaults. The other methods take such a pointer.
func (t Type) Settings() any { return t.settings() }

// Validate checks settings as a whole; nil if they can work.
func (t Type) Validate(settings any) error {
	if v, ok := settings.(interface{ Validate() error }); ok {
		return v.Validate()
	}
	return nil
}

// Warnings returns what an operator should change in settings that work: check shows them, serve logs them. Settings in
// which Validate finds mistakes are not asked for.
func (t Type) Warnings(settings any) []*SettingError { return t.warnings(settings) }

// Fields returns what a mapping may fill.
func (t Type) Fields(settings any) []Field { return t.fields(settings) }

// Once returns what holds "one object" with these settings.
func (t Type) Once(settings any) Once { return t.once(settings) }

// Open makes the connector. It does no I/O.
func (t Type) Open(settings any, env Env) (Connector, error) { return t.open(settings, env) }

// Env is what the gateway gives a connector.
type Env struct {
	Target    string            // the target's name in the configuration
	Folder    string            // folder of the configuration file, for relative paths
	Version   string            // of afterchat, for a User-Agent
	Timeout   time.Duration     // of one Push, for a connector that makes several requests; the ctx ends then too
	Logger    *slog.Logger      // never nil; each of its lines names the target
	Transport http.RoundTripper // nil: the connector's own; tests put a fake vendor here

	// Wrap goes around the transport that is used, whichever it is, to watch requests; it leaves them as they are.
	// nil: nobody watches.
	Wrap func(http.RoundTripper) http.RoundTripper
}

// SettingError says which setting is wrong and why.
type SettingError struct {
	Key     string // path of the key below the target, such as oauth.client_id
	Problem string // what is wrong
	Hint    string // how it would be right; may be ""
}

func (e *SettingError) Error() string {
	if e.Hint == "" {
		return e.Key + ": " + e.Problem
	}
	return e.Key + ": " + e.Problem + "; " + e.Hint
}

// FieldType is the type of a field's value after mapping.
type FieldType string

// The field types and the Go types that Record.Fields holds for them.
const (
	Text    FieldType = "text"    // string
	HTML    FieldType = "html"    // string of markup; text mapped into it was escaped
	Integer FieldType = "integer" // int64, or json.Number if it does not fit
	Number  FieldType = "number"  // float64 or int64
	Boolean FieldType = "boolean" // bool
	Time    FieldType = "time"    // time.Time in UTC
	List    FieldType = "list"    // []any
	Map     FieldType = "map"     // map[string]any
	Any     FieldType = "any"     // any of these, nested; json.Number, nil
)

// Field is one thing that a mapping may fill.
type Field struct {
	Name     string
	Type     FieldType
	Doc      string   // one sentence
	Required bool     // a mapping must give it a value that cannot be absent
	Limit    int      // Text: most characters; HTML and List: most bytes or items; 0: no limit. Longer values are cut, visibly
	Bytes    bool     // Limit counts bytes of UTF-8 instead of characters
	Values   []string // Text: the only values allowed; empty: any
	NoGaps   bool     // List and Any: no item of a list may be absent, for leaving it out changes what the others mean
	Items    *Field   // List: what each item is; Map: what each value is; nil: anything
	Fields   []Field  // Map: the keys that it may have; empty: any
	Keys     string   // Map: an RE2 pattern that a key must match as a whole; empty: any. Doc says what keys are
	NotKeys  []string // Map: keys that it must not have, in upper or lower case
	Unused   string   // why it is never sent with these settings, such as: needs mode: import; a route must not map it. "": it is sent
}
