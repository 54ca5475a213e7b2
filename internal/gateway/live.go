// This file asks targets whether they work, and sends one marked test record: both without a ledger.

package gateway

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/pipeline"
)

// The states of a Live.
const (
	LiveOK        = "ok"        // reached, let in, and what the settings name is there
	LiveFailed    = "failed"    // Kind, Error and Hint say why
	LiveUnchecked = "unchecked" // its connector cannot check with these settings; Reached says whether anybody is there
)

// Live is what came of asking one target whether it works.
type Live struct {
	Target       string `json:"target"`
	Type         string `json:"type"`
	State        string `json:"state"`
	Kind         string `json:"kind,omitempty"` // of a failure, as in connectors.Kind
	Error        string `json:"error,omitempty"`
	Hint         string `json:"hint,omitempty"`
	Reached      bool   `json:"reached,omitempty"` // of an unchecked one: somebody listens there, and Hint says how it could be checked
	Milliseconds int64  `json:"ms"`
}

// Fine tells whether nothing speaks against delivering now or later. A target that asks to be asked later has let us in.
func (l Live) Fine() bool {
	return l.State != LiveFailed || l.Kind == connectors.Throttled.String()
}

// CheckLive asks every target, all at once, each for as long as one attempt may take. It sends nothing that could
// create. The results are in the order of the file.
func CheckLive(ctx context.Context, cfg *config.Config, o Options) []Live {
	out := make([]Live, len(cfg.Targets))
	var work sync.WaitGroup
	for i, t := range cfg.Targets {
		work.Go(func() { out[i] = checkTarget(ctx, cfg, t, o) })
	}
	work.Wait()
	return out
}

func checkTarget(ctx context.Context, cfg *config.Config, t config.Target, o Options) Live {
	live := Live{Target: t.Name, Type: t.Type.Name(), State: LiveUnchecked}
	started := time.Now()
	connector, err := openConnector(cfg, t, o)
	if checker, ok := connector.(connectors.Checker); err == nil && ok {
		ctx, cancel := context.WithTimeout(ctx, t.Timeout)
		defer cancel()
		live.State, err = LiveOK, checker.Check(ctx)
		if fields, ok := connector.(connectors.FieldChecker); ok && err == nil {
			err = checkFields(ctx, cfg, t.Name, fields)
		}
	} else if reacher, ok := connector.(connectors.Reacher); err == nil && ok {
		ctx, cancel := context.WithTimeout(ctx, t.Timeout)
		defer cancel()
		live.Hint, err = reacher.Reach(ctx)
		live.Reached = err == nil
	}
	if err != nil {
		e := connectors.Classify(err)
		live.State, live.Kind, live.Error, live.Hint = LiveFailed, e.Kind.String(), err.Error(), e.Hint
	}
	live.Milliseconds = time.Since(started).Milliseconds()
	return live
}

// checkFields asks whether what the routes name at a target is there, with a test record as each route renders it: an id
// is mostly written out, so it stands in any record.
func checkFields(ctx context.Context, cfg *config.Config, target string, checker connectors.FieldChecker) error {
	c := testConversation(cfg, time.Now())
	routes := [][]string{nil}
	for _, r := range cfg.Definition.Routes {
		if slices.ContainsFunc(r.To, func(to pipeline.RouteTarget) bool { return to.Target == target }) {
			routes = append(routes, []string{r.Name})
		}
	}
	var failures []error
	for _, names := range routes {
		rendered, err := cfg.Pipeline.Map(&c, target, names)
		if err != nil {
			continue // a mapping that fails on this record says nothing of ids; check has passed it
		}
		if err := checker.CheckFields(ctx, rendered.Fields); err != nil {
			e := *connectors.Classify(err)
			if len(names) > 0 {
				e.Err = fmt.Errorf("route %q: %w", names[0], e.Err)
			}
			failures = append(failures, &e)
		}
	}
	return errors.Join(failures...)
}

func openConnector(cfg *config.Config, t config.Target, o Options) (connectors.Connector, error) {
	logger := o.Logger
	if logger == nil {
		logger = slog.Default()
	}
	connector, err := t.Type.Open(t.Settings, connectors.Env{
		Target: t.Name, Folder: cfg.Folder, Version: o.Version, Timeout: t.Timeout,
		Logger: logger.With("target", t.Name), Transport: o.Transport,
	})
	if err != nil {
		return nil, &connectors.Error{Kind: connectors.Denied, Err: fmt.Errorf("target %s: %w", t.Name, err), Hint: "correct its settings"}
	}
	return connector, nil
}

