// This file tests what makes two conversations the same, and how they end.

package chat_test

import (
	"encoding/json"
	"math"
	"regexp"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
)

func TestNewID(t *testing.T) {
	t.Parallel()
	// The ids are stored at targets: they may never change.
	if got, want := chat.NewID("smartsupp", "208", "55039"), "cjge4dfy53csxhv82m7g573c7rw"; got != want {
		t.Errorf("NewID = %q, want %q", got, want)
	}
	form := regexp.MustCompile(`^c[0-9a-z]{26}$`)
	seen := map[string][]string{}
	for _, parts := range [][]string{{}, {""}, {"", ""}, {"12", "3"}, {"1", "23"}, {"123"}, {"1", "2", "3"}, {"12", "3", ""}} {
		id := chat.NewID("smartsupp", parts...)
		if !form.MatchString(id) {
			t.Errorf("NewID(%q) = %q", parts, id)
		}
		if other, ok := seen[id]; ok {
			t.Errorf("%q and %q have the same id", parts, other)
		}
		seen[id] = parts
		if chat.NewID("proprofs", parts...) == id {
			t.Errorf("%q has the same id on two platforms", parts)
		}
	}
}

func conversation() chat.Conversation {
	at := time.Date(2025, 10, 15, 12, 0, 0, 0, time.UTC)
	return chat.Conversation{
		Platform: "smartsupp", Account: "1", ExternalID: "5", Outcome: chat.Completed, Rating: new(4.0), Flags: chat.Flags{Completed: new(true)},
		StartedAt: at, EndedAt: at.Add(time.Minute),
		Person: chat.Person{ID: "7", Name: "Ann", Vars: map[string]any{"order": json.Number("12345678901234567890")}},
		Messages: []chat.Message{
			{At: at, Role: chat.Visitor, Author: "Ann", Text: "Hello"},
			{At: at.Add(time.Minute), Role: chat.Agent, Author: "Eva", AuthorID: "3", Text: "Hi", Files: []chat.File{{Name: "a.png", URL: "https://x.example/a?sig=1", Size: new(int64(5))}}},
		},
		Extra: map[string]any{"channel": map[string]any{"wordsCount": json.Number("2")}},
	}
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	base := conversation()
	same := map[string]func(*chat.Conversation){
		"built again":  func(*chat.Conversation) {},
		"id":           func(c *chat.Conversation) { c.ID = "c1" },
		"source":       func(c *chat.Conversation) { c.Source = "shop" },
		"brand":        func(c *chat.Conversation) { c.Brand = "acme" },
		"revision":     func(c *chat.Conversation) { c.Revision = 2 },
		"arrival":      func(c *chat.Conversation) { c.ReceivedAt = time.Unix(1760529600, 0) },
		"warnings":     func(c *chat.Conversation) { c.Warn("odd") },
		"transcript":   func(c *chat.Conversation) { c.Transcript = &chat.Transcript{Text: "x"} },
		"other object": func(c *chat.Conversation) { c.Rating = new(4.0) },
	}
	for name, change := range same {
		c := conversation()
		change(&c)
		if c.Fingerprint() != base.Fingerprint() {
			t.Errorf("%s changes the fingerprint", name)
		}
	}
	for name, change := range map[string]func(*chat.Conversation){
		"rating":   func(c *chat.Conversation) { c.Rating = new(5.0) },
		"unrated":  func(c *chat.Conversation) { c.Rating = nil },
		"rated 0":  func(c *chat.Conversation) { c.Rating = new(0.0) },
		"flag":     func(c *chat.Conversation) { c.Flags.Completed = new(false) },
		"text":     func(c *chat.Conversation) { c.Messages[0].Text = "Hello!" },
		"message":  func(c *chat.Conversation) { c.Messages = c.Messages[:1] },
		"order":    func(c *chat.Conversation) { c.Messages[0], c.Messages[1] = c.Messages[1], c.Messages[0] },
		"end":      func(c *chat.Conversation) { c.EndedAt = c.EndedAt.Add(time.Second) },
		"e-mail":   func(c *chat.Conversation) { c.Person.Email = "ann@example.com" },
		"variable": func(c *chat.Conversation) { c.Person.Vars["order"] = json.Number("12345678901234567891") },
		"extra":    func(c *chat.Conversation) { c.Extra["new"] = true },
	} {
		c := conversation()
		change(&c)
		if c.Fingerprint() == base.Fingerprint() {
			t.Errorf("%s does not change the fingerprint", name)
		}
	}
}

// TestFingerprintWithoutJSON checks conversations that JSON cannot hold: still by value, never by address.
func TestFingerprintWithoutJSON(t *testing.T) {
	t.Parallel()
	odd := func() chat.Conversation {
		c := conversation()
		c.AvgResponseSeconds = new(math.NaN())
		c.Messages[0].At = time.Date(12025, 1, 1, 0, 0, 0, 0, time.UTC)
		return c
	}
	first, second := odd(), odd()
	if first.Fingerprint() != second.Fingerprint() {
		t.Error("equal conversations have different fingerprints")
	}
	for name, change := range map[string]func(*chat.Conversation){
		"rating": func(c *chat.Conversation) { c.Rating = new(1.0) },
		"flag":   func(c *chat.Conversation) { c.Flags.Completed = nil },
		"size":   func(c *chat.Conversation) { c.Messages[1].Files[0].Size = new(int64(6)) },
		"text":   func(c *chat.Conversation) { c.Messages[0].Text = "x" },
	} {
		c := odd()
		change(&c)
		if c.Fingerprint() == first.Fingerprint() {
			t.Errorf("%s does not change the fingerprint", name)
		}
	}
	if *first.Messages[1].Files[0].Size != 5 || first.Flags.Completed == nil {
		t.Error("the fingerprint changed the conversation")
	}
}

