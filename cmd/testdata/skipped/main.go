// Command skipped reads what `go test -json` prints, shows it as `go test` does, and ends with what was skipped and why,
// and with what failed once more: of a long log the end is what people read, and what is kept.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

// repeated is how many lines of a failure stand at the end again, of its beginning and of its end.
const repeated = 25

type event struct{ Action, Package, Test, Output string }

var position = regexp.MustCompile(`^\s*[\w./-]+\.go:\d+: `)

// report is what has been read so far.
type report struct {
	output  map[[2]string][]string // of what has not ended, by package and test
	skipped map[string][]string    // reason to tests
	failed  []string               // as it is shown
}

func main() {
	r := report{output: map[[2]string][]string{}, skipped: map[string][]string{}}
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			r.take(line)
		}
		if err != nil {
			break
		}
	}
	r.end()
}

func (r *report) end() {
	if len(r.skipped) == 0 {
		fmt.Println("Nothing was skipped.")
	} else {
		fmt.Println("Skipped:")
	}
	for _, reason := range slices.Sorted(maps.Keys(r.skipped)) {
		tests := r.skipped[reason]
		more := ""
		if len(tests) > 3 {
			more = ", …"
		}
		fmt.Printf("  %3d: %s (%s%s)\n", len(tests), reason, strings.Join(tests[:min(3, len(tests))], ", "), more)
	}
	if len(r.failed) > 0 {
		fmt.Printf("Failed:\n%s", strings.Join(r.failed, ""))
	}
}

func (r *report) take(line string) {
	var e event
	if err := json.Unmarshal([]byte(line), &e); err != nil {
		fmt.Print(line)
		return
	}
	of := [2]string{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		fmt.Print(e.Output)
	case "output":
		if e.Test == "" && (strings.HasPrefix(e.Output, "ok ") || strings.HasPrefix(e.Output, "?")) {
			fmt.Print(e.Output)
		} else {
			r.output[of] = append(r.output[of], e.Output)
		}
	case "skip":
		reason := "no reason given"
		for _, text := range r.output[of] {
			if position.MatchString(text) {
				reason = strings.TrimSpace(position.ReplaceAllString(text, ""))
			}
		}
		if e.Test != "" {
			r.skipped[reason] = append(r.skipped[reason], e.Test)
		}
		delete(r.output, of)
	case "pass":
		// A race fails the tests that run when it is found; its report is under the name of any of those that run beside them.
		if text := strings.Join(r.output[of], ""); strings.Contains(text, "WARNING: DATA RACE") {
			fmt.Print(text)
			r.fail(e, r.output[of])
		}
		delete(r.output, of)
	case "fail":
		if e.Test == "" {
			r.crash(e)
		}
		fmt.Print(strings.Join(r.output[of], ""))
		r.fail(e, r.output[of])
		delete(r.output, of)
	}
}

// crash shows what the tests of a package have said that had no end: the process ended before them, and one of them has why.
func (r *report) crash(e event) {
	for of, lines := range r.output {
		said := slices.ContainsFunc(lines, func(line string) bool { return !strings.HasPrefix(line, "=== ") })
		if of[0] == e.Package && of[1] != "" && said {
			fmt.Print(strings.Join(lines, ""))
			r.fail(event{Package: of[0], Test: of[1]}, lines)
		}
	}
}

// fail keeps a failure for the end.
func (r *report) fail(e event, lines []string) {
	if cut := len(lines) - 2*repeated; cut > 0 {
		lines = slices.Concat(lines[:repeated], []string{fmt.Sprintf("    … %d lines, see above\n", cut)}, lines[len(lines)-repeated:])
	}
	r.failed = append(r.failed, fmt.Sprintf("== %s %s\n%s", e.Package, e.Test, strings.Join(lines, "")))
}
