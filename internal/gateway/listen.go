// This file opens the listeners: from systemd where it passes sockets, else by address; TLS with files that are read
// again when they change.

package gateway

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/afterchat/afterchat/config"
)

type listeners struct {
	hooks, admin net.Listener
	activated    bool // the hooks socket belongs to systemd, which keeps it open when we stop
}

func (l *listeners) close() {
	_ = l.hooks.Close()
	_ = l.admin.Close()
}

// listen opens both listeners. Sockets that systemd passes are known by their FileDescriptorName, hooks and admin.
func listen(ctx context.Context, cfg *config.Config, logger *slog.Logger) (*listeners, error) {
	passed, err := activation.ListenersWithNames()
	if err != nil {
		return nil, fmt.Errorf("taking sockets from systemd: %w", err)
	}
	for name := range passed {
		if name != "hooks" && name != "admin" {
			logger.Warn("systemd passed a socket with an unknown name; set FileDescriptorName= to hooks or admin", "name", name)
		}
	}
	var l listeners
	open := func(name, key, address string) (net.Listener, bool, error) {
		if sockets := passed[name]; len(sockets) > 0 {
			return sockets[0], true, nil
		}
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			return nil, false, fmt.Errorf("%s %s: %w; is another program, or another afterchat, using it?", key, address, err)
		}
		return listener, false, nil
	}
	if l.hooks, l.activated, err = open("hooks", "server.listen", cfg.Server.Listen); err != nil {
		return nil, err
	}
	if l.admin, _, err = open("admin", "admin.listen", cfg.Admin.Listen); err != nil {
		_ = l.hooks.Close()
		return nil, err
	}
	for _, secure := range []struct {
		key      string
		files    *config.TLS
		listener *net.Listener
	}{{"server.tls", cfg.TLSFiles(), &l.hooks}, {"admin.tls", cfg.AdminTLSFiles(), &l.admin}} {
		if secure.files == nil {
			continue
		}
		pair := &certificate{key: secure.key, files: *secure.files, logger: logger}
		if err := pair.load(); err != nil {
			l.close()
			return nil, err
		}
		*secure.listener = tls.NewListener(*secure.listener, &tls.Config{
			MinVersion: tls.VersionTLS12, GetCertificate: pair.get, NextProtos: []string{"h2", "http/1.1"},
		})
	}
	return &l, nil
}

// server makes a server that a slow or silent client cannot hold.
func (g *Gateway) server(handler http.Handler, read time.Duration) *http.Server {
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: min(read, 10*time.Second), ReadTimeout: read,
		WriteTimeout: read + time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(g.Logger.Handler(), slog.LevelDebug),
	}
}

// certificate serves a pair of PEM files as they are now.
type certificate struct {
	key    string // in the configuration
	files  config.TLS
	logger *slog.Logger

	mu       sync.Mutex
	pair     *tls.Certificate
	stamp    string // size and time of both files
	lookedAt time.Time
}

// certificateEvery is how often the files are looked at, at most.
const certificateEvery = time.Second

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.lookedAt) < certificateEvery {
		return c.pair, nil
	}
	if err := c.reload(); err != nil {
		// The old one may well be valid for weeks; renewal tools write the two files one after the other.
		c.logger.Error("the new certificate cannot be used, serving the old one", "error", err)
	}
	return c.pair, nil
}

func (c *certificate) load() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reload()
}

// reload reads the files if they have changed. The stamp is kept only on success, so a half-written pair is tried again.
func (c *certificate) reload() error {
	c.lookedAt = time.Now()
	var looked strings.Builder
	for _, name := range []string{c.files.CertFile, c.files.KeyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return fmt.Errorf("%s: %w", c.key, err)
		}
		_, _ = fmt.Fprintf(&looked, "%s %d %d;", name, info.Size(), info.ModTime().UnixNano())
	}
	stamp := looked.String()
	if stamp == c.stamp {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.files.CertFile, c.files.KeyFile)
	if err != nil {
		return fmt.Errorf("%s: %w", c.key, err)
	}
	c.pair, c.stamp = &pair, stamp
	return nil
}

// notifySystemd tells systemd about our state, if it started us.
func notifySystemd(logger *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		logger.Warn("telling systemd failed", "state", state, "error", err)
	}
}
