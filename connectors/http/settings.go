// This file declares the settings and says which of them can work together.

package http

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/connectors"
)

// Settings say where the API is and how it talks.
type Settings struct {
	URL       secret.String            `yaml:"url" doc:"address of the API, http or https; kept secret, for incoming webhooks carry their key in it" required:"true" example:"https://api.example.com/v1/chats"`
	Method    string                   `yaml:"method" doc:"method of the request; GET sends no body" enum:"POST,PUT,PATCH,GET"`
	Headers   map[string]secret.String `yaml:"headers" doc:"headers of every request" example:"{X-Api-Key: '${env.API_KEY}'}"`
	Auth      *Auth                    `yaml:"auth" doc:"credentials; one of bearer, basic, hmac"`
	Encoding  string                   `yaml:"encoding" doc:"how the body is written" enum:"json,form,text"`
	Success   []Status                 `yaml:"success" doc:"statuses that mean that the target holds the record" example:"[2xx, 409]"`
	Reject    []Status                 `yaml:"reject" doc:"statuses that mean that the target will never take this record" example:"[418]"`
	Once      string                   `yaml:"once" doc:"what keeps an uncertain attempt from making a second object: key sends an idempotency key, lookup looks first, none does nothing" enum:"key,lookup,none"`
	KeyHeader string                   `yaml:"key_header" doc:"header that carries the idempotency key when once is key"`
	Receipt   Pointers                 `yaml:"receipt" doc:"where the answer tells what was created"`
	Lookup    Lookup                   `yaml:"lookup" doc:"how the answer to a lookup is read"`
	Check     *Check                   `yaml:"check" doc:"a harmless request that tells whether the target works; without it check --live only connects"`
}

// Auth is one way to be let in.
type Auth struct {
	Bearer secret.String `yaml:"bearer" doc:"token for Authorization: Bearer" example:"${env.API_TOKEN}"`
	Basic  *Basic        `yaml:"basic" doc:"user and password for Authorization: Basic"`
	HMAC   *HMAC         `yaml:"hmac" doc:"signature over the body; Standard Webhooks unless a header is named"`
}

// Basic is RFC 7617.
type Basic struct {
	User     string        `yaml:"user" doc:"user name, without a colon" required:"true"`
	Password secret.String `yaml:"password" doc:"password"`
}

// HMAC signs each request with HMAC-SHA256.
type HMAC struct {
	Secret   secret.String `yaml:"secret" doc:"shared secret; after whsec_ it is base64" required:"true" example:"${env.SIGNING_SECRET}"`
	Header   string        `yaml:"header" doc:"header for a plain signature of the body; empty: the three headers of Standard Webhooks" example:"X-Signature"`
	Encoding string        `yaml:"encoding" doc:"how a plain signature is written; hex unless said" enum:"hex,base64"`
	Prefix   string        `yaml:"prefix" doc:"text before a plain signature" example:"sha256="`
}

// Pointers say where an answer holds what a receipt keeps.
type Pointers struct {
	ID  Pointer `yaml:"id" doc:"JSON pointer to the object's id" example:"/id"`
	URL Pointer `yaml:"url" doc:"JSON pointer to an address where a person can look at the object" example:"/html_url"`
}

// Lookup says how the answer to a lookup is read.
type Lookup struct {
	Items Pointer `yaml:"items" doc:"JSON pointer to the list of what was found; empty: the whole answer is the list, or the object" example:"/results"`
	ID    Pointer `yaml:"id" doc:"JSON pointer to the id in one item; receipt.id unless said"`
	URL   Pointer `yaml:"url" doc:"JSON pointer to the address in one item; receipt.url unless said"`
}

// Check is the request of afterchat check --live.
type Check struct {
	Method string `yaml:"method" doc:"method of the check; GET unless said" enum:"GET,HEAD,OPTIONS"`
	Path   string `yaml:"path" doc:"path of the check, appended to the url's" example:"/health"`
}

