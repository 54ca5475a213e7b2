// This file tests the pause protocol without an engine.

package delivery

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/internal/ledger"
)

// TestSuspicion plays what deliveries come to. A step is "x deny", "x deny checked" (Check passes), "x deny refused"
// (Check is denied) or "x pass"; each takes a second.
func TestSuspicion(t *testing.T) {
	t.Parallel()
	type step struct {
		id, what string
		want     denial
	}
	for name, steps := range map[string][]step{
		"one denial decides nothing":                {{"a", "deny", denialRetry}},
		"the same one again decides nothing":        {{"a", "deny", denialRetry}, {"a", "deny", denialRetry}, {"a", "deny", denialRetry}},
		"a second one pauses":                       {{"a", "deny", denialRetry}, {"b", "deny", denialPauses}},
		"one passes, then the first is to blame":    {{"a", "deny", denialRetry}, {"b", "pass", 0}, {"a", "deny", denialRejects}},
		"one passes, the next is a new suspect":     {{"a", "deny", denialRetry}, {"b", "pass", 0}, {"c", "deny", denialRetry}},
		"what passed before says nothing":           {{"b", "pass", 0}, {"a", "deny", denialRetry}, {"a", "deny", denialRetry}},
		"the suspect itself passes":                 {{"a", "deny", denialRetry}, {"a", "pass", 0}, {"b", "deny", denialRetry}},
		"two bad among good ones":                   {{"a", "deny", denialRetry}, {"g", "pass", 0}, {"b", "deny", denialRetry}, {"a", "deny", denialRejects}, {"g", "pass", 0}, {"b", "deny", denialRejects}},
		"check confirms":                            {{"a", "deny refused", denialPauses}},
		"check confirms, whatever passed":           {{"a", "deny", denialRetry}, {"b", "pass", 0}, {"a", "deny refused", denialPauses}},
		"check passes: one more try":                {{"a", "deny checked", denialRetryNow}, {"a", "deny checked", denialRejects}},
		"check passes, the retry passes":            {{"a", "deny checked", denialRetryNow}, {"a", "pass", 0}, {"a", "deny checked", denialRetryNow}},
		"check passes, but nothing is taken at all": {{"a", "deny checked", denialRetryNow}, {"b", "deny checked", denialRetryNow}, {"c", "deny checked", denialPauses}},
		"check passes, but the dead count, too":     {{"a", "deny checked", denialRetryNow}, {"a", "deny checked", denialRejects}, {"b", "deny checked", denialRetryNow}, {"b", "deny checked", denialRejects}, {"c", "deny checked", denialPauses}},
		"a new revision is another record":          {{"a", "deny", denialRetry}, {"b", "pass", 0}, {"a2", "deny", denialRetry}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := make(suspicion)
			for i, step := range steps {
				now := epoch.Add(time.Duration(i) * time.Second)
				id, revision := step.id, 1
				if id == "a2" {
					id, revision = "a", 2
				}
				var got denial
				switch step.what {
				case "deny":
					got = s.deny(id, revision, now, checkSilent)
				case "deny checked":
					got = s.deny(id, revision, now, checkPassed)
				case "deny refused":
					got = s.deny(id, revision, now, checkDenied)
				case "pass":
					s.pass(id, now)
				}
				if got != step.want {
					t.Errorf("step %d, %s %s: %d, want %d", i+1, step.id, step.what, got, step.want)
				}
			}
		})
	}
}

func TestAPassThatBeganBeforeTheDenialProvesNothing(t *testing.T) {
	t.Parallel()
	s := make(suspicion)
	s.deny("a", 1, epoch, checkSilent)
	s.pass("b", epoch.Add(-time.Second))
	if got := s.deny("a", 1, epoch.Add(time.Second), checkSilent); got != denialRetry {
		t.Errorf("the second denial is judged %d, want %d", got, denialRetry)
	}
}

func TestSuspicionIsBounded(t *testing.T) {
	t.Parallel()
	s := make(suspicion)
	for i := range 3 * manySuspects {
		s.deny(fmt.Sprint("bad", i), 1, epoch.Add(time.Duration(2*i)*time.Second), checkSilent)
		s.pass("good", epoch.Add(time.Duration(2*i+1)*time.Second))
	}
	if len(s) > manySuspects {
		t.Errorf("%d suspects are remembered, at most %d are wanted", len(s), manySuspects)
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	at := func(d time.Duration) time.Time { return epoch.Add(d) }
	s := ledger.TargetState{Account: "old", Paused: time.Minute}
	if settingsChanged(s, "new") {
		t.Error("a target that runs has no pause to end")
	}

	s = paused(s, "new", "401", at(0))
	want := ledger.TargetState{
		Account: "new", Paused: time.Minute,
		Pause: ledger.Pause{Since: at(0), Until: at(30 * time.Second), Reason: "401"},
	}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("paused (-want +got):\n%s", diff)
	}
	if settingsChanged(s, "new") || !settingsChanged(s, "newer") {
		t.Error("exactly other settings end a pause")
	}
	if got, want := pausedFor(s, at(10*time.Second)), 70*time.Second; got != want {
		t.Errorf("after 10 s of pause the clock is %s behind, want %s", got, want)
	}
	if got, want := pausedFor(s, at(-10*time.Second)), time.Minute; got != want {
		t.Errorf("with a clock that was set back it is %s behind, want %s", got, want)
	}

	now, gaps := at(0), []time.Duration(nil)
	for range 7 {
		now = s.Pause.Until
		s = probedInVain(s, "", now)
		gaps = append(gaps, s.Pause.Until.Sub(now))
	}
	if want := "[1m0s 2m0s 4m0s 8m0s 15m0s 15m0s 15m0s]"; fmt.Sprint(gaps) != want {
		t.Errorf("probes come after %v, want %s", gaps, want)
	}
	if s.Pause.Reason != "401" {
		t.Errorf("the reason became %q", s.Pause.Reason)
	}
	if s = probedInVain(s, "403", now); s.Pause.Reason != "403" {
		t.Errorf("the reason stayed %q", s.Pause.Reason)
	}

	s = resumed(s, at(time.Hour))
	want = ledger.TargetState{Account: "new", Paused: time.Hour + time.Minute}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("resumed (-want +got):\n%s", diff)
	}

	byHand := ledger.TargetState{Account: "old", Pause: ledger.Pause{Since: at(0), ByOperator: true}}
	if settingsChanged(byHand, "new") {
		t.Error("what a person paused, a person resumes")
	}
}
