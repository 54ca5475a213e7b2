// This file takes the lock where there is flock.

//go:build !windows

package sqlite

import (
	"errors"
	"os"
	"syscall"

	"github.com/afterchat/afterchat/internal/ledger"
)

func tryLock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ledger.ErrLocked
	}
	return err
}
