// This file tests that people are told of what fails, once and together.

package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/internal/alert"
	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/console"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/postgrestest"
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
	now := r.began(t)
	for id := range 3 {
		r.chat(t, chatHook(id, "ann@example.com", 5, "my illness is nobody else's business"))
	}
	r.until(t, `afterchat_dead{target="help"} 3`)
	r.alertOnce(t.Context(), now.Add(time.Minute))
	eventually(t, "a message in Slack", func() bool { return len(transport.bodies("hooks.example")) > 0 })
	if got, want := transport.bodies("hooks.example")[0], `{"text":"afterchat: 3 deliveries to help are dead: rejected 422"}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	r.alertOnce(t.Context(), now.Add(30*time.Minute))
	r.until(t, `afterchat_deliveries_total{outcome="delivered",target="slack"} 1`)
	if got := transport.bodies("hooks.example"); len(got) != 1 {
		t.Errorf("%d messages: %q", len(got), got)
	}
	if err := r.stop(); err != nil {
		t.Error(err)
	}
}

// began waits for the first look of the gateway itself, after which alerts are told, and returns a time after it.
func (r *running) began(t *testing.T) time.Time {
	t.Helper()
	eventually(t, "the first look", func() bool { return r.alerts.memory.Load() != nil })
	r.alerts.turn.Lock() // until it is over
	defer r.alerts.turn.Unlock()
	return time.Now().UTC()
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
	m := alert.Message{Headline: "afterchat: hooks cannot be stored: the disk is full, and 1 more", Lines: []string{"one", "<!channel> & two"}, At: time.Now()}
	if err := r.tell(t.Context(), cfg, m); err != nil {
		t.Fatal(err)
	}
	got := transport.bodies("hooks.example")
	if len(got) != 1 || got[0] != `{"text":"afterchat: hooks cannot be stored: the disk is full, and 1 more\n• one\n• &lt;!channel&gt; &amp; two"}` {
		t.Errorf("%q", got)
	}
}

// TestAlertsSurviveARestart: what died while nobody could tell is told once, what was told is not told again, and an end
// is told although the process that has told the beginning is gone.
func TestAlertsSurviveARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "afterchat.yaml")
	writeFile(t, path, alertConfig)
	transport := newMoody()
	transport.set("help.example", http.StatusUnprocessableEntity)
	start := func() *running { return startFrom(t, path, transport, nil) }
	told := func(n int, want string) {
		t.Helper()
		eventually(t, fmt.Sprint(n, " messages"), func() bool { return len(transport.bodies("hooks.example")) >= n })
		if got := transport.bodies("hooks.example"); len(got) != n || !strings.Contains(got[n-1], want) {
			t.Fatalf("%q, want %d with %s at last", got, n, want)
		}
	}
	r := start()
	now := r.began(t)
	r.chat(t, chatHook(1, "ann@example.com", 5, "hello"))
	r.until(t, `afterchat_dead{target="help"} 1`)
	if err := r.stop(); err != nil { // before anybody looks
		t.Fatal(err)
	}
	r = start()
	r.began(t)
	r.alertOnce(t.Context(), now.Add(time.Minute))
	told(1, "1 delivery to help is dead: rejected 422")
	r.alertOnce(t.Context(), now.Add(20*time.Minute))
	hook := ledger.Unreadable{Source: "shop", Raw: []byte("?"), Reason: "no JSON", ReceivedAt: now.Add(39 * time.Minute)}
	if _, err := r.ledger.Quarantine(t.Context(), hook); err != nil {
		t.Fatal(err)
	}
	// It is made and written down, and then the process ends.
	stats, err := r.ledger.Stats(t.Context())
	memory := r.recall(t.Context())
	cfg := r.setup.Load().config
	memory = alert.Next(memory, r.look(t.Context(), cfg, memory, stats, err, now.Add(40*time.Minute)), alert.Kinds(), cfg.Alerts.Every, now.Add(40*time.Minute))
	if memory.Pending == nil || !r.remember(t.Context(), memory) {
		t.Fatalf("%+v", memory)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r = start()
	r.began(t)
	r.alertOnce(t.Context(), now.Add(40*time.Minute+alertLook))
	told(1, "") // it is the other one's turn
	r.alertOnce(t.Context(), now.Add(40*time.Minute+alertTurn))
	told(2, "1 hook could not be read and is in quarantine")
	// It is sent, and the process ends before that is written down.
	if !r.remember(t.Context(), memory) {
		t.Fatal("not remembered")
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	r = start()
	r.began(t)
	r.alertOnce(t.Context(), now.Add(41*time.Minute))
	r.alertOnce(t.Context(), now.Add(60*time.Minute))
	transport.set("help.example", http.StatusUnauthorized)
	for id := range 2 {
		r.chat(t, chatHook(10+id, "ann@example.com", 5, "hello"))
	}
	r.until(t, `afterchat_target_paused{target="help"} 1`)
	r.alertOnce(t.Context(), now.Add(80*time.Minute))
	told(3, "target help is paused")
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	transport.set("help.example", 0)
	r = start()
	r.began(t)
	r.alertOnce(t.Context(), now.Add(100*time.Minute))
	if err := r.engine.Load().Resume(t.Context(), "help", "by hand"); err != nil {
		t.Fatal(err)
	}
	r.alertOnce(t.Context(), now.Add(120*time.Minute))
	told(4, "target help runs again")
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
}

// TestAlertOfReplicas: of those that look at once, one tells.
func TestAlertOfReplicas(t *testing.T) {
	t.Parallel()
	transport := newMoody()
	transport.set("help.example", http.StatusUnprocessableEntity)
	r := startGateway(t, alertConfig, transport)
	now := r.began(t)
	r.chat(t, chatHook(1, "ann@example.com", 5, "hello"))
	r.until(t, `afterchat_dead{target="help"} 1`)
	var work sync.WaitGroup
	for i := range 4 {
		other := New(r.boot, r.Options)
		other.ledger = r.ledger
		other.engine.Store(r.engine.Load())
		other.setup.Store(r.setup.Load())
		work.Go(func() {
			for look := range 5 {
				other.alertOnce(t.Context(), now.Add(time.Minute+time.Duration(i)*time.Second+time.Duration(look)*alertLook))
			}
		})
	}
	work.Wait()
	r.until(t, `afterchat_deliveries_total{outcome="delivered",target="slack"} 1`)
	if got := transport.bodies("hooks.example"); len(got) != 1 {
		t.Errorf("%d messages: %q", len(got), got)
	}
}

// TestE2EAlertOfReplicasOnPostgres: two gateways on one database tell once, and one that is started later tells nothing
// again.
func TestE2EAlertOfReplicasOnPostgres(t *testing.T) {
	t.Parallel()
	server, err := postgrestest.Start(t.Context())
	if errors.Is(err, postgrestest.ErrNone) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Remove)
	transport := newMoody()
	transport.set("help.example", http.StatusUnprocessableEntity)
	text := strings.Replace(alertConfig, "sources:", "ledger: {url: '"+server.URL("")+"'}\nsources:", 1)
	first, second := startGateway(t, text, transport), startGateway(t, text, transport)
	first.began(t)
	now := second.began(t)
	for id := range 3 {
		first.chat(t, chatHook(id, "ann@example.com", 5, "hello"))
	}
	first.until(t, `afterchat_dead{target="help"} 3`)
	later := func(gateways ...*running) {
		t.Helper()
		now = now.Add(20 * time.Minute)
		var work sync.WaitGroup
		for _, g := range gateways {
			work.Go(func() { g.alertOnce(t.Context(), now) })
		}
		work.Wait()
	}
	later(first, second)
	eventually(t, "a message", func() bool { return len(transport.bodies("hooks.example")) > 0 })
	later(second, first)
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	third := startGateway(t, text, transport)
	third.began(t)
	later(second, third)
	if got := transport.bodies("hooks.example"); len(got) != 1 || !strings.Contains(got[0], "3 deliveries to help are dead") {
		t.Errorf("%q", got)
	}
	stats, err := third.ledger.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if standing := third.standing(t.Context(), stats); len(standing) != 1 || standing[0].Count != 3 || standing[0].ToldAt.IsZero() {
		t.Errorf("%+v", standing)
	}
}

// TestAlertIsTriedAgain: what could not be told is told at the next look.
func TestAlertIsTriedAgain(t *testing.T) {
	t.Parallel()
	transport := newMoody()
	r := startGateway(t, alertConfig, transport)
	now := r.began(t)
	if err := r.stop(); err != nil { // closes the ledger, which is an alert
		t.Fatal(err)
	}
	transport.set("hooks.example", http.StatusInternalServerError)
	r.alertOnce(t.Context(), now.Add(alertLook))
	transport.set("hooks.example", 0)
	r.alertOnce(t.Context(), now.Add(2*alertLook))
	r.alertOnce(t.Context(), now.Add(3*alertLook))
	if got := transport.bodies("hooks.example"); len(got) != 1 || !strings.Contains(got[0], "hooks cannot be stored") {
		t.Errorf("%q", got)
	}
}

// TestAlertOfQuarantine: hooks that could not be read are told although others were taken out meanwhile.
func TestAlertOfQuarantine(t *testing.T) {
	t.Parallel()
	transport := newMoody()
	path := filepath.Join(t.TempDir(), "afterchat.yaml")
	writeFile(t, path, strings.Replace(alertConfig, "alerts: {to: slack}", "", 1))
	r := startFrom(t, path, transport, nil)
	keep := func(body string, at time.Time) string {
		q, err := r.ledger.Quarantine(t.Context(), ledger.Unreadable{Source: "shop", Raw: []byte(body), Reason: "no JSON", ReceivedAt: at})
		if err != nil {
			t.Fatal(err)
		}
		return q.ID
	}
	now := r.began(t)
	old := keep("old", now.Add(-time.Hour))
	writeFile(t, path, strings.Replace(alertConfig, "alerts: {to: slack}", "alerts: {to: slack, on: [quarantined]}", 1))
	if err := r.Reload(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	r.alertOnce(t.Context(), now)
	for i := range 60 {
		keep(fmt.Sprint("new ", i), now.Add(time.Second))
	}
	if err := r.ledger.Release(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	r.alertOnce(t.Context(), now.Add(time.Minute))
	eventually(t, "a message", func() bool { return len(transport.bodies("hooks.example")) > 0 })
	if got, want := transport.bodies("hooks.example")[0], `{"text":"afterchat: 60 hooks could not be read and are in quarantine"}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestNoAlertOfAnImport: a delivery that only an import has asked for dies, and nobody is called; a later hook of the same
