// This file holds the faults of disks and processes: what the sender was told is counted against what the target holds.

package cmd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// faultCount is one row of the table of faults.
type faultCount struct {
	acknowledged, delivered, lost, doubled int
}

// The engines of the table of faults.
const (
	sqliteEngine   = "SQLite"
	postgresEngine = "PostgreSQL"
)

// row writes the row, and adds it to the file that AFTERCHAT_FAULTS names.
func (c faultCount) row(t *testing.T, engine, fault string, recovered time.Duration) {
	t.Helper()
	row := fmt.Sprintf("| %s | %s | %d | %d | %d | %d | %.1f |", fault, engine, c.acknowledged, c.delivered, c.lost, c.doubled, recovered.Seconds())
	t.Log(row)
	name := os.Getenv("AFTERCHAT_FAULTS")
	if name == "" {
		return
	}
	table, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintln(table, row)
	if err := errors.Join(err, table.Close()); err != nil {
		t.Error(err)
	}
}

// tell is row for a fault that loses nothing.
func (c faultCount) tell(t *testing.T, engine, fault string, recovered time.Duration) {
	t.Helper()
	c.row(t, engine, fault, recovered)
	if c.lost > 0 || c.doubled > 0 {
		t.Errorf("%s: %d lost, %d doubled", fault, c.lost, c.doubled)
	}
}

// count waits until all that was acknowledged is at the target, or patience is over, and counts.
func (s *sink) count(acknowledged *sync.Map, patience time.Duration) (c faultCount) {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); ; <-ticker.C {
		ids := s.externalIDs()
		c = faultCount{}
		acknowledged.Range(func(id, _ any) bool {
			c.acknowledged++
			if ids[fmt.Sprintf("%v/1", id)] == 0 {
				c.lost++
			}
			return true
		})
		for _, n := range ids {
			c.delivered += n
			c.doubled += n - 1
		}
		if c.lost == 0 || time.Now().After(deadline) {
			return c
		}
	}
}

// command runs the binary and returns what it says.
func command(t *testing.T, configPath string, args ...string) (string, error) {
	t.Helper()
	return commandIn(t, nil, configPath, args...)
}

// commandIn is command with more variables.
func commandIn(t *testing.T, env []string, configPath string, args ...string) (string, error) {
	t.Helper()
	c := exec.CommandContext(t.Context(), binary(t), append(args, "--config", configPath)...)
	c.Env = append(append(os.Environ(), "SHOP_SECRET="+e2eSecret), env...)
	out, err := c.CombinedOutput()
	return string(out), err
}

// audited asks `afterchat ledger verify`, a process of its own, which holds the books against what is stored.
func audited(t *testing.T, configPath string, env ...string) {
	t.Helper()
	out, err := commandIn(t, env, configPath, "ledger", "verify")
	if err != nil || !strings.Contains(out, "the books balance") {
		t.Errorf("the audit: %v\n%s", err, out)
	}
}

// answerOf asks the admin listener and returns status and body; status 0: no answer.
func answerOf(t *testing.T, url string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := hookClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	body, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(body)
}

// waitStatus waits until /readyz answers with status.
func (p *process) waitStatus(t *testing.T, status int, patience time.Duration) {
	t.Helper()
	eventually(t, patience, func() error {
		if got, body := answerOf(t, "http://"+p.admin+"/readyz"); got != status {
			return fmt.Errorf("/readyz answers %d %s, want %d", got, body, status)
		}
		return nil
	})
}

// waitDrained waits until nothing is pending. It asks seldom, so that it does not stand in the way.
func (p *process) waitDrained(t *testing.T, patience time.Duration) {
	t.Helper()
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(patience); ; <-ticker.C {
		_, metrics := answerOf(t, "http://"+p.admin+"/metrics")
		if strings.Contains(metrics, "\nafterchat_pending{target=\"desk\"} 0\n") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("deliveries are pending after %s", patience)
		}
	}
}

