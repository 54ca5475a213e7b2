// This file sets what only Linux has.

package postgres

import (
	"time"

	"golang.org/x/sys/unix"
)

// limitSilence ends a connection when what was sent has not been acknowledged for d. A system that does not know the
// option goes by the timeouts of queries and by probes.
func limitSilence(fd uintptr, d time.Duration) {
	_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds()))
}
