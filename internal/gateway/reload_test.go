// This file tests reloads: that a change is found and taken over, that a mistake changes nothing, and what becomes of
// targets and sources that go, come back and get other names.

package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/internal/console"
	"github.com/afterchat/afterchat/internal/ledger"
)

// shelf is a target that counts requests by idempotency key and can be closed.
type shelf struct {
	mu       sync.Mutex
	closed   map[string]bool // hosts that are out of order
	slow     time.Duration
	requests map[string]map[string]int // host → key → how often it was taken
}

func newShelf() *shelf {
	return &shelf{closed: map[string]bool{}, requests: map[string]map[string]int{}}
}

// RoundTrip implements http.RoundTripper.
func (s *shelf) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, err
	}
	if s.slow > 0 {
		select {
		case <-time.After(s.slow):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	host, status := r.URL.Host, http.StatusCreated
	if s.closed[host] {
		status = http.StatusServiceUnavailable
	} else {
		if s.requests[host] == nil {
			s.requests[host] = map[string]int{}
		}
		s.requests[host][r.Header.Get("Idempotency-Key")]++
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}")), Request: r}, nil
}

// helpHost is the host of the target help.
const helpHost = "help.example"

// close puts the help desk out of order, or in order again.
func (s *shelf) close(closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed[helpHost] = closed
}

// keys returns how often each key came to the help desk, without the id of the conversation.
func (s *shelf) keys() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]int{}
	for key, n := range s.requests[helpHost] {
		parts := strings.Split(key, ":")
		out[strings.Join(parts[2:], ":")] += n
	}
	return out
}

const reloadHead = `version: 1
server: {listen: "127.0.0.1:0", drain_delay: 0s}
admin: {listen: "127.0.0.1:0"}
`

const shopSource = "sources: {shop: {type: smartsupp, secret: '${env.SECRET}'}}\n"

// hookOf is a hook of a chat with so many messages.
func hookOf(id, messages int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"accountId":208,"beginAt":1427470439703,"endAt":%d,"channel":{"id":%d,"isCompleted":true},"visitor":{"id":1,"name":"Ada"},"messages":[`,
		1427470476687+messages, id)
	for i := range messages {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"type":"visitor","from":"visitor:a","content":"Message %d of %d","sentAt":%d}`, i, id, 1427470439703+i)
	}
	return b.String() + "]}"
}

func (r *running) hook(t testing.TB, path, body string) {
	t.Helper()
	got := send(t, r.addresses.Hooks.String(), "POST "+path+"\nContent-Type: application/json\n\n"+body)
	if got != `200 {"result":"ok"}` {
		t.Fatalf("hook: %s", got)
	}
}

// config asks /-/config.
func (r *running) config(t testing.TB) console.Config {
	t.Helper()
	answer := send(t, r.addresses.Admin.String(), "GET /-/config")
	var c console.Config
	if err := json.Unmarshal([]byte(strings.TrimPrefix(answer, "200 ")), &c); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	return c
}

// until polls the metrics until they hold a line.
func (r *running) until(t testing.TB, line string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		metrics := send(t, r.addresses.Admin.String(), "GET /metrics")
		if strings.Contains(metrics, "\n"+line+"\n") {
			return
		}
		if time.Now().After(deadline) {
			name, _, _ := strings.Cut(line, "{")
			for l := range strings.Lines(metrics) {
				if strings.HasPrefix(l, name) {
					t.Log(l)
				}
			}
			t.Fatalf("no %s\n%s", line, r.log.String())
		}
		<-ticker.C
	}
}

