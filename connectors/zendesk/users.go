// This file finds the users of an account by e-mail address, and keeps what it found: updates of one user are limited to
// five a minute, so no user is written for each chat.

package zendesk

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/afterchat/afterchat/connectors"
)

const (
	userLife = time.Hour // a user may be merged or deleted
	maxUsers = 10_000
)

// users is the cache of one target. Use newUsers.
type users struct {
	api *api

	mu    sync.Mutex
	known map[string]foundUser // by address in lower case
}

type foundUser struct {
	id int64
	at time.Time
}

func newUsers(a *api) *users { return &users{api: a, known: map[string]foundUser{}} }

// user is what answers say of a user.
type user struct {
	ID        int64  `json:"id"`
	Email     string `json:"email"`
	Name      string `json:"name"`
	Role      string `json:"role"`
	Suspended bool   `json:"suspended"`
}

// id returns the id of the user with an address, and creates one if there is none. The search lags behind: a user that
// it does not find yet is found by create_or_update, which makes no second user for an address.
// https://developer.zendesk.com/api-reference/ticketing/users/users/#create-or-update-user
func (u *users) id(ctx context.Context, email, name string) (int64, error) {
	key := strings.ToLower(email)
	if id, ok := u.cached(key); ok {
		return id, nil
	}
	id, err := u.search(ctx, key)
	if err != nil {
		return 0, err
	}
	if id == 0 {
		if id, err = u.create(ctx, email, name); err != nil {
			return 0, err
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.known) >= maxUsers {
		clear(u.known)
	}
	u.known[key] = foundUser{id: id, at: time.Now()}
	return id, nil
}

func (u *users) cached(key string) (int64, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	found, ok := u.known[key]
	return found.id, ok && time.Since(found.at) < userLife
}

// search returns 0 if there is no user with exactly this address.
func (u *users) search(ctx context.Context, email string) (int64, error) {
	var page struct {
		Users *[]user `json:"users"`
	}
	query := url.Values{"query": {`email:"` + strings.ReplaceAll(email, `"`, "") + `"`}}
	if err := u.api.do(ctx, call{method: http.MethodGet, path: "/api/v2/users/search", query: query}, &page); err != nil {
		return 0, err
	}
	if page.Users == nil {
		return 0, &connectors.Error{Err: fmt.Errorf("GET /api/v2/users/search: the answer holds no list of users"), Hint: "check the address"}
	}
	for _, found := range *page.Users {
		if strings.EqualFold(found.Email, email) {
			return found.ID, nil
		}
	}
	return 0, nil
}

func (u *users) create(ctx context.Context, email, name string) (int64, error) {
	values := person(email, name)
	values["skip_verify_email"] = true // no mail to somebody who only chatted
	var made struct {
		User user `json:"user"`
	}
	err := u.api.do(ctx, call{method: http.MethodPost, path: "/api/v2/users/create_or_update", json: map[string]any{"user": values}}, &made)
	if err == nil && made.User.ID <= 0 {
		err = &connectors.Error{Err: fmt.Errorf("POST /api/v2/users/create_or_update: the answer names no user"), Hint: "check the address"}
	}
	if err != nil {
		e := *connectors.Classify(err)
		e.Uncertain = false // of the ticket nothing was sent, and the same address never makes a second user
		return 0, &e
	}
	return made.User.ID, nil
}
