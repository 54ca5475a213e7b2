// This file tests what no request from outside can bring about in a gateway that works: a ledger that hangs, a decoder
// that panics, a flood of strangers. Everything else is tested through the whole gateway.

package intake

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/source"
)

// shelf is a ledger that keeps what it is given, unless it hangs.
type shelf struct {
	hangs       bool
	accepted    int
	quarantined []ledger.Unreadable
}

func (s *shelf) Accept(ctx context.Context, h ledger.Hook) (ledger.Acceptance, error) {
	if s.hangs {
		<-ctx.Done()
		return ledger.Acceptance{}, ctx.Err()
	}
	h.Plan("other", 2) // as for a session that was known
	s.accepted++
	return ledger.Acceptance{ID: h.Conversation.ID, Revision: 1, Result: ledger.Accepted}, nil
}

func (s *shelf) Quarantine(_ context.Context, u ledger.Unreadable) (ledger.Quarantined, error) {
	s.quarantined = append(s.quarantined, u)
	return ledger.Quarantined{ID: "q"}, nil
}

// decoder makes a conversation of any body, and panics at one.
type decoder struct{}

func (decoder) Decode(h source.Hook) (source.Decoded, error) {
	if string(h.Body) == "panic" {
		panic("a mistake of ours")
	}
	return source.Decoded{Conversation: chat.Conversation{ID: "c1", Messages: []chat.Message{{Role: chat.Visitor, Text: string(h.Body)}}}}, nil
}

func handler(l Ledger, log *bytes.Buffer, planned *[]string) *Handler {
	return New(Options{
		Sources: []Source{{Name: "shop", Path: "/in/shop", Secrets: []Digest{DigestOf("secret")}, Decoder: decoder{}}},
		Ledger:  l, Logger: slog.New(slog.NewTextHandler(log, nil)), MaxBody: 1 << 20, MaxInFlight: 1 << 20,
		Plan: func(c *chat.Conversation) ledger.Plan {
			*planned = append(*planned, c.ID)
			return ledger.Plan{}
		},
	})
}

func ask(t *testing.T, h http.Handler, path, body string) *httptest.ResponseRecorder {
	t.Helper()
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body)))
	return recorder
}

func TestALedgerThatHangsIsA503(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var planned []string
		begin := time.Now()
		answer := ask(t, handler(&shelf{hangs: true}, &log, &planned), "/in/shop/secret", "hello")
		if answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") != RetryAfter || time.Since(begin) != 10*time.Second {
			t.Errorf("%d, Retry-After %q after %s", answer.Code, answer.Header().Get("Retry-After"), time.Since(begin))
		}
	})
}

func TestAPanicInADecoderLosesNothing(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	var planned []string
	kept := &shelf{}
	answer := ask(t, handler(kept, &log, &planned), "/in/shop/secret", "panic")
	if answer.Code != http.StatusOK || len(kept.quarantined) != 1 || string(kept.quarantined[0].Raw) != "panic" {
		t.Errorf("%d %s, kept %v", answer.Code, answer.Body, kept.quarantined)
	}
	if !strings.Contains(log.String(), "decoder.panic") {
		t.Errorf("the log says nothing: %s", &log)
	}
}

// TestThePlanIsMadeAgainForAnotherIdentity: a hook that turns out to be of an earlier conversation is routed as that.
func TestThePlanIsMadeAgainForAnotherIdentity(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	var planned []string
	ask(t, handler(&shelf{}, &log, &planned), "/in/shop/secret", "hello")
	if strings.Join(planned, " ") != "c1 other" {
		t.Errorf("planned for %q", planned)
	}
}

// TestStrangersFillNoLog: a thousand wrong secrets are ten lines, and later one that says how many there were.
func TestStrangersFillNoLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		var planned []string
		h := handler(&shelf{}, &log, &planned)
		for range 1000 {
			if answer := ask(t, h, "/in/shop/wrong", "x"); answer.Code != http.StatusNotFound {
				t.Fatalf("%d", answer.Code)
			}
		}
		if n := strings.Count(log.String(), "\n"); n != quotaLines {
			t.Errorf("%d lines", n)
		}
		<-time.After(quotaPeriod + time.Second)
		ask(t, h, "/nowhere", "x")
		if !strings.Contains(log.String(), "unlogged=990") || strings.Contains(log.String(), "nowhere") {
			t.Errorf("the log: %s", log.String()[max(0, log.Len()-300):])
		}
	})
}

// TestTheBudgetIsGivenBack: after hooks of every kind nothing is held, and one that is alone is never refused.
func TestTheBudgetIsGivenBack(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	var planned []string
	h := handler(&shelf{}, &log, &planned)
	for _, body := range []string{"", "hello", strings.Repeat("x", 1<<20), strings.Repeat("x", 1<<20+1)} {
		want := http.StatusOK
		if len(body) > 1<<20 {
			want = http.StatusRequestEntityTooLarge
		}
		if answer := ask(t, h, "/in/shop/secret", body); answer.Code != want {
			t.Errorf("%d bytes: %d, want %d", len(body), answer.Code, want)
		}
	}
	if held := h.budget.used.Load(); held != 0 {
		t.Errorf("%d bytes are still held", held)
	}
	one, other := &share{of: h.budget, limit: 10}, &share{of: h.budget, limit: 10}
	if !one.take(20) || other.take(1) {
		t.Error("the first of two is taken whatever its size, the second is not")
	}
	one.release()
	if !other.take(1) {
		t.Error("what was given back is not there")
	}
}
