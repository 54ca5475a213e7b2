// This file tests what came of asking targets, and test records, with connectors that behave as they are told.

package gateway_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/gateway"
)

// moodSettings tell a connector how to behave.
type moodSettings struct {
	Mood string `yaml:"mood" required:"true" doc:"how it behaves"`
}

type mood struct {
	name   string
	pushed *[]connectors.Record
}

func (m mood) Push(_ context.Context, rec connectors.Record) (connectors.Receipt, error) {
	*m.pushed = append(*m.pushed, rec)
	return connectors.Receipt{ID: "1"}, nil
}

// askedMood is a mood that can be asked.
type askedMood struct{ mood }

func (m askedMood) Check(ctx context.Context) error {
	switch m.name {
	case "busy":
		return &connectors.Error{Kind: connectors.Throttled, Err: errors.New("later")}
	case "locked":
		return &connectors.Error{Kind: connectors.Denied, Err: errors.New("no"), Hint: "ask for a key"}
	case "asleep":
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

// CheckFields knows the title "gone".
func (m askedMood) CheckFields(_ context.Context, fields map[string]any) error {
	if fields["title"] == "gone" {
		return &connectors.Error{Kind: connectors.Denied, Err: errors.New("there is no title gone"), Hint: "correct the title"}
	}
	return nil
}

func moods(pushed *[]connectors.Record) config.Known {
	return config.Known{Sources: gateway.SourceTypes(), Targets: []connectors.Type{
		connectors.Define("mood", connectors.Definition[moodSettings]{
			Doc: "does what it is told",
			Fields: func(moodSettings) []connectors.Field {
				return []connectors.Field{{Name: "title", Type: connectors.Text, Limit: 10, Doc: "a title"}}
			},
			Once:    func(moodSettings) connectors.Once { return connectors.OnceUpsert },
			Mapping: "title: '${visitor.name}'\n",
			New: func(s moodSettings, _ connectors.Env) (connectors.Connector, error) {
				switch s.Mood {
				case "broken":
					return nil, errors.New("it does not open")
				case "silent":
					return mood{s.Mood, pushed}, nil
				}
				return askedMood{mood{s.Mood, pushed}}, nil
			},
		}),
	}}
}

const moodFile = `version: 1
sources: {shop: {type: smartsupp, secret: 0123456789abcdef, brand: acme}}
targets:
  fine: {type: mood, mood: fine}
  busy: {type: mood, mood: busy}
  locked: {type: mood, mood: locked}
  asleep: {type: mood, mood: asleep, timeout: 100ms}
  broken: {type: mood, mood: broken}
  silent: {type: mood, mood: silent, was: [quiet]}
`

func moodConfig(t *testing.T, text string) (*config.Config, *[]connectors.Record) {
	t.Helper()
	var pushed []connectors.Record
	cfg, err := config.Parse("afterchat.yaml", []byte(text), moods(&pushed), config.Environment{})
	if err != nil {
		t.Fatal(err)
	}
	return cfg, &pushed
}

func TestCheckLive(t *testing.T) {
	t.Parallel()
	cfg, pushed := moodConfig(t, moodFile)
	got := gateway.CheckLive(t.Context(), cfg, gateway.Options{Logger: slog.New(slog.DiscardHandler)})
	want := []gateway.Live{
		{Target: "fine", State: "ok"},
		{Target: "busy", State: "failed", Kind: "throttled", Error: "later"},
		{Target: "locked", State: "failed", Kind: "denied", Error: "no", Hint: "ask for a key"},
		{Target: "asleep", State: "failed", Kind: "temporary", Error: "context deadline exceeded"},
		{Target: "broken", State: "failed", Kind: "denied", Error: "target broken: it does not open", Hint: "correct its settings"},
		{Target: "silent", State: "unchecked"},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(gateway.Live{}, "Type", "Milliseconds")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	var fine []bool
	for _, l := range got {
		fine = append(fine, l.Fine())
	}
	if diff := cmp.Diff([]bool{true, true, false, false, false, true}, fine); diff != "" {
		t.Error(diff)
	}
	if len(*pushed) != 0 {
		t.Errorf("asking sent %v", *pushed)
	}
}

// TestCheckLiveAsksAboutTheRoutes: what a route names at a target must be there, whether the route would match or not.
func TestCheckLiveAsksAboutTheRoutes(t *testing.T) {
	t.Parallel()
	cfg, _ := moodConfig(t, `version: 1
sources: {shop: {type: smartsupp, secret: 0123456789abcdef}}
targets:
  fine: {type: mood, mood: fine}
routes:
  - {name: everything, to: fine}
  - {name: never, when: rating > 100, to: {fine: {title: gone}}}
`)
	got := gateway.CheckLive(t.Context(), cfg, gateway.Options{Logger: slog.New(slog.DiscardHandler)})
	want := []gateway.Live{{Target: "fine", Type: "mood", State: "failed", Kind: "denied", Error: `route "never": there is no title gone`, Hint: "correct the title"}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(gateway.Live{}, "Milliseconds")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestSendTest(t *testing.T) {
	t.Parallel()
	cfg, pushed := moodConfig(t, moodFile)
	o := gateway.Options{Logger: slog.New(slog.DiscardHandler)}
	var ids []string
	for range 2 {
		sent, err := gateway.SendTest(t.Context(), cfg, "silent", o, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, sent.Conversation)
		want := gateway.Sent{
			Target: "silent", Routes: []string{"everything"}, Receipt: connectors.Receipt{ID: "1"},
			Notes: []string{"title: 21 characters, cut to 10"},
		}
		if diff := cmp.Diff(want, sent, cmpopts.IgnoreFields(gateway.Sent{}, "Conversation")); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	if ids[0] == ids[1] {
		t.Error("two test records are one conversation")
	}
	first := (*pushed)[0]
	if object := "afterchat:" + ids[0] + ":quiet"; first.Object != object || first.Request != object+":1" || first.Revision != 1 || first.Attempt != 1 {
		t.Errorf("pushed %+v", first)
	}

	sent, err := gateway.SendTest(t.Context(), cfg, "broken", o, time.Now())
	if e, ok := errors.AsType[*connectors.Error](err); !ok || e.Kind != connectors.Denied || sent.Conversation == "" {
		t.Errorf("a target that does not open: %v", err)
	}
	if _, err := gateway.SendTest(t.Context(), cfg, "none", o, time.Now()); !strings.Contains(err.Error(), `unknown target "none"`) {
		t.Error(err)
	}
}

func TestSendTestUsesTheRoutes(t *testing.T) {
	t.Parallel()
	cfg, pushed := moodConfig(t, moodFile+`routes:
  - {name: never, when: rating <= 2, to: {fine: {title: low}, busy: {title: low}}}
  - {name: always, to: {fine: {title: any}}}
`)
	o := gateway.Options{Logger: slog.New(slog.DiscardHandler)}
	for target, want := range map[string]struct {
		routes []string
		title  string
	}{
		"fine":   {[]string{"always"}, "any"},
		"busy":   {[]string{"never"}, "low"}, // none would send it there: the first that names it
		"silent": {nil, "afterc […]"},        // none names it: the default mapping
	} {
		sent, err := gateway.SendTest(t.Context(), cfg, target, o, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		title := (*pushed)[len(*pushed)-1].Fields["title"]
		if diff := cmp.Diff(want.routes, sent.Routes); diff != "" || title != want.title {
			t.Errorf("%s: title %q\n%s", target, title, diff)
		}
	}
}
