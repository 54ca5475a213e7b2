// This file declares the settings and says which of them can work together.

package hubspot

import (
	"errors"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/connectors"
)

// What happens to a conversation without an e-mail address.
const (
	skip     = "skip"
	catchAll = "catch_all"
)

// What happens to the properties of a contact that is there already.
const (
	fill      = "fill"
	overwrite = "overwrite"
)

// defaultCatchAll is nobody's address: example.com is set aside (RFC 2606) and takes no mail. A domain below .invalid
// would say so better, but HubSpot takes only addresses below a top-level domain that exists.
// https://legacydocs.hubspot.com/docs/faq/how-does-hubspot-validate-email-addresses
const defaultCatchAll = "live-chat@example.com"

// defaultProperty is the unique property of tickets that holds the conversation.
const defaultProperty = "afterchat_conversation_id"

// Settings say which account, and what a conversation becomes there.
type Settings struct {
	Token         secret.String `yaml:"token" doc:"service key, or access token of a private app" required:"true" example:"${env.HUBSPOT_TOKEN}"`
	URL           string        `yaml:"url" doc:"base address of the API, for a proxy or a test" example:"https://api.hubapi.com"`
	Ticket        *Ticket       `yaml:"ticket" doc:"makes a ticket for each conversation, too; without it there is a contact and a note"`
	WithoutEmail  string        `yaml:"without_email" doc:"what happens without an e-mail address: catch_all uses one contact for all; skip makes no contact, so that without ticket nothing is sent" enum:"catch_all,skip"`
	CatchAllEmail string        `yaml:"catch_all_email" doc:"e-mail address of the contact that catch_all uses; it is made when it is missing, and HubSpot wants its domain to end in one that exists" example:"chats@example.com"`
	ContactUpdate string        `yaml:"contact_update" doc:"what happens to a contact that is there already: fill writes only properties that are empty, overwrite writes all that are mapped" enum:"fill,overwrite"`
	TimeZone      string        `yaml:"time_zone" doc:"time zone of the HubSpot account, where its daily limit of requests ends at midnight; without it a used-up limit is tried again every hour" example:"Europe/Prague"`
}

// Ticket says where tickets are made.
type Ticket struct {
	Pipeline string `yaml:"pipeline" doc:"id of the ticket pipeline; 0 is the one that every account has" required:"true" example:"0"`
	Stage    string `yaml:"stage" doc:"id of the stage that a new ticket gets" required:"true" example:"1"`
	Property string `yaml:"property" doc:"name of the ticket property with unique values that holds the conversation; afterchat_conversation_id unless said"`
}

func defaults() Settings {
	return Settings{
		URL: "https://api.hubapi.com", WithoutEmail: catchAll, CatchAllEmail: defaultCatchAll, ContactUpdate: fill,
	}
}

// property is the unique property's name.
func (t *Ticket) property() string {
	if t.Property == "" {
		return defaultProperty
	}
	return t.Property
}

// propertyName is how HubSpot names properties inside.
var propertyName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,99}$`)

// Validate reports every setting that cannot work, each as a *connectors.SettingError.
func (s Settings) Validate() error {
	var wrong []error
	report := func(key, problem, hint string) {
		wrong = append(wrong, &connectors.SettingError{Key: key, Problem: problem, Hint: hint})
	}
	switch token := s.Token.Reveal(); {
	case token == "":
		report("token", "is missing", "make a service key, in HubSpot under Settings, Integrations, Service keys")
	case !httpguts.ValidHeaderFieldValue(token) || strings.ContainsAny(token, " \t"):
		report("token", "has a space, a line break or a control character", "check the end of the secret's file")
	}
	if u, err := url.Parse(s.URL); err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") ||
		u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		report("url", "is no base address", "leave it out, or write the scheme and host of the proxy in between")
	}
	s.validateContact(report)
	s.Ticket.validate(report)
	if s.TimeZone != "" {
		if _, err := time.LoadLocation(s.TimeZone); err != nil {
			report("time_zone", "is not known", "write a name of the IANA database, such as Europe/Prague")
		}
	}
	return errors.Join(wrong...)
}

func (s Settings) validateContact(report func(key, problem, hint string)) {
	if !slices.Contains([]string{catchAll, skip}, s.WithoutEmail) {
		report("without_email", "must be catch_all or skip", "write one of them, or leave it out")
	}
	if !slices.Contains([]string{fill, overwrite}, s.ContactUpdate) {
		report("contact_update", "must be fill or overwrite", "write one of them, or leave it out")
	}
	parsed, err := mail.ParseAddress(s.CatchAllEmail)
	switch {
	case s.WithoutEmail == catchAll && s.CatchAllEmail == "":
		report("catch_all_email", "is missing", "leave it out for "+defaultCatchAll+", or write the address of a contact")
	case s.WithoutEmail == skip && s.CatchAllEmail != "" && s.CatchAllEmail != defaultCatchAll:
		report("catch_all_email", "is not used", "remove it, or remove without_email: skip")
	case s.CatchAllEmail != "" && (err != nil || parsed.Address != s.CatchAllEmail):
		report("catch_all_email", "is no e-mail address", "write only the address, such as chats@example.com")
	}
}

func (t *Ticket) validate(report func(key, problem, hint string)) {
	if t == nil {
		return
	}
	if t.Pipeline == "" {
		report("ticket.pipeline", "is missing", "write the id of a ticket pipeline; 0 is the one that every account has")
	}
	if t.Stage == "" {
		report("ticket.stage", "is missing", "write the id of a stage of that pipeline; in the pipeline 0 the stage 1 is for new tickets")
	}
	if !propertyName.MatchString(t.property()) {
		report("ticket.property", "is no internal name of a property", "use lower-case letters, digits and _, such as "+defaultProperty)
	}
}
