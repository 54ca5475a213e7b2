// Package connectortest is the suite that every connector passes. It imports the standard library and the contract
// only, so that a connector in a module of its own can run it, too.
//
//	func TestConnector(t *testing.T) {
//		connectortest.Run(t, connectortest.Suite{
//			Type: acme.Type(),
//			Open: func(t *testing.T) connectortest.Target {
//				vendor := acmetest.New() // a stateful fake of the vendor's API
//				settings := acme.Type().Settings().(*acme.Settings)
//				settings.Token = secret.New(connectortest.Canary)
//				return connectortest.Target{Settings: settings, Vendor: vendor, Count: vendor.Count}
//			},
//			Record: func(n, revision int) map[string]any {
//				return map[string]any{"title": fmt.Sprintf("chat %d, revision %d", n, revision)}
//			},
//		})
//	}
//
// This file declares the suite; the rules are in push.go, faults.go and declare.go.
package connectortest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/afterchat/afterchat/connectors"
)

// Canary is the text that every secret of the settings must hold. It must never appear in an error or a log.
const Canary = "canary-4b1d-do-not-print"

// Suite says how to test one type.
type Suite struct {
	Type connectors.Type

	// Open makes a fresh, empty target and the settings that lead to it. It is called for each test.
	Open func(t *testing.T) Target

	// Record returns the fields of the n-th conversation (1, 2, …) in a revision. Different n must make different
	// objects. It returns a new map each time.
	Record func(n, revision int) map[string]any

	// Kinds says what a status means where this vendor differs from the usual: 400 and 422 Rejected, 401 Denied,
	// 500 Temporary.
	Kinds map[int]connectors.Kind

	// Appends says that a revision makes a further object by design, as a line in a log does.
	Appends bool

	// Folder holds the connector's README.md; empty: the folder of the test.
	Folder string
}

// Target is one fresh target.
type Target struct {
	Settings any          // filled, of the type that Type.Settings returns; every secret in it holds Canary
	Folder   string       // becomes Env.Folder
	Vendor   http.Handler // a fake of the vendor, reached through Env.Transport; nil: the target is not on HTTP
	Count    func() int   // how many objects the target holds
}

// Run runs the suite.
func Run(t *testing.T, s Suite) {
	t.Helper()
	if s.Open == nil || s.Record == nil {
		t.Fatal("connectortest: Open and Record are required")
	}
	for _, test := range slicesOf(declareTests(), pushTests(), faultTests()) {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, s)
		})
	}
}

type test struct {
	name string
	run  func(*testing.T, Suite)
}

func slicesOf(lists ...[]test) []test {
	var all []test
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

// bench is one opened connector with what it talks to and what it logged.
type bench struct {
	connectors.Connector
	suite  Suite
	target Target
	wire   *Wire // nil without a Vendor
	logs   *logBuffer
}

func (s Suite) bench(t *testing.T) *bench {
	t.Helper()
	b := &bench{suite: s, target: s.Open(t), logs: &logBuffer{}}
	env := b.env()
	if b.target.Vendor != nil {
		b.wire = NewWire(b.target.Vendor)
		env.Transport = b.wire
	}
	var err error
	if b.Connector, err = s.Type.Open(b.target.Settings, env); err != nil {
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		if strings.Contains(b.logs.String(), Canary) {
			t.Errorf("a secret was logged:\n%s", b.logs)
		}
	})
	return b
}

func (b *bench) env() connectors.Env {
	return connectors.Env{
		Target: "under_test", Folder: b.target.Folder, Version: "0.0.0-test", Timeout: 10 * time.Second,
		Logger: slog.New(slog.NewTextHandler(b.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

// record is the n-th conversation in a revision, on its first try.
func (s Suite) record(n, revision int) connectors.Record {
	return connectors.Record{
		Object:  fmt.Sprintf("object-%04d", n),
		Request: fmt.Sprintf("object-%04d.%d", n, revision), Revision: revision, Attempt: 1,
		Fields: s.Record(n, revision),
	}
}

// mustPush fails the test unless the target takes rec.
func (b *bench) mustPush(t *testing.T, rec connectors.Record) connectors.Receipt {
	t.Helper()
	receipt, err := b.Push(t.Context(), rec)
	if err != nil {
		t.Fatalf("push %s: %v", rec.Request, err)
	}
	return receipt
}

// wantCount fails unless the target holds want objects.
func (b *bench) wantCount(t *testing.T, want int, why string) {
	t.Helper()
	if got := b.target.Count(); got != want {
		t.Errorf("the target holds %d objects, want %d: %s", got, want, why)
	}
}

// sound checks what must be true of every error and returns its classification.
func (b *bench) sound(t *testing.T, err error) *connectors.Error {
	t.Helper()
	e := connectors.Classify(err)
	if e == nil {
		t.Fatal("no error")
	}
	switch text := e.Error(); {
	case strings.TrimSpace(text) == "":
		t.Error("the error has no text")
	case strings.Contains(err.Error()+text+e.Hint+fmt.Sprintf("%+v", *e), Canary):
		t.Errorf("the error holds a secret: %v (hint %q)", err, e.Hint)
	case strings.ContainsAny(text, "\n\r"):
		t.Errorf("the error is more than one line: %q", text)
	case text == context.DeadlineExceeded.Error() || text == context.Canceled.Error():
		t.Errorf("the error %q says nothing about the target", text)
	}
	if e.Kind < connectors.Temporary || e.Kind > connectors.Denied {
		t.Errorf("the error has kind %d, which does not exist", e.Kind)
	}
	if e.Kind == connectors.Denied && e.Hint == "" {
		t.Errorf("the error denies the target and has no hint for the operator: %v", err)
	}
	if e.After < 0 || e.After > 24*time.Hour {
		t.Errorf("After = %v, want 0 to 24h", e.After)
	}
	return e
}

// logBuffer is what a connector logs, from several goroutines.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
