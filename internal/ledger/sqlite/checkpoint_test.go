// This file tests that the log is moved beside the writer, and that what is moved is whole.

package sqlite

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/afterchat/afterchat/internal/ledger"
)

// The database file grows although the log has never been as long as a commit needs it to be to move it.
func TestCheckpointer(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := open(t, path, Options{})
	size := func(suffix string) int64 {
		info, err := os.Stat(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	const grown = 1 << 19
	accepted := 0
	for ; size("") < grown; accepted++ {
		if log := size("-wal"); log >= (logPages-500)*4096 {
			t.Fatalf("the log has %d bytes after %d hooks, and nothing has moved them but a commit", log, accepted)
		}
		h := hook(fmt.Sprintf("c%d", accepted), "help")
		h.Raw = noise(4000 + accepted)
		accept(t, l, h)
	}
	if findings, err := l.Verify(t.Context()); err != nil || len(findings) > 0 {
		t.Errorf("the audit found %+v, %v", findings, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, path, Options{})
	defer func() { _ = l.Close() }()
	stats, err := l.Stats(t.Context())
	if err != nil || stats.Conversations != int64(accepted) || stats.Targets["help"].Counts != (ledger.Counts{Accepted: int64(accepted), Pending: int64(accepted)}) {
		t.Errorf("%d were accepted; %+v, %v", accepted, stats, err)
	}
}

// What is committed while the log is moved the writer moves, so that the log begins anew.
func TestLogBeginsAnew(t *testing.T) {
	t.Parallel()
	l := open(t, filepath.Join(t.TempDir(), "ledger.db"), Options{})
	l.checkpointer.close()
	stopIndexer(t, l)
	look := func() (log, moved int64) {
		log, moved, err := lookAtLog(t.Context(), l.readers.Load())
		if err != nil {
			t.Fatal(err)
		}
		return log, moved
	}
	n := 0
	more := func() {
		n++
		h := hook(fmt.Sprintf("c%d", n), "help")
		h.Raw = noise(100<<10 + n)
		accept(t, l, h)
	}
	for log := int64(0); log < checkpointPages; log, _ = look() {
		more()
	}
	reader, err := l.readers.Load().BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Rollback() }()
	if err := reader.QueryRowContext(t.Context(), `SELECT count(*) FROM conversation`).Scan(new(int)); err != nil {
		t.Fatal(err)
	}
	more() // a commit that comes meanwhile: the reader keeps it from being moved
	if err := l.checkpointer.move(t.Context()); err != nil {
		t.Fatal(err)
	}
	if log, moved := look(); moved == 0 || moved == log {
		t.Fatalf("%d of %d pages have been moved", moved, log)
	}
	if err := reader.Rollback(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		more()
		if err := l.write(t.Context(), func(*tx) error { return nil }); err != nil { // the writer is behind what it does between commits
			t.Fatal(err)
		}
	}
	if log, _ := look(); log >= checkpointPages {
		t.Errorf("the log has %d pages", log)
	}
	sound(t, l)
}
