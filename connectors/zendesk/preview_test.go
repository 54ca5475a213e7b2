// This file tests what is shown of a push before it is made.

package zendesk_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/connectortest"
	"github.com/afterchat/afterchat/connectors/zendesk"
)

func TestPreview(t *testing.T) {
	t.Parallel()
	const base = "https://acme.zendesk.com/api/v2/"
	tests := map[string]struct {
		change  func(*zendesk.Settings)
		spoil   func(map[string]any)
		want    []string
		notSent []string
	}{
		"a ticket": {
			want:    []string{"POST " + base + "tickets"},
			notSent: []string{"attachment: the transcript is no longer than a comment may be"},
		},
		"nobody asks": {
			change:  legacy,
			spoil:   func(f map[string]any) { delete(f, "attachment"); f["requester"] = map[string]any{"name": "Ada"} },
			want:    []string{"POST " + base + "tickets"},
			notSent: []string{"requester: without an email the user of the credentials asks"},
		},
		"a long transcript": {
			spoil: func(f map[string]any) { f["html_body"] = transcript(50, strings.Repeat("long ", 400)) },
			want:  []string{"POST " + base + "uploads?filename=transcript.txt", "POST " + base + "tickets"},
		},
		"an import": {
			change: imports,
			spoil:  func(f map[string]any) { f["status"] = "open" },
			want: []string{
				"look GET " + base + "users/search?query=email%3A%22ada1%40example.com%22", "POST " + base + "users/create_or_update",
				"POST " + base + "imports/tickets",
			},
			notSent: []string{
				"attachment: the transcript is no longer than a comment may be", "html_body: each message becomes a comment",
				"solved_at: the status is not solved",
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := settings()
			if tt.change != nil {
				tt.change(s)
			}
			wire := connectortest.NewWire(account())
			c, err := zendesk.Type().Open(s, connectors.Env{Logger: slog.New(slog.DiscardHandler), Transport: wire})
			if err != nil {
				t.Fatal(err)
			}
			rec := record(1, 1)
			if tt.spoil != nil {
				tt.spoil(rec.Fields)
			}
			preview, err := c.(connectors.Previewer).Preview(rec)
			if err != nil {
				t.Fatal(err)
			}
			var got, notSent []string
			for _, r := range preview.Requests {
				look := ""
				if r.Reads {
					look = "look "
				}
				got = append(got, look+r.Method+" "+r.URL)
			}
			for _, n := range preview.NotSent {
				notSent = append(notSent, n.Field+": "+n.Why)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.notSent, notSent); diff != "" {
				t.Errorf("not sent (-want +got):\n%s", diff)
			}
			mustPush(t, c, rec)
			sameAsSent(t, wire.Sent(), preview)
		})
	}
}

// sameAsSent compares all that was sent with the preview, apart from the token and from ids that only Zendesk gives.
func sameAsSent(t *testing.T, sent []connectortest.Sent, preview connectors.Preview) {
	t.Helper()
	var got, want []string
	for _, r := range sent {
		if !strings.HasSuffix(r.URL, "/oauth/tokens") {
			body := strings.ReplaceAll(r.Body, `"upload-1"`, `"TOKEN"`)
			for _, place := range []string{`"author_id":`, `"requester_id":`} {
				body = strings.ReplaceAll(body, place+"1001", place+"1")
			}
			want = append(want, fmt.Sprintf("%s %s %s %s %s", r.Method, r.URL, r.Header.Get("Content-Type"), r.Header.Get("Idempotency-Key"), body))
		}
	}
	for _, r := range preview.Requests {
		got = append(got, fmt.Sprintf("%s %s %s %s %s", r.Method, r.URL, r.Headers["Content-Type"], r.Headers["Idempotency-Key"], r.Body))
		if scheme, rest, _ := strings.Cut(r.Headers[http.CanonicalHeaderKey("Authorization")], " "); (scheme != "Bearer" && scheme != "Basic") || rest != "***" {
			t.Errorf("headers %v", r.Headers)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sent and previewed (-sent +previewed):\n%s", diff)
	}
}
