// This file tests ledgers that were restored from a copy: what may have been sent since is in doubt.

package sqlite

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

// end settles a lease.
func end(t testing.TB, l *Ledger, d ledger.Delivery, state ledger.State) {
	t.Helper()
	_, err := l.Settle(t.Context(), ledger.Settlement{ID: d.ID, Target: d.Target, Revision: d.Revision, Fence: d.Fence, State: state, Tried: true, DueAt: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
}

// certain settles all that is due at help as delivered, and returns which of it was in doubt.
func certain(t testing.TB, l *Ledger) map[string]bool {
	t.Helper()
	doubts := map[string]bool{}
	for _, d := range claim(t, l, "help", time.Hour).Deliveries {
		doubts[d.ID] = d.Uncertain
		end(t, l, d, ledger.Delivered)
	}
	return doubts
}

// wantDoubts compares them.
func wantDoubts(t testing.TB, what string, got, want map[string]bool) {
	t.Helper()
	for id, doubt := range want {
		if is, ok := got[id]; !ok || is != doubt {
			t.Errorf("%s: %s is due: %v, in doubt: %v; want it in doubt: %v", what, id, ok, is, doubt)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// restorable makes a ledger with something pending, dead, delivered and superseded, and returns its path.
func restorable(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := open(t, path, Options{})
	accept(t, l, hook("delivered", "help"))
	end(t, l, claim(t, l, "help", time.Hour).Deliveries[0], ledger.Delivered)
	accept(t, l, hook("dead", "help"))
	end(t, l, claim(t, l, "help", time.Hour).Deliveries[0], ledger.Dead)
	accept(t, l, hook("pending", "help"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// A backup that is put in the place of the ledger begins in doubt by itself, once.
func TestRestoredBackup(t *testing.T) {
	t.Parallel()
	path := restorable(t)
	backup := filepath.Join(t.TempDir(), "backup.db")
	if err := Backup(t.Context(), path, backup); err != nil {
		t.Fatal(err)
	}
	l := open(t, path, Options{})
	wantDoubts(t, "the ledger itself", certain(t, l), map[string]bool{"pending": false})
	accept(t, l, hook("after", "help"))
	wantDoubts(t, "the ledger itself", certain(t, l), map[string]bool{"after": false})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}

	copyFile(t, backup, path)
	l = open(t, path, Options{})
	if err := l.Replay(t.Context(), "dead", "help"); err != nil {
		t.Fatal(err)
	}
	accept(t, l, hook("after", "help")) // its hook comes once more: the target has it
	later := hook("later", "help")
	later.Conversation.Messages[0].At = time.Now().Add(time.Minute)
	later.Conversation.StartedAt, later.Conversation.EndedAt = later.Conversation.Messages[0].At, later.Conversation.Messages[0].At
	accept(t, l, later)
	wantDoubts(t, "restored", certain(t, l), map[string]bool{"pending": true, "dead": true, "after": true, "later": false})
	log, err := l.AuditLog(t.Context(), ledger.Page{})
	if err != nil || len(log.Items) != 1 || log.Items[0].Action != "restored" || !strings.Contains(log.Items[0].Detail, "2 pending and dead") {
		t.Errorf("the audit log has %+v (%v)", log.Items, err)
	}
	accept(t, l, hook("known", "help"))
	end(t, l, claim(t, l, "help", time.Hour).Deliveries[0], ledger.Delivered)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, path, Options{})
	accept(t, again, hook("earlier", "help"))
	wantDoubts(t, "opened again", certain(t, again), map[string]bool{"earlier": true})
	sound(t, again)
}

// Any other copy is in doubt when somebody says so, and only while nobody has it open.
func TestRestoredSaid(t *testing.T) {
	t.Parallel()
	path := restorable(t)
	l := open(t, path, Options{})
	if _, err := Restored(t.Context(), path); !errors.Is(err, ledger.ErrLocked) {
		t.Fatalf("while it is open: %v, want ErrLocked", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // it may be said again
		if n, err := Restored(t.Context(), path); err != nil || n != 2 {
			t.Fatalf("%d in doubt (%v), want 2", n, err)
		}
	}
	l = open(t, path, Options{})
	wantDoubts(t, "restored", certain(t, l), map[string]bool{"pending": true})
	sound(t, l)
	if _, err := Restored(t.Context(), filepath.Join(t.TempDir(), "none.db")); err == nil {
		t.Error("no ledger is no error")
	}
}

// What an audit tells beside faults: where the ledger came from, and that it has gone.
func TestRemarks(t *testing.T) {
	t.Parallel()
	path := restorable(t)
	remarks := func(path string, want ...string) {
		t.Helper()
		got, err := Remarks(t.Context(), path)
		if err != nil || len(got) != len(want) {
			t.Fatalf("%q (%v), want %q", got, err, want)
		}
		for i, part := range want {
			if !strings.Contains(got[i], part) {
				t.Errorf("%q, want %q in it", got[i], part)
			}
		}
	}
	remarks(path)
	backup := filepath.Join(t.TempDir(), "backup.db")
	if err := Backup(t.Context(), path, backup); err != nil {
		t.Fatal(err)
	}
	remarks(path)
	remarks(backup, "it is a backup of")
	leaving, err := Leave(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := leaving.Move(t.Context()); err != nil {
		t.Fatal(err)
	}
	leaving.Close()
	remarks(path, "it was moved to another database on")
	if _, err := Restored(t.Context(), path); !errors.Is(err, ledger.ErrMoved) {
		t.Errorf("a ledger that was moved: %v, want ErrMoved", err)
	}
	if back, err := Return(t.Context(), path); err != nil || !back {
		t.Fatalf("%v, %v", back, err)
	}
	remarks(path, "it was restored on")
	l := open(t, path, Options{})
	wantDoubts(t, "taken back", certain(t, l), map[string]bool{"pending": true})
}

// What was accepted and sent after a backup comes back out of the ledger in whose place it was put.
func TestRestoredAndRepaired(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := open(t, path, Options{})
	accept(t, l, hook("before", "help"))
	backup := filepath.Join(t.TempDir(), "backup.db")
	if err := Backup(t.Context(), path, backup); err != nil {
		t.Fatal(err)
	}
	accept(t, l, hook("sent", "help"))
	for _, d := range claim(t, l, "help", time.Hour).Deliveries {
		s := ledger.Settlement{ID: d.ID, Target: "help", Revision: 1, Fence: d.Fence, State: ledger.Delivered, Tried: true}
		s.Receipt.ID = "ticket of " + d.ID
		if _, err := l.Settle(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	accept(t, l, hook("waits", "help"))
	for _, suffix := range []string{"", "-wal"} { // as it is when the process is killed
		copyFile(t, path+suffix, path+".old"+suffix)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	copyFile(t, backup, path)
	l = open(t, path, Options{})
	if _, err := l.Repair(t.Context(), path+".old", RepairOptions{}); err != nil {
		t.Fatal(err)
	}
	due := claim(t, l, "help", time.Hour).Deliveries
	got := map[string]string{}
	for _, d := range due {
		if got[d.ID] = d.Receipt.ID; !d.Uncertain {
			t.Errorf("%s is not in doubt", d.ID)
		}
	}
	if len(got) != 2 || got["before"] != "ticket of before" || got["waits"] != "" {
		t.Errorf("due with their receipts: %q, want what was sent after the backup to have its receipt", got)
	}
	rows, err := l.Deliveries(t.Context(), ledger.Filter{IDs: []string{"sent"}}, ledger.Page{})
	if err != nil || len(rows.Items) != 1 || rows.Items[0].State != ledger.Delivered || rows.Items[0].Receipt.ID != "ticket of sent" {
		t.Errorf("what was accepted and sent after the backup: %+v, %v", rows.Items, err)
	}
	sound(t, l)
}

// The log of the ledger before, left beside a backup that takes its place, is not played into it.
func TestRestoredBesideAnotherLog(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := open(t, path, Options{})
	for i := range 30 {
		accept(t, l, hook(fmt.Sprint("early", i), "help"))
	}
	backup := filepath.Join(t.TempDir(), "backup.db")
	if err := Backup(t.Context(), path, backup); err != nil {
		t.Fatal(err)
	}
	l.checkpointer.close() // the log has them all
	for i := range 200 {
		accept(t, l, hook(fmt.Sprint("late", i), "help"))
	}
	crashed := filepath.Join(t.TempDir(), "ledger.db")
	for _, suffix := range []string{"-wal", ".lock"} { // as they are when the process is killed
		copyFile(t, path+suffix, crashed+suffix)
	}
	copyFile(t, backup, crashed)
	if _, err := Verify(t.Context(), crashed); err == nil || !strings.Contains(err.Error(), "not of this file") {
		t.Errorf("the audit: %v", err)
	}
	restored := open(t, crashed, Options{})
	if files, err := SetAside(crashed); err != nil || len(files) > 0 {
		t.Fatalf("set aside: %q, %v", files, err)
	}
	s, err := restored.Stats(t.Context())
	if err != nil || s.Conversations != 30 {
		t.Fatalf("%d conversations, %v; want the 30 of the backup", s.Conversations, err)
	}
	sound(t, restored)
	logs, err := filepath.Glob(crashed + ".before-restore-*-wal")
	if err != nil || len(logs) != 1 {
		t.Errorf("the log of the ledger before: %q, %v", logs, err)
	}
}
