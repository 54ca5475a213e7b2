// This file replays ten thousand dead deliveries with the built binary, by command line alone, while whoever watches leaves
// and the gateway is killed in the middle.

package cmd_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// afterchat runs a command of the built binary and returns what it prints.
func afterchat(t *testing.T, config string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), binary(t), append(args, "--config", config)...)
	command.Env = append(command.Environ(), "SHOP_SECRET="+e2eSecret)
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("afterchat %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestE2EReplay(t *testing.T) {
	binary(t)
	const chats = 10_000
	target := newSink(t)
	var refuse atomic.Bool
	refuse.Store(true)
	desk := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refuse.Load() {
			w.WriteHeader(http.StatusUnprocessableEntity)
			return
		}
		target.ServeHTTP(w, r)
	}))
	t.Cleanup(desk.Close)
	config, hooks, admin := writeConfig(t, t.TempDir(), "  desk: {type: http, url: '"+desk.URL+"', workers: 16}\n")
	gateway := start(t, config, hooks, admin, startOptions{})

	var acknowledged sync.Map
	var next atomic.Int64
	var senders sync.WaitGroup
	for range 32 {
		senders.Go(func() {
			for id := int(next.Add(1)); id <= chats; id = int(next.Add(1)) {
				if status, answer := post(t.Context(), "http://"+hooks+"/in/shop/"+e2eSecret, chatHook(id)); status != http.StatusOK {
					t.Errorf("hook %d: %d %s", id, status, answer)
				}
				acknowledged.Store(id, true)
			}
		})
	}
	senders.Wait()
	selected := func() string {
		line, _, _ := strings.Cut(afterchat(t, config, "replay", "--target", "desk", "--dry-run"), "\n")
		return line
	}
	eventually(t, 2*time.Minute, func() error {
		if line := selected(); line != fmt.Sprintf("%d dead deliveries are selected by target:desk state:dead", chats) {
			return fmt.Errorf("%s", line)
		}
		return nil
	})
	refuse.Store(false)

	// Whoever watches leaves: the job goes on.
	watching := exec.CommandContext(t.Context(), binary(t), "replay", "--target", "desk", "--rate", "0", "--yes", "--config", config)
	watching.Env = append(watching.Environ(), "SHOP_SECRET="+e2eSecret)
	var said bytes.Buffer
	watching.Stderr, watching.Stdout = &said, io.Discard
	began := time.Now()
	if err := watching.Start(); err != nil {
		t.Fatal(err)
	}
	held := func(n int) {
		t.Helper()
		eventually(t, time.Minute, func() error {
			if got := len(target.externalIDs()); got < n {
				return fmt.Errorf("%d of %d", got, n)
			}
			return nil
		})
	}
	held(chats / 10)
	if err := watching.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := watching.Wait(); err != nil || !strings.Contains(said.String(), "goes on; cancel it with: afterchat replay cancel ") {
		t.Errorf("the interrupted command: %v\n%s", err, said.String())
	}

	// The gateway is killed twice: the job goes on.
	for _, share := range []int{3, 6} {
		held(chats * share / 10)
		gateway.kill()
		gateway = start(t, config, hooks, admin, startOptions{})
	}
	if n := assertDelivered(t, target, &acknowledged, 2*time.Minute); n != chats {
		t.Errorf("%d conversations, want %d", n, chats)
	}
	eventually(t, time.Minute, func() error {
		if list := afterchat(t, config, "replay", "list"); strings.Count(list, "\n") != 2 || !strings.Contains(list, fmt.Sprintf("done   %d  0        %d", chats, chats)) {
			return fmt.Errorf("%s", list)
		}
		return nil
	})
	if line := selected(); !strings.HasPrefix(line, "Nothing to replay") {
		t.Error(line)
	}
	t.Logf("%d dead deliveries replayed in %s, with two kills and one interrupt", chats, time.Since(began).Round(time.Second))
}
