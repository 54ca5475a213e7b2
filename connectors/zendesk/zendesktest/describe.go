// This file is the description of requests: each property by name with its type. An unknown one is a problem.

package zendesktest

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"
)

// kind is the type of a value.
type kind func(v any, path string) (problem string)

// props are the properties of an object. A name that ends in ! is required.
type props map[string]kind

var (
	commentProps = props{"html_body!": text, "public": truth, "uploads": list(text), "author_id": number}
	// Imports take the time of a comment, too.
	importedComment = props{"html_body!": text, "public": truth, "uploads": list(text), "author_id": number, "created_at": instant}
	userProps       = props{"email!": text, "name!": text, "skip_verify_email": truth}
	customField     = props{"id!": number, "value!": anything}
	tokenRequest    = props{"grant_type!": text, "client_id!": text, "client_secret!": text, "scope": text}

	updateProps = props{
		"subject": text, "status": oneOf("new", "open", "pending", "hold", "solved"), "priority": oneOf("low", "normal", "high", "urgent"),
		"type": oneOf("question", "incident", "problem", "task"), "group_id": number, "assignee_id": number, "assignee_email": text,
		"custom_fields": list(nested(customField)), "comment": nested(commentProps),
	}
	createProps = with(updateProps, props{
		"comment!": nested(commentProps), "external_id!": text, "tags": list(text), "brand_id": number, "ticket_form_id": number,
		"requester": nested(props{"email!": text, "name!": text}), "requester_id": number, "via_followup_source_id": number,
	}, "comment")
	importProps = with(createProps, props{
		"comments!": list(nested(importedComment)), "created_at": instant, "updated_at": instant, "solved_at": instant,
	}, "comment!", "requester", "via_followup_source_id")
)

// requests are the bodies by method and path, with * for an id.
var requests = map[string]props{
	"POST /api/v2/tickets":                {"ticket!": nested(createProps)},
	"POST /api/v2/imports/tickets":        {"ticket!": nested(importProps)},
	"PUT /api/v2/tickets/*":               {"ticket!": nested(updateProps)},
	"PUT /api/v2/tickets/*/tags":          {"tags!": list(text)},
	"POST /api/v2/users/create_or_update": {"user!": nested(userProps)},
}

// queries are the parameters by method and path.
var queries = map[string][]string{
	"GET /api/v2/tickets":            {"external_id"},
	"GET /api/v2/tickets/*/comments": {"page[size]", "page[after]", "sort"},
	"GET /api/v2/users/search":       {"query"},
	"POST /api/v2/uploads":           {"filename"},
}

// describe returns what is wrong with a request, "" if nothing is.
func describe(r *http.Request, body map[string]any) string {
	name := r.Method + " " + generic(r.URL.Path)
	for key := range r.URL.Query() {
		if !slices.Contains(queries[name], key) {
			return "unknown parameter " + key
		}
	}
	if key := r.Header.Get("Idempotency-Key"); key != "" && (name != "POST /api/v2/tickets" || len(key) > 255) {
		return "Idempotency-Key where there is none, or too long"
	}
	described, ok := requests[name]
	if !ok {
		if len(body) > 0 {
			return "a body where there is none"
		}
		return ""
	}
	return object(body, described, "")
}

// generic puts * in the place of ids.
func generic(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if part != "" && strings.Trim(part, "0123456789") == "" {
			parts[i] = "*"
		}
	}
	return strings.Join(parts, "/")
}

func object(values map[string]any, described props, path string) string {
	for name := range described {
		plain, required := strings.CutSuffix(name, "!")
		if _, there := values[plain]; required && !there {
			return path + plain + " is missing"
		}
	}
	for name, v := range values {
		check, ok := described[name]
		if !ok {
			check, ok = described[name+"!"]
		}
		if !ok {
			return path + name + " is unknown"
		}
		if problem := check(v, path+name); problem != "" {
			return problem
		}
	}
	return ""
}

// with copies props, without some and with others.
func with(base, more props, without ...string) props {
	out := props{}
	for name, check := range base {
		if !slices.Contains(without, name) {
			out[name] = check
		}
	}
	maps.Copy(out, more)
	return out
}

func text(v any, path string) string {
	if _, ok := v.(string); !ok {
		return fmt.Sprintf("%s is no text: %v", path, v)
	}
	return ""
}

func truth(v any, path string) string {
	if _, ok := v.(bool); !ok {
		return fmt.Sprintf("%s is no boolean: %v", path, v)
	}
	return ""
}

func number(v any, path string) string {
	if n, ok := v.(float64); !ok || n != math.Trunc(n) || n <= 0 {
		return fmt.Sprintf("%s is no id: %v", path, v)
	}
	return ""
}

func instant(v any, path string) string {
	if _, err := time.Parse(time.RFC3339, fmt.Sprint(v)); err != nil {
		return fmt.Sprintf("%s is no time: %v", path, v)
	}
	return ""
}

func anything(any, string) string { return "" }

func oneOf(values ...string) kind {
	return func(v any, path string) string {
		if value, ok := v.(string); !ok || !slices.Contains(values, value) {
			return fmt.Sprintf("%s is none of %v: %v", path, values, v)
		}
		return ""
	}
}

func list(item kind) kind {
	return func(v any, path string) string {
		items, ok := v.([]any)
		if !ok {
			return path + " is no list"
		}
		for i, v := range items {
			if problem := item(v, fmt.Sprintf("%s[%d]", path, i)); problem != "" {
				return problem
			}
		}
		return ""
	}
}

func nested(described props) kind {
	return func(v any, path string) string {
		values, ok := v.(map[string]any)
		if !ok {
			return path + " is no object"
		}
		return object(values, described, path+".")
	}
}
