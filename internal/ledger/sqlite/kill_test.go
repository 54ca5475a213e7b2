// This file kills a process that writes, again and again, and looks whether what it had acknowledged is there.

package sqlite

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

// childVar names the ledger that a copy of the test binary writes to until it is killed.
const childVar = "AFTERCHAT_TEST_KILLED_LEDGER"

// TestKilledChild is no test but the process that TestKill kills.
func TestKilledChild(t *testing.T) {
	path := os.Getenv(childVar)
	if path == "" {
		t.Skip("runs as a child of TestKill only")
	}
	l, err := Open(context.Background(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	run := rand.Uint64()
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("c%x-%d-%d", run, worker, i)
				if _, err := l.Accept(context.Background(), hook(id, "help")); err != nil {
					t.Error(err)
					return
				}
				_, _ = os.Stdout.WriteString("accepted " + id + "\n")
			}
		})
	}
	all.Go(func() {
		for {
			c, err := l.Claim(context.Background(), ledger.Claim{Target: "help", Limit: 3, Lease: time.Hour})
			if err != nil {
				t.Error(err)
				return
			}
			for _, d := range c.Deliveries {
				_, _ = os.Stdout.WriteString("claimed " + d.ID + "\n")
				s := ledger.Settlement{ID: d.ID, Target: d.Target, Revision: d.Revision, Fence: d.Fence, State: ledger.Delivered, Tried: true}
				if _, err := l.Settle(context.Background(), s); err != nil {
					t.Error(err)
					return
				}
				_, _ = os.Stdout.WriteString("settled " + d.ID + "\n")
			}
		}
	})
	all.Wait()
}

// Killed at any moment, the ledger holds what it acknowledged: hooks, leases and ends of deliveries.
func TestKill(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	said := map[string]map[string]bool{"accepted": {}, "claimed": {}, "settled": {}}
	for cycle := range 6 {
		killAfter(t, path, 20+rand.IntN(200), said)
		l := open(t, path, Options{})
		sound(t, l)
		for id := range said["accepted"] {
			if _, err := l.Conversation(t.Context(), id); err != nil {
				t.Errorf("cycle %d: acknowledged, then lost: %v", cycle, err)
			}
		}
		checkDue(t, l, said)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if len(said["accepted"]) < 6 || len(said["settled"]) == 0 {
		t.Fatalf("the children did too little: %d accepted, %d settled", len(said["accepted"]), len(said["settled"]))
	}
}

// checkDue claims all that is due and puts it back.
func checkDue(t *testing.T, l *Ledger, said map[string]map[string]bool) {
	t.Helper()
	c, err := l.Claim(t.Context(), ledger.Claim{Target: "help", Limit: 1 << 20, Lease: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range append(c.Deliveries, c.Crashed...) {
		if said["settled"][d.ID] {
			t.Errorf("%s was settled and is due again", d.ID)
		}
		if said["claimed"][d.ID] && !d.Uncertain {
			t.Errorf("%s was claimed when the process died and is not in doubt", d.ID)
		}
	}
	for _, d := range c.Deliveries {
		_, err := l.Settle(t.Context(), ledger.Settlement{ID: d.ID, Target: d.Target, Revision: d.Revision, Fence: d.Fence, DueAt: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// killAfter starts a child, kills it after it has said so many lines, and notes all that it said.
func killAfter(t *testing.T, path string, lines int, said map[string]map[string]bool) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilledChild$")
	child.Env = append(os.Environ(), childVar+"="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	read := bufio.NewReader(out)
	for n := 0; ; n++ {
		line, err := read.ReadString('\n')
		if err != nil {
			break // what it said before it died has been read
		}
		if verb, id, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " "); ok && said[verb] != nil {
			said[verb][id] = true
		}
		if n == lines {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := child.Wait(); err == nil {
		t.Fatal("the child ended by itself")
	}
}
