// This file tests the readings of single values.

package smartsupp

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
)

func TestRoleOf(t *testing.T) {
	t.Parallel()
	agent, system := sender{kind: chat.Agent, id: "3"}, sender{kind: chat.System}
	for _, test := range []struct {
		kind             chat.Role
		from             sender
		triggered, named bool
		want             chat.Role
	}{
		{chat.Visitor, sender{kind: chat.Visitor, id: "abc"}, false, true, chat.Visitor},
		{chat.Visitor, sender{kind: chat.Visitor, id: "abc"}, true, true, chat.Visitor},
		{chat.Agent, agent, false, true, chat.Agent},
		{chat.Agent, agent, false, false, chat.Agent},
		{chat.Agent, agent, true, true, chat.Bot},
		{chat.Agent, system, true, false, chat.Bot},
		{chat.Agent, system, false, false, chat.Bot},
		{chat.Agent, system, false, true, chat.Bot},
		{chat.Agent, sender{null: true}, true, false, chat.Bot},
		{chat.Agent, sender{null: true}, false, false, chat.Bot},
		{chat.Agent, sender{null: true}, false, true, chat.Agent},
		{chat.Agent, sender{}, false, false, chat.Agent},
		{chat.Agent, sender{kind: chat.Bot, id: "9"}, false, true, chat.Bot},
		{chat.System, system, false, true, chat.System},
		{chat.System, system, true, true, chat.System},
		{chat.UnknownRole, agent, false, true, chat.UnknownRole},
		{"", agent, false, true, chat.Agent},
		{"", agent, true, true, chat.Bot},
		{"", system, false, false, chat.System},
		{"", system, true, false, chat.Bot},
		{"", sender{}, true, false, chat.Bot},
		{"", sender{}, false, true, chat.UnknownRole},
	} {
		if got := roleOf(test.kind, test.from, test.triggered, test.named); got != test.want {
			t.Errorf("roleOf(%q, %+v, %t, %t) = %q, want %q", test.kind, test.from, test.triggered, test.named, got, test.want)
		}
	}
}

func TestInstant(t *testing.T) {
	t.Parallel()
	prague, err := time.LoadLocation("Europe/Prague")
	if err != nil {
		t.Fatal(err)
	}
	const day = "2025-10-15T12:00:00Z"
	for _, test := range []struct {
		in, want string
		how      reading
	}{
		{"1760529600", day, readNumber},
		{"1760529600000", day, readNumber},
		{"1760529600000000", day, readNumber},
		{"1760529600000000000", day, readNumber},
		{"1760529600.0", day, readNumber},
		{"1760529600.25", "2025-10-15T12:00:00.25Z", readNumber},
		{"1760529600000.0", day, readNumber},
		{"1.7605296e9", day, readNumber},
		{"1.7605296e12", day, readNumber},
		{"9223372036854775807", "2262-04-11T23:47:16.854775807Z", readNumber},
		{"100000000", "1973-03-03T09:46:40Z", readNumber},
		{"99999999", "", readNothing},
		{"-1760529600", "", readNothing},
		{"9223372036854775808", "", readNothing},
		{"1e300", "", readNothing},
		{"1e999", "", readNothing},
		{"NaN", "", readNothing},
		{"Inf", "", readNothing},
		{"0x68ef8880", "", readNothing},
		{"1_760_529_600", "", readNothing},
		{"", "", readAbsent},
		{"0", "", readAbsent},
		{"0.0", "", readAbsent},
		{"0000-00-00", "", readAbsent},
		{"0000-00-00T00:00:00Z", "", readAbsent},
		{"2025-10-15T12:00:00Z", day, readText},
		{"2025-10-15T12:00:00.5Z", "2025-10-15T12:00:00.5Z", readText},
		{"2025-10-15T14:00:00+0200", day, readText},
		{"2025-10-15 14:00:00+02:00", day, readText},
		{"2025-10-15 14:00:00 +0200", day, readText},
		{"Wed, 15 Oct 2025 14:00:00 +0200", day, readText},
		{"2025-10-15T14:00:00", day, readNoZone},
		{"2025-10-15 14:00", day, readNoZone},
		{"2025-10-15", "2025-10-14T22:00:00Z", readNoZone},
		{"1970-01-01T00:00:00Z", "", readNothing},
		{"0001-01-01T00:00:00Z", "", readNothing},
		{"2025-13-15", "", readNothing},
		{"now", "", readNothing},
		{strings.Repeat("1", 10000), "", readNothing},
	} {
		at, how := instant(test.in, prague)
		got := ""
		if !at.IsZero() {
			got = at.Format(time.RFC3339Nano)
		}
		if got != test.want || how != test.how {
			t.Errorf("instant(%q) = %q, %d, want %q, %d", test.in, got, how, test.want, test.how)
		}
	}
}

