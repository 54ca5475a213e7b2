// This file lets the disk of a ledger be slow, read-only, full or broken, under load, and well again: hooks are answered
// all the while, with 200 or 503, and nothing that was acknowledged is lost.

package cmd_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// diskFault is something that a disk does.
type diskFault struct {
	name    string
	failing syscall.Errno
	delay   time.Duration
	size    int64
	ready   int // what /readyz says meanwhile; 0: one or the other
}

var diskFaults = []diskFault{
	{"read-only", syscall.EROFS, 0, 1 << 30, http.StatusServiceUnavailable},
	{"I/O errors", syscall.EIO, 0, 1 << 30, http.StatusServiceUnavailable},
	{"no space", 0, 0, 1, http.StatusServiceUnavailable},
	{"20 ms per sync", 0, 20 * time.Millisecond, 1 << 30, http.StatusOK},
	{"3 s per sync", 0, 3 * time.Second, 1 << 30, 0},
	{"15 s per sync", 0, 15 * time.Second, 1 << 30, http.StatusServiceUnavailable},
}

// endure lets the disk under the ledger of a running gateway fail under load, and be well again. mend is what somebody
// does then until the gateway is ready; nil: nothing.
func (fault diskFault) endure(t *testing.T, d *disk, p *process, target *sink, mend func() error) (faultCount, time.Duration) {
	t.Helper()
	url := "http://" + p.hooks + "/in/shop/" + e2eSecret
	var acknowledged sync.Map
	var next atomic.Int64
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	load(ctx, url, 4, &next, &acknowledged)
	cancel()
	d.set(fault.failing, fault.delay, fault.size)
	if fault.ready != 0 {
		p.waitStatus(t, fault.ready, 15*time.Second)
	}
	asked := time.Now()
	if status, body := answerOf(t, "http://"+p.admin+"/readyz"); time.Since(asked) > 8*time.Second || status != http.StatusOK && status != http.StatusServiceUnavailable {
		t.Errorf("/readyz answers %d %s after %s", status, body, time.Since(asked))
	}
	lasts := time.Second
	if fault.ready == 0 { // some are taken
		lasts = 3 * fault.delay
	}
	ctx, cancel = context.WithTimeout(t.Context(), lasts)
	refused := patiently(ctx, t, url, 4, &next, &acknowledged)
	cancel()
	if refused == 0 && fault.ready == http.StatusServiceUnavailable {
		t.Error("no hook was refused while nothing could be stored")
	}
	if refused > 0 && fault.ready == http.StatusOK {
		t.Errorf("%d hooks were refused", refused)
	}
	d.set(0, 0, 1<<30)
	began := time.Now()
	if mend != nil {
		eventually(t, 60*time.Second, mend)
	}
	p.waitStatus(t, http.StatusOK, 30*time.Second)
	recovered := time.Since(began)
	ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
	load(ctx, url, 4, &next, &acknowledged)
	cancel()
	c := target.count(&acknowledged, 60*time.Second)
	if strings.Contains(p.output(), "panic") {
		t.Error(p.output())
	}
	t.Logf("%d hooks were refused with 503 while it lasted", refused)
	return c, recovered
}

// TestE2EDiskFaults lets the disk of a file of SQLite fail in every way.
func TestE2EDiskFaults(t *testing.T) {
	binary(t)
	for _, fault := range diskFaults {
		t.Run(fault.name, func(t *testing.T) {
			d, target := newDisk(t), newSink(t)
			path, hooks, admin := diskConfig(t, d, target)
			p := start(t, path, hooks, admin, startOptions{})
			c, recovered := fault.endure(t, d, p, target, nil)
			audited(t, path)
			if code := p.terminate(t); code != 0 {
				t.Errorf("exit code %d\n%s", code, p.output())
			}
			audited(t, path)
			c.tell(t, sqliteEngine, "disk: "+fault.name, recovered)
		})
	}
}

// TestE2EPostgresDiskFaults lets the disk of a database fail in every way but for a full one, see TestE2EPostgresFull. A
// server whose log cannot be written ends; somebody starts it again, as a service manager does.
func TestE2EPostgresDiskFaults(t *testing.T) {
	binary(t)
	server := cluster(t)
	d := onDisk(t, server)
	for _, fault := range diskFaults {
		if fault.size == 1 {
			continue
		}
		t.Run(fault.name, func(t *testing.T) {
			target := newSink(t)
			r := newReplica(t, server.URL("search_path="+strings.Map(letters, "d"+fault.name)), "  desk: {type: http, url: '"+target.address+"', timeout: 1s, retry: {min: 50ms, max: 500ms}}\n")
			c, recovered := fault.endure(t, d, r.running, target, func() error {
				if !server.Running() {
					return server.Launch(t.Context())
				}
				return server.Reachable(t.Context())
			})
			r.audit(t)
			if code := r.running.terminate(t); code != 0 {
				t.Errorf("exit code %d\n%s", code, r.running.output())
			}
			r.audit(t)
			c.tell(t, postgresEngine, "disk of the database: "+fault.name, recovered)
		})
	}
}

// letters leaves what a name of a schema may have.
func letters(c rune) rune {
	if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
		return c
	}
	return -1
}
