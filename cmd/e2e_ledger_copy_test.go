// This file holds the test of a gateway that moves from SQLite to PostgreSQL with what it has not delivered.

package cmd_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// refusing is a target that takes nothing, ever.
func refusing(t *testing.T) (address string) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnprocessableEntity)
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return "http://" + listener.Addr().String()
}

// gauge reads a series of the admin listener.
func gauge(t *testing.T, admin, series string) string {
	t.Helper()
	_, metrics := answerOf(t, "http://"+admin+"/metrics")
	found := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (.*)$`).FindStringSubmatch(metrics)
	if found == nil {
		return ""
	}
	return found[1]
}

// A gateway is killed under load, in an outage of its target, and moves to PostgreSQL. The copy is killed, too, again
// and again. What was not delivered is delivered from there, once; what was dead is dead there.
func TestE2ELedgerCopy(t *testing.T) {
	path := binary(t)
	server := cluster(t)
	target := newSink(t)
	target.fuzzy.Store(true) // much is in doubt
	folder := t.TempDir()
	config, hooks, admin := writeConfig(t, folder, "  desk: {type: http, url: '"+target.address+"', timeout: 1s, retry: {min: 50ms, max: 500ms}}\n"+
		"  crm: {type: http, url: '"+refusing(t)+"', timeout: 1s}\n")
	p := start(t, config, hooks, admin, startOptions{})
	var acknowledged sync.Map
	var next atomic.Int64
	for _, down := range []bool{false, true, false, true} {
		target.down.Store(down)
		ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
		load(ctx, "http://"+hooks+"/in/shop/"+e2eSecret, 16, &next, &acknowledged)
		cancel()
	}
	eventually(t, 60*time.Second, func() error {
		if pending := gauge(t, admin, `afterchat_pending{target="crm"}`); pending != "0" {
			return fmt.Errorf("%s pending for what refuses all", pending)
		}
		return nil
	})
	dead, pending := gauge(t, admin, `afterchat_dead{target="crm"}`), gauge(t, admin, `afterchat_pending{target="desk"}`)
	if dead == "" || dead == "0" || pending == "" || pending == "0" {
		t.Fatalf("%q dead, %q pending: there is nothing to move", dead, pending)
	}
	url := server.URL("")
	copying := func(ctx context.Context) (string, error) {
		c := exec.CommandContext(ctx, path, "ledger", "copy", "--to", url, "--config", config)
		c.Env = append(os.Environ(), "SHOP_SECRET="+e2eSecret)
		out, err := c.CombinedOutput()
		return string(out), err
	}
	if out, err := copying(t.Context()); err == nil || !strings.Contains(out, "must not run while its ledger is copied") {
		t.Fatalf("copy beside a gateway: %v\n%s", err, out)
	}
	p.kill()
	kills := 0
	for range 6 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(100+rand.IntN(500))*time.Millisecond) // it is killed then
		if _, err := copying(ctx); err != nil {
			kills++
		}
		cancel()
	}
	began := time.Now()
	out, err := copying(t.Context())
	if err != nil || kills == 0 {
		t.Fatalf("%d copies were killed; the last one: %v\n%s", kills, err, out)
	}
	took := time.Since(began)
	if out, err := command(t, config, "serve"); err == nil || !strings.Contains(out, "was moved to another database") {
		t.Errorf("serve on the file that was copied: %v\n%s", err, out)
	}
	replaceIn(t, config, "sqlite:data/afterchat.db", url)
	p = start(t, config, hooks, admin, startOptions{})
	if got := gauge(t, admin, `afterchat_dead{target="crm"}`); got != dead {
		t.Errorf("%s dead after the move, %s before", got, dead)
	}
	target.down.Store(false)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	load(ctx, "http://"+hooks+"/in/shop/"+e2eSecret, 4, &next, &acknowledged)
	cancel()
	n := assertDelivered(t, target, &acknowledged, 60*time.Second)
	audited(t, config)
	p.kill()
	target.count(&acknowledged, 0).tell(t, sqliteEngine+" to "+postgresEngine, fmt.Sprintf("gateway killed in an outage of the target, ledger moved, its copy killed %d times", kills), took)
	t.Logf("%d hooks acknowledged, %s of them waiting when the gateway was killed; %d copies killed, the last one took %s; all delivered once",
		n, pending, kills, took.Round(time.Millisecond))
}
