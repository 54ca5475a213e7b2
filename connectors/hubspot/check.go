// This file answers whether the account works: the token, its scopes, and what the settings name. It makes nothing.

package hubspot

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/rest"
)

// Check reads a contact and a note, offers HubSpot an empty batch, which needs the scope for writing and writes nothing,
// and looks for the pipeline, the stage and the unique property of tickets.
func (t *target) Check(ctx context.Context) error {
	steps := []func(context.Context) error{t.canRead("contacts"), t.canRead("notes"), t.canWrite("contacts")}
	if t.settings.Ticket != nil {
		steps = append(steps, t.canRead("tickets"), t.canWrite("tickets"), t.hasSettingsStage, t.hasProperty)
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (t *target) canRead(kind string) func(context.Context) error {
	return func(ctx context.Context) error {
		c := call{method: http.MethodGet, path: objects(kind) + "?limit=1"}
		var out struct{ Results []object }
		if err := t.do(ctx, c, &out); err != nil {
			return err
		}
		if out.Results == nil {
			return t.unreadable(c, http.StatusOK, errNoObjects)
		}
		return nil
	}
}

// canWrite offers an empty batch. HubSpot refuses it as empty, or takes it; it is denied where the scope is missing.
func (t *target) canWrite(kind string) func(context.Context) error {
	return func(ctx context.Context) error {
		c := call{method: http.MethodPost, path: objects(kind, "batch", "upsert"), body: map[string]any{"inputs": []any{}}}
		if err := t.do(ctx, c, nil); err != nil && connectors.Classify(err).Kind != connectors.Rejected {
			return err
		}
		return nil
	}
}

// hasSettingsStage looks for the pipeline and the stage of the settings.
func (t *target) hasSettingsStage(ctx context.Context) error {
	s := t.settings.Ticket
	return t.hasStage(ctx, "ticket.pipeline", s.Pipeline, "ticket.stage", s.Stage)
}

// hasStage reads the ticket pipelines and tells whether one has the stage, and lists what there is if not. The names
// are what the operator wrote the two under.
func (t *target) hasStage(ctx context.Context, pipelineName, pipeline, stageName, stage string) error {
	c := call{method: http.MethodGet, path: "/crm/pipelines/" + version + "/tickets"}
	type named struct {
		ID    identifier
		Label string
	}
	var out struct {
		Results []struct {
			ID     identifier
			Label  string
			Stages []named
		}
	}
	if err := t.do(ctx, c, &out); err != nil {
		return err
	}
	if out.Results == nil {
		return t.unreadable(c, http.StatusOK, errNoObjects)
	}
	var pipelines []string
	for _, p := range out.Results {
		pipelines = append(pipelines, fmt.Sprintf("%s (%s)", p.ID, t.plain(p.Label, 80)))
		if string(p.ID) != pipeline {
			continue
		}
		var stages []string
		for _, s := range p.Stages {
			if string(s.ID) == stage {
				return nil
			}
			stages = append(stages, fmt.Sprintf("%s (%s)", s.ID, t.plain(s.Label, 80)))
		}
		return denied(fmt.Errorf("%s: the pipeline %s has no stage %q", stageName, p.ID, stage),
			"its stages are "+strings.Join(stages, ", "))
	}
	return denied(fmt.Errorf("%s: there is no ticket pipeline %q", pipelineName, pipeline),
		"there are "+strings.Join(pipelines, ", "))
}

// hasProperty looks for the unique property, and says how it is made.
func (t *target) hasProperty(ctx context.Context) error {
	name := t.settings.Ticket.property()
	path := "/crm/properties/" + version + "/tickets"
	c := call{method: http.MethodGet, path: path + "/" + url.PathEscape(name), object: true}
	var out struct {
		Name           string
		Type           string
		HasUniqueValue bool
		Archived       bool
	}
	err := t.do(ctx, c, &out)
	switch {
	case status(err) == http.StatusNotFound || (err == nil && out.Archived):
		body, jsonErr := rest.JSON(map[string]any{
			"name": name, "label": "Afterchat conversation", "groupName": "ticketinformation", "type": "string",
			"fieldType": "text", "hasUniqueValue": true, "description": "the chat that this ticket was made from",
		})
		if jsonErr != nil {
			return jsonErr
		}
		return denied(fmt.Errorf("ticket.property: tickets have no property %q", name), fmt.Sprintf(
			"make it once: curl -X POST %s%s -H \"Authorization: Bearer $HUBSPOT_TOKEN\" -H 'Content-Type: application/json' -d '%s'",
			t.base, path, body))
	case err != nil:
		return err
	case out.Name != name:
		return t.unreadable(c, http.StatusOK, errNoObjects)
	case !out.HasUniqueValue || out.Type != "string":
		return denied(fmt.Errorf("ticket.property: the property %q does not demand unique values, or is not text", name),
			"HubSpot cannot change that; name another property, which check tells how to make")
	}
	return nil
}

func denied(err error, hint string) error {
	return &connectors.Error{Kind: connectors.Denied, Err: err, Hint: hint}
}
