// This file speaks HubSpot's API: addresses, batches, associations.

package hubspot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/rest"
)

// version is the release of the API. Each is supported for 18 months.
// https://developers.hubspot.com/changelog/legacy-apis-and-legacy-apps-whats-going-unsupported-and-when
const version = "2026-09"

// maxID is the longest id that is one.
const maxID = 64

var (
	errTooLong     = errors.New("the answer is too long")
	errNotArchived = errors.New("204 was expected")
	errNoObjects   = errors.New("the answer does not tell which object it is about")
)

// call is one request.
type call struct {
	method string
	path   string // below the base address, escaped
	object bool   // the path names one object, so that a 404 speaks of it
	body   any    // nil: none
}

// do sends c and reads the answer into out, which may be nil. An error is a *connectors.Error.
func (t *target) do(ctx context.Context, c call, out any) error {
	req := rest.Request{
		Method: c.method, URL: t.base + c.path, Object: c.object, Header: http.Header{"Accept": {"application/json"}},
	}
	if c.body != nil {
		text, err := rest.JSON(c.body)
		if err != nil {
			return rejected(err, "correct the mapping and replay")
		}
		req.Body = text
		req.Header.Set("Content-Type", "application/json")
	}
	answer, err := t.rest.Do(ctx, req)
	if err != nil {
		return t.classify(c, answer, err)
	}
	if out == nil {
		if c.method == http.MethodDelete && answer.Status != http.StatusNoContent {
			return t.unreadable(c, answer.Status, errNotArchived)
		}
		return nil
	}
	if answer.Cut {
		err = errTooLong
	} else {
		err = json.Unmarshal(answer.Body, out)
	}
	if err != nil {
		return t.unreadable(c, answer.Status, err)
	}
	return nil
}

// unreadable is an answer that cannot be understood. What it is about may have been done; the next attempt looks.
func (t *target) unreadable(c call, status int, err error) error {
	return &connectors.Error{
		Kind: connectors.Temporary, Uncertain: true, Status: status,
		Err:  fmt.Errorf("%s %s answered %d: cannot be read: %w", c.method, c.path, status, err),
		Hint: "something between here and HubSpot may answer in its place; check url and proxies",
	}
}

// identifier is an id that may be written as a number or as text.
type identifier string

// UnmarshalJSON reads either form.
func (i *identifier) UnmarshalJSON(text []byte) error {
	var number json.Number
	if err := json.Unmarshal(text, &number); err == nil && string(text) != "null" {
		*i = identifier(number)
		return nil
	}
	var plain string
	if err := json.Unmarshal(text, &plain); err != nil {
		return err
	}
	*i = identifier(plain)
	return nil
}

// usable tells whether the id can stand in an address.
func (i identifier) usable() bool {
	return i != "" && len(i) <= maxID && strings.Trim(string(i), "0123456789") == ""
}

// Answers. encoding/json finds the vendor's names by ignoring case.
type (
	object struct {
		ID         identifier
		URL        string
		Properties map[string]*string
	}
	batch struct {
		Results   []object
		NumErrors int
		Errors    []problem
	}
	ties struct {
		Results []struct {
			To     []struct{ ToObjectID identifier }
			Paging paging
		}
		NumErrors int
		Errors    []problem
	}
	paging struct{ Next struct{ After string } }
)

// objects is the path of a kind of objects, and of what is below it.
func objects(kind string, below ...string) string {
	parts := []string{"/crm/objects", version, kind}
	for _, part := range below {
		parts = append(parts, url.PathEscape(part))
	}
	return strings.Join(parts, "/")
}

// upsert makes or updates the object whose property has this value. HubSpot takes it for one, whoever sends it how often.
func (t *target) upsert(ctx context.Context, kind, property, value, trace string, values map[string]string) (object, error) {
	values = with(values, property, value)
	c := call{method: http.MethodPost, path: objects(kind, "batch", "upsert"), body: map[string]any{"inputs": []any{
		map[string]any{"idProperty": property, "id": value, "properties": values, "objectWriteTraceId": trace},
	}}}
	var out batch
	if err := t.do(ctx, c, &out); err != nil {
		return object{}, err
	}
	if err := t.failed(c, out.NumErrors, out.Errors); err != nil {
		return object{}, err
	}
	if len(out.Results) != 1 || !out.Results[0].ID.usable() {
		return object{}, t.unreadable(c, http.StatusOK, errNoObjects)
	}
	return out.Results[0], nil
}

// find reads the object whose property has this value; without a property the value is its id. It sees what was
// written before, unlike a search.
func (t *target) find(ctx context.Context, kind, property, value string, wanted []string) (object, bool, error) {
	body := map[string]any{"inputs": []any{map[string]any{"id": value}}, "properties": wanted, "propertiesWithHistory": []any{}}
	if property != "" {
		body["idProperty"] = property
	}
	c := call{method: http.MethodPost, path: objects(kind, "batch", "read"), body: body}
	found, err := t.readBatch(ctx, c)
	switch {
	case err != nil:
		return object{}, false, err
	case len(found) == 0:
		return object{}, false, nil
	case len(found) == 1 && found[0].ID.usable():
		return found[0], true, nil
	}
	return object{}, false, t.unreadable(c, http.StatusOK, errNoObjects)
}

