// This file calls the API: credentials, JSON, and what Zendesk's errors mean.

package zendesk

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/rest"
)

// api speaks to one account. It is safe for concurrent use.
type api struct {
	base    string
	rest    *rest.Client
	tokens  *tokens // nil with an API token
	basic   string  // Authorization with an API token
	secrets []secret.String
}

func newAPI(s Settings, env connectors.Env) *api {
	a := &api{base: s.base()}
	if s.OAuth != nil {
		a.secrets = []secret.String{s.OAuth.ClientSecret}
	} else {
		a.secrets = []secret.String{s.Token}
		credentials := base64.StdEncoding.EncodeToString([]byte(s.Email + "/token:" + s.Token.Reveal()))
		a.basic = "Basic " + credentials
		a.secrets = append(a.secrets, secret.New(credentials))
	}
	a.rest = rest.New(env, rest.Options{Secrets: a.secrets, ShowPath: true})
	if s.OAuth != nil {
		a.tokens = newTokens(a.rest, a.base, *s.OAuth)
	}
	return a
}

// call is one request.
type call struct {
	method, path string
	query        url.Values
	json         any // nil: none, or content
	content      []byte
	contentType  string
	key          string // idempotency key
	object       bool   // the path names one object, which may be gone
}

// do sends c and decodes the answer into what into points to, if that is not nil. The error is a *connectors.Error. One
// about a request that only reads is never uncertain.
func (a *api) do(ctx context.Context, c call, into any) error {
	req, err := a.request(c)
	if err != nil {
		return err
	}
	answer, err := a.send(ctx, req)
	if err == nil && into != nil {
		err = decode(answer, into)
	}
	if err == nil {
		return nil
	}
	e := a.explain(c, answer, err)
	if c.method == http.MethodGet {
		e.Uncertain = false
	}
	return e
}

func (a *api) request(c call) (rest.Request, error) {
	req := rest.Request{Method: c.method, URL: a.base + c.path, Header: http.Header{"Accept": {"application/json"}}, Object: c.object}
	if len(c.query) > 0 {
		req.URL += "?" + c.query.Encode()
	}
	switch {
	case c.json != nil:
		body, err := rest.JSON(c.json)
		if err != nil {
			return req, &connectors.Error{Kind: connectors.Rejected, Err: err, Hint: "correct the mapping"}
		}
		req.Body = body
		req.Header.Set("Content-Type", "application/json")
	case c.content != nil:
		req.Body = c.content
		req.Header.Set("Content-Type", c.contentType)
	}
	if c.key != "" {
		req.Header.Set("Idempotency-Key", c.key)
	}
	return req, nil
}

// send adds the credentials. A token that is not accepted is replaced once: it may have been revoked, or have ended by
// another clock. A request that got 401 was not acted upon.
func (a *api) send(ctx context.Context, req rest.Request) (*rest.Response, error) {
	if a.tokens == nil {
		req.Header.Set("Authorization", a.basic)
		return a.rest.Do(ctx, req)
	}
	held, err := a.tokens.get(ctx)
	if err != nil {
		return nil, notSent(req, err)
	}
	req.Header.Set("Authorization", "Bearer "+held.token)
	answer, err := a.rest.Do(ctx, req)
	if answer == nil || answer.Status != http.StatusUnauthorized {
		return answer, err
	}
	a.tokens.drop(held.token)
	if held, err = a.tokens.get(ctx); err != nil {
		return nil, notSent(req, err)
	}
	req.Header.Set("Authorization", "Bearer "+held.token)
	return a.rest.Do(ctx, req)
}

// notSent says which request there was no access token for.
func notSent(req rest.Request, err error) error {
	e := *connectors.Classify(err)
	address, _, _ := strings.Cut(req.URL, "?")
	e.Err = fmt.Errorf("%s %s: not sent: %w", req.Method, address, err)
	return &e
}

// errTooLong means that an answer is longer than package rest reads.
var errTooLong = errors.New("the answer is too long")

// decode reads an answer. What was sent has been acted upon, so a broken answer leaves it uncertain.
func decode(answer *rest.Response, into any) error {
	if !answer.Cut {
		if err := json.Unmarshal(answer.Body, into); err == nil {
			return nil
		}
	}
	cause := errors.New("the answer cannot be understood")
	if answer.Cut && len(answer.Body) == rest.MaxAnswer {
		cause = errTooLong
	}
	return &connectors.Error{
		Uncertain: true, Status: answer.Status, Err: cause,
		Hint: "something between may answer in place of Zendesk; check the address",
	}
}

