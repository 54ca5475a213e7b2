// This file tests how access tokens are fetched, kept and renewed.

package zendesk_test

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/connectortest"
	"github.com/afterchat/afterchat/connectors/zendesk"
)

func TestTokenIsShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := account()
		a.TokenLife = time.Hour
		c := open(t, a, settings())
		push := func(from int) {
			var pushes sync.WaitGroup
			for n := range 20 {
				pushes.Go(func() {
					if _, err := c.Push(t.Context(), record(from+n, 1)); err != nil {
						t.Error(err)
					}
				})
			}
			pushes.Wait()
		}
		push(1)
		if got := a.Issued(); got != 1 {
			t.Errorf("%d tokens for 20 pushes at once, want 1", got)
		}
		<-time.After(57 * time.Minute)
		push(100)
		if got := a.Issued(); got != 1 {
			t.Errorf("%d tokens within its life, want 1", got)
		}
		<-time.After(2 * time.Minute) // 59 minutes: it is renewed before it ends
		push(200)
		if got := a.Issued(); got != 2 {
			t.Errorf("%d tokens shortly before the end of the first, want 2", got)
		}
		<-time.After(3 * time.Hour)
		push(300)
		if got := a.Issued(); got != 3 {
			t.Errorf("%d tokens after the end of the second, want 3", got)
		}
	})
}

// TestRevokedToken fetches a token again once after a 401, and the push goes on.
func TestRevokedToken(t *testing.T) {
	t.Parallel()
	a := account()
	c := open(t, a, settings())
	mustPush(t, c, record(1, 1))
	a.Revoke()
	mustPush(t, c, record(2, 1))
	if a.Issued() != 2 || a.Count() != 2 {
		t.Errorf("%d tokens, %d tickets", a.Issued(), a.Count())
	}
}

func TestWrongClient(t *testing.T) {
	t.Parallel()
	a := account()
	c := open(t, a, settings(func(s *zendesk.Settings) { s.OAuth.ClientSecret = secret.New(connectortest.Canary + "x") }))
	_, err := c.Push(t.Context(), record(1, 1))
	e := connectors.Classify(err)
	if e == nil || e.Kind != connectors.Denied || e.Uncertain || !strings.Contains(e.Hint, "client_secret") {
		t.Fatalf("a wrong secret is %+v", e)
	}
	if strings.Contains(err.Error(), connectortest.Canary) {
		t.Errorf("the error holds the secret: %v", err)
	}
}

// TestRenewalFails: a token that is still good is used when Zendesk gives no new one.
func TestRenewalFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := account()
		c := open(t, a, settings())
		mustPush(t, c, record(1, 1))
		<-time.After(59 * time.Minute)
		a.ClientID = "deleted"
		mustPush(t, c, record(2, 1))
		<-time.After(2 * time.Minute)
		if _, err := c.Push(t.Context(), record(3, 1)); connectors.Classify(err) == nil || connectors.Classify(err).Kind != connectors.Denied {
			t.Errorf("without a token: %v", err)
		}
	})
}