// refusedWith503 sends hooks until one is refused, and checks how.
func refusedWith503(t *testing.T, url string, next *atomic.Int64, acknowledged *sync.Map) {
	t.Helper()
	eventually(t, 60*time.Second, func() error {
		id := int(next.Add(1))
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(string(chatHook(id))))
		if err != nil {
			return err
		}
		response, err := hookClient.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		switch {
		case response.StatusCode == http.StatusOK:
			acknowledged.Store(id, true)
			return fmt.Errorf("hook %d was taken", id)
		case response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "":
			t.Errorf("hook %d: %s, Retry-After %q", id, response.Status, response.Header.Get("Retry-After"))
		}
		return nil
	})
}

// chaosCycles is how often a test kills: as often as it says, or as AFTERCHAT_CHAOS_CYCLES does.
func chaosCycles(t *testing.T, usual int) int {
	t.Helper()
	text := os.Getenv("AFTERCHAT_CHAOS_CYCLES")
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("AFTERCHAT_CHAOS_CYCLES=%q is no number of cycles", text)
	}
	return n
}

// TestE2EDamage damages the ledger of a killed gateway, in the middle of an outage of its target: the next start takes
// hooks at once, and the repair beside it brings back what the sender was told is stored.
func TestE2EDamage(t *testing.T) {
	for _, fault := range []struct {
		name   string
		file   string
		damage func(content []byte) []byte
		gone   bool // a part of the bytes is not there any more
	}{
		{"one bit of the header", "afterchat.db", func(b []byte) []byte { b[1] ^= 4; return b }, false},
		{"one bit of the log", "afterchat.db-wal", func(b []byte) []byte { b[32+24+100] ^= 4; return b }, false},
		{"the last quarter cut off", "afterchat.db", func(b []byte) []byte { return b[:len(b)/4*3] }, true},
	} {
		t.Run(fault.name, func(t *testing.T) {
			folder, target := t.TempDir(), newSink(t)
			path, hooks, admin := writeConfig(t, folder, "  desk: {type: http, url: '"+target.address+"', retry: {min: 50ms, max: 500ms}}\n")
			url := "http://" + hooks + "/in/shop/" + e2eSecret
			target.down.Store(true)
			p := start(t, path, hooks, admin, startOptions{})
			var acknowledged sync.Map
			var next atomic.Int64
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			load(ctx, url, 8, &next, &acknowledged)
			cancel()
			if fault.gone { // what a part of the bytes is to be missed of has to be in the file, not in the log
				p.terminate(t)
			}
			p.kill()
			file := filepath.Join(folder, "data", fault.file)
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, fault.damage(content), 0o600); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			p = start(t, path, hooks, admin, startOptions{})
			recovered := time.Since(began)
			ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
			load(ctx, url, 4, &next, &acknowledged)
			cancel()
			repairBeside(t, p, path)
			target.down.Store(false)
			p.waitDrained(t, 60*time.Second)
			c := target.count(&acknowledged, 0)
			p.terminate(t)
			audited(t, path)
			if fault.gone {
				c.row(t, sqliteEngine, "damage: "+fault.name, recovered)
				if c.doubled > 0 || c.lost > c.acknowledged/2 {
					t.Errorf("%d of %d lost, %d doubled", c.lost, c.acknowledged, c.doubled)
				}
				return
			}
			c.tell(t, sqliteEngine, "damage: "+fault.name, recovered)
		})
	}
}

// repairBeside repairs a ledger that was set aside while p runs on a fresh one, and checks what tells of it.
func repairBeside(t *testing.T, p *process, path string) {
	t.Helper()
	if _, metrics := answerOf(t, "http://"+p.admin+"/metrics"); !strings.Contains(metrics, "\nafterchat_ledger_set_aside 1\n") {
		t.Error("afterchat_ledger_set_aside does not tell")
	}
	if out, err := command(t, path, "ledger", "verify"); err == nil || !strings.Contains(out, "afterchat ledger repair") {
		t.Errorf("the audit: %v\n%s", err, out)
	}
	out, err := command(t, path, "ledger", "repair")
	if err != nil || !strings.Contains(out, "conversations recovered") {
		t.Fatalf("repair: %v\n%s", err, out)
	}
	t.Log(out[strings.Index(out, ".repaired-"):])
	if _, metrics := answerOf(t, "http://"+p.admin+"/metrics"); !strings.Contains(metrics, "\nafterchat_ledger_set_aside 0\n") {
		t.Error("afterchat_ledger_set_aside does not tell of the repair")
	}
}