func defaults() Settings {
	return Settings{
		Method: http.MethodPost, Encoding: "json", Success: []Status{"2xx"}, Once: "key", KeyHeader: "Idempotency-Key",
	}
}

// Status is one code such as 409, or a class such as 2xx.
type Status string

// UnmarshalText reads a status from 200 to 599, or a class.
func (s *Status) UnmarshalText(text []byte) error {
	t := strings.ToLower(strings.TrimSpace(string(text)))
	if len(t) == 3 && t[0] >= '2' && t[0] <= '5' {
		if _, err := strconv.Atoi(t); err == nil || t[1:] == "xx" {
			*s = Status(t)
			return nil
		}
	}
	return fmt.Errorf("%q is no status; write a code such as 409 or a class such as 2xx", text)
}

// MarshalText writes the status as it was read.
func (s Status) MarshalText() ([]byte, error) { return []byte(s), nil }

func has(list []Status, code int) bool {
	text := strconv.Itoa(code)
	return slices.ContainsFunc(list, func(s Status) bool {
		return string(s) == text || (strings.HasSuffix(string(s), "xx") && s[0] == text[0])
	})
}

// Validate reports every setting that cannot work, each as a *connectors.SettingError.
func (s Settings) Validate() error {
	var wrong []*connectors.SettingError
	report := func(key, problem, hint string) {
		wrong = append(wrong, &connectors.SettingError{Key: key, Problem: problem, Hint: hint})
	}
	if problem, hint := checkURL(s.URL.Reveal()); problem != "" {
		report("url", problem, hint)
	}
	for name, value := range s.Headers {
		if problem, hint := checkHeader(name, s); problem != "" {
			report("headers."+name, problem, hint)
		} else if !httpguts.ValidHeaderFieldValue(value.Reveal()) {
			report("headers."+name, "the value has a line break or another control character", "check the end of the secret's file")
		}
	}
	if len(s.Success) == 0 {
		report("success", "no status would ever be a success", "leave it out for 2xx")
	}
	for _, status := range s.Reject {
		if slices.Contains(s.Success, status) {
			report("reject", string(status)+" is also in success", "leave it out here or there")
		}
	}
	if s.Once == "key" {
		if !httpguts.ValidHeaderFieldName(s.KeyHeader) || reserved(s.KeyHeader) {
			report("key_header", fmt.Sprintf("%q cannot be sent as a header", s.KeyHeader), "leave it out for Idempotency-Key, or write another name")
		}
	}
	if s.Check != nil {
		if _, err := segments(s.Check.Path, ""); err != nil {
			report("check.path", err.Error(), "write a path such as /health")
		}
	}
	s.Auth.validate(report)
	slices.SortStableFunc(wrong, func(a, b *connectors.SettingError) int { return strings.Compare(a.Key, b.Key) })
	errs := make([]error, len(wrong))
	for i, w := range wrong {
		errs[i] = w
	}
	return errors.Join(errs...)
}

// checkURL never quotes the address, which may be a secret.
func checkURL(text string) (problem, hint string) {
	if text == "" {
		return "is missing", "write the address of the API, such as https://api.example.com/v1/chats"
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "is no valid address", "write one such as https://api.example.com/v1/chats"
	case u.Scheme != "https" && u.Scheme != "http":
		return "must begin with https:// or http://", "write the whole address, such as https://api.example.com/v1/chats"
	case u.Hostname() == "":
		return "has no host", "write the whole address, such as https://api.example.com/v1/chats"
	case u.User != nil:
		return "holds a user name", "put it into auth: {basic: {user, password}}"
	case u.Fragment != "":
		return "has a fragment, which is never sent", "remove # and what follows"
	}
	return "", ""
}

