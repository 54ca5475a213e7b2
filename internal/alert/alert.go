// Package alert decides what people should be told about a gateway: pure functions from what is known of it, now and at
// the time before, to messages. Messages of one moment are one message, and there is a least time between two of them.
package alert

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Kind is what an alert is about.
type Kind string

// The kinds, as they stand in the configuration.
const (
	Dead        Kind = "dead"        // deliveries were given up
	Paused      Kind = "paused"      // a target takes nothing
	Overdue     Kind = "overdue"     // deliveries could be tried and are not
	Silent      Kind = "silent"      // a source sends nothing for longer than expected
	Quarantined Kind = "quarantined" // hooks could not be read
	Ledger      Kind = "ledger"      // hooks cannot be stored, or soon not, or a damaged ledger is set aside
)

// Kinds lists them all, in the order in which they are told.
func Kinds() []Kind { return []Kind{Dead, Paused, Overdue, Silent, Quarantined, Ledger} }

// OverdueAfter is how long a delivery may wait that could be tried.
const OverdueAfter = time.Minute

// Seen is what is known of a gateway at one moment.
type Seen struct {
	// Blind: the ledger could not be read, so that nothing but Ledger is known.
	Blind bool
	// Targets and Sources are those of the configuration: of others no end is told.
	Targets, Sources []string

	// Dead are the deliveries that were given up from Memory.Since until Until, on the ledger's clock, in groups; Graves are
	// all that are dead.
	Dead, Graves []Group
	Until        time.Time
	// Paused are the targets that are paused, but for those that a person has paused.
	Paused map[string]Pause
	// Overdue are the targets of which a delivery could have been tried since then and was not.
	Overdue map[string]time.Time
	// Silent are the sources that are silent for longer than expected.
	Silent map[string]Silence
	// Quarantined counts the hooks in quarantine, Unread those of them that came since Memory.Read: others may have been
	// taken out meanwhile.
	Quarantined, Unread int64
	// Ledger are what is wrong with the ledger, in words that stay the same but for figures as long as it is.
	Ledger []string
}

// Group are deliveries that failed alike.
type Group struct {
	Target, Class string
	Count         int64
	First         time.Time
}

// Pause is the pause of a target.
type Pause struct {
	Reason string
	Since  time.Time
}

// Silence is that of a source.
type Silence struct {
	Last  time.Time // its last hook; zero: none
	Since time.Time // when the next one should have come
}

// Memory is what has been told. Its zero value has told nothing; the first Next tells what lasts, and of the dead and the
// unread only what comes from then on. It is kept as JSON.
type Memory struct {
	// Since is the time from which on dead deliveries have not been told of, on the ledger's clock; Read that of hooks in
	// quarantine.
	Since time.Time `json:"since,omitzero"`
	Read  time.Time `json:"read,omitzero"`
	// Quarantined were in quarantine then; below 0: not known.
	Quarantined int64 `json:"quarantined,omitempty"`
	// Last is when the newest message was made.
	Last time.Time `json:"last,omitzero"`
	// Topics are what lasts, or lasted when it was told.
	Topics map[string]Topic `json:"topics,omitempty"`
	// Pending is a message that was made and may not have been sent yet; nil: none.
	Pending *Message `json:"pending,omitempty"`
}

// Topic is something that lasts.
type Topic struct {
	Since time.Time `json:"since,omitzero"` // it was seen first
	Told  time.Time `json:"told,omitzero"`  // last; zero: not yet
	To    []string  `json:"to,omitempty"`   // whom
}

// Message is what people are told.
type Message struct {
	Headline string    `json:"headline"`
	Lines    []string  `json:"lines,omitempty"`
	At       time.Time `json:"at"`
	Topics   []string  `json:"topics,omitempty"` // that it tells of
	By       string    `json:"by,omitempty"`     // who has made it, and sends it before others do
}

// Standing is something that should not last.
type Standing struct {
	Kind  Kind
	Name  string // of the target or source; "" for the gateway as a whole
	Class string // of dead deliveries
	Text  string
	Count int64 // of deliveries or hooks; 0: it is not countable
	Since time.Time
	Told  time.Time // last; zero: not yet
	To    []string
}

// Lasts tells whether something of a kind has been seen to last.
func (m Memory) Lasts(kind Kind, name string) bool {
	_, lasts := m.Topics[(&Standing{Kind: kind, Name: name}).key()]
	return lasts
}

