// This file reads what HubSpot says of a request that it did not take, and says what that means.
// https://developers.hubspot.com/docs/api-reference/error-handling

package hubspot

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/rest"
)

const (
	maxTold    = 800            // bytes of a message that an error quotes
	maxDetails = 5              // details of a refusal that an error quotes
	maxAfter   = 24 * time.Hour // no wait is longer

	statusMigration = 477 // the account's data is on its way to another hosting region
)

// problem is HubSpot's error, of a whole request or of one item of a batch. Every member may be missing.
type problem struct {
	Message       string
	CorrelationID string
	Category      string
	ErrorType     string
	PolicyName    string
	Errors        []detail
	Context       json.RawMessage
}

type detail struct {
	Message string
	Code    string
	In      string
	Context json.RawMessage
}

// cause is what this problem has in common with others: HubSpot's category and codes.
func (p problem) cause() string {
	words := []string{p.Category, p.PolicyName}
	for _, d := range p.Errors {
		words = append(words, d.Code)
	}
	var out []string
	for _, word := range words {
		if codeName.MatchString(word) && !slices.Contains(out, word) && len(out) < maxDetails {
			out = append(out, word)
		}
	}
	return strings.Join(out, " ")
}

var codeName = regexp.MustCompile(`^[A-Za-z0-9_]{2,60}$`)

// problemError is a refusal in HubSpot's own words.
type problemError struct {
	text string
	told problem
	err  error
}

func (e *problemError) Error() string { return e.text }
func (e *problemError) Unwrap() error { return e.err }

// problemOf returns what HubSpot said, nil if err is not from HubSpot.
func problemOf(err error) *problem {
	if e, ok := errors.AsType[*problemError](err); ok {
		return &e.told
	}
	return nil
}

// parseProblem reads an error's body. Members of an unexpected type are left out, not fatal.
func parseProblem(body []byte) (problem, bool) {
	var told problem
	if err := json.Unmarshal(body, &told); err != nil {
		if _, odd := errors.AsType[*json.UnmarshalTypeError](err); !odd {
			return problem{}, false
		}
	}
	return told, told.Message != "" || told.Category != "" || told.CorrelationID != "" || told.PolicyName != ""
}

// classify corrects what rest says of an answer outside 2xx, or of none.
func (t *target) classify(c call, answer *rest.Response, err error) error {
	e := *connectors.Classify(err)
	if answer == nil {
		return &e
	}
	told, ok := parseProblem(answer.Body)
	if ok {
		text := fmt.Sprintf("%s %s answered %d: %s", c.method, c.path, answer.Status, t.describe(told))
		e.Err, e.Cause = &problemError{text: text, told: told, err: e.Err}, told.cause()
	}
	switch {
	case answer.Status == http.StatusTooManyRequests:
		t.throttled(&e, told, answer.Header)
	case answer.Status == http.StatusLocked:
		e.Kind, e.Hint = connectors.Temporary, "HubSpot is working on this object; it is tried again"
	case answer.Status == statusMigration:
		e.Kind, e.Hint = connectors.Throttled, "HubSpot is moving the account to another region, which takes up to 24 hours"
		if e.After, ok = rest.RetryAfter(answer.Header); !ok {
			e.After = time.Hour
		}
	case answer.Status == http.StatusUnauthorized:
		e.Hint = "HubSpot does not accept the token; make a new service key under Settings, Integrations, Service keys"
	case answer.Status == http.StatusForbidden:
		e.Hint = "the service key lacks a scope" + scopes(told) + "; add it in HubSpot under Settings, Integrations, Service keys"
	case e.Kind == connectors.Rejected:
		e.Hint = t.refusalHint(told)
	}
	return &e
}

// throttled reads which limit is used up. There is no Retry-After in the vendor's documentation; one that comes counts.
// https://developers.hubspot.com/docs/developer-tooling/platform/usage-guidelines
func (t *target) throttled(e *connectors.Error, told problem, header http.Header) {
	after, hint := 10*time.Second, "HubSpot's limit of requests in 10 seconds is used up; set rate on the target, such as 2/s"
	switch policy := strings.ToUpper(told.PolicyName); {
	case strings.HasPrefix(policy, "TEN_SECONDLY"):
	case strings.HasPrefix(policy, "SECONDLY"):
		after, hint = time.Second, "HubSpot's limit of requests in a second is used up; set rate on the target"
	case strings.HasPrefix(policy, "DAILY"):
		after, hint = time.Hour, "the account's daily limit of requests is used up; with time_zone on the target the wait ends at the account's midnight"
		if zone, err := time.LoadLocation(t.settings.TimeZone); err == nil && t.settings.TimeZone != "" {
			after, hint = untilMidnight(time.Now(), zone), "the account's daily limit of requests is used up; it starts anew at midnight"
		}
	}
	e.Kind, e.Hint = connectors.Throttled, hint
	if asked, ok := rest.RetryAfter(header); ok {
		after = asked
	}
	e.After = after
}

