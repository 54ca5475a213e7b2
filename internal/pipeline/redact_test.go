// This file checks that redaction reaches every text of a conversation and nothing else.

package pipeline

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/afterchat/afterchat/internal/chat"
)

// spared are the texts that finders never change: ids, codes and names of the configuration.
func spared() []string {
	return []string{
		"id", "source", "platform", "brand", "account", "external_id", "outcome",
		"visitor.id", "visitor.country_code", "agents.id",
		"messages.stamp", "messages.role", "messages.author_id", "messages.event", "messages.files.type",
	}
}

// fill sets every text below v, and one item of every list and map, to text.
func fill(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Interface:
		v.Set(reflect.ValueOf([]any{text, map[string]any{"k": text}}))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), text)
	case reflect.Map:
		item := reflect.New(v.Type().Elem()).Elem()
		fill(item, text)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("key"), item)
	case reflect.Struct:
		for _, field := range v.Fields() {
			if field.CanSet() {
				fill(field, text)
			}
		}
	}
}

// leaves calls visit for every text and number in JSON, with its path without indexes.
func leaves(v any, path string, visit func(path, text string)) {
	switch v := v.(type) {
	case string:
		visit(path, v)
	case json.Number:
		visit(path, v.String())
	case []any:
		for _, item := range v {
			leaves(item, path, visit)
		}
	case map[string]any:
		for key, item := range v {
			visit(path, key)
			leaves(item, strings.TrimPrefix(path+"."+key, "."), visit)
		}
	}
}

