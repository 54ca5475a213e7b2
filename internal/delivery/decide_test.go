// This file tests what follows from an attempt, kind by kind.

package delivery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/pipeline"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestDecide(t *testing.T) {
	t.Parallel()
	policy := Policy{Min: 5 * time.Second, Max: time.Hour, GiveUpAfter: 72 * time.Hour}
	cautious := policy
	cautious.OnUncertain = OnUncertainDead
	failure := func(kind connectors.Kind) *connectors.Error {
		return &connectors.Error{Kind: kind, Status: 599, Hint: "look", Err: errors.New("no")}
	}
	unsure := func(kind connectors.Kind) error {
		e := failure(kind)
		e.Uncertain = true
		return e
	}
	throttled := func(after time.Duration) error {
		e := failure(connectors.Throttled)
		e.After = after
		return e
	}
	in := func(d time.Duration) time.Time { return epoch.Add(d) }
	started := in(-time.Second)
	const half = 0.5 // what chance says in every case

	looking := circumstances{policy: policy, once: connectors.OnceLookup, patience: time.Minute}
	for name, c := range map[string]struct {
		d    ledger.Delivery
		res  result
		c    circumstances
		want outcome
	}{
		"a success": {
			want: outcome{kind: "ok", state: ledger.Delivered, tried: true, firstAt: started},
		},
		"a success keeps the time of the first attempt": {
			d:    ledger.Delivery{Attempt: 3, FirstAt: in(-time.Hour)},
			want: outcome{kind: "ok", state: ledger.Delivered, tried: true, firstAt: in(-time.Hour)},
		},
		"uncertain where the target is looked at: not before the request can have arrived": {
			res:  result{err: unsure(connectors.Temporary)},
			c:    looking,
			want: outcome{kind: "temporary", due: in(time.Minute), tried: true, uncertain: true, firstAt: started, status: 599, reason: "no", hint: "look"},
		},
		"certain where the target is looked at: as ever": {
			res:  result{err: failure(connectors.Temporary)},
			c:    looking,
			want: outcome{kind: "temporary", due: in(2500 * time.Millisecond), tried: true, firstAt: started, status: 599, reason: "no", hint: "look"},
		},
		"temporary: half of the first ceiling": {
			res:  result{err: failure(connectors.Temporary)},
			want: outcome{kind: "temporary", due: in(2500 * time.Millisecond), tried: true, firstAt: started, status: 599, reason: "no", hint: "look"},
		},
		"temporary: the ceiling doubles": {
			d:    ledger.Delivery{Attempt: 4},
			res:  result{err: failure(connectors.Temporary)},
			want: outcome{kind: "temporary", due: in(20 * time.Second), tried: true, firstAt: started, status: 599, reason: "no", hint: "look"},
		},
		"temporary: the ceiling has a limit": {
			d:    ledger.Delivery{Attempt: 1000, FirstAt: in(-time.Hour)},
			res:  result{err: failure(connectors.Temporary)},
			want: outcome{kind: "temporary", due: in(30 * time.Minute), tried: true, firstAt: in(-time.Hour), status: 599, reason: "no", hint: "look"},
		},
		"an error that nobody classified is temporary and uncertain": {
			res:  result{err: context.DeadlineExceeded},
			want: outcome{kind: "temporary", due: in(2500 * time.Millisecond), tried: true, uncertain: true, firstAt: started, reason: "context deadline exceeded"},
		},
		"the clock of give_up_after stands still in a pause": {
			res:  result{err: failure(connectors.Temporary)},
			c:    circumstances{paused: time.Hour},
			want: outcome{kind: "temporary", due: in(2500 * time.Millisecond), tried: true, firstAt: started.Add(-time.Hour), status: 599, reason: "no", hint: "look"},
		},
		"give up": {
			d:    ledger.Delivery{Attempt: 80, FirstAt: in(-72 * time.Hour)},
			res:  result{err: failure(connectors.Temporary)},
			want: outcome{kind: "temporary", state: ledger.Dead, tried: true, firstAt: in(-72 * time.Hour), status: 599, reason: "gave up after 72h0m0s: no", hint: "look"},
		},
		"give up when the connector has no hint": {
			d:   ledger.Delivery{Attempt: 80, FirstAt: in(-73 * time.Hour)},
			res: result{err: &connectors.Error{Err: errors.New("no")}},
			want: outcome{
				kind: "temporary", state: ledger.Dead, tried: true, firstAt: in(-73 * time.Hour), reason: "gave up after 72h0m0s: no",
				hint: "replay it once the target works again",
			},
		},
		"paused time does not count": {
			d:    ledger.Delivery{Attempt: 1, FirstAt: in(-100 * time.Hour)},
			res:  result{err: failure(connectors.Temporary)},
			c:    circumstances{paused: 90 * time.Hour},
			want: outcome{kind: "temporary", due: in(2500 * time.Millisecond), tried: true, firstAt: in(-100 * time.Hour), status: 599, reason: "no", hint: "look"},
		},
		"one last attempt when the time is up": {
			d:    ledger.Delivery{Attempt: 80, FirstAt: in(-72*time.Hour + time.Minute)},
			res:  result{err: failure(connectors.Temporary)},
			want: outcome{kind: "temporary", due: in(time.Minute), tried: true, firstAt: in(-72*time.Hour + time.Minute), status: 599, reason: "no", hint: "look"},
		},
		"never give up": {
			d:    ledger.Delivery{Attempt: 1, FirstAt: in(-9000 * time.Hour)},
			res:  result{err: failure(connectors.Temporary)},
			c:    circumstances{policy: Policy{Min: 5 * time.Second}},
			want: outcome{kind: "temporary", due: in(2500 * time.Millisecond), tried: true, firstAt: in(-9000 * time.Hour), status: 599, reason: "no", hint: "look"},
		},
		"throttled: what the target asks for, and backoff is left alone": {
			d:   ledger.Delivery{Attempt: 9},
			res: result{err: throttled(time.Minute)},
			want: outcome{
				kind: "throttled", due: in(time.Minute), hold: in(time.Minute), after: time.Minute, firstAt: started, status: 599, reason: "no", hint: "look",
			},
		},
		"throttled without a time": {
			res: result{err: throttled(0)},
			want: outcome{
				kind: "throttled", due: in(5 * time.Second), hold: in(5 * time.Second), after: 5 * time.Second, firstAt: started, status: 599, reason: "no", hint: "look",
			},
		},
		"throttled beyond the end": {
			d:   ledger.Delivery{Attempt: 2, FirstAt: in(-73 * time.Hour)},
			res: result{err: throttled(time.Minute)},
			want: outcome{
				kind: "throttled", state: ledger.Dead, hold: in(time.Minute), after: time.Minute, firstAt: in(-73 * time.Hour), status: 599,
				reason: "gave up after 72h0m0s: no", hint: "look",
			},
		},
		"throttled, but it may have been taken": {
			res: result{err: &connectors.Error{Kind: connectors.Throttled, After: time.Minute, Uncertain: true, Err: errors.New("no")}},
			want: outcome{
				kind: "throttled", due: in(time.Minute), hold: in(time.Minute), after: time.Minute, tried: true, uncertain: true, firstAt: started, reason: "no",
			},
		},
		"rejected": {
			res:  result{err: failure(connectors.Rejected)},
			want: outcome{kind: "rejected", state: ledger.Dead, tried: true, status: 599, reason: "no", hint: "look"},
		},
		"denied for the first time": {
			res:  result{err: failure(connectors.Denied)},
			want: outcome{kind: "denied", due: in(2500 * time.Millisecond), tried: true, status: 599, reason: "no", hint: "look"},
		},
		"denied although the time is up: a denial alone never kills": {
			d:    ledger.Delivery{Attempt: 1, FirstAt: in(-100 * time.Hour)},
			res:  result{err: failure(connectors.Denied)},
			want: outcome{kind: "denied", due: in(2500 * time.Millisecond), tried: true, firstAt: in(-100 * time.Hour), status: 599, reason: "no", hint: "look"},
		},
		"denied, and a check passes": {
			res:  result{err: failure(connectors.Denied)},
			c:    circumstances{denial: denialRetryNow},
			want: outcome{kind: "denied", due: epoch, tried: true, status: 599, reason: "no", hint: "look"},
		},
		"denied, and the target is paused": {
			res:  result{err: failure(connectors.Denied)},
			c:    circumstances{denial: denialPauses},
			want: outcome{kind: "denied", due: epoch, tried: true, status: 599, reason: "no", hint: "look"},
		},
		"denied as a probe": {
			res:  result{err: failure(connectors.Denied)},
			c:    circumstances{denial: denialProbe, probe: in(time.Minute)},
			want: outcome{kind: "denied", due: in(time.Minute), tried: true, status: 599, reason: "no", hint: "look"},
		},
		"denied again although the target works": {
			res: result{err: failure(connectors.Denied)},
			c:   circumstances{denial: denialRejects},
			want: outcome{
				kind: "rejected", state: ledger.Dead, tried: true, status: 599, reason: "denied twice although the target takes others: no", hint: "look",
			},
		},
		"an unmapped conversation": {
			res: result{err: &pipeline.MappingError{Target: "help", Field: "subject", Err: errors.New("absent")}},
			want: outcome{
				kind: "mapping", state: ledger.Dead, reason: "mapping for help: field subject: absent",
				hint: "correct the mapping, then replay the delivery",
			},
		},
		"a panic in Push": {
			res: result{err: &panicError{value: "boom", pushed: true}},
			want: outcome{
				kind: "panic", due: in(2500 * time.Millisecond), tried: true, uncertain: true, firstAt: started, reason: "panic: boom",
				hint: "the log of the gateway has the stack; please report it",
			},
		},
		"a panic before Push": {
			res: result{err: &panicError{value: "boom"}},
			want: outcome{
				kind: "panic", due: in(2500 * time.Millisecond), tried: true, firstAt: started, reason: "panic: boom",
				hint: "the log of the gateway has the stack; please report it",
			},
		},
		"the ledger could not give the configuration": {
			d:    ledger.Delivery{Attempt: 7},
			res:  result{err: &notSentError{errors.New("disk")}},
			want: outcome{kind: "temporary", due: in(2500 * time.Millisecond), reason: "disk"},
		},
		"shutdown before anything was sent": {
			res:  result{err: failure(connectors.Temporary), cut: true},
			want: outcome{kind: "shutdown", due: epoch, status: 599, reason: "no", hint: "look"},
		},
		"shutdown while it was being sent": {
			res:  result{err: unsure(connectors.Temporary), cut: true},
			want: outcome{kind: "shutdown", due: epoch, tried: true, uncertain: true, status: 599, reason: "no", hint: "look"},
		},
		"uncertain, and the target can tell": {
			res:  result{err: unsure(connectors.Temporary)},
			c:    circumstances{policy: cautious, once: connectors.OnceKey},
			want: outcome{kind: "temporary", due: in(2500 * time.Millisecond), tried: true, uncertain: true, firstAt: started, status: 599, reason: "no", hint: "look"},
		},
		"uncertain, the target cannot tell, resend": {
			res:  result{err: unsure(connectors.Temporary)},
			want: outcome{kind: "temporary", due: in(2500 * time.Millisecond), tried: true, uncertain: true, firstAt: started, status: 599, reason: "no", hint: "look"},
		},
		"uncertain, the target cannot tell, rather dead": {
			res: result{err: unsure(connectors.Temporary)},
			c:   circumstances{policy: cautious},
			want: outcome{
				kind: "uncertain", state: ledger.Dead, tried: true, uncertain: true, firstAt: started, status: 599, reason: "no",
				hint: "look at the target for it; replay it if it is not there",
			},
		},
		"cut while it was being sent, the target cannot tell, rather dead": {
			res: result{err: unsure(connectors.Temporary), cut: true},
			c:   circumstances{policy: cautious},
			want: outcome{
				kind: "uncertain", state: ledger.Dead, tried: true, uncertain: true, status: 599, reason: "no",
				hint: "look at the target for it; replay it if it is not there",
			},
		},
		"certain failures are retried by the cautious, too": {
			res:  result{err: failure(connectors.Temporary)},
			c:    circumstances{policy: cautious},
			want: outcome{kind: "temporary", due: in(2500 * time.Millisecond), tried: true, firstAt: started, status: 599, reason: "no", hint: "look"},
		},
		"not sent, for an earlier attempt may have been taken": {
			res: result{err: errInDoubt},
			c:   circumstances{policy: cautious},
			want: outcome{
				kind: "uncertain", state: ledger.Dead, reason: errInDoubt.Error(),
				hint: "look at the target for it; replay it if it is not there",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.d.Attempt == 0 {
				c.d.Attempt = 1
			}
			if c.c.policy == (Policy{}) {
				c.c.policy = policy
			}
			c.c.now, c.c.random = epoch, half
			c.res.started, c.res.ended = started, epoch
			got := decide(c.d, c.res, c.c)
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(outcome{})); diff != "" {
				t.Errorf("decide (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOneLine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain":                 "plain",
		"two\nlines\r\nhere":    "two lines here",
		"bell\aand\x1b[31m red": "bell and [31m red",
		"bad \xff byte":         "bad � byte",
	} {
		if got := oneLine(in); got != want {
			t.Errorf("oneLine(%q) = %q, want %q", in, got, want)
		}
	}
	long := oneLine("x" + strings.Repeat("ž", longestReason))
	if len(long) > longestReason+len("…") || !utf8.ValidString(long) {
		t.Errorf("oneLine kept %d bytes, valid UTF-8: %v", len(long), utf8.ValidString(long))
	}
}

func TestObjectName(t *testing.T) {
	t.Parallel()
	if got, want := objectName("c1", "help"), "afterchat:c1:help"; got != want {
		t.Errorf("objectName = %q, want %q", got, want)
	}
	seen := make(map[string]string)
	for _, target := range []string{"a", "b", "help desk", "help\tdesk", "Zákazníci", strings.Repeat("x", 300), strings.Repeat("x", 301)} {
		for _, id := range []string{"c1", "c2"} {
			got := objectName(id, target)
			if len(got) > longestObject {
				t.Errorf("objectName(%q, %q) has %d bytes, at most %d are wanted", id, target, len(got), longestObject)
			}
			if strings.ContainsFunc(got, func(r rune) bool { return r <= ' ' || r > '~' }) {
				t.Errorf("objectName(%q, %q) = %q, which is not plain ASCII", id, target, got)
			}
			if got != objectName(id, target) {
				t.Errorf("objectName(%q, %q) is not stable", id, target)
			}
			key := fmt.Sprint(id, "/", target)
			if other, ok := seen[got]; ok {
				t.Errorf("%q and %q have the same name %q", key, other, got)
			}
			seen[got] = key
		}
	}
}

func TestEnded(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ decided, row, want ledger.State }{
		{ledger.Delivered, ledger.Delivered, ledger.Delivered},
		{ledger.Delivered, ledger.Pending, ledger.Delivered},
		{ledger.Delivered, ledger.Skipped, ledger.Delivered},
		{ledger.Dead, ledger.Dead, ledger.Dead},
		{ledger.Dead, ledger.Pending, ledger.Superseded},
		{ledger.Dead, ledger.Superseded, ledger.Superseded},
		{ledger.Pending, ledger.Pending, ledger.Pending},
		{ledger.Pending, ledger.Superseded, ledger.Superseded},
	} {
		if got := ended(c.decided, c.row); got != c.want {
			t.Errorf("ended(%s, %s) = %s, want %s", c.decided, c.row, got, c.want)
		}
	}
}
