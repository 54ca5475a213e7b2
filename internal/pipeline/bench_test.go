// This file measures routing and mapping of a conversation with 20 messages.

package pipeline

import (
	"fmt"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
)

func benchmark(b *testing.B, redact string) (*Pipeline, *chat.Conversation) {
	b.Helper()
	d := testDefinition(b, fmt.Appendf(nil, `{
		"redact": {"all": {"find": [{"name": "card"}, {"name": "iban"}, {"name": "email"}, {"name": "phone"}, {"name": "ip"}], "replace": ""}},
		"routes": [
			{"name": "rating", "when": "rating <= 2", "to": [{"target": "slack"}]},
			{"name": "refund", "when": "any(messages, .text contains \"refund\") and visitor.email != \"\"", "to": [{"target": "crm"}]},
			{"name": "everything", "to": [{"target": "help", "redact": [%s], "fields": {"tags": ["chat", "${source}", "${brand}"]}}, {"target": "log"}]},
			{"name": "missed", "from": ["shop"], "when": "outcome in [\"missed\", \"offline\"]", "to": [{"target": "help", "fields": {"priority": "high"}}]}]}`, redact))
	p, problems := Compile(d, testTargets(b), testSources())
	if len(problems) > 0 {
		b.Fatal(problems)
	}
	c := testConversation(b, nil)
	for i := range 20 {
		c.Messages = append(c.Messages, chat.Message{Role: chat.Visitor, At: time.Unix(1_750_000_000+int64(i), 0), Author: "Jana", Text: "I ordered 3 pairs of shoes on 2026-01-15 and paid with 4111 1111 1111 1111, they never came"})
	}
	b.ReportAllocs()
	return p, c
}

func BenchmarkRoute(b *testing.B) {
	p, c := benchmark(b, "")
	for b.Loop() {
		if _, err := p.Route(c); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMap(b *testing.B) {
	p, c := benchmark(b, "")
	for b.Loop() {
		if _, err := p.Map(c, "help", []string{"everything"}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMapRedacted(b *testing.B) {
	p, c := benchmark(b, `"all"`)
	for b.Loop() {
		if _, err := p.Map(c, "help", []string{"everything"}); err != nil {
			b.Fatal(err)
		}
	}
}
