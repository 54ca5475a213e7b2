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