func checkHeader(name string, s Settings) (problem, hint string) {
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		return "is no valid header name", "write letters, digits and hyphens, such as X-Api-Key"
	case reserved(name):
		return "is set by afterchat itself", "leave it out"
	case s.Once == "key" && strings.EqualFold(name, s.KeyHeader):
		return "is the idempotency key", "leave it out, or name another header in key_header"
	case s.Auth != nil && s.Auth.sets(name):
		return "is set by auth", "leave it out here or there"
	}
	return "", ""
}

// token is what the name of a header is made of: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2.
const token = "[-!#$%&'*+.^_`|~0-9A-Za-z]+"

// taken are the headers that checkHeader refuses by name. Those that begin with webhook- are refused, too, but only the
// three that exist are here.
func (s Settings) taken() []string {
	names := connection()
	if s.Once == "key" {
		names = append(names, s.KeyHeader)
	}
	switch a := s.Auth; {
	case a == nil:
	case a.HMAC == nil:
		names = append(names, "Authorization")
	case a.HMAC.Header != "":
		names = append(names, a.HMAC.Header)
	default:
		names = append(names, "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature")
	}
	return names
}

// connection are the headers that belong to the connection and not to the message.
func connection() []string {
	return []string{
		"Host", "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Upgrade", "Te", "Trailer", "Expect",
		"Proxy-Authorization", "Proxy-Connection", "Accept-Encoding",
	}
}

// reserved tells whether a header belongs to the connection.
func reserved(name string) bool { return slices.Contains(connection(), http.CanonicalHeaderKey(name)) }

// sets tells whether auth fills this header.
func (a *Auth) sets(name string) bool {
	if a.HMAC == nil {
		return strings.EqualFold(name, "Authorization")
	}
	if a.HMAC.Header != "" {
		return strings.EqualFold(name, a.HMAC.Header)
	}
	return strings.HasPrefix(strings.ToLower(name), "webhook-")
}

func (a *Auth) validate(report func(key, problem, hint string)) {
	if a == nil {
		return
	}
	given := 0
	for _, yes := range []bool{!a.Bearer.IsZero(), a.Basic != nil, a.HMAC != nil} {
		if yes {
			given++
		}
	}
	if given != 1 {
		report("auth", "needs exactly one of bearer, basic and hmac", "keep one of them; a bearer token that is empty counts as missing")
	}
	if !httpguts.ValidHeaderFieldValue(a.Bearer.Reveal()) {
		report("auth.bearer", "has a line break or another control character", "check the end of the secret's file")
	}
	if a.Basic != nil && (a.Basic.User == "" || strings.Contains(a.Basic.User, ":")) {
		report("auth.basic.user", "must not be empty or hold a colon", "write the user name; the password has a key of its own")
	}
	a.HMAC.validate(report)
}

func (h *HMAC) validate(report func(key, problem, hint string)) {
	if h == nil {
		return
	}
	if _, err := signingKey(h.Secret); err != nil {
		report("auth.hmac.secret", err.Error(), "use the secret as the receiver shows it, whsec_ at its start included")
	}
	if h.Header != "" && (!httpguts.ValidHeaderFieldName(h.Header) || reserved(h.Header)) {
		report("auth.hmac.header", fmt.Sprintf("%q cannot be sent as a header", h.Header), "write a name such as X-Signature")
	}
	if h.Header == "" && (h.Encoding != "" || h.Prefix != "") {
		report("auth.hmac.header", "is missing", "name the header of the plain signature, or leave out encoding and prefix")
	}
}

// signingKey is the key in a secret: base64 after whsec_, as Standard Webhooks writes it, else the text itself.
func signingKey(s secret.String) ([]byte, error) {
	text := s.Reveal()
	if text == "" {
		return nil, errors.New("is missing")
	}
	encoded, ok := strings.CutPrefix(text, "whsec_")
	if !ok {
		return []byte(text), nil
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) == 0 {
		return nil, errors.New("is not base64 after whsec_")
	}
	return key, nil
}
