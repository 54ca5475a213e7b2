// This file tests that people are told of what fails, once and together.

package gateway

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/alert"
	"github.com/afterchat/afterchat/internal/chat"
)

const alertConfig = `version: 1
server: {listen: "127.0.0.1:0", drain_delay: 0s}
admin: {listen: "127.0.0.1:0"}
sources:
  shop: {type: smartsupp, secret: '${env.SECRET}'}
targets:
  help: {type: http, url: "http://help.example/chats"}
  slack: {type: http, url: "http://hooks.example/T/B/key", once: none}
routes:
  - {name: everything, to: help}
alerts: {to: slack}
`

func TestAlerts(t *testing.T) {
	t.Parallel()
	transport := newMoody()
	transport.set("help.example", http.StatusUnprocessableEntity)
	r := startGateway(t, alertConfig, transport)
	now := time.Now().UTC()
	memory := r.alertOnce(t.Context(), alert.Memory{}, now)
	for id := range 3 {
		r.chat(t, chatHook(id, "ann@example.com", 5, "my illness is nobody else's business"))
	}
	r.until(t, `afterchat_dead{target="help"} 3`)
	memory = r.alertOnce(t.Context(), memory, now.Add(time.Minute))
	eventually(t, "a message in Slack", func() bool { return len(transport.bodies("hooks.example")) > 0 })
	if got, want := transport.bodies("hooks.example")[0], `{"text":"afterchat: 3 deliveries to help are dead: rejected 422"}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	r.alertOnce(t.Context(), memory, now.Add(30*time.Minute))
	r.until(t, `afterchat_deliveries_total{outcome="delivered",target="slack"} 1`)
	if got := transport.bodies("hooks.example"); len(got) != 1 {
		t.Errorf("%d messages: %q", len(got), got)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

// TestAlertWithoutTheLedger: what cannot be stored is sent all the same.
func TestAlertWithoutTheLedger(t *testing.T) {
	t.Parallel()
	transport := newMoody()
	r := startGateway(t, alertConfig, transport)
	cfg := r.setup.Load().config
	if err := r.stop(); err != nil { // closes the ledger
		t.Fatal(err)
	}
	m := alert.Message{Headline: "afterchat: hooks cannot be stored: the disk is full, and 1 more", Lines: []string{"one", "<!channel> & two"}}
	if err := r.tell(t.Context(), cfg, m, time.Now()); err != nil {
		t.Fatal(err)
	}
	got := transport.bodies("hooks.example")
	if len(got) != 1 || got[0] != `{"text":"afterchat: hooks cannot be stored: the disk is full, and 1 more\n• one\n• &lt;!channel&gt; &amp; two"}` {
		t.Errorf("%q", got)
	}
}

// TestAlertsReachNobodyElse: no conversation matches the route of alerts, and an alert none of the others.
func TestAlertsReachNobodyElse(t *testing.T) {
	t.Parallel()
	r := startGateway(t, strings.Replace(alertConfig, "{name: everything, to: help}", "{name: everything, to: help, final: true}", 1), newMoody())
	c := alertConversation(alert.Message{Headline: "x"}, time.Minute, time.Now())
	p := r.setup.Load().config.Pipeline
	for _, source := range []string{"shop", alertSource} {
		c := c
		c.Source, c.Messages = source, []chat.Message{{Role: chat.Visitor, Text: "hello"}}
		matches, err := p.Route(&c)
		if err != nil || len(matches) != 1 || matches[0].Target != "help" {
			t.Errorf("%s: %+v %v", source, matches, err)
		}
	}
	if len(p.Explain(&c).Routes) != 1 {
		t.Error("explain shows the route of alerts")
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}
