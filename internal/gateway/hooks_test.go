// This file runs hooks through a whole gateway, as testdata/hooks/*.txtar says: requests in, answers, counts and what
// the target got out.

package gateway

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/connectors/builtin"
)

var update = flag.Bool("update", false, "write golden files anew")

const hookSecret = "an-unguessable-secret"

// hookConfig is the configuration of a case that brings none of its own.
const hookConfig = `version: 1
server: {listen: "127.0.0.1:0", drain_delay: 0s, max_body: 4MiB}
admin: {listen: "127.0.0.1:0"}
sources:
  shop: {type: smartsupp, path: /in/shop, secret: '${env.SECRET}'}
  outlet: {type: smartsupp, path: /in/outlet, secret: '${env.SECRET}'}
  desk: {type: proprofs, path: /in/desk, secret: '${env.SECRET}', time_zone: Asia/Kolkata}
targets:
  help: {type: http, url: "http://help.example/chats"}
`

// desk is the target of the cases: it keeps what it is sent.
type desk struct {
	mu       sync.Mutex
	received []string
}

// RoundTrip implements http.RoundTripper, so that nothing leaves the process.
func (d *desk) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var c struct {
		ID         string
		Revision   int
		Source     string
		ExternalID string `json:"external_id"`
		Outcome    string
		Question   string
		Visitor    struct{ Name, Email string }
		Messages   []struct{ Role, Author, Text, Event string }
	}
	if err := json.Unmarshal(body, &c); err != nil {
		return nil, err
	}
	line := fmt.Sprintf("%s revision %d from %s, %s, visitor %q %q", c.ExternalID, c.Revision, c.Source, c.Outcome, c.Visitor.Name, c.Visitor.Email)
	if c.Question != "" {
		line += fmt.Sprintf(", question %q", c.Question)
	}
	for i, m := range c.Messages {
		if i == 6 {
			line += fmt.Sprintf("\n    … %d messages", len(c.Messages))
			break
		}
		text := m.Text + m.Event
		if len(text) > 80 {
			text = fmt.Sprintf("%s… (%d bytes)", text[:40], len(text))
		}
		line += fmt.Sprintf("\n    %s %q: %q", m.Role, m.Author, text)
	}
	d.mu.Lock()
	d.received = append(d.received, line)
	d.mu.Unlock()
	return &http.Response{StatusCode: http.StatusCreated, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("{}")), Request: r}, nil
}

// running is a gateway that has started.
type running struct {
	*Gateway
	addresses Addresses
	log       *lockedBuffer
	stop      func() error
}

func startGateway(t testing.TB, text string, transport http.RoundTripper) *running {
	t.Helper()
	path := filepath.Join(t.TempDir(), "afterchat.yaml")
	writeFile(t, path, text)
	return startFrom(t, path, transport, nil)
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// startFrom starts a gateway with the configuration at path; change may change it before.
func startFrom(t testing.TB, path string, transport http.RoundTripper, change func(*Gateway)) *running {
	t.Helper()
	load := func(context.Context) (*config.Config, error) {
		return config.Load(path, config.Known{Targets: builtin.Types(), Sources: SourceTypes()}, config.Environment{
			LookupEnv: func(name string) (string, bool) { return hookSecret, name == "SECRET" }, ReadFile: os.ReadFile,
		})
	}
	cfg, err := load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := &running{log: &lockedBuffer{}}
	started, ended := make(chan Addresses, 1), make(chan error, 1)
	r.Gateway = New(cfg, Options{
		Version: "test", Transport: transport, Load: load, Started: func(a Addresses) { started <- a },
		Logger: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if change != nil {
		change(r.Gateway)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { ended <- r.Run(ctx) }()
	r.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = r.stop() })
	select {
	case r.addresses = <-started:
	case err := <-ended:
		ended <- err
		t.Fatalf("the gateway did not start: %v", err)
	}
	return r
}

type lockedBuffer struct {
	mu sync.Mutex
	to bytes.Buffer
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.to.String()
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.to.Write(p)
}

// settled waits until no delivery is pending.
func (r *running) settled(t testing.TB) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		stats, err := r.ledger.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		pending := int64(0)
		for _, s := range stats.Targets {
			pending += s.Pending
		}
		if pending == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d deliveries are still pending", pending)
		}
		<-ticker.C
	}
}

