// This file checks every request of every test against Zendesk's own description of its API, where that lies beside the
// checkout. It is data for tests and no part of the project.

package zendesk_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/zendesk/zendesktest"
)

// description is Zendesk's, loaded once.
type description struct {
	router  routers.Router
	mu      sync.Mutex
	answers map[[sha256.Size]byte]error // by request: the same one need not be checked twice
	seen    map[string]int              // different requests by operation
}

// errNoDescription means that there is nothing to check requests against.
var errNoDescription = errors.New("the vendor's description is not there")

var loadDescription = sync.OnceValues(func() (*description, error) {
	path := filepath.Join("..", "..", "..", "shared", "specs", "zendesk", "zendesk-support.openapi.json")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", errNoDescription, path)
	}
	doc, err := openapi3.NewLoader().LoadFromFile(path)
	if err != nil {
		return nil, err
	}
	doc.Servers = openapi3.Servers{{URL: "https://acme.zendesk.com"}}
	// The items of custom_fields refer to the definition of a field, which requires key, title and type. The pages of the
	// API give {id, value}: https://developer.zendesk.com/documentation/ticketing/managing-tickets/creating-and-updating-tickets#setting-custom-field-values
	doc.Components.Schemas["CustomFieldObject"].Value.Required = nil
	router, err := gorillamux.NewRouter(doc)
	return &description{router: router, answers: map[[sha256.Size]byte]error{}, seen: map[string]int{}}, err
})

// described returns the description, or skips.
func described(t *testing.T) *description {
	t.Helper()
	d, err := loadDescription()
	if errors.Is(err, errNoDescription) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// checked makes an account hold every request against the description, where that is there.
func checked(a *zendesktest.Account) *zendesktest.Account {
	switch d, err := loadDescription(); {
	case errors.Is(err, errNoDescription):
	case err != nil:
		a.Check = func(*http.Request, []byte) error { return err }
	default:
		a.Check = d.check
	}
	return a
}

// check returns what is wrong with a request that the account takes at any address of its own.
func (d *description) check(r *http.Request, body []byte) error {
	key := sha256.Sum256(fmt.Appendf(nil, "%s %s %q %q\n%s", r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type"), r.Header.Get("Idempotency-Key"), body))
	d.mu.Lock()
	defer d.mu.Unlock()
	if err, ok := d.answers[key]; ok {
		return err
	}
	d.answers[key] = d.validate(r, body)
	return d.answers[key]
}

func (d *description) validate(r *http.Request, body []byte) error {
	in := r.Clone(context.Background())
	in.URL.Scheme, in.URL.Host, in.Host = "https", "acme.zendesk.com", "acme.zendesk.com"
	in.Body = io.NopCloser(bytes.NewReader(body))
	route, params, err := d.router.FindRoute(in)
	if err != nil {
		return err
	}
	d.seen[route.Operation.OperationID]++
	return openapi3filter.ValidateRequest(in.Context(), &openapi3filter.RequestValidationInput{
		Request: in, PathParams: params, Route: route, Options: &openapi3filter.Options{
			ExcludeReadOnlyValidations: true, // an import takes the time of a comment, which is read-only elsewhere
			AuthenticationFunc:         openapi3filter.NoopAuthenticationFunc,
		},
	})
}

func TestDescription(t *testing.T) {
	t.Parallel()
	d := described(t)
	for _, s := range scenes() {
		a := account()
		c := open(t, a, settings(s.settings))
		mustPush(t, c, s.record(s.before(t, a, c)))
		if err := c.(connectors.Checker).Check(t.Context()); err != nil {
			t.Error(err)
		}
	}
	for _, hook := range []string{"smartsupp-completed.json", "proprofs-transcript.json"} {
		for _, mode := range []string{"ticket", "import"} {
			a := account()
			deliver(t, a, mode, filepath.Join("..", "..", "..", "shared", "fixtures", hook))
			if problems := a.Problems(); len(problems) > 0 {
				t.Errorf("%s, %s:\n%s", hook, mode, strings.Join(problems, "\n"))
			}
		}
	}
	for _, operation := range []string{
		"CreateTicket", "ListTickets", "TicketImport", "UploadFiles", "SearchUsers", "CreateOrUpdateUser", "UpdateTicket", "PutTagsTicket",
		"ListTicketComments", "ShowCurrentUser", "ShowUser",
	} {
		if d.requests(operation) == 0 {
			t.Errorf("no request of %s was checked", operation)
		}
	}
}

func (d *description) requests(operation string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.seen[operation]
}

// TestDescriptionFinds makes sure that the check can fail, and that an account tells.
func TestDescriptionFinds(t *testing.T) {
	t.Parallel()
	described(t)
	a := checked(zendesktest.New())
	a.Email, a.APIToken = "bot@acme.example", "token"
	for _, body := range []string{`{"ticket":{"subject":7,"comment":{"html_body":"x"}}}`, `{"ticket":{"subject":7,"comment":{"html_body":"x"}}}`} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://acme.zendesk.com/api/v2/tickets", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.SetBasicAuth("bot@acme.example/token", "token")
		answer, err := a.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := answer.Body.Close(); err != nil {
			t.Error(err)
		}
	}
	said := 0
	for _, problem := range a.Problems() {
		if strings.Contains(problem, "doesn't match schema") {
			said++
		}
	}
	if said != 2 {
		t.Errorf("a number passes for a subject, or a second time: %q", a.Problems())
	}
}
