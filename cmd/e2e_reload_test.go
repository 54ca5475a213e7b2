// This file holds the end-to-end test of reloads.

package cmd_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestE2EReload: SIGHUP puts a changed file in force under load, a bad one changes nothing, and a target that has got
// another name has everything once.
func TestE2EReload(t *testing.T) {
	binary(t)
	folder, target := t.TempDir(), newSink(t)
	settings := "type: http, url: '" + target.address + "', retry: {min: 50ms, max: 500ms}"
	path, hooks, admin := writeConfig(t, folder, "  desk: {"+settings+"}\n")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write := func(old, replacement string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(strings.Replace(string(text), old, replacement, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p := start(t, path, hooks, admin, startOptions{})
	var next atomic.Int64
	var acknowledged sync.Map
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		load(ctx, "http://"+hooks+"/in/shop/"+e2eSecret, 4, &next, &acknowledged)
	}()
	logged := func(line string, times int) {
		t.Helper()
		eventually(t, time.Minute, func() error {
			if n := strings.Count(p.output(), line); n < times {
				return fmt.Errorf("%q is in the log %d times\n%s", line, n, p.output())
			}
			return nil
		})
	}
	hangUp := func() {
		t.Helper()
		if err := p.command.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	const rounds = 5
	for i := range rounds {
		write("  desk: {", "  help: {was: desk, ")
		hangUp()
		logged("msg=configuration.reloaded cause=SIGHUP", 2*i+1)
		write("type: http", "type: htp")
		hangUp()
		logged("msg=configuration.refused cause=SIGHUP", i+1)
		write("  desk: {", "  desk: {was: [desk, help], ")
		hangUp()
		logged("msg=configuration.reloaded cause=SIGHUP", 2*i+2)
	}

	// Nobody tells of this one.
	write("  shop: {", "  store: {was: shop, ")
	eventually(t, 20*time.Second, func() error {
		if !strings.Contains(p.output(), `cause="the files have changed"`) {
			return fmt.Errorf("the change on disk was not noticed\n%s", p.output())
		}
		return nil
	})
	cancel()
	<-done
	sent := 0
	acknowledged.Range(func(any, any) bool { sent++; return true })
	if refused := int(next.Load()) - sent; refused > 4 { // the four that were under way at the end had no answer
		t.Errorf("%d of %d hooks were refused", refused, next.Load())
	}
	n := assertDelivered(t, target, &acknowledged, 60*time.Second)
	response, err := http.Get("http://" + admin + "/-/config") //nolint:noctx // a test of the listener
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("/-/config: %s", response.Status)
	}
	if code := p.terminate(t); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.output())
	}
	if strings.Contains(p.output(), e2eSecret) {
		t.Error("the secret is in the log")
	}
	t.Logf("%d reloads, %d refused: %d hooks acknowledged, all delivered once", 2*rounds+1, rounds, n)
}
