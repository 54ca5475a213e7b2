// This file tests which pages of the program may go.

package cmd

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestUnchanged(t *testing.T) {
	t.Parallel()
	const smaps = `00400000-01a00000 r-xp 00000000 08:01 12 /opt/chat gate/afterchat
Size:              22528 kB
Rss:                9000 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me
01a00000-02a00000 r--p 01600000 08:01 12 /opt/chat gate/afterchat
Anonymous:             8 kB
02a00000-02b00000 rw-p 02600000 08:01 12 /opt/chat gate/afterchat
Anonymous:             0 kB
02b00000-02c00000 r--p 00000000 00:00 0
Anonymous:             0 kB
7f0000000000-7f0000001000 r-xp 00000000 08:01 13 /lib/other.so
Anonymous:             0 kB
7f0000001000-7f0000002000 r--p 00001000 08:01 12 /opt/chat gate/afterchat
Anonymous:             0 kB
`
	got := unchanged(strings.NewReader(smaps), "/opt/chat gate/afterchat")
	if want := []span{{0x400000, 0x1a00000}, {0x7f0000001000, 0x7f0000002000}}; !slices.Equal(got, want) {
		t.Errorf("%x, want %x", got, want)
	}
}

// TestForgetProgram forgets this program and goes on.
func TestForgetProgram(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/smaps"); err != nil {
		t.Skipf("the kernel does not tell what is mapped: %v", err)
	}
	forgetProgram()
}
