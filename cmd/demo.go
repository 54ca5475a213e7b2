// This file is `afterchat demo`: a gateway on a temporary ledger, a pretend help desk, sample chats.

package cmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/afterchat/afterchat/internal/demo"
	"github.com/afterchat/afterchat/internal/gateway"
)

type demoCommand struct {
	Exit bool          `help:"Stop when every sample has arrived, instead of at Ctrl-C: the console is there until then."`
	Pace time.Duration `default:"400ms" help:"Time between two samples."`
}

// demoPatience is how long the demo waits for its samples to arrive before it calls that a failure.
const demoPatience = time.Minute

// Run shows everything without any account.
func (c demoCommand) Run(p *program) error {
	ctx, cancel := untilSignal()
	defer cancel()
	folder, err := os.MkdirTemp("", "afterchat-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	show := &stage{out: p.stdout}
	desk, deskAddress, stopDesk, err := openDesk(ctx, show)
	if err != nil {
		return err
	}
	defer stopDesk()

	path := filepath.Join(folder, "afterchat.yaml")
	if err := os.WriteFile(path, demo.Config, 0o600); err != nil {
		return err
	}
	cfg, err := p.loadFrom(path, func(name string) (string, bool) { return deskAddress, name == "DEMO_DESK" })
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(folder, "afterchat.log"))
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()

	running, stop := context.WithCancel(ctx)
	defer stop()
	started, ended := make(chan gateway.Addresses, 1), make(chan error, 1)
	g := gateway.New(cfg, gateway.Options{
		Version: Version(), Logger: logger(log, cfg.Log),
		Started: func(a gateway.Addresses) { started <- a },
	})
	go func() { ended <- g.Run(running) }()
	var addresses gateway.Addresses
	select {
	case err := <-ended:
		return fmt.Errorf("the gateway did not start: %w", err)
	case addresses = <-started:
		show.addresses(addresses, deskAddress, folder)
		err = c.play(running, show, desk, addresses)
	}
	if err == nil && !c.Exit {
		show.say("", fmt.Sprintf("Look at them in the console, http://%s/. Ctrl-C stops the demo and removes its folder.", addresses.Admin))
		<-ctx.Done()
	}
	stop()
	if stopped := <-ended; err == nil {
		err = stopped
	}
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	if err == nil {
		show.say("", "Stopped cleanly.")
	}
	return err
}

// play sends every sample and waits until what they make has arrived.
func (c demoCommand) play(ctx context.Context, show *stage, desk *demo.Desk, addresses gateway.Addresses) error {
	samples := demo.Samples(time.Now())
	tickets, updates := 0, 0
	for _, s := range samples {
		if s.Ticket {
			tickets++
		}
		if s.Update {
			// The ticket must be there, or the conversation would arrive at once as it is now.
			if err := arrival(ctx, desk, tickets, updates); err != nil {
				return err
			}
			updates++
		}
		show.say("hook ▸", s.Title)
		answer, err := sendHook(ctx, addresses, s)
		if err != nil {
			return err
		}
		show.say("      ", answer)
		if err := pause(ctx, c.Pace); err != nil {
			return err
		}
	}
	if err := arrival(ctx, desk, tickets, updates); err != nil {
		return err
	}
	show.say("", fmt.Sprintf("%d hooks sent; at the desk: %s, %s; %s.", len(samples),
		count(tickets, "ticket"), count(updates, "update"), count(len(desk.Alerts()), "alert")))
	return nil
}

// arrival waits until the desk has so many tickets and updates.
func arrival(ctx context.Context, desk *demo.Desk, tickets, updates int) error {
	deadline := time.Now().Add(demoPatience)
	for {
		arrived, updated := 0, 0
		for _, t := range desk.Tickets() {
			arrived++
			updated += t.Updates
		}
		if arrived == tickets && updated == updates {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("only %d of %d tickets and %d of %d updates arrived", arrived, tickets, updated, updates)
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

func sendHook(ctx context.Context, addresses gateway.Addresses, s demo.Sample) (string, error) {
	url := "http://" + addresses.Hooks.String() + "/in/" + s.Source + "/" + demo.Secrets()[s.Source]
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(s.Body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", s.ContentType)
	response, err := (&http.Client{Timeout: 30 * time.Second}).Do(request)
	if err != nil {
		return "", fmt.Errorf("sending a sample: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	return fmt.Sprintf("%d %s", response.StatusCode, body), err
}

// openDesk starts the pretend help desk on a free port.
func openDesk(ctx context.Context, show *stage) (*demo.Desk, string, func(), error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", nil, err
	}
	desk := demo.NewDesk()
	desk.FailEvery = 5
	desk.Failed = func() { show.say("desk ✗", "503, out of order; afterchat will look for the ticket, and try again") }
	desk.Looked = func(found bool) {
		answer := "not there, so making it cannot double it"
		if found {
			answer = "it is there"
		}
		show.say("desk ?", "asked for the ticket by its external id: "+answer)
	}
	desk.Received = func(t demo.Ticket, updated bool) { show.say("desk ◂", received(t, updated)) }
	server := &http.Server{Handler: desk.Handler(), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }()
	return desk, "http://" + listener.Addr().String(), func() { _ = server.Close() }, nil
}

// received says in one line what the desk got.
func received(t demo.Ticket, updated bool) string {
	verb, details := "new ticket", t.Status
	if updated {
		verb = "updated"
	}
	if t.Priority != "" {
		details += ", priority " + t.Priority
	}
	if last := t.Comments[len(t.Comments)-1]; len(last.Files) > 0 {
		details += ", with " + count(len(last.Files), "file")
	}
	return fmt.Sprintf("#%d %s: %q (%s)", t.ID, verb, t.Subject, details)
}

// stage prints what happens, a line at a time, from several goroutines.
type stage struct {
	mu  sync.Mutex
	out io.Writer
}

func (s *stage) say(mark, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if mark == "" {
		_, _ = fmt.Fprintln(s.out, text)
		return
	}
	_, _ = fmt.Fprintf(s.out, "%s %s %s\n", clock(), mark, text)
}

func (s *stage) addresses(a gateway.Addresses, desk, folder string) {
	s.say("", fmt.Sprintf(`afterchat demo

  pretend Zendesk    %s/
  hooks              http://%s/in/shop/%s
  console            http://%s/
  metrics            http://%s/metrics
  configuration, log, ledger and outbox.jsonl in %s
`, desk, a.Hooks, demo.Secrets()["shop"], a.Admin, a.Admin, folder))
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
