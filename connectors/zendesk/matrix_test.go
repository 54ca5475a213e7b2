// This file breaks every request of every kind of push in every way, repairs the damage as the engine would, and counts
// tickets, comments and users. It prints the table of fault and step.

package zendesk_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/connectortest"
	"github.com/afterchat/afterchat/connectors/zendesk"
	"github.com/afterchat/afterchat/connectors/zendesk/zendesktest"
)

// scene is a kind of push: what the account holds before, and what is pushed.
type scene struct {
	name     string
	settings func(*zendesk.Settings)
	before   func(t *testing.T, a *zendesktest.Account, c connectors.Connector) connectors.Receipt
	record   func(prior connectors.Receipt) connectors.Record
	tickets  int
	comments []int // of each ticket, oldest first
	users    int   // beside those of account
}

func long(rec connectors.Record) connectors.Record {
	rec.Fields["html_body"] = transcript(11*rec.Revision, strings.Repeat("x", 6500))
	return rec
}

// held puts the first revision into the account.
func held(change func(connectors.Record) connectors.Record) func(*testing.T, *zendesktest.Account, connectors.Connector) connectors.Receipt {
	return func(t *testing.T, _ *zendesktest.Account, c connectors.Connector) connectors.Receipt {
		receipt, err := c.Push(t.Context(), change(record(1, 1)))
		if err != nil {
			t.Fatal(err)
		}
		return receipt
	}
}

func nothing(*testing.T, *zendesktest.Account, connectors.Connector) connectors.Receipt {
	return connectors.Receipt{}
}

func closedTicket(t *testing.T, a *zendesktest.Account, c connectors.Connector) connectors.Receipt {
	receipt := held(func(r connectors.Record) connectors.Record { return r })(t, a, c)
	a.Close(1)
	return receipt
}

func scenes() []scene {
	same := func(r connectors.Record) connectors.Record { return r }
	first := func(connectors.Receipt) connectors.Record { return record(1, 1) }
	second := func(prior connectors.Receipt) connectors.Record {
		rec := record(1, 2)
		rec.Prior = prior
		return rec
	}
	ticket := func(*zendesk.Settings) {}
	return []scene{
		{"create", ticket, nothing, first, 1, []int{1}, 1},
		{"create, looking first", func(s *zendesk.Settings) { s.LookFirst = true }, nothing, first, 1, []int{1}, 1},
		{"create, too long", ticket, nothing, func(connectors.Receipt) connectors.Record { return long(record(1, 1)) }, 1, []int{1}, 1},
		{"import", imports, nothing, first, 1, []int{3}, 1},
		{"revision", ticket, held(same), second, 1, []int{2}, 1},
		{"revision, too long", ticket, held(long), func(p connectors.Receipt) connectors.Record { return long(second(p)) }, 1, []int{2}, 1},
		{"revision, receipt lost", ticket, held(same), func(connectors.Receipt) connectors.Record {
			rec := record(1, 2)
			rec.Uncertain = true
			return rec
		}, 1, []int{2}, 1},
		{"follow-up", ticket, closedTicket, second, 2, []int{1, 1}, 1},
	}
}

// world is one account in one scene, broken or not.
type world struct {
	scene scene
	a     *zendesktest.Account
	c     connectors.Connector
	rec   connectors.Record
}

// newWorld prepares a scene. With forgetful, Zendesk has forgotten every idempotency key before the next attempt, so that
// looking alone must do.
func newWorld(t *testing.T, s scene, forgetful bool) *world {
	t.Helper()
	w := &world{scene: s, a: account()}
	if forgetful {
		w.a.KeyLife = time.Second
	}
	w.a.SearchLag = 3 * time.Hour // the search finds nothing of what is made here
	w.c = open(t, w.a, settings(s.settings))
	prior := s.before(t, w.a, w.c)
	w.a.Revoke() // so that the push needs a token, too
	w.rec = s.record(prior)
	w.restart(t)
	w.a.Steps()
	return w
}

// restart opens the connector anew, as after the end of the process: what it cached is gone, what the ledger keeps is not.
func (w *world) restart(t *testing.T) {
	t.Helper()
	w.c = open(t, w.a, settings(w.scene.settings))
}

