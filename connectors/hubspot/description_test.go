// This file checks every kind of request against HubSpot's own descriptions of its API, where they lie beside the
// checkout. They are data for tests and no part of the project.

package hubspot_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/hubspot"
)

const host = "https://api.hubapi.com"

// descriptions returns a router for each description by its name, or skips.
func descriptions(t *testing.T) map[string]routers.Router {
	t.Helper()
	folder := filepath.Join("..", "..", "..", "shared", "specs", "hubspot")
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("HubSpot's descriptions are not at %s", folder)
	}
	out := map[string]routers.Router{}
	for _, name := range []string{"contacts", "tickets", "notes", "associations", "pipelines", "properties"} {
		doc, err := openapi3.NewLoader().LoadFromFile(filepath.Join(folder, name+"-2026-09.json"))
		if err != nil {
			t.Fatal(err)
		}
		doc.Servers = openapi3.Servers{{URL: host}}
		router, err := gorillamux.NewRouter(doc)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = router
	}
	return out
}

// validate checks one request and returns the operation that it is of.
func validate(t *testing.T, all map[string]routers.Router, method, path, body string) (string, error) {
	t.Helper()
	name := strings.Split(path, "/")[4]
	name, _, _ = strings.Cut(name, "?")
	if strings.Contains(path, "/associations/") {
		name = "associations"
	}
	for _, kind := range []string{"pipelines", "properties"} {
		if strings.HasPrefix(path, "/crm/"+kind+"/") {
			name = kind
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), method, host+path, io.NopCloser(bytes.NewReader([]byte(body))))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	route, params, err := all[name].FindRoute(r)
	if err != nil {
		return "", err
	}
	return name + " " + method + " " + route.Path, openapi3filter.ValidateRequest(t.Context(), &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route, Options: &openapi3filter.Options{
			ExcludeReadOnlyValidations: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
		},
	})
}

func TestDescriptions(t *testing.T) {
	t.Parallel()
	all := descriptions(t)
	seen := map[string]bool{}
	inspect := func(b *bench) {
		t.Helper()
		for _, r := range b.account.Requests() {
			operation, err := validate(t, all, r.Method, r.Path, r.Body)
			if err != nil {
				t.Errorf("%s: %v", r.Step, err)
			}
			seen[operation] = true
		}
	}
	for _, s := range scenarios() {
		a := account()
		a.RefuseUpsert = s.refuse
		b := open(t, a, settings(s.settings))
		hubspot.LimitNotes(b.Connector, 2000)
		var receipt connectors.Receipt
		for revision := 1; revision <= 2; revision++ {
			rec := record(1, revision, s.fields(1, revision))
			rec.Prior = receipt
			receipt = b.mustPush(t, rec)
		}
		again := record(1, 2, s.fields(1, 2))
		again.Uncertain = true // without a receipt: everything is looked up
		b.mustPush(t, again)
		inspect(b)
	}
	for path := range fixtures() {
		a := account()
		b := open(t, a, settings(withTicket))
		b.mustPush(t, record(1, 1, mapped(t, path, true)))
		if err := b.Connector.(connectors.Checker).Check(t.Context()); err != nil {
			t.Error(err)
		}
		if err := b.Connector.(connectors.FieldChecker).CheckFields(t.Context(), fieldsOf(1, 1)); err != nil {
			t.Error(err)
		}
		inspect(b)
	}
	const objects = "/crm/objects/2026-09/{objectType}"
	for _, operation := range []string{
		"contacts POST " + objects + "/batch/read", "contacts POST " + objects + "/batch/upsert", "contacts POST " + objects + "/search",
		"contacts POST " + objects, "contacts GET " + objects, "tickets POST " + objects + "/batch/upsert",
		"tickets POST " + objects + "/batch/read", "tickets PATCH " + objects + "/{objectId}", "notes POST " + objects,
		"notes POST " + objects + "/batch/read", "notes PATCH " + objects + "/{objectId}", "notes DELETE " + objects + "/{objectId}",
		"associations POST /crm/associations/2026-09/{fromObjectType}/{toObjectType}/batch/read",
		"associations PUT /crm/objects/2026-09/{fromObjectType}/{fromObjectId}/associations/default/{toObjectType}/{toObjectId}",
		"pipelines GET /crm/pipelines/2026-09/{objectType}", "properties GET /crm/properties/2026-09/{objectType}/{propertyName}",
	} {
		if !seen[operation] {
			t.Errorf("no request of %s was checked; seen %v", operation, slices.Sorted(maps.Keys(seen)))
		}
	}
}

// TestPropertyCommand: the command that Check prints for the unique property is what HubSpot takes.
func TestPropertyCommand(t *testing.T) {
	t.Parallel()
	all := descriptions(t)
	a := account()
	a.Remove("afterchat_conversation_id", false)
	b := open(t, a, settings(func(s *hubspot.Settings) { s.Ticket = &hubspot.Ticket{Pipeline: "0", Stage: "1"} }))
	e := connectors.Classify(b.Connector.(connectors.Checker).Check(t.Context()))
	if e == nil {
		t.Fatal("the property is not missed")
	}
	_, body, _ := strings.Cut(e.Hint, "-d '")
	if _, err := validate(t, all, http.MethodPost, "/crm/properties/2026-09/tickets", strings.TrimSuffix(body, "'")); err != nil {
		t.Error(err)
	}
}

// TestDescriptionsFind makes sure that the check can fail.
func TestDescriptionsFind(t *testing.T) {
	t.Parallel()
	all := descriptions(t)
	for path, body := range map[string]string{
		"/crm/objects/2026-09/notes":                 `{"properties":{"hs_note_body":7},"associations":[]}`,
		"/crm/objects/2026-09/contacts/batch/upsert": `{"inputs":[{"idProperty":"email"}]}`,
	} {
		if _, err := validate(t, all, http.MethodPost, path, body); err == nil {
			t.Errorf("%s passes for %s", body, path)
		}
	}
}
