// This file tests the contract's own small functions.

package connectors_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/connectors"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	known := &connectors.Error{Kind: connectors.Denied, Hint: "hint", Err: fs.ErrPermission}
	wrapped := fmt.Errorf("push: %w", known)
	plain := errors.New("plain")
	if connectors.Classify(nil) != nil {
		t.Error("nil does not stay nil")
	}
	if got := connectors.Classify(wrapped); got != known {
		t.Errorf("got %+v", got)
	}
	if got := connectors.Classify(errors.Join(plain, wrapped)); got != known {
		t.Errorf("got %+v", got)
	}
	if got := connectors.Classify(plain); got.Kind != connectors.Temporary || !got.Uncertain || !errors.Is(got, plain) {
		t.Errorf("got %+v", got)
	}
	if !errors.Is(wrapped, fs.ErrPermission) {
		t.Error("the cause cannot be found")
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	var kinds, onces []string
	for k := connectors.Temporary; k <= connectors.Denied+1; k++ {
		kinds = append(kinds, k.String())
	}
	for o := connectors.OnceNone; o <= connectors.OnceUpsert+1; o++ {
		onces = append(onces, o.String())
	}
	if diff := cmp.Diff([]string{"temporary", "throttled", "rejected", "denied", "unknown"}, kinds); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"none", "lookup", "key", "upsert", "unknown"}, onces); diff != "" {
		t.Errorf("onces (-want +got):\n%s", diff)
	}
	for want, e := range map[string]*connectors.Error{
		"denied": {Kind: connectors.Denied, Hint: "hint"},
		"no":     {Kind: connectors.Denied, Err: errors.New("no")},
	} {
		if e.Error() != want {
			t.Errorf("%+v says %q", e, e.Error())
		}
	}
	for want, e := range map[string]*connectors.SettingError{
		"url: is missing":                {Key: "url", Problem: "is missing"},
		"url: is missing; write one":     {Key: "url", Problem: "is missing", Hint: "write one"},
		"oauth.client_id: is not a name": {Key: "oauth.client_id", Problem: "is not a name"},
	} {
		if e.Error() != want {
			t.Errorf("%+v says %q", e, e.Error())
		}
	}
}

func TestReceipt(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]connectors.Receipt{
		`{}`:                     {},
		`{"id":"1"}`:             {ID: "1"},
		`{"url":"u"}`:            {URL: "u"},
		`{"parts":{"note":"2"}}`: {Parts: map[string]string{"note": "2"}},
	} {
		text, err := json.Marshal(r)
		if err != nil || string(text) != want {
			t.Errorf("%+v is stored as %s, %v", r, text, err)
		}
		if r.IsZero() != (want == "{}") {
			t.Errorf("IsZero of %s = %v", want, r.IsZero())
		}
	}
}

type settings struct {
	Name string
}

func (s *settings) Validate() error {
	if s.Name == "" {
		return &connectors.SettingError{Key: "name", Problem: "is missing"}
	}
	return nil
}

type sink struct{ name string }

func (s sink) Push(context.Context, connectors.Record) (connectors.Receipt, error) {
	return connectors.Receipt{ID: s.name}, nil
}

func definition() connectors.Definition[settings] {
	return connectors.Definition[settings]{
		Doc: "a sink", Defaults: settings{Name: "default"}, Mapping: "body: x\n",
		Fields: func(s settings) []connectors.Field { return []connectors.Field{{Name: s.Name}} },
		Once: func(s settings) connectors.Once {
			if s.Name == "default" {
				return connectors.OnceUpsert
			}
			return connectors.OnceNone
		},
		New: func(s settings, env connectors.Env) (connectors.Connector, error) {
			return sink{env.Target + s.Name}, nil
		},
	}
}

func TestDefine(t *testing.T) {
	t.Parallel()
	typ := connectors.Define("sink", definition())
	if typ.Name() != "sink" || typ.Doc() != "a sink" || typ.Mapping() != "body: x\n" {
		t.Errorf("type = %+v", typ)
	}
	s, ok := typ.Settings().(*settings)
	if !ok || s.Name != "default" {
		t.Fatalf("settings = %+v", typ.Settings())
	}
	if typ.Once(s) != connectors.OnceUpsert {
		t.Error("Once does not see the defaults")
	}
	s.Name = "own"
	if typ.Fields(s)[0].Name != "own" || typ.Once(s) != connectors.OnceNone {
		t.Error("Fields and Once do not see the settings")
	}
	if typ.Settings().(*settings).Name != "default" {
		t.Error("a change of settings changed the defaults")
	}
}

