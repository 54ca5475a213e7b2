// Package acme puts conversations into the Acme desk as tickets. It is a connector that lives outside of afterchat.
//
// This file is all of it.
package acme

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/rest"
)

// Settings say which desk.
type Settings struct {
	Address string        `yaml:"address" doc:"address of the desk" required:"true" example:"https://desk.example.com"`
	Token   secret.String `yaml:"token" doc:"API token" required:"true" example:"${env.ACME_TOKEN}"`
}

// Type declares the connector.
func Type() connectors.Type {
	return connectors.Define("acme", connectors.Definition[Settings]{
		Doc: "makes a ticket in the Acme desk of each conversation",
		Fields: func(Settings) []connectors.Field {
			return []connectors.Field{
				{Name: "title", Type: connectors.Text, Doc: "title of the ticket", Required: true, Limit: 200},
				{Name: "text", Type: connectors.Text, Doc: "the transcript"},
			}
		},
		Once:    func(Settings) connectors.Once { return connectors.OnceLookup },
		Mapping: "title: '${outcome} chat with ${coalesce(visitor.name, \"a visitor\")}'\ntext: '${transcript.text}'\n",
		New: func(s Settings, env connectors.Env) (connectors.Connector, error) {
			return &desk{s.Address, rest.New(env, rest.Options{ShowPath: true, Authorize: func(r *http.Request, _ []byte) error {
				r.Header.Set("Authorization", "Bearer "+s.Token.Reveal())
				return nil
			}})}, nil
		},
	})
}

type desk struct {
	address string
	rest    *rest.Client
}

// Push makes the ticket, or updates the one that is there. The desk has no idempotency keys, but it can be asked.
func (d *desk) Push(ctx context.Context, rec connectors.Record) (connectors.Receipt, error) {
	id := rec.Prior.ID
	if id == "" && rec.Uncertain {
		var found []struct{ ID string }
		err := d.call(ctx, http.MethodGet, "/tickets?external_id="+url.QueryEscape(rec.Object), nil, &found)
		if err != nil {
			return connectors.Receipt{}, err
		}
		if len(found) > 0 {
			id = found[0].ID
		}
	}
	method, path := http.MethodPost, "/tickets"
	if id != "" {
		method, path = http.MethodPut, "/tickets/"+url.PathEscape(id)
	}
	body, err := rest.JSON(map[string]any{"external_id": rec.Object, "title": rec.Fields["title"], "text": rec.Fields["text"]})
	if err != nil {
		return rec.Prior, &connectors.Error{Kind: connectors.Rejected, Err: err}
	}
	var ticket struct{ ID string }
	if err := d.call(ctx, method, path, body, &ticket); err != nil {
		return rec.Prior, err
	}
	return connectors.Receipt{ID: ticket.ID, URL: d.address + "/tickets/" + ticket.ID}, nil
}

// Check asks who we are.
func (d *desk) Check(ctx context.Context) error {
	return d.call(ctx, http.MethodGet, "/me", nil, new(map[string]any))
}

func (d *desk) call(ctx context.Context, method, path string, body []byte, into any) error {
	answer, err := d.rest.Do(ctx, rest.Request{Method: method, URL: d.address + path, Body: body})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(answer.Body, into); err != nil {
		return &connectors.Error{
			Kind: connectors.Temporary, Uncertain: true, Err: fmt.Errorf("the desk's answer cannot be read: %w", err),
			Hint: "is something else answering at this address?",
		}
	}
	return nil
}