// TestRecord is what every text of a test record says, so that nobody takes it for a customer.
const TestRecord = "afterchat test record"

// Sent is a test record that a target was given.
type Sent struct {
	Target       string             `json:"target"`
	Conversation string             `json:"conversation"` // its id, a new one each time
	Routes       []string           `json:"routes"`       // that it was rendered by; none: the default mapping alone
	Notes        []string           `json:"notes,omitempty"`
	Receipt      connectors.Receipt `json:"receipt"`
}

// SendTest renders a test record and pushes it to one target, once, within the time of one attempt. The record goes
// through the routes that would send it there; if none would, through the first that names the target. The error is an
// *UnknownNameError, or classified as a connector's.
func SendTest(ctx context.Context, cfg *config.Config, name string, o Options, now time.Time) (Sent, error) {
	i := slices.IndexFunc(cfg.Targets, func(t config.Target) bool { return t.Name == name })
	if i < 0 {
		return Sent{}, unknownName("target", name, targetNames(cfg))
	}
	t, c := cfg.Targets[i], testConversation(cfg, now)
	sent := Sent{Target: name, Conversation: c.ID, Routes: testRoutes(cfg, name, &c)}
	rendered, err := cfg.Pipeline.Map(&c, name, sent.Routes)
	if err != nil {
		return sent, &connectors.Error{Kind: connectors.Rejected, Err: err, Hint: "a delivery that cannot be rendered is dead until the mapping is corrected"}
	}
	sent.Notes = slices.Concat(rendered.Cut, rendered.Dropped)
	connector, err := openConnector(cfg, t, o)
	if err != nil {
		return sent, err
	}
	ctx, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	sent.Receipt, err = connector.Push(ctx, firstRecord(c.ID, t, rendered.Fields))
	return sent, err
}

// testRoutes are the routes that render the test record.
func testRoutes(cfg *config.Config, target string, c *chat.Conversation) []string {
	if matches, err := cfg.Pipeline.Route(c); err == nil {
		for _, m := range matches {
			if m.Target == target {
				return m.Routes
			}
		}
	}
	for _, r := range cfg.Definition.Routes {
		for _, to := range r.To {
			if to.Target == target {
				return []string{r.Name}
			}
		}
	}
	return nil
}

// testConversation is a finished chat of the first source with a value in every field that mappings like to use. Its
// address is one that never gets mail (RFC 2606).
func testConversation(cfg *config.Config, now time.Time) chat.Conversation {
	now = now.UTC().Truncate(time.Second)
	yes, rating, duration, first := true, 5.0, 60.0, 20.0
	c := chat.Conversation{
		ID: chat.NewID("afterchat", "test", rand.Text()), Platform: "afterchat", Account: "test", ExternalID: "test-" + strings.ToLower(rand.Text()[:8]),
		Revision: 1, Outcome: chat.Completed, Flags: chat.Flags{Chat: &yes, Completed: &yes},
		StartedAt: now.Add(-time.Minute), EndedAt: now, ReceivedAt: now,
		DurationSeconds: &duration, FirstResponseSeconds: &first, AvgResponseSeconds: &first,
		Rating: &rating, RatingComment: TestRecord, Question: TestRecord, Language: "en",
		Person: chat.Person{
			ID: "test", Name: TestRecord, Email: "afterchat-test@example.com", Note: TestRecord,
			Vars: map[string]any{"afterchat_test": true},
		},
		Agents: []chat.Author{{ID: "test", Name: "afterchat"}},
		Messages: []chat.Message{
			{At: now.Add(-time.Minute), Role: chat.Visitor, Author: TestRecord, Text: "This is an " + TestRecord + ". It can be deleted."},
			{At: now.Add(-40 * time.Second), Role: chat.Agent, Author: "afterchat", AuthorID: "test", Text: "If you can read this, the target works."},
		},
	}
	if len(cfg.Sources) > 0 {
		c.Source, c.Brand = cfg.Sources[0].Name, cfg.Sources[0].Brand
	}
	c.Normalize()
	return c
}

func targetNames(cfg *config.Config) []string {
	var names []string
	for _, t := range cfg.Targets {
		names = append(names, t.Name)
	}
	return names
}

// UnknownNameError names a source or target that the configuration does not have.
type UnknownNameError struct {
	What, Name string
	Known      []string
}

func (e *UnknownNameError) Error() string {
	return config.Unknown(e.What, e.Name, e.Known)
}

func unknownName(what, name string, known []string) error {
	return &UnknownNameError{What: what, Name: name, Known: known}
}
