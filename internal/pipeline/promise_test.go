// This file holds the promise of check: what passes it renders on any conversation.

package pipeline_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/chat/chattest"
	"github.com/afterchat/afterchat/internal/pipeline/pipelinetest"
)

// TestPromiseOfGenerated renders random conversations with random configurations that pass check: 20 of each a check,
// so 2,000 in an ordinary run; -rapid.checks=5000 makes it 100,000. One in 200 has hundreds or thousands of messages.
func TestPromiseOfGenerated(t *testing.T) {
	t.Parallel()
	tried, left := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		fields := pipelinetest.Fields().Draw(t, "fields")
		g := pipelinetest.Definition(fields).Draw(t, "definition")
		tried, left = tried+g.Tried, left+g.Left
		conversations := make([]*chat.Conversation, 20)
		for i := range conversations {
			conversations[i] = chattest.Conversation().Draw(t, "conversation")
		}
		if rapid.IntRange(0, 9).Draw(t, "long") == 0 {
			conversations = append(conversations, chattest.Long().Draw(t, "long conversation"))
		}
		for _, c := range conversations {
			matches, err := g.Pipeline.Route(c)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range matches {
				rendered, err := g.Pipeline.Map(c, m.Target, m.Routes)
				if err != nil {
					t.Fatal(err)
				}
				if err := pipelinetest.CheckFields(fields, rendered.Fields); err != nil {
					t.Fatalf("%v\n%#v", err, rendered.Fields)
				}
			}
		}
	})
	if left < tried/3 {
		t.Errorf("only %d of %d generated values passed check: this proves little", left, tried)
	}
}