// TestE2EFull fills the disk of the ledger and makes room again.
func TestE2EFull(t *testing.T) {
	binary(t)
	folder, target := t.TempDir(), newSink(t)
	path, hooks, admin := writeConfig(t, folder, "  desk: {type: http, url: '"+target.address+"', retry: {min: 50ms, max: 500ms}}\n")
	data := filepath.Join(folder, "data")
	if err := syscall.Mount("tmpfs", data, "tmpfs", 0, "size=64m"); err != nil {
		t.Skipf("no small disk can be mounted here, so a full one is not tested: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(data, 0); err != nil {
			t.Error(err)
		}
	})
	p := start(t, path, hooks, admin, startOptions{})
	url := "http://" + hooks + "/in/shop/" + e2eSecret
	var acknowledged sync.Map
	var next atomic.Int64
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	load(ctx, url, 4, &next, &acknowledged)
	cancel()
	ballast := filepath.Join(data, "ballast")
	file, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = file.Write(make([]byte, 64<<20)) // as much as fits
	_ = file.Close()
	refusedWith503(t, url, &next, &acknowledged)
	p.waitStatus(t, http.StatusServiceUnavailable, 10*time.Second)
	ctx, cancel = context.WithTimeout(t.Context(), time.Second)
	load(ctx, url, 4, &next, &acknowledged)
	cancel()
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	p.waitStatus(t, http.StatusOK, 20*time.Second)
	recovered := time.Since(began)
	ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
	load(ctx, url, 2, &next, &acknowledged)
	cancel()
	c := target.count(&acknowledged, 60*time.Second)
	audited(t, path)
	if code := p.terminate(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.output())
	}
	audited(t, path)
	c.tell(t, sqliteEngine, "disk full", recovered)
}

// slowestAnswer is how long a hook may wait for its answer, whatever the ledger does: 10 s for the commit, and something
// for a busy machine.
const slowestAnswer = 13 * time.Second

// patiently is load that waits for each answer, and fails if one is neither 200 nor 503 with Retry-After, or comes too
// late. It returns how many were refused.
func patiently(ctx context.Context, t *testing.T, url string, senders int, next *atomic.Int64, acknowledged *sync.Map) int {
	t.Helper()
	var refused atomic.Int64
	var work sync.WaitGroup
	for range senders {
		work.Go(func() {
			for ctx.Err() == nil {
				id := int(next.Add(1))
				began := time.Now()
				request, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodPost, url, bytes.NewReader(chatHook(id)))
				if err != nil {
					t.Error(err)
					return
				}
				response, err := hookClient.Do(request)
				if err != nil {
					t.Errorf("hook %d has no answer: %v", id, err)
					continue
				}
				_ = response.Body.Close()
				switch {
				case response.StatusCode == http.StatusOK:
					acknowledged.Store(id, true)
				case response.StatusCode == http.StatusServiceUnavailable && response.Header.Get("Retry-After") != "":
					refused.Add(1)
				default:
					t.Errorf("hook %d: %s, Retry-After %q", id, response.Status, response.Header.Get("Retry-After"))
				}
				if took := time.Since(began); took > slowestAnswer {
					t.Errorf("hook %d was answered after %s", id, took)
				}
			}
		})
	}
	work.Wait()
	return int(refused.Load())
}

// fewDescriptors runs the binary with so few file descriptors that some dozen connections take all of them.
const fewDescriptors = `ulimit -n 48; exec "$0" "$@"`

// withDebugLog makes a gateway tell of connections that cannot be accepted.
func withDebugLog(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(text, "log: {level: debug}\n"...), 0o644); err != nil {
		t.Fatal(err)
	}
}