// key names a topic.
func (s *Standing) key() string { return string(s.Kind) + "/" + s.Name + "/" + s.Class + s.subject() }

// subject tells troubles of the ledger apart, whatever the figures in their texts.
func (s *Standing) subject() string {
	if s.Kind != Ledger {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, s.Text)
}

// Stands lists what is seen to last, with what the memory knows of it.
func Stands(m Memory, seen Seen, now time.Time) (all []Standing) {
	for _, g := range bySize(seen.Graves) {
		all = append(all, Standing{Kind: Dead, Name: g.Target, Class: g.Class, Count: g.Count, Since: g.First, Text: deadText(g)})
	}
	for target, p := range sorted(seen.Paused) {
		all = append(all, Standing{Kind: Paused, Name: target, Since: p.Since, Text: strings.TrimSuffix("target "+target+" is paused: "+p.Reason, ": ")})
	}
	for target, since := range sorted(seen.Overdue) {
		all = append(all, Standing{Kind: Overdue, Name: target, Since: since, Text: "deliveries to " + target + " have been due for " + span(now.Sub(since)) + " without an attempt"})
	}
	for source, s := range sorted(seen.Silent) {
		text := "source " + source + " has sent nothing yet"
		if !s.Last.IsZero() {
			text = "source " + source + " has sent nothing for " + span(now.Sub(s.Last))
		}
		all = append(all, Standing{Kind: Silent, Name: source, Since: s.Since, Text: text})
	}
	if n := seen.Quarantined; n > 0 {
		all = append(all, Standing{Kind: Quarantined, Count: n, Text: quarantineText(n)})
	}
	for _, text := range seen.Ledger {
		all = append(all, Standing{Kind: Ledger, Text: text})
	}
	for i := range all {
		s := &all[i]
		topic := m.Topics[s.key()]
		if s.Since.IsZero() {
			if s.Since = topic.Since; s.Since.IsZero() {
				s.Since = now
			}
		}
		s.Told, s.To = topic.Told, topic.To
	}
	return all
}

// Next compares what is seen with what was told and returns the memory after it, with the message that is due as its
// Pending, if there is one. A message is at least every after the one before; what happens between is in the next one. on
// are the kinds that somebody wants. Nothing is due while a message is pending.
func Next(m Memory, seen Seen, on []Kind, every time.Duration, now time.Time) Memory {
	m.Topics = maps.Clone(m.Topics)
	if m.Topics == nil {
		m.Topics = map[string]Topic{}
	}
	if m.Since.IsZero() {
		m.Since, m.Read, m.Quarantined = seen.Until, now, seen.Quarantined
		seen.Dead, seen.Unread = nil, 0
		if seen.Blind {
			m.Since, m.Quarantined = now, -1
		}
	}
	stands := Stands(m, seen, now)
	for i := range stands {
		s := &stands[i]
		topic := m.Topics[s.key()]
		topic.Since = s.Since
		m.Topics[s.key()] = topic
	}
	gone := m.gone(stands, seen)
	if m.Pending != nil || !m.Last.IsZero() && now.Sub(m.Last) < every {
		return m
	}
	message := Message{At: now}
	say := func(line string, topics ...string) {
		message.Lines, message.Topics = append(message.Lines, line), append(message.Topics, topics...)
	}
	for _, kind := range Kinds() {
		switch {
		case !slices.Contains(on, kind):
		case kind == Dead:
			sayDead(seen.Dead, say)
		case kind == Quarantined:
			n := seen.Unread
			if m.Quarantined >= 0 {
				n = max(n, seen.Quarantined-m.Quarantined)
			}
			if n > 0 && !seen.Blind {
				say(quarantineText(n), (&Standing{Kind: Quarantined}).key())
			}
		default:
			m.sayChanges(kind, stands, gone[kind], seen, say)
		}
	}
	for _, keys := range gone {
		for _, key := range keys {
			delete(m.Topics, key)
		}
	}
	if !seen.Blind {
		m.Since, m.Read, m.Quarantined = seen.Until, now, seen.Quarantined
	}
	if len(message.Lines) == 0 {
		return m
	}
	message.Headline = "afterchat: " + message.Lines[0]
	if more := len(message.Lines) - 1; more > 0 {
		message.Headline = fmt.Sprintf("%s, and %d more", message.Headline, more)
	} else {
		message.Lines = nil
	}
	m.Last, m.Pending = now, &message
	return m
}