// chat changes that.
func TestNoAlertOfAnImport(t *testing.T) {
	t.Parallel()
	transport := newMoody()
	transport.set("help.example", http.StatusUnprocessableEntity)
	r := startGateway(t, alertConfig, transport)
	now := r.began(t)
	body := chatHook(1, "ann@example.com", 5, "years ago")
	got, err := r.take(t.Context(), console.StoredHook{Source: "shop", ContentType: "application/json", Body: []byte(body), ReceivedAt: now.Add(-1000 * time.Hour)})
	if err != nil || got.Result != string(ledger.Accepted) {
		t.Fatalf("%+v %v", got, err)
	}
	r.until(t, `afterchat_dead{target="help"} 1`)
	r.alertOnce(t.Context(), time.Now().Add(settleLag))
	if err := r.ledger.ReplayDelivery(t.Context(), got.Conversation, "help", ledger.Replay{}); err != nil {
		t.Fatal(err)
	}
	r.until(t, `afterchat_attempts_total{kind="rejected",target="help"} 2`)
	r.until(t, `afterchat_dead{target="help"} 1`)
	r.alertOnce(t.Context(), time.Now().Add(settleLag))
	stats, err := r.ledger.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r.until(t, `afterchat_imported_dead_total{target="help"} 2`)
	if standing := r.standing(t.Context(), stats); len(standing) > 0 || len(transport.bodies("hooks.example")) > 0 {
		t.Errorf("an import raises %+v and tells %q", standing, transport.bodies("hooks.example"))
	}
	r.chat(t, chatHook(1, "ann@example.com", 5, "today"))
	r.until(t, `afterchat_deliveries_total{outcome="dead",target="help"} 3`)
	r.until(t, `afterchat_imported_dead_total{target="help"} 2`)
	r.until(t, `afterchat_dead{target="help"} 1`)
	r.alertOnce(t.Context(), time.Now().Add(settleLag))
	eventually(t, "a message", func() bool { return len(transport.bodies("hooks.example")) > 0 })
}

