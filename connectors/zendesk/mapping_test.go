// This file sends hooks through the decoders, the default mapping and the connector, and looks at the tickets.

package zendesk_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/connectortest"
	"github.com/afterchat/afterchat/connectors/zendesk"
	"github.com/afterchat/afterchat/connectors/zendesk/zendesktest"
	"github.com/afterchat/afterchat/internal/gateway"
	"github.com/afterchat/afterchat/internal/source"
)

const configuration = `version: 1
sources:
  shop: {type: smartsupp, path: /in/shop, secret: a-secret-of-some-length, brand: Acme Shop}
  desk: {type: proprofs, path: /in/desk, secret: a-secret-of-some-length, time_zone: Europe/Prague}
targets:
  help:
    type: zendesk
    subdomain: acme
    mode: %s
    agents: {Petr Novak: 77}
    oauth: {client_id: afterchat, client_secret: %s}
`

// deliver decodes a hook, maps it as the configuration says, and pushes it.
func deliver(t *testing.T, a *zendesktest.Account, mode, path string) zendesktest.Ticket {
	t.Helper()
	text := fmt.Sprintf(configuration, mode, connectortest.Canary)
	cfg, err := config.Parse("afterchat.yaml", []byte(text), known(), environment())
	if err != nil {
		t.Fatalf("configuration:\n%v", err)
	}
	body, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("%s is not there", path)
	} else if err != nil {
		t.Fatal(err)
	}
	name := "shop"
	if strings.HasPrefix(filepath.Base(path), "proprofs") {
		name = "desk"
	}
	var decoder source.Decoder
	for _, s := range cfg.Sources {
		if s.Name == name {
			if decoder, err = gateway.Decoder(s); err != nil {
				t.Fatal(err)
			}
		}
	}
	got, err := decoder.Decode(source.Hook{Body: body, ContentType: "application/json", ReceivedAt: time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	c := got.Conversation
	c.Source, c.Revision = name, 1
	if name == "shop" {
		c.Brand = "Acme Shop"
	}
	c.Normalize()
	rendered, err := cfg.Pipeline.Map(&c, "help", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range append(rendered.Cut, rendered.Dropped...) {
		t.Errorf("the default mapping loses something: %s", problem)
	}
	s := cfg.Targets[0].Settings.(*zendesk.Settings)
	s.OAuth.ClientSecret = secret.New(connectortest.Canary)
	receipt, err := open(t, a, s).Push(t.Context(), connectors.Record{
		Object: "afterchat:x:help", Request: "afterchat:x:help:1", Revision: 1, Attempt: 1, Fields: rendered.Fields,
	})
	if err != nil {
		t.Fatal(err)
	}
	tickets := a.Tickets()
	if len(tickets) != 1 || receipt.ID != fmt.Sprint(tickets[0].ID) {
		t.Fatalf("receipt %+v for %d tickets", receipt, len(tickets))
	}
	return tickets[0]
}

func TestDefaultMapping(t *testing.T) {
	t.Parallel()
	hooks, err := filepath.Glob("testdata/hooks/*.json")
	if err != nil || len(hooks) == 0 {
		t.Fatalf("no hooks: %v", err)
	}
	for _, mode := range []string{"ticket", "import"} {
		for _, path := range hooks {
			name := mode + "-" + strings.TrimSuffix(filepath.Base(path), ".json")
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				a := account()
				a.Now = func() time.Time { return time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC) }
				got, err := json.MarshalIndent(map[string]any{"ticket": deliver(t, a, mode, path), "users": a.Users()[1:]}, "", "  ")
				if err != nil {
					t.Fatal(err)
				}
				got = []byte(strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(string(got)) + "\n")
				golden(t, filepath.Join("testdata", "tickets", name+".golden"), got)
			})
		}
	}
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// TestFixtures delivers the samples of the platforms' own documentation.
func TestFixtures(t *testing.T) {
	t.Parallel()
	for file, said := range map[string]string{"smartsupp-completed.json": "Hi, how can i help you ?", "proprofs-transcript.json": "How may i help you today?"} {
		for _, mode := range []string{"ticket", "import"} {
			t.Run(mode+"-"+file, func(t *testing.T) {
				t.Parallel()
				ticket := deliver(t, account(), mode, filepath.Join("..", "..", "..", "shared", "fixtures", file))
				var all strings.Builder
				for _, c := range ticket.Comments {
					all.WriteString(c.HTML)
				}
				if !strings.Contains(all.String(), said) {
					t.Errorf("the ticket lacks %q:\n%s", said, all.String())
				}
				if mode == "ticket" && (len(ticket.Comments) != 1 || ticket.Comments[0].Public) {
					t.Errorf("want one internal comment, got %d", len(ticket.Comments))
				}
			})
		}
	}
}
