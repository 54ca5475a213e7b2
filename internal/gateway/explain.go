// This file says what a hook would become, without a ledger and without sending anything.

package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/console"
	"github.com/afterchat/afterchat/internal/intake"
	"github.com/afterchat/afterchat/internal/pipeline"
	"github.com/afterchat/afterchat/internal/source"
)

// Explained is what a hook would become; the console shows the same.
type Explained = console.Explained

// Previewed is what a target would be sent.
type Previewed = console.Previewed

// Explain decodes a hook of a source, routes and maps it, and says what each target would be sent. An *source.Error
// means that the hook would go to quarantine.
func Explain(cfg *config.Config, sourceName string, body []byte, contentType string, received time.Time) (*Explained, error) {
	e, err := explain(cfg, sourceName, body, contentType, received)
	if err != nil {
		return nil, err
	}
	e.Previews, err = previews(cfg, e.Conversation.ID, e.Targets)
	return e, err
}

// notKept is what is wrong with a hook that did not come from its source, so that it is in no quarantine.
func notKept(e *source.Error) *source.Error {
	hint := strings.TrimSuffix(strings.TrimSuffix(e.Hint, source.Kept), "; ")
	return &source.Error{Reason: e.Reason, Hint: hint, Err: e.Err}
}

// previews asks the connectors what they would send for the first revision of a conversation that no target holds.
func previews(cfg *config.Config, conversation string, targets []pipeline.ExplainedTarget) (map[string]Previewed, error) {
	out := map[string]Previewed{}
	for _, t := range targets {
		at := slices.IndexFunc(cfg.Targets, func(c config.Target) bool { return c.Name == t.Target })
		if at < 0 || t.Error != "" {
			continue
		}
		connector, err := openConnector(cfg, cfg.Targets[at], Options{Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return nil, err
		}
		previewer, ok := connector.(connectors.Previewer)
		if !ok {
			continue
		}
		preview, err := previewer.Preview(firstRecord(conversation, cfg.Targets[at], t.Fields))
		made := Previewed{Preview: preview}
		if err != nil {
			made.Error, made.Hint = err.Error(), connectors.Classify(err).Hint
		}
		out[t.Target] = made
	}
	return out, nil
}

// firstRecord is the first revision of a conversation on its first try.
func firstRecord(conversation string, t config.Target, fields map[string]any) connectors.Record {
	object := "afterchat:" + conversation + ":" + firstName(t)
	return connectors.Record{Object: object, Request: object + ":1", Revision: 1, Attempt: 1, Fields: fields}
}

func explain(cfg *config.Config, sourceName string, body []byte, contentType string, received time.Time) (*Explained, error) {
	for _, s := range cfg.Sources {
		if s.Name != sourceName {
			continue
		}
		c, err := conversationOf(s, body, contentType, received)
		if err != nil {
			return nil, err
		}
		c.Source, c.Brand, c.ReceivedAt, c.Revision = s.Name, s.Brand, received, 1
		c.Normalize()
		if kept := cfg.Pipeline.AtIntake(&c); kept != nil {
			c = *kept
		}
		e := &Explained{Source: s.Name, Platform: s.Type, Conversation: c, Explanation: cfg.Pipeline.Explain(&c)}
		e.Redacted = redactions(cfg, e.Targets)
		return e, nil
	}
	var names []string
	for _, s := range cfg.Sources {
		names = append(names, s.Name)
	}
	return nil, unknownName("source", sourceName, names)
}

// conversationOf decodes a hook of a source, or what was kept in its place after redaction.
func conversationOf(s config.Source, body []byte, contentType string, received time.Time) (c chat.Conversation, err error) {
	if contentType == intake.RedactedType {
		d := json.NewDecoder(bytes.NewReader(body))
		d.UseNumber()
		if err := d.Decode(&c); err != nil {
			return c, &source.Error{Reason: "it is no redacted conversation: " + err.Error(), Err: err}
		}
		return c, nil
	}
	decoder, err := Decoder(s)
	if err != nil {
		return c, err
	}
	decoded, err := decoder.Decode(source.Hook{Body: body, ContentType: contentType, ReceivedAt: received})
	if unreadable, ok := errors.AsType[*source.Error](err); ok {
		err = notKept(unreadable)
	}
	if err != nil {
		return c, fmt.Errorf("the hook would be kept in quarantine: %w", err)
	}
	return decoded.Conversation, nil
}

// redactions lists, for each target, what the routes that make its delivery redact.
func redactions(cfg *config.Config, targets []pipeline.ExplainedTarget) map[string][]string {
	out := map[string][]string{}
	for _, t := range targets {
		for _, r := range cfg.Definition.Routes {
			if !slices.Contains(t.Routes, r.Name) {
				continue
			}
			for _, to := range r.To {
				if to.Target == t.Target {
					out[t.Target] = append(out[t.Target], to.Redact...)
				}
			}
		}
		slices.Sort(out[t.Target])
		out[t.Target] = slices.Compact(out[t.Target])
		if len(out[t.Target]) == 0 {
			delete(out, t.Target)
		}
	}
	return out
}

// FieldOrder tells, for the values that a target can get, the order in which the default mapping and the routes name
// them: by the path of keys, with dots.
func FieldOrder(cfg *config.Config, target string) map[string]int {
	order := map[string]int{}
	var walk func(tree pipeline.Tree, path string)
	walk = func(tree pipeline.Tree, path string) {
		switch tree := tree.(type) {
		case pipeline.Mapping:
			for _, e := range tree {
				inner := strings.TrimPrefix(path+"."+e.Key, ".")
				if _, named := order[inner]; !named {
					order[inner] = len(order)
				}
				walk(e.Value, inner)
			}
		case []any:
			for _, item := range tree {
				walk(item, path)
			}
		}
	}
	walk(cfg.Definition.Defaults[target], "")
	for _, r := range cfg.Definition.Routes {
		for _, to := range r.To {
			if to.Target == target {
				walk(to.Fields, "")
			}
		}
	}
	return order
}
