// This file says what a failure means for the record and for the target.

package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/afterchat/afterchat/connectors"
)

// classify wraps err. What only an operator can change denies the target; a full disk passes.
func (t *target) classify(err error, uncertain bool) error {
	e := &connectors.Error{Kind: connectors.Temporary, Uncertain: uncertain, Err: fmt.Errorf("file %s: %w", t.path, err)}
	if path, ok := errors.AsType[*fs.PathError](err); ok && path.Path == t.path {
		e.Err = fmt.Errorf("file %s: %s: %w", t.path, path.Op, path.Err) // do not name it twice
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		e.Err = fmt.Errorf("file %s: gave up waiting: %w", t.path, err)
		e.Hint = "another writer is slow or holds the file's lock"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		e.Hint = "the disk or the quota is full; free some space"
	case errors.Is(err, errNotRegular), errors.Is(err, syscall.EISDIR):
		e.Kind, e.Hint = connectors.Denied, "path must name a file, not a folder, device or pipe"
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		e.Kind, e.Hint = connectors.Denied, fmt.Sprintf("the folder %s must exist; create it for the user that afterchat runs as", filepath.Dir(t.path))
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		e.Kind, e.Hint = connectors.Denied, fmt.Sprintf("user %d needs the right to write this file and, to create it, its folder", os.Getuid())
	case errors.Is(err, syscall.EFBIG):
		e.Kind, e.Hint = connectors.Denied, "the file is as large as is allowed; rotate it"
	}
	return e
}