// push makes one attempt. A killed process settles nothing, so its receipt is lost.
func (w *world) push(t *testing.T) (err error, killed bool) {
	t.Helper()
	defer func() {
		if v := recover(); v != nil {
			if v != zendesktest.Killed {
				panic(v)
			}
			killed = true
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	receipt, err := w.c.Push(ctx, w.rec)
	if text, jsonErr := json.Marshal(receipt); jsonErr != nil || strings.Contains(string(text), connectortest.Canary) {
		t.Errorf("receipt %+v: %v", receipt, jsonErr)
	}
	if !receipt.IsZero() {
		w.rec.Prior = receipt
	}
	return err, false
}

// settle pushes until the account holds the record, with the waits that the engine would make, and returns the attempts.
func (w *world) settle(t *testing.T, name string) int {
	t.Helper()
	for ; w.rec.Attempt <= 8; w.rec.Attempt++ {
		err, killed := w.push(t)
		wait := 5 * time.Second
		switch {
		case killed:
			w.rec.Uncertain = true // the lease ended without a settle
			w.restart(t)
		case err == nil:
			return w.rec.Attempt
		default:
			e := connectors.Classify(err)
			if e.Kind == connectors.Rejected || e.Kind == connectors.Denied || strings.Contains(err.Error(), connectortest.Canary) || e.Hint == "" {
				t.Errorf("%s: attempt %d: %v: %v (hint %q)", name, w.rec.Attempt, e.Kind, err, e.Hint)
				return w.rec.Attempt
			}
			w.rec.Uncertain = w.rec.Uncertain || e.Uncertain
			wait = max(wait, e.After)
		}
		<-time.After(wait) // in a synctest bubble: no time passes
	}
	t.Errorf("%s: not delivered after 8 attempts", name)
	return w.rec.Attempt
}

// check counts.
func (w *world) check(t *testing.T, name string) {
	t.Helper()
	tickets := w.a.Tickets()
	if len(tickets) != w.scene.tickets {
		t.Errorf("%s: %d tickets, want %d", name, len(tickets), w.scene.tickets)
		return
	}
	for i, ticket := range tickets {
		if len(ticket.Comments) != w.scene.comments[i] {
			t.Errorf("%s: ticket %d has %d comments, want %d", name, ticket.ID, len(ticket.Comments), w.scene.comments[i])
		}
	}
	if users := len(w.a.Users()) - 1; users != w.scene.users {
		t.Errorf("%s: %d users, want %d", name, users, w.scene.users)
	}
	last := tickets[len(tickets)-1]
	if want := fmt.Sprintf("r%d", w.rec.Revision); !slices.Contains(last.Tags, want) {
		t.Errorf("%s: the tags %v lack %s", name, last.Tags, want)
	}
	if custom, _ := last.Values["custom_fields"].(map[string]any); fmt.Sprint(custom["22001"]) != fmt.Sprint(w.rec.Revision) {
		t.Errorf("%s: the custom fields are %v", name, custom)
	}
}

// stepsOf makes the push without a fault, or with the second attempt's look-ups, and returns how often each step is
// taken.
func stepsOf(t *testing.T, s scene) map[string]int {
	t.Helper()
	w := newWorld(t, s, false)
	if n := w.settle(t, s.name); n != 1 {
		t.Fatalf("%s: %d attempts without a fault", s.name, n)
	}
	w.check(t, s.name)
	count := map[string]int{}
	for _, step := range w.a.Steps() {
		count[step]++
	}
	return count
}

// TestFaults is the matrix. A cell breaks each request of the step once or more often in a row, at least ten times.
func TestFaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		faults := zendesktest.Faults()
		faults["killed before"], faults["killed after"] = zendesktest.Kill(false), zendesktest.Kill(true)
		var table strings.Builder
		total := 0
		for _, s := range scenes() {
			steps := stepsOf(t, s)
			for _, step := range slices.Sorted(maps.Keys(steps)) {
				for _, fault := range slices.Sorted(maps.Keys(faults)) {
					injected, most := 0, 0
					for round := 0; injected < 10; round++ {
						for skip := range steps[step] {
							for times := 1; times <= 4; times++ {
								name := fmt.Sprintf("%s: %s: %s (after %d, %d times)", s.name, step, fault, skip, times)
								w := newWorld(t, s, times%2 == 1)
								w.a.Break(step, skip, times, faults[fault])
								most = max(most, w.settle(t, name))
								injected += w.a.Hits()
								w.check(t, name)
							}
						}
						if round == 10 {
							t.Fatalf("%s: %s: %s: the fault never came", s.name, step, fault)
						}
					}
					total += injected
					fmt.Fprintf(&table, "%-24s %-42s %-16s %7d %8d %7d\n", s.name, step, fault, injected, most, s.tickets)
				}
			}
		}
		if total < 1000 {
			t.Errorf("only %d faults", total)
		}
		t.Logf("%d faults\n%-24s %-42s %-16s %7s %8s %7s\n%s", total, "push", "step", "fault", "faults", "attempts", "tickets", &table)
	})
}

// TestKills ends the process before and after each request, and again on the way of repair.
func TestKills(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		kills := 0
		for _, s := range scenes() {
			for first := range 12 {
				for second := range 6 {
					for _, acts := range []bool{false, true} {
						name := fmt.Sprintf("%s: killed at request %d, then at %d, acting %v", s.name, first+1, second+1, acts)
						w := newWorld(t, s, second%2 == 0)
						w.a.Break("", first, 1, zendesktest.Kill(acts))
						_, killed := w.push(t)
						if !killed {
							continue
						}
						w.rec.Uncertain, w.rec.Attempt = true, 2
						w.restart(t)
						w.a.Break("", second, 1, zendesktest.Kill(!acts))
						kills++
						w.settle(t, name)
						w.check(t, name)
					}
				}
			}
		}
		if kills < 300 {
			t.Errorf("only %d kills", kills)
		}
		t.Logf("%d processes killed between two requests, and most of them again", kills)
	})
}
