// This file holds the tests of replicas on one PostgreSQL database: they and the server are killed, and what the target
// holds is counted.

package cmd_test

import (
	"context"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/ledger/postgres"
	"github.com/afterchat/afterchat/internal/ledger/postgrestest"
)

// cluster starts a server of the test's own.
func cluster(t *testing.T, settings ...string) *postgrestest.Cluster {
	t.Helper()
	if os.Getenv(postgrestest.Variable) == "" {
		t.Skip(postgrestest.ErrNone)
	}
	c, err := postgrestest.Start(t.Context(), settings...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Remove)
	return c
}

// replica is one of the gateways that share a ledger.
type replica struct {
	path, hooks, admin string
	running            *process
}

func newReplica(t *testing.T, url, targets string) *replica {
	t.Helper()
	folder := t.TempDir()
	r := &replica{}
	r.path, r.hooks, r.admin = writeConfig(t, folder, targets)
	text, err := os.ReadFile(r.path)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), "sqlite:data/afterchat.db", "${env.LEDGER}", 1)
	if err := os.WriteFile(filepath.Join(folder, "afterchat.yaml"), []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	r.launch(t, url)
	return r
}

func (r *replica) launch(t *testing.T, url string) {
	t.Helper()
	r.running = start(t, r.path, r.hooks, r.admin, startOptions{env: []string{"LEDGER=" + url}})
}

// balance sends hooks until ctx is done as a load balancer does: to the next replica when one does not answer. It keeps
// the ids of what was answered 200.
func balance(ctx context.Context, replicas []*replica, senders int, next *atomic.Int64, acknowledged *sync.Map) {
	var work sync.WaitGroup
	for range senders {
		work.Go(func() {
			for ctx.Err() == nil {
				id := int(next.Add(1))
				body := chatHook(id) // the same for every replica
				for try := range replicas {
					r := replicas[(id+try)%len(replicas)]
					status, _ := post(ctx, "http://"+r.hooks+"/in/shop/"+e2eSecret, body)
					if status == http.StatusOK {
						acknowledged.Store(id, true)
					}
					if status != 0 {
						break
					}
				}
			}
		})
	}
	work.Wait()
}

// auditPostgres is what `afterchat ledger verify` does.
func auditPostgres(t *testing.T, url string) {
	t.Helper()
	l, err := postgres.Open(t.Context(), url, postgres.Options{})
	if err != nil {
		t.Fatal(err)
	}
	findings, err := l.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		t.Errorf("audit: %s %s", f.Target, f.Text)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// TestE2EPostgresKill kills replicas at random moments under load, and every third time the database's server, in the
// middle of outages of the target, too.
func TestE2EPostgresKill(t *testing.T) {
	binary(t)
	server := cluster(t)
	const cycles = 30
	target := newSink(t)
	target.fuzzy.Store(true)
	targets := "  desk: {type: http, url: '" + target.address + "', timeout: 1s, retry: {min: 50ms, max: 500ms}}\n"
	url := server.URL("")
	replicas := []*replica{newReplica(t, url, targets), newReplica(t, url, targets)}
	var acknowledged sync.Map
	var next atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); balance(ctx, replicas, 8, &next, &acknowledged) }()
	servers := 0
	for cycle := range cycles {
		target.down.Store(cycle%4 == 1)
		select {
		case <-time.After(time.Duration(50+rand.IntN(600)) * time.Millisecond):
		case <-t.Context().Done():
		}
		if cycle%3 == 2 {
			servers++
			server.Kill()
			if err := server.Launch(t.Context()); err != nil {
				t.Fatal(err)
			}
			continue
		}
		r := replicas[cycle%2]
		r.running.kill()
		r.launch(t, url)
	}
	target.down.Store(false)
	for _, r := range replicas {
		r.running.waitReady(t, 20*time.Second)
	}
	cancel()
	<-done
	began := time.Now()
	// What a killed replica had leased comes back at the end of its lease, 32 s later.
	n := assertDelivered(t, target, &acknowledged, 90*time.Second)
	recovered := time.Since(began)
	for _, r := range replicas {
		if code := r.running.terminate(t); code != 0 {
			t.Errorf("exit code %d\n%s", code, r.running.output())
		}
	}
	auditPostgres(t, url)
	t.Logf("%d kills of replicas, %d of the server: %d hooks sent, %d acknowledged, all delivered once, the last %s after the end",
		cycles-servers, servers, next.Load(), n, recovered.Round(time.Second))
	if n < cycles {
		t.Errorf("only %d hooks were acknowledged", n)
	}
}
