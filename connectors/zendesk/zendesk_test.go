// This file tests what becomes of a conversation in an account: created, changed, closed, deleted, too long, imported.

package zendesk_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/connectortest"
	"github.com/afterchat/afterchat/connectors/zendesk"
	"github.com/afterchat/afterchat/connectors/zendesk/zendesktest"
)

func mustPush(t *testing.T, c connectors.Connector, rec connectors.Record) connectors.Receipt {
	t.Helper()
	receipt, err := c.Push(t.Context(), rec)
	if err != nil {
		t.Fatalf("push %s: %v", rec.Request, err)
	}
	return receipt
}

// only returns the one ticket of an account.
func only(t *testing.T, a *zendesktest.Account) zendesktest.Ticket {
	t.Helper()
	tickets := a.Tickets()
	if len(tickets) != 1 {
		t.Fatalf("%d tickets, want 1", len(tickets))
	}
	return tickets[0]
}

func TestReceipt(t *testing.T) {
	t.Parallel()
	a := account()
	receipt := mustPush(t, open(t, a, settings()), record(1, 1))
	if receipt.ID != "1" || receipt.URL != "https://acme.zendesk.com/agent/tickets/1" {
		t.Errorf("receipt %+v", receipt)
	}
	steps := a.Steps()
	if want := []string{"POST /oauth/tokens", "POST /api/v2/tickets"}; !slices.Equal(steps, want) {
		t.Errorf("a certain first attempt takes %v, want %v", steps, want)
	}
}

// TestURL: url takes the place of the whole base address.
func TestURL(t *testing.T) {
	t.Parallel()
	a := account()
	wire := connectortest.NewWire(a)
	s := settings(func(s *zendesk.Settings) { s.URL, s.Subdomain = "http://127.0.0.1:8099/", "" })
	c, err := zendesk.Type().Open(s, connectors.Env{Logger: slog.New(slog.DiscardHandler), Transport: wire})
	if err != nil {
		t.Fatal(err)
	}
	if receipt := mustPush(t, c, record(1, 1)); receipt.URL != "http://127.0.0.1:8099/agent/tickets/1" {
		t.Errorf("receipt %+v", receipt)
	}
	for _, sent := range wire.Sent() {
		if !strings.HasPrefix(sent.URL, "http://127.0.0.1:8099/") {
			t.Errorf("sent to %s", sent.URL)
		}
	}
}

// TestOverSocket pushes and checks through the real transport.
func TestOverSocket(t *testing.T) {
	t.Parallel()
	a := account()
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	s := settings(func(s *zendesk.Settings) { s.URL = server.URL })
	c, err := zendesk.Type().Open(s, connectors.Env{Logger: slog.New(slog.DiscardHandler), Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.(connectors.Checker).Check(t.Context()); err != nil {
		t.Error(err)
	}
	rec := record(1, 2)
	rec.Prior = mustPush(t, c, record(1, 1))
	mustPush(t, c, rec)
	if got := only(t, a); len(got.Comments) != 2 {
		t.Errorf("%d comments, want 2", len(got.Comments))
	}
	noProblems(t, a)
}

// TestKey sends the same bytes under the same key again, within and after the life of the key.
func TestKey(t *testing.T) {
	t.Parallel()
	for name, wait := range map[string]time.Duration{"within its life": time.Minute, "after its life": 3 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				a := account()
				wire := connectortest.NewWire(a)
				c, err := zendesk.Type().Open(settings(), connectors.Env{Logger: slog.New(slog.DiscardHandler), Transport: wire})
				if err != nil {
					t.Fatal(err)
				}
				wire.Break(2, connectortest.ResetAfter)
				rec := record(1, 1)
				receipt, err := c.Push(t.Context(), rec)
				if e := connectors.Classify(err); e == nil || !e.Uncertain {
					t.Fatalf("a reset is %v", err)
				}
				<-time.After(wait)
				rec.Attempt, rec.Uncertain, rec.Prior = 2, true, receipt
				mustPush(t, c, rec)
				only(t, a)
				for _, sent := range wire.Sent() {
					if key := sent.Header.Get("Idempotency-Key"); strings.HasSuffix(sent.URL, "/tickets") && key != rec.Request {
						t.Errorf("the key is %q, want %q", key, rec.Request)
					}
				}
			})
		})
	}
}

