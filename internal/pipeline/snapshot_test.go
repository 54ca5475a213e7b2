// This file checks that a snapshot brings back the same configuration.

package pipeline

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/chat"
)

func lineField() []connectors.Field {
	return []connectors.Field{{Name: "line", Type: connectors.Any}}
}

func trees() *rapid.Generator[Tree] {
	leaf := rapid.OneOf(
		rapid.Just[Tree](nil),
		rapid.Custom(func(t *rapid.T) Tree { return rapid.Bool().Draw(t, "bool") }),
		rapid.Custom(func(t *rapid.T) Tree { return rapid.Int64().Draw(t, "int") }),
		rapid.Custom(func(t *rapid.T) Tree { return rapid.Float64().Draw(t, "float") }),
		rapid.Custom(func(t *rapid.T) Tree { return strings.ReplaceAll(rapid.String().Draw(t, "text"), "${", "") }),
		rapid.SampledFrom([]Tree{"${rating}", "${messages}", "${conversation}", json.Number("12345678901234567890"), json.Number("1.10"), json.Number("-0")}),
	)
	var tree func(depth int) *rapid.Generator[Tree]
	tree = func(depth int) *rapid.Generator[Tree] {
		if depth == 0 {
			return leaf
		}
		return rapid.OneOf(leaf,
			rapid.Custom(func(t *rapid.T) Tree { return rapid.SliceOfN(tree(depth-1), 0, 3).Draw(t, "list") }),
			rapid.Custom(func(t *rapid.T) Tree {
				m := Mapping{}
				for range rapid.IntRange(0, 3).Draw(t, "n") {
					m = append(m, Entry{rapid.StringMatching(`[a-z]{1,3}`).Draw(t, "key"), tree(depth-1).Draw(t, "value")})
				}
				return m
			}))
	}
	return tree(3)
}

func TestSnapshotRendersTheSame(t *testing.T) {
	t.Parallel()
	targets := []Target{{Name: "log", Fields: lineField()}}
	c := testConversation(t, nil)
	rapid.Check(t, func(rt *rapid.T) {
		d := Definition{
			Defaults: map[string]Tree{"log": Mapping{{"line", trees().Draw(rt, "default")}}},
			Routes:   []Route{{Name: "r", Hold: time.Second, To: []RouteTarget{{Target: "log", Fields: Mapping{{"line", trees().Draw(rt, "route")}}}}}},
		}
		p, problems := Compile(d, targets, nil)
		if len(problems) > 0 {
			rt.Fatal(problems)
		}
		again, err := Open(p.Snapshot(), targets)
		if err != nil {
			rt.Fatal(err)
		}
		for _, routes := range [][]string{nil, {"r"}} {
			one, err := p.Map(c, "log", routes)
			two, err2 := again.Map(c, "log", routes)
			if err != nil || err2 != nil {
				rt.Fatal(err, err2)
			}
			if diff := cmp.Diff(encoded(t, one), encoded(t, two)); diff != "" {
				rt.Fatalf("rendered otherwise:\n%s", diff)
			}
		}
		if second, _ := build(mustParse(rt, p.Snapshot()), targets, nil, false); second.Hash() != p.Hash() {
			rt.Fatalf("%s became %s", p.Snapshot(), second.Snapshot())
		}
	})
}

func mustParse(t *rapid.T, snapshot []byte) Definition {
	d, err := parseDefinition(snapshot)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestOpen(t *testing.T) {
	t.Parallel()
	c := testConversation(t, nil)
	targets := testTargets(t)
	d := testDefinition(t, []byte(`{"redact": {"cards": {"find": [{"name": "card"}], "replace": ""}}, "routes": [
		{"name": "a", "to": [{"target": "log"}, {"target": "crm", "fields": {"title": "t"}}]},
		{"name": "b", "when": "rating == 2", "to": [{"target": "help", "redact": ["cards"], "fields": {"priority": "high"}}]}]}`))
	p, problems := Compile(d, targets, testSources())
	if len(problems) > 0 {
		t.Fatal(problems)
	}

	t.Run("renamed and changed targets", func(t *testing.T) {
		t.Parallel()
		var today []Target
		for _, target := range targets {
			switch target.Name {
			case "log":
				target.Name, target.Was = "audit", []string{"log"}
			case "help":
				target.Fields = target.Fields[:2] // priority is gone
			case "crm":
				continue // removed
			}
			today = append(today, target)
		}
		old, err := Open(p.Snapshot(), today)
		if err != nil {
			t.Fatal(err)
		}
		if old.Hash() != p.Hash() {
			t.Error("the hash changed with the targets")
		}
		if _, err := old.Map(c, "audit", []string{"a"}); err != nil {
			t.Errorf("a renamed target: %v", err)
		}
		var failed *MappingError
		if _, err := old.Map(c, "help", []string{"b"}); !errors.As(err, &failed) || failed.Route != "b" {
			t.Errorf("a field that is gone gave %v", err)
		}
		if _, err := old.Map(c, "crm", []string{"a"}); !errors.Is(err, ErrUnknownTarget) {
			t.Errorf("a removed target gave %v", err)
		}
		if old.Has("crm", []string{"a"}) || !old.Has("audit", []string{"a"}) || old.Has("audit", []string{"b"}) {
			t.Error("Has is wrong about renamed or removed targets")
		}
	})
	t.Run("not a snapshot", func(t *testing.T) {
		t.Parallel()
		for _, bad := range []string{"", "{", "[]", `{"defaults": {"x": [}}`, `{"routes": [{"to": [{"fields": []}]}]}`} {
			if _, err := Open([]byte(bad), targets); !errors.Is(err, ErrSnapshot) {
				t.Errorf("Open(%q) gave %v", bad, err)
			}
		}
	})
	t.Run("unknown route", func(t *testing.T) {
		t.Parallel()
		for _, routes := range [][]string{{"gone"}, {"a", "b"}} {
			if _, err := p.Map(c, "log", routes); !errors.Is(err, ErrUnknownRoute) {
				t.Errorf("routes %v gave %v", routes, err)
			}
		}
	})
	t.Run("a condition that cannot be compiled is no silent miss", func(t *testing.T) {
		t.Parallel()
		old, err := Open([]byte(strings.Replace(string(p.Snapshot()), "rating == 2", "rating ==", 1)), targets)
		if err != nil {
			t.Fatal(err)
		}
		matches, err := old.Route(c)
		var failed *RouteError
		if !errors.As(err, &failed) || failed.Route != "b" || len(matches) == 0 {
			t.Errorf("Route gave %v, %v", matches, err)
		}
		if explained := old.Explain(c).Routes[1]; explained.Matched || explained.Error == "" {
			t.Errorf("Explain gave %+v", explained)
		}
	})
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte(`{"routes":[{"name":"r","when":"rating < 2","to":[{"target":"log","fields":{"line":["${x}"]}}]}],"defaults":{"log":{"line":1}}}`))
	targets := []Target{{Name: "log", Fields: lineField()}}
	c := &chat.Conversation{Source: "shop", Messages: []chat.Message{{Role: chat.Visitor, Text: "hello"}}}
	f.Fuzz(func(t *testing.T, snapshot []byte) {
		p, err := Open(snapshot, targets)
		if err != nil {
			return
		}
		first, second := encoded(t, p.Explain(c)), encoded(t, p.Explain(c))
		if first != second {
			t.Errorf("explained as %s and as %s", first, second)
		}
	})
}

