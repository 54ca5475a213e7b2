// This file asks whether files can be made in a folder, without making one.

//go:build unix

package cmd

import "golang.org/x/sys/unix"

// writable returns why this process can make no files in folder.
func writable(folder string) error {
	return unix.Faccessat(unix.AT_FDCWD, folder, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
}
