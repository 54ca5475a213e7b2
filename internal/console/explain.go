// This file declares routes, and the playground: a hook, with routes that somebody tries out, and what would become of it.

package console

import (
	"encoding/json"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/pipeline"
)

// Route is one route of the configuration.
type Route struct {
	Name    string   `json:"name"`
	Targets []string `json:"targets" doc:"that it names"`
}

func getRoutes(q *request) (any, error) {
	if q.console.Routes == nil {
		return nil, errNoGateway
	}
	return List[Route]{Items: append([]Route{}, q.console.Routes()...)}, nil
}

// Sample is the hook that a test of the configuration is made with.
type Sample struct {
	Test   string // its name
	Source string
	Read   func() ([]byte, error)
}

// Explain asks what a hook would become.
type Explain struct {
	Source string `json:"source" doc:"name of the source that the hook is for"`
	// Payload is the body: a JSON value, or any text as a JSON string.
	Payload     json.RawMessage `json:"payload" doc:"body of the hook: the JSON itself, or any text as a string"`
	ContentType string          `json:"content_type,omitempty" doc:"as its sender would say"`
	Routes      string          `json:"routes,omitempty" doc:"YAML of routes: to try out instead of those in force"`
}

// Body is the body of the hook.
func (e Explain) Body() []byte {
	var text string
	if json.Unmarshal(e.Payload, &text) == nil {
		return []byte(text)
	}
	return e.Payload
}

// Explained is what a hook would become.
type Explained struct {
	Source       string            `json:"source"`
	Platform     string            `json:"platform"`
	Conversation chat.Conversation `json:"conversation"`
	pipeline.Explanation
	// Redacted names the redactions of each target that has any.
	Redacted map[string][]string `json:"redacted,omitempty" doc:"names of the redactions, by target"`
	// Previews are what each target would be sent, by its name; without those whose connector cannot tell, and those
	// that cannot be rendered.
	Previews map[string]Previewed `json:"previews,omitempty" doc:"what each target would be sent, by its name"`
}

// Previewed is what a target would be sent.
type Previewed struct {
	connectors.Preview
	Error string `json:"error,omitempty" doc:"nothing more would be sent; how the delivery would fail"`
	Hint  string `json:"hint,omitempty"`
}
