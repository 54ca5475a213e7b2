// This file tells people what fails, through a target. An alert is a conversation of a source of our own: it is stored,
// delivered and seen like every other. What has been told is kept in the ledger, a message before it is sent: so a restart
// forgets none and sends none twice, and of several replicas that see the same one tells.

package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/alert"
	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
)

const (
	// alertLook is how often is looked for what should be told.
	alertLook = 20 * time.Second
	// alertTurn is how long whoever has made a message has for it, before others send it.
	alertTurn = 2 * alertLook
	// alertNote is where the ledger keeps what has been told.
	alertNote = "alerts"
	// alertDrift is how far what is told next may be behind in the ledger while nothing happens: it spares a write for
	// every look.
	alertDrift = time.Hour
)

// telling is what has been told.
type telling struct {
	name string // of this process
	turn sync.Mutex
	// memory is that of the newest look; nil before the first one.
	memory  atomic.Pointer[alert.Memory]
	version int64 // of the note that it is, or was made of
	text    string
	unsaved bool
	graves  graves
	// troubles are those of the ledger at the newest look.
	troubles atomic.Pointer[[]string]
}

// tellAlerts tells people until ctx ends.
func (g *Gateway) tellAlerts(ctx context.Context) {
	ticker := time.NewTicker(alertLook)
	defer ticker.Stop()
	for {
		g.alertOnce(ctx, time.Now().UTC())
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// alertOnce looks once, and tells what is due.
func (g *Gateway) alertOnce(ctx context.Context, now time.Time) {
	g.alerts.turn.Lock()
	defer g.alerts.turn.Unlock()
	cfg := g.setup.Load().config
	memory := g.recall(ctx)
	var on []alert.Kind
	if len(cfg.Alerts.To) == 0 {
		// What lasts is shown all the same. Whoever turns alerts on is told of what comes then.
		if g.alerts.text != "" && g.alerts.text != "{}" {
			g.alerts.unsaved = true // else nothing seems to be new
			g.remember(ctx, alert.Memory{})
		}
		memory.Since, memory.Pending = time.Time{}, nil
	} else {
		for _, kind := range cfg.Alerts.On {
			on = append(on, alert.Kind(kind))
		}
		var sent bool
		if memory, sent = g.sendPending(ctx, cfg, memory, now); !sent {
			return
		}
	}
	stats, err := g.ledger.Stats(ctx)
	seen := g.look(ctx, cfg, memory, stats, err, now)
	seen.Ledger = g.troubles(ctx, stats, err, now)
	g.alerts.troubles.Store(&seen.Ledger)
	next := alert.Next(memory, seen, on, cfg.Alerts.Every, now)
	if ctx.Err() != nil {
		return
	}
	if len(cfg.Alerts.To) == 0 {
		next.Since = time.Time{}
		g.alerts.memory.Store(&next)
		return
	}
	if next.Pending != nil {
		next.Pending.By = g.alerts.name
	}
	if g.remember(ctx, next) {
		g.sendPending(ctx, cfg, next, now)
	}
}

// recall returns what has been told, by whichever replica. What could not be saved is known here alone.
func (g *Gateway) recall(ctx context.Context) alert.Memory {
	a := &g.alerts
	memory := alert.Memory{}
	if known := a.memory.Load(); known != nil {
		memory = *known
	}
	note, err := g.ledger.Note(ctx, alertNote)
	if err != nil || note.Version == a.version {
		return memory
	}
	if note.Version < a.version { // a fresh ledger in the place of a damaged one
		a.version, a.unsaved = note.Version, true
		return memory
	}
	memory = alert.Memory{}
	if err := json.Unmarshal([]byte(note.Text), &memory); err != nil {
		g.Logger.Error("what alerts have told cannot be read; they begin anew", "error", err)
	}
	a.version, a.text, a.unsaved = note.Version, note.Text, false
	a.memory.Store(&memory)
	return memory
}

// remember keeps what is told. It returns false if another replica was faster, and then nothing has happened. While the
// ledger cannot store, it is kept in this process.
func (g *Gateway) remember(ctx context.Context, next alert.Memory) bool {
	a := &g.alerts
	text, err := json.Marshal(next)
	if err != nil {
		g.Logger.Error("what alerts tell cannot be kept", "error", err)
		return false
	}
	if !a.unsaved && a.text != "" && !g.news(next) {
		a.memory.Store(&next)
		return true
	}
	err = g.ledger.SaveNote(ctx, alertNote, ledger.Note{Text: string(text), Version: a.version})
	switch {
	case err == nil:
		a.version, a.text, a.unsaved = a.version+1, string(text), false
	case errors.Is(err, ledger.ErrChanged):
		return false
	default:
		a.unsaved = true
	}
	a.memory.Store(&next)
	return true
}

// news tells whether a memory has to be written down: from an older one that differs only in how far it has come, the same
// follows after a restart.
func (g *Gateway) news(next alert.Memory) bool {
	var kept alert.Memory
	if err := json.Unmarshal([]byte(g.alerts.text), &kept); err != nil || next.Since.Sub(kept.Since) > alertDrift {
		return true
	}
	kept.Since, kept.Read, kept.Quarantined = next.Since, next.Read, next.Quarantined
	before, err := json.Marshal(kept)
	after, failed := json.Marshal(next)
	return err != nil || failed != nil || string(before) != string(after)
}

// sendPending sends the message that is pending, if there is one. It returns the memory after it, and false if it could
// not be sent or is another replica's to send.
func (g *Gateway) sendPending(ctx context.Context, cfg *config.Config, memory alert.Memory, now time.Time) (alert.Memory, bool) {
	m := memory.Pending
	if m == nil {
		return memory, true
	}
	if m.By != g.alerts.name && now.Sub(m.At) < alertTurn {
		return memory, false
	}
	if err := g.tell(ctx, cfg, *m); err != nil {
		if ctx.Err() == nil {
			g.Logger.Error("an alert could not be sent; it is tried again", "alert", m.Headline, "after", alertLook, "error", err)
		}
		return memory, false
	}
	memory = memory.Sent(cfg.Alerts.To)
	return memory, g.remember(ctx, memory)
}

// tell stores the alert for delivery, once however often it is asked to; when the ledger cannot, it is sent without. An
// error means that nobody was told.
func (g *Gateway) tell(ctx context.Context, cfg *config.Config, m alert.Message) error {
	c := alertConversation(m)
	_, err := g.ledger.Accept(ctx, ledger.Hook{
		Raw: []byte(m.Headline + "\n" + strings.Join(m.Lines, "\n") + "\n"), ContentType: "text/plain; charset=utf-8", Conversation: c,
		Plan: func(string, int) ledger.Plan {
			plan := ledger.Plan{Config: cfg.Pipeline.Hash()}
			for _, target := range cfg.Alerts.To {
				plan.Deliveries = append(plan.Deliveries, ledger.PlannedDelivery{Target: target, Routes: []string{config.AlertsRoute}, IgnoreUpdates: true})
			}
			return plan
		},
	})
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return err
	}
	g.Logger.Warn("an alert is sent without the ledger", "alert", m.Headline, "error", err)
	var failures []error
	told := false
	for _, t := range cfg.Targets {
		if slices.Contains(cfg.Alerts.To, t.Name) {
			err := g.pushAlert(ctx, cfg, t, &c)
			failures, told = append(failures, err), told || err == nil
		}
	}
	err = errors.Join(failures...)
	if told && err != nil {
		g.Logger.Error("an alert did not reach every target", "alert", m.Headline, "error", err)
		return nil
	}
	return err
}

// pushAlert sends an alert once.
func (g *Gateway) pushAlert(ctx context.Context, cfg *config.Config, t config.Target, c *chat.Conversation) error {
	rendered, err := cfg.Pipeline.Map(c, t.Name, []string{config.AlertsRoute})
	if err != nil {
		return err
	}
	connector, err := openConnector(cfg, t, g.Options)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	object := "afterchat:" + c.ID + ":" + firstName(t)
	_, err = connector.Push(ctx, connectors.Record{Object: object, Request: object + ":1", Revision: 1, Attempt: 1, Fields: rendered.Fields})
	if err != nil {
		return fmt.Errorf("target %s: %w", t.Name, err)
	}
	return nil
}

// alertConversation is an alert as a conversation: the same one for the same message.
func alertConversation(m alert.Message) chat.Conversation {
	id := chat.NewID("afterchat", "alert", strconv.FormatInt(m.At.UnixMicro(), 10), m.Headline, strings.Join(m.Lines, "\n"))
	at := m.At.UTC()
	c := chat.Conversation{
		ID: id, Source: alertSource, Platform: chat.OwnPlatform, ExternalID: at.Format(time.RFC3339) + " " + id,
		Revision: 1, Outcome: chat.Completed, StartedAt: at, EndedAt: at, ReceivedAt: at, Language: "en",
		Question: m.Headline, Person: chat.Person{Name: "afterchat"},
	}
	for _, line := range m.Lines {
		c.Messages = append(c.Messages, chat.Message{At: at, Role: chat.System, Text: line})
	}
	c.Normalize()
	return c
}
