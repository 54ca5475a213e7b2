// This file holds the tests of the built binary: it is started as users start it, killed as power cuts kill it, and
// what its targets hold is counted. `make e2e` builds it and names it in AFTERCHAT_E2E.

package cmd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const e2eSecret = "an-unguessable-secret-of-the-shop"

// binary returns the program under test.
func binary(t testing.TB) string {
	t.Helper()
	path := os.Getenv("AFTERCHAT_E2E")
	if path == "" {
		t.Skip("AFTERCHAT_E2E does not name a built binary; make e2e does that")
	}
	return path
}

// sink is a target that honors the idempotency key and can be out of order.
type sink struct {
	*http.Server
	address string
	down    atomic.Bool
	fuzzy   atomic.Bool // takes the request and answers 500 every third time

	mu       sync.Mutex
	objects  map[string]map[string]any // by idempotency key
	requests int
	twice    map[string]int // keys that came more than once with other bytes
	bodies   map[string]string
}

func newSink(t testing.TB) *sink {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{address: "http://" + listener.Addr().String(), objects: map[string]map[string]any{}, twice: map[string]int{}, bodies: map[string]string{}}
	s.Server = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.Serve(listener) }()
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.down.Load() {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<20))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	key := r.Header.Get("Idempotency-Key")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if earlier, known := s.bodies[key]; known && earlier != string(body) {
		s.twice[key]++
	}
	s.bodies[key] = string(body)
	var object map[string]any
	if err := json.Unmarshal(body, &object); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.objects[key] = object
	if s.fuzzy.Load() && s.requests%3 == 0 {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusCreated)
	_, _ = fmt.Fprintf(w, `{"id":%q}`, key)
}

// externalIDs counts the objects by external_id and revision.
func (s *sink) externalIDs() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := map[string]int{}
	for _, o := range s.objects {
		ids[fmt.Sprintf("%v/%v", o["external_id"], o["revision"])]++
	}
	return ids
}

// process is a running afterchat.
type process struct {
	command      *exec.Cmd
	hooks, admin string
	log          *bytes.Buffer
	logMu        *sync.Mutex
}

// startOptions change how the binary is started.
type startOptions struct {
	shell string     // runs instead of the binary, which is its $0; for socket activation
	files []*os.File // passed from fd 3 on
	attr  *syscall.SysProcAttr
	path  string // of the binary as the process sees it
	env   []string
}

// start runs `serve` with the configuration in folder and waits until it is ready. hooks and admin are its addresses.
func start(t testing.TB, configPath, hooks, admin string, o startOptions) *process {
	t.Helper()
	path := binary(t)
	if o.path != "" {
		path = o.path
	}
	p := &process{hooks: hooks, admin: admin, log: &bytes.Buffer{}, logMu: &sync.Mutex{}}
	args := []string{"serve", "--config", configPath}
	if o.shell != "" {
		p.command = exec.CommandContext(context.Background(), "/bin/sh", append([]string{"-c", o.shell, path}, args...)...)
	} else {
		p.command = exec.CommandContext(context.Background(), path, args...)
	}
	p.command.ExtraFiles, p.command.SysProcAttr = o.files, o.attr
	p.command.Env = append(append(os.Environ(), "SHOP_SECRET="+e2eSecret), o.env...)
	writer := &lockedWriter{mu: p.logMu, to: p.log}
	p.command.Stdout, p.command.Stderr = writer, writer
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.kill() })
	p.waitReady(t, 20*time.Second)
	return p
}

func (p *process) waitReady(t testing.TB, patience time.Duration) {
	t.Helper()
	eventually(t, patience, func() error {
		response, err := http.Get("http://" + p.admin + "/readyz") //nolint:noctx // a test of the listener
		if err != nil {
			return fmt.Errorf("%w\n%s", err, p.output())
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("readyz: %s\n%s", response.Status, p.output())
		}
		return nil
	})
}

func (p *process) output() string {
	p.logMu.Lock()
	defer p.logMu.Unlock()
	return p.log.String()
}

func (p *process) kill() {
	if p.command.ProcessState == nil {
		_ = p.command.Process.Kill()
		_ = p.command.Wait()
	}
}

// terminate stops it orderly and returns the exit code.
func (p *process) terminate(t testing.TB) int {
	t.Helper()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = p.command.Wait()
	return p.command.ProcessState.ExitCode()
}

