// This file writes the effective configuration: every default filled in, every secret masked.

package config

import (
	"bytes"
	"encoding"
	"encoding/json"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"

	"gopkg.in/yaml.v3"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/pipeline"
)

// WriteMasked writes the configuration as YAML: with every default, with variables and files replaced, secrets as ***.
// A secret that was written into something that is not a secret setting is shown.
func (c *Config) WriteMasked(w io.Writer) error {
	root := &yaml.Node{Kind: yaml.MappingNode}
	put(root, "version", textNode(strconv.Itoa(Version), ""))
	for _, s := range []struct {
		key   string
		value any
	}{{"server", c.Server}, {"admin", c.Admin}, {"ledger", c.Ledger}, {"log", c.Log}, {"transcript", c.Transcript}} {
		put(root, s.key, valueNode(reflect.ValueOf(s.value)))
	}
	sources := &yaml.Node{Kind: yaml.MappingNode}
	for _, s := range c.Sources {
		put(sources, s.Name, valueNode(reflect.ValueOf(s)))
	}
	put(root, "sources", sources)
	targets := &yaml.Node{Kind: yaml.MappingNode}
	for _, t := range c.Targets {
		n := &yaml.Node{Kind: yaml.MappingNode}
		put(n, "type", textNode(t.Type.Name(), "!!str"))
		n.Content = append(n.Content, valueNode(reflect.ValueOf(t.Settings)).Content...)
		if t.Type.Once(t.Settings) != connectors.OnceNone {
			t.OnUncertain = "" // it has no meaning then
		}
		n.Content = append(n.Content, valueNode(reflect.ValueOf(t.TargetOptions)).Content...)
		put(targets, t.Name, n)
	}
	put(root, "targets", targets)
	c.putDefinition(root)
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	if err := e.Encode(root); err != nil {
		return err
	}
	return e.Close()
}

// putDefinition adds lookups, redactions and routes. Tests decide nothing and are left out.
func (c *Config) putDefinition(root *yaml.Node) {
	if d := c.Definition.Lookups; len(d) > 0 {
		lookups := &yaml.Node{Kind: yaml.MappingNode}
		for _, name := range slices.Sorted(maps.Keys(d)) {
			put(lookups, name, treeNode(d[name]))
		}
		put(root, "lookups", lookups)
	}
	if d := c.Definition.Redact; len(d) > 0 {
		redact := &yaml.Node{Kind: yaml.MappingNode}
		for _, name := range slices.Sorted(maps.Keys(d)) {
			put(redact, name, redactionNode(d[name]))
		}
		put(root, "redact", redact)
	}
	if routes := c.routesNode(); routes != nil {
		put(root, "routes", routes)
	}
	c.putAlerts(root)
}

// RoutesText returns the routes as a YAML list that WithRoutes reads, without keys that say what goes without saying; ""
// if there are none.
func (c *Config) RoutesText() (string, error) {
	routes := c.routesNode()
	if routes == nil {
		return "", nil
	}
	for _, r := range routes.Content {
		for i := len(r.Content) - 2; i >= 0; i -= 2 {
			if value := r.Content[i+1]; value.Kind == yaml.ScalarNode && slices.Contains([]string{"false", "0s", ""}, value.Value) {
				r.Content = slices.Delete(r.Content, i, i+2)
			}
		}
	}
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	if err := e.Encode(routes); err != nil {
		return "", err
	}
	return out.String(), e.Close()
}

// routesNode writes the routes, but for that of alerts; nil if there are none.
func (c *Config) routesNode() *yaml.Node {
	if len(c.Definition.Routes) == 0 {
		return nil
	}
	routes := &yaml.Node{Kind: yaml.SequenceNode}
	for _, r := range c.Definition.Routes {
		if r.Alert {
			continue
		}
		n := valueNode(reflect.ValueOf(routeKeys{r.Name, r.From, r.When, r.Final, r.Empty, r.Hold}))
		put(n, "to", toNode(r.To))
		routes.Content = append(routes.Content, n)
	}
	return routes
}

