// This file holds the servers that scripts talk to: a gateway, and a vendor.

package cmd_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/connectors/builtin"
	"github.com/afterchat/afterchat/internal/gateway"
)

// serverCommands are further commands of scripts.
func serverCommands() map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"gateway": startGateway, "vendor": startVendor, "certificate": writeCertificate, "damage": damageFile,
		"waitfor": waitFor, "conversation": conversationID,
	}
}

// startGateway runs `gateway FILE`: a gateway with that configuration until the script ends. Its server.listen must be
// 127.0.0.1:0, and admin.listen may be; the file then gets the addresses that it listens on. server stands above admin.
func startGateway(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: gateway FILE")
	}
	path := ts.MkAbs(args[0])
	known := config.Known{Targets: builtin.Types(), Sources: gateway.SourceTypes()}
	cfg, err := config.Load(path, known, config.Environment{LookupEnv: func(name string) (string, bool) {
		value := ts.Getenv(name)
		return value, value != ""
	}})
	ts.Check(err)
	ctx, cancel := context.WithCancel(context.Background())
	started, ended := make(chan gateway.Addresses, 1), make(chan error, 1)
	g := gateway.New(cfg, gateway.Options{
		Version: "test", Logger: slog.New(slog.DiscardHandler),
		Started: func(a gateway.Addresses) { started <- a },
	})
	go func() { ended <- g.Run(ctx) }()
	ts.Defer(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			ts.Logf("gateway: %v", err)
		}
	})
	select {
	case err := <-ended:
		ended <- err
		ts.Fatalf("gateway: %v", err)
	case a := <-started:
		text := ts.ReadFile(args[0])
		text = strings.Replace(text, "127.0.0.1:0", a.Hooks.String(), 1)
		ts.Check(os.WriteFile(path, []byte(strings.Replace(text, "127.0.0.1:0", a.Admin.String(), 1)), 0o644))
		ts.Setenv("HOOKS", a.Hooks.String())
		ts.Setenv("ADMIN", a.Admin.String())
	}
}

// startVendor runs `vendor NAME STATUS`: an API whose address is in the variable NAME and that answers every request
// with STATUS. What it got is written to NAME.log.
func startVendor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: vendor NAME STATUS")
	}
	status, err := strconv.Atoi(args[1])
	ts.Check(err)
	log, err := os.Create(ts.MkAbs(args[0] + ".log"))
	ts.Check(err)
	var turn sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		turn.Lock()
		defer turn.Unlock()
		body, _ := io.ReadAll(r.Body)
		_, _ = fmt.Fprintf(log, "%s %s %s\n", r.Method, r.URL.Path, body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"id": 4711, "url": "https://desk.example.com/4711"}`)
	}))
	ts.Defer(func() {
		server.Close()
		_ = log.Close()
	})
	ts.Setenv(args[0], server.URL)
}

// writeCertificate runs `certificate CERT KEY`: a certificate for hooks.example.com that no authority knows.
func writeCertificate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: certificate CERT KEY")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"hooks.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	ts.Check(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	for i, block := range []*pem.Block{{Type: "CERTIFICATE", Bytes: certificate}, {Type: "PRIVATE KEY", Bytes: private}} {
		ts.Check(os.WriteFile(ts.MkAbs(args[i]), pem.EncodeToMemory(block), 0o600))
	}
}

// damageFile runs `damage FILE OFFSET`: one bit of that byte is flipped.
func damageFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: damage FILE OFFSET")
	}
	at, err := strconv.Atoi(args[1])
	ts.Check(err)
	content, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	content[at] ^= 4
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), content, 0o600))
}