func TestPlain(t *testing.T) {
	t.Parallel()
	for in, want := range map[json.Number]string{
		"5": "5", "-0": "-0", "5.0": "5", "5.50": "5.50", "1e6": "1000000", "1E+06": "1000000", "1.5e1": "15", "15e-1": "15e-1",
		"12345678901234567890": "12345678901234567890", "1e400": "1e400", "1e-400": "1e-400", "1e99999999999": "1e99999999999",
	} {
		if got := plain(in); got != want {
			t.Errorf("plain(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		in   any
		want string // as JSON; "" is absent
		left bool
	}{
		{json.Number("14"), "14", false},
		{json.Number("-1"), "-1", false},
		{json.Number("0"), "0", false},
		{" 14.5 ", "14.5", false},
		{nil, "", false},
		{"", "", false},
		{"00:00:14", "", true},
		{"NaN", "", true},
		{"0x10", "", true},
		{json.Number("1e999"), "", true},
		{json.Number("9007199254740993000"), "", true},
		{true, "", true},
		{[]any{}, "", true},
	} {
		warned := false
		o := object{fields: single("n", test.in), warn: func(string) { warned = true }}
		got := ""
		if f := o.number("n"); f != nil {
			b, err := json.Marshal(f)
			if err != nil {
				t.Fatal(err)
			}
			got = string(b)
		}
		_, left := o.fields.Lookup("n")
		if got != test.want || left != test.left || warned != test.left {
			t.Errorf("number(%v) = %q, left %t, warned %t; want %q, %t", test.in, got, left, warned, test.want, test.left)
		}
	}
}

func TestIsCode(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{
		"agent.join": true, "close.visitorClose": true, "chat_close": true, "a-b:c": true, "v2.x": true, "closed": true,
		"": false, "Hello there": false, "agent.": false, ".join": false, "a..b": false, "5.x": false, "agent.join!": false,
		"přišel": false, strings.Repeat("a", 101): false,
	} {
		if got := isCode(in); got != want {
			t.Errorf("isCode(%q) = %t", in, got)
		}
	}
}

func TestCountryCode(t *testing.T) {
	t.Parallel()
	codes := strings.Fields(countries)
	if len(codes) != 249 {
		t.Errorf("%d countries, ISO 3166-1 has 249", len(codes))
	}
	for in, want := range map[string]string{
		"CZ": "CZ", "cz": "CZ", " at ": "AT", "": "", "XX": "", "UK": "", "CZE": "", "D ": "", "Z A": "", "  ": "",
	} {
		if got := countryCode(in); got != want {
			t.Errorf("countryCode(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestAgentList(t *testing.T) {
	t.Parallel()
	l := agentList{byID: map[string]int{}, byName: map[string]int{}}
	l.add("", "Eva")  // joined without an id
	l.add("3", "Eva") // the same person
	l.add("", "Eva")
	l.add("4", "Eva") // another person of that name
	l.add("5", "")
	l.add("5", "Karel")
	var got []string
	for _, a := range l.list {
		got = append(got, a.ID+" "+a.Name)
	}
	if want := "3 Eva, 4 Eva, 5 Agent 5"; strings.Join(got, ", ") != want {
		t.Errorf("agents %q, want %q", strings.Join(got, ", "), want)
	}
}

func TestNamesStayCheap(t *testing.T) {
	t.Parallel()
	var n names
	for range 100_000 {
		n.unused("a")
	}
	if got := n.unused("a"); got != "a_100001" {
		t.Errorf("unused = %q", got)
	}
}
