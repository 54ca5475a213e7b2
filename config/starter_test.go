// This file tests configurations to start from: every source with every target, and every comment in them.

package config_test

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/connectors"
)

// starterKnown has a type with every kind of setting that can be required, beside the types that ship.
func starterKnown() config.Known {
	k := known()
	k.Targets = append(k.Targets, connectors.Define("odd", connectors.Definition[oddSettings]{
		Doc:    "has every kind of setting",
		Fields: func(oddSettings) []connectors.Field { return nil },
		Once:   func(oddSettings) connectors.Once { return connectors.OnceNone },
		New:    func(oddSettings, connectors.Env) (connectors.Connector, error) { return nil, errors.ErrUnsupported },
	}))
	return k
}

type oddSettings struct {
	Name   string            `yaml:"name" required:"true" doc:"a text that needs quotes" example:"it's: #1"`
	Bare   string            `yaml:"bare" required:"true" doc:"a text" example:"x"`
	Kind   string            `yaml:"kind" required:"true" enum:"one,two" doc:"one of several"`
	Count  int               `yaml:"count" required:"true" min:"3" doc:"a number" example:"4"`
	Wait   time.Duration     `yaml:"wait" required:"true" doc:"a duration"`
	Sure   bool              `yaml:"sure" required:"true" doc:"a boolean"`
	Names  []string          `yaml:"names" required:"true" doc:"a list" example:"[a, b]"`
	Labels map[string]string `yaml:"labels" required:"true" doc:"a mapping" example:"{a: b}"`
	Deep   struct {
		Key string `yaml:"key" required:"true" doc:"a text" example:"${env.ODD_DEEP_KEY ?? \"k\"}"`
		Not string `yaml:"not" doc:"a text" example:"n"`
	} `yaml:"deep" required:"true" doc:"a mapping of its own"`
	Way *oddWay `yaml:"way" doc:"one of two ways"`
}

type oddWay struct {
	A string `yaml:"a" doc:"one way" example:"first"`
	B string `yaml:"b" doc:"another way" example:"second"`
}

// Validate wants what no tag can say.
func (s oddSettings) Validate() error {
	if s.Way == nil || s.Way.A == "" {
		return &connectors.SettingError{Key: "way", Problem: "is missing"}
	}
	return nil
}

// variables is an environment with what a starter says that it needs.
func variables(s config.Starter) config.Environment {
	env := environment()
	env.LookupEnv = func(name string) (string, bool) {
		for _, v := range s.Variables {
			if v.Name == name {
				if v.Example == "" {
					return "0123456789abcdef0123", true
				}
				return v.Example, true
			}
		}
		return "", false
	}
	return env
}

func TestStartersPassCheck(t *testing.T) {
	t.Parallel()
	k := starterKnown()
	for _, source := range k.Sources {
		for _, target := range k.Targets {
			t.Run(source.Name+" "+target.Name(), func(t *testing.T) {
				t.Parallel()
				s, err := config.NewStarter(k, []string{source.Name}, []string{target.Name()}, "Europe/Prague")
				if err != nil {
					t.Fatal(err)
				}
				c, err := config.Parse("afterchat.yaml", []byte(s.Text), k, variables(s))
				if err != nil {
					t.Fatalf("%v\n%s", err, s.Text)
				}
				if got := s.Hooks[0]; got.Path != c.Sources[0].Path || c.Sources[0].Secret[0].IsZero() {
					t.Errorf("the hook is %+v, the source %+v", got, c.Sources[0])
				}
				uncommented(t, k, s)
			})
		}
	}
}

// setting is a setting in a comment.
var setting = regexp.MustCompile(`(?m)^( +)#([a-z_]+: .*)$`)

