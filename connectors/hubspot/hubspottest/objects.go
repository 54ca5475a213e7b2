// This file serves contacts, tickets and notes.

package hubspottest

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
)

func (a *Account) list(w http.ResponseWriter, r *http.Request, _ any) {
	results := []any{}
	for _, o := range a.objects {
		if o.Kind == r.PathValue("kind") && !o.Archived && len(results) == 0 {
			results = append(results, shown(o, nil))
		}
	}
	reply(w, http.StatusOK, map[string]any{"results": results})
}

func (a *Account) upsert(w http.ResponseWriter, r *http.Request, body any) {
	kind := r.PathValue("kind")
	results := []any{}
	in := inputs(body)
	if len(in) == 0 {
		(&refusal{status: http.StatusBadRequest, category: "VALIDATION_ERROR", message: "inputs must not be empty"}).write(w)
		return
	}
	for _, input := range in {
		o, made, no := a.upsertOne(kind, fmt.Sprint(input["idProperty"]), fmt.Sprint(input["id"]), texts(input["properties"]))
		if no != nil {
			no.write(w)
			return
		}
		one := shown(o, slices.Sorted(maps.Keys(o.Properties)))
		one["new"] = made
		results = append(results, one)
	}
	reply(w, http.StatusOK, batch(results, nil))
}

func (a *Account) upsertOne(kind, property, value string, properties map[string]string) (*Object, bool, *refusal) {
	invalid := func(message string) *refusal {
		return &refusal{status: http.StatusBadRequest, category: "VALIDATION_ERROR", message: message}
	}
	switch {
	case kind == "contacts" && a.RefuseUpsert:
		return nil, false, invalid("Partial upserts are not supported with email as idProperty")
	case kind == "contacts" && property != "email", kind == "tickets" && !a.unique[property], kind == "notes":
		return nil, false, invalid(property + " is not a unique property")
	}
	if no := a.refuse(kind, properties); no != nil {
		return nil, false, no
	}
	if o := a.by(kind, property, value); o != nil {
		maps.Copy(o.Properties, properties)
		o.Updates++
		return o, false, nil
	}
	if kind == "contacts" {
		if other := a.secondary(value); other != nil {
			return nil, false, exists(other)
		}
	}
	if kind == "tickets" {
		stage, err := strconv.Atoi(properties["hs_pipeline_stage"])
		if properties["hs_pipeline"] != "0" || err != nil || stage < 1 || stage > 4 || properties["subject"] == "" {
			return nil, false, invalid("subject, hs_pipeline and hs_pipeline_stage are required, and the stage is one of the pipeline's")
		}
	}
	properties = maps.Clone(properties)
	properties[property] = value
	return a.add(kind, properties), true, nil
}

// secondary finds the contact that has an address as a further one.
func (a *Account) secondary(email string) *Object {
	return a.by("contacts", "hs_additional_emails", email)
}

func exists(o *Object) *refusal {
	return &refusal{status: http.StatusConflict, category: "CONFLICT", message: "Contact already exists. Existing ID: " + o.ID}
}

func (a *Account) read(w http.ResponseWriter, r *http.Request, body any) {
	fields, _ := body.(map[string]any)
	property, _ := fields["idProperty"].(string)
	results, errs := []any{}, []any{}
	for _, input := range inputs(body) {
		id := fmt.Sprint(input["id"])
		o := a.byID(r.PathValue("kind"), id)
		if property != "" {
			o = a.by(r.PathValue("kind"), property, id)
		}
		if o == nil {
			errs = append(errs, notFound(id))
			continue
		}
		results = append(results, shown(o, list(fields["properties"])))
	}
	// HubSpot keeps no order.
	slices.SortFunc(results, func(x, y any) int { return cmp.Compare(fmt.Sprint(y), fmt.Sprint(x)) })
	reply(w, http.StatusOK, batch(results, errs))
}

func (a *Account) search(w http.ResponseWriter, r *http.Request, body any) {
	fields, _ := body.(map[string]any)
	groups, _ := fields["filterGroups"].([]any)
	results := []any{}
	for _, group := range groups {
		one, _ := group.(map[string]any)
		filters, _ := one["filters"].([]any)
		for _, f := range filters {
			filter := texts(f)
			if o := a.by(r.PathValue("kind"), filter["propertyName"], filter["value"]); o != nil && a.indexed[o.ID] {
				results = append(results, shown(o, list(fields["properties"])))
			}
		}
	}
	reply(w, http.StatusOK, map[string]any{"total": len(results), "results": results})
}

