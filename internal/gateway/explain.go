// This file says what a hook would become, without a ledger and without sending anything.

package gateway

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/pipeline"
	"github.com/afterchat/afterchat/internal/source"
)

// Explained is what a hook would become.
type Explained struct {
	Source       string            `json:"source"`
	Platform     string            `json:"platform"`
	Conversation chat.Conversation `json:"conversation"`
	pipeline.Explanation
	// Redacted names the redactions of each target that has any.
	Redacted map[string][]string `json:"redacted,omitempty"`
}

// Explain decodes a hook of a source and routes and maps it. An *source.Error means that it would go to quarantine.
func Explain(cfg *config.Config, sourceName string, body []byte, contentType string, received time.Time) (*Explained, error) {
	for _, s := range cfg.Sources {
		if s.Name != sourceName {
			continue
		}
		decoder, err := Decoder(s)
		if err != nil {
			return nil, err
		}
		decoded, err := decoder.Decode(source.Hook{Body: body, ContentType: contentType, ReceivedAt: received})
		if err != nil {
			return nil, fmt.Errorf("the hook would be kept in quarantine: %w", err)
		}
		c := decoded.Conversation
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
