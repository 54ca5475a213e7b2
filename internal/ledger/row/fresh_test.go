// This file tests how much is kept in memory of what was accepted just now, and for how long.

package row

import (
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
)

func TestFreshIsBounded(t *testing.T) {
	t.Parallel()
	var f Fresh
	now := time.Now()
	for n := range 5000 {
		now = now.Add(freshFor / 500) // so that the oldest are old enough to go
		f.putAt(chat.Conversation{ID: chat.NewID("test", string(rune('a'+n%26))), Revision: n}, 4096, 1+n%3, now)
		if f.bytes > freshBytes || len(f.held) > freshBytes/4096 || len(f.queue) > 2*len(f.held)+64 {
			t.Fatalf("after %d: %d bytes, %d conversations, a queue of %d", n, f.bytes, len(f.held), len(f.queue))
		}
	}
	newest := chat.NewID("test", string(rune('a'+4999%26)))
	for use := range 1 + 4999%3 {
		if _, ok := f.Take(newest, 4999); !ok {
			t.Errorf("use %d of the newest is not there", use+1)
		}
	}
	if _, ok := f.Take(newest, 4999); ok {
		t.Error("it is there after its last use")
	}
	f.putAt(chat.Conversation{ID: "large", Revision: 1}, freshBytes/4, 1, now)
	if _, ok := f.Take("large", 1); ok {
		t.Error("a large one took the room of many")
	}
	f.putAt(chat.Conversation{ID: "same", Revision: 1, Question: "old"}, 1, 1, now)
	f.putAt(chat.Conversation{ID: "same", Revision: 1, Question: "new"}, 1, 1, now)
	if c, _ := f.Take("same", 1); c.Question != "new" {
		t.Errorf("the older one was kept: %q", c.Question)
	}
}

// Of a backlog, what was accepted first is claimed first, so it is what is kept.
func TestFreshKeepsTheOldest(t *testing.T) {
	t.Parallel()
	var f Fresh
	now := time.Now()
	put := func(n int) { f.putAt(chat.Conversation{ID: "c", Revision: n}, 4096, 1, now) }
	const room = freshBytes / 4096
	for n := range 3 * room {
		put(n)
	}
	for n := range 3 * room {
		if _, ok := f.Take("c", n); ok != (n < room) {
			t.Fatalf("%d of %d that fit is there: %v", n, room, ok)
		}
	}
	put(1) // there is room again
	if _, ok := f.Take("c", 1); !ok || f.bytes != 0 {
		t.Errorf("there: %v, %d bytes held", ok, f.bytes)
	}
}
