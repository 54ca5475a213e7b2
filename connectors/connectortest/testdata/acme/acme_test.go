// This file runs the suite against a stateful fake of the desk.

package acme_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"example.com/acme"

	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/connectors/connectortest"
)

func TestConnector(t *testing.T) {
	connectortest.Run(t, connectortest.Suite{
		Type: acme.Type(),
		Open: func(*testing.T) connectortest.Target {
			vendor := &desk{}
			settings := acme.Type().Settings().(*acme.Settings)
			settings.Address, settings.Token = "https://desk.example.com", secret.New(connectortest.Canary)
			return connectortest.Target{Settings: settings, Vendor: vendor, Count: vendor.count}
		},
		Record: func(n, revision int) map[string]any {
			return map[string]any{"title": fmt.Sprintf("chat %d, revision %d", n, revision), "text": "hello"}
		},
	})
}

// desk is the fake: a list of tickets.
type desk struct {
	mu      sync.Mutex
	tickets []map[string]any
}

func (d *desk) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.tickets)
}

func (d *desk) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var answer any = map[string]any{"name": "bot"}
	switch body := map[string]any{}; {
	case r.Header.Get("Authorization") != "Bearer "+connectortest.Canary:
		w.WriteHeader(http.StatusUnauthorized)
	case r.URL.Path == "/tickets" && r.Method == http.MethodGet:
		found := []any{}
		for _, ticket := range d.tickets {
			if ticket["external_id"] == r.URL.Query().Get("external_id") {
				found = append(found, ticket)
			}
		}
		answer = found
	case r.URL.Path == "/tickets" && json.NewDecoder(r.Body).Decode(&body) == nil:
		body["id"] = fmt.Sprint(len(d.tickets) + 1)
		d.tickets = append(d.tickets, body)
		answer = body
	default:
		for _, ticket := range d.tickets {
			if r.URL.Path == fmt.Sprint("/tickets/", ticket["id"]) {
				answer = ticket
			}
		}
	}
	_ = json.NewEncoder(w).Encode(answer)
}
