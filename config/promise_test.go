// This file holds the promise of check for what users start from: every example and every default mapping renders on
// any conversation.

package config

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/builtin"
	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/chat/chattest"
	"github.com/afterchat/afterchat/internal/pipeline"
	"github.com/afterchat/afterchat/internal/pipeline/pipelinetest"
)

// promised is something that renders: a pipeline with the declared fields of its targets.
type promised struct {
	name     string
	pipeline *pipeline.Pipeline
	sources  []Source
	fields   map[string][]connectors.Field
	routes   map[string][]string // by target: all that name it
}

// TestPromise renders random conversations with every example and default mapping: 20 conversations a check, so 2,000
// in an ordinary run; -rapid.checks=5000 makes it 100,000.
func TestPromise(t *testing.T) {
	t.Parallel()
	all := append(promisedExamples(t), promisedDefaults(t)...)
	rapid.Check(t, func(t *rapid.T) {
		for range 20 {
			c := chattest.Conversation().Draw(t, "conversation")
			chosen := rapid.Uint64().Draw(t, "routes")
			for _, p := range all {
				if err := p.keep(c, chosen); err != nil {
					t.Fatalf("%s: %v", p.name, err)
				}
			}
		}
	})
}

// TestPromiseOfLength renders conversations of many messages.
func TestPromiseOfLength(t *testing.T) {
	t.Parallel()
	all := append(promisedExamples(t), promisedDefaults(t)...)
	for _, n := range []int{1, 1_000, 10_000} {
		c := chattest.Many(n)
		for _, p := range all {
			if err := p.keep(c, 1<<64-1); err != nil {
				t.Errorf("%d messages, %s: %v", n, p.name, err)
			}
		}
	}
}

// keep routes and maps a conversation: what matches together, and for each target some of the routes that name it,
// whether they match or not. chosen says which.
func (p *promised) keep(c *chat.Conversation, chosen uint64) error {
	here := *c
	if len(p.sources) > 0 {
		s := p.sources[chosen%uint64(len(p.sources))]
		here.Source, here.Brand, here.Platform = s.Name, s.Brand, s.Type
	}
	matches, err := p.pipeline.Route(&here)
	if err != nil {
		return err
	}
	for target, routes := range p.routes {
		var some []string
		for i, r := range routes {
			if chosen>>(8+i)&1 == 1 {
				some = append(some, r)
			}
		}
		if len(some) == 0 {
			some = routes
		}
		matches = append(matches, pipeline.Match{Target: target, Routes: some})
	}
	for _, m := range matches {
		rendered, err := p.pipeline.Map(&here, m.Target, m.Routes)
		if err == nil {
			err = pipelinetest.CheckFields(p.fields[m.Target], rendered.Fields)
		}
		if err != nil {
			return fmt.Errorf("target %s, routes %q: %w", m.Target, m.Routes, err)
		}
	}
	return nil
}

func promisedExamples(t *testing.T) []*promised {
	t.Helper()
	env := Environment{
		LookupEnv: func(name string) (string, bool) {
			if strings.Contains(name, "URL") || strings.Contains(name, "WEBHOOK") {
				return "https://example.com/0123456789abcdef", true
			}
			return "0123456789abcdef", true
		},
		ReadFile: func(path string) ([]byte, error) {
			if strings.HasPrefix(path, "/run/secrets/") {
				return []byte("0123456789abcdef"), nil
			}
			return os.ReadFile(path)
		},
	}
	known := Known{Targets: builtin.Types(), Sources: []SourceType{{Name: "proprofs", NeedsTimeZone: true}, {Name: "smartsupp"}}}
	names, err := filepath.Glob("examples/*.yaml")
	names = append(names, "examples/split/afterchat.yaml")
	if err != nil || len(names) == 0 {
		t.Fatal("no examples", err)
	}
	var out []*promised
	for _, name := range names {
		c, err := Load(name, known, env)
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		p := &promised{name: name, pipeline: c.Pipeline, sources: c.Sources, fields: map[string][]connectors.Field{}, routes: map[string][]string{}}
		for _, target := range c.Targets {
			p.fields[target.Name] = target.Type.Fields(target.Settings)
			p.routes[target.Name] = nil
		}
		for _, r := range c.Definition.Routes {
			for _, to := range r.To {
				p.routes[to.Target] = append(p.routes[to.Target], r.Name)
			}
		}
		out = append(out, p)
	}
	return out
}

// promisedDefaults are the default mappings of all types that ship, with the default settings and with those that change
// the fields.
func promisedDefaults(t *testing.T) []*promised {
	t.Helper()
	var out []*promised
	for _, typ := range builtin.Types() {
		for name, settings := range variants(typ) {
			fields := typ.Fields(settings)
			mapping, err := defaultMapping(typ, fields)
			if err != nil {
				t.Fatal(err)
			}
			d := pipeline.Definition{Defaults: map[string]pipeline.Tree{"help": mapping}}
			compiled, problems := pipeline.Compile(d, []pipeline.Target{{Name: "help", Fields: fields}}, []string{"shop", "desk"})
			if len(problems) > 0 {
				if name == typ.Name() {
					t.Errorf("default mapping of %s: %v", name, problems)
				}
				continue // check says so: these settings need a mapping of one's own
			}
			out = append(out, &promised{
				name: "default mapping of " + name, pipeline: compiled,
				fields: map[string][]connectors.Field{"help": fields}, routes: map[string][]string{"help": nil},
			})
		}
	}
	slices.SortFunc(out, func(a, b *promised) int {
		if a.name < b.name {
			return -1
		}
		return 1
	})
	return out
}

// variants returns settings by name: the defaults, and each value of a setting that has a few, if it changes the fields.
func variants(typ connectors.Type) map[string]any {
	out := map[string]any{typ.Name(): typ.Settings()}
	for _, f := range fieldsOf(reflect.TypeOf(typ.Settings()).Elem()) {
		values := f.enum
		if f.typ.Kind() == reflect.Bool {
			values = []string{"true", "false"}
		}
		for _, value := range values {
			settings := typ.Settings()
			hint := (&decoder{}).set(value, reflect.ValueOf(settings).Elem().FieldByIndex(f.index))
			if hint == "" && !reflect.DeepEqual(typ.Fields(settings), typ.Fields(typ.Settings())) {
				out[fmt.Sprintf("%s with %s: %s", typ.Name(), f.key, value)] = settings
			}
		}
	}
	return out
}
