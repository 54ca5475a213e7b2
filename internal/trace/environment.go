// This file reads the variables that turn traces on and say where they go. They are those of the OpenTelemetry
// specification, "Environment Variable Specification" and "OpenTelemetry Protocol Exporter".

package trace

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// settings are what the variables say of the collector.
type settings struct {
	endpoint *url.URL
	header   http.Header
	timeout  time.Duration // of one request
	gzip     bool
	tls      *tls.Config // nil: what the machine trusts
}

const (
	defaultEndpoint = "http://localhost:4318"
	defaultTimeout  = 10 * time.Second
)

// variables looks up what is set, without the spaces around it.
type variables func(string) string

func (v variables) get(name string) string { return strings.TrimSpace(v(name)) }

// otlp returns the first variable that is set: the one for traces, or the one for all signals. "" and "" for none.
func (v variables) otlp(name string) (variable, value string) {
	for _, variable := range []string{"OTEL_EXPORTER_OTLP_TRACES_" + name, "OTEL_EXPORTER_OTLP_" + name} {
		if value := v.get(variable); value != "" {
			return variable, value
		}
	}
	return "", ""
}

// read returns what the variables ask for, nil if they ask for no traces. No error holds the value of a variable that
// may be a secret.
func read(getenv func(string) string) (*settings, error) {
	v := variables(getenv)
	if wanted, err := v.wanted(); !wanted || err != nil {
		return nil, err
	}
	if name, protocol := v.otlp("PROTOCOL"); protocol == "grpc" {
		return nil, fmt.Errorf("%s is grpc; only OTLP over HTTP is spoken here: write http/json and the address of that receiver, often port 4318", name)
	}
	s := &settings{timeout: defaultTimeout}
	var err error
	if s.endpoint, err = v.endpoint(); err != nil {
		return nil, err
	}
	if s.header, err = v.header(); err != nil {
		return nil, err
	}
	if name, value := v.otlp("TIMEOUT"); value != "" {
		ms, err := strconv.Atoi(value)
		if err != nil || ms <= 0 {
			return nil, fmt.Errorf("%s is %q, not a number of milliseconds", name, value)
		}
		s.timeout = time.Duration(ms) * time.Millisecond
	}
	switch name, value := v.otlp("COMPRESSION"); value {
	case "", "none":
	case "gzip":
		s.gzip = true
	default:
		return nil, fmt.Errorf("%s is %q; it can be gzip or none", name, value)
	}
	s.tls, err = v.tls()
	return s, err
}

// wanted tells whether traces are asked for.
func (v variables) wanted() (bool, error) {
	if strings.EqualFold(v.get("OTEL_SDK_DISABLED"), "true") {
		return false, nil
	}
	exporters := v.get("OTEL_TRACES_EXPORTER")
	if exporters == "" {
		_, endpoint := v.otlp("ENDPOINT")
		return endpoint != "", nil
	}
	for name := range strings.SplitSeq(exporters, ",") {
		switch strings.TrimSpace(name) {
		case "otlp":
			return true, nil
		case "none":
			return false, nil
		}
	}
	return false, fmt.Errorf("OTEL_TRACES_EXPORTER is %q; it can be otlp or none", exporters)
}

// endpoint is where spans are posted. The address for all signals is the base of that for traces.
func (v variables) endpoint() (*url.URL, error) {
	name, text := v.otlp("ENDPOINT")
	at, err := url.Parse(cmp.Or(text, defaultEndpoint))
	if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" {
		return nil, fmt.Errorf("%s is no address of a collector; write one such as %s", name, defaultEndpoint)
	}
	if name != "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" {
		at = at.JoinPath("v1/traces")
	}
	return at, nil
}

// header reads name=value,name=value, where both may be percent-encoded.
func (v variables) header() (http.Header, error) {
	header := http.Header{}
	name, list := v.otlp("HEADERS")
	number := 0
	for entry := range strings.SplitSeq(list, ",") {
		number++
		if strings.TrimSpace(entry) == "" {
			continue
		}
		key, value, found := strings.Cut(entry, "=")
		plainKey, err := url.PathUnescape(strings.TrimSpace(key))
		plain, err2 := url.PathUnescape(strings.TrimSpace(value))
		if !found || plainKey == "" || err != nil || err2 != nil {
			return nil, fmt.Errorf("%s: entry %d is not name=value with values percent-encoded", name, number)
		}
		header.Set(plainKey, plain)
	}
	return header, nil
}

// tls reads whom to trust and who we are; nil if nothing is said.
func (v variables) tls() (*tls.Config, error) {
	trustName, trust := v.otlp("CERTIFICATE")
	certificateName, certificate := v.otlp("CLIENT_CERTIFICATE")
	_, key := v.otlp("CLIENT_KEY")
	if trust == "" && certificate == "" {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if trust != "" {
		text, err := os.ReadFile(trust)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", trustName, err)
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s: %s holds no certificate", trustName, trust)
		}
	}
	if certificate != "" {
		if key == "" {
			return nil, errors.New(certificateName + " is set without its CLIENT_KEY")
		}
		pair, err := tls.LoadX509KeyPair(certificate, key)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", certificateName, err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
