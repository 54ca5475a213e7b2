// This file cuts the power of a database, lets its disk be slow or fail, and takes the gateway's file descriptors.

package cmd_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/postgres"
	"github.com/afterchat/afterchat/internal/ledger/postgrestest"
)

// onDisk moves the files of a server to a disk of our own.
func onDisk(t *testing.T, server *postgrestest.Cluster) *disk {
	t.Helper()
	server.Kill()
	d := newDiskOver(t, server.Data())
	t.Cleanup(server.Kill) // before it is unmounted
	if err := server.Launch(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestE2EPostgresPowerCut records what a database writes and syncs while a gateway takes hooks, cuts its power at many
// moments, and looks whether what the sender had been told by then is there. The files of tables, of the log and all
// others are torn.
func TestE2EPostgresPowerCut(t *testing.T) {
	binary(t)
	const cuts = 10
	// A small log, so that there are moments of checkpoints, too.
	server := cluster(t, "max_wal_size = '32MB'", "min_wal_size = '32MB'", "checkpoint_completion_target = 0.1", "bgwriter_delay = '10ms'")
	d, target := onDisk(t, server), newSink(t)
	d.journal = true
	target.down.Store(true)
	r := newReplica(t, server.URL(""), "  desk: {type: http, url: '"+target.address+"', timeout: 1s, retry: {min: 50ms, max: 500ms}}\n")
	d.keep()
	var next atomic.Int64
	var moments sync.Map // hook to the moment of its 200
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for ctx.Err() == nil {
				id := int(next.Add(1))
				if status, _ := post(ctx, "http://"+r.hooks+"/in/shop/"+e2eSecret, chatHook(id)); status == http.StatusOK {
					moments.Store(id, d.now())
				}
			}
		})
	}
	work.Wait()
	cancel()
	r.running.kill()
	server.Kill()
	t.Log(d)
	worst, total := time.Duration(0), faultCount{}
	for range cuts {
		moment := 1 + rand.IntN(len(d.events))
		began := time.Now()
		again, err := server.Restore(t.Context(), func(folder string) error { d.cutAt(t, moment, folder); return nil })
		if err != nil {
			t.Fatalf("moment %d: %v", moment, err)
		}
		worst = max(worst, time.Since(began))
		r.url = again.URL("")
		r.audit(t)
		stored := storedChats(t, r.url)
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
		again.Remove()
	}
	total.tell(t, postgresEngine, fmt.Sprintf("power cut of the database at %d moments (delivered: stored)", cuts), worst)
}

// storedChats returns the ids of the chats that are in a ledger.
func storedChats(t *testing.T, url string) map[string]bool {
	t.Helper()
	l, err := postgres.Open(t.Context(), url, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	stored := map[string]bool{}
	for p := (ledger.Page{Limit: 1000}); ; {
		listed, err := l.Conversations(t.Context(), ledger.Filter{}, p)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range listed.Items {
			stored[c.ExternalID] = true
		}
		if p.After = listed.Next; p.After == "" {
			return stored
		}
	}
}