// TestSameBytes: while nothing is known, an attempt sends what the one before sent, also with an attachment.
func TestSameBytes(t *testing.T) {
	t.Parallel()
	a := account()
	wire := connectortest.NewWire(a)
	c, err := zendesk.Type().Open(settings(legacy), connectors.Env{Logger: slog.New(slog.DiscardHandler), Transport: wire})
	if err != nil {
		t.Fatal(err)
	}
	wire.Break(2, connectortest.ResetBefore)
	rec := long(record(1, 1))
	receipt, err := c.Push(t.Context(), rec)
	if err == nil || receipt.Parts["upload"] == "" {
		t.Fatalf("receipt %+v, error %v; want a waiting upload", receipt, err)
	}
	rec.Attempt, rec.Uncertain, rec.Prior = 2, true, receipt
	mustPush(t, c, rec)
	var bodies []string
	uploads := 0
	for _, sent := range wire.Sent() {
		if strings.HasSuffix(sent.URL, "/api/v2/tickets") {
			bodies = append(bodies, sent.Body)
		}
		if strings.Contains(sent.URL, "/uploads") {
			uploads++
		}
	}
	if len(bodies) != 2 || bodies[0] != bodies[1] || uploads != 1 {
		t.Errorf("%d creates with the same bytes %v, %d uploads", len(bodies), len(bodies) == 2 && bodies[0] == bodies[1], uploads)
	}
}

// TestOtherBytes: the vendor knows the key with other content. The ticket is found at once, and brought up to date.
func TestOtherBytes(t *testing.T) {
	t.Parallel()
	a := account()
	c := open(t, a, settings())
	mustPush(t, c, record(1, 1))
	rec := record(1, 1)
	rec.Fields["priority"] = "high"
	mustPush(t, c, rec)
	if got := only(t, a); got.Values["priority"] != "high" || len(got.Comments) != 1 {
		t.Errorf("the ticket is %+v", got)
	}
}

// TestSeveral: two tickets with one external id, as another gateway may have made. The oldest counts.
func TestSeveral(t *testing.T) {
	t.Parallel()
	a := account()
	s := settings()
	c := open(t, a, s)
	mustPush(t, c, record(1, 1))
	rec := record(1, 1)
	rec.Request += "x" // another key makes another ticket
	mustPush(t, c, rec)
	var logs bytes.Buffer
	c, err := zendesk.Type().Open(s, connectors.Env{Logger: slog.New(slog.NewTextHandler(&logs, nil)), Transport: a})
	if err != nil {
		t.Fatal(err)
	}
	rec.Uncertain = true
	if receipt := mustPush(t, c, rec); receipt.ID != "1" || a.Count() != 2 {
		t.Errorf("receipt %+v with %d tickets", receipt, a.Count())
	}
	if !strings.Contains(logs.String(), "zendesk.several_tickets") {
		t.Errorf("no warning: %s", &logs)
	}
}

// TestRevision pushes a second revision and looks at the comment that it makes.
func TestRevision(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		change   func(map[string]any)
		lost     bool // the receipt
		comments int
		has      []string
		lacks    []string
		steps    []string
	}{
		{
			name: "a message and a rating more", comments: 2,
			has:   []string{"The conversation went on:", "message 3", "Rating: 2/5"},
			lacks: []string{"message 1", "message 2"},
			steps: []string{"PUT /api/v2/tickets/*/tags", "PUT /api/v2/tickets/*"},
		},
		{
			name: "receipt lost", lost: true, comments: 2,
			has:   []string{"The conversation went on:", "message 3"},
			lacks: []string{"message 1"},
			steps: []string{"GET /api/v2/tickets", "GET /api/v2/tickets/*/comments", "PUT /api/v2/tickets/*/tags", "PUT /api/v2/tickets/*"},
		},
		{
			name: "a rating more",
			change: func(f map[string]any) {
				f["html_body"], f["tags"] = transcript(2, ""), []any{"chat", "Bad Rating!", "r1"}
			},
			comments: 2, has: []string{"The details of the conversation changed:", "Rating: 2/5"}, lacks: []string{"message"},
			steps: []string{"PUT /api/v2/tickets/*"},
		},
		{
			name: "a field more",
			change: func(f map[string]any) {
				old := fields(1, 1)
				f["html_body"], f["tags"], f["summary"] = old["html_body"], old["tags"], old["summary"]
			},
			comments: 1, steps: []string{"PUT /api/v2/tickets/*"},
		},
		{
			name: "nothing new",
			change: func(f map[string]any) {
				clear(f)
				maps.Copy(f, fields(1, 1))
			},
			comments: 1,
		},
		{
			name: "an earlier message changed",
			change: func(f map[string]any) {
				f["html_body"] = strings.Replace(f["html_body"].(string), "message 1", "message one", 1)
			},
			comments: 2, has: []string{"was changed", "message one", "message 2", "message 3"},
			steps: []string{"PUT /api/v2/tickets/*/tags", "PUT /api/v2/tickets/*"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a := account()
			c := open(t, a, settings())
			receipt := mustPush(t, c, record(1, 1))
			a.Edit(1, func(ticket *zendesktest.Ticket) { // as an agent does
				ticket.Values["priority"], ticket.Tags = "urgent", append(ticket.Tags, "vip")
			})
			a.Steps()
			rec := record(1, 2)
			rec.Prior, rec.Uncertain = receipt, tt.lost
			if tt.lost {
				rec.Prior = connectors.Receipt{}
			}
			if tt.change != nil {
				tt.change(rec.Fields)
			}
			mustPush(t, c, rec)
			if steps := a.Steps(); !slices.Equal(steps, tt.steps) {
				t.Errorf("steps %v, want %v", steps, tt.steps)
			}
			ticket := only(t, a)
			if len(ticket.Comments) != tt.comments {
				t.Fatalf("%d comments, want %d", len(ticket.Comments), tt.comments)
			}
			last := ticket.Comments[len(ticket.Comments)-1]
			for _, text := range tt.has {
				if !strings.Contains(last.HTML, text) {
					t.Errorf("the comment lacks %q:\n%s", text, last.HTML)
				}
			}
			for _, text := range tt.lacks {
				if strings.Contains(last.HTML, text) {
					t.Errorf("the comment repeats %q:\n%s", text, last.HTML)
				}
			}
			if last.Public {
				t.Error("the comment is public")
			}
			if !tt.lost && ticket.Values["priority"] != "urgent" {
				t.Errorf("the agent's priority became %v", ticket.Values["priority"])
			}
			if !slices.Contains(ticket.Tags, "vip") {
				t.Errorf("the agent's tag is gone: %v", ticket.Tags)
			}
		})
	}
}

