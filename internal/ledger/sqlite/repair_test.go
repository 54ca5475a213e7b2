// This file recovers damaged ledgers and counts what came back.

package sqlite

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
)

// allBack are the damages after which everything can be recovered; after the others it is what had been written to the
// part that is left.
var allBack = map[string]bool{
	"database is text": false, "header flipped": true, "page size flipped": true, "schema overwritten": true,
	"log flipped": true, "log flipped, index missing": true, "log header flipped": true, "database missing, killed": true,
}

func planBoth(c *chat.Conversation) ledger.Plan { return hook(c.ID, "help", "crm").Plan("", 1) }

// What can be read comes back, in doubt, with its receipts; a second time changes nothing; the books balance.
func TestRepair(t *testing.T) {
	t.Parallel()
	const n = 60
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			path := filled(t, n, d.killed)
			d.damage(t, path)
			l := open(t, path, Options{})
			aside, err := SetAside(path)
			if err != nil || len(aside) != 1 {
				t.Fatalf("set aside: %q, %v", aside, err)
			}
			done, err := l.Repair(t.Context(), aside[0], RepairOptions{Plan: planBoth})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v", done)
			sound(t, l)
			lost := done.LostBodies + done.Undeliverable
			if strings.HasPrefix(d.name, "log flipped") && done.LostBodies == 1 && done.Undeliverable <= 2 {
				lost = 0 // the bit was in the only copy of a body
			}
			if all, ok := allBack[d.name]; ok && all && (done.Conversations != n || done.Deliveries != 2*n || lost > 0) {
				t.Errorf("recovered %+v, want all %d", done, n)
			}
			if d.name == "pages overwritten" && (done.Conversations < n/3 || done.LostPages == 0) {
				t.Errorf("recovered %+v, want most of %d", done, n)
			}
			for _, delivery := range claim(t, l, "help", time.Hour).Deliveries {
				if !delivery.Uncertain {
					t.Errorf("%s is not in doubt", delivery.ID)
				}
			}
			before, err := l.Stats(t.Context())
			if err != nil || before.SetAside != 0 {
				t.Fatalf("%d set aside, %v", before.SetAside, err)
			}
			again, err := l.Repair(t.Context(), done.File, RepairOptions{Plan: planBoth})
			if err != nil || again.Conversations+again.Deliveries+again.Bodies != 0 || again.Known != done.Conversations {
				t.Errorf("repaired again: %+v, %v", again, err)
			}
			after, err := l.Stats(t.Context())
			after.Bytes, before.Bytes, after.At, before.At = 0, 0, time.Time{}, time.Time{}
			if diff := cmp.Diff(before, after); diff != "" || err != nil {
				t.Errorf("a second repair changed (-before +after), %v:\n%s", err, diff)
			}
			sound(t, l)
		})
	}
}

