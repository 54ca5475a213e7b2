// This file tests what is told, when, and how often.

package alert_test

import (
	"fmt"
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
	paused := alert.Seen{Paused: map[string]string{"help": "it answered 401"}}
	silent := func(ago time.Duration) alert.Seen {
		return alert.Seen{Silent: map[string]time.Time{"shop": begin.Add(-ago)}}
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
			{0, alert.Seen{Silent: map[string]time.Time{"shop": {}}}, "afterchat: source shop has sent nothing yet"},
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
		"only what is wanted": {[]alert.Kind{alert.Dead}, []minute{
			{0, paused, ""},
			{1, dead(2), "afterchat: 2 deliveries to help are dead: rejected 422 custom_fields"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var memory alert.Memory
			for _, m := range c.minutes {
				var message *alert.Message
				memory, message = alert.Next(memory, m.seen, c.on, 15*time.Minute, begin.Add(time.Duration(m.at)*time.Minute))
				got := ""
				if message != nil {
					got = message.Headline
				}
				if got != m.want {
					t.Errorf("minute %d: %q, want %q", m.at, got, m.want)
				}
			}
		})
	}
}

// TestGrouped: everything of one moment is one message, the largest group first.
func TestGrouped(t *testing.T) {
	t.Parallel()
	memory, _ := alert.Next(alert.Memory{}, alert.Seen{}, alert.Kinds(), time.Minute, begin)
	seen := alert.Seen{Paused: map[string]string{"crm": ""}, Quarantined: 1}
	for i := range 12 {
		seen.Dead = append(seen.Dead, alert.Group{Target: fmt.Sprintf("t%02d", i), Count: int64(1 + i)})
	}
	_, message := alert.Next(memory, seen, alert.Kinds(), time.Minute, begin.Add(time.Minute))
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
