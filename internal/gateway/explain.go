// This file says what a hook would become, without a ledger and without sending anything.

package gateway

import (
	"fmt"
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
		return &Explained{Source: s.Name, Platform: s.Type, Conversation: c, Explanation: cfg.Pipeline.Explain(&c)}, nil
	}
	var names []string
	for _, s := range cfg.Sources {
		names = append(names, s.Name)
	}
	return nil, unknownName("source", sourceName, names)
}