func TestVet(t *testing.T) {
	t.Parallel()
	d := definition()
	if got := connectors.Define("sink", d).Vet(&settings{}, nil); got != nil {
		t.Errorf("a type without Vet finds %v", got)
	}
	d.Vet = func(s settings, fields map[string]any) []connectors.FieldError {
		return []connectors.FieldError{{Path: []any{s.Name, len(fields)}}}
	}
	want := []connectors.FieldError{{Path: []any{"own", 1}}}
	if diff := cmp.Diff(want, connectors.Define("sink", d).Vet(&settings{Name: "own"}, map[string]any{"a": 1})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestOpenAndValidate(t *testing.T) {
	t.Parallel()
	typ := connectors.Define("sink", definition())
	s := &settings{Name: "own"}
	c, err := typ.Open(s, connectors.Env{Target: "my-"})
	if err != nil {
		t.Fatal(err)
	}
	if receipt, err := c.Push(t.Context(), connectors.Record{}); receipt.ID != "my-own" || err != nil {
		t.Errorf("receipt = %+v, %v", receipt, err)
	}
	s.Name = ""
	if e, ok := errors.AsType[*connectors.SettingError](typ.Validate(s)); !ok || e.Key != "name" {
		t.Errorf("validate = %v", e)
	}
	if err := typ.Validate(new(int)); err != nil {
		t.Errorf("settings without Validate: %v", err)
	}
}

func TestDefinePanics(t *testing.T) {
	t.Parallel()
	spoil := map[string]func(*connectors.Definition[settings]){
		"no doc":    func(d *connectors.Definition[settings]) { d.Doc = "" },
		"no fields": func(d *connectors.Definition[settings]) { d.Fields = nil },
		"no once":   func(d *connectors.Definition[settings]) { d.Once = nil },
		"no new":    func(d *connectors.Definition[settings]) { d.New = nil },
		"no name":   func(*connectors.Definition[settings]) {},
	}
	for name, change := range spoil {
		d, typ := definition(), "sink"
		if name == "no name" {
			typ = ""
		}
		change(&d)
		wantPanic(t, name, func() { connectors.Define(typ, d) })
	}
	wantPanic(t, "settings are no struct", func() {
		connectors.Define("sink", connectors.Definition[int]{
			Doc:    "x",
			Fields: func(int) []connectors.Field { return nil },
			Once:   func(int) connectors.Once { return connectors.OnceNone },
			New:    func(int, connectors.Env) (connectors.Connector, error) { return nil, nil },
		})
	})
}

func wantPanic(t *testing.T, name string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", name)
		}
	}()
	f()
}

// TestSettingsShareNothing: lists and maps in the defaults must not be shared, or a file that changes them changes the
// defaults of every other target.
func TestSettingsShareNothing(t *testing.T) {
	t.Parallel()
	type nested struct{ M map[string][]string }
	type shared struct {
		List   []string
		P      *nested
		Empty  []string
		closed int
	}
	fresh := func() shared {
		return shared{List: []string{"a"}, P: &nested{map[string][]string{"k": {"v"}}}, closed: 7}
	}
	typ := connectors.Define("sink", connectors.Definition[shared]{
		Doc: "x", Defaults: fresh(),
		Fields: func(shared) []connectors.Field { return nil },
		Once:   func(shared) connectors.Once { return connectors.OnceNone },
		New:    func(shared, connectors.Env) (connectors.Connector, error) { return sink{}, nil },
	})
	first := typ.Settings().(*shared)
	first.List[0] = "changed"
	first.P.M["k"][0] = "changed"
	first.P.M["l"] = nil
	if diff := cmp.Diff(fresh(), *typ.Settings().(*shared), cmp.AllowUnexported(shared{})); diff != "" {
		t.Errorf("the defaults changed (-want +got):\n%s", diff)
	}
}
