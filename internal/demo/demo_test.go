// This file tests what the demo sends and the desk that receives it.

package demo_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/demo"
	"github.com/afterchat/afterchat/internal/source"
	"github.com/afterchat/afterchat/internal/source/proprofs"
	"github.com/afterchat/afterchat/internal/source/smartsupp"
)

// TestSamplesShowWhatTheySay decodes every sample: those that make a ticket without a warning, and every outcome and
// both platforms are among them.
func TestSamplesShowWhatTheySay(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	zone, err := time.LoadLocation("Asia/Kolkata")
	if err != nil {
		t.Fatal(err)
	}
	decoders := map[string]source.Decoder{
		"shop": smartsupp.Type().New(source.Options{}), "desk": proprofs.Type().New(source.Options{Zone: zone}),
	}
	outcomes, platforms := map[chat.Outcome]int{}, map[string]int{}
	for _, s := range demo.Samples(now) {
		if !s.Ticket && !s.Update {
			continue
		}
		decoded, err := decoders[s.Source].Decode(source.Hook{Body: s.Body, ContentType: s.ContentType, ReceivedAt: now})
		if err != nil {
			t.Errorf("%s: %v", s.Title, err)
			continue
		}
		c := decoded.Conversation
		if len(c.Warnings) > 0 || len(c.Messages) == 0 {
			t.Errorf("%s: %d messages, warnings %q", s.Title, len(c.Messages), c.Warnings)
		}
		outcomes[c.Outcome]++
		platforms[c.Platform]++
	}
	for _, o := range []chat.Outcome{chat.Completed, chat.Missed, chat.Offline} {
		if outcomes[o] == 0 {
			t.Errorf("no %s chat among the samples", o)
		}
	}
	if platforms["smartsupp"] == 0 || platforms["proprofs"] == 0 {
		t.Errorf("platforms: %v", platforms)
	}
}

func ask(t *testing.T, h http.Handler, method, path, key, body string) (int, string) {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	request.Header.Set("Idempotency-Key", key)
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, request)
	return recorder.Code, recorder.Body.String()
}

func TestDeskHonorsTheKey(t *testing.T) {
	t.Parallel()
	desk := demo.NewDesk()
	h := desk.Handler()
	for _, want := range []int{http.StatusCreated, http.StatusOK} {
		if code, body := ask(t, h, http.MethodPost, "/tickets", "a", `{"subject":"<b>one</b>"}`); code != want || !strings.Contains(body, `"id":"1"`) {
			t.Errorf("%d %s, want %d", code, body, want)
		}
	}
	for range 2 {
		if code, _ := ask(t, h, http.MethodPut, "/tickets/1", "b", `{"subject":"two"}`); code != http.StatusOK {
			t.Errorf("update: %d", code)
		}
	}
	if code, _ := ask(t, h, http.MethodPut, "/tickets/7", "c", `{}`); code != http.StatusNotFound {
		t.Errorf("update of nothing: %d", code)
	}
	if code, _ := ask(t, h, http.MethodPost, "/tickets", "d", `{}`); code != http.StatusUnprocessableEntity {
		t.Errorf("no subject: %d", code)
	}
	var got []string
	for _, ticket := range desk.Tickets() {
		got = append(got, ticket.ID+" "+ticket.Subject)
	}
	if diff := cmp.Diff([]string{"1 two"}, got); diff != "" || desk.Tickets()[0].Updates != 1 {
		t.Errorf("%s updates %d", diff, desk.Tickets()[0].Updates)
	}
}

func TestDeskIsOutOfOrderNowAndThenAndEscapes(t *testing.T) {
	t.Parallel()
	desk := demo.NewDesk()
	desk.FailEvery = 2
	h := desk.Handler()
	first, _ := ask(t, h, http.MethodPost, "/tickets", "a", `{"subject":"<script>alert(1)</script>"}`)
	second, _ := ask(t, h, http.MethodPost, "/tickets", "b", `{"subject":"two"}`)
	if first != http.StatusCreated || second != http.StatusServiceUnavailable {
		t.Errorf("%d, %d", first, second)
	}
	if _, page := ask(t, h, http.MethodGet, "/", "", ""); strings.Contains(page, "<script>") || !strings.Contains(page, "&lt;script&gt;") {
		t.Errorf("the page: %s", page)
	}
}
