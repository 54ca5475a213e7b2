// This file encodes bodies and reads answers.

package http

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/rest"
)

// maxID is the longest id or address that a receipt keeps. Longer ones are no ids.
const maxID = 2048

// encode writes a body and names its media type. Equal values give equal bytes.
func encode(encoding string, body any) (content []byte, mediaType string, err error) {
	switch encoding {
	case "form":
		fields, ok := body.(map[string]any)
		if !ok {
			return nil, "", fmt.Errorf("a form needs a map of names and values, not %T", body)
		}
		values := url.Values{}
		for name, value := range fields {
			addAll(values, name, value)
		}
		return []byte(values.Encode()), "application/x-www-form-urlencoded", nil
	case "text":
		switch body.(type) {
		case map[string]any, []any:
			return nil, "", errors.New("a text is needed, not a map or a list")
		}
		return []byte(scalar(body)), "text/plain; charset=utf-8", nil
	}
	content, err = rest.JSON(body)
	return content, "application/json", err
}

// receipt reads where the object is. An answer that cannot be read is a success all the same; what was known stays.
func (t *target) receipt(answer *rest.Response, at Pointers, prior connectors.Receipt) connectors.Receipt {
	out := prior
	if at.ID == "" && at.URL == "" {
		return out
	}
	doc, err := parse(answer.Body)
	if err != nil {
		t.log.Warn("the answer holds no receipt", "status", answer.Status, "reason", "it is not JSON")
		return out
	}
	if id := at.ID.text(doc); id != "" && len(id) <= maxID {
		out.ID = id
	}
	if link := webAddress(at.URL.text(doc)); link != "" {
		out.URL = link
	}
	return out
}

// webAddress returns the address if a person can safely click on it, else "".
func webAddress(text string) string {
	u, err := url.Parse(text)
	if err != nil || len(text) > maxID || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return ""
	}
	return u.String()
}

// unexpected is a 2xx that success does not list.
func (t *target) unexpected(answer *rest.Response) error {
	return &connectors.Error{
		Kind: connectors.Temporary, Uncertain: true, Status: answer.Status,
		Err:  fmt.Errorf("%s://%s answered %d, which success does not list", t.base.Scheme, t.base.Host, answer.Status),
		Hint: fmt.Sprintf("add %d to success or to reject", answer.Status),
	}
}

// unwanted is a status that reject lists. err is what rest says of it, nil for 2xx.
func (t *target) unwanted(answer *rest.Response, err error) error {
	if err == nil {
		err = fmt.Errorf("%s://%s answered %d", t.base.Scheme, t.base.Host, answer.Status)
	}
	return &connectors.Error{
		Kind: connectors.Rejected, Status: answer.Status, Err: err,
		Hint: "the configuration lists this status under reject",
	}
}

// look finds out what came of an earlier attempt: where the object is, if it is there, and whether that is all there is
// to do.
func (t *target) look(ctx context.Context, rec connectors.Record, update map[string]any) (at connectors.Receipt, done bool, err error) {
	at = rec.Prior
	if at.IsZero() {
		request, _ := rec.Fields["lookup"].(map[string]any)
		if len(request) == 0 {
			return at, false, rejected(errors.New("lookup is not mapped, so nothing can be looked up"),
				"map lookup: {query: …}, or set once to key or none")
		}
		found, receipt, err := t.find(ctx, rec, request, "")
		if err != nil || !found {
			return at, false, err
		}
		if at = receipt; update == nil || at.ID == "" {
			return at, true, nil
		}
	}
	request, _ := update["lookup"].(map[string]any)
	if len(request) == 0 || at.ID == "" {
		return at, false, nil
	}
	done, _, err = t.find(ctx, rec, request, at.ID)
	return at, done, err
}

// find sends one lookup. id takes the place of {id} in its path.
func (t *target) find(ctx context.Context, rec connectors.Record, lookup map[string]any, id string) (found bool, receipt connectors.Receipt, err error) {
	query, _ := lookup["query"].(map[string]any)
	to, err := address(t.base, lookup["path"], query, id)
	if err != nil {
		return false, receipt, err
	}
	_, byPath := lookup["path"]
	answer, err := t.rest.Do(ctx, rest.Request{
		Method: http.MethodGet, URL: to, Header: t.header(rec.Request), Object: byPath,
	})
	if byPath && answer != nil && (answer.Status == http.StatusNotFound || answer.Status == http.StatusGone) {
		return false, receipt, nil
	}
	if err != nil {
		e := *connectors.Classify(err)
		e.Uncertain = false // a GET creates nothing
		return false, receipt, &e
	}
	if answer.Status == http.StatusNoContent {
		return false, receipt, nil
	}
	return t.readFound(answer)
}

// readFound reads the answer to a lookup. Where it cannot be understood it says so: taking it for "not there" would
// create a second object.
func (t *target) readFound(answer *rest.Response) (found bool, receipt connectors.Receipt, err error) {
	doc, err := parse(answer.Body)
	if err != nil || answer.Cut {
		return false, receipt, t.unreadable("it is not JSON, or too long")
	}
	items, ok := t.settings.Lookup.Items.in(doc)
	if !ok {
		return false, receipt, t.unreadable("it has nothing at lookup.items")
	}
	item, several := first(items)
	if several {
		t.log.Warn("a lookup found several objects; the first one counts")
	}
	if item == nil {
		return false, receipt, nil
	}
	at := Pointers{ID: t.settings.Lookup.ID, URL: t.settings.Lookup.URL}
	if at.ID == "" {
		at.ID = t.settings.Receipt.ID
	}
	if at.URL == "" {
		at.URL = t.settings.Receipt.URL
	}
	receipt = connectors.Receipt{ID: at.ID.text(item), URL: webAddress(at.URL.text(item))}
	if at.ID != "" && (receipt.ID == "" || len(receipt.ID) > maxID) {
		return false, connectors.Receipt{}, t.unreadable("what it found has no id at lookup.id")
	}
	return true, receipt, nil
}

// first returns the object that was found, nil if none, and whether there were more.
func first(items any) (item any, several bool) {
	switch v := items.(type) {
	case []any:
		if len(v) == 0 {
			return nil, false
		}
		return v[0], len(v) > 1
	case map[string]any:
		if len(v) == 0 {
			return nil, false
		}
	}
	return items, false
}

func (t *target) unreadable(why string) error {
	return &connectors.Error{
		Kind: connectors.Temporary,
		Err:  fmt.Errorf("%s://%s: the answer to the lookup cannot be read: %s", t.base.Scheme, t.base.Host, why),
		Hint: "correct the lookup settings; nothing is created before it is clear that nothing is there",
	}
}