func TestTooCostlyIsNoMiss(t *testing.T) {
	t.Parallel()
	const hostile = `{"routes": [
		{"name": "first", "to": [{"target": "log"}]},
		{"name": "hostile", "when": "let v = visitor.name; any(messages, let m = .text; len(split(trim(v, m), \"\")) == 1)", "to": [{"target": "log"}]},
		{"name": "last", "to": [{"target": "help"}]}]}`
	d := testDefinition(t, []byte(hostile))
	p, problems := Compile(d, testTargets(t), testSources())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	c := testConversation(t, nil)
	c.Messages = make([]chat.Message, 5000)
	for i := range c.Messages {
		c.Messages[i] = chat.Message{Role: chat.Visitor, Text: "x"}
	}
	c.Person.Name = strings.Repeat("abc ", 1<<18)
	matches, err := p.Route(c)
	var failed *RouteError
	want := []Match{{Target: "log", Routes: []string{"first", "undecided: hostile"}}, {Target: "help", Routes: []string{"last"}}}
	if diff := cmp.Diff(want, matches); diff != "" || !errors.As(err, &failed) || failed.Route != "hostile" {
		t.Errorf("Route gave %v:\n%s", err, diff)
	}
	if !p.Has("log", matches[0].Routes) {
		t.Error("an undecided route still names its target")
	}
	var refused *MappingError
	if _, err := p.Map(c, "log", matches[0].Routes); !errors.As(err, &refused) || refused.Route != "hostile" {
		t.Errorf("Map gave %v", err)
	}
	if _, err := p.Map(c, "help", matches[1].Routes); err != nil {
		t.Errorf("the other target: %v", err)
	}
	// The condition is mended: a replay does what it says.
	for when, want := range map[string]error{`source == \"shop\"`: nil, `source == \"desk\"`: ErrNoMatch} {
		d := testDefinition(t, []byte(strings.Replace(hostile, `let v = visitor.name; any(messages, let m = .text; len(split(trim(v, m), \"\")) == 1)`, when, 1)))
		mended, problems := Compile(d, testTargets(t), testSources())
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		if _, err := mended.Map(c, "log", matches[0].Routes); !errors.Is(err, want) {
			t.Errorf("%s: Map gave %v, want %v", when, err, want)
		}
	}
}

// Text that grows beyond the bounds of an expression is cut, and the delivery says so.
func TestGrownTextIsTold(t *testing.T) {
	t.Parallel()
	d := testDefinition(t, []byte(`{"routes": [{"name": "r", "to": [{"target": "log", "fields": {"line": {"t": "${replace(transcript.text, \"\", transcript.text)}"}}}]}]}`))
	p, problems := Compile(d, testTargets(t), testSources())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	c := testConversation(t, nil)
	c.Messages = []chat.Message{{Role: chat.Visitor, Text: strings.Repeat("x", 3600)}}
	got, err := p.Map(c, "log", []string{"r"})
	if err != nil {
		t.Fatal(err)
	}
	line, _ := got.Fields["line"].(map[string]any)
	if text, _ := line["t"].(string); !strings.HasSuffix(text, "[…]") || len(got.Cut) != 1 || !strings.HasPrefix(got.Cut[0], "line.t: expressions made more than ") {
		t.Errorf("%d bytes of text, cut: %q", len(text), got.Cut)
	}
}

func TestRouteTellsOfIgnoredUpdates(t *testing.T) {
	t.Parallel()
	p, problems := Compile(testDefinition(t, []byte(`{}`)), testTargets(t), testSources())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	matches, err := p.Route(testConversation(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range matches {
		if m.IgnoreUpdates != (m.Target == "slack") {
			t.Errorf("%s: IgnoreUpdates is %v", m.Target, m.IgnoreUpdates)
		}
	}
}