// A refusalError is what Zendesk says about a request that it refused. Its text is the reason in a dead letter.
type refusalError struct {
	name   string   // such as RecordInvalid
	fields []string // that it speaks of
	reason string
	err    error
}

func (e *refusalError) Error() string { return e.reason }
func (e *refusalError) Unwrap() error { return e.err }

// cause is what this refusal has in common with others.
func (e *refusalError) cause() string {
	return strings.Join(slices.Compact(append([]string{e.name}, e.fields...)), " ")
}

// refusal returns what Zendesk said, if err holds it.
func refusal(err error) (*refusalError, bool) { return errors.AsType[*refusalError](err) }

const (
	idempotencyMismatch = "IdempotentRequestError"
	// longestWait of a throttled request that names no time: limits are per minute.
	unnamedWait = time.Minute
)

// closedText is how Zendesk refuses a change of a closed ticket.
var closedText = regexp.MustCompile(`(?i)closed (prevents|tickets?)|ticket is closed|status: closed`)

// isClosed tells whether err refuses a request because the ticket is closed.
func isClosed(err error) bool {
	said, ok := refusal(err)
	return ok && connectors.Classify(err).Status == http.StatusUnprocessableEntity && closedText.MatchString(said.reason)
}

// isGone tells whether err says that the object of the path is not there.
func isGone(err error) bool {
	if err == nil {
		return false
	}
	e := connectors.Classify(err)
	return e.Kind == connectors.Rejected && (e.Status == http.StatusNotFound || e.Status == http.StatusGone)
}

// explain corrects what package rest made of an answer where Zendesk differs, and says in words what was refused.
func (a *api) explain(c call, answer *rest.Response, err error) *connectors.Error {
	e := *connectors.Classify(err)
	if answer == nil {
		return &e
	}
	if e.Status < 300 {
		e.Err = fmt.Errorf("%s %s: %w", c.method, c.path, err)
		return &e
	}
	said := a.said(answer, err)
	if said.reason != "" {
		said.reason = fmt.Sprintf("%s %s: %d %s", c.method, c.path, e.Status, said.reason)
		e.Err, e.Cause = said, said.cause()
	}
	if answer.Cut && e.Kind == connectors.Rejected && said.reason == "" {
		// Why it was refused got lost, and that decides what follows.
		e.Kind, e.Uncertain, e.Hint = connectors.Temporary, true, "the connection broke within Zendesk's answer"
		return &e
	}
	switch e.Status {
	case http.StatusTooManyRequests:
		e.Kind = connectors.Throttled
		if e.After == 0 {
			e.After = resets(answer.Header)
		}
		e.Hint = "the account's rate limit; a lower rate on the target leaves more to others"
	case http.StatusUnauthorized:
		e.Hint = "Zendesk does not accept the credentials; " + a.credentialHint()
	case http.StatusPaymentRequired:
		e.Kind, e.Hint = connectors.Denied, "the account is suspended or its trial has ended; see its billing page"
	case http.StatusForbidden:
		e.Kind, e.Hint = connectors.Denied, forbiddenHint(c, said.reason)
	case http.StatusNotFound, http.StatusGone:
		if said.name == "" { // a page, and not the API, which answers RecordNotFound
			e.Kind, e.Hint = connectors.Denied, "there is no Zendesk API at this address; check subdomain or url"
		}
	case http.StatusBadRequest:
		if said.name == idempotencyMismatch {
			e.Kind, e.Uncertain = connectors.Temporary, true
			e.Hint = "an earlier attempt sent other content under the same key; Zendesk forgets keys after two hours"
		}
	case http.StatusConflict:
		e.Hint = "another request for the same ticket is under way; the next attempt looks for the ticket first"
	case http.StatusUnprocessableEntity:
		e.Hint = invalidHint(said.reason)
	}
	return &e
}

func (a *api) credentialHint() string {
	if a.tokens != nil {
		return "check that the OAuth client and its user are active"
	}
	return "API tokens end on 2027-04-30 and are deactivated after 30 days without use; change to oauth"
}

