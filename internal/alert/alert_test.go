// This file tests what is told, when, and how often.

package alert_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/internal/alert"
)

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// TestNext plays minutes: what is seen, and the headline and lines that follow; "" for no message.
func TestNext(t *testing.T) {
	t.Parallel()
	dead := func(n int64) alert.Seen {
		return alert.Seen{Dead: []alert.Group{{Target: "help", Class: "rejected 422 custom_fields", Count: n}}}
	}
	named := func(s alert.Seen) alert.Seen {
		s.Until, s.Targets, s.Sources = begin, []string{"help"}, []string{"shop"}
		return s
	}
	paused := alert.Seen{Paused: map[string]alert.Pause{"help": {Reason: "it answered 401", Since: begin}}}
	overdue := alert.Seen{Overdue: map[string]time.Time{"help": begin.Add(-2 * time.Minute)}}
	silent := func(ago time.Duration) alert.Seen {
		return alert.Seen{Silent: map[string]alert.Silence{"shop": {Last: begin.Add(-ago)}}}
	}
	type minute struct {
		at   int
		seen alert.Seen
		want string
	}
	for name, c := range map[string]struct {
		on      []alert.Kind
		minutes []minute
	}{
		"nothing": {alert.Kinds(), []minute{
			{0, alert.Seen{}, ""},
			{1, alert.Seen{}, ""},
		}},
		"what was dead before the start is not told": {alert.Kinds(), []minute{
			{0, dead(7), ""},
			{1, dead(1), "afterchat: 1 delivery to help is dead: rejected 422 custom_fields"},
		}},
		"dead ones are told together, and not too often": {alert.Kinds(), []minute{
			{0, alert.Seen{}, ""},
			{1, dead(140), "afterchat: 140 deliveries to help are dead: rejected 422 custom_fields"},
			{2, dead(3), ""},
			{15, dead(4), ""},
			{16, dead(9), "afterchat: 9 deliveries to help are dead: rejected 422 custom_fields"},
			{31, alert.Seen{}, ""},
		}},
		"a pause is told once, and its end": {alert.Kinds(), []minute{
			{0, paused, "afterchat: target help is paused: it answered 401"},
			{20, paused, ""},
			{40, alert.Seen{}, "afterchat: target help runs again"},
			{60, alert.Seen{}, ""},
		}},
		"a pause that ended before it could be told is not told": {alert.Kinds(), []minute{
			{0, silent(time.Hour), "afterchat: source shop has sent nothing for 1 h"},
			{1, paused, ""},
			{20, silent(time.Hour), ""},
		}},
		"a silent source is told once, and that it sends again": {alert.Kinds(), []minute{
			{0, silent(25 * time.Hour), "afterchat: source shop has sent nothing for 25 h"},
			{20, silent(25 * time.Hour), ""},
			{40, alert.Seen{}, "afterchat: source shop sends again"},
		}},
		"short and long silence": {alert.Kinds(), []minute{
			{0, silent(time.Millisecond), "afterchat: source shop has sent nothing for 1 s"},
			{20, alert.Seen{}, "afterchat: source shop sends again"},
			{40, silent(-39*time.Minute - 15*time.Second), "afterchat: source shop has sent nothing for 45 s"},
			{60, alert.Seen{}, "afterchat: source shop sends again"},
			{80, silent(20*time.Minute + 59*time.Second), "afterchat: source shop has sent nothing for 1 h 40 min"},
			{100, alert.Seen{}, "afterchat: source shop sends again"},
			{120, silent(70 * time.Hour), "afterchat: source shop has sent nothing for 3 days"},
		}},
		"a source that never sent": {alert.Kinds(), []minute{
			{0, alert.Seen{Silent: map[string]alert.Silence{"shop": {}}}, "afterchat: source shop has sent nothing yet"},
		}},
		"quarantine": {alert.Kinds(), []minute{
			{0, alert.Seen{Quarantined: 5}, ""},
			{1, alert.Seen{Quarantined: 7}, "afterchat: 2 hooks could not be read and are in quarantine"},
			{20, alert.Seen{Quarantined: 3}, ""},
			{40, alert.Seen{Quarantined: 4}, "afterchat: 1 hook could not be read and is in quarantine"},
			{60, alert.Seen{Quarantined: 4, Unread: 3}, "afterchat: 3 hooks could not be read and are in quarantine"},
			{80, alert.Seen{Quarantined: 6, Unread: 1}, "afterchat: 2 hooks could not be read and are in quarantine"},
		}},
		"the ledger": {alert.Kinds(), []minute{
			{0, alert.Seen{Ledger: []string{"the ledger is full"}}, "afterchat: the ledger is full"},
			{20, alert.Seen{Ledger: []string{"the ledger is full"}}, ""},
			{40, alert.Seen{}, "afterchat: the ledger is well again"},
		}},
		"figures in what is wrong with the ledger are no news": {alert.Kinds(), []minute{
			{0, alert.Seen{Ledger: []string{"the disk has 12 bytes left"}}, "afterchat: the disk has 12 bytes left"},
			{20, alert.Seen{Ledger: []string{"the disk has 7 bytes left"}}, ""},
			{40, alert.Seen{Ledger: []string{"the disk has 7 bytes left", "it is damaged"}}, "afterchat: it is damaged"},
			{60, alert.Seen{Ledger: []string{"it is damaged"}}, ""},
			{80, alert.Seen{}, "afterchat: the ledger is well again"},
		}},
		"a look that fails loses nothing": {alert.Kinds(), []minute{
			{0, alert.Seen{Blind: true}, ""},
			{1, seenBoth(dead(2), paused), "afterchat: 2 deliveries to help are dead: rejected 422 custom_fields, and 1 more"},
			{20, alert.Seen{Blind: true, Ledger: []string{"the ledger cannot be read"}}, "afterchat: the ledger cannot be read"},
			{40, seenBoth(dead(1), paused), "afterchat: 1 delivery to help is dead: rejected 422 custom_fields, and 1 more"},
			{60, alert.Seen{}, "afterchat: target help runs again"},
		}},
		"a hook in quarantine before the first look that works": {alert.Kinds(), []minute{
			{0, alert.Seen{Blind: true}, ""},
			{1, alert.Seen{Quarantined: 5, Unread: 1}, "afterchat: 1 hook could not be read and is in quarantine"},
		}},
		"overdue": {alert.Kinds(), []minute{
			{0, overdue, "afterchat: deliveries to help have been due for 2 min without an attempt"},
			{20, overdue, ""},
			{40, alert.Seen{}, "afterchat: deliveries to help are tried again"},
		}},
		"only what is wanted": {[]alert.Kind{alert.Dead}, []minute{
			{0, paused, ""},
			{1, dead(2), "afterchat: 2 deliveries to help are dead: rejected 422 custom_fields"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var memory alert.Memory
			for _, m := range c.minutes {
				memory = restarted(t, alert.Next(memory, named(m.seen), c.on, 15*time.Minute, begin.Add(time.Duration(m.at)*time.Minute)))
				got := ""
				if memory.Pending != nil {
					got = memory.Pending.Headline
				}
				memory = memory.Sent([]string{"slack"})
				if got != m.want {
					t.Errorf("minute %d: %q, want %q", m.at, got, m.want)
				}
			}
		})
	}
}

// seenBoth is what is seen of two.
func seenBoth(a, b alert.Seen) alert.Seen {
	a.Paused = b.Paused
	return a
}

// restarted is a memory that has been kept over a restart, as it is after every look of TestNext.
func restarted(t *testing.T, m alert.Memory) (out alert.Memory) {
	t.Helper()
	text, err := json.Marshal(m)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestPending: what has been made and not sent stays, and nothing is made beside it.
func TestPending(t *testing.T) {
	t.Parallel()
	seen := alert.Seen{Until: begin, Paused: map[string]alert.Pause{"help": {Since: begin}}, Targets: []string{"help"}}
	memory := alert.Next(alert.Memory{}, seen, alert.Kinds(), time.Minute, begin)
	first := memory.Pending
	if first == nil {
		t.Fatal("no message")
	}
	seen.Dead = []alert.Group{{Target: "crm", Count: 3}}
	for minute := range 5 {
		memory = restarted(t, alert.Next(memory, seen, alert.Kinds(), time.Minute, begin.Add(time.Duration(minute)*time.Minute)))
		if diff := cmp.Diff(first, memory.Pending); diff != "" {
			t.Fatal(diff)
		}
	}
	memory = alert.Next(memory.Sent([]string{"slack"}), seen, alert.Kinds(), time.Minute, begin.Add(5*time.Minute))
	if memory.Pending == nil || memory.Pending.Headline != "afterchat: 3 deliveries to crm are dead" {
		t.Errorf("%+v", memory.Pending)
	}
}

// TestStands: what lasts, since when, and who was told when.
func TestStands(t *testing.T) {
	t.Parallel()
	at := func(minutes int) time.Time { return begin.Add(time.Duration(minutes) * time.Minute) }
	seen := alert.Seen{
		Until: begin, Targets: []string{"help", "crm"}, Sources: []string{"shop"},
		Graves:  []alert.Group{{Target: "help", Class: "mapping subject", Count: 2, First: at(-60)}, {Target: "help", Class: "rejected 422", Count: 7, First: at(-9)}},
		Paused:  map[string]alert.Pause{"crm": {Reason: "it answered 401", Since: at(-5)}},
		Overdue: map[string]time.Time{"help": at(-3)}, Silent: map[string]alert.Silence{"shop": {Last: at(-120), Since: at(-60)}},
		Quarantined: 1, Ledger: []string{"the ledger is full"},
	}
	memory := alert.Next(alert.Memory{}, seen, alert.Kinds(), time.Minute, begin).Sent([]string{"slack"})
	to, told := []string{"slack"}, begin
	want := []alert.Standing{
		{Kind: alert.Dead, Name: "help", Class: "rejected 422", Text: "7 deliveries to help are dead: rejected 422", Count: 7, Since: at(-9)},
		{Kind: alert.Dead, Name: "help", Class: "mapping subject", Text: "2 deliveries to help are dead: mapping subject", Count: 2, Since: at(-60)},
		{Kind: alert.Paused, Name: "crm", Text: "target crm is paused: it answered 401", Since: at(-5), Told: told, To: to},
		{Kind: alert.Overdue, Name: "help", Text: "deliveries to help have been due for 13 min without an attempt", Since: at(-3), Told: told, To: to},
		{Kind: alert.Silent, Name: "shop", Text: "source shop has sent nothing for 2 h 10 min", Since: at(-60), Told: told, To: to},
		{Kind: alert.Quarantined, Text: "1 hook could not be read and is in quarantine", Count: 1, Since: begin},
		{Kind: alert.Ledger, Text: "the ledger is full", Since: begin, Told: told, To: to},
	}
	if diff := cmp.Diff(want, alert.Stands(memory, seen, at(10))); diff != "" {
		t.Error(diff)
	}
	seen.Dead = []alert.Group{{Target: "help", Class: "rejected 422", Count: 1}}
	memory = alert.Next(memory, seen, alert.Kinds(), time.Minute, at(10)).Sent([]string{"teams", "slack"})
	if s := alert.Stands(memory, seen, at(11))[0]; !s.Told.Equal(at(10)) || !slices.Equal(s.To, []string{"teams", "slack"}) {
		t.Errorf("told at %s to %q", s.Told, s.To)
	}
}

// TestGrouped: everything of one moment is one message, the largest group first.
func TestGrouped(t *testing.T) {
	t.Parallel()
	memory := alert.Next(alert.Memory{}, alert.Seen{Until: begin}, alert.Kinds(), time.Minute, begin)
	seen := alert.Seen{Paused: map[string]alert.Pause{"crm": {}}, Quarantined: 1}
	for i := range 12 {
		seen.Dead = append(seen.Dead, alert.Group{Target: fmt.Sprintf("t%02d", i), Count: int64(1 + i)})
	}
	message := alert.Next(memory, seen, alert.Kinds(), time.Minute, begin.Add(time.Minute)).Pending
	if message == nil {
		t.Fatal("no message")
	}
	want := []string{
		"12 deliveries to t11 are dead", "11 deliveries to t10 are dead", "10 deliveries to t09 are dead", "9 deliveries to t08 are dead",
		"8 deliveries to t07 are dead", "7 deliveries to t06 are dead", "6 deliveries to t05 are dead", "5 deliveries to t04 are dead",
		"4 deliveries to t03 are dead", "3 deliveries to t02 are dead", "2 more groups of dead deliveries", "target crm is paused",
		"1 hook could not be read and is in quarantine",
	}
	if diff := cmp.Diff(want, message.Lines); diff != "" {
		t.Error(diff)
	}
	if message.Headline != "afterchat: 12 deliveries to t11 are dead, and 12 more" {
		t.Error(message.Headline)
	}
}
