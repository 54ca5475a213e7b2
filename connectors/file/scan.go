// This file reads what is in the file already.

package file

import (
	"bytes"
	"context"
	"errors"
	"io"
)

// chunk is how many bytes are read at once.
const chunk = 1 << 20

// isTorn tells whether the file of this size ends within a line.
func isTorn(f io.ReaderAt, size int64) (bool, error) {
	if size == 0 {
		return false, nil
	}
	var last [1]byte
	if _, err := f.ReadAt(last[:], size-1); err != nil {
		return false, err
	}
	return last[0] != '\n', nil
}

// find returns the offset of the last line that equals line byte for byte, -1 if there is none. The last line counts
// without its line feed, too. Memory is bounded by the length of line.
func find(ctx context.Context, f io.ReaderAt, line []byte) (int64, error) {
	needle := append(append([]byte{'\n'}, line...), '\n')
	// The window begins with a line feed that stands before the file, so that the first line looks like any other.
	window := append(make([]byte, 0, chunk+2*len(needle)), '\n')
	base, next, found := int64(-1), int64(0), int64(-1)
	for {
		if err := ctx.Err(); err != nil {
			return -1, err
		}
		have := len(window)
		window = window[:have+chunk]
		n, err := f.ReadAt(window[have:], next)
		window, next = window[:have+n], next+int64(n)
		end := errors.Is(err, io.EOF)
		if err != nil && !end {
			return -1, err
		}
		if i := bytes.LastIndex(window, needle); i >= 0 {
			found = base + int64(i) + 1
		}
		if end {
			if bytes.HasSuffix(window, needle[:len(needle)-1]) {
				found = base + int64(len(window)-len(needle)) + 2
			}
			return found, nil
		}
		// Keep what may be the beginning of a match.
		if keep := len(needle) - 1; len(window) > keep {
			base += int64(len(window) - keep)
			window = window[:copy(window, window[len(window)-keep:])]
		}
	}
}
