// This file keeps the OAuth access token: fetched when it is first needed, renewed before it expires, by one goroutine.

package zendesk

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/rest"
)

const (
	// defaultScope covers tickets, uploads and users.
	defaultScope = "read write"

	// unknownLife is how long a token is used whose answer names no lifetime. A token that ends before is fetched again
	// after the 401.
	unknownLife = 30 * time.Minute
)

// grant is an access token and until when it can be used.
type grant struct {
	token  string
	scope  string // as granted; "" if the answer does not say
	renew  time.Time
	expire time.Time
}

// tokens is the cache. The zero value is not usable, see newTokens.
type tokens struct {
	rest    *rest.Client
	address string
	oauth   OAuth
	turn    chan struct{} // held by the one goroutine that fetches

	mu   sync.Mutex
	held grant
}

func newTokens(client *rest.Client, base string, oauth OAuth) *tokens {
	return &tokens{rest: client, address: base + "/oauth/tokens", oauth: oauth, turn: make(chan struct{}, 1)}
}

// get returns a token that is still good. While one goroutine renews a token ahead of its end, the others go on with
// the old one; without a good token they wait.
func (t *tokens) get(ctx context.Context) (grant, error) {
	now := time.Now()
	held := t.current()
	if now.Before(held.renew) {
		return held, nil
	}
	if now.Before(held.expire) {
		select {
		case t.turn <- struct{}{}:
		default:
			return held, nil
		}
	} else {
		select {
		case t.turn <- struct{}{}:
		case <-ctx.Done():
			return grant{}, &connectors.Error{Err: errors.New("the wait for an access token ended"), Hint: "the target is slow or out of reach"}
		}
	}
	defer func() { <-t.turn }()
	if again := t.current(); again.token != "" && again.token != held.token {
		return again, nil // somebody else was faster
	}
	fresh, err := t.fetch(ctx)
	if err != nil {
		if time.Now().Before(held.expire) {
			return held, nil // renewing was early; there is time to try again
		}
		return grant{}, err
	}
	t.set(fresh)
	return fresh, nil
}

func (t *tokens) current() grant {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.held
}

func (t *tokens) set(g grant) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.held = g
}

// drop forgets a token that was not accepted, unless it was replaced meanwhile.
func (t *tokens) drop(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held.token == token {
		t.held = grant{}
	}
}

// fetch asks for a token by the grant client_credentials, RFC 6749 section 4.4:
// https://developer.zendesk.com/api-reference/ticketing/oauth/grant_type_tokens/
func (t *tokens) fetch(ctx context.Context) (grant, error) {
	scope := t.oauth.Scope
	if scope == "" {
		scope = defaultScope
	}
	body, err := rest.JSON(map[string]any{
		"grant_type": "client_credentials", "client_id": t.oauth.ClientID,
		"client_secret": t.oauth.ClientSecret.Reveal(), "scope": scope,
	})
	if err != nil {
		return grant{}, err
	}
	asked := time.Now()
	answer, err := t.rest.Do(ctx, rest.Request{
		Method: http.MethodPost, URL: t.address, Body: body,
		Header: http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}},
	})
	if err != nil {
		return grant{}, refusedToken(err)
	}
	var got struct {
		AccessToken string  `json:"access_token"`
		ExpiresIn   float64 `json:"expires_in"`
		Scope       string  `json:"scope"`
	}
	if err := json.Unmarshal(answer.Body, &got); err != nil || got.AccessToken == "" {
		return grant{}, &connectors.Error{
			Status: answer.Status, Err: errors.New("the answer to the request for an access token holds no token"),
			Hint: "check that the address is that of a Zendesk account",
		}
	}
	life := time.Duration(got.ExpiresIn * float64(time.Second))
	if life <= 0 {
		life = unknownLife
	}
	return grant{
		token: strings.TrimSpace(got.AccessToken), scope: got.Scope,
		expire: asked.Add(life), renew: asked.Add(life - min(life/5, 2*time.Minute)),
	}, nil
}

// refusedToken classifies a failure to get a token. Nothing of a record was sent, and a refusal is about the client,
// whatever its status (RFC 6749, section 5.2, answers 400 where others answer 401).
func refusedToken(err error) error {
	e := *connectors.Classify(err)
	e.Uncertain = false
	if e.Hint == "" {
		e.Hint = "Zendesk gives no access token now"
	}
	if e.Kind == connectors.Rejected || e.Kind == connectors.Denied {
		e.Kind = connectors.Denied
		e.Hint = "check oauth.client_id, oauth.client_secret and the scopes that the client allows; the client must be confidential"
	}
	return &e
}
