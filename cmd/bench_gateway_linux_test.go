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

// processor returns the seconds of processor that it has used.
func (m *measured) processor(b testing.TB) float64 {
	b.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", m.command.Process.Pid))
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

// drained waits until nothing is pending.
func (m *measured) drained(b testing.TB, patience time.Duration) {
	b.Helper()
	eventually(b, patience, func() error {
		if pending := m.series(b, "afterchat_pending"); pending > 0 {
			return fmt.Errorf("%.0f deliveries are pending", pending)
		}
		return nil
	})
}

// rested waits until it has nothing more to do, so that what it does in the background is no part of the next figure.
func (m *measured) rested(b testing.TB) {
	b.Helper()
	const window = 250 * time.Millisecond
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		before := m.processor(b)
		timer.Reset(window)
		<-timer.C
		if m.processor(b)-before <= 0.02 {
			return
		}
	}
	b.Error("it does not come to rest")
}
