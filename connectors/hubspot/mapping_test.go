// This file sends hooks of the platforms through decoder, default mapping and connector into a fake account.

package hubspot_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/afterchat/afterchat/connectors/hubspot"
	"github.com/afterchat/afterchat/connectors/hubspot/hubspottest"
	"github.com/afterchat/afterchat/internal/gateway"
	"github.com/afterchat/afterchat/internal/source"
)

const tenLines = `version: 1
sources:
  shop: {type: smartsupp, path: /in/shop, secret: '${env.SHOP}'}
  desk: {type: proprofs, path: /in/desk, secret: '${env.DESK}', time_zone: Europe/Prague}
targets:
  crm: {type: hubspot, token: '${env.TOKEN}'}
`

const ticketLine = `  crm: {type: hubspot, token: '${env.TOKEN}', ticket: {pipeline: '0', stage: '1'}}
`

// mapped decodes a hook and renders it by the default mapping, for a target that makes tickets if wanted.
func mapped(t *testing.T, path string, ticket bool) map[string]any {
	t.Helper()
	body, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%s lies beside the checkout and is not there", path)
	}
	if err != nil {
		t.Fatal(err)
	}
	text := tenLines
	if ticket {
		text = text[:strings.Index(text, "  crm:")] + ticketLine
	}
	cfg := load(t, text)
	name := "shop"
	if strings.HasPrefix(filepath.Base(path), "proprofs") {
		name = "desk"
	}
	for _, s := range cfg.Sources {
		if s.Name != name {
			continue
		}
		decoder, err := gateway.Decoder(s)
		if err != nil {
			t.Fatal(err)
		}
		decoded, err := decoder.Decode(source.Hook{
			Body: body, ContentType: "application/json", ReceivedAt: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC),
		})
		if err != nil {
			t.Fatal(err)
		}
		c := decoded.Conversation
		c.Source, c.Revision = name, 1
		c.Normalize()
		rendered, err := cfg.Pipeline.Map(&c, "crm", nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, lost := range append(rendered.Cut, rendered.Dropped...) {
			t.Errorf("the default mapping loses something: %s", lost)
		}
		return rendered.Fields
	}
	t.Fatalf("no source %s", name)
	return nil
}

// deliver pushes a hook into an account, with a ticket if wanted.
func deliver(t *testing.T, a *hubspottest.Account, path string, ticket bool) {
	t.Helper()
	var change func(*hubspot.Settings)
	if ticket {
		change = withTicket
	}
	receipt := open(t, a, settings(change)).mustPush(t, record(1, 1, mapped(t, path, ticket)))
	if receipt.ID == "" || receipt.URL == "" || receipt.Parts["contact"] == "" {
		t.Errorf("receipt %+v", receipt)
	}
}

func TestDefaultMapping(t *testing.T) {
	t.Parallel()
	hooks, err := filepath.Glob("testdata/hooks/*.json")
	if err != nil || len(hooks) == 0 {
		t.Fatalf("no hooks: %v", err)
	}
	for _, path := range hooks {
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := account()
			deliver(t, a, path, true)
			all := map[string]any{}
			for _, kind := range []string{"contacts", "tickets", "notes"} {
				var held []map[string]string
				for _, o := range a.Objects(kind) {
					held = append(held, o.Properties)
				}
				all[kind] = held
			}
			var out strings.Builder
			encoder := json.NewEncoder(&out)
			encoder.SetEscapeHTML(false)
			encoder.SetIndent("", "  ")
			if err := encoder.Encode(all); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", "objects", name+".golden")
			if *update {
				if err := os.WriteFile(file, []byte(out.String()), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			golden, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want(t, file, string(golden), out.String())
		})
	}
}

// fixtures are the samples of the platforms' own documentation, and a line of each transcript.
func fixtures() map[string]string {
	folder := filepath.Join("..", "..", "..", "shared", "fixtures")
	return map[string]string{
		filepath.Join(folder, "smartsupp-completed.json"): "Hi, how can i help you ?",
		filepath.Join(folder, "proprofs-transcript.json"): "How may i help you today?",
	}
}

// TestFixtures: a bare target makes a contact and a note of either, though neither visitor left an address.
func TestFixtures(t *testing.T) {
	t.Parallel()
	for path, said := range fixtures() {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			a := account()
			deliver(t, a, path, false)
			contacts, notes := a.Objects("contacts"), a.Objects("notes")
			if len(contacts) != 1 || len(notes) != 1 || !strings.Contains(notes[0].Properties["hs_note_body"], said) {
				t.Errorf("contacts %v, notes %v", contacts, notes)
			}
		})
	}
}
