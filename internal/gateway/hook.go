// This file sends a hook to a running gateway as a chat platform would, with the secrets of the configuration.

package gateway

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/afterchat/afterchat/config"
)

// Answer is what a gateway said to a hook.
type Answer struct {
	Status int
	Body   string // at most 64 KiB
}

// maxAnswer is how much of an answer is read, in bytes.
const maxAnswer = 64 << 10

// ErrNoPort is the error of PostHook without a base where server.listen leaves the port to the system.
var ErrNoPort = errors.New("server.listen has no fixed port; say where the gateway is")

// PostHook sends a body to a source of the gateway at base, such as https://chats.example.com. own says that base is
// this configuration's own listener: then its certificate is the one of server.tls, whatever name it was called by.
// Redirects are not followed. No error holds the secret.
func PostHook(ctx context.Context, cfg *config.Config, source, base string, own bool, body []byte, contentType string) (Answer, error) {
	i := slices.IndexFunc(cfg.Sources, func(s config.Source) bool { return s.Name == source })
	if i < 0 {
		var names []string
		for _, s := range cfg.Sources {
			names = append(names, s.Name)
		}
		return Answer{}, unknownName("source", source, names)
	}
	request, err := hookRequest(ctx, cfg.Sources[i], base, body, contentType)
	if err != nil {
		return Answer{}, err
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if files := cfg.TLSFiles(); own && files != nil {
		trust, err := trustOwn(files.CertFile)
		if err != nil {
			return Answer{}, fmt.Errorf("server.tls: %w", err)
		}
		client.Transport = &http.Transport{TLSClientConfig: trust}
	}
	response, err := client.Do(request)
	if err != nil {
		return Answer{}, withoutURL(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	return Answer{Status: response.StatusCode, Body: strings.TrimSpace(string(text))}, withoutURL(err)
}

// hookRequest is the request with all that the source asks of its sender.
func hookRequest(ctx context.Context, s config.Source, base string, body []byte, contentType string) (*http.Request, error) {
	at, err := url.Parse(base)
	if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" {
		return nil, fmt.Errorf("%q is no address of a gateway; write one such as https://chats.example.com", base)
	}
	if at.Port() == "0" {
		return nil, ErrNoPort
	}
	at = at.JoinPath(s.Path)
	if len(s.Secret) > 0 {
		at = at.JoinPath(s.Secret[0].Reveal())
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, at.String(), bytes.NewReader(body))
	if err != nil {
		return nil, withoutURL(err)
	}
	request.Header.Set("Content-Type", contentType)
	if s.Basic != nil {
		request.SetBasicAuth(s.Basic.User, s.Basic.Password.Reveal())
	}
	if s.HMAC != nil {
		mac := hmac.New(sha256.New, []byte(s.HMAC.Secret.Reveal()))
		mac.Write(body)
		encode := hex.EncodeToString
		if s.HMAC.Encoding == "base64" {
			encode = base64.StdEncoding.EncodeToString
		}
		request.Header.Set(s.HMAC.Header, encode(mac.Sum(nil)))
	}
	return request, nil
}

// trustOwn trusts the certificate in a PEM file, and nothing else.
func trustOwn(file string) (*tls.Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	trusted := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if len(certificate.DNSNames) > 0 {
		trusted.ServerName = strings.Replace(certificate.DNSNames[0], "*", "any", 1)
	}
	return trusted, nil
}

// withoutURL takes the address, which holds the secret, out of an error.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
