// This file reloads a hundred times while hooks come in, and counts.

package gateway

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestAHundredReloadsUnderLoad: no hook is refused, and what was accepted is delivered exactly once, while the mapping
// changes, a target comes and goes, another one changes its name, and now and then the file has a mistake.
func TestAHundredReloadsUnderLoad(t *testing.T) {
	t.Parallel()
	const reloads, senders = 100, 4
	path := filepath.Join(t.TempDir(), "afterchat.yaml")
	writeFile(t, path, loadConfig(0, true))
	target := newShelf()
	target.slow = 4 * time.Millisecond
	g := startFrom(t, path, target, nil)

	pace := make(chan struct{}, 20) // as many hooks wait for no reload
	var next, chats, revisions atomic.Int64
	var work sync.WaitGroup
	for range senders {
		work.Go(func() {
			for range pace {
				id := int(next.Add(1))
				g.hook(t, "/in/shop/SECRET", hookOf(id, 1))
				chats.Add(1)
				if id%3 == 0 {
					g.hook(t, "/in/shop/SECRET", hookOf(id, 2))
					revisions.Add(1)
				}
			}
		})
	}
	refused := 0
	for i := 1; i <= reloads; i++ {
		bad := i%10 == 0
		writeFile(t, path, loadConfig(i, !bad))
		if i%2 == 0 {
			answer := send(t, g.addresses.Admin.String(), "POST /-/reload")
			if strings.HasPrefix(answer, "422") {
				refused++
			} else if !strings.HasPrefix(answer, "200") {
				t.Errorf("reload %d: %s", i, answer)
			}
		} else if err := g.Reload(t.Context(), "test"); err != nil {
			t.Errorf("reload %d: %v", i, err)
		}
		for range rand.IntN(20) { // some reloads follow at once, most after some hooks and in the middle of others
			pace <- struct{}{}
		}
	}
	close(pace)
	work.Wait()
	if refused != reloads/10 {
		t.Errorf("%d of %d bad files were refused", refused, reloads/10)
	}
	writeFile(t, path, loadConfig(0, true)) // both targets are there
	if err := g.Reload(t.Context(), "the last one"); err != nil {
		t.Fatal(err)
	}
	g.settled(t)
	assertBalanced(t, g, target, chats.Load(), revisions.Load())
	t.Logf("%d reloads, %d of them refused: %d chats and %d revisions, none refused, all delivered once", reloads, refused, chats.Load(), revisions.Load())
}

// loadConfig is the i-th configuration.
func loadConfig(i int, good bool) string {
	names := []string{"main", "primary", "principal"}
	name := names[i/5%3]
	kind := "http"
	if !good {
		kind = "htpp"
	}
	extra := ""
	if i%4 != 1 {
		extra = "  extra: {type: http, url: \"http://extra.example\", workers: 4}\n"
	}
	routes := fmt.Sprintf("routes:\n  - {name: all, to: {%s: {body: {text: '${transcript.text}', version: %d}}}}\n", name, i)
	if extra != "" {
		routes += "  - {name: extra, to: [extra]}\n"
	}
	return fmt.Sprintf("%s%stargets:\n  %s: {was: [main, primary, principal], type: %s, url: \"http://main.example\", workers: %d, timeout: 60s}\n%s%s",
		reloadHead, shopSource, name, kind, 4+i%3, extra, routes)
}

func assertBalanced(t *testing.T, g *running, target *shelf, chats, revisions int64) {
	t.Helper()
	if err := g.ledger.Retain(t.Context(), time.Now()); err != nil { // finishes what renames have left
		t.Fatal(err)
	}
	stats, err := g.ledger.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if stats.Conversations != chats || stats.Quarantined != 0 {
		t.Errorf("the ledger has %d conversations and %d in quarantine, %d were sent", stats.Conversations, stats.Quarantined, chats)
	}
	// A revision that comes before the first one is sent takes its place.
	if c := stats.Targets["main"].Counts; c.Accepted != chats+revisions || c.Delivered+c.Superseded != c.Accepted || c.Delivered < chats {
		t.Errorf("main: %+v for %d chats and %d revisions", c, chats, revisions)
	}
	if c := stats.Targets["extra"].Counts; c.Delivered+c.Superseded != c.Accepted || c.Delivered == 0 || c.Accepted >= chats+revisions {
		t.Errorf("extra: %+v for %d chats and %d revisions", c, chats, revisions)
	}
	for name, host := range map[string]string{"main": "main.example", "extra": "extra.example"} {
		objects := map[string]bool{}
		var taken int64
		target.mu.Lock()
		for key, n := range target.requests[host] {
			parts := strings.Split(key, ":")
			if len(parts) != 4 || parts[2] != name {
				t.Errorf("the key %s at %s", key, host)
			}
			if n != 1 {
				t.Errorf("%s was delivered to %s %d times", key, host, n)
			}
			objects[parts[1]] = true
			taken += int64(n)
		}
		target.mu.Unlock()
		if delivered := stats.Targets[name].Delivered; taken != delivered {
			t.Errorf("%s has %d, %d are delivered", host, taken, delivered)
		}
		if name == "main" && int64(len(objects)) != chats {
			t.Errorf("%s has %d objects of %d chats", host, len(objects), chats)
		}
	}
	if findings, err := g.ledger.Verify(t.Context()); err != nil || len(findings) > 0 {
		t.Errorf("audit: %v %v", findings, err)
	}
	if log := g.log.String(); strings.Contains(log, "unsettled") || strings.Contains(log, "uncertain") || strings.Contains(log, "level=WARN msg=hook") {
		t.Errorf("something was lost on the way")
	}
}
