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
	Silent      Kind = "silent"      // a source sends nothing for longer than expected
	Quarantined Kind = "quarantined" // hooks could not be read
	Ledger      Kind = "ledger"      // hooks cannot be stored, or a damaged ledger is set aside
)

// Kinds lists them all.
func Kinds() []Kind { return []Kind{Dead, Paused, Silent, Quarantined, Ledger} }

// Seen is what is known of a gateway at one moment.
type Seen struct {
	// Dead are the deliveries that were given up since the time that Memory.Since says, in groups.
	Dead []Group
	// Paused are the targets that are paused, but for those that a person has paused, with the reason.
	Paused map[string]string
	// Silent are the sources that are silent for longer than expected, with the time of their last hook, zero for none.
	Silent map[string]time.Time
	// Quarantined counts the hooks in quarantine, Unread those of them that came since the time that Memory.Since says:
	// others may have been taken out meanwhile.
	Quarantined, Unread int64
	// Ledger are what is wrong with the ledger, in words.
	Ledger []string
}

// Group are deliveries that failed alike.
type Group struct {
	Target, Class, Reason string
	Count                 int64
}

// Memory is what has been told. Its zero value has seen nothing; the first Next only learns what lasts already and tells
// it.
type Memory struct {
	// Since is the time after which dead deliveries and hooks in quarantine have not been told of.
	Since time.Time

	told        time.Time // when the last message was made
	paused      map[string]string
	silent      map[string]time.Time
	quarantined int64
	ledger      []string
	began       bool
}

// Message is what people are told.
type Message struct {
	Headline string
	Lines    []string
}

// Next compares what is seen with what was told and returns the message that is due, nil if there is none, and the
// memory after it. A message is at least every after the one before; what happens between is in the next one. on are the
// kinds that somebody wants.
func Next(m Memory, seen Seen, on []Kind, every time.Duration, now time.Time) (Memory, *Message) {
	if !m.began {
		m.began, m.Since, m.quarantined = true, now, seen.Quarantined
		seen.Dead, seen.Unread = nil, 0
	}
	if !m.told.IsZero() && now.Sub(m.told) < every {
		return m, nil
	}
	var lines []string
	for _, kind := range on {
		switch kind {
		case Dead:
			lines = append(lines, deadLines(seen.Dead)...)
		case Paused:
			lines = append(lines, pausedLines(m.paused, seen.Paused)...)
		case Silent:
			lines = append(lines, silentLines(m.silent, seen.Silent, now)...)
		case Quarantined:
			if n := max(seen.Unread, seen.Quarantined-m.quarantined); n > 0 {
				lines = append(lines, fmt.Sprintf("%s could not be read and %s in quarantine", count(n, "hook"), areIs(n)))
			}
		case Ledger:
			lines = append(lines, ledgerLines(m.ledger, seen.Ledger)...)
		}
	}
	m.paused, m.silent, m.quarantined, m.ledger = maps.Clone(seen.Paused), maps.Clone(seen.Silent), seen.Quarantined, slices.Clone(seen.Ledger)
	m.Since = now
	if len(lines) == 0 {
		return m, nil
	}
	m.told = now
	message := &Message{Headline: "afterchat: " + lines[0]}
	if len(lines) > 1 {
		message.Headline = fmt.Sprintf("%s, and %d more", message.Headline, len(lines)-1)
		message.Lines = lines
	}
	return m, message
}

// most is how many groups of dead deliveries a message names.
const most = 10

func deadLines(groups []Group) []string {
	groups = slices.Clone(groups)
	slices.SortStableFunc(groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Target, b.Target), cmp.Compare(a.Class, b.Class))
	})
	var lines []string
	for i, g := range groups {
		if i == most {
			lines = append(lines, fmt.Sprintf("%s of dead deliveries", count(int64(len(groups)-most), "more group")))
			break
		}
		line := fmt.Sprintf("%s to %s %s dead", count(g.Count, "delivery"), g.Target, areIs(g.Count))
		if g.Class != "" {
			line += ": " + g.Class
		}
		lines = append(lines, line)
	}
	return lines
}

func pausedLines(before, now map[string]string) []string {
	var lines []string
	for _, target := range slices.Sorted(maps.Keys(now)) {
		if _, known := before[target]; !known {
			lines = append(lines, strings.TrimSuffix("target "+target+" is paused: "+now[target], ": "))
		}
	}
	for _, target := range slices.Sorted(maps.Keys(before)) {
		if _, still := now[target]; !still {
			lines = append(lines, "target "+target+" runs again")
		}
	}
	return lines
}

func silentLines(before, now map[string]time.Time, at time.Time) []string {
	var lines []string
	for _, source := range slices.Sorted(maps.Keys(now)) {
		if _, known := before[source]; known {
			continue
		}
		if now[source].IsZero() {
			lines = append(lines, "source "+source+" has sent nothing yet")
			continue
		}
		lines = append(lines, fmt.Sprintf("source %s has sent nothing for %s", source, span(at.Sub(now[source]))))
	}
	for _, source := range slices.Sorted(maps.Keys(before)) {
		if _, still := now[source]; !still {
			lines = append(lines, "source "+source+" sends again")
		}
	}
	return lines
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

func ledgerLines(before, now []string) []string {
	var lines []string
	for _, text := range now {
		if !slices.Contains(before, text) {
			lines = append(lines, text)
		}
	}
	if len(before) > 0 && len(now) == 0 {
		lines = append(lines, "the ledger is well again")
	}
	return lines
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
