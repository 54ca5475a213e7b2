// This file is `afterchat send`: one hook to a running gateway, or one marked test record to a target.

package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/gateway"
)

type sendCommand struct {
	Source      string `short:"s" xor:"what" required:"" placeholder:"NAME" help:"Post FILE to this source of a running gateway."`
	Target      string `short:"t" xor:"what" required:"" placeholder:"NAME" help:"Send one record, marked as a test, straight to this target. No gateway need run."`
	Payload     string `arg:"" optional:"" name:"file" help:"With --source: file with the hook's body; - reads standard input."`
	URL         string `name:"url" placeholder:"URL" help:"With --source: where the gateway is, such as https://chats.example.com. The default is server.listen on this machine."`
	ContentType string `help:"With --source: Content-Type of the hook. The default is that of JSON, or of a form."`
}

// hookTimeout is longer than a gateway may take to answer.
const hookTimeout = 30 * time.Second

// Run sends at once and asks nothing.
func (c sendCommand) Run(p *program) error {
	if c.Target != "" {
		return c.record(p)
	}
	return c.hook(p)
}

// hook posts a file as the chat platform would. What is not taken, or kept in quarantine, is a finding.
func (c sendCommand) hook(p *program) error {
	if c.Payload == "" {
		return errors.New("name the file with the hook's body; - reads standard input")
	}
	cfg, err := p.load()
	if err != nil {
		return err
	}
	body, err := readPayload(c.Payload)
	if err != nil {
		return err
	}
	base, own := c.URL, c.URL == ""
	if own {
		base = "http://" + dialable(cfg.Server.Listen)
		if cfg.Server.TLS != nil {
			base = "https://" + dialable(cfg.Server.Listen)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), hookTimeout)
	defer cancel()
	answer, err := gateway.PostHook(ctx, cfg, c.Source, base, own, body, c.contentType(body))
	_, unknown := errors.AsType[*gateway.UnknownNameError](err)
	switch {
	case errors.Is(err, gateway.ErrNoPort):
		return fmt.Errorf("%w with --url", err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no gateway answers at %s: connection refused; start it with afterchat serve, or say where it is with --url", base)
	case unknown:
		return err
	case err != nil:
		return fmt.Errorf("sending the hook to %s: %w", base, err)
	}
	_, err = fmt.Fprintf(p.stdout, "%d %s\n%s\n", answer.Status, http.StatusText(answer.Status), answer.Body)
	if err == nil && (answer.Status != http.StatusOK || quarantined(answer.Body)) {
		return errFindings
	}
	return err
}

// quarantined tells whether a gateway has kept a hook that it could not read.
func quarantined(body string) bool {
	var answer struct {
		Quarantined string `json:"quarantined"`
	}
	return json.Unmarshal([]byte(body), &answer) == nil && answer.Quarantined != ""
}

func (c sendCommand) contentType(body []byte) string {
	switch {
	case c.ContentType != "":
		return c.ContentType
	case bytes.HasPrefix(bytes.TrimLeft(body, "\ufeff \t\r\n"), []byte("{")):
		return "application/json"
	}
	return "application/x-www-form-urlencoded"
}

// record pushes a test record, without a ledger and without retries.
func (c sendCommand) record(p *program) error {
	if c.Payload != "" || c.URL != "" || c.ContentType != "" {
		return errors.New("with --target a test record is sent; a file, --url and --content-type go with --source")
	}
	cfg, err := p.load()
	if err != nil {
		return err
	}
	ctx, cancel := untilSignal()
	defer cancel()
	sent, err := gateway.SendTest(ctx, cfg, c.Target, gateway.Options{Version: Version(), Logger: logger(p.stderr, cfg.Log)}, time.Now())
	if sent.Conversation == "" {
		return err
	}
	var out strings.Builder
	_, _ = fmt.Fprintf(&out, "%s %s for %s, mapped by %s\n", gateway.TestRecord, sent.Conversation, sent.Target, mappedBy(sent.Routes))
	for _, note := range sent.Notes {
		_, _ = fmt.Fprintf(&out, "  note: %s\n", note)
	}
	receiptText(&out, sent.Receipt)
	if err != nil {
		pushError(&out, err)
		_, _ = io.WriteString(p.stderr, out.String())
		return errFindings
	}
	_, err = fmt.Fprintf(p.stdout, "%s  the target holds it\n", out.String())
	return err
}

func mappedBy(routes []string) string {
	if len(routes) == 0 {
		return "the default mapping"
	}
	return "route " + strings.Join(routes, ", ")
}

func receiptText(out io.Writer, r connectors.Receipt) {
	say := func(label, text string) {
		if text != "" {
			_, _ = fmt.Fprintf(out, "  %s: %s\n", label, text)
		}
	}
	say("id", r.ID)
	say("url", r.URL)
	for _, part := range slices.Sorted(maps.Keys(r.Parts)) {
		say(part, r.Parts[part])
	}
}

// pushError says what kind of failure it was, as the delivery engine would see it.
func pushError(out io.Writer, err error) {
	e := connectors.Classify(err)
	_, _ = fmt.Fprintf(out, "  %s: %v\n", e.Kind, err)
	if e.Hint != "" {
		_, _ = fmt.Fprintf(out, "  hint: %s\n", e.Hint)
	}
	if e.After > 0 {
		_, _ = fmt.Fprintf(out, "  not before %s from now\n", e.After.Round(time.Second))
	}
	if e.Uncertain {
		_, _ = fmt.Fprintln(out, "  the target may hold it all the same")
	}
}
