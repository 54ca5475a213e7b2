// This file keeps a second process away from a ledger: a lock file beside it, held for as long as it is open. The
// system lets go of it when the process dies, however it dies, so a stale one needs no cleaning. What it says tells the
// next start which files have to be there.

package sqlite

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

// mark is what the last holder left in the lock file, apart from its process id.
type mark string

const (
	unmarked mark = ""        // there has never been a ledger
	running  mark = "running" // the holder runs, or was killed
	closing  mark = "closing" // the holder has begun to move the log into the file, or has ended
)

// write marks the file with the state of this process. It is synced, so that no power cut leaves an older mark beside
// files that have gone on since.
func (m mark) write(f *os.File) error {
	text := fmt.Sprintf("%d %s\n", os.Getpid(), m)
	if err := f.Truncate(0); err != nil {
		return err
	}
	if _, err := f.WriteAt([]byte(text), 0); err != nil {
		return err
	}
	return f.Sync()
}

// A lock that somebody holds is tried again for a moment: a process that was killed just now, or a copy of this one that
// is about to become another program, lets go of it by itself.
const (
	lockTries = 10
	lockGap   = 10 * time.Millisecond
)

// lock takes the lock file at path, and returns the mark that is in it, or ledger.ErrLocked with the holder's process id.
func lock(path string) (_ *os.File, left mark, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, unmarked, err
	}
	locked := tryLock(f)
	for n := 0; n < lockTries && errors.Is(locked, ledger.ErrLocked); n++ {
		<-time.After(lockGap)
		locked = tryLock(f)
	}
	text, _ := io.ReadAll(io.LimitReader(f, 64))
	process, rest, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	if locked == nil {
		return f, mark(rest), nil
	}
	_ = f.Close()
	if !errors.Is(locked, ledger.ErrLocked) {
		return nil, unmarked, fmt.Errorf("lock %s: %w", path, locked)
	}
	if pid, bad := strconv.Atoi(process); bad == nil {
		return nil, unmarked, fmt.Errorf("%w: process %d holds %s; stop it, or use the API of the running gateway", ledger.ErrLocked, pid, path)
	}
	return nil, unmarked, fmt.Errorf("%w: %s is held; stop the other process, or use the API of the running gateway", ledger.ErrLocked, path)
}

// unlock lets go. The file stays: removing it would let two processes lock two files of one name.
func unlock(f *os.File) error { return f.Close() }