func (r *running) reloaded(t testing.TB, path, text string) {
	t.Helper()
	writeFile(t, path, text)
	if err := r.Reload(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
}

// eager looks at the files all the time.
func eager(g *Gateway) { g.reload.every = 10 * time.Millisecond }

func TestAMistakeChangesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "afterchat.yaml")
	good := reloadHead + shopSource + "targets: {help: {type: http, url: \"http://help.example\"}}\n"
	writeFile(t, path, good)
	target := newShelf()
	g := startFrom(t, path, target, eager)
	before := g.config(t)
	g.until(t, "afterchat_config_last_reload_successful 1")

	writeFile(t, path, strings.Replace(good, "type: http", "type: htp", 1))
	g.until(t, "afterchat_config_last_reload_successful 0")
	during := g.config(t)
	if during.Hash != before.Hash || !during.LoadedAt.Equal(before.LoadedAt) || !strings.Contains(during.LastError, `afterchat.yaml:5:24`) {
		t.Errorf("%+v, before %+v", during, before)
	}
	if got := send(t, g.addresses.Admin.String(), "POST /-/reload"); !strings.HasPrefix(got, "422") || !strings.Contains(got, "did you mean") {
		t.Errorf("POST /-/reload: %s", got)
	}
	g.hook(t, "/in/shop/SECRET", hookOf(1, 1))
	g.settled(t)
	if diff := cmp.Diff(map[string]int{"help:1": 1}, target.keys()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	// What is missing is a file that the configuration in force does not know of: it is noticed when it comes.
	secret := filepath.Join(filepath.Dir(path), "secret")
	writeFile(t, path, strings.Replace(good, "'${env.SECRET}'", `'${file("secret")}'`, 1))
	g.reported(t, "no such file")
	writeFile(t, secret, "another-unguessable-secret\n")
	g.until(t, "afterchat_config_last_reload_successful 1")
	g.hook(t, "/in/shop/another-unguessable-secret", hookOf(2, 1))
	writeFile(t, secret, "yet-another-unguessable-secret\n")
	g.answers(t, "/in/shop/yet-another-unguessable-secret", "200")
	g.answers(t, "/in/shop/another-unguessable-secret", "404")
	if n := strings.Count(g.log.String(), "configuration.refused"); n > 4 {
		t.Errorf("the log tells of mistakes %d times", n)
	}
	for _, secret := range []string{"another-unguessable-secret", hookSecret} {
		if strings.Contains(g.log.String(), secret) {
			t.Error("a secret is in the log")
		}
	}
}

// reported waits until /-/config holds an error.
func (r *running) reported(t testing.TB, text string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !strings.Contains(r.config(t).LastError, text) {
		if time.Now().After(deadline) {
			t.Fatalf("%+v, want %q", r.config(t), text)
		}
		<-ticker.C
	}
}

// answers waits until a probe of a path is answered so.
func (r *running) answers(t testing.TB, path, status string) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !strings.HasPrefix(send(t, r.addresses.Hooks.String(), "GET "+path), status) {
		if time.Now().After(deadline) {
			t.Fatalf("%s is not answered %s\n%s", path, status, r.log.String())
		}
		<-ticker.C
	}
}