// TestAlertsReachNobodyElse: no conversation matches the route of alerts, and an alert none of the others.
func TestAlertsReachNobodyElse(t *testing.T) {
	t.Parallel()
	r := startGateway(t, strings.Replace(alertConfig, "{name: everything, to: help}", "{name: everything, to: help, final: true}", 1), newMoody())
	c := alertConversation(alert.Message{Headline: "x", At: time.Now()})
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

// TestAlertOfOverdue: what could be tried and is not is told, here because the only worker hangs.
func TestAlertOfOverdue(t *testing.T) {
	t.Parallel()
	transport := newMoody()
	held := make(chan struct{})
	defer close(held)
	hang := func(r *http.Request) (*http.Response, error) {
		if r.URL.Host == "help.example" {
			select {
			case <-held:
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		}
		return transport.RoundTrip(r)
	}
	r := startGateway(t, strings.Replace(alertConfig, "{type: http, url: \"http://help.example/chats\"}", "{type: http, url: \"http://help.example/chats\", workers: 1, timeout: 5m}", 1), roundTripper(hang))
	now := r.began(t)
	for id := range 2 {
		r.chat(t, chatHook(id, "ann@example.com", 5, "hello"))
	}
	r.until(t, `afterchat_pending{target="help"} 2`)
	r.alertOnce(t.Context(), now.Add(alert.OverdueAfter/2))
	r.alertOnce(t.Context(), now.Add(2*alert.OverdueAfter))
	eventually(t, "a message", func() bool { return len(transport.bodies("hooks.example")) > 0 })
	if got := transport.bodies("hooks.example"); len(got) != 1 || !strings.Contains(got[0], "deliveries to help have been due for ") {
		t.Errorf("%q", got)
	}
}

// roundTripper is a transport of one function.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestAlertsAreNoConversations: they are found by the name of their source and count nowhere as chats.
func TestAlertsAreNoConversations(t *testing.T) {
	t.Parallel()
	transport := newMoody()
	transport.set("help.example", http.StatusUnprocessableEntity)
	r := startGateway(t, alertConfig, transport)
	now := r.began(t)
	r.chat(t, chatHook(1, "ann@example.com", 5, "are dead"))
	r.until(t, `afterchat_dead{target="help"} 1`)
	r.alertOnce(t.Context(), now.Add(time.Minute))
	r.until(t, `afterchat_deliveries_total{outcome="delivered",target="slack"} 1`)
	r.recordOnce(t.Context())
	c := newClient(t, r, "")
	list := func(query string) (sources []string) {
		for _, item := range get[console.List[console.Conversation]](c, "/conversations"+query).Items {
			sources = append(sources, item.Source)
		}
		return sources
	}
	eventually(t, "the index", func() bool { return len(list("?from=afterchat")) == 1 })
	for query, want := range map[string][]string{
		"": {"shop"}, "?q=dead": {"shop"}, "?from=shop": {"shop"}, "?from=afterchat": {"afterchat"}, "?q=from:afterchat": {"afterchat"}, "?state=delivered": nil,
	} {
		if got := list(query); !slices.Equal(got, want) {
			t.Errorf("/conversations%s lists %q, want %q", query, got, want)
		}
	}
	status := get[console.Status](c, "/status")
	if status.Ledger.Conversations != 1 || len(status.Alerts) != 1 || status.Alerts[0].ToldAt.IsZero() || !slices.Equal(status.Alerts[0].ToldTo, []string{"slack"}) {
		t.Errorf("status: %+v %+v", status.Ledger, status.Alerts)
	}
	for _, p := range get[console.Series](c, "/series?kind=target").Points {
		if p.Name == "slack" {
			t.Errorf("the alert is in the series: %+v", p)
		}
	}
	page := send(t, r.addresses.Admin.String(), "GET /")
	for _, want := range []string{"1 delivery to help is dead: rejected 422", "to slack"} {
		if !strings.Contains(page, want) {
			t.Errorf("the overview lacks %q", want)
		}
	}
}

// TestAlertsOutliveTheLedger: a fresh one in the place of a damaged one is no reason to tell everything again.
func TestAlertsOutliveTheLedger(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	g := New(&config.Config{}, Options{Logger: slog.New(slog.DiscardHandler)})
	notes := &noteLedger{}
	g.ledger = notes
	for range 3 {
		if !g.remember(t.Context(), alert.Memory{Since: now, Last: now.Add(time.Duration(notes.note.Version) * time.Hour)}) {
			t.Fatal("not remembered")
		}
	}
	kept := notes.note
	notes.note = ledger.Note{}
	memory := g.recall(t.Context())
	if !g.remember(t.Context(), memory) || notes.note.Version != 1 || notes.note.Text != kept.Text {
		t.Errorf("%+v, want %s", notes.note, kept.Text)
	}
	notes.note = ledger.Note{Text: `{"last":"2027-01-01T00:00:00Z"}`, Version: 9}
	if memory = g.recall(t.Context()); memory.Last.Year() != 2027 {
		t.Errorf("another replica's is not taken over: %+v", memory)
	}
}

// TestAlertsTurnedOnAgain: what died while nobody wanted to be told is not told.
func TestAlertsTurnedOnAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "afterchat.yaml")
	off := strings.Replace(alertConfig, "alerts: {to: slack}", "", 1)
	transport := newMoody()
	transport.set("help.example", http.StatusUnprocessableEntity)
	for i, text := range []string{alertConfig, off, alertConfig} {
		writeFile(t, path, text)
		r := startFrom(t, path, transport, nil)
		r.began(t)
		if i == 1 {
			r.chat(t, chatHook(1, "ann@example.com", 5, "hello"))
			r.until(t, `afterchat_dead{target="help"} 1`)
		}
		r.alertOnce(t.Context(), time.Now().Add(settleLag))
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
	}
	if got := transport.bodies("hooks.example"); len(got) > 0 {
		t.Errorf("%q", got)
	}
}

