// This file keeps a second process away from a ledger: a lock file beside it, held for as long as it is open. The
// system lets go of it when the process dies, however it dies, so a stale one needs no cleaning.

package sqlite

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/afterchat/afterchat/internal/ledger"
)

// lock takes the lock file at path or returns ledger.ErrLocked with the holder's process id.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := tryLock(f); err != nil {
		holder, _ := io.ReadAll(io.LimitReader(f, 32))
		_ = f.Close()
		if !errors.Is(err, ledger.ErrLocked) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if pid, bad := strconv.Atoi(strings.TrimSpace(string(holder))); bad == nil {
			return nil, fmt.Errorf("%w: process %d holds %s; stop it, or use the API of the running gateway", ledger.ErrLocked, pid, path)
		}
		return nil, fmt.Errorf("%w: %s is held; stop the other process, or use the API of the running gateway", ledger.ErrLocked, path)
	}
	// The process id is a hint for people; the lock holds without it.
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	return f, nil
}

// unlock lets go. The file stays: removing it would let two processes lock two files of one name.
func unlock(f *os.File) error {
	_ = f.Truncate(0)
	return f.Close()
}
