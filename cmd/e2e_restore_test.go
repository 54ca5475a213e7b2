// This file restores a backup under the built binary: the target remembers no keys but can be asked, and has one ticket
// of each conversation in the end, whatever was sent after the backup.

package cmd_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/ledger/postgrestest"
)

// askedDesk makes a ticket of every request, and can be asked for those of a conversation.
type askedDesk struct {
	down atomic.Bool

	mu      sync.Mutex
	tickets map[string]int // by external_id of the chat
	names   map[string]string
	asked   int
}

func (d *askedDesk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if d.down.Load() {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.Method == http.MethodGet {
		d.asked++
		found := []map[string]string{}
		if id := r.URL.Query().Get("key"); d.tickets[d.names[id]] > 0 {
			found = append(found, map[string]string{"id": id})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"results": found})
		return
	}
	var ticket struct{ Key, Chat string }
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err := json.Unmarshal(body, &ticket); err != nil || ticket.Chat == "" {
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	d.tickets[ticket.Chat]++
	d.names[ticket.Key] = ticket.Chat
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(map[string]string{"id": ticket.Key})
}

// count counts the acknowledged conversations without a ticket, and the tickets that are too many.
func (d *askedDesk) count(acknowledged *sync.Map) (c faultCount) {
	d.mu.Lock()
	defer d.mu.Unlock()
	acknowledged.Range(func(id, _ any) bool {
		c.acknowledged++
		if d.tickets[fmt.Sprint(id)] == 0 {
			c.lost++
		}
		return true
	})
	for _, n := range d.tickets {
		c.delivered += n
		c.doubled += n - 1
	}
	return c
}

// lookups is how often it was asked.
func (d *askedDesk) lookups() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked
}

// newAskedDesk starts one and returns the targets and routes that send to it.
func newAskedDesk(t *testing.T) (*askedDesk, string) {
	t.Helper()
	d := &askedDesk{tickets: map[string]int{}, names: map[string]string{}}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: d, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return d, `  desk:
    type: http
    url: 'http://` + listener.Addr().String() + `'
    once: lookup
    lookup: {items: /results, id: /id}
    receipt: {id: /id}
    retry: {min: 50ms, max: 500ms}
    timeout: 1s
    workers: 16
routes:
  - name: everything
    to:
      desk:
        path: /tickets
        body: {key: '${id}', chat: '${external_id}'}
        lookup: {path: /tickets, query: {key: '${id}'}}
`
}

// A backup made in an outage of the target, with hooks and deliveries going on after it, is restored after a kill; then
// what came after it is taken out of the ledger in whose place it came, and some of its hooks come once more.
func TestE2ERestore(t *testing.T) {
	binary(t)
	folder := t.TempDir()
	desk, targets := newAskedDesk(t)
	path, hooks, admin := writeConfig(t, folder, targets)
	url := "http://" + hooks + "/in/shop/" + e2eSecret
	var acknowledged sync.Map
	var next atomic.Int64
	send := func(d time.Duration) {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		load(ctx, url, 4, &next, &acknowledged)
	}
	p := start(t, path, hooks, admin, startOptions{})
	send(300 * time.Millisecond)
	desk.down.Store(true)
	send(200 * time.Millisecond)
	backup := filepath.Join(folder, "backup.db")
	if out, err := command(t, path, "ledger", "backup", backup); err != nil {
		t.Fatalf("backup: %v\n%s", err, out)
	}
	desk.down.Store(false)
	begun := int(next.Load()) + 1
	send(300 * time.Millisecond)
	p.waitDrained(t, 60*time.Second)
	p.kill()

	file := filepath.Join(folder, "data", "afterchat.db")
	for _, suffix := range []string{"", "-wal"} {
		if err := os.Rename(file+suffix, file+".old"+suffix); err != nil {
			t.Fatal(err)
		}
	}
	for _, suffix := range []string{"-shm", ".lock"} {
		if err := os.Remove(file + suffix); err != nil {
			t.Fatal(err)
		}
	}
	content, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	before, restored := desk.lookups(), time.Now()
	p = start(t, path, hooks, admin, startOptions{})
	recovered := time.Since(restored)
	for id := begun; id < begun+20; id++ { // chats that the backup does not know and the target has
		if status, text := post(t.Context(), url, chatHook(id)); status != http.StatusOK {
			t.Fatalf("a hook once more: %d %s", status, text)
		}
	}
	p.waitDrained(t, 60*time.Second)
	if out, err := command(t, path, "ledger", "repair", file+".old"); err != nil || !strings.Contains(out, "conversations recovered") {
		t.Fatalf("repair: %v\n%s", err, out)
	}
	p.waitDrained(t, 60*time.Second)
	desk.count(&acknowledged).tell(t, sqliteEngine, "killed, a backup restored, what came after it repaired into it", recovered)
	if asked := desk.lookups() - before; asked < 20 {
		t.Errorf("the target was asked %d times after the restore", asked)
	}
	p.terminate(t)
	if out, err := command(t, path, "ledger", "verify"); err != nil || !strings.Contains(out, "remark: it was restored on") || !strings.Contains(out, "the books balance") {
		t.Errorf("the audit: %v\n%s", err, out)
	}
}