// noteLedger is a ledger of one note.
type noteLedger struct {
	Ledger
	note ledger.Note
}

func (l *noteLedger) Note(context.Context, string) (ledger.Note, error) { return l.note, nil }

func (l *noteLedger) SaveNote(_ context.Context, _ string, n ledger.Note) error {
	if n.Version != l.note.Version {
		return ledger.ErrChanged
	}
	l.note = ledger.Note{Text: n.Text, Version: n.Version + 1}
	return nil
}

// TestSilenceGoesOn: a source that was silent before a restart is so after it, and one that could not be heard is not.
func TestSilenceGoesOn(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	g := New(&config.Config{}, Options{Logger: slog.New(slog.DiscardHandler)})
	g.setup.Store(&setup{config: g.boot, since: map[string]time.Time{"shop": now.Add(-time.Minute)}})
	shop, told := config.Source{Name: "shop", ExpectEvery: time.Hour}, alert.Memory{Topics: map[string]alert.Topic{"silent/shop/": {Told: now.Add(-time.Hour)}}}
	for name, c := range map[string]struct {
		source config.Source
		heard  time.Time
		memory alert.Memory
		silent bool
	}{
		"not told yet":           {shop, now.Add(-3 * time.Hour), alert.Memory{}, false},
		"told":                   {shop, now.Add(-3 * time.Hour), told, true},
		"told, never heard":      {shop, time.Time{}, told, true},
		"told, heard since":      {shop, now.Add(-time.Minute), told, false},
		"told, nothing expected": {config.Source{Name: "shop"}, now.Add(-3 * time.Hour), told, false},
		"of another, long there": {config.Source{Name: "desk", ExpectEvery: time.Hour}, now.Add(-3 * time.Hour), alert.Memory{}, true},
	} {
		if _, silent := g.silence(c.source, c.heard, c.memory, now); silent != c.silent {
			t.Errorf("%s: silent %v, want %v", name, silent, c.silent)
		}
	}
}