// TestKubernetesSwapsASymbolicLink: a mounted ConfigMap is a link to a link, and the one in the middle is replaced.
func TestKubernetesSwapsASymbolicLink(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	version := func(name, text string) {
		if err := os.Mkdir(filepath.Join(folder, name), 0o700); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(folder, name, "afterchat.yaml"), text)
		if err := os.Symlink(name, filepath.Join(folder, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(folder, "..data_tmp"), filepath.Join(folder, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	text := reloadHead + shopSource + "ledger: {url: \"sqlite:" + filepath.Join(t.TempDir(), "l.db") + "\"}\ntargets: {help: {type: http, url: \"http://help.example\"}}\n"
	version("..2026_1", text)
	path := filepath.Join(folder, "afterchat.yaml")
	if err := os.Symlink("..data/afterchat.yaml", path); err != nil {
		t.Fatal(err)
	}
	g := startFrom(t, path, newShelf(), eager)
	version("..2026_2", strings.Replace(text, "{shop:", "{store:", 1))
	if err := os.RemoveAll(filepath.Join(folder, "..2026_1")); err != nil {
		t.Fatal(err)
	}
	g.answers(t, "/in/store/"+hookSecret, "200")
	g.answers(t, "/in/shop/"+hookSecret, "404")
	g.until(t, `afterchat_hooks_total{result="accepted",source="store"} 0`)
}

// TestIncludedFilesAreWatched: those that are there, and those that come.
func TestIncludedFilesAreWatched(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	path := filepath.Join(folder, "afterchat.yaml")
	if err := os.Mkdir(filepath.Join(folder, "brands"), 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, reloadHead+"include: [brands/]\ntargets: {help: {type: http, url: \"http://help.example\"}}\n")
	writeFile(t, filepath.Join(folder, "brands", "a.yaml"), shopSource)
	g := startFrom(t, path, newShelf(), eager)
	writeFile(t, filepath.Join(folder, "brands", "b.yaml"), strings.Replace(shopSource, "{shop:", "{store:", 1))
	g.answers(t, "/in/store/"+hookSecret, "200")
	writeFile(t, filepath.Join(folder, "brands", "b.yaml"), strings.Replace(shopSource, "{shop:", "{outlet:", 1))
	g.answers(t, "/in/outlet/"+hookSecret, "200")
	g.answers(t, "/in/store/"+hookSecret, "404")
}

// TestARenamedTargetKeepsItsObjects: the target sees the same conversation, whatever it is called here, before and after
// a restart, and when the name comes back.
func TestARenamedTargetKeepsItsObjects(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "afterchat.yaml")
	text := func(targets string) string {
		return reloadHead + shopSource + "targets: {" + targets + "}\n"
	}
	first := text(`help: {type: http, url: "http://help.example", retry: {min: 10ms, max: 10ms}}`)
	second := text(`desk: {was: help, type: http, url: "http://help.example", retry: {min: 10ms, max: 10ms}}`)
	third := text(`help: {was: [help, desk], type: http, url: "http://help.example", retry: {min: 10ms, max: 10ms}}`)
	writeFile(t, path, first)
	target := newShelf()
	g := startFrom(t, path, target, nil)
	g.hook(t, "/in/shop/SECRET", hookOf(1, 1))
	g.settled(t)
	target.close(true)
	g.hook(t, "/in/shop/SECRET", hookOf(2, 1))
	g.reloaded(t, path, second)
	g.until(t, `afterchat_pending{target="desk"} 1`)
	target.close(false)
	g.settled(t)
	g.hook(t, "/in/shop/SECRET", hookOf(1, 2))
	g.settled(t)
	if diff := cmp.Diff(map[string]int{"help:1": 2, "help:2": 1}, target.keys()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := g.stop(); err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, third)
	g = startFrom(t, path, target, nil)
	g.hook(t, "/in/shop/SECRET", hookOf(1, 3))
	g.settled(t)
	if diff := cmp.Diff(map[string]int{"help:1": 2, "help:2": 1, "help:3": 1}, target.keys()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestARemovedTargetKeepsItsDeliveries: they wait, are seen, and go out when the target is back.
func TestARemovedTargetKeepsItsDeliveries(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "afterchat.yaml")
	help := `help: {type: http, url: "http://help.example", retry: {min: 10ms, max: 10ms}}`
	log := `log: {type: http, url: "http://log.example"}`
	both := reloadHead + shopSource + "targets: {" + help + ", " + log + "}\n"
	writeFile(t, path, both)
	target := newShelf()
	target.close(true)
	g := startFrom(t, path, target, nil)
	g.hook(t, "/in/shop/SECRET", hookOf(1, 1))
	g.reloaded(t, path, reloadHead+shopSource+"targets: {"+log+"}\n")
	g.until(t, `afterchat_pending{target="help"} 1`)
	g.until(t, `afterchat_pending{target="log"} 0`)
	if log := g.log.String(); !strings.Contains(log, "not configured") || !strings.Contains(log, "target=help pending=1") {
		t.Errorf("the log does not tell of it:\n%s", log)
	}
	target.close(false)
	g.reloaded(t, path, both)
	g.settled(t)
	if diff := cmp.Diff(map[string]int{"help:1": 1}, target.keys()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestAMergeOfTargetsIsTold: was: in a target that has the same conversations sends none of them twice, and says so.
func TestAMergeOfTargetsIsTold(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "afterchat.yaml")
	help := `help: {type: http, url: "http://help.example", retry: {min: 10ms, max: 10ms}}`
	log := `log: {type: http, url: "http://log.example"}`
	writeFile(t, path, reloadHead+shopSource+"targets: {"+help+", "+log+"}\n")
	target := newShelf()
	target.close(true)
	g := startFrom(t, path, target, nil)
	for id := range 3 {
		g.hook(t, "/in/shop/SECRET", hookOf(id+1, 1))
	}
	g.until(t, `afterchat_deliveries_total{outcome="delivered",target="log"} 3`)
	g.reloaded(t, path, reloadHead+shopSource+"targets: {"+log+"}\n")
	if log := g.log.String(); !strings.Contains(log, "if it has got a new one") {
		t.Errorf("the hint does not say what was: is for:\n%s", log)
	}
	target.close(false)
	g.reloaded(t, path, reloadHead+shopSource+"targets: {"+strings.Replace(log, "{", "{was: help, ", 1)+"}\n")
	if log := g.log.String(); !strings.Contains(log, "level=WARN msg=targets.merged target=log was=help conversations=3 superseded=3") {
		t.Errorf("the log does not tell of it:\n%s", log)
	}
	stats, err := g.ledger.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ledger.Counts{Accepted: 6, Delivered: 3, Superseded: 3}, stats.Targets["log"].Counts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	audited, err := g.ledger.AuditLog(t.Context(), ledger.Page{})
	if err != nil {
		t.Fatal(err)
	}
	if len(audited.Items) != 1 || audited.Items[0].Detail != "was help; conversations that both had: 3, deliveries superseded: 3" {
		t.Errorf("the audit log has %+v", audited.Items)
	}
	if keys := target.keys(); len(keys) > 0 {
		t.Errorf("sent to what is not configured: %v", keys)
	}
}

// TestAChangeIsSeenInTheHash: that of a setting, too, in the status and in the log.
func TestAChangeIsSeenInTheHash(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "afterchat.yaml")
	text := reloadHead + shopSource + "targets: {log: {type: http, url: \"http://log.example/one\"}}\n"
	writeFile(t, path, text)
	g := startFrom(t, path, newShelf(), nil)
	before := g.config(t)
	g.reloaded(t, path, strings.Replace(text, "/one", "/two", 1))
	after := g.config(t)
	if before.EffectiveHash == "" || after.EffectiveHash == before.EffectiveHash || after.Hash != before.Hash {
		t.Errorf("before %+v, after %+v", before, after)
	}
	for _, hash := range []string{before.EffectiveHash, after.EffectiveHash} {
		if !strings.Contains(g.log.String(), "effective_hash="+hash) {
			t.Errorf("the log does not have %s:\n%s", hash, g.log.String())
		}
	}
}

// TestARenamedSourceKeepsItsHistory: it is not silent because it has another name.
func TestARenamedSourceKeepsItsHistory(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "afterchat.yaml")
	text := reloadHead + shopSource + "targets: {help: {type: http, url: \"http://help.example\"}}\n"
	writeFile(t, path, text)
	g := startFrom(t, path, newShelf(), nil)
	g.hook(t, "/in/shop/SECRET", hookOf(1, 1))
	before, err := g.ledger.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	g.reloaded(t, path, strings.Replace(text, "{shop: {", "{store: {was: shop, path: /in/shop, ", 1))
	after, err := g.ledger.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]time.Time{"store": before.LastHook["shop"]}, after.LastHook); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	g.hook(t, "/in/shop/SECRET", hookOf(1, 2))
	g.settled(t)
	g.until(t, `afterchat_hooks_total{result="revised",source="store"} 1`)
}

