// This file kills a process that replays, again and again, and looks whether each delivery had its turn once.

package sqlite

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

// jobVar names the ledger in which a copy of the test binary replays until it is killed.
const jobVar = "AFTERCHAT_TEST_KILLED_JOB"

// TestReplayingChild is no test but the process that TestKilledReplay kills.
func TestReplayingChild(t *testing.T) {
	path := os.Getenv(jobVar)
	if path == "" {
		t.Skip("runs as a child of TestKilledReplay only")
	}
	ctx := context.Background()
	l, err := Open(ctx, path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := l.ReplayJobs(ctx, ledger.Page{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	for j := jobs.Items[0]; j.State == ledger.JobRunning; {
		if j, err = l.StepReplay(ctx, j.ID, 3); err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintln(os.Stdout, "done", j.Done)
	}
	<-ctx.Done() // until it is killed
}

// However often the process dies, a job replays each delivery once and counts it once.
func TestKilledReplay(t *testing.T) {
	t.Parallel()
	const n = 600
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := open(t, path, Options{})
	for i := range n {
		accept(t, l, hook(fmt.Sprint("c", i), "help"))
	}
	for {
		c := claim(t, l, "help", time.Hour)
		if len(c.Deliveries) == 0 {
			break
		}
		for _, d := range c.Deliveries {
			if _, err := l.Settle(t.Context(), ledger.Settlement{ID: d.ID, Target: d.Target, Revision: d.Revision, Fence: d.Fence, State: ledger.Dead, Tried: true}); err != nil {
				t.Fatal(err)
			}
		}
	}
	j, err := l.CreateReplay(t.Context(), ledger.ReplayJob{})
	if err != nil || j.Total != n {
		t.Fatalf("job %+v, %v", j, err)
	}
	for kills := 0; j.State == ledger.JobRunning; kills++ {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		killReplay(t, path, 1+rand.IntN(40))
		l = open(t, path, Options{})
		sound(t, l)
		if j, err = l.ReplayJob(t.Context(), j.ID); err != nil {
			t.Fatal(err)
		}
		pending, err := l.Count(t.Context(), ledger.Filter{States: []ledger.State{ledger.Pending}}, 0)
		if err != nil || pending != j.Done {
			t.Fatalf("after %d kills %d are counted as done, %d are pending, %v", kills, j.Done, pending, err)
		}
	}
	if j.State != ledger.JobDone || j.Done != n || j.Skipped != 0 {
		t.Errorf("at the end: %+v", j)
	}
}

// killReplay starts a child and kills it after it has said so many lines, or all.
func killReplay(t *testing.T, path string, lines int) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestReplayingChild$")
	child.Env = append(os.Environ(), jobVar+"="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	for range lines {
		var done int
		if _, err := fmt.Fscanf(out, "done %d\n", &done); err != nil || done >= 600 {
			break
		}
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := child.Wait(); err == nil {
		t.Fatal("the child ended by itself")
	}
}
