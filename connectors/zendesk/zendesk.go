// Package zendesk makes one Zendesk Support ticket of each conversation, and keeps it at one.
//
// This file declares the type and opens a target.
package zendesk

import (
	"context"
	_ "embed"
	"log/slog"
	"time"

	"github.com/afterchat/afterchat/connectors"
)

//go:embed mapping.yaml
var mapping string

// Type declares the connector.
func Type() connectors.Type { return connectors.Define("zendesk", definition()) }

func definition() connectors.Definition[Settings] {
	return connectors.Definition[Settings]{
		Doc:      "makes one Zendesk ticket of each conversation, with the transcript as an internal comment or as one comment for each message",
		Defaults: defaults(),
		Fields:   fields,
		Once:     func(Settings) connectors.Once { return connectors.OnceLookup },
		Warnings: Settings.warnings,
		Mapping:  mapping,
		Alert:    `{subject: '${question | truncate(150)}', status: new}`,
		Vet:      vet,
		New: func(s Settings, env connectors.Env) (connectors.Connector, error) {
			return open(s, env), nil
		},
	}
}

// target is one configured account.
type target struct {
	settings Settings
	api      *api
	users    *users
	log      *slog.Logger
	now      func() time.Time
}

func open(s Settings, env connectors.Env) *target {
	log := env.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	a := newAPI(s, env)
	return &target{settings: s, api: a, users: newUsers(a), log: log, now: time.Now}
}

// Push makes the account hold one ticket with the record. What is known of the ticket is in the receipt; what is not
// known is looked up, by the ticket's external id and by the last line of its comments.
func (t *target) Push(ctx context.Context, rec connectors.Record) (connectors.Receipt, error) {
	c, err := newContent(rec.Fields, t.now())
	if err != nil {
		return rec.Prior, err
	}
	p := newPush(t, rec, c)
	err = p.run(ctx)
	return p.receipt, err
}
