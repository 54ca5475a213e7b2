// This file measures what every delivery needs of a conversation.

package chat_test

import (
	"strings"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
)

func BenchmarkRender(b *testing.B) {
	c := &chat.Conversation{}
	at := time.Date(2026, 1, 2, 10, 0, 0, 0, time.UTC)
	for i := range 25 {
		m := chat.Message{At: at.Add(time.Duration(i) * time.Minute), Role: chat.Visitor, Author: "Ada", Text: strings.Repeat("where is my order 4711 ", 4)}
		if i%2 == 1 {
			m.Role, m.Author, m.AuthorID = chat.Agent, "Bob", "7"
		}
		c.Messages = append(c.Messages, m)
	}
	b.ReportAllocs()
	for b.Loop() {
		c.Render(chat.Style{})
	}
}
