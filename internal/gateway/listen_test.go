// This file tests the listeners: certificates that change, senders that are slow, memory that is short.

package gateway

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// writePair writes a self-signed certificate with a serial number.
func writePair(t *testing.T, folder string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "hooks"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "EC PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(filepath.Join(folder, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTLSFilesAreReadAgainWhenTheyChange(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	writePair(t, folder, 1)
	// One path from the root, one from the folder of the configuration, which is another one.
	g := startGateway(t, strings.Replace(hookConfig, "server: {", fmt.Sprintf("server: {tls: {cert_file: %q, key_file: %q}, ",
		filepath.Join(folder, "cert.pem"), filepath.Join("..", filepath.Base(folder), "key.pem")), 1), &desk{})
	serial := func() int64 {
		dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} // the certificate is what is looked at
		connection, err := dialer.DialContext(t.Context(), "tcp", g.addresses.Hooks.String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = connection.Close() }()
		return connection.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if n := serial(); n != 1 {
		t.Fatalf("serial %d", n)
	}
	if err := os.WriteFile(filepath.Join(folder, "key.pem"), []byte("half a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if n := serial(); n != 1 {
		t.Fatalf("with a broken pair on disk: serial %d, want the old one", n)
	}
	writePair(t, folder, 2)
	deadline := time.Now().Add(10 * time.Second)
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for serial() != 2 {
		if time.Now().After(deadline) {
			t.Fatal("the new certificate is not served")
		}
		<-ticker.C
	}
}

func TestSlowSenderIsAnswered408(t *testing.T) {
	t.Parallel()
	g := startGateway(t, strings.Replace(hookConfig, "max_body: 4MiB", "read_timeout: 300ms", 1), &desk{})
	connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", g.addresses.Hooks.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	if _, err := fmt.Fprintf(connection, "POST /in/shop/%s HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\n{", hookSecret); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusRequestTimeout {
		t.Errorf("%s", response.Status)
	}
}

// TestSilentSenderIsCutOff: a client that never ends its headers holds a connection, but not for long.
func TestSilentSenderIsCutOff(t *testing.T) {
	t.Parallel()
	g := startGateway(t, strings.Replace(hookConfig, "max_body: 4MiB", "read_timeout: 300ms", 1), &desk{})
	connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", g.addresses.Hooks.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	if err := connection.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(connection, "POST /in/shop HTTP/1.1\r\nHost: te"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, connection); err != nil {
		t.Errorf("the connection was not closed: %v", err)
	}
}

// TestMemoryIsBounded: while one sender holds all the memory for bodies, another is told to come back, and may when
// the first has gone.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	g := startGateway(t, strings.Replace(hookConfig, "max_body: 4MiB", "max_body: 1MiB, max_in_flight: 1MiB, read_timeout: 10s", 1), &desk{})
	address := g.addresses.Hooks.String()
	// hog sends all of a large body but its end. It is refused itself while another hook is being read.
	hog := func() net.Conn {
		connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fmt.Fprintf(connection, "POST /in/shop/%s HTTP/1.1\r\nHost: test\r\nContent-Length: 1048000\r\n\r\n%s", hookSecret, strings.Repeat(" ", 1047000)); err != nil {
			t.Logf("the large hook was refused: %v", err)
		}
		return connection
	}
	hook := "POST /in/shop/SECRET\n\n" + `{"accountId":1,"channel":{"id":7},"messages":[{"type":"visitor","from":"visitor:a","content":"` + strings.Repeat("x", 1000) + `"}]}`
	deadline := time.Now().Add(8 * time.Second)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	large := hog()
	for <-ticker.C; ; <-ticker.C {
		answer := send(t, address, hook)
		if strings.HasPrefix(answer, "503 Retry-After: ") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("beside a large hook: %s", answer)
		}
		_ = large.Close()
		large = hog()
	}
	_ = large.Close()
	for answer := ""; !strings.HasPrefix(answer, "200 "); <-ticker.C {
		if answer = send(t, address, hook); time.Now().After(deadline) {
			t.Fatalf("when the large hook has gone: %s", answer)
		}
	}
}

