// This file measures the built binary: size, time to ready, memory when idle.

package cmd_test

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

func BenchmarkGatewayBinary(b *testing.B) {
	path := binary(b)
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	var ready time.Duration
	var memory float64
	for range b.N {
		config, hooks, admin := writeConfig(b, b.TempDir(), "  log: {type: file, path: outbox.jsonl}\n")
		begin := time.Now()
		p := start(b, config, hooks, admin, startOptions{})
		ready = time.Since(begin)
		eventually(b, 10*time.Second, func() error { // the collector has run and the figure has come to rest
			before, after := residentMiB(b, p.command.Process.Pid), 0.0
			for range 20 {
				response, err := http.Get("http://" + admin + "/healthz") //nolint:noctx // a benchmark of the listener
				if err != nil {
					return err
				}
				_ = response.Body.Close()
			}
			if after = residentMiB(b, p.command.Process.Pid); after-before > 0.5 {
				return fmt.Errorf("memory still grows from %.1f to %.1f MiB", before, after)
			}
			memory = after
			return nil
		})
		p.kill()
	}
	b.ReportMetric(float64(info.Size())/1e6, "MB-binary")
	b.ReportMetric(float64(ready.Milliseconds()), "ms-to-ready")
	b.ReportMetric(memory, "MiB-idle")
	b.ReportMetric(0, "ns/op")
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