func forbiddenHint(c call, reason string) string {
	switch {
	case strings.Contains(strings.ToLower(reason), "suspended"):
		return "the account or the user is suspended; an admin of the account can tell why"
	case strings.Contains(c.path, "/imports/"):
		return "mode import needs the credentials of an admin, with the scopes tickets:write and users:write"
	}
	return "the credentials lack a right: the scopes tickets:read, tickets:write, users:read and users:write, and the role of an agent"
}

func invalidHint(reason string) string {
	switch lower := strings.ToLower(reason); {
	case strings.Contains(lower, "5,000") || strings.Contains(lower, "5000") || strings.Contains(lower, "too many comments"):
		return "a ticket takes 5,000 comments; close it, so that the next revision becomes a follow-up, and replay"
	case strings.Contains(lower, "required"):
		return "a field is required in Zendesk when a ticket is solved; map it, or map another status, and replay"
	case strings.Contains(lower, "requester") || strings.Contains(lower, "email"):
		return "Zendesk does not take this requester: suspended, or no valid address; correct the mapping and replay"
	}
	return "Zendesk does not take a value; correct the mapping and replay"
}

// said reads the forms that errors have: an object with error, description and details, one whose error is an object
// with title and message, and plain text. A body that is none of them stays with package rest, which quotes it.
// https://developer.zendesk.com/api-reference/introduction/requests/#response-format
func (a *api) said(answer *rest.Response, err error) *refusalError {
	var body struct {
		Error       json.RawMessage `json:"error"`
		Description string          `json:"description"`
		Message     string          `json:"message"`
		Details     map[string][]struct {
			Description string `json:"description"`
		} `json:"details"`
	}
	e := &refusalError{err: err}
	if json.Unmarshal(answer.Body, &body) != nil {
		return e
	}
	var parts []string
	add := func(text string) {
		if text = strings.TrimSpace(text); text != "" && !slices.Contains(parts, text) {
			parts = append(parts, text)
		}
	}
	if json.Unmarshal(body.Error, &e.name) == nil {
		add(e.name)
	} else {
		var titled struct{ Title, Message string }
		if json.Unmarshal(body.Error, &titled) == nil {
			add(titled.Title)
			add(titled.Message)
		}
	}
	add(body.Description)
	add(body.Message)
	for _, field := range sortedKeys(body.Details) {
		for _, detail := range body.Details[field] {
			e.fields = append(e.fields, fieldOf(field, detail.Description))
			add(field + ": " + detail.Description)
		}
	}
	e.reason = a.clean(strings.Join(parts, "; "))
	return e
}

// fieldOf is the field that a detail speaks of. Under base it stands in front of the description: "Type: is required".
func fieldOf(key, description string) string {
	if key != "base" {
		return key
	}
	if label, _, ok := strings.Cut(description, ": "); ok && len(label) <= 40 {
		return label
	}
	return key
}

// longestReason is how many bytes of Zendesk's words an error keeps.
const longestReason = 1 << 10

// clean makes text one printable line without secrets.
func (a *api) clean(text string) string {
	secrets := slices.Clone(a.secrets)
	if a.tokens != nil {
		secrets = append(secrets, secret.New(a.tokens.current().token))
	}
	text = rest.Hide(text, secrets...)
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "\uFFFD"), func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
	if len(text) > longestReason {
		text = strings.ToValidUTF8(text[:longestReason], "") + "…"
	}
	return text
}

var resetsIn = regexp.MustCompile(`resets=(\d+)`)

// resets reads how long a limit lasts from the headers that stand in for Retry-After: ratelimit-reset, and
// zendesk-ratelimit-<endpoint> with "total=100; remaining=0; resets=41", in seconds.
// https://developer.zendesk.com/documentation/api-basics/best-practices/best-practices-for-avoiding-rate-limiting
func resets(header http.Header) time.Duration {
	var longest time.Duration
	note := func(text string) {
		if seconds, err := strconv.Atoi(strings.TrimSpace(text)); err == nil && seconds > 0 {
			longest = max(longest, min(time.Duration(seconds)*time.Second, 24*time.Hour))
		}
	}
	note(header.Get("Ratelimit-Reset"))
	for name, values := range header {
		if !strings.HasPrefix(strings.ToLower(name), "zendesk-ratelimit-") {
			continue
		}
		for _, value := range values {
			if match := resetsIn.FindStringSubmatch(value); match != nil && strings.Contains(value, "remaining=0") {
				note(match[1])
			}
		}
	}
	if longest == 0 {
		return unnamedWait
	}
	return longest
}
