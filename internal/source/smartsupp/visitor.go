// This file reads the visitor, the custom variables and the pages.

package smartsupp

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/source"
)

// visitor reads the person who asked. It runs after the messages, which stand in for what is missing.
func (r *reader) visitor(top object) {
	v := top.child("visitor")
	p := &r.c.Person
	p.ID = v.id("id")
	p.Name = v.line("name")
	p.Email, p.EmailRaw = chat.Email(v.line("email"))
	p.Phone = v.line("phone") // in no documented version
	p.Note = strings.TrimSpace(v.text("note"))
	p.Group = group(v)
	p.IP = address(v)
	p.City = v.line("city")
	p.Country = v.line("country")
	p.CountryCode = country(v)
	p.UserAgent = v.line("userAgent")
	p.Platform = v.line("platform")
	p.Referrer = v.line("referer")
	r.variables(v)
	top.done("visitor")

	if p.ID == "" {
		p.ID = r.visitorKey
	}
	if p.Email == "" && p.EmailRaw == "" {
		p.Email, p.EmailRaw = chat.Email(r.visitorEmail)
	}
}

// group takes the visitor's group: "group", or "groupKey" as it was called until 2018. An object gives its name and
// stays under extra, as does a groupKey that says something else.
func group(v object) string {
	for _, key := range []string{"group", "groupKey"} {
		if s, ok := scalar(v.fields.Get(key)); ok && s == "" {
			v.fields.Delete(key)
		}
	}
	value, ok := v.fields.Lookup("group")
	if !ok {
		value = v.fields.Get("groupKey")
	}
	if fields, ok := value.(*source.Object); ok {
		for _, key := range []string{"name", "key", "id"} {
			if s, ok := scalar(fields.Get(key)); ok && s != "" {
				return chat.CleanLine(s)
			}
		}
	}
	s, ok := scalar(value)
	if !ok {
		v.odd("group", "is no text")
		return ""
	}
	for _, key := range []string{"group", "groupKey"} {
		if same, ok := scalar(v.fields.Get(key)); ok && same == s {
			v.fields.Delete(key)
		}
	}
	return chat.CleanLine(s)
}

// address takes the network address. Of a list of proxies the first is the visitor's; the list stays under extra.
func address(v object) string {
	s, ok := scalar(v.fields.Get("ipAddress"))
	if ok {
		first, _, more := strings.Cut(s, ",")
		first = strings.TrimSpace(first)
		if _, err := netip.ParseAddr(first); more && err == nil {
			return first
		}
	}
	return v.line("ipAddress")
}

// country takes the country's code. One that does not exist stays under extra.
func country(v object) string {
	s, ok := scalar(v.fields.Get("countryCode"))
	code := countryCode(s)
	switch {
	case ok && strings.TrimSpace(s) == "", code != "":
		v.fields.Delete("countryCode")
	default:
		v.odd("countryCode", "is no ISO 3166-1 code")
	}
	return code
}

// variables reads the custom variables: {key: {label, value}}, {key: value}, a list of either, or [] for none.
// null is absent. What stands beside label and value stays under extra.
func (r *reader) variables(v object) {
	switch sent := v.fields.Get("variables").(type) {
	case nil:
		v.fields.Delete("variables")
	case *source.Object:
		for _, key := range slices.Sorted(sent.Keys()) {
			if rest := r.variable(chat.CleanLine(key), sent.Get(key)); rest.Len() > 0 {
				sent.Set(key, rest)
			} else {
				sent.Delete(key)
			}
		}
	case []any:
		rests := &source.Object{}
		for i, value := range sent {
			if rest := r.variable(variableKey(i, value), value); rest.Len() > 0 {
				rests.Set(strconv.Itoa(i), rest)
			}
		}
		v.fields.Set("variables", rests)
	default:
		v.odd("variables", "is no object")
	}
	v.done("variables")
}

// variableKey names an element of a list of variables by the key that it carries itself, else by its index.
func variableKey(i int, value any) string {
	fields, _ := value.(*source.Object)
	if fields.Get("value") != nil {
		for _, key := range []string{"key", "id", "name", "label"} {
			if s, ok := scalar(fields.Get(key)); ok && chat.CleanLine(s) != "" {
				if key != "label" {
					fields.Delete(key)
				}
				return chat.CleanLine(s)
			}
		}
	}
	return strconv.Itoa(i)
}

// variable keeps one variable and returns what was not understood of it.
func (r *reader) variable(key string, value any) *source.Object {
	p := &r.c.Person
	if p.Vars == nil {
		p.Vars = map[string]any{}
	}
	key = r.varNames.unused(key)
	fields, ok := value.(*source.Object)
	if inner, has := fields.Lookup("value"); ok && has {
		value = inner
		fields.Delete("value")
		if label, ok := fields.Get("label").(string); ok {
			if p.VarLabels == nil {
				p.VarLabels = map[string]string{}
			}
			p.VarLabels[key] = chat.CleanLine(label)
			fields.Delete("label")
		}
	} else {
		fields = nil
	}
	switch v := value.(type) {
	case nil:
	case json.Number:
		p.Vars[key] = json.Number(plain(v))
	default:
		p.Vars[key] = source.Plain(v)
	}
	return fields
}

// pages reads the pages that the visitor saw, in the order in which they were sent.
func (r *reader) pages(top object) {
	elements, ok := list(top.fields.Get("paths"))
	if !ok {
		if _, single := top.fields.Get("paths").(*source.Object); !single {
			top.odd("paths", "is no list")
			return
		}
		elements = []any{top.fields.Get("paths")}
	}
	rests := &source.Object{}
	for i, element := range elements {
		if url, ok := element.(string); ok {
			element = single("url", url)
		}
		fields, ok := element.(*source.Object)
		if !ok {
			if element != nil {
				rests.Set(strconv.Itoa(i), element)
			}
			continue
		}
		page := object{place: "paths[].", fields: fields, warn: r.c.Warn}
		if p := (chat.Page{URL: page.line("url"), Title: page.line("title")}); p != (chat.Page{}) {
			r.c.Pages = append(r.c.Pages, p)
		}
		if fields.Len() > 0 {
			rests.Set(strconv.Itoa(i), fields)
		}
	}
	top.fields.Set("paths", rests)
	top.done("paths")
}