func TestNeedRestart(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*config.Config){
		"server.listen":       func(c *config.Config) { c.Server.Listen = ":1" },
		"server.read_timeout": func(c *config.Config) { c.Server.ReadTimeout++ },
		"server.tls":          func(c *config.Config) { c.Server.TLS = &config.TLS{CertFile: "a"} },
		"admin.listen":        func(c *config.Config) { c.Admin.Listen = ":1" },
		"admin.pprof":         func(c *config.Config) { c.Admin.Pprof = true },
		"ledger.url":          func(c *config.Config) { c.Ledger.URL = "sqlite:other.db" },
		"log.format":          func(c *config.Config) { c.Log.Format = "json" },
		"":                    func(c *config.Config) { c.Server.MaxBody++; c.Ledger.Retention.MaxSize++; c.Log.Level = "debug" },
	} {
		boot, next := config.Defaults(), config.Defaults()
		change(&next)
		if got := strings.Join(needRestart(&boot, &next), " "); got != name {
			t.Errorf("%q needs a restart, want %q", got, name)
		}
	}
}

// TestWhatNeedsARestartIsSaid: the rest is taken over.
func TestWhatNeedsARestartIsSaid(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "afterchat.yaml")
	text := reloadHead + shopSource + "targets: {help: {type: http, url: \"http://help.example\"}}\n"
	writeFile(t, path, text)
	g := startFrom(t, path, newShelf(), nil)
	var applied []string
	g.Applied = func(c *config.Config) { applied = append(applied, c.Log.Level) }
	g.reloaded(t, path, strings.Replace(strings.Replace(text, "admin: {", "log: {level: warn}\nadmin: {pprof: true, ", 1), "{shop:", "{store:", 1))
	if got := g.config(t); !cmp.Equal(got.NeedsRestart, []string{"admin.pprof"}) {
		t.Errorf("%+v", got)
	}
	if !cmp.Equal(applied, []string{"warn"}) {
		t.Errorf("applied %q", applied)
	}
	if log := g.log.String(); !strings.Contains(log, "needs_restart=[admin.pprof]") {
		t.Errorf("the log does not say so:\n%s", log)
	}
	g.answers(t, "/in/store/"+hookSecret, "200")
}

func TestReloadEnds(t *testing.T) {
	t.Parallel()
	fixed := New(&config.Config{}, Options{})
	if err := fixed.Reload(t.Context(), "test"); err == nil {
		t.Error("a fixed configuration was reloaded")
	}
	g := startGateway(t, hookConfig, newShelf())
	g.draining.Store(true)
	if err := g.Reload(t.Context(), "test"); err == nil {
		t.Error("reloaded while shutting down")
	}
	early := New(&config.Config{}, Options{Load: func(context.Context) (*config.Config, error) { return nil, nil }})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := early.Reload(ctx, "test"); err == nil {
		t.Error("reloaded before the start")
	}
}

func TestIsLocal(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{"127.0.0.1": true, "127.8.0.1": true, "::1": true, "0.0.0.0": false, "::": false, "10.0.0.1": false} {
		if got := isLocal(&net.TCPAddr{IP: net.ParseIP(address)}); got != want {
			t.Errorf("%s: %t", address, got)
		}
	}
	if isLocal(&net.UnixAddr{}) {
		t.Error("a socket that anybody may be passed")
	}
}