// kept is a client that has one connection and keeps it.
func kept(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{MaxConnsPerHost: 1}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

// answerBy returns the status and Retry-After of an answer; 0: there is none.
func answerBy(ctx context.Context, client *http.Client, method, url string, body []byte) (status int, retryAfter string) {
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	return response.StatusCode, response.Header.Get("Retry-After")
}

// starve takes all file descriptors of a gateway that has few, and gives them back. Whoever has a connection is answered
// meanwhile, hooks with 200 or 503, /readyz too. Who opens one waits in the kernel's queue, for there is no descriptor
// to accept it with, so there cannot be an answer; it comes when there are descriptors again.
func (p *process) starve(t *testing.T, next *atomic.Int64, acknowledged *sync.Map) (recovered time.Duration) {
	t.Helper()
	url := "http://" + p.hooks + "/in/shop/" + e2eSecret
	for range 5 { // connections that come and go, and hooks between them
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		load(ctx, url, 100, next, acknowledged)
		cancel()
		hookClient.CloseIdleConnections()
	}
	p.waitStatus(t, http.StatusOK, 30*time.Second)
	hookClient.CloseIdleConnections()
	hooks, admin := kept(t), kept(t)
	hook := func(client *http.Client, patience time.Duration) int {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		id := int(next.Add(1))
		status, retryAfter := answerBy(ctx, client, http.MethodPost, url, chatHook(id))
		switch {
		case status == http.StatusOK:
			acknowledged.Store(id, true)
		case status != 0 && (status != http.StatusServiceUnavailable || retryAfter == ""):
			t.Errorf("hook %d: %d, Retry-After %q", id, status, retryAfter)
		}
		return status
	}
	if status, _ := answerBy(t.Context(), admin, http.MethodGet, "http://"+p.admin+"/readyz", nil); status != http.StatusOK || hook(hooks, slowestAnswer) != http.StatusOK {
		t.Fatalf("/readyz answers %d before there is any want", status)
	}
	told := strings.Count(p.output(), "too many open files")
	var idle []net.Conn
	for range 100 {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", p.hooks)
		if err != nil {
			t.Fatal(err)
		}
		idle = append(idle, conn)
	}
	eventually(t, time.Minute, func() error {
		if strings.Count(p.output(), "too many open files") == told {
			return errors.New("there are descriptors for all connections")
		}
		return nil
	})
	statuses := map[int]int{}
	for range 20 {
		statuses[hook(hooks, slowestAnswer)]++
	}
	status, _ := answerBy(t.Context(), admin, http.MethodGet, "http://"+p.admin+"/readyz", nil)
	if statuses[0] > 0 || status != http.StatusOK && status != http.StatusServiceUnavailable {
		t.Errorf("on connections that are there, hooks are answered with %v (0: not at all) and /readyz with %d", statuses, status)
	}
	stranger := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	if status := hook(stranger, time.Second); status != 0 {
		t.Errorf("a new connection is answered with %d: there was a descriptor", status)
	}
	t.Logf("without descriptors hooks on connections that are there are answered with %v, /readyz with %d", statuses, status)
	for _, conn := range idle {
		_ = conn.Close()
	}
	began := time.Now()
	eventually(t, 20*time.Second, func() error {
		ready, _ := answerBy(t.Context(), stranger, http.MethodGet, "http://"+p.admin+"/readyz", nil)
		if taken := hook(stranger, slowestAnswer); ready != http.StatusOK || taken != http.StatusOK {
			return fmt.Errorf("/readyz answers %d, a hook %d", ready, taken)
		}
		return nil
	})
	return time.Since(began)
}

// TestE2EDescriptors takes all file descriptors by idle connections.
func TestE2EDescriptors(t *testing.T) {
	binary(t)
	folder, target := t.TempDir(), newSink(t)
	path, hooks, admin := writeConfig(t, folder, "  desk: {type: http, url: '"+target.address+"', retry: {min: 50ms, max: 500ms}}\n")
	withDebugLog(t, path)
	p := start(t, path, hooks, admin, startOptions{shell: fewDescriptors})
	var acknowledged sync.Map
	var next atomic.Int64
	recovered := p.starve(t, &next, &acknowledged)
	c := target.count(&acknowledged, 60*time.Second)
	audited(t, path)
	if code := p.terminate(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.output())
	}
	audited(t, path)
	c.tell(t, sqliteEngine, "out of file descriptors", recovered)
}

// wait lets a random time of at most so long pass.
func wait(t *testing.T, most time.Duration) {
	t.Helper()
	select {
	case <-time.After(rand.N(most)):
	case <-t.Context().Done():
	}
}