func asJSON(t testing.TB, v any) any {
	t.Helper()
	var out any
	if err := decodeJSON([]byte(encoded(t, v)), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRedactReachesEveryText(t *testing.T) {
	t.Parallel()
	const card = "4111 1111 1111 1111"
	c := &chat.Conversation{}
	fill(reflect.ValueOf(c).Elem(), card)
	r, _ := newRedaction(Redaction{Find: []Find{{Name: "card"}}})
	before := encoded(t, c)
	var left []string
	leaves(asJSON(t, redact(c, []*redaction{r})), "", func(path, text string) {
		if strings.Contains(text, card) {
			left = append(left, path)
		}
	})
	slices.Sort(left)
	want := slices.Sorted(slices.Values(spared()))
	if diff := cmp.Diff(want, slices.Compact(left)); diff != "" {
		t.Errorf("texts that kept a card (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, encoded(t, c)); diff != "" {
		t.Errorf("redact changed the conversation itself:\n%s", diff)
	}
}

func TestRedactSparesIdentity(t *testing.T) {
	t.Parallel()
	c := &chat.Conversation{Person: chat.Person{
		Name: "jana@example.com", Email: "jana@example.com", Phone: luhn("491511234567"), IP: "192.0.2.17",
		UserAgent: "Mozilla/5.0 Chrome/120.0.0.0 Safari/537.36",
	}}
	c.Normalize()
	if diff := cmp.Diff(c, redact(c, []*redaction{everything(t)})); diff != "" {
		t.Errorf("identity changed (-want +got):\n%s", diff)
	}
	c.Person.Name, c.Person.Phone = "DE89 3704 0044 0532 0130 00", "4111111111111111"
	clean := redact(c, []*redaction{everything(t)})
	if clean.Person.Name != removed || clean.Person.Phone != removed {
		t.Errorf("an account and a card as identity became %q and %q", clean.Person.Name, clean.Person.Phone)
	}
}

func conversations() *rapid.Generator[*chat.Conversation] {
	return rapid.Custom(func(t *rapid.T) *chat.Conversation {
		text := numbers()
		c := &chat.Conversation{ID: "c1", Source: "shop", Question: text.Draw(t, "question"), RatingComment: text.Draw(t, "comment")}
		c.Person.Name, c.Person.Note = text.Draw(t, "name"), text.Draw(t, "note")
		c.Person.Vars = map[string]any{text.Draw(t, "key"): []any{text.Draw(t, "var"), json.Number("4111111111111111")}}
		c.Extra = map[string]any{"x": map[string]any{text.Draw(t, "key"): text.Draw(t, "extra")}}
		for range rapid.IntRange(1, 3).Draw(t, "messages") {
			c.Messages = append(c.Messages, chat.Message{Role: chat.Visitor, Author: text.Draw(t, "author"), Text: text.Draw(t, "text")})
		}
		c.Pages = []chat.Page{{URL: "https://x.example/?q=" + text.Draw(t, "page")}}
		c.Normalize()
		return c
	})
}

// TestNothingSurvivesRendering looks for cards and IBANs in everything that a target would get.
func TestNothingSurvivesRendering(t *testing.T) {
	t.Parallel()
	d := testDefinition(t, []byte(`{
		"redact": {"cards": {"find": [{"name": "card"}, {"name": "iban"}], "replace": ""}},
		"routes": [{"name": "all", "to": [{"target": "log", "redact": ["cards"]}]}]}`))
	p, problems := Compile(d, testTargets(t), testSources())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	rapid.Check(t, func(rt *rapid.T) {
		rendered, err := p.Map(conversations().Draw(rt, "conversation"), "log", []string{"all"})
		if err != nil {
			rt.Fatal(err)
		}
		leaves(asJSON(t, rendered.Fields), "", func(path, text string) {
			if card := holdsCard(text); card != "" {
				rt.Errorf("%s holds the card %q: %q", path, card, text)
			}
			if found := findIBANs(text); len(found) > 0 {
				rt.Errorf("%s holds an IBAN: %q", path, text)
			}
		})
	})
}

func TestRedactTwiceIsOnce(t *testing.T) {
	t.Parallel()
	all := []*redaction{everything(t)}
	rapid.Check(t, func(rt *rapid.T) {
		once := redact(conversations().Draw(rt, "conversation"), all)
		if diff := cmp.Diff(once, redact(once, all)); diff != "" {
			rt.Fatalf("redacted again:\n%s", diff)
		}
	})
}

// TestDropEveryPath drops each field of a conversation and looks whether it is gone and nothing else is.
func TestDropEveryPath(t *testing.T) {
	t.Parallel()
	var paths []string
	var collect func(t reflect.Type, prefix string)
	collect = func(t reflect.Type, prefix string) {
		for t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		for _, name := range fieldNames(t) {
			field, _ := t.FieldByNameFunc(func(s string) bool {
				f, _ := t.FieldByName(s)
				tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
				return tag == name
			})
			paths = append(paths, prefix+name)
			collect(field.Type, prefix+name+".")
		}
	}
	collect(reflect.TypeFor[chat.Conversation](), "")
	for _, path := range paths {
		drop, problem := newDropPath(path)
		if slices.Contains(kept(), path) || strings.HasPrefix(path, "transcript.") {
			continue
		}
		if problem != nil {
			t.Errorf("%s: %v", path, problem)
			continue
		}
		c := &chat.Conversation{}
		fill(reflect.ValueOf(c).Elem(), "x")
		drop.apply(c)
		leaves(asJSON(t, c), "", func(at, text string) {
			if (at == path || strings.HasPrefix(at, path+".")) && text == "x" {
				t.Errorf("%s is still there after it was dropped", path)
			}
		})
	}
	for _, path := range kept() {
		if _, problem := newDropPath(path); problem == nil {
			t.Errorf("%s can be dropped", path)
		}
	}
}

func ExamplePipeline_Map() {
	d := Definition{
		Redact:   map[string]Redaction{"cards": {Find: []Find{{Name: "card"}}}},
		Defaults: map[string]Tree{"log": Mapping{{Key: "line", Value: "${messages[0].text}"}}},
		Routes:   []Route{{Name: "all", To: []RouteTarget{{Target: "log", Redact: []string{"cards"}}}}},
	}
	p, problems := Compile(d, []Target{{Name: "log", Fields: lineField()}}, nil)
	if len(problems) > 0 {
		fmt.Println(problems)
		return
	}
	c := &chat.Conversation{Messages: []chat.Message{{Role: chat.Visitor, Text: "I paid with 4111 1111 1111 1111"}}}
	matches, err := p.Route(c)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range matches {
		rendered, err := p.Map(c, m.Target, m.Routes)
		fmt.Println(m.Target, rendered.Fields["line"], err)
	}
	// Output: log I paid with [removed] <nil>
}