// readBatch returns what is there of a batch. Only a clear "not there" counts as such.
func (t *target) readBatch(ctx context.Context, c call) ([]object, error) {
	var out batch
	if err := t.do(ctx, c, &out); err != nil {
		return nil, err
	}
	if left := missing(out.Errors); len(left) > 0 || out.NumErrors > len(out.Errors) {
		return nil, t.failed(c, out.NumErrors, left)
	}
	if out.Results == nil {
		return nil, t.unreadable(c, http.StatusOK, errNoObjects)
	}
	return out.Results, nil
}

// create makes an object with ties to others. Sent twice it makes two.
func (t *target) create(ctx context.Context, kind string, values map[string]string, ties []any) (object, error) {
	c := call{method: http.MethodPost, path: objects(kind), body: map[string]any{"properties": values, "associations": ties}}
	var out object
	if err := t.do(ctx, c, &out); err != nil {
		return object{}, err
	}
	if !out.ID.usable() {
		return object{}, t.unreadable(c, http.StatusCreated, errNoObjects)
	}
	return out, nil
}

// update writes properties of an object that is there.
func (t *target) update(ctx context.Context, kind, id string, values map[string]string) (object, error) {
	c := call{method: http.MethodPatch, path: objects(kind, id), object: true, body: map[string]any{"properties": values}}
	var out object
	err := t.do(ctx, c, &out)
	if status(err) == http.StatusNotFound {
		return out, rejected(err, "it was deleted or merged in HubSpot; restore it there and replay, or leave it")
	}
	if err == nil && string(out.ID) != id {
		// A merged object answers under another id; nothing else may.
		t.log.WarnContext(ctx, "the object has another id now", "kind", kind, "id", id, "now", string(out.ID))
		if !out.ID.usable() {
			return out, t.unreadable(c, http.StatusOK, errNoObjects)
		}
	}
	return out, err
}

// archive moves an object to HubSpot's recycling bin. One that is gone is fine.
func (t *target) archive(ctx context.Context, kind, id string) error {
	err := t.do(ctx, call{method: http.MethodDelete, path: objects(kind, id), object: true}, nil)
	if status(err) == http.StatusNotFound {
		return nil
	}
	return err
}

// tie associates two objects by the default type, whose number HubSpot knows. It changes nothing if they are.
func (t *target) tie(ctx context.Context, kind, id, toKind, to string) error {
	c := call{method: http.MethodPut, path: objects(kind, id, "associations", "default", toKind, to), object: true}
	var out struct {
		Results   []json.RawMessage
		NumErrors int
		Errors    []problem
	}
	if err := t.do(ctx, c, &out); err != nil {
		return err
	}
	if err := t.failed(c, out.NumErrors, out.Errors); err != nil {
		return err
	}
	if out.Results == nil {
		return t.unreadable(c, http.StatusOK, errNoObjects)
	}
	return nil
}

// tied lists the notes of an object, all pages of them.
func (t *target) tied(ctx context.Context, kind, id string) ([]string, error) {
	c := call{method: http.MethodPost, path: "/crm/associations/" + version + "/" + kind + "/notes/batch/read"}
	var ids []string
	input := map[string]any{"id": id}
	for {
		c.body = map[string]any{"inputs": []any{input}}
		var out ties
		if err := t.do(ctx, c, &out); err != nil {
			return nil, err
		}
		if left := missing(out.Errors); len(left) > 0 || out.NumErrors > len(out.Errors) {
			return nil, t.failed(c, out.NumErrors, left)
		}
		if out.Results == nil || len(out.Results) > 1 {
			return nil, t.unreadable(c, http.StatusOK, errNoObjects)
		}
		if len(out.Results) == 0 {
			return ids, nil
		}
		for _, to := range out.Results[0].To {
			if !to.ToObjectID.usable() {
				return nil, t.unreadable(c, http.StatusOK, errNoObjects)
			}
			ids = append(ids, string(to.ToObjectID))
		}
		after := out.Results[0].Paging.Next.After
		if after == "" {
			return ids, nil
		}
		if after == input["after"] {
			return nil, t.unreadable(c, http.StatusOK, errNoObjects) // a page that leads to itself
		}
		input = map[string]any{"id": id, "after": after}
	}
}

// with is values and one more.
func with(values map[string]string, name, value string) map[string]string {
	out := maps.Clone(values)
	if out == nil {
		out = map[string]string{}
	}
	out[name] = value
	return out
}

// names are the keys in order.
func names(values map[string]string) []string { return slices.Sorted(maps.Keys(values)) }

// webAddress is an address that a person can click on, else "".
func webAddress(text string) string {
	u, err := url.Parse(text)
	if err != nil || len(text) > 2048 || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return ""
	}
	return u.String()
}

// status is the HTTP status of an error, 0 if it has none.
func status(err error) int {
	if e, ok := errors.AsType[*connectors.Error](err); ok {
		return e.Status
	}
	return 0
}
