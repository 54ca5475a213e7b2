// This file asks how much room the disk has left.

//go:build linux || darwin || freebsd

package sqlite

import "golang.org/x/sys/unix"

// freeSpace returns the bytes that an unprivileged process may still write to the file system of folder.
func freeSpace(folder string) (free uint64, known bool) {
	var stat unix.Statfs_t
	if err := unix.Statfs(folder, &stat); err != nil {
		return 0, false
	}
	return uint64(stat.Bavail) * uint64(stat.Bsize), true
}
