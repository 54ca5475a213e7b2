// This file damages ledgers, in every way that disks and people do, and looks whether the next start notices, takes
// hooks, and what can be recovered.

package sqlite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/ledger"
)

// filled makes a ledger with n conversations for two targets and returns its path. Every third delivery to help is
// delivered, every fifth is dead. killed leaves its files as a killed process does.
func filled(t testing.TB, n int, killed bool) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := open(t, path, Options{})
	l.checkpointer.close() // of one that is killed the log has everything
	if err := l.SaveConfig(t.Context(), "accepted-under", []byte("routes")); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		h := hook(fmt.Sprintf("c%04d", i), "help", "crm")
		h.Conversation.ReceivedAt = time.Now()
		h.Raw = []byte(strings.Repeat(fmt.Sprint("body ", i, rand.Uint64()), 1+rand.IntN(400)))
		accept(t, l, h)
	}
	for i, d := range claim(t, l, "help", time.Hour).Deliveries {
		s := ledger.Settlement{ID: d.ID, Target: "help", Revision: 1, Fence: d.Fence, DueAt: time.Now(), Tried: true}
		switch {
		case i%3 == 0:
			s.State, s.Receipt = ledger.Delivered, connectors.Receipt{ID: "ticket of " + d.ID}
		case i%5 == 0:
			s.State = ledger.Dead
		}
		s.Attempt = &ledger.Attempt{At: time.Now(), Number: 1, Kind: "ok"}
		if _, err := l.Settle(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	if !killed {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return path
	}
	stopIndexer(t, l) // the files are copied one after the other
	copied := filepath.Join(t.TempDir(), "ledger.db")
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		copyFile(t, path+suffix, copied+suffix)
	}
	return copied
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// change rewrites a file.
func change(t testing.TB, path string, f func([]byte) []byte) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, f(content), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func remove(t testing.TB, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// half cuts a file in the middle.
func half(b []byte) []byte { return b[:len(b)/2] }

// flip changes one bit.
func flip(at int) func([]byte) []byte {
	return func(b []byte) []byte { b[at] ^= 4; return b }
}

// damages are what happens to the files of a ledger while nobody has it open.
var damages = []struct {
	name   string
	killed bool // it was not closed before
	damage func(t testing.TB, path string)
}{
	{"database truncated", false, func(t testing.TB, path string) { change(t, path, half) }},
	{"database empty", false, func(t testing.TB, path string) { change(t, path, func([]byte) []byte { return nil }) }},
	{"database missing", false, remove},
	{"database missing, killed", true, remove},
	{"database is text", false, func(t testing.TB, path string) {
		change(t, path, func(b []byte) []byte { return bytes.Repeat([]byte("text "), len(b)/5) })
	}},
	{"header flipped", false, func(t testing.TB, path string) { change(t, path, flip(3)) }},
	{"page size flipped", false, func(t testing.TB, path string) { change(t, path, flip(17)) }},
	{"schema overwritten", false, func(t testing.TB, path string) {
		change(t, path, func(b []byte) []byte { copy(b[100:4096], bytes.Repeat([]byte{0xff}, 3996)); return b })
	}},
	{"pages overwritten", false, func(t testing.TB, path string) {
		change(t, path, func(b []byte) []byte {
			for page := 5; page < len(b)/4096; page += 7 {
				copy(b[page*4096:], bytes.Repeat([]byte("damage"), 600))
			}
			return b
		})
	}},
	{"log missing", true, func(t testing.TB, path string) { remove(t, path+"-wal") }},
	{"log and its index missing", true, func(t testing.TB, path string) { remove(t, path+"-wal"); remove(t, path+"-shm") }},
	{"log empty", true, func(t testing.TB, path string) { change(t, path+"-wal", func([]byte) []byte { return nil }) }},
	{"log truncated", true, func(t testing.TB, path string) { change(t, path+"-wal", half) }},
	{"log flipped", true, func(t testing.TB, path string) {
		change(t, path+"-wal", func(b []byte) []byte { return flip(len(b) / 2)(b) })
	}},
	{"log flipped, index missing", true, func(t testing.TB, path string) {
		change(t, path+"-wal", func(b []byte) []byte { return flip(len(b) / 2)(b) })
		remove(t, path+"-shm")
	}},
	{"log header flipped", true, func(t testing.TB, path string) { change(t, path+"-wal", flip(18)) }},
}

// Whatever was done to the files: the next start notices, puts them aside, says so, and takes hooks, in doubt until
// they are repaired.
func TestSetAside(t *testing.T) {
	t.Parallel()
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			path := filled(t, 60, d.killed)
			d.damage(t, path)
			var log bytes.Buffer
			l := open(t, path, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "afterchat ledger repair") {
				t.Errorf("the log does not tell:\n%s", log.String())
			}
			files, err := SetAside(path)
			if err != nil || len(files) != 1 {
				t.Fatalf("set aside: %q, %v", files, err)
			}
			if s, err := l.Stats(t.Context()); err != nil || s.SetAside != 1 {
				t.Errorf("%d set aside in the gauges, %v", s.SetAside, err)
			}
			if err := l.Ready(t.Context()); err != nil {
				t.Error(err)
			}
			accept(t, l, hook("new", "help"))
			c := claim(t, l, "help", time.Hour)
			if len(c.Deliveries) != 1 || !c.Deliveries[0].Uncertain {
				t.Fatalf("claimed %+v, want one in doubt", c.Deliveries)
			}
			sound(t, l)
		})
	}
}

