// This file tests from within what a healthy disk does not show.

package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"github.com/afterchat/afterchat/connectors"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	c := &target{path: "/var/out.jsonl"}
	tests := []struct {
		err  error
		kind connectors.Kind
	}{
		{syscall.ENOSPC, connectors.Temporary},
		{syscall.EDQUOT, connectors.Temporary},
		{syscall.EIO, connectors.Temporary},
		{context.DeadlineExceeded, connectors.Temporary},
		{syscall.EACCES, connectors.Denied},
		{syscall.EPERM, connectors.Denied},
		{syscall.EROFS, connectors.Denied},
		{syscall.ENOENT, connectors.Denied},
		{syscall.ENOTDIR, connectors.Denied},
		{syscall.EISDIR, connectors.Denied},
		{syscall.EFBIG, connectors.Denied},
	}
	for _, tt := range tests {
		for _, uncertain := range []bool{false, true} {
			err := c.classify(fmt.Errorf("wrapped: %w", &fs.PathError{Op: "write", Path: c.path, Err: tt.err}), uncertain)
			e := connectors.Classify(err)
			if e.Kind != tt.kind || e.Uncertain != uncertain || !errors.Is(err, tt.err) {
				t.Errorf("%v: %+v, want %v", tt.err, e, tt.kind)
			}
			if e.Hint == "" && !errors.Is(tt.err, syscall.EIO) {
				t.Errorf("%v: no hint", tt.err)
			}
		}
	}
}

// FuzzFind compares the search with one that splits the whole file into lines.
func FuzzFind(f *testing.F) {
	f.Add([]byte("a\nb\nc"), []byte("b"))
	f.Add([]byte("\n\n"), []byte(""))
	f.Add([]byte("b"), []byte("b"))
	f.Fuzz(func(t *testing.T, content, line []byte) {
		if bytes.ContainsRune(line, '\n') || len(line) == 0 {
			return // JSON is neither
		}
		want, offset := int64(-1), int64(0)
		for _, each := range bytes.SplitAfter(content, []byte("\n")) {
			if bytes.Equal(bytes.TrimSuffix(each, []byte("\n")), line) {
				want = offset
			}
			offset += int64(len(each))
		}
		got, err := find(t.Context(), bytes.NewReader(content), line)
		if err != nil || got != want {
			t.Errorf("find(%q, %q) = %d, %v; want %d", content, line, got, err, want)
		}
	})
}
