// This file checks every kind of request against Zendesk's own description of its API, where that lies beside the
// checkout. It is data for tests and no part of the project.

package zendesk_test

import (
	"bytes"
	"errors"
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
)

// described returns a router of the description, or skips.
func described(t *testing.T) routers.Router {
	t.Helper()
	path := filepath.Join("..", "..", "..", "shared", "specs", "zendesk", "zendesk-support.openapi.json")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("the vendor's description is not at %s", path)
	}
	doc, err := openapi3.NewLoader().LoadFromFile(path)
	if err != nil {
		t.Fatal(err)
	}
	doc.Servers = openapi3.Servers{{URL: "https://acme.zendesk.com"}}
	// The items of custom_fields refer to the definition of a field, which requires key, title and type. The pages of the
	// API give {id, value}: https://developer.zendesk.com/documentation/ticketing/managing-tickets/creating-and-updating-tickets#setting-custom-field-values
	doc.Components.Schemas["CustomFieldObject"].Value.Required = nil
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return router
}

func TestDescription(t *testing.T) {
	t.Parallel()
	router := described(t)
	options := &openapi3filter.Options{
		ExcludeReadOnlyValidations: true, // an import takes the time of a comment, which is read-only elsewhere
		AuthenticationFunc:         openapi3filter.NoopAuthenticationFunc,
	}
	var mu sync.Mutex
	seen := map[string]int{}
	validate := func(r *http.Request, body []byte) error {
		in := r.Clone(r.Context())
		in.Body = io.NopCloser(bytes.NewReader(body))
		route, params, err := router.FindRoute(in)
		if err != nil {
			return err
		}
		mu.Lock()
		seen[route.Operation.OperationID]++
		mu.Unlock()
		return openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
			Request: in, PathParams: params, Route: route, Options: options,
		})
	}
	for _, s := range scenes() {
		a := account()
		a.Check = validate
		c := open(t, a, settings(s.settings))
		mustPush(t, c, s.record(s.before(t, a, c)))
		if err := c.(connectors.Checker).Check(t.Context()); err != nil {
			t.Error(err)
		}
	}
	for _, hook := range []string{"smartsupp-completed.json", "proprofs-transcript.json"} {
		for _, mode := range []string{"ticket", "import"} {
			a := account()
			a.Check = validate
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
		if seen[operation] == 0 {
			t.Errorf("no request of %s was checked", operation)
		}
	}
}

// TestDescriptionFinds makes sure that the check can fail.
func TestDescriptionFinds(t *testing.T) {
	t.Parallel()
	router := described(t)
	body := `{"ticket":{"subject":7,"comment":{"html_body":"x"}}}`
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://acme.zendesk.com/api/v2/tickets", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	route, params, err := router.FindRoute(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := openapi3filter.ValidateRequest(t.Context(), &openapi3filter.RequestValidationInput{Request: r, PathParams: params, Route: route}); err == nil {
		t.Error("a number passes for a subject")
	}
}