// send writes one request of a case to the wire and returns the answer. Lines before the blank line are the request
// line and headers; headers that begin with Test- say how the body is sent: quoted (Go syntax), gzip, chunked,
// repeat N (the body so many times), zeros N (a gzip bomb of so many bytes), long N (LONG is so many characters),
// nested N (NESTED is an object so many levels deep).
func send(t testing.TB, address, request string) string {
	t.Helper()
	head, body, _ := strings.Cut(request, "\n\n")
	lines := strings.Split(strings.TrimSpace(head), "\n")
	first := strings.Fields(strings.ReplaceAll(lines[0], "SECRET", hookSecret))
	protocol := "HTTP/1.1"
	if len(first) > 2 {
		protocol = first[2]
	}
	payload := []byte(strings.TrimSuffix(body, "\n"))
	var headers []string
	chunked := false
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		switch name {
		case "Test-Quoted":
			text, err := strconv.Unquote(string(payload))
			if err != nil {
				t.Fatal(err)
			}
			payload = []byte(text)
		case "Test-Repeat":
			n, _ := strconv.Atoi(value)
			payload = bytes.Repeat(payload, n)
		case "Test-Zeros":
			n, _ := strconv.Atoi(value)
			payload = zipped(t, make([]byte, n))
		case "Test-Long":
			n, _ := strconv.Atoi(value)
			payload = bytes.ReplaceAll(payload, []byte("LONG"), bytes.Repeat([]byte("x"), n))
		case "Test-Nested":
			n, _ := strconv.Atoi(value)
			nested := strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n)
			payload = bytes.ReplaceAll(payload, []byte("NESTED"), []byte(nested))
		case "Test-Gzip":
			payload = zipped(t, payload)
		case "Test-Chunked":
			chunked = true
		default:
			headers = append(headers, line)
		}
	}
	if chunked {
		headers = append(headers, "Transfer-Encoding: chunked")
	} else if first[0] != http.MethodGet && first[0] != http.MethodHead {
		headers = append(headers, fmt.Sprintf("Content-Length: %d", len(payload)))
	}
	connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	if err := connection.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	go func() { // the answer may come before the body has been sent
		_, _ = fmt.Fprintf(connection, "%s %s %s\r\nHost: localhost\r\nConnection: close\r\n%s\r\n\r\n", first[0], first[1], protocol, strings.Join(headers, "\r\n"))
		if !chunked {
			_, _ = connection.Write(payload)
			return
		}
		for chunk := range slices.Chunk(payload, 1000) {
			_, _ = fmt.Fprintf(connection, "%x\r\n%s\r\n", len(chunk), chunk)
		}
		_, _ = io.WriteString(connection, "0\r\n\r\n")
	}()
	reader := bufio.NewReader(connection)
	response, err := http.ReadResponse(reader, &http.Request{Method: first[0]})
	if err == nil && response.StatusCode == http.StatusContinue {
		response, err = http.ReadResponse(reader, &http.Request{Method: first[0]})
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	out := strconv.Itoa(response.StatusCode)
	for _, name := range []string{"Allow", "Retry-After", "Www-Authenticate"} {
		if v := response.Header.Get(name); v != "" {
			out += fmt.Sprintf(" %s: %s", name, v)
		}
	}
	if kind := response.Header.Get("Content-Type"); kind != "application/json" {
		out += " (" + kind + ")"
	}
	return out + " " + string(answer)
}

func zipped(t testing.TB, body []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(body); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

var hookCounter = regexp.MustCompile(`(?m)^afterchat_hooks_total\{result="(\w+)",source="(\w+)"\} ([1-9]\d*)$`)

func TestHooks(t *testing.T) {
	t.Parallel()
	cases, err := filepath.Glob("testdata/hooks/*.txtar")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, path := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := runCase(t, archive)
			want := ""
			for i, f := range archive.Files {
				if f.Name == "want" {
					want = string(f.Data)
					archive.Files[i].Data = []byte(got)
				}
			}
			if *update {
				if want == "" {
					archive.Files = append(archive.Files, txtar.File{Name: "want", Data: []byte(got)})
				}
				if err := os.WriteFile(path, txtar.Format(archive), 0o600); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got; -update writes it anew)\n%s", diff)
			}
		})
	}
}

// runCase sends the requests of a case one after the other and tells what came of them.
func runCase(t *testing.T, archive *txtar.Archive) string {
	t.Helper()
	text := hookConfig
	for _, f := range archive.Files {
		if f.Name == "afterchat.yaml" {
			text = string(f.Data)
		}
	}
	target := &desk{}
	g := startGateway(t, text, target)
	var out strings.Builder
	for _, f := range archive.Files {
		if name, ok := strings.CutSuffix(f.Name, ".http"); ok {
			_, _ = fmt.Fprintf(&out, "%s: %s\n", name, send(t, g.addresses.Hooks.String(), string(f.Data)))
			g.settled(t)
		}
	}
	metrics := send(t, g.addresses.Admin.String(), "GET /metrics")
	for _, m := range hookCounter.FindAllStringSubmatch(metrics, -1) {
		_, _ = fmt.Fprintf(&out, "hooks of %s %s: %s\n", m[2], m[1], m[3])
	}
	target.mu.Lock()
	defer target.mu.Unlock()
	for _, line := range target.received {
		out.WriteString("target got " + line + "\n")
	}
	if err := g.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if log := g.log.String(); strings.Contains(log, hookSecret) {
		t.Errorf("the secret is in the log:\n%s", log)
	}
	return out.String()
}
