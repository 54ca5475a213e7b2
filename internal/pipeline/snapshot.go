// This file holds the form in which a Definition is kept: JSON whose bytes depend on the content alone, so that its
// hash names a configuration and a delivery in doubt can be rendered once more as it was.

package pipeline

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// ErrSnapshot is in the chain of every error of Open.
var ErrSnapshot = errors.New("snapshot of an earlier configuration cannot be read")

// MarshalJSON writes a mapping as an object whose keys stand in the order of the file.
func (m Mapping) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, entry := range m {
		if i > 0 {
			b.WriteByte(',')
		}
		key, err := json.Marshal(entry.Key)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(entry.Value)
		if err != nil {
			return nil, err
		}
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// UnmarshalJSON reads what MarshalJSON writes. Whole numbers become int64 if they fit, all others json.Number.
func (m *Mapping) UnmarshalJSON(data []byte) error {
	tree, err := parseTree(data)
	if err != nil {
		return err
	}
	switch tree := tree.(type) {
	case nil:
		*m = nil
	case Mapping:
		*m = tree
	default:
		return fmt.Errorf("a mapping is an object, not %.20s", data)
	}
	return nil
}

// parseTree reads JSON as a Tree.
func parseTree(data []byte) (Tree, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return readTree(d)
}

func readTree(d *json.Decoder) (Tree, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token := token.(type) {
	case json.Number:
		return wholeNumber(token), nil
	case json.Delim:
		if token == '[' {
			return readList(d)
		}
		return readMapping(d)
	}
	return token, nil
}

func readList(d *json.Decoder) (Tree, error) {
	list := []any{}
	for d.More() {
		item, err := readTree(d)
		if err != nil {
			return nil, err
		}
		list = append(list, item)
	}
	_, err := d.Token()
	return list, err
}

func readMapping(d *json.Decoder) (Tree, error) {
	m := Mapping{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		value, err := readTree(d)
		if err != nil {
			return nil, err
		}
		m = append(m, Entry{Key: key.(string), Value: value})
	}
	_, err := d.Token()
	return m, err
}

func wholeNumber(n json.Number) any {
	if i, err := strconv.ParseInt(n.String(), 10, 64); err == nil && n != "-0" {
		return i
	}
	return n
}

// plainTree turns a Tree of a lookup table into the values that expressions know.
func plainTree(t Tree) any {
	switch t := t.(type) {
	case json.Number:
		return wholeNumber(t)
	case Mapping:
		m := make(map[string]any, len(t))
		for _, entry := range t {
			m[entry.Key] = plainTree(entry.Value)
		}
		return m
	case map[string]any:
		m := make(map[string]any, len(t))
		for k, v := range t {
			m[k] = plainTree(v)
		}
		return m
	case []any:
		list := make([]any, len(t))
		for i := range t {
			list[i] = plainTree(t[i])
		}
		return list
	}
	return t
}

// parseDefinition reads a snapshot.
func parseDefinition(snapshot []byte) (Definition, error) {
	var raw struct {
		Definition
		Defaults map[string]json.RawMessage `json:"defaults"`
	}
	d := json.NewDecoder(bytes.NewReader(snapshot))
	d.UseNumber()
	if err := d.Decode(&raw); err != nil {
		return Definition{}, fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	def := raw.Definition
	def.Defaults = make(map[string]Tree, len(raw.Defaults))
	for target, text := range raw.Defaults {
		tree, err := parseTree(text)
		if err != nil {
			return Definition{}, fmt.Errorf("%w: default mapping of %s: %w", ErrSnapshot, target, err)
		}
		def.Defaults[target] = tree
	}
	return def.normal(nil), nil
}

// normal returns the definition with everything spelled out that may be left out, so that equal configurations have
// equal snapshots. Without any route, one called everything sends every conversation to the targets.
func (d Definition) normal(targets []Target) Definition {
	d.Routes = slices.Clone(d.Routes)
	if len(d.Routes) == 0 {
		everything := Route{Name: "everything"}
		for _, t := range targets {
			everything.To = append(everything.To, RouteTarget{Target: t.Name})
		}
		d.Routes = []Route{everything}
	}
	d.Redact = maps.Clone(d.Redact)
	for name, r := range d.Redact {
		if r.Replace == "" {
			r.Replace = removed
		}
		if r.At == AtDelivery {
			r.At = ""
		}
		d.Redact[name] = r
	}
	lookups := make(map[string]map[string]any, len(d.Lookups))
	for name, table := range d.Lookups {
		lookups[name] = make(map[string]any, len(table))
		for key, value := range table {
			lookups[name][key] = plainTree(value)
		}
	}
	d.Lookups = lookups
	return d
}

// renameTarget gives a target the name that it has today, unless the definition has a target of that name, too.
func (d Definition) renameTarget(old, name string) {
	if has(d.Defaults, name) {
		return
	}
	if tree, ok := d.Defaults[old]; ok {
		d.Defaults[name] = tree
		delete(d.Defaults, old)
	}
	for _, r := range d.Routes {
		for i := range r.To {
			if r.To[i].Target == old {
				r.To[i].Target = name
			}
		}
	}
}

// hash names a snapshot.
func hash(snapshot []byte) string {
	sum := sha256.Sum256(snapshot)
	return hex.EncodeToString(sum[:])
}
