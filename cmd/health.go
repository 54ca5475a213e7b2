// This file is `afterchat health`: a health check without a shell or curl in the image.

package cmd

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/afterchat/afterchat/internal/gateway"
)

type healthCommand struct {
	URL string `name:"url" placeholder:"URL" help:"Address of /readyz; the default is the admin listener of the configuration."`
}

// healthTimeout is below the usual timeout of container health checks.
const healthTimeout = 4 * time.Second

// Run asks /readyz of the running gateway.
func (c healthCommand) Run(p *program) error {
	address, transport := c.URL, http.RoundTripper(nil)
	if address == "" {
		cfg, err := p.load()
		if err != nil {
			return err
		}
		address = adminBase(cfg) + "/readyz"
		if transport, err = gateway.AdminTransport(cfg); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), healthTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	client := &http.Client{Timeout: healthTimeout, Transport: transport}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", strings.TrimSpace(string(text)))
	}
	_, err = fmt.Fprintln(p.stdout, strings.TrimSpace(string(text)))
	return err
}

// dialable turns an address to listen on into one to connect to.
func dialable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	switch host {
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}