// What is no damage is not taken for it: a kill, a torn end of the log, an index that a power cut took, a backup in the
// place of the file.
func TestNotSetAside(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(t testing.TB) string{
		"closed": func(t testing.TB) string { return filled(t, 40, false) },
		"killed": func(t testing.TB) string { return filled(t, 40, true) },
		"index missing": func(t testing.TB) string {
			path := filled(t, 40, true)
			remove(t, path+"-shm")
			return path
		},
		"audited after a kill": func(t testing.TB) string {
			path := filled(t, 40, true)
			if findings, err := Verify(t.Context(), path); err != nil || len(findings) != 0 {
				t.Errorf("the audit found %+v, %v", findings, err)
			}
			return path
		},
		"truncated, but all of it in the log": func(t testing.TB) string {
			path := filled(t, 40, true)
			change(t, path, half)
			return path
		},
		"torn end": func(t testing.TB) string {
			path := filled(t, 40, true)
			change(t, path+"-wal", func(b []byte) []byte { return append(b, bytes.Repeat([]byte{7}, 3000)...) })
			return path
		},
		"torn last transaction": func(t testing.TB) string {
			path := filled(t, 40, true)
			remove(t, path+"-shm")
			change(t, path+"-wal", func(b []byte) []byte { b[len(b)-100]++; return b })
			return path
		},
		"backup in its place": func(t testing.TB) string {
			path := filled(t, 40, true)
			backup := filepath.Join(t.TempDir(), "backup.db")
			if err := Backup(t.Context(), path, backup); err != nil {
				t.Fatal(err)
			}
			path = filled(t, 10, true)
			copyFile(t, backup, path)
			remove(t, path+"-wal")
			remove(t, path+"-shm")
			return path
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := prepare(t)
			l := open(t, path, Options{})
			if files, err := SetAside(path); err != nil || len(files) != 0 {
				t.Fatalf("set aside: %q, %v", files, err)
			}
			sound(t, l)
			if s, err := l.Stats(t.Context()); err != nil || s.Conversations != 40 {
				t.Fatalf("%d conversations, %v", s.Conversations, err)
			}
		})
	}
}

// A ledger that is damaged while it is open is replaced, once a minute at most: the hook at hand is stored in the fresh
// one, with the configuration that the gateway had put in.
func TestDamagedWhileOpen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := open(t, path, Options{})
	if err := l.SaveConfig(t.Context(), "today", []byte("routes")); err != nil {
		t.Fatal(err)
	}
	accept(t, l, hook("old", "help"))
	damage := func() error {
		return l.write(t.Context(), func(*tx) error { return &damageError{"a page is malformed"} })
	}
	// The operation that met the damage meets it again in the fresh one here, which is a failure of that one alone.
	if err := damage(); !isDamage(err) {
		t.Fatalf("%v, want damage", err)
	}
	accept(t, l, hook("new", "help"))
	if _, err := l.Conversation(t.Context(), "old"); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("%v, want a fresh ledger", err)
	}
	if snapshot, err := l.Config(t.Context(), "today"); err != nil || string(snapshot) != "routes" {
		t.Errorf("%q, %v, want the configuration", snapshot, err)
	}
	if err := damage(); !errors.Is(err, errDamagedAgain) && !isDamage(err) {
		t.Errorf("%v, want a refusal", err)
	}
	if files, err := SetAside(path); err != nil || len(files) != 1 {
		t.Fatalf("set aside: %q, %v", files, err)
	}
	// A reader that met damage in the ledger of before changes nothing.
	l.suspect(&damageError{"long ago"}, l.generation.Load()-1)
	if files, err := SetAside(path); err != nil || len(files) != 1 {
		t.Fatalf("set aside: %q, %v", files, err)
	}
	accept(t, l, hook("more", "help"))
	sound(t, l)
}

// One bit anywhere: the ledger opens, takes a hook, and never hangs or dies of it.
func TestAnyBit(t *testing.T) {
	t.Parallel()
	closed, killed := filled(t, 30, false), filled(t, 30, true)
	for range 30 {
		from, suffix := closed, ""
		if rand.IntN(2) == 0 {
			from, suffix = killed, []string{"", "-wal", "-shm"}[rand.IntN(3)]
		}
		path := filepath.Join(t.TempDir(), "ledger.db")
		for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
			if _, err := os.Stat(from + suffix); err == nil {
				copyFile(t, from+suffix, path+suffix)
			}
		}
		at := 0
		change(t, path+suffix, func(b []byte) []byte {
			if at = rand.IntN(len(b)); suffix == "" && at >= 60 && at < 64 {
				at = 64 // the version: a newer one is refused, whoever wrote it
			}
			b[at] ^= 1 << rand.IntN(8)
			return b
		})
		l, err := Open(t.Context(), path, Options{})
		if err != nil {
			t.Fatalf("byte %d of ledger.db%s: %v", at, suffix, err)
		}
		if _, err := l.Accept(context.Background(), hook("new", "help")); err != nil {
			t.Errorf("byte %d of ledger.db%s: %v", at, suffix, err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestWrongSchemaText: a bit in the text of a table is damage, though every page is well-formed.
func TestWrongSchemaText(t *testing.T) {
	t.Parallel()
	path := filled(t, 3, false)
	change(t, path, func(b []byte) []byte {
		wrong := bytes.ReplaceAll(b, []byte("received_at  INTEGER"), []byte("receivee_at  INTEGER"))
		if bytes.Equal(b, wrong) {
			t.Fatal("the schema has no such column")
		}
		return wrong
	})
	l, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Accept(context.Background(), hook("new", "help")); err != nil {
		t.Error(err)
	}
	if l.aside.Load() != 1 {
		t.Error("the damaged ledger is not set aside")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