// toNode writes the targets of a route with what it maps for each.
func toNode(targets []pipeline.RouteTarget) *yaml.Node {
	if len(targets) == 0 {
		return &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	}
	to := &yaml.Node{Kind: yaml.MappingNode}
	for _, t := range targets {
		fields := treeNode(t.Fields)
		if len(t.Redact) > 0 {
			put(fields, "redact", valueNode(reflect.ValueOf(t.Redact)))
		}
		put(to, t.Target, fields)
	}
	return to
}

func redactionNode(r pipeline.Redaction) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	if len(r.Find) > 0 {
		find := &yaml.Node{Kind: yaml.SequenceNode}
		for _, f := range r.Find {
			if f.Regex == "" {
				find.Content = append(find.Content, textNode(f.Name, "!!str"))
				continue
			}
			find.Content = append(find.Content, valueNode(reflect.ValueOf(findKeys(f))))
		}
		put(n, "find", find)
	}
	n.Content = append(n.Content, valueNode(reflect.ValueOf(redactionKeys{Drop: r.Drop, Replace: r.Replace, At: r.At})).Content...)
	return n
}

func put(n *yaml.Node, key string, value *yaml.Node) {
	n.Content = append(n.Content, textNode(key, "!!str"), value)
}

// textNode is a scalar; the encoder adds quotes where a text would be read as something else.
func textNode(text, tag string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: text}
}

// valueNode is a Go value by the tags that loading reads. Keys that hold nothing are left out.
func valueNode(v reflect.Value) *yaml.Node {
	if v.Kind() == reflect.Pointer {
		return valueNode(v.Elem())
	}
	if v.Type() == durationType || isWritten(v) {
		return textNode(written(v), "!!str")
	}
	n := &yaml.Node{}
	switch v.Kind() {
	case reflect.Struct:
		n.Kind = yaml.MappingNode
		for _, f := range fieldsOf(v.Type()) {
			inner := v.FieldByIndex(f.index)
			if !holdsNothing(inner) {
				put(n, f.key, valueNode(inner))
			}
		}
	case reflect.Slice:
		n.Kind, n.Style = yaml.SequenceNode, yaml.FlowStyle
		for i := range v.Len() {
			n.Content = append(n.Content, valueNode(v.Index(i)))
		}
	case reflect.Map:
		n.Kind = yaml.MappingNode
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int {
			if a.String() < b.String() {
				return -1
			}
			return 1
		})
		for _, k := range keys {
			put(n, k.String(), valueNode(v.MapIndex(k)))
		}
	case reflect.String:
		return textNode(v.String(), "!!str")
	case reflect.Bool:
		return textNode(written(v), "")
	case reflect.Float32, reflect.Float64:
		return textNode(written(v), "")
	default:
		return textNode(written(v), "")
	}
	return n
}

func isWritten(v reflect.Value) bool {
	_, ok := reflect.TypeAssert[encoding.TextMarshaler](v)
	return ok
}

func holdsNothing(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int64, reflect.Float64:
		return false
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	case reflect.Struct:
		if !isText(v.Type()) {
			return v.IsZero()
		}
	}
	return v.IsZero()
}

// treeNode is a mapping as written.
func treeNode(t pipeline.Tree) *yaml.Node {
	switch t := t.(type) {
	case pipeline.Mapping:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for _, e := range t {
			put(n, e.Key, treeNode(e.Value))
		}
		return n
	case map[string]any:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for _, key := range slices.Sorted(maps.Keys(t)) {
			put(n, key, treeNode(t[key]))
		}
		return n
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, item := range t {
			n.Content = append(n.Content, treeNode(item))
		}
		return n
	case nil:
		return textNode("null", "!!null")
	case bool:
		return textNode(strconv.FormatBool(t), "")
	case int64:
		return textNode(strconv.FormatInt(t, 10), "")
	case float64:
		return textNode(strconv.FormatFloat(t, 'f', -1, 64), "")
	case json.Number:
		return textNode(t.String(), "")
	case string:
		return textNode(t, "!!str")
	}
	return textNode("", "!!str")
}