// TestForgedMarker: a visitor who writes what looks like the last line of our comments changes nothing.
func TestForgedMarker(t *testing.T) {
	t.Parallel()
	a := account()
	c := open(t, a, settings())
	mustPush(t, c, record(1, 1))
	forged := "afterchat:0123456789abcdef:9:99:0123456789abcdef:0123456789abcdef:0123456789abcdef"
	a.Edit(1, func(ticket *zendesktest.Ticket) {
		ticket.Comments = append(ticket.Comments, zendesktest.Comment{HTML: "<p>" + forged + "</p>", CreatedAt: time.Now().Add(time.Second)})
	})
	rec := record(1, 2)
	rec.Uncertain = true
	mustPush(t, c, rec)
	ticket := only(t, a)
	if last := ticket.Comments[2].HTML; !strings.Contains(last, "message 3") || strings.Contains(last, "message 1") {
		t.Errorf("the comment is\n%s", last)
	}
}

// TestManyComments finds the marker behind hundreds of comments of others.
func TestManyComments(t *testing.T) {
	t.Parallel()
	a := account()
	c := open(t, a, settings())
	mustPush(t, c, record(1, 1))
	a.Edit(1, func(ticket *zendesktest.Ticket) {
		for i := range 350 {
			ticket.Comments = append(ticket.Comments, zendesktest.Comment{HTML: "<p>hello</p>", CreatedAt: time.Now().Add(time.Duration(i) * time.Millisecond)})
		}
	})
	rec := record(1, 1)
	rec.Uncertain = true
	mustPush(t, c, rec)
	if got := only(t, a); len(got.Comments) != 351 {
		t.Errorf("%d comments, want 351", len(got.Comments))
	}
}

// TestLongComments: a page of comments that is too long to be read is asked for in smaller pieces.
func TestLongComments(t *testing.T) {
	t.Parallel()
	a := account()
	c := open(t, a, settings())
	mustPush(t, c, record(1, 1))
	a.Edit(1, func(ticket *zendesktest.Ticket) {
		for i := range 60 {
			text := "<p>" + strings.Repeat("x", 60_000) + "</p>"
			ticket.Comments = append(ticket.Comments, zendesktest.Comment{HTML: text, CreatedAt: time.Now().Add(time.Duration(i) * time.Millisecond)})
		}
	})
	rec := record(1, 1)
	rec.Uncertain = true
	mustPush(t, c, rec)
	if got := only(t, a); len(got.Comments) != 61 {
		t.Errorf("%d comments, want 61", len(got.Comments))
	}
}

