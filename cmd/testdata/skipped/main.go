// Command skipped reads what `go test -json` prints, shows it as `go test` does, and ends with what was skipped and why.
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

type event struct{ Action, Package, Test, Output string }

var position = regexp.MustCompile(`^\s*[\w./-]+\.go:\d+: `)

func main() {
	output := map[[2]string][]string{}
	skipped := map[string][]string{} // reason to tests
	lines := bufio.NewReader(os.Stdin)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			take(line, output, skipped)
		}
		if err != nil {
			break
		}
	}
	if len(skipped) == 0 {
		fmt.Println("Nothing was skipped.")
		return
	}
	fmt.Println("Skipped:")
	for _, reason := range slices.Sorted(maps.Keys(skipped)) {
		tests := skipped[reason]
		more := ""
		if len(tests) > 3 {
			more = ", …"
		}
		fmt.Printf("  %3d: %s (%s%s)\n", len(tests), reason, strings.Join(tests[:min(3, len(tests))], ", "), more)
	}
}

func take(line string, output map[[2]string][]string, skipped map[string][]string) {
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
			output[of] = append(output[of], e.Output)
		}
	case "skip":
		reason := "no reason given"
		for _, text := range output[of] {
			if position.MatchString(text) {
				reason = strings.TrimSpace(position.ReplaceAllString(text, ""))
			}
		}
		if e.Test != "" {
			skipped[reason] = append(skipped[reason], e.Test)
		}
		delete(output, of)
	case "pass":
		// A race fails the tests that run when it is found; its report is under the name of any of those that run beside them.
		if text := strings.Join(output[of], ""); strings.Contains(text, "WARNING: DATA RACE") {
			fmt.Print(text)
		}
		delete(output, of)
	case "fail":
		fmt.Print(strings.Join(output[of], ""))
		delete(output, of)
	}
}
