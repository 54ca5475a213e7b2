// This file declares the settings and says which of them can work together.

package zendesk

import (
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/connectors"
)

// The modes.
const (
	modeTicket = "ticket"
	modeImport = "import"
)

// Settings say which account is written to, who we are there, and how a conversation becomes a ticket.
type Settings struct {
	Subdomain         string           `yaml:"subdomain" doc:"the account: acme for https://acme.zendesk.com" example:"acme"`
	URL               string           `yaml:"url" doc:"base address in place of the subdomain's" example:"https://support.acme.example"`
	OAuth             *OAuth           `yaml:"oauth" doc:"credentials: an OAuth client of the account"`
	Email             string           `yaml:"email" doc:"legacy credentials: the user that an API token belongs to" example:"bot@acme.example"`
	Token             secret.String    `yaml:"token" doc:"legacy credentials: an API token; Zendesk ends them on 2027-04-30" example:"${env.ZENDESK_TOKEN}"`
	Mode              string           `yaml:"mode" doc:"ticket: one internal comment holds the transcript; import: one comment for each message, with its time and author, for which the credentials must be an admin's" enum:"ticket,import"`
	Agents            map[string]int64 `yaml:"agents" doc:"mode import: Zendesk user ids by the name or id that an agent has on the chat platform" example:"{Petr Novak: 360001234567}"`
	FallbackRequester *Requester       `yaml:"fallback_requester" doc:"requester of tickets of visitors without an e-mail address; without it the user of the credentials"`
	Public            bool             `yaml:"public" doc:"mode import: whether what visitors and agents wrote becomes public comments; ticket comments are always internal"`
	LookFirst         bool             `yaml:"look_first" doc:"look for the ticket before every create, not only after an uncertain attempt: for a second gateway, or after a lost ledger"`
}

// OAuth is a confidential client of the account, used with the grant client_credentials.
type OAuth struct {
	ClientID     string        `yaml:"client_id" doc:"the client's identifier" required:"true" example:"afterchat"`
	ClientSecret secret.String `yaml:"client_secret" doc:"the client's secret" required:"true" example:"${env.ZENDESK_SECRET}"`
	Scope        string        `yaml:"scope" doc:"scopes to ask for, separated by spaces; read write unless said" example:"tickets:read tickets:write users:read users:write"`
}

// Requester is a user of the account: by id, or by e-mail address.
type Requester struct {
	ID    int64  `yaml:"id" doc:"id of the user" example:"360001234567"`
	Email string `yaml:"email" doc:"e-mail address of the user, created when there is none" example:"chat@acme.example"`
	Name  string `yaml:"name" doc:"name of a user that has to be created" example:"Chat visitor"`
}

func defaults() Settings { return Settings{Mode: modeTicket, Public: true} }

// subdomain is what Zendesk takes: RFC 1123 labels.
var subdomain = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

// Validate reports every setting that cannot work, each as a *connectors.SettingError.
func (s Settings) Validate() error {
	var wrong []error
	report := func(key, problem, hint string) {
		wrong = append(wrong, &connectors.SettingError{Key: key, Problem: problem, Hint: hint})
	}
	s.validateAddress(report)
	s.validateCredentials(report)
	for _, name := range sortedKeys(s.Agents) {
		if s.Agents[name] <= 0 {
			report("agents."+name, "is no user id", "write the number in the address of the user's page")
		}
	}
	if r := s.FallbackRequester; r != nil {
		switch _, err := mail.ParseAddress(r.Email); {
		case r.ID < 0:
			report("fallback_requester.id", "is no user id", "write the number in the address of the user's page")
		case (r.ID == 0) == (r.Email == ""):
			report("fallback_requester", "needs an id or an email, and one of them only", "write {id: 360001234567}, or {email: chat@acme.example, name: Chat visitor}")
		case r.Email != "" && err != nil:
			report("fallback_requester.email", fmt.Sprintf("%q is no e-mail address", r.Email), "write only the address, such as chat@acme.example")
		}
	}
	if s.Mode != modeTicket && s.Mode != modeImport {
		report("mode", fmt.Sprintf("%q is no mode", s.Mode), "write ticket or import")
	}
	return errors.Join(wrong...)
}

func (s Settings) validateAddress(report func(key, problem, hint string)) {
	switch {
	case s.Subdomain == "" && s.URL == "":
		report("subdomain", "is missing", "write the account's name: acme for https://acme.zendesk.com")
	case s.Subdomain != "" && !subdomain.MatchString(s.Subdomain):
		report("subdomain", fmt.Sprintf("%q is no subdomain", s.Subdomain), "write only the account's name: acme for https://acme.zendesk.com")
	}
	if s.URL == "" {
		return
	}
	u, err := url.Parse(s.URL)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		report("url", "is no base address", "write scheme and host, such as https://acme.zendesk.com")
	}
}

func (s Settings) validateCredentials(report func(key, problem, hint string)) {
	legacy := s.Email != "" || !s.Token.IsZero()
	switch {
	case s.OAuth != nil && legacy:
		report("oauth", "stands beside email and token", "keep oauth; API tokens end on 2027-04-30")
	case s.OAuth != nil:
		if s.OAuth.ClientID == "" {
			report("oauth.client_id", "is missing", "write the identifier of the OAuth client")
		}
		if s.OAuth.ClientSecret.IsZero() {
			report("oauth.client_secret", "is missing", "use the secret that is shown once when the OAuth client is made")
		}
	case !legacy:
		report("oauth", "is missing", "write oauth: {client_id: …, client_secret: …} of an OAuth client of the account")
	case s.Email == "":
		report("email", "is missing", "write the address of the user that the token belongs to")
	case s.Token.IsZero():
		report("token", "is missing", "use oauth with client_id and client_secret; or, until 2027-04-30, the token that belongs to email")
	case strings.HasSuffix(s.Email, "/token"):
		report("email", "ends in /token", "write only the address; /token is added")
	}
}

// warnings tells of what Zendesk is about to end.
func (s Settings) warnings() []*connectors.SettingError {
	if s.OAuth != nil {
		return nil
	}
	return []*connectors.SettingError{{
		Key: "token", Problem: "Zendesk ends API tokens on 2027-04-30",
		Hint: "make an OAuth client of the account and write oauth: {client_id: …, client_secret: …} instead of email and token",
	}}
}

// base is the address that paths are appended to.
func (s Settings) base() string {
	if s.URL != "" {
		return strings.TrimRight(s.URL, "/")
	}
	return "https://" + strings.ToLower(s.Subdomain) + ".zendesk.com"
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
