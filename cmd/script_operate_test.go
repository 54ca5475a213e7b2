// This file holds the commands of scripts that wait for what a gateway does, and read ids from what it says.

package cmd_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// waitFor runs `waitfor 'ARGUMENTS OF afterchat' LINES`: until so many lines are printed.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitfor 'ARGUMENTS' LINES")
	}
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	program, err := exec.LookPath("afterchat")
	if err != nil {
		program = ts.Getenv("PATH")
		program = strings.Split(program, string(os.PathListSeparator))[0] + "/afterchat"
	}
	deadline := time.Now().Add(time.Minute)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := ts.Exec(program, strings.Fields(args[0])...)
		got := strings.Count(ts.ReadFile("stdout"), "\n")
		if err == nil && got == want {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("afterchat %s: %v, %d lines, want %d", args[0], err, got, want)
		}
		<-ticker.C
	}
}

// conversationID runs `conversation NAME`: NAME becomes the id of the conversation in the JSON lines of the command
// before.
func conversationID(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: conversation NAME")
	}
	var d struct{ Conversation string }
	ts.Check(json.NewDecoder(strings.NewReader(ts.ReadFile("stdout"))).Decode(&d))
	ts.Setenv(args[0], d.Conversation)
}
