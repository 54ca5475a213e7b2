// This file tests that people are told of what fails, once and together.

package gateway

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/alert"
	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
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

// TestAlertAfterARestart: in one span of time another alert is told, and the same one is not, however it counts.
func TestAlertAfterARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "afterchat.yaml")
	writeFile(t, path, alertConfig)
	transport := newMoody()
	r := startFrom(t, path, transport, nil)
	span := time.Now().UTC().Truncate(r.setup.Load().config.Alerts.Every)
	messages := 0
	tell := func(second int, news bool, headline string, lines ...string) {
		t.Helper()
		now := span.Add(time.Duration(second) * time.Second)
		if err := r.tell(t.Context(), r.setup.Load().config, alert.Message{Headline: headline, Lines: lines}, now); err != nil {
			t.Fatal(err)
		}
		if !news {
			return
		}
		messages++
		eventually(t, "a message: "+headline, func() bool { return len(transport.bodies("hooks.example")) == messages })
		if got := transport.bodies("hooks.example")[messages-1]; !strings.Contains(got, headline) {
			t.Errorf("%s, want %s", got, headline)
		}
	}
	tell(1, true, "afterchat: target help is paused: it answered 401")
	tell(2, false, "afterchat: target help is paused: it answered 401")
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r = startFrom(t, path, transport, nil)
	tell(3, false, "afterchat: target help is paused: it answered 401")
	tell(4, true, "afterchat: 1 delivery to help is dead: rejected 422")
	tell(5, false, "afterchat: 12 deliveries to help are dead: rejected 422")
	tell(6, true, "afterchat: 12 deliveries to help are dead: rejected 400")
	tell(7, true, "afterchat: 12 deliveries to help are dead: rejected 422, and 1 more", "12 deliveries to help are dead: rejected 422", "target crm is paused")
	tell(8, false, "afterchat: 9 deliveries to help are dead: rejected 422, and 1 more", "9 deliveries to help are dead: rejected 422", "target crm is paused")
	tell(9, true, "afterchat: 3 hooks could not be read and are in quarantine")
}

// TestAlertIsTriedAgain: what could not be told is told at the next look.
func TestAlertIsTriedAgain(t *testing.T) {
	t.Parallel()
	transport := newMoody()
	r := startGateway(t, alertConfig, transport)
	now := time.Now().UTC()
	memory := r.alertOnce(t.Context(), alert.Memory{}, now)
	if err := r.stop(); err != nil { // closes the ledger, which is an alert
		t.Fatal(err)
	}
	transport.set("hooks.example", http.StatusInternalServerError)
	memory = r.alertOnce(t.Context(), memory, now.Add(alertLook))
	transport.set("hooks.example", 0)
	memory = r.alertOnce(t.Context(), memory, now.Add(2*alertLook))
	r.alertOnce(t.Context(), memory, now.Add(3*alertLook))
	if got := transport.bodies("hooks.example"); len(got) != 1 || !strings.Contains(got[0], "hooks cannot be stored") {
		t.Errorf("%q", got)
	}
}

// TestAlertOfQuarantine: hooks that could not be read are told although others were taken out meanwhile.
func TestAlertOfQuarantine(t *testing.T) {
	t.Parallel()
	transport := newMoody()
	r := startGateway(t, strings.Replace(alertConfig, "alerts: {to: slack}", "alerts: {to: slack, on: [quarantined]}", 1), transport)
	keep := func(body string, at time.Time) string {
		q, err := r.ledger.Quarantine(t.Context(), ledger.Unreadable{Source: "shop", Raw: []byte(body), Reason: "no JSON", ReceivedAt: at})
		if err != nil {
			t.Fatal(err)
		}
		return q.ID
	}
	now := time.Now().UTC()
	old := keep("old", now.Add(-time.Hour))
	memory := r.alertOnce(t.Context(), alert.Memory{}, now)
	for i := range 60 {
		keep(fmt.Sprint("new ", i), now.Add(time.Second))
	}
	if err := r.ledger.Release(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	r.alertOnce(t.Context(), memory, now.Add(time.Minute))
	eventually(t, "a message", func() bool { return len(transport.bodies("hooks.example")) > 0 })
	if got, want := transport.bodies("hooks.example")[0], `{"text":"afterchat: 60 hooks could not be read and are in quarantine"}`; got != want {
		t.Errorf("%s, want %s", got, want)
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
