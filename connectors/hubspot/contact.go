// This file finds or makes the contact.

package hubspot

import (
	"context"
	"errors"
	"net/http"
	"regexp"

	"github.com/afterchat/afterchat/connectors"
)

// contact makes sure that the contact is there. Without an e-mail address there is none, or the one of before.
func (p *push) contact(ctx context.Context) error {
	if p.in.email == "" {
		return nil
	}
	return p.step(partContact, []any{p.in.email, p.in.contact}, func() (string, error) {
		found, err := p.upsertContact(ctx)
		if err == nil {
			p.see(found)
		}
		return string(found.ID), err
	})
}

// see takes the address for people from an object, unless there is a better one.
func (p *push) see(o object) {
	if link := webAddress(o.URL); link != "" {
		p.url = link
	}
}

func (p *push) upsertContact(ctx context.Context) (object, error) {
	if p.settings.ContactUpdate == fill || p.in.shared {
		there, ok, err := p.find(ctx, "contacts", "email", p.in.email, append([]string{"email"}, names(p.in.contact)...))
		if err != nil {
			return object{}, err
		}
		if ok {
			return p.fill(ctx, there)
		}
	}
	made, err := p.upsert(ctx, "contacts", "email", p.in.email, p.rec.Object, p.in.contact)
	if id := existing(err); id != "" {
		return p.refresh(ctx, id)
	}
	if refused(err) {
		return p.searchContact(ctx)
	}
	return made, err
}

// fill writes the properties that a person has not filled in.
func (p *push) fill(ctx context.Context, there object) (object, error) {
	empty := map[string]string{}
	for name, value := range p.in.contact {
		if held := there.Properties[name]; value != "" && (held == nil || *held == "") {
			empty[name] = value
		}
	}
	if len(empty) == 0 {
		return there, nil
	}
	return p.update(ctx, "contacts", string(there.ID), empty)
}

// searchContact is for accounts that refuse to upsert contacts by e-mail: search, then update or create. The search
// lags behind, so a create may find the contact there already; HubSpot then names it.
func (p *push) searchContact(ctx context.Context) (object, error) {
	c := call{method: http.MethodPost, path: objects("contacts", "search"), body: map[string]any{
		"filterGroups": []any{map[string]any{"filters": []any{
			map[string]any{"propertyName": "email", "operator": "EQ", "value": p.in.email},
		}}},
		"properties": []string{"email"}, "limit": 1, "after": "0", "sorts": []any{},
	}}
	var out struct {
		Results []object
		Total   *int
	}
	if err := p.do(ctx, c, &out); err != nil {
		return object{}, err
	}
	switch {
	case out.Total == nil:
		return object{}, p.unreadable(c, http.StatusOK, errNoObjects)
	case len(out.Results) > 0 && out.Results[0].ID.usable():
		return p.refresh(ctx, string(out.Results[0].ID))
	}
	made, err := p.create(ctx, "contacts", with(p.in.contact, "email", p.in.email), []any{})
	if id := existing(err); id != "" {
		return p.refresh(ctx, id)
	}
	return made, err
}

// refresh brings a contact up to date that is known by its id only.
func (p *push) refresh(ctx context.Context, id string) (object, error) {
	if len(p.in.contact) == 0 {
		return object{ID: identifier(id)}, nil
	}
	if p.settings.ContactUpdate == overwrite {
		return p.update(ctx, "contacts", id, p.in.contact)
	}
	there, ok, err := p.find(ctx, "contacts", "", id, names(p.in.contact))
	if err != nil {
		return object{}, err
	}
	if !ok {
		return object{}, &connectors.Error{
			Kind: connectors.Temporary, Err: errNoObjects, Hint: "HubSpot names a contact that it does not show; it may be about to merge it",
		}
	}
	return p.fill(ctx, there)
}

var existingID = regexp.MustCompile(`Existing ID: ([0-9]{1,20})`)

// existing is the id of the contact that stands in the way, "" if err is about something else. It happens when the
// address is a further one of the contact's.
func existing(err error) string {
	told := problemOf(err)
	if told == nil || (status(err) != http.StatusConflict && told.Category != "CONFLICT") {
		return ""
	}
	if match := existingID.FindStringSubmatch(told.Message); match != nil {
		return match[1]
	}
	return ""
}

// refused tells whether HubSpot does not take an upsert as it is. Whether the way or the values are wrong shows when they
// are sent the other way.
func refused(err error) bool {
	e, ok := errors.AsType[*connectors.Error](err)
	return ok && e.Kind == connectors.Rejected && (e.Status == http.StatusBadRequest || e.Status == http.StatusOK)
}