// Every delivery comes back as it was: states, receipts, attempts, bodies to the last byte.
func TestRepairIsExact(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := open(t, path, Options{})
	hooks := map[string][]byte{}
	for i := range 30 {
		h := hook(fmt.Sprintf("c%03d", i), "help", "crm")
		h.Raw = []byte(strings.Repeat(fmt.Sprint(i, time.Now()), 1+i*i*20)) // across many overflow pages, packed
		h.Raw = append(h.Raw, noise(i*700)...)
		hooks[h.Conversation.ID] = h.Raw
		accept(t, l, h)
	}
	if _, err := l.Quarantine(t.Context(), ledger.Unreadable{Source: "shop", Raw: []byte("?"), Reason: "no JSON"}); err != nil {
		t.Fatal(err)
	}
	for _, d := range claim(t, l, "help", time.Hour).Deliveries {
		s := ledger.Settlement{ID: d.ID, Target: "help", Revision: 1, Fence: d.Fence, State: ledger.Delivered, Tried: true, Attempt: &ledger.Attempt{At: time.Now(), Number: 1, Kind: "ok", Status: 201}}
		s.Receipt.ID = "ticket of " + d.ID
		if _, err := l.Settle(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	want, err := l.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	fresh := open(t, filepath.Join(t.TempDir(), "fresh.db"), Options{})
	done, err := fresh.Repair(t.Context(), path, RepairOptions{})
	if err != nil || done.LostPages+done.LostRows+done.LostBodies+done.LostDeliveries+done.Undeliverable > 0 {
		t.Fatalf("%+v, %v, want nothing lost", done, err)
	}
	got, err := fresh.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for target := range want.Targets {
		if diff := cmp.Diff(want.Targets[target].Counts, got.Targets[target].Counts); diff != "" {
			t.Errorf("%s (-want +got):\n%s", target, diff)
		}
	}
	if got.Conversations != 30 || got.Quarantined != 1 {
		t.Errorf("%d conversations, %d in quarantine", got.Conversations, got.Quarantined)
	}
	for id, raw := range hooks {
		body, _, err := fresh.Raw(t.Context(), id, 1)
		if err != nil || string(body) != string(raw) {
			t.Errorf("%s: %d bytes, %v, want %d", id, len(body), err, len(raw))
		}
		attempts, err := fresh.Attempts(t.Context(), id, "help")
		if err != nil || len(attempts) != 1 || attempts[0].Status != 201 {
			t.Errorf("%s: attempts %+v, %v", id, attempts, err)
		}
		if a := accept(t, fresh, ledger.Hook{Raw: raw, Conversation: hook(id).Conversation, Plan: hook(id, "help").Plan}); a.Result != ledger.Repeated {
			t.Errorf("%s: a repeated hook is %s", id, a.Result)
		}
	}
	if d := claim(t, fresh, "crm", time.Hour).Deliveries; len(d) != 30 || !d[0].Uncertain {
		t.Errorf("%d deliveries are due, want 30 in doubt", len(d))
	}
	sound(t, fresh)
}

// The audit log, replays and series come back, once, in front of what has been written since.
func TestRepairJournal(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "old.db")
	old := open(t, path, Options{})
	begun := time.Now().Truncate(time.Minute).Add(-3 * time.Hour)
	write := func(l *Ledger, from, to int, who string) {
		t.Helper()
		for i := from; i < to; i++ {
			at := begun.Add(time.Duration(i) * time.Minute)
			err := l.Audit(t.Context(), ledger.Audited{At: at, Who: who, Address: "::1", Action: "reveal", Object: fmt.Sprint("c", i)})
			if err == nil {
				err = l.AddPoints(t.Context(), []ledger.Point{{At: at, Kind: "source", Name: "shop", What: "accepted", Count: int64(i + 1)}, {At: at, Kind: "target", Name: "help", What: "delivered", Count: 2}})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	write(old, 0, 60, "ann")
	accept(t, old, hook("c1", "help"))
	d := claim(t, old, "help", time.Hour).Deliveries[0]
	if _, err := old.Settle(t.Context(), ledger.Settlement{ID: d.ID, Target: "help", Revision: 1, Fence: d.Fence, State: ledger.Dead, Tried: true}); err != nil {
		t.Fatal(err)
	}
	running, err := old.CreateReplay(t.Context(), ledger.ReplayJob{By: "ann", PerSecond: 2.5, Filter: ledger.Filter{Targets: []string{"help"}}})
	if err != nil || running.State != ledger.JobRunning {
		t.Fatalf("%+v, %v", running, err)
	}
	finished, err := old.CreateReplay(t.Context(), ledger.ReplayJob{By: "bob", PerSecond: 4, Filter: ledger.Filter{Targets: []string{"none"}}})
	if err == nil {
		finished, err = old.CancelReplay(t.Context(), finished.ID)
	}
	if err != nil && !errors.Is(err, ledger.ErrState) {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}

	l := open(t, filepath.Join(t.TempDir(), "ledger.db"), Options{})
	write(l, 59, 70, "eve") // the last minute is counted in both
	for round := range 2 {
		done, err := l.Repair(t.Context(), path, RepairOptions{})
		if err != nil || done.LostRows > 0 {
			t.Fatalf("%+v, %v", done, err)
		}
		want := [3]int{60, 2, 118}
		if round > 0 {
			want = [3]int{}
		}
		if got := [3]int{done.Audited, done.Jobs, done.Points}; got != want {
			t.Errorf("round %d: lines, jobs and points: %v, want %v", round, got, want)
		}
	}
	var lines []string
	for p := (ledger.Page{Limit: 7}); ; {
		got, err := l.AuditLog(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range got.Items {
			lines = append(lines, line.Who+" "+line.Object)
		}
		if p.After = got.Next; p.After == "" {
			break
		}
	}
	if len(lines) != 71 || lines[0] != "eve c69" || lines[10] != "eve c59" || lines[11] != "ann c59" || lines[70] != "ann c0" {
		t.Errorf("%d lines: %q", len(lines), lines)
	}
	points, err := l.Series(t.Context(), "source", begun)
	if err != nil || len(points) != 70 || points[3].Count != 4 || points[59].Count != 60 {
		t.Errorf("%d points, %v", len(points), err)
	}
	got, err := l.ReplayJob(t.Context(), running.ID)
	if err != nil || got.State != ledger.JobCancelled || got.By != "ann" || got.PerSecond != 2.5 || got.EndedAt.IsZero() {
		t.Errorf("the replay that was under way: %+v, %v", got, err)
	}
	if got, err := l.ReplayJob(t.Context(), finished.ID); err != nil || got.State == ledger.JobRunning || got.PerSecond != 4 {
		t.Errorf("the replay that had ended: %+v, %v", got, err)
	}
	sound(t, l)
}

// noise is text that does not compress well.
func noise(n int) []byte {
	b := make([]byte, n)
	x := uint32(n)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// A conversation that came again after the damage learns what the target holds, and takes newer content over.
func TestRepairMeetsNews(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "old.db")
	old := open(t, path, Options{})
	longer := hook("c2", "help")
	longer.Conversation.Messages = append(longer.Conversation.Messages, chat.Message{Role: chat.Agent, Text: "goes on"})
	longer.Conversation.Normalize()
	longer.Raw = []byte("longer")
	accept(t, old, hook("c1", "help", "crm"))
	accept(t, old, longer)
	d := claim(t, old, "help", time.Hour).Deliveries[0]
	s := ledger.Settlement{ID: d.ID, Target: "help", Revision: 1, Fence: d.Fence, State: ledger.Delivered, Tried: true}
	s.Receipt.ID = "ticket 7"
	if _, err := old.Settle(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	l := open(t, filepath.Join(t.TempDir(), "ledger.db"), Options{})
	again := hook("c1", "help")
	again.Conversation.Messages = append(again.Conversation.Messages, chat.Message{Role: chat.Agent, Text: "news"})
	again.Conversation.Normalize()
	again.Raw = []byte("news")
	accept(t, l, again)
	accept(t, l, hook("c2", "help"))
	if _, err := l.Repair(t.Context(), path, RepairOptions{}); err != nil {
		t.Fatal(err)
	}
	sound(t, l)
	for _, d := range claim(t, l, "help", time.Hour).Deliveries {
		switch {
		case d.ID == "c1" && (!d.Uncertain || d.Receipt.ID != "ticket 7" || d.Revision != 1 || len(d.Conversation.Messages) != 2):
			t.Errorf("c1: %+v, want the news with the receipt", d)
		case d.ID == "c2" && (!d.Uncertain || d.Revision != 2 || len(d.Conversation.Messages) != 2):
			t.Errorf("c2: %+v, want the longer one", d)
		}
	}
	if d := claim(t, l, "crm", time.Hour).Deliveries; len(d) != 1 || d[0].ID != "c1" || !d[0].Uncertain {
		t.Errorf("crm: %+v, want c1 in doubt", d)
	}
	if a := accept(t, l, hook("c1", "help")); a.Result != ledger.Repeated {
		t.Errorf("a hook that the damaged ledger had seen is %s", a.Result)
	}
}

// A row of a conversation that is lost is made anew from its index and its bodies; deliveries that are lost are planned.
func TestRepairWithoutRows(t *testing.T) {
	t.Parallel()
	id := chat.NewID("smartsupp", "1")
	path := filepath.Join(t.TempDir(), "old.db")
	old := open(t, path, Options{})
	accept(t, old, hook(id, "help"))
	accept(t, old, hook("short", "help"))
	roots := map[string]int64{}
	for _, name := range []string{"conversation", "delivery"} {
		var page int64
		if err := old.readers.Load().QueryRowContext(t.Context(), `SELECT rootpage FROM sqlite_schema WHERE name = ?`, name).Scan(&page); err != nil {
			t.Fatal(err)
		}
		roots[name] = page
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	change(t, path, func(b []byte) []byte {
		for _, page := range roots {
			copy(b[(page-1)*4096:], strings.Repeat("x", 4096))
		}
		return b
	})
	l := open(t, filepath.Join(t.TempDir(), "ledger.db"), Options{})
	done, err := l.Repair(t.Context(), path, RepairOptions{Plan: planBoth})
	if err != nil || done.Conversations != 1 || done.Quarantined != 1 || done.Planned != 2 || done.LostPages != 2 {
		t.Errorf("%+v, %v, want one conversation, planned twice, and one in quarantine", done, err)
	}
	if d := claim(t, l, "crm", time.Hour).Deliveries; len(d) != 1 || d[0].ID != id || !d[0].Uncertain || d[0].Conversation.Messages[0].Text != id {
		t.Errorf("crm: %+v", d)
	}
	if a := accept(t, l, hook(id, "help")); a.Result != ledger.Repeated {
		t.Errorf("the same hook again is %s", a.Result)
	}
	sound(t, l)
}

func TestRepairRefuses(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := open(t, path, Options{})
	for _, file := range []string{path, path + ".nowhere"} {
		if _, err := l.Repair(t.Context(), file, RepairOptions{}); err == nil {
			t.Errorf("%s was repaired", file)
		}
	}
}

// FuzzPages reads databases of any content.
func FuzzPages(f *testing.F) {
	path := filled(f, 10, true)
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(path + suffix)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content[:min(len(content), 40<<10)], suffix == "-wal")
	}
	f.Fuzz(func(t *testing.T, content []byte, log bool) {
		path := filepath.Join(t.TempDir(), "any.db")
		name := path
		if log {
			name += "-wal"
		}
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
		_ = inspect(path, running)
		m, err := openImage(path)
		if err != nil {
			return
		}
		defer m.files.close()
		w, err := explore(t.Context(), m, func(int, int) {})
		if err != nil {
			t.Fatal(err)
		}
		for _, number := range w.numbers() {
			for _, at := range w.conversations[number].deliveries {
				_, _ = w.delivery(at)
			}
		}
	})
}
