// This file finds the known fields under whatever spelling they come, and reads them as text whatever their type.

package proprofs

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/source"
)

const prefix = "l2s_"

// known are the documented fields without their prefix.
var known = []string{
	"name", "email", "sesid", "id", "ip", "logid", "lang", "msg", "date", "duration", "totalduration", "returnedval", "question",
}

// recognize returns an *source.Error for an object that is no hook of this platform.
func recognize(object map[string]any) error {
	prefixed, plain := map[string]bool{}, map[string]bool{}
	for key := range object {
		name, rank := canonical(key)
		prefixed[name] = prefixed[name] || rank < unprefixed
		plain[name] = plain[name] || rank == unprefixed
	}
	switch {
	case prefixed["msg"], prefixed["question"], prefixed["sesid"]:
		return nil
	case (plain["msg"] || plain["question"]) && (plain["sesid"] || plain["logid"] || plain["returnedval"]):
		return nil
	case len(object) == 0:
		return &source.Error{Reason: "the body is an empty object"}
	case isSmartsupp(object):
		return &source.Error{
			Reason: "this is a Smartsupp hook, but the source has type proprofs",
			Hint:   "point Smartsupp at a source of type smartsupp",
		}
	}
	return &source.Error{
		Reason: "this is no ProProfs Chat transcript: l2s_msg, l2s_question and l2s_sesid are all missing",
		Hint:   "check which system posts to this path",
	}
}

// isSmartsupp recognizes the POST hook (accountId, channel, messages) and the webhooks of Smartsupp's REST API.
func isSmartsupp(object map[string]any) bool {
	has := func(key string) bool { _, ok := object[key]; return ok }
	_, list := object["messages"].([]any)
	return has("accountId") && (has("channel") || has("visitor") || list) ||
		has("channel") && list ||
		object["type"] == "event_callback" && has("event")
}

// The ranks of a key's spelling; lower is better.
const (
	exact = iota
	otherCase
	unprefixed
	unknown
)

// canonical returns the known name for a key and how well it is spelled.
func canonical(key string) (name string, rank int) {
	lower := strings.ToLower(strings.TrimSpace(key))
	name, prefixed := strings.CutPrefix(lower, prefix)
	switch {
	case !slices.Contains(known, name):
		return key, unknown
	case !prefixed:
		return name, unprefixed
	case key != lower:
		return name, otherCase
	}
	return name, exact
}

// fields are the known fields by their name without prefix.
type fields struct {
	values map[string]any
	keys   map[string]string // the keys as sent
	extra  map[string]any    // everything else, and what could not be read
}

// readFields sorts the keys of object. Of two spellings of one field the better one that is not empty counts.
func readFields(object map[string]any) fields {
	f := fields{values: map[string]any{}, keys: map[string]string{}, extra: map[string]any{}}
	ranks := map[string]int{}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		value := object[key]
		name, rank := canonical(key)
		if rank == unknown {
			f.extra[key] = value
			continue
		}
		if isEmpty(value) {
			rank += unknown
		}
		if old, taken := ranks[name]; taken {
			if old <= rank {
				f.keepValue(key, value)
				continue
			}
			f.keep(name)
		}
		ranks[name], f.values[name], f.keys[name] = rank, value, key
	}
	return f
}

// isEmpty tells whether value says nothing. PHP sends false where it has no text.
func isEmpty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return strings.TrimSpace(v) == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// keep puts a field into the conversation's extra as it was sent.
func (f fields) keep(name string) {
	f.keepValue(f.keys[name], f.values[name])
}

func (f fields) keepValue(key string, value any) {
	if !isEmpty(value) {
		f.extra[key] = value
	}
}

// keepUncredited keeps the operator's names where no message is credited to them.
func (f fields) keepUncredited(agents []chat.Author) {
	for _, name := range []string{"logid", "returnedval"} {
		value := fold(plainLine(f.line(name)))
		if !slices.ContainsFunc(agents, func(a chat.Author) bool { return fold(a.Name) == value || fold(a.ID) == value }) {
			f.keep(name)
		}
	}
}

// line is a field as one line of text.
func (f fields) line(name string) string { return chat.CleanLine(f.joined(name, ", ")) }

// lines is a field as text.
func (f fields) lines(name string) string { return chat.Clean(f.joined(name, "\n")) }

func (f fields) joined(name, separator string) string {
	if isEmpty(f.values[name]) {
		return ""
	}
	text, nested := textOf(f.values[name], separator)
	if nested {
		f.keep(name)
	}
	return text
}

// textOf reads any value as text: lists and objects as the texts in them. nested tells that this lost their structure.
func textOf(value any, separator string) (text string, nested bool) {
	switch v := value.(type) {
	case string:
		return v, false
	case json.Number:
		return v.String(), false
	case bool:
		return strconv.FormatBool(v), false
	case []any:
		var parts []string
		for _, e := range v {
			part, inner := textOf(e, separator)
			if nested = nested || inner; part != "" {
				parts = append(parts, part)
			}
		}
		return strings.Join(parts, separator), nested
	case map[string]any:
		var parts []string
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if part, _ := textOf(v[key], separator); part != "" {
				parts = append(parts, part)
			}
		}
		return strings.Join(parts, separator), true
	}
	return "", false
}
