// This file tells people what fails, through a target. An alert is a conversation of a source of our own: it is stored,
// delivered and seen like every other. Its id is made of the time and of what it tells, so that of several replicas that
// see the same one tells.

package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/alert"
	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/console"
	"github.com/afterchat/afterchat/internal/ledger"
)

const (
	// alertSource is the source of alerts.
	alertSource = "afterchat"
	// alertLook is how often is looked for what should be told.
	alertLook = 20 * time.Second
)

// tellAlerts tells people until ctx ends.
func (g *Gateway) tellAlerts(ctx context.Context) {
	ticker := time.NewTicker(alertLook)
	defer ticker.Stop()
	var memory alert.Memory
	for {
		memory = g.alertOnce(ctx, memory, time.Now().UTC())
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// alertOnce looks once, and tells what is due.
func (g *Gateway) alertOnce(ctx context.Context, memory alert.Memory, now time.Time) alert.Memory {
	cfg := g.setup.Load().config
	if len(cfg.Alerts.To) == 0 {
		return alert.Memory{}
	}
	var on []alert.Kind
	for _, kind := range cfg.Alerts.On {
		on = append(on, alert.Kind(kind))
	}
	next, message := alert.Next(memory, g.look(ctx, cfg, memory, now), on, cfg.Alerts.Every, now)
	if message == nil || ctx.Err() != nil {
		return next
	}
	if err := g.tell(ctx, cfg, *message, now); err != nil {
		g.Logger.Error("an alert could not be sent; it is tried again", "alert", message.Headline, "after", alertLook, "error", err)
		return memory
	}
	return next
}

// look is what is known of the gateway now. What cannot be read is the ledger's trouble.
func (g *Gateway) look(ctx context.Context, cfg *config.Config, memory alert.Memory, now time.Time) alert.Seen {
	seen := alert.Seen{Paused: map[string]string{}, Silent: map[string]time.Time{}}
	if err := g.ledger.Ready(ctx); err != nil {
		seen.Ledger = append(seen.Ledger, "hooks cannot be stored: "+err.Error())
	}
	stats, err := g.ledger.Stats(ctx)
	if err != nil {
		return seen
	}
	if stats.SetAside > 0 {
		seen.Ledger = append(seen.Ledger, "a damaged ledger is set aside; afterchat ledger repair takes what can be read of it into the one in use")
	}
	seen.Quarantined = stats.Quarantined
	for _, s := range cfg.Sources {
		heard := stats.LastHook[s.Name]
		from := heard
		if since := g.setup.Load().since[s.Name]; from.Before(since) {
			from = since
		}
		if s.ExpectEvery > 0 && now.Sub(from) > s.ExpectEvery {
			seen.Silent[s.Name] = heard
		}
	}
	for _, status := range g.engine.Load().Status() {
		if status.Paused && !status.ByOperator {
			seen.Paused[status.Name] = console.WithoutAnswer(status.Reason)
		}
	}
	if memory.Since.IsZero() {
		return seen
	}
	if stats.Quarantined > 0 {
		seen.Unread = g.unreadSince(ctx, memory.Since)
	}
	failures, err := g.ledger.Failures(ctx, ledger.Filter{States: []ledger.State{ledger.Dead}, FailedSince: memory.Since})
	if err != nil {
		return seen
	}
	for _, f := range failures {
		// Where the only target of alerts fails, it is the wrong one to tell.
		if !slices.Equal(cfg.Alerts.To, []string{f.Target}) {
			seen.Dead = append(seen.Dead, alert.Group{Target: f.Target, Class: f.Class, Reason: f.Reason, Count: f.Count})
		}
	}
	return seen
}

// mostUnread is how many hooks in quarantine are counted at one look.
const mostUnread = 10_000

// unreadSince counts the hooks in quarantine that came since.
func (g *Gateway) unreadSince(ctx context.Context, since time.Time) (n int64) {
	page := ledger.Page{}
	for n < mostUnread {
		rows, err := g.ledger.Quarantined(ctx, nil, page)
		if err != nil {
			return n
		}
		for _, r := range rows.Items {
			if r.ReceivedAt.Before(since) {
				return n
			}
			n++
		}
		if rows.Next == "" {
			return n
		}
		page.After, page.Limit = rows.Next, ledger.MaxPage
	}
	return n
}

// tell stores the alert for delivery; when the ledger cannot, it is sent without. An error means that nobody was told.
func (g *Gateway) tell(ctx context.Context, cfg *config.Config, m alert.Message, now time.Time) error {
	c := alertConversation(m, cfg.Alerts.Every, now)
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
	if err == nil || ctx.Err() != nil {
		return nil
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

// alertConversation is an alert as a conversation. Those of one span of time that tell the same have one id, whatever
// their counts.
func alertConversation(m alert.Message, every time.Duration, now time.Time) chat.Conversation {
	bucket := now.Truncate(every)
	id := chat.NewID("afterchat", "alert", strconv.FormatInt(bucket.Unix(), 10), topics(m))
	c := chat.Conversation{
		ID: id, Source: alertSource, Platform: "afterchat", ExternalID: bucket.Format(time.RFC3339) + " " + id,
		Revision: 1, Outcome: chat.Completed, StartedAt: now, EndedAt: now, ReceivedAt: now, Language: "en",
		Question: m.Headline, Person: chat.Person{Name: "afterchat"},
	}
	for _, line := range m.Lines {
		c.Messages = append(c.Messages, chat.Message{At: now, Role: chat.System, Text: line})
	}
	c.Normalize()
	return c
}

// topics is what a message tells of, without how many: two replicas do not count alike.
func topics(m alert.Message) string {
	lines := m.Lines
	if len(lines) == 0 {
		lines = []string{strings.TrimPrefix(m.Headline, "afterchat: ")}
	}
	var out strings.Builder
	for _, line := range lines {
		out.WriteString(strings.TrimLeft(line, "0123456789") + "\n")
	}
	return counted.Replace(out.String())
}

// counted makes one of one and many.
var counted = strings.NewReplacer(" delivery to ", " deliveries to ", " is dead", " are dead", " hook could not be read and is ", " hooks could not be read and are ")