// gone are the topics that last no more, by kind, in order. Those of which nobody was told are forgotten at once.
func (m *Memory) gone(stands []Standing, seen Seen) map[Kind][]string {
	there := map[string]bool{}
	for i := range stands {
		there[stands[i].key()] = true
	}
	out := map[Kind][]string{}
	for _, key := range slices.Sorted(maps.Keys(m.Topics)) {
		kind, _, _ := strings.Cut(key, "/")
		switch {
		case there[key], seen.Blind && Kind(kind) != Ledger:
		case m.Topics[key].Told.IsZero() || Kind(kind) == Dead || Kind(kind) == Quarantined:
			delete(m.Topics, key)
		default:
			out[Kind(kind)] = append(out[Kind(kind)], key)
		}
	}
	return out
}

// sayChanges tells what of a kind has begun and what has ended.
func (m *Memory) sayChanges(kind Kind, stands []Standing, gone []string, seen Seen, say func(line string, topics ...string)) {
	lasts := false
	for i := range stands {
		s := &stands[i]
		if s.Kind != kind {
			continue
		}
		if lasts = true; s.Told.IsZero() {
			say(s.Text, s.key())
		}
	}
	for _, key := range gone {
		name := strings.TrimSuffix(strings.TrimPrefix(key, string(kind)+"/"), "/")
		switch {
		case kind == Paused && slices.Contains(seen.Targets, name):
			say("target " + name + " runs again")
		case kind == Overdue && slices.Contains(seen.Targets, name):
			say("deliveries to " + name + " are tried again")
		case kind == Silent && slices.Contains(seen.Sources, name):
			say("source " + name + " sends again")
		case kind == Ledger && !lasts:
			say("the ledger is well again")
			return
		}
	}
}

// Sent is the memory after the pending message has reached those whom it was for.
func (m Memory) Sent(to []string) Memory {
	if m.Pending == nil {
		return m
	}
	m.Topics = maps.Clone(m.Topics)
	for _, key := range m.Pending.Topics {
		if topic, lasts := m.Topics[key]; lasts {
			topic.Told, topic.To = m.Pending.At, to
			m.Topics[key] = topic
		}
	}
	m.Pending = nil
	return m
}

// most is how many groups of dead deliveries a message names.
const most = 10

// sayDead tells of groups of dead deliveries, the largest first.
func sayDead(groups []Group, say func(line string, topics ...string)) {
	var rest []string
	for i, g := range bySize(groups) {
		key := (&Standing{Kind: Dead, Name: g.Target, Class: g.Class}).key()
		if i < most {
			say(deadText(g), key)
		} else {
			rest = append(rest, key)
		}
	}
	if len(rest) > 0 {
		say(count(int64(len(rest)), "more group")+" of dead deliveries", rest...)
	}
}

func bySize(groups []Group) []Group {
	return slices.SortedStableFunc(slices.Values(groups), func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Target, b.Target), cmp.Compare(a.Class, b.Class))
	})
}

func deadText(g Group) string {
	text := fmt.Sprintf("%s to %s %s dead", count(g.Count, "delivery"), g.Target, areIs(g.Count))
	if g.Class != "" {
		text += ": " + g.Class
	}
	return text
}

func quarantineText(n int64) string {
	return fmt.Sprintf("%s could not be read and %s in quarantine", count(n, "hook"), areIs(n))
}

// sorted goes through a map in the order of its keys.
func sorted[V any](m map[string]V) func(yield func(string, V) bool) {
	return func(yield func(string, V) bool) {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if !yield(key, m[key]) {
				return
			}
		}
	}
}

// span is a length of time as the console writes it, at least a second.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", max(int(d.Seconds()), 1))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		if minutes := int(d.Minutes()) % 60; minutes != 0 && d < 10*time.Hour {
			return fmt.Sprintf("%d h %d min", int(d.Hours()), minutes)
		}
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

func count(n int64, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case strings.HasSuffix(what, "y"):
		return fmt.Sprintf("%d %sies", n, strings.TrimSuffix(what, "y"))
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func areIs(n int64) string {
	if n == 1 {
		return "is"
	}
	return "are"
}