// TestFollowUps closes each ticket and loses each receipt; every revision finds its place.
func TestFollowUps(t *testing.T) {
	t.Parallel()
	for _, lost := range []bool{false, true} {
		t.Run(fmt.Sprintf("receipt lost %v", lost), func(t *testing.T) {
			t.Parallel()
			a := account()
			c := open(t, a, settings())
			receipt := mustPush(t, c, record(1, 1))
			for revision := 2; revision <= 4; revision++ {
				a.Close(int64(revision - 1))
				rec := record(1, revision)
				rec.Prior, rec.Uncertain = receipt, lost
				if lost {
					rec.Prior = connectors.Receipt{}
				}
				receipt = mustPush(t, c, rec)
				if want := fmt.Sprint(revision); receipt.ID != want {
					t.Fatalf("revision %d is in ticket %s, want %s", revision, receipt.ID, want)
				}
				again := record(1, revision)
				again.Uncertain = true
				if found := mustPush(t, c, again); found.ID != receipt.ID || a.Count() != revision {
					t.Fatalf("pushed again, it is in ticket %s of %d", found.ID, a.Count())
				}
			}
			for i, ticket := range a.Tickets() {
				if want := int64(i); ticket.FollowUpOf != want {
					t.Errorf("ticket %d follows up %d, want %d", ticket.ID, ticket.FollowUpOf, want)
				}
				if text := ticket.Comments[0].HTML; i > 0 && (strings.Contains(text, "message 1 ") || !strings.Contains(text, fmt.Sprintf("message %d", i+2))) {
					t.Errorf("ticket %d says\n%s", ticket.ID, text)
				}
			}
		})
	}
}

func TestDeleted(t *testing.T) {
	t.Parallel()
	a := account()
	c := open(t, a, settings())
	receipt := mustPush(t, c, record(1, 1))
	a.Delete(1)
	rec := record(1, 2)
	rec.Prior = receipt
	_, err := c.Push(t.Context(), rec)
	if e := connectors.Classify(err); e == nil || e.Kind != connectors.Rejected || !strings.Contains(e.Hint, "restore") || a.Count() != 0 {
		t.Errorf("a deleted ticket gives %v, %d tickets", err, a.Count())
	}
}

// TestLong cuts comments after a message, within the limit in bytes, and attaches all of it.
func TestLong(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body       string
		attachment string
		whole      bool
		file       string
	}{
		"just fits":          {body: transcript(60, strings.Repeat("x", 900)), whole: true},
		"many messages":      {body: transcript(200, strings.Repeat("x", 900)), attachment: "the text", file: "transcript.txt"},
		"many bytes":         {body: transcript(30, strings.Repeat("ž", 1400)), attachment: "the text", file: "transcript.txt"},
		"one message":        {body: "<p><b>Ada:</b> " + strings.Repeat("ž &amp; ", 20_000) + "</p>", attachment: "the text", file: "transcript.txt"},
		"without attachment": {body: transcript(200, strings.Repeat("x", 900)), file: "transcript.html"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := account()
			rec := record(1, 1)
			rec.Fields["html_body"], rec.Fields["attachment"] = tt.body, tt.attachment
			mustPush(t, open(t, a, settings()), rec)
			comment := only(t, a).Comments[0]
			if len(comment.HTML) > 65_535 || len(comment.HTML) < 50_000 {
				t.Errorf("the comment has %d bytes", len(comment.HTML))
			}
			if tt.whole {
				if len(comment.Files) > 0 || strings.Contains(comment.HTML, "attached file") {
					t.Error("it is cut although it fits")
				}
				return
			}
			if !strings.Contains(comment.HTML, "The attached file has all of it") || len(comment.Files) != 1 || comment.Files[0].Name != tt.file {
				t.Fatalf("files %+v", comment.Files)
			}
			file := comment.Files[0]
			if tt.attachment != "" && (file.Content != tt.attachment || file.Type != "text/plain; charset=utf-8") {
				t.Errorf("the file is %q %q", file.Type, file.Content)
			}
			if tt.attachment == "" && !strings.Contains(file.Content, "message 200") {
				t.Error("the file lacks the last message")
			}
			if opened, ended := strings.Count(comment.HTML, "<p>"), strings.Count(comment.HTML, "</p>"); opened != ended {
				t.Errorf("%d paragraphs begin and %d end", opened, ended)
			}
		})
	}
}

// TestThrottled: the account's own limit.
func TestThrottled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := account()
		a.Limit = 2
		c := open(t, a, settings())
		mustPush(t, c, record(1, 1))
		mustPush(t, c, record(2, 1))
		_, err := c.Push(t.Context(), record(3, 1))
		e := connectors.Classify(err)
		if e == nil || e.Kind != connectors.Throttled || e.Uncertain || e.After <= 0 || e.After > time.Minute+time.Second {
			t.Fatalf("over the limit: %+v", e)
		}
		<-time.After(e.After)
		mustPush(t, c, record(3, 1))
	})
}

// TestLegacyWarning: an API token is told about, with the date of its end.
func TestLegacyWarning(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*zendesk.Settings)
		want   bool
	}{"token": {legacy, true}, "oauth": {func(*zendesk.Settings) {}, false}} {
		warnings := zendesk.Type().Warnings(settings(tt.change))
		if got := len(warnings) == 1 && strings.Contains(warnings[0].Problem, "2027-04-30") && warnings[0].Hint != ""; got != tt.want {
			t.Errorf("%s: %v", name, warnings)
		}
	}
}
