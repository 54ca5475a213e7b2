// This file gives back the pages of the program itself that only its start has used.

package cmd

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// forgetProgram takes what is mapped of the program's file out of this process's memory. What is still used comes back
// from the system's cache page by page. Failures cost memory and nothing else.
func forgetProgram() {
	program, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer func() { _ = maps.Close() }()
	for _, s := range unchanged(maps, program) {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, s.from, s.to-s.from, unix.MADV_DONTNEED)
	}
}

// span is a range of addresses.
type span struct{ from, to uintptr }

// unchanged returns the mappings of a file that are as they are in the file and cannot be written to. Others hold what is
// nowhere else, such as the relocations of a program that may lie anywhere.
func unchanged(smaps io.Reader, file string) (spans []span) {
	var at span
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		// 00400000-01a2b000 r-xp 00000000 08:01 1234   /usr/bin/afterchat
		// Size: 22700 kB, and so on, Anonymous: 0 kB
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) > 5 && len(fields[1]) == 4:
			at = span{}
			if strings.Join(fields[5:], " ") == file && !strings.Contains(fields[1], "w") {
				_, _ = fmt.Sscanf(fields[0], "%x-%x", &at.from, &at.to)
			}
		case len(fields) == 5 && len(fields[1]) == 4: // of no file
			at = span{}
		case at.to > at.from && len(fields) == 3 && fields[0] == "Anonymous:" && fields[1] == "0":
			spans = append(spans, at)
		}
	}
	return spans
}
