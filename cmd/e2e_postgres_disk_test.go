// This file holds the tests of a database whose disk is full or whose files are damaged, and of a gateway that has no file
// descriptors for it.

package cmd_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestE2EPostgresFull fills the disk of the database, log included, and makes room again: hooks are refused meanwhile,
// and the gateway goes on by itself when the database does.
func TestE2EPostgresFull(t *testing.T) {
	binary(t)
	disk, err := os.MkdirTemp("", "afterchat-disk-") //nolint:usetesting // the server's user cannot enter the test's folder
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(disk) })
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=160m,mode=1777"); err != nil {
		t.Skipf("no small disk can be mounted here, so a full one is not tested: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	t.Setenv("TMPDIR", disk)
	server := cluster(t, "max_wal_size = '32MB'", "min_wal_size = '32MB'")
	t.Setenv("TMPDIR", "")
	target := newSink(t)
	url := server.URL("")
	r := newReplica(t, url, "  desk: {type: http, url: '"+target.address+"', timeout: 1s, retry: {min: 50ms, max: 500ms}}\n")
	hooks := "http://" + r.hooks + "/in/shop/" + e2eSecret
	var acknowledged sync.Map
	var next atomic.Int64
	some := func(d time.Duration) {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		load(ctx, hooks, 4, &next, &acknowledged)
	}
	some(time.Second)
	ballast := filepath.Join(disk, "ballast")
	file, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = file.Write(make([]byte, 200<<20)) // as much as fits
	_ = file.Close()
	refusedWith503(t, hooks, &next, &acknowledged)
	r.running.waitStatus(t, http.StatusServiceUnavailable, 30*time.Second)
	some(time.Second)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	ended := !server.Running() // then somebody starts it again, as a service manager does
	if ended {
		if err := server.Launch(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	r.running.waitStatus(t, http.StatusOK, 30*time.Second)
	recovered := time.Since(began)
	some(300 * time.Millisecond)
	c := target.count(&acknowledged, 60*time.Second)
	if code := r.running.terminate(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, r.running.output())
	}
	r.audit(t)
	t.Logf("the server had ended: %v", ended)
	c.tell(t, postgresEngine, "disk of the database full, space made", recovered)
}

// TestE2EPostgresDescriptors takes all file descriptors of a gateway by idle connections: those to the database are
// descriptors, too.
func TestE2EPostgresDescriptors(t *testing.T) {
	binary(t)
	server, target := cluster(t), newSink(t)
	r := newReplica(t, server.URL(""), "  desk: {type: http, url: '"+target.address+"', timeout: 1s, retry: {min: 50ms, max: 500ms}}\n")
	r.running.terminate(t)
	withDebugLog(t, r.path)
	r.shell = fewDescriptors
	r.launch(t)
	var acknowledged sync.Map
	var next atomic.Int64
	recovered := r.running.starve(t, &next, &acknowledged)
	c := target.count(&acknowledged, 60*time.Second)
	if code := r.running.terminate(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, r.running.output())
	}
	r.audit(t)
	c.tell(t, postgresEngine, "out of file descriptors", recovered)
}

// TestE2EPostgresDamage damages a page of a table under a gateway that has much to deliver. The files are the server's:
// its checksums find the damage, and its backups or a standby bring the page back. Until then the audit fails and says
// why, hooks are answered with 200 or 503, and nothing is given up.
func TestE2EPostgresDamage(t *testing.T) {
	binary(t)
	server, target := cluster(t), newSink(t)
	again := func(change func() error) {
		t.Helper()
		for _, do := range []func() error{
			func() error { return server.Stop(t.Context()) }, change, func() error { return server.Launch(t.Context()) },
		} {
			if err := do(); err != nil {
				t.Fatal(err)
			}
		}
	}
	again(func() error { return server.Checksums(t.Context()) })
	target.down.Store(true)
	r := newReplica(t, server.URL(""), "  desk: {type: http, url: '"+target.address+"', timeout: 1s, retry: {min: 50ms, max: 500ms}}\n")
	url := "http://" + r.hooks + "/in/shop/" + e2eSecret
	var acknowledged sync.Map
	var next atomic.Int64
	some := func(d time.Duration) int {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		return patiently(ctx, t, url, 4, &next, &acknowledged)
	}
	some(time.Second)
	name, err := server.Ask(t.Context(), "SELECT pg_relation_filepath('afterchat.delivery')")
	if err != nil {
		t.Fatal(err)
	}
	flip := func() error {
		file, err := os.OpenFile(filepath.Join(server.Data(), name), os.O_RDWR, 0)
		if err != nil {
			return err
		}
		const at = 2*8192 + 4000 // the third page, full of rows
		bit := make([]byte, 1)
		_, err = file.ReadAt(bit, at)
		bit[0] ^= 4
		if err == nil {
			_, err = file.WriteAt(bit, at)
		}
		return errors.Join(err, file.Close())
	}
	again(flip)
	target.down.Store(false)
	refused := some(2 * time.Second)
	out, err := commandIn(t, []string{"LEDGER=" + r.url}, r.path, "ledger", "verify")
	if err == nil || !strings.Contains(out, "invalid page in block 2") {
		t.Errorf("the audit of a damaged database: %v\n%s", err, out)
	}
	again(flip)
	began := time.Now()
	r.running.waitStatus(t, http.StatusOK, 30*time.Second)
	recovered := time.Since(began)
	r.running.waitDrained(t, 60*time.Second)
	c := target.count(&acknowledged, 0)
	if dead := gauge(t, r.admin, `afterchat_dead{target="desk"}`); dead != "0" {
		t.Errorf("%s deliveries were given up", dead)
	}
	if code := r.running.terminate(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, r.running.output())
	}
	r.audit(t)
	t.Logf("%d hooks were refused with 503 while a page was damaged", refused)
	c.tell(t, postgresEngine, "damage: one bit of a table, which the server's checksums find, and its page brought back", recovered)
}