func (a *Account) create(w http.ResponseWriter, r *http.Request, body any) {
	fields, _ := body.(map[string]any)
	kind, properties := r.PathValue("kind"), texts(fields["properties"])
	if no := a.refuse(kind, properties); no != nil {
		no.write(w)
		return
	}
	if kind == "contacts" {
		for _, other := range []*Object{a.by(kind, "email", properties["email"]), a.secondary(properties["email"])} {
			if other != nil {
				exists(other).write(w)
				return
			}
		}
	}
	if kind == "notes" && (properties["hs_timestamp"] == "" || properties["hs_note_body"] == "") {
		(&refusal{status: http.StatusBadRequest, category: "VALIDATION_ERROR", message: "hs_timestamp is required"}).write(w)
		return
	}
	ties, no := a.tiesIn(kind, fields["associations"])
	if no != nil {
		no.write(w)
		return
	}
	o := a.add(kind, a.cleaned(kind, properties))
	for _, to := range ties {
		a.tie(kind, o.ID, to.Kind, to.ID)
	}
	reply(w, http.StatusCreated, shown(o, slices.Sorted(maps.Keys(properties))))
}

// tiesIn reads the associations of a new object; the number of the type says the kind.
func (a *Account) tiesIn(kind string, associations any) ([]*Object, *refusal) {
	var out []*Object
	items, _ := associations.([]any)
	for _, item := range items {
		one, _ := item.(map[string]any)
		to, _ := one["to"].(map[string]any)
		types, _ := one["types"].([]any)
		for _, t := range types {
			spec, _ := t.(map[string]any)
			toKind, ok := map[string]string{"notes 202": "contacts", "notes 228": "tickets"}[kind+" "+fmt.Sprint(spec["associationTypeId"])]
			o := a.byID(toKind, fmt.Sprint(to["id"]))
			if !ok || o == nil {
				return nil, &refusal{status: http.StatusBadRequest, category: "VALIDATION_ERROR", message: "the association is not valid"}
			}
			out = append(out, o)
		}
	}
	return out, nil
}

// cleaned is what HubSpot makes of a note's markup: it puts it into an element of its own.
func (a *Account) cleaned(kind string, properties map[string]string) map[string]string {
	out := maps.Clone(properties)
	if body, ok := out["hs_note_body"]; ok && kind == "notes" {
		out["hs_note_body"] = `<div style="" dir="auto" data-top-level="true">` + body + "</div>"
	}
	return out
}

func (a *Account) patch(w http.ResponseWriter, r *http.Request, body any) {
	kind := r.PathValue("kind")
	fields, _ := body.(map[string]any)
	properties := texts(fields["properties"])
	o := a.byID(kind, r.PathValue("id"))
	if o == nil {
		gone(w)
		return
	}
	if no := a.refuse(kind, properties); no != nil {
		no.write(w)
		return
	}
	maps.Copy(o.Properties, a.cleaned(kind, properties))
	o.Updates++
	reply(w, http.StatusOK, shown(o, slices.Sorted(maps.Keys(properties))))
}

func gone(w http.ResponseWriter) {
	(&refusal{status: http.StatusNotFound, category: "OBJECT_NOT_FOUND", message: "Object not found.  objectId are usually numeric."}).write(w)
}

func (a *Account) remove(w http.ResponseWriter, r *http.Request, _ any) {
	if o := a.byID(r.PathValue("kind"), r.PathValue("id")); o != nil {
		o.Archived = true
	}
	w.WriteHeader(http.StatusNoContent)
}

func (a *Account) associate(w http.ResponseWriter, r *http.Request, _ any) {
	from, to := a.byID(r.PathValue("kind"), r.PathValue("id")), a.byID(r.PathValue("to"), r.PathValue("toID"))
	if from == nil || to == nil {
		gone(w)
		return
	}
	a.tie(from.Kind, from.ID, to.Kind, to.ID)
	reply(w, http.StatusOK, batch([]any{map[string]any{"from": map[string]any{"id": from.ID}, "to": map[string]any{"id": to.ID}}}, nil))
}

func (a *Account) associations(w http.ResponseWriter, r *http.Request, body any) {
	size := a.PageSize
	if size == 0 {
		size = 100
	}
	results, errs := []any{}, []any{}
	for _, input := range inputs(body) {
		id := fmt.Sprint(input["id"])
		var ids []string
		for _, to := range a.ties[r.PathValue("kind")+"/"+id+"/"+r.PathValue("to")] {
			if a.byID(r.PathValue("to"), to) != nil {
				ids = append(ids, to)
			}
		}
		if len(ids) == 0 {
			none, _ := notFound(id).(map[string]any)
			none["subCategory"] = "crm.associations.NO_ASSOCIATIONS_FOUND"
			errs = append(errs, none)
			continue
		}
		after, _ := input["after"].(string)
		from, _ := strconv.Atoi(after)
		to := min(from+size, len(ids))
		page := []any{}
		for _, id := range ids[min(from, len(ids)):to] {
			page = append(page, map[string]any{"toObjectId": id, "associationTypes": []any{}})
		}
		result := map[string]any{"from": map[string]any{"id": id}, "to": page}
		if to < len(ids) {
			result["paging"] = map[string]any{"next": map[string]any{"after": strconv.Itoa(to)}}
		}
		results = append(results, result)
	}
	reply(w, http.StatusOK, batch(results, errs))
}
