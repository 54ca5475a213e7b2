// This file opens, locks and reopens the file.

package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// errNotRegular is a folder, device or pipe where the file should be.
var errNotRegular = errors.New("is not a regular file")

// lockPoll is how often a lock that another process holds is tried again.
const lockPoll = 5 * time.Millisecond

// locked returns the file that the path leads to now, locked against other processes. A file that was moved away
// (log rotation) is closed and a new one is made.
func (t *target) locked(ctx context.Context) (*os.File, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := t.reopen(); err != nil {
			return nil, err
		}
		if err := lock(ctx, t.handle); err != nil {
			return nil, err
		}
		// It may have been moved between opening and locking.
		if t.current() {
			return t.handle, nil
		}
		if err := unlock(t.handle); err != nil {
			return nil, err
		}
	}
}

// current tells whether the open file is the one that the path leads to.
func (t *target) current() bool {
	if t.handle == nil {
		return false
	}
	have, err := t.handle.Stat()
	if err != nil {
		return false
	}
	want, err := os.Stat(t.path)
	return err == nil && os.SameFile(have, want)
}

func (t *target) reopen() error {
	if t.current() {
		return nil
	}
	if t.handle != nil {
		err := t.handle.Close()
		t.handle = nil
		if err != nil {
			return err
		}
	}
	info, err := os.Stat(t.path)
	created := errors.Is(err, fs.ErrNotExist)
	if err != nil && !created {
		return err
	}
	if err == nil && !info.Mode().IsRegular() {
		return errNotRegular
	}
	f, err := os.OpenFile(t.path, os.O_RDWR|os.O_APPEND|os.O_CREATE, t.mode)
	if err != nil {
		return err
	}
	if created && t.sync {
		if err := syncFolder(filepath.Dir(t.path)); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	t.handle = f
	return nil
}

// lock waits for the lock until ctx is done.
func lock(ctx context.Context, f *os.File) error {
	for {
		held, err := tryLock(f)
		if held || err != nil {
			return err
		}
		timer := time.NewTimer(lockPoll)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("another process holds the lock of %s: %w", f.Name(), ctx.Err())
		}
	}
}
