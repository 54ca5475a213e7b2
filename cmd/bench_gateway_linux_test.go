// This file runs the gateway that is measured and reads what it uses: processor, memory, allocations.

package cmd_test

import (
	"bufio"
	"context"
	"fmt"
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

// measured is a gateway under load. Its log goes to a file, as it does in service.
type measured struct {
	command       *exec.Cmd
	folder        string
	hooks, admin  string
	start         time.Duration // from the start of the process to ready
	ledgerFile    string
	endOnce       sync.Once
	configuration string
}

const hookPath = "/in/shop/" + e2eSecret

// newMeasured writes a configuration with targets, and routes after them, in a new folder.
func newMeasured(b testing.TB, targets string) *measured {
	b.Helper()
	m := &measured{folder: b.TempDir()}
	m.configuration, m.hooks, m.admin = writeConfig(b, m.folder, targets)
	m.ledgerFile = filepath.Join(m.folder, "data", "afterchat.db")
	return m
}

// run starts it and waits until it is ready.
func (m *measured) run(b testing.TB) *measured {
	b.Helper()
	log, err := os.OpenFile(filepath.Join(m.folder, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	m.command = exec.CommandContext(context.WithoutCancel(b.Context()), binary(b), "serve", "--config", m.configuration)
	m.command.Env = append(os.Environ(), "SHOP_SECRET="+e2eSecret)
	m.command.Stdout, m.command.Stderr = log, log
	begin := time.Now()
	if err := m.command.Start(); err != nil {
		b.Fatal(err)
	}
	m.endOnce = sync.Once{}
	b.Cleanup(m.kill)
	eventually(b, time.Minute, func() error {
		response, err := http.Get("http://" + m.admin + "/readyz") //nolint:noctx // a benchmark of the listener
		if err != nil {
			return err
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("readyz: %s", response.Status)
		}
		return nil
	})
	m.start = time.Since(begin)
	return m
}

func (m *measured) kill() { m.end(syscall.SIGKILL) }

// stop ends it in order.
func (m *measured) stop() { m.end(syscall.SIGTERM) }

func (m *measured) end(signal os.Signal) {
	m.endOnce.Do(func() {
		_ = m.command.Process.Signal(signal)
		_ = m.command.Wait()
	})
}

// take sends one hook.
func (m *measured) take(b testing.TB, h *hooks, next *atomic.Int64) {
	b.Helper()
	c, err := dial(b.Context(), m.hooks)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	if status, err := c.send(h, next.Add(1)); err != nil || status != http.StatusOK {
		b.Fatalf("a hook was answered %d, %v", status, err)
	}
}

// served returns what the load needs.
func (m *measured) served() served { return served{m.hooks, m.command.Process.Pid} }

// processor returns the seconds of processor that a process has used.
func processor(b testing.TB, pid int) float64 {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	user, err := strconv.ParseFloat(fields[11], 64)
	if err != nil {
		b.Fatal(err)
	}
	system, err := strconv.ParseFloat(fields[12], 64)
	if err != nil {
		b.Fatal(err)
	}
	return (user + system) / 100 // USER_HZ is 100 on every Linux
}

// machineProcessor returns the seconds of processor that all processes have used.
func machineProcessor(b testing.TB) (sum float64) {
	b.Helper()
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		b.Fatal(err)
	}
	line, _, _ := strings.Cut(string(stat), "\n") // cpu user nice system idle iowait irq softirq steal
	for i, field := range strings.Fields(line) {
		if i == 1 || i == 2 || i == 3 || i == 6 || i == 7 {
			ticks, err := strconv.ParseFloat(field, 64)
			if err != nil {
				b.Fatal(err)
			}
			sum += ticks / 100
		}
	}
	return sum
}

func residentMiB(tb testing.TB, pid int) float64 {
	tb.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				tb.Fatal(err)
			}
			return float64(kib) / 1024
		}
	}
	tb.Fatal("no VmRSS in /proc")
	return 0
}

// idleMiB waits until it has let go of what its start has used, reads the metrics as Prometheus does in some minutes, so
// that idle is what is idle in service, and returns its memory.
func (m *measured) idleMiB(b testing.TB) float64 {
	b.Helper()
	pass(2 * time.Second)
	for range 10 {
		m.series(b, "afterchat_pending")
	}
	rested(b, m)
	return residentMiB(b, m.command.Process.Pid)
}

// series reads one series of /metrics; 0 if it is not there. Without a brace, all label sets are added up.
func (m *measured) series(b testing.TB, name string) (sum float64) {
	b.Helper()
	response, err := http.Get("http://" + m.admin + "/metrics") //nolint:noctx // a benchmark of the listener
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		rest, ok := strings.CutPrefix(lines.Text(), name)
		if !ok || rest == "" || rest[0] != ' ' && rest[0] != '{' {
			continue
		}
		value, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if err != nil {
			b.Fatal(err)
		}
		sum += value
	}
	return sum
}

// peak samples its memory until stop is called, which returns the most in MiB.
func (m *measured) peak(b testing.TB) (stop func() float64) {
	b.Helper()
	done, result := make(chan struct{}), make(chan float64)
	go func() {
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		most := 0.0
		for {
			most = max(most, residentMiB(b, m.command.Process.Pid))
			select {
			case <-ticker.C:
			case <-done:
				result <- most
				return
			}
		}
	}()
	return func() float64 {
		close(done)
		return <-result
	}
}

// drained waits until nothing is pending. It asks seldom, for that takes processor, too.
func (m *measured) drained(b testing.TB, patience time.Duration) {
	b.Helper()
	for deadline := time.Now().Add(patience); m.series(b, "afterchat_pending") > 0; pass(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatalf("%.0f deliveries are pending after %s", m.series(b, "afterchat_pending"), patience)
		}
	}
}

// rested waits until the gateways have nothing more to do, so that what they do in the background, such as indexing for
// searches, is no part of the next figure.
func rested(b testing.TB, gateways ...*measured) {
	b.Helper()
	used := func() (sum float64) {
		for _, m := range gateways {
			sum += processor(b, m.command.Process.Pid)
		}
		return sum
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		before := used()
		pass(200 * time.Millisecond)
		if used()-before <= 0.011 {
			return
		}
	}
	b.Error("the gateway does not come to rest")
}