// A dump of a PostgreSQL ledger, made in an outage of the target, is restored into another database after a kill.
func TestE2EPostgresRestore(t *testing.T) {
	binary(t)
	server := cluster(t)
	programs := os.Getenv(postgrestest.Variable)
	desk, targets := newAskedDesk(t)
	r := newReplica(t, server.URL(""), targets)
	url := "http://" + r.hooks + "/in/shop/" + e2eSecret
	var acknowledged sync.Map
	var next atomic.Int64
	send := func(d time.Duration) {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		defer cancel()
		load(ctx, url, 4, &next, &acknowledged)
	}
	send(300 * time.Millisecond)
	desk.down.Store(true)
	send(200 * time.Millisecond)
	dump := filepath.Join(t.TempDir(), "ledger.dump")
	out, err := commandIn(t, []string{"LEDGER=" + r.url, "PATH=" + programs}, r.path, "ledger", "backup", dump)
	if err != nil || !strings.Contains(out, "is a dump of the ledger, which is sound") {
		t.Fatalf("backup: %v\n%s", err, out)
	}
	desk.down.Store(false)
	begun := int(next.Load()) + 1
	send(300 * time.Millisecond)
	r.running.waitDrained(t, 60*time.Second)
	r.running.kill()

	for _, c := range [][]string{
		{"createdb", "--maintenance-db=" + server.URL(""), "restored"},
		{"pg_restore", "--exit-on-error", "--no-owner", "--dbname=" + strings.Replace(server.URL(""), "/postgres?", "/restored?", 1), dump},
	} {
		if out, err := exec.CommandContext(t.Context(), filepath.Join(programs, c[0]), c[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", c[0], err, out)
		}
	}
	r.url = strings.Replace(r.url, "/postgres?", "/restored?", 1)
	before, restored := desk.lookups(), time.Now()
	r.launch(t)
	recovered := time.Since(restored)
	for id := begun; id < begun+20; id++ { // chats that the dump does not know and the target has
		if status, text := post(t.Context(), url, chatHook(id)); status != http.StatusOK {
			t.Fatalf("a hook once more: %d %s", status, text)
		}
	}
	r.running.waitDrained(t, 60*time.Second)
	desk.count(&acknowledged).tell(t, postgresEngine, "killed, a dump restored into another database", recovered)
	if asked := desk.lookups() - before; asked < 20 {
		t.Errorf("the target was asked %d times after the restore", asked)
	}
	r.running.terminate(t)
	out, err = commandIn(t, []string{"LEDGER=" + r.url}, r.path, "ledger", "verify")
	if err != nil || !strings.Contains(out, "remark: it was restored on") || !strings.Contains(out, "the books balance") {
		t.Errorf("the audit: %v\n%s", err, out)
	}
}