type lockedWriter struct {
	mu *sync.Mutex
	to io.Writer
}

func (w *lockedWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(b)
}

// eventually polls until check returns nil, and fails with its last error after patience.
func eventually(t testing.TB, patience time.Duration, check func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s: %v", patience, err)
		}
		<-ticker.C
	}
}

// freeAddress finds a loopback port that is free now.
func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// writeConfig writes a configuration with one Smartsupp and one ProProfs source and returns its path and addresses.
func writeConfig(t testing.TB, folder, targets string) (path, hooks, admin string) {
	t.Helper()
	hooks = freeAddress(t)
	for admin = freeAddress(t); admin == hooks; { // a port that is free again may be given again
		admin = freeAddress(t)
	}
	text := fmt.Sprintf(`version: 1
server: {listen: "%s", drain_delay: 200ms}
admin: {listen: "%s"}
ledger: {url: "sqlite:data/afterchat.db"}
sources:
  shop: {type: smartsupp, path: /in/shop, secret: '${env.SHOP_SECRET}', brand: acme}
  desk: {type: proprofs, path: /in/desk, secret: '${env.SHOP_SECRET}', time_zone: Asia/Kolkata}
targets:
%s`, hooks, admin, targets)
	path = filepath.Join(folder, "afterchat.yaml")
	if err := os.MkdirAll(filepath.Join(folder, "data"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path, hooks, admin
}

var hookClient = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

// post sends a hook and returns status and body; status 0: no answer.
func post(ctx context.Context, url string, body []byte) (int, string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := hookClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(answer)
}

// chatHook is a Smartsupp hook of chat id.
func chatHook(id int) []byte {
	return fmt.Appendf(nil, `{"accountId":208,"beginAt":1427470439703,"endAt":1427470476687,"channel":{"id":%d,"isCompleted":true,"rating":5},
"visitor":{"id":1,"name":"Ada","email":"ada@example.com"},"messages":[
{"type":"visitor","from":"visitor:a","content":"Hello number %d","sentAt":1427470439703},
{"type":"agent","name":"John","from":"agent:3","content":"Hi %s","sentAt":1427470476687}]}`, id, id, strings.Repeat("there ", rand.IntN(200)))
}

// load sends hooks from several goroutines until ctx is done and returns the external ids that were answered 200.
func load(ctx context.Context, url string, senders int, next *atomic.Int64, acknowledged *sync.Map) {
	var work sync.WaitGroup
	for range senders {
		work.Go(func() {
			for ctx.Err() == nil {
				id := int(next.Add(1))
				if status, _ := post(ctx, url, chatHook(id)); status == http.StatusOK {
					acknowledged.Store(id, true)
				}
			}
		})
	}
	work.Wait()
}

// assertDelivered waits until every acknowledged conversation is at the sink, and fails if one is there twice.
func assertDelivered(t *testing.T, s *sink, acknowledged *sync.Map, patience time.Duration) int {
	t.Helper()
	count := 0
	eventually(t, patience, func() error {
		ids := s.externalIDs()
		missing := 0
		count = 0
		acknowledged.Range(func(id, _ any) bool {
			count++
			if ids[fmt.Sprintf("%v/1", id)] == 0 {
				missing++
			}
			return true
		})
		if missing > 0 {
			return fmt.Errorf("%d of %d acknowledged conversations are missing at the target", missing, count)
		}
		return nil
	})
	for id, n := range s.externalIDs() {
		if n > 1 {
			t.Errorf("conversation %s is at the target %d times", id, n)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.twice) > 0 {
		t.Errorf("%d keys were sent again with other bytes", len(s.twice))
	}
	return count
}

func TestE2EOutage(t *testing.T) {
	binary(t)
	folder, target := t.TempDir(), newSink(t)
	path, hooks, admin := writeConfig(t, folder, "  desk: {type: http, url: '"+target.address+"', retry: {min: 500ms, max: 5s}}\n")
	start(t, path, hooks, admin, startOptions{})
	const perSecond, seconds = 50, 60
	target.down.Store(true)
	var acknowledged sync.Map
	var refused atomic.Int64
	var work sync.WaitGroup
	ticker := time.NewTicker(time.Second / perSecond)
	defer ticker.Stop()
	for id := 1; id <= perSecond*seconds; id++ {
		<-ticker.C
		work.Go(func() {
			if status, answer := post(t.Context(), "http://"+hooks+"/in/shop/"+e2eSecret, chatHook(id)); status == http.StatusOK && answer == `{"result":"ok"}` {
				acknowledged.Store(id, true)
			} else {
				refused.Add(1)
			}
		})
	}
	work.Wait()
	if n := refused.Load(); n > 0 {
		t.Errorf("%d hooks were refused during the outage", n)
	}
	target.down.Store(false)
	n := assertDelivered(t, target, &acknowledged, 60*time.Second)
	audited(t, path)
	t.Logf("outage of %d s at %d hooks/s: %d acknowledged, all delivered once", seconds, perSecond, n)
}

func TestE2EKill(t *testing.T) {
	binary(t)
	cycles := chaosCycles(t, 60)
	folder, target := t.TempDir(), newSink(t)
	target.fuzzy.Store(true)
	path, hooks, admin := writeConfig(t, folder, "  desk: {type: http, url: '"+target.address+"', retry: {min: 50ms, max: 500ms}}\n")
	var acknowledged sync.Map
	var next atomic.Int64
	for cycle := range cycles {
		target.down.Store(cycle%3 == 1) // kill in the middle of an outage of the target, too
		p := start(t, path, hooks, admin, startOptions{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); load(ctx, "http://"+hooks+"/in/shop/"+e2eSecret, 4, &next, &acknowledged) }()
		select {
		case <-time.After(time.Duration(50+rand.IntN(600)) * time.Millisecond):
		case <-t.Context().Done():
		}
		p.kill()
		cancel()
		<-done
	}
	target.down.Store(false)
	began := time.Now()
	p := start(t, path, hooks, admin, startOptions{})
	recovered := time.Since(began)
	p.waitDrained(t, 90*time.Second+time.Duration(cycles)*time.Second)
	n := assertDelivered(t, target, &acknowledged, 30*time.Second)
	if code := p.terminate(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.output())
	}
	audited(t, path)
	t.Logf("%d kills: %d hooks sent, %d acknowledged, all delivered once", cycles, next.Load(), n)
	target.count(&acknowledged, 0).tell(t, sqliteEngine, fmt.Sprintf("kill -9, %d times, every third in an outage of the target", cycles), recovered)
}

func TestE2EStop(t *testing.T) {
	binary(t)
	folder := t.TempDir()
	path, hooks, admin := writeConfig(t, folder, "  log: {type: file, path: outbox.jsonl}\n")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Replace(text, []byte("drain_delay: 200ms"), []byte("drain_delay: 3s"), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	p := start(t, path, hooks, admin, startOptions{})
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, 2*time.Second, func() error {
		response, err := http.Get("http://" + admin + "/readyz") //nolint:noctx // a test of the listener
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		if response.StatusCode != http.StatusServiceUnavailable {
			return fmt.Errorf("readyz is %s", response.Status)
		}
		return nil
	})
	if status, answer := post(t.Context(), "http://"+hooks+"/in/shop/"+e2eSecret, chatHook(1)); status != http.StatusOK {
		t.Errorf("while draining: %d %s", status, answer)
	}
	if err := p.command.Wait(); err != nil {
		t.Errorf("exit: %v\n%s", err, p.output())
	}
	if strings.Contains(p.output(), e2eSecret) {
		t.Error("the secret is in the log")
	}
}

// TestE2ESocketActivation restarts the gateway under load with a socket that outlives it, as systemd does.
func TestE2ESocketActivation(t *testing.T) {
	binary(t)
	folder := t.TempDir()
	target := newSink(t)
	path, _, admin := writeConfig(t, folder, "  desk: {type: http, url: '"+target.address+"', retry: {min: 50ms, max: 500ms}}\n")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	activated := startOptions{
		shell: `export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=hooks; exec "$0" "$@"`, files: []*os.File{file},
	}
	hooks := listener.Addr().String()
	p := start(t, path, hooks, admin, activated)
	var acknowledged sync.Map
	var refused, sent atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(5 * time.Millisecond)
		defer ticker.Stop()
		var work sync.WaitGroup
		for id := 1; ; id++ {
			select {
			case <-ctx.Done():
				work.Wait()
				return
			case <-ticker.C:
			}
			work.Go(func() {
				sent.Add(1)
				// A sender of hooks opens a connection for each.
				client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
				request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+hooks+"/in/shop/"+e2eSecret, bytes.NewReader(chatHook(id)))
				if err != nil {
					t.Error(err)
					return
				}
				response, err := client.Do(request)
				if err != nil {
					t.Logf("hook %d: %v", id, err)
					refused.Add(1)
					return
				}
				_ = response.Body.Close()
				if response.StatusCode != http.StatusOK {
					t.Logf("hook %d: %s", id, response.Status)
					refused.Add(1)
					return
				}
				acknowledged.Store(id, true)
			})
		}
	}()
	for range 5 {
		before := sent.Load()
		eventually(t, time.Minute, func() error {
			if sent.Load() < before+100 {
				return fmt.Errorf("only %d hooks sent", sent.Load()-before)
			}
			return nil
		})
		if code := p.terminate(t); code != 0 {
			t.Errorf("exit code %d\n%s", code, p.output())
		}
		p = start(t, path, hooks, admin, activated)
	}
	cancel()
	<-done
	if n := refused.Load(); n > 0 {
		t.Errorf("%d of %d hooks were refused over 5 restarts", n, sent.Load())
	}
	n := assertDelivered(t, target, &acknowledged, 30*time.Second)
	audited(t, path)
	t.Logf("5 restarts: %d hooks sent, %d acknowledged, all delivered once", sent.Load(), n)
}

