// This file holds the pause protocol: when a denial is the target's fault and when the record's, how a pause begins,
// is probed and ends, and the clock that stands still meanwhile. All of it is pure.

package delivery

import (
	"maps"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

// A paused target is probed after firstProbe, and then at doubling intervals up to longestProbe.
const (
	firstProbe   = 30 * time.Second
	longestProbe = 15 * time.Minute
)

// evidence is what a connector's Check said.
type evidence int

const (
	checkSilent evidence = iota // there is no Check, or it could not find out
	checkDenied                 // the target takes nothing
	checkPassed                 // the target works, as far as a check can see
)

// denial is what a denied attempt means.
type denial int

const (
	denialRetry    denial = iota // not known yet: try it again with backoff
	denialRetryNow               // the target works: one more try, at once, for the record
	denialRejects                // the target works and does not want this record
	denialPauses                 // the target takes nothing
	denialProbe                  // it was the probe of a paused target, which stays paused
)

// suspicion remembers which deliveries were denied, to tell a bad record from a target that takes nothing.
//
// A denial says little by itself: an expired token and a record that only an administrator may create look the same.
// So a denied delivery goes back and is tried again, and what others come to in between decides. If another one passes,
// the target works, and a second denial is the record's own fault. If another one is denied too, the target is paused.
// Without another one, nothing is ever decided, and nothing is lost. The memory does not survive a restart; it then
// takes one denial more.
type suspicion map[string]suspect // by conversation id

type suspect struct {
	revision int
	since    time.Time // of its newest denial
	passed   bool      // another delivery has passed since
	checked  bool      // a Check has passed since
}

// A Check that passes proves less than a delivery that passes: a token may be allowed to read and not to write. So it
// takes this many different deliveries, denied with none passing, to pause a target whose Check passes.
const deniedAgainstCheck = 3

// manySuspects bounds the memory; beyond it those are forgotten of whom the target is known to work.
const manySuspects = 1000

// deny judges the denial of a revision of a conversation.
func (s suspicion) deny(id string, revision int, now time.Time, said evidence) denial {
	before, known := s[id]
	known = known && before.revision == revision
	if said == checkDenied {
		s.remember(id, suspect{revision: revision, since: now})
		return denialPauses
	}
	if known && before.passed {
		delete(s, id)
		return denialRejects
	}
	others := 0
	for other, suspect := range s {
		if other != id && !suspect.passed {
			others++
		}
	}
	s.remember(id, suspect{revision: revision, since: now, checked: said == checkPassed})
	switch {
	case said == checkSilent && others >= 1, others >= deniedAgainstCheck-1:
		return denialPauses
	case said == checkSilent:
		return denialRetry
	case known && before.checked:
		return denialRejects // stays in memory: it is one of those denied in a row
	}
	return denialRetryNow
}

// pass notes that a delivery which was begun at started has passed: the target works.
func (s suspicion) pass(id string, started time.Time) {
	delete(s, id)
	for other, suspect := range s {
		if started.After(suspect.since) {
			suspect.passed = true
			s[other] = suspect
		}
	}
}

func (s suspicion) remember(id string, one suspect) {
	if len(s) >= manySuspects {
		maps.DeleteFunc(s, func(_ string, other suspect) bool { return other.passed })
	}
	s[id] = one
}

// pausedFor returns how far the active clock of a target is behind at now. The clock stands still while the target is
// paused, and give_up_after is measured on it.
func pausedFor(s ledger.TargetState, now time.Time) time.Duration {
	if !s.Pause.Active() {
		return s.Paused
	}
	return s.Paused + max(now.Sub(s.Pause.Since), 0)
}

// paused returns s with a pause that begins now.
func paused(s ledger.TargetState, account, reason string, now time.Time) ledger.TargetState {
	s.Account = account
	s.Pause = ledger.Pause{Since: now, Until: now.Add(firstProbe), Reason: reason}
	return s
}

// pausedByOperator returns s with a pause that only a person ends. A pause that is on becomes one.
func pausedByOperator(s ledger.TargetState, account, reason string, now time.Time) ledger.TargetState {
	if !s.Pause.Active() {
		s.Pause.Since = now
	}
	s.Account = account
	s.Pause = ledger.Pause{Since: s.Pause.Since, Until: s.Pause.Since, Reason: reason, ByOperator: true}
	return s
}

// probedInVain returns s after a probe that did not end the pause; reason may be "" to leave it.
func probedInVain(s ledger.TargetState, reason string, now time.Time) ledger.TargetState {
	s.Pause.Probes++
	s.Pause.Until = now.Add(doubled(firstProbe, longestProbe, s.Pause.Probes+1))
	if reason != "" {
		s.Pause.Reason = reason
	}
	return s
}

// resumed returns s without a pause.
func resumed(s ledger.TargetState, now time.Time) ledger.TargetState {
	s.Paused = pausedFor(s, now)
	s.Pause = ledger.Pause{}
	return s
}

// settingsChanged tells whether a pause was decided under other settings than today's, which may have mended it. A
// pause by a person is for a person to end.
func settingsChanged(s ledger.TargetState, account string) bool {
	return s.Pause.Active() && !s.Pause.ByOperator && s.Account != account
}