func TestRawFingerprint(t *testing.T) {
	t.Parallel()
	first, again, other := chat.RawFingerprint([]byte("{}")), chat.RawFingerprint([]byte("{}")), chat.RawFingerprint([]byte("{} "))
	if first != again || first == other {
		t.Error("the raw fingerprint is not that of the bytes")
	}
}

func TestChain(t *testing.T) {
	t.Parallel()
	full := conversation()
	chain := full.Chain()
	if len(chain) != 2 || chain[0] == chain[1] {
		t.Fatalf("chain %v", chain)
	}
	short := conversation()
	short.Messages = short.Messages[:1]
	if !chat.IsPrefix(short.Chain(), chain) || chat.IsPrefix(chain, short.Chain()) || !chat.IsPrefix(nil, chain) || !chat.IsPrefix(chain, chain) {
		t.Error("a shorter snapshot is not recognized")
	}
	for name, change := range map[string]func(*chat.Message){
		"author":      func(m *chat.Message) { m.Author = "Eva Nová" }, // known only to a later snapshot
		"file's link": func(m *chat.Message) { m.Files[0].URL += "2" }, // signed anew
	} {
		c := conversation()
		change(&c.Messages[1])
		if !chat.IsPrefix(c.Chain(), chain) {
			t.Errorf("%s changes the chain", name)
		}
	}
	for name, change := range map[string]func(*chat.Message){
		"text":      func(m *chat.Message) { m.Text = "Hi!" },
		"role":      func(m *chat.Message) { m.Role = chat.Bot },
		"event":     func(m *chat.Message) { m.Event = "x" },
		"trigger":   func(m *chat.Message) { m.Trigger = "x" },
		"stamp":     func(m *chat.Message) { m.Stamp = "x" },
		"time":      func(m *chat.Message) { m.At = m.At.Add(time.Millisecond) },
		"no time":   func(m *chat.Message) { m.At = time.Time{} },
		"file":      func(m *chat.Message) { m.Files[0].Name = "b.png" },
		"no file":   func(m *chat.Message) { m.Files = nil },
		"more text": func(m *chat.Message) { m.Text, m.Event = `Hi" "x`, "" },
	} {
		c := conversation()
		change(&c.Messages[1])
		if got := c.Chain(); got[0] != chain[0] || got[1] == chain[1] {
			t.Errorf("%s does not change the chain", name)
		}
	}
	c := conversation()
	c.Messages[0].Text = "Hello!"
	if got := c.Chain(); got[0] == chain[0] || got[1] == chain[1] {
		t.Error("a change of the first message does not change the chain behind it")
	}
}

func TestOutcomeOf(t *testing.T) {
	t.Parallel()
	yes, no := new(true), new(false)
	visitor, agent := chat.Message{Role: chat.Visitor}, chat.Message{Role: chat.Agent}
	bot, system, unknown := chat.Message{Role: chat.Bot}, chat.Message{Role: chat.System}, chat.Message{Role: chat.UnknownRole}
	both := []chat.Message{visitor, agent}
	for _, test := range []struct {
		name     string
		flags    chat.Flags
		messages []chat.Message
		want     chat.Outcome
	}{
		{"all flags", chat.Flags{Offline: yes, Missed: yes, Dropped: yes, Completed: yes}, both, chat.Offline},
		{"missed before dropped", chat.Flags{Offline: no, Missed: yes, Dropped: yes, Completed: yes}, both, chat.Missed},
		{"dropped before completed", chat.Flags{Dropped: yes, Completed: yes}, both, chat.Dropped},
		{"completed without an answer", chat.Flags{Completed: yes}, []chat.Message{visitor}, chat.Completed},
		{"flags that say no", chat.Flags{Offline: no, Missed: no, Dropped: no, Completed: no}, both, chat.Completed},
		{"flags that decide nothing", chat.Flags{Chat: yes, Triggered: yes}, nil, chat.Unknown},
		{"nothing", chat.Flags{}, nil, chat.Unknown},
		{"answered", chat.Flags{}, both, chat.Completed},
		{"agent first", chat.Flags{}, []chat.Message{agent, visitor, agent, system}, chat.Completed},
		{"not answered", chat.Flags{}, []chat.Message{visitor, system}, chat.Missed},
		{"answered by a bot alone", chat.Flags{}, []chat.Message{bot, visitor, bot}, chat.Missed},
		{"thanked after the answer", chat.Flags{}, []chat.Message{visitor, agent, visitor}, chat.Completed},
		{"agent alone", chat.Flags{}, []chat.Message{agent}, chat.Unknown},
		{"roles unknown", chat.Flags{}, []chat.Message{unknown, unknown}, chat.Unknown},
	} {
		if got := chat.OutcomeOf(test.flags, test.messages); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}
