// This file keeps what a process has accepted just now in its memory, so that a delivery that follows at once need not
// read it back and decode it again.

package row

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
)

const (
	// freshBytes bounds what is kept, in bytes of the bodies as they were sent. What does not fit is read back.
	freshBytes = 2 << 20
	// freshFor is for how long nobody else gets its room: what was accepted first is claimed first, so that of a backlog
	// that is being delivered the newest would never be used.
	freshFor = 5 * time.Second
)

// Fresh holds conversations between their commit and the claims that follow. Each is dropped when every delivery that it
// was accepted for has been claimed here once, or when it is old and newer ones need the room. It is safe for use by
// several goroutines; the zero value is ready.
type Fresh struct {
	For time.Duration // how long nobody else gets the room of what is held; 0: five seconds

	mu    sync.Mutex
	held  map[freshKey]*freshEntry
	queue []freshKey // in the order of put; may name what has been dropped
	bytes int
}

type freshKey struct {
	id       string
	revision int
}

type freshEntry struct {
	conversation chat.Conversation
	bytes, uses  int
	since        time.Time
}

// Put keeps a conversation for so many claims, in place of what had its id and revision before: in a ledger that began
// anew that may have been another one. bytes is the size of its body.
func (f *Fresh) Put(c chat.Conversation, bytes, uses int) { f.putAt(c, bytes, uses, time.Now()) }

func (f *Fresh) putAt(c chat.Conversation, bytes, uses int, now time.Time) {
	key := freshKey{c.ID, c.Revision}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drop(key)
	if uses == 0 || bytes > freshBytes/8 || !f.room(bytes, now) {
		return
	}
	if f.held == nil {
		f.held = make(map[freshKey]*freshEntry)
	}
	f.held[key] = &freshEntry{asStored(c), bytes, uses, now}
	f.queue = append(f.queue, key)
	f.bytes += bytes
}

// room makes room for bytes, if what would have to go is old.
func (f *Fresh) room(bytes int, now time.Time) bool {
	for len(f.queue) > 0 {
		oldest, held := f.held[f.queue[0]]
		switch {
		case held && f.bytes+bytes <= freshBytes && len(f.queue) < 2*len(f.held)+64:
			return true
		case held && f.bytes+bytes > freshBytes && now.Sub(oldest.since) < cmp.Or(f.For, freshFor):
			return false
		}
		f.drop(f.queue[0])
		f.queue = f.queue[1:]
	}
	return true
}

// Take returns a conversation that is still here. It is shared: nobody may change what it points to.
func (f *Fresh) Take(id string, revision int) (chat.Conversation, bool) {
	key := freshKey{id, revision}
	f.mu.Lock()
	defer f.mu.Unlock()
	e, ok := f.held[key]
	if !ok {
		return chat.Conversation{}, false
	}
	if e.uses--; e.uses == 0 {
		f.drop(key)
	}
	return e.conversation, true
}

// Forget drops everything.
func (f *Fresh) Forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held, f.queue, f.bytes = nil, nil, 0
}

func (f *Fresh) drop(key freshKey) {
	if e, ok := f.held[key]; ok {
		f.bytes -= e.bytes
		delete(f.held, key)
	}
}

// asStored is c as UnpackConversation returns it: what is empty is absent, and a time is no reading of a monotonic clock.
func asStored(c chat.Conversation) chat.Conversation {
	c.ReceivedAt = c.ReceivedAt.Round(0)
	c.Extra, c.Person.Vars = orNil(c.Extra), orNil(c.Person.Vars)
	if len(c.Person.VarLabels) == 0 {
		c.Person.VarLabels = nil
	}
	if len(c.Warnings) == 0 {
		c.Warnings = nil
	}
	hollow := func(m chat.Message) bool {
		return m.Files != nil && len(m.Files) == 0 || m.Extra != nil && len(m.Extra) == 0
	}
	if !slices.ContainsFunc(c.Messages, hollow) {
		return c
	}
	c.Messages = slices.Clone(c.Messages)
	for i := range c.Messages {
		m := &c.Messages[i]
		if m.Extra = orNil(m.Extra); len(m.Files) == 0 {
			m.Files = nil
		}
	}
	return c
}

func orNil(m map[string]any) map[string]any {
	if len(m) == 0 {
		return nil
	}
	return m
}