func TestReadyzSaysWhyNot(t *testing.T) {
	t.Parallel()
	g := startGateway(t, hookConfig, &desk{})
	if got := send(t, g.addresses.Admin.String(), "GET /readyz"); !strings.HasPrefix(got, "200") {
		t.Errorf("readyz: %s", got)
	}
	g.draining.Store(true)
	if got := send(t, g.addresses.Admin.String(), "GET /readyz"); !strings.HasPrefix(got, "503") || !strings.Contains(got, "shutting down") {
		t.Errorf("readyz while draining: %s", got)
	}
	if got := send(t, g.addresses.Admin.String(), "GET /healthz"); !strings.HasPrefix(got, "200") {
		t.Errorf("healthz while draining: %s", got)
	}
}

func TestASecondGatewayOnTheSameLedgerIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "ledger.db")
	text := strings.Replace(hookConfig, "sources:", fmt.Sprintf("ledger: {url: %q}\nsources:", "sqlite:"+path), 1)
	first := startGateway(t, text, &desk{})
	second := New(first.boot, Options{Version: "test", Logger: first.Logger})
	err := second.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("second: %v", err)
	}
}

// TestHooksOnOpenConnectionsAreTakenWhileDraining: a sender that keeps a connection is told to leave it, not cut off.
func TestHooksOnOpenConnectionsAreTakenWhileDraining(t *testing.T) {
	t.Parallel()
	g := startGateway(t, strings.Replace(hookConfig, "drain_delay: 0s", "drain_delay: 5s", 1), &desk{})
	connection, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", g.addresses.Hooks.String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	reader := bufio.NewReader(connection)
	post := func(id int) (status int, closes bool) {
		body := fmt.Sprintf(`{"accountId":1,"channel":{"id":%d},"messages":[{"type":"visitor","from":"visitor:a","content":"Hello"}]}`, id)
		if _, err := fmt.Fprintf(connection, "POST /in/shop/%s HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n%s", hookSecret, len(body), body); err != nil {
			t.Fatal(err)
		}
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		return response.StatusCode, response.Close
	}
	if status, closes := post(1); status != http.StatusOK || closes {
		t.Fatalf("%d, closes %v", status, closes)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- g.stop() }()
	for deadline := time.Now().Add(4 * time.Second); !strings.HasPrefix(send(t, g.addresses.Admin.String(), "GET /readyz"), "503"); {
		if time.Now().After(deadline) {
			t.Fatal("readyz does not turn 503")
		}
	}
	if status, closes := post(2); status != http.StatusOK || !closes {
		t.Errorf("while draining: %d, closes %v; want 200 and a close", status, closes)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// TestReadyzTellsThatTheLedgerIsFull: an orchestrator and an operator see what the senders see.
func TestReadyzTellsThatTheLedgerIsFull(t *testing.T) {
	t.Parallel()
	g := startGateway(t, strings.Replace(hookConfig, "sources:", "ledger: {retention: {max_size: 4KiB}}\nsources:", 1), &desk{})
	if got := send(t, g.addresses.Admin.String(), "GET /readyz"); !strings.HasPrefix(got, "503") || !strings.Contains(got, "max_size") {
		t.Errorf("readyz: %s", got)
	}
}

// TestInflatedBodiesAreBounded: many small bodies that become large ones at once take no more memory than is allowed.
func TestInflatedBodiesAreBounded(t *testing.T) {
	t.Parallel()
	g := startGateway(t, strings.Replace(hookConfig, "max_body: 4MiB", "max_body: 4MiB, max_in_flight: 4MiB", 1), &desk{})
	bomb := "POST /in/shop/SECRET\nContent-Encoding: gzip\nTest-Zeros: 4000000\n\n"
	answers := make(chan string, 16)
	for range cap(answers) {
		go func() { answers <- send(t, g.addresses.Hooks.String(), bomb) }()
	}
	refused := 0
	for range cap(answers) {
		if strings.HasPrefix(<-answers, "503 Retry-After: ") {
			refused++
		}
	}
	if refused == 0 {
		t.Error("16 bodies of 4 MB at once were taken with room for one")
	}
	if answer := send(t, g.addresses.Hooks.String(), bomb); !strings.HasPrefix(answer, "200 ") {
		t.Errorf("afterwards: %s", answer)
	}
}
