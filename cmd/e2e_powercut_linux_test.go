// This file cuts the power of a gateway on SQLite.

package cmd_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/sqlite"
)

// diskConfig writes a configuration whose ledger is on the disk.
func diskConfig(t *testing.T, d *disk, target *sink) (path, hooks, admin string) {
	t.Helper()
	path, hooks, admin = writeConfig(t, t.TempDir(), "  desk: {type: http, url: '"+target.address+"', retry: {min: 50ms, max: 500ms}}\n")
	replaceIn(t, path, "sqlite:data/afterchat.db", "sqlite:"+filepath.Join(d.folder, "afterchat.db"))
	return path, hooks, admin
}

// TestE2EPowerCut records what a gateway writes and syncs, cuts the power at many moments, and looks whether what the
// sender had been told by then is there. The gateway is killed and started again in between, so that there are moments
// of recovery, too.
func TestE2EPowerCut(t *testing.T) {
	binary(t)
	const cuts = 150
	d, target := newDisk(t), newSink(t)
	d.keep()
	target.down.Store(true)
	path, hooks, admin := diskConfig(t, d, target)
	var next atomic.Int64
	var moments sync.Map // hook to the moment of its 200
	for range 3 {
		p := start(t, path, hooks, admin, startOptions{})
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		var work sync.WaitGroup
		for range 4 {
			work.Go(func() {
				for ctx.Err() == nil {
					id := int(next.Add(1))
					if status, _ := post(ctx, "http://"+hooks+"/in/shop/"+e2eSecret, chatHook(id)); status == http.StatusOK {
						moments.Store(id, d.now())
					}
				}
			})
		}
		wait(t, 1500*time.Millisecond)
		p.kill()
		cancel()
		work.Wait()
	}
	d.record = false
	t.Log(d)
	worst, total, ledgerAt := time.Duration(0), faultCount{}, filepath.Join(d.folder, "afterchat.db")
	for range cuts {
		moment := 1 + rand.IntN(len(d.events))
		folder := t.TempDir()
		d.cutAt(t, moment, folder)
		began := time.Now()
		stored := startAgain(t, folder, moment)
		replaceIn(t, path, ledgerAt, filepath.Join(folder, "afterchat.db"))
		ledgerAt = filepath.Join(folder, "afterchat.db")
		audited(t, path)
		worst = max(worst, time.Since(began))
		moments.Range(func(id, at any) bool {
			if at.(int) <= moment {
				total.acknowledged++
				if !stored[fmt.Sprint(id)] {
					total.lost++
				}
			}
			return true
		})
		total.delivered += len(stored)
	}
	total.tell(t, sqliteEngine, fmt.Sprintf("power cut at %d moments (delivered: stored)", cuts), worst)
}

// startAgain opens the ledger in folder and returns the chats that are stored.
func startAgain(t *testing.T, folder string, moment int) map[string]bool {
	t.Helper()
	path := filepath.Join(folder, "afterchat.db")
	l, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err != nil {
		t.Fatalf("moment %d: %v", moment, err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Errorf("moment %d: %v", moment, err)
		}
	}()
	if aside, err := sqlite.SetAside(path); err != nil || len(aside) > 0 {
		t.Errorf("moment %d: a power cut was taken for damage: %q, %v", moment, aside, err)
	}
	if err := l.Ready(t.Context()); err != nil {
		t.Errorf("moment %d: %v", moment, err)
	}
	stored := map[string]bool{}
	for more := true; more; {
		c, err := l.Claim(t.Context(), ledger.Claim{Target: "desk", Limit: 1000, Lease: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		for _, delivery := range c.Deliveries {
			stored[delivery.Conversation.ExternalID] = true
		}
		more = len(c.Deliveries) > 0
	}
	return stored
}
