// This file takes the lock on Windows: of a byte far behind the process id, which others may so still read.

package sqlite

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"

	"github.com/afterchat/afterchat/internal/ledger"
)

func tryLock(f *os.File) error {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, &windows.Overlapped{Offset: 1 << 20})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return ledger.ErrLocked
	}
	return err
}
