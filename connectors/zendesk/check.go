// This file tells whether an account can be used, without writing anything.

package zendesk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/afterchat/afterchat/connectors"
)

// Check returns nil if the credentials are accepted, belong to an agent (an admin for imports), carry the scopes that
// are needed, may list tickets, and if the users of the settings exist.
func (t *target) Check(ctx context.Context) error {
	var me struct {
		User user `json:"user"`
	}
	if err := t.api.do(ctx, call{method: http.MethodGet, path: "/api/v2/users/me"}, &me); err != nil {
		return err
	}
	switch {
	case me.User.ID == 0:
		// Wrong credentials may get 200 and the anonymous user here.
		return denied("Zendesk does not know who we are", t.api.credentialHint())
	case me.User.Suspended:
		return denied("the user of the credentials is suspended", "an admin of the account can lift that")
	case me.User.Role != "agent" && me.User.Role != "admin":
		return denied(fmt.Sprintf("the user of the credentials has the role %q", me.User.Role), "give it the role of an agent")
	case t.settings.Mode == modeImport && me.User.Role != "admin":
		return denied("mode import needs an admin, and the user of the credentials is an agent", "make it an admin, or set mode: ticket")
	}
	if err := t.checkScopes(); err != nil {
		return err
	}
	var list struct {
		Tickets *[]ticket `json:"tickets"`
	}
	if err := t.api.do(ctx, call{method: http.MethodGet, path: "/api/v2/tickets", query: url.Values{"external_id": {"afterchat:check"}}}, &list); err != nil {
		return err
	}
	return t.checkUsers(ctx)
}

func denied(problem, hint string) error {
	return &connectors.Error{Kind: connectors.Denied, Err: errors.New(problem), Hint: hint}
}

// checkScopes reads the scopes that came with the token, if they did.
func (t *target) checkScopes() error {
	if t.api.tokens == nil {
		return nil
	}
	granted := strings.Fields(t.api.tokens.current().scope)
	if len(granted) == 0 {
		return nil
	}
	needed := [][]string{{"read", "tickets:read"}, {"write", "tickets:write"}}
	if t.settings.Mode == modeImport {
		needed = append(needed, []string{"read", "users:read"}, []string{"write", "users:write"})
	}
	for _, either := range needed {
		if !slices.ContainsFunc(either, func(scope string) bool { return slices.Contains(granted, scope) }) {
			return denied(fmt.Sprintf("the access token lacks the scope %s or %s; it has %s", either[1], either[0], strings.Join(granted, " ")),
				"allow the scope in the OAuth client, and name it in oauth.scope")
		}
	}
	return nil
}

// checkUsers finds users of the settings that do not exist, and agents that are none.
func (t *target) checkUsers(ctx context.Context) error {
	var problems []string
	look := func(what string, id int64, staff bool) error {
		var got struct {
			User user `json:"user"`
		}
		err := t.api.do(ctx, call{method: http.MethodGet, path: "/api/v2/users/" + strconv.FormatInt(id, 10), object: true}, &got)
		switch {
		case isGone(err):
			problems = append(problems, fmt.Sprintf("%s: there is no user %d", what, id))
			return nil
		case err != nil:
			return err
		case staff && got.User.Role == "end-user":
			problems = append(problems, fmt.Sprintf("%s: user %d is no agent", what, id))
		}
		return nil
	}
	for _, name := range sortedKeys(t.settings.Agents) {
		if err := look("agents."+name, t.settings.Agents[name], true); err != nil {
			return err
		}
	}
	if r := t.settings.FallbackRequester; r != nil && r.ID != 0 {
		if err := look("fallback_requester.id", r.ID, false); err != nil {
			return err
		}
	}
	if len(problems) > 0 {
		return denied(strings.Join(problems, "; "), "correct the ids; the address of a user's page in Zendesk ends in its id")
	}
	return nil
}

// CheckFields tells whether what a mapping names exists in the account: brand, form, group, assignee and custom fields.
// Its fields are those of a record; what is not an id is passed over.
func (t *target) CheckFields(ctx context.Context, fields map[string]any) error {
	var problems []string
	look := func(field, path, id string) error {
		err := t.api.do(ctx, call{method: http.MethodGet, path: path + id, object: true}, nil)
		if isGone(err) {
			problems = append(problems, fmt.Sprintf("%s: Zendesk has no %s", field, id))
			return nil
		}
		return err
	}
	for _, named := range []struct{ field, path string }{
		{"assignee_id", "/api/v2/users/"}, {"brand_id", "/api/v2/brands/"}, {"group_id", "/api/v2/groups/"}, {"ticket_form_id", "/api/v2/ticket_forms/"},
	} {
		id, err := strconv.ParseInt(fmt.Sprint(fields[named.field]), 10, 64)
		if err != nil {
			continue
		}
		if err := look(named.field, named.path, strconv.FormatInt(id, 10)); err != nil {
			return err
		}
	}
	custom, _ := fields["custom_fields"].(map[string]any)
	for _, id := range sortedKeys(custom) {
		if _, err := strconv.ParseInt(id, 10, 64); err != nil {
			problems = append(problems, fmt.Sprintf("custom_fields: %q is no id of a field", id))
			continue
		}
		if err := look("custom_fields", "/api/v2/ticket_fields/", id); err != nil {
			return err
		}
	}
	if len(problems) > 0 {
		return denied(strings.Join(problems, "; "), "correct the ids in the mapping")
	}
	return nil
}