// TestE2EChroot proves what the image holds: the static binary alone, as a user without rights, in a folder where only
// data can be written.
func TestE2EChroot(t *testing.T) {
	path := binary(t)
	if os.Geteuid() != 0 {
		t.Skip("chroot needs root")
	}
	root, err := os.MkdirTemp("/tmp", "afterchat-chroot-") //nolint:usetesting // the folders above t.TempDir are closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	const uid = 65532
	configPath, hooks, admin := writeConfig(t, root, "  log: {type: file, path: data/outbox.jsonl}\n")
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "afterchat"), program, 0o555); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(filepath.Join(root, "data"), uid, uid); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(root, 0o555); err != nil {
		t.Fatal(err)
	}
	attr := &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	start(t, strings.TrimPrefix(configPath, root), hooks, admin, startOptions{path: "/afterchat", attr: attr})
	if status, answer := post(t.Context(), "http://"+hooks+"/in/shop/"+e2eSecret, chatHook(7)); status != http.StatusOK {
		t.Fatalf("%d %s", status, answer)
	}
	eventually(t, time.Minute, func() error {
		text, err := os.ReadFile(filepath.Join(root, "data", "outbox.jsonl"))
		if err != nil {
			return err
		}
		if !bytes.Contains(text, []byte("Hello number 7")) {
			return fmt.Errorf("the conversation is not there: %s", text)
		}
		return nil
	})
	health := exec.CommandContext(t.Context(), "/afterchat", "health", "--config", "/afterchat.yaml")
	health.SysProcAttr, health.Env, health.Dir = attr, []string{"SHOP_SECRET=" + e2eSecret}, "/"
	if out, err := health.CombinedOutput(); err != nil || string(out) != "ready\n" {
		t.Errorf("health: %v: %s", err, out)
	}
	var written []string
	err = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if info, infoErr := d.Info(); err == nil && infoErr == nil && info.Sys().(*syscall.Stat_t).Uid == uid && !strings.HasPrefix(path, filepath.Join(root, "data")) {
			written = append(written, path)
		}
		return err
	})
	if err != nil || len(written) > 0 {
		t.Errorf("written outside data: %v %v", written, err)
	}
}

func TestE2EDemo(t *testing.T) {
	command := exec.CommandContext(t.Context(), binary(t), "demo", "--exit", "--pace", "20ms")
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"console            http://127.0.0.1:", "503, out of order", "by its external id: not there", "with 1 file", "#1 updated", "9 tickets, 1 update; 1 alert", "Stopped cleanly.", `"quarantined"`,
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%q is not in the output:\n%s", want, out)
		}
	}
}

// replaceIn changes a file.
func replaceIn(t testing.TB, path, before, after string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Replace(text, []byte(before), []byte(after), 1), 0o644); err != nil {
		t.Fatal(err)
	}
}
