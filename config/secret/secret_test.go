// This file tests that a secret cannot be printed, in any of the ways in which Go prints.

package secret_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"text/template"

	"github.com/afterchat/afterchat/config/secret"
)

const canary = "canary-9c2e"

// holder has one field that fmt can call methods on, and one that it cannot.
type holder struct {
	Open   secret.String
	closed secret.String
	inner  struct{ deep []secret.String }
}

type document struct{ Token secret.String }

func newHolder() holder {
	h := holder{Open: secret.New(canary), closed: secret.New(canary)}
	h.inner.deep = []secret.String{secret.New(canary)}
	return h
}

func TestNeverPrints(t *testing.T) {
	t.Parallel()
	s, h := secret.New(canary), newHolder()
	outputs := map[string]string{"error": fmt.Errorf("bad token %v: %w", s, errors.New("no")).Error()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p"} {
		for name, value := range map[string]any{
			"secret": s, "pointer": &s, "holder": h, "holder pointer": &h, "slice": []secret.String{s},
			"map value": map[string]secret.String{"a": s}, "map key": map[secret.String]int{s: 1}, "interface": []any{s},
		} {
			outputs[name+" "+verb] = fmt.Sprintf(verb, value)
		}
	}
	for name, marshal := range map[string]func(any) ([]byte, error){"json": json.Marshal, "xml": xml.Marshal} {
		text, err := marshal(document{s})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		outputs[name] = string(text)
	}
	var b bytes.Buffer
	log := slog.New(slog.NewTextHandler(&b, nil))
	log.Info("text", "secret", s, "holder", h, "group", slog.GroupValue(slog.Any("secret", s)))
	slog.New(slog.NewJSONHandler(&b, nil)).Info("json", "secret", s, "holder", h, "any", []any{s})
	if err := template.Must(template.New("").Parse("{{.Open}} {{printf `%q` .Open}}")).Execute(&b, h); err != nil {
		t.Error(err)
	}
	outputs["logs"] = b.String()
	for how, text := range outputs {
		if strings.Contains(text, canary) || strings.Contains(text, fmt.Sprintf("%x", canary)) {
			t.Errorf("%s prints %s", how, text)
		}
	}
	if got := h.closed.Reveal() + h.inner.deep[0].Reveal(); got != canary+canary {
		t.Errorf("Reveal = %q, so nothing was tested", got)
	}
}

func TestMask(t *testing.T) {
	t.Parallel()
	set, empty := secret.New(canary), secret.String{}
	for how, got := range map[string][2]string{
		"String":   {set.String(), empty.String()},
		"GoString": {set.GoString(), empty.GoString()},
		"LogValue": {set.LogValue().String(), empty.LogValue().String()},
		"Sprint":   {fmt.Sprint(set), fmt.Sprint(empty)},
	} {
		if got != [2]string{secret.Mask, ""} {
			t.Errorf("%s = %q", how, got)
		}
	}
	if text, err := json.Marshal([]secret.String{set, empty}); err != nil || string(text) != `["***",""]` {
		t.Errorf("%s, %v", text, err)
	}
}

func TestZero(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]secret.String{"zero": {}, "New of nothing": secret.New("")} {
		if !s.IsZero() || s.Reveal() != "" || s != (secret.String{}) {
			t.Errorf("%s is not the empty secret", name)
		}
	}
	if secret.New("x").IsZero() {
		t.Error("a set secret is zero")
	}
}

func TestUnmarshal(t *testing.T) {
	t.Parallel()
	var got struct{ Token, None secret.String }
	if err := json.Unmarshal([]byte(`{"Token": "canary-9c2e", "None": ""}`), &got); err != nil {
		t.Fatal(err)
	}
	if got.Token.Reveal() != canary || !got.None.IsZero() {
		t.Errorf("got %q and %q", got.Token.Reveal(), got.None.Reveal())
	}
}
