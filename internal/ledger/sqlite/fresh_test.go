// This file tests that what is handed over in memory is what would have been read from the file.

package sqlite

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/chat/chattest"
	"github.com/afterchat/afterchat/internal/ledger"
)

// A delivery renders with the conversation from memory the first time and with the one from the file after a restart;
// a request whose outcome is unknown must have the same bytes both times.
func TestFreshIsWhatIsStored(t *testing.T) {
	t.Parallel()
	l := open(t, filepath.Join(t.TempDir(), "ledger.db"), Options{})
	rapid.Check(t, func(r *rapid.T) {
		c := *chattest.Conversation().Draw(r, "conversation")
		c.Normalize()
		c.ReceivedAt = time.Now()
		c.ID = chat.NewID("test", rapid.StringMatching(`[a-z]{30}`).Draw(r, "id"))
		h := ledger.Hook{Raw: []byte(c.ID), Conversation: c, Plan: func(string, int) ledger.Plan {
			return ledger.Plan{Config: "c", Deliveries: []ledger.PlannedDelivery{{Target: "help"}}}
		}}
		if _, err := l.Accept(t.Context(), h); err != nil {
			r.Skip("JSON cannot hold it: ", err)
		}
		got, err := l.Claim(t.Context(), ledger.Claim{Target: "help", Limit: 1, Lease: time.Hour})
		if err != nil || len(got.Deliveries) == 0 {
			r.Fatalf("claimed %d, %v", len(got.Deliveries), err)
		}
		stored, err := l.Conversation(t.Context(), c.ID)
		if err != nil {
			r.Fatal(err)
		}
		if diff := cmp.Diff(stored, got.Deliveries[0].Conversation); diff != "" {
			r.Fatalf("from the file (-), from memory (+):\n%s", diff)
		}
	})
	if len(l.fresh.held) != 0 || l.fresh.bytes != 0 {
		t.Errorf("%d conversations of %d bytes are still held", len(l.fresh.held), l.fresh.bytes)
	}
}

func TestFreshIsBounded(t *testing.T) {
	t.Parallel()
	var f fresh
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
		if _, ok := f.take(newest, 4999); !ok {
			t.Errorf("use %d of the newest is not there", use+1)
		}
	}
	if _, ok := f.take(newest, 4999); ok {
		t.Error("it is there after its last use")
	}
	f.putAt(chat.Conversation{ID: "large", Revision: 1}, freshBytes/4, 1, now)
	if _, ok := f.take("large", 1); ok {
		t.Error("a large one took the room of many")
	}
	f.putAt(chat.Conversation{ID: "same", Revision: 1, Question: "old"}, 1, 1, now)
	f.putAt(chat.Conversation{ID: "same", Revision: 1, Question: "new"}, 1, 1, now)
	if c, _ := f.take("same", 1); c.Question != "new" {
		t.Errorf("the older one was kept: %q", c.Question)
	}
}

// Of a backlog, what was accepted first is claimed first, so it is what is kept.
func TestFreshKeepsTheOldest(t *testing.T) {
	t.Parallel()
	var f fresh
	now := time.Now()
	put := func(n int) { f.putAt(chat.Conversation{ID: "c", Revision: n}, 4096, 1, now) }
	const room = freshBytes / 4096
	for n := range 3 * room {
		put(n)
	}
	for n := range 3 * room {
		if _, ok := f.take("c", n); ok != (n < room) {
			t.Fatalf("%d of %d that fit is there: %v", n, room, ok)
		}
	}
	put(1) // there is room again
	if _, ok := f.take("c", 1); !ok || f.bytes != 0 {
		t.Errorf("there: %v, %d bytes held", ok, f.bytes)
	}
}
