// This file kills processes that work on a ledger, again and again, and looks whether it holds what they had
// acknowledged: each delivery is as after the last thing that was acknowledged, or as after the one that was under way.

package ledgertest

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/internal/ledger"
)

// killRounds is how many processes are killed.
const killRounds = 6

func runCrash(t *testing.T, s Suite) {
	t.Parallel()
	d := &desk{TB: t, suite: s, dir: t.TempDir()}
	keeping(&d.opts)
	m := &morgue{desk: d, cards: map[string]*witnessed{}}
	for round := range killRounds {
		m.kill(round, 100+rand.IntN(900))
		d.start()
		m.compare()
		d.close()
	}
	t.Logf("%d processes were killed after %d acknowledgements: %d conversations, %d hooks in quarantine", killRounds, m.acknowledged, len(m.cards), len(m.quarantined))
	if len(m.cards) < 10 || len(m.quarantined) == 0 || m.acknowledged < 100*killRounds/2-killedWorkers*killRounds {
		t.Fatal("the processes did too little")
	}
}

// witnessed is what is known of the delivery of one conversation.
type witnessed struct {
	target   string
	editions int // that were acknowledged
	sure     card
	perhaps  *card // if what was under way has happened; nil: nothing was
}

// morgue has all that the killed processes have said.
type morgue struct {
	*desk
	acknowledged int
	cards        map[string]*witnessed // by conversation
	quarantined  []string              // ids
	audited      []string
}

// kill starts a process, kills it after it has said so many lines, and notes what it said.
func (m *morgue) kill(round, lines int) {
	m.Helper()
	child := exec.CommandContext(m.Context(), os.Args[0], "-test.run=^"+m.suite.Killed.Test+"$")
	child.Env = append(os.Environ(), ChildVariable+"="+m.dir, fmt.Sprint(roundVariable, "=", round))
	if m.suite.Killed.Environ != nil {
		child.Env = append(child.Env, m.suite.Killed.Environ(m.dir)...)
	}
	out, err := child.StdoutPipe()
	m.must(err)
	m.must(child.Start())
	read := bufio.NewReader(out)
	var said []string
	for n := 0; ; n++ {
		line, err := read.ReadString('\n')
		if err == io.EOF {
			break // what it said before it died has been read
		}
		m.must(err)
		said = append(said, line)
		m.note(line)
		if n == lines {
			m.must(child.Process.Kill())
		}
	}
	if err := child.Wait(); len(said) <= lines {
		m.Fatalf("the process ended by itself (%v): %q", err, said[max(0, len(said)-10):])
	}
}

// note takes one line in.
func (m *morgue) note(line string) {
	m.Helper()
	var worker, phase, verb, id string
	var revision int
	if _, err := fmt.Sscan(line, &worker, &phase, &verb, &id, &revision); err != nil {
		m.Fatalf("the process said %q", line)
	}
	done := phase == "done"
	if done {
		m.acknowledged++
	}
	switch {
	case verb == "quarantine" && done:
		m.quarantined = append(m.quarantined, id)
	case verb == "audit" && done:
		m.audited = append(m.audited, id)
	case verb == "quarantine" || verb == "audit":
	case done:
		w := m.cards[id]
		w.sure, w.perhaps = *w.perhaps, nil
		if verb == "accept" {
			w.editions = revision
		}
	default:
		w := m.cards[id]
		if w == nil {
			w = &witnessed{target: worker}
			m.cards[id] = w
		}
		after := w.sure
		after.apply(verb, revision)
		w.perhaps = &after
	}
}

// compare looks at everything in the ledger, and delivers what is pending.
func (m *morgue) compare() {
	m.Helper()
	for _, id := range m.quarantined {
		_, err := m.engine.Unreadable(m.Context(), id)
		m.must(err)
	}
	var audited []string
	for _, line := range all(m.desk, 500, func(p ledger.Page) (ledger.Listed[ledger.Audited], error) { return m.engine.AuditLog(m.Context(), p) }) {
		audited = append(audited, line.Object)
	}
	for _, id := range m.audited {
		if !slices.Contains(audited, id) {
			m.Fatalf("line %s of the audit log was acknowledged, then lost", id)
		}
	}
	for id, w := range m.cards {
		m.compareCard(id, w)
	}
}

// compareCard looks at one conversation.
func (m *morgue) compareCard(id string, w *witnessed) {
	m.Helper()
	for revision := 1; revision <= w.editions; revision++ {
		raw, _, err := m.engine.Raw(m.Context(), id, revision)
		m.must(err)
		m.equal("the body of "+id, string(raw), string(edition(id, revision, w.target).Raw))
	}
	rows, err := m.engine.Deliveries(m.Context(), ledger.Filter{IDs: []string{id}}, ledger.Page{})
	m.must(err)
	if len(rows.Items) == 0 && w.editions == 0 {
		delete(m.cards, id) // nobody was told that it is stored
		return
	}
	if len(rows.Items) != 1 {
		m.Fatalf("%s has %d deliveries, want 1", id, len(rows.Items))
	}
	r := rows.Items[0]
	found := card{State: r.State, Revision: r.Revision, Held: r.Held, Attempts: r.Attempts}
	var fits []card
	for _, c := range []*card{&w.sure, w.perhaps} {
		if c != nil && c.Revision > 0 {
			shown := *c
			shown.Doubt, shown.Leased = false, false
			if shown == found {
				fits = append(fits, *c)
			}
		}
	}
	if len(fits) == 0 {
		m.Fatalf("the delivery of %s is %+v, was acknowledged as %+v, and would be %+v", id, found, w.sure, w.perhaps)
	}
	if found.State == ledger.Pending {
		found = m.finish(id, w.target, fits)
	}
	w.sure, w.perhaps, w.editions = found, nil, found.Revision
}

// finish delivers what is pending, and looks whether it was leased as it should: in doubt if somebody may have sent it.
func (m *morgue) finish(id, target string, fits []card) card {
	m.Helper()
	claimed, err := m.engine.Claim(m.Context(), ledger.Claim{Target: target, Limit: 10, Lease: lease, Config: "today"})
	m.must(err)
	c := m.one(claimed)
	fits = slices.DeleteFunc(fits, func(f card) bool { return c.Lapsed != f.Leased || c.Uncertain != (f.Doubt || f.Leased) })
	if c.ID != id || len(fits) == 0 {
		m.Fatalf("the delivery of %s was leased as %+v", id, c)
	}
	m.equal("what is delivered", cmp.Diff(c.Conversation.Messages, edition(id, c.Revision, target).Conversation.Messages), "")
	m.settle(c, ledger.Delivered, delivered)
	f := fits[0]
	f.settle("delivered", c.Revision)
	return f
}