// uncommented uses each setting that stands in a comment, alone. It must be readable; whether it goes with the others
// is the type's to say.
func uncommented(t *testing.T, k config.Known, s config.Starter) {
	t.Helper()
	for _, at := range setting.FindAllStringIndex(s.Text, -1) {
		line := s.Text[at[0]:at[1]]
		text := s.Text[:at[0]] + strings.Replace(line, "#", "", 1) + s.Text[at[1]:]
		env := environment()
		env.LookupEnv = func(string) (string, bool) { return "https://example.com/0123456789abcdef0123", true }
		_, err := config.Parse("afterchat.yaml", []byte(text), k, env)
		for _, wrong := range []string{"unknown", "must be", " is no ", "has no value", "YAML", "needs the key"} {
			if err != nil && strings.Contains(err.Error(), wrong) {
				t.Errorf("%s: %v", strings.TrimSpace(line), err)
			}
		}
	}
	routes := strings.Index(s.Text, "#routes:")
	text := s.Text[:routes] + strings.ReplaceAll("\n"+s.Text[routes:], "\n#", "\n")
	if _, err := config.Parse("afterchat.yaml", []byte(text), k, variables(s)); err != nil {
		t.Errorf("the routes in the comment: %v", err)
	}
}

func TestStarterOfEverything(t *testing.T) {
	t.Parallel()
	k := starterKnown()
	var sources, targets []string
	for _, s := range k.Sources {
		sources = append(sources, s.Name)
	}
	for _, typ := range k.Targets {
		targets = append(targets, typ.Name())
	}
	s, err := config.NewStarter(k, sources, targets, "UTC")
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Hooks) != len(sources) {
		t.Errorf("%d addresses for %d sources", len(s.Hooks), len(sources))
	}
}

func TestStarterIsGolden(t *testing.T) {
	t.Parallel()
	k := starterKnown()
	s, err := config.NewStarter(k, []string{"proprofs"}, []string{"odd", "desk"}, "Asia/Kolkata")
	if err != nil {
		t.Fatal(err)
	}
	text := s.Text + "\n"
	for _, v := range s.Variables {
		text += fmt.Sprintf("%+v\n", v)
	}
	golden(t, "testdata/starter.txt", text+fmt.Sprintln(s.Hooks, s.Examples))
}

func TestStarterErrors(t *testing.T) {
	t.Parallel()
	k := starterKnown()
	for _, test := range []struct{ source, target, want string }{
		{"smartsup", "file", `unknown type: unknown source "smartsup", did you mean "smartsupp"?`},
		{"smartsupp", "fax", `unknown type: unknown target "fax"; use one of desk, file, hubspot, http, odd, zendesk`},
	} {
		_, err := config.NewStarter(k, []string{test.source}, []string{test.target}, "UTC")
		if !errors.Is(err, config.ErrUnknownType) {
			t.Errorf("%v is not ErrUnknownType", err)
		}
		got := strings.NewReplacer(" hubspot,", "", ", zendesk", "").Replace(fmt.Sprint(err))
		want := strings.NewReplacer(" hubspot,", "", ", zendesk", "").Replace(test.want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	// A type that asks for a key that it does not have cannot be started from, and says so.
	broken := connectors.Define("broken", connectors.Definition[brokenSettings]{
		Doc:    "asks for what it does not declare",
		Fields: func(brokenSettings) []connectors.Field { return nil },
		Once:   func(brokenSettings) connectors.Once { return connectors.OnceNone },
		New:    func(brokenSettings, connectors.Env) (connectors.Connector, error) { return nil, errors.ErrUnsupported },
	})
	k.Targets = append(k.Targets, broken)
	_, err := config.NewStarter(k, []string{"smartsupp"}, []string{"broken"}, "UTC")
	if _, ok := errors.AsType[config.Problems](err); !ok {
		t.Errorf("want Problems, got %v", err)
	}
}

type brokenSettings struct {
	Key string `yaml:"key" doc:"a text"`
}

// Validate is never content.
func (brokenSettings) Validate() error {
	return &connectors.SettingError{Key: "other.key", Problem: "is missing"}
}