// untilMidnight is the time until the next day begins in zone, at most 24 hours.
func untilMidnight(now time.Time, zone *time.Location) time.Duration {
	local := now.In(zone)
	next := time.Date(local.Year(), local.Month(), local.Day()+1, 0, 0, 0, 0, zone)
	return min(max(next.Sub(now), time.Second), maxAfter)
}

// failed is the error of a batch that was answered with success although items failed; nil if none did.
func (t *target) failed(c call, count int, errs []problem) error {
	if count == 0 && len(errs) == 0 {
		return nil
	}
	prefix := fmt.Sprintf("%s %s answered 200 with %d errors", c.method, c.path, max(count, len(errs)))
	e := &connectors.Error{Kind: connectors.Temporary, Uncertain: true, Status: http.StatusOK, Err: errors.New(prefix)}
	if len(errs) == 0 {
		return e
	}
	told := errs[0]
	e.Err, e.Cause = &problemError{text: prefix + ": " + t.describe(told), told: told, err: e.Err}, told.cause()
	switch told.Category {
	case "VALIDATION_ERROR", "OBJECT_NOT_FOUND", "CONFLICT", "OBJECT_ALREADY_EXISTS":
		e.Kind, e.Uncertain, e.Hint = connectors.Rejected, false, t.refusalHint(told)
	case "RATE_LIMITS":
		e.Kind, e.Uncertain = connectors.Throttled, false
		t.throttled(e, told, nil)
	case "MISSING_SCOPES":
		e.Kind, e.Uncertain = connectors.Denied, false
		e.Hint = "the service key lacks a scope" + scopes(told)
	}
	return e
}

// missing leaves out the errors that only say that something is not there, which for a look is an answer.
func missing(errs []problem) []problem {
	return slices.DeleteFunc(slices.Clone(errs), func(p problem) bool { return p.Category == "OBJECT_NOT_FOUND" })
}

// describe puts HubSpot's words into one line, with the id that its support asks for.
func (t *target) describe(told problem) string {
	text := told.Message
	for i, d := range told.Errors {
		if i == maxDetails {
			text += fmt.Sprintf("; %d more", len(told.Errors)-i)
			break
		}
		if d.Message != "" && !strings.Contains(text, d.Message) {
			text += "; " + d.Message
		}
	}
	var notes []string
	for _, note := range []string{told.Category, told.PolicyName} {
		if note != "" {
			notes = append(notes, note)
		}
	}
	if told.CorrelationID != "" {
		notes = append(notes, "correlation id "+told.CorrelationID)
	}
	text = t.plain(text, maxTold)
	if len(notes) > 0 {
		text += " (" + t.plain(strings.Join(notes, ", "), maxTold) + ")"
	}
	return strings.TrimSpace(text)
}

// plain hides the token and makes the text one line of at most limit bytes.
func (t *target) plain(text string, limit int) string {
	text = strings.ReplaceAll(text, t.settings.Token.Reveal(), secret.Mask)
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "\uFFFD"), func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
	if len(text) <= limit {
		return text
	}
	for !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit] + "…"
}

var (
	scopeName = regexp.MustCompile(`"([a-z][a-z0-9_.-]*)"`)
	codeHints = map[string]string{
		"PROPERTY_DOESNT_EXIST":       "make the property in HubSpot under Settings, Properties, or take it out of the mapping, and replay",
		"INVALID_EMAIL":               "HubSpot does not take this address; map email without it, or correct it, and replay",
		"INVALID_OPTION":              "the property takes only the options that are set up in HubSpot; correct the mapping or add the option, and replay",
		"READ_ONLY_VALUE":             "HubSpot sets this property by itself; take it out of the mapping, and replay",
		"REQUIRED_PROPERTY":           "the account demands this property; map it, and replay",
		"MISSING_REQUIRED_PROPERTIES": "the account demands this property; map it, and replay",
	}
)

// scopes names the scopes that are missing, as far as HubSpot tells.
func scopes(told problem) string {
	var out []string
	for _, context := range append([]json.RawMessage{told.Context}, contexts(told)...) {
		for _, match := range scopeName.FindAllStringSubmatch(string(context), -1) {
			if strings.Contains(match[1], ".") || match[1] == "tickets" {
				out = append(out, match[1])
			}
		}
	}
	slices.Sort(out)
	if out = slices.Compact(out); len(out) == 0 {
		return ""
	}
	return ", one of " + strings.Join(out, ", ")
}

func contexts(told problem) []json.RawMessage {
	var out []json.RawMessage
	for _, d := range told.Errors {
		out = append(out, d.Context)
	}
	return out
}

// refusalHint says what an operator can do about values that HubSpot does not take.
func (t *target) refusalHint(told problem) string {
	for _, d := range told.Errors {
		if hint, ok := codeHints[d.Code]; ok {
			return hint
		}
	}
	for code, hint := range codeHints {
		if strings.Contains(told.Message, code) {
			return hint
		}
	}
	return "HubSpot refuses these values, perhaps by a validation rule of the account; correct the mapping or the rule, and replay"
}
