// This file tries out other routes with the rest of a configuration.

package config

import (
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/afterchat/afterchat/internal/pipeline"
)

// WithRoutes returns a configuration that is c with other routes: a YAML list of them, or a mapping with the one key
// routes. Mistakes are of type Problems, with places in the text. c stays as it is, and what is returned is for Explain,
// not for running.
func (c *Config) WithRoutes(text []byte) (*Config, error) {
	l := newLoader("routes", c.Folder, Known{}, Environment{})
	made := *c
	made.Files, made.Warnings, made.Tests = slices.Clone(c.Files), nil, nil
	made.Definition.Routes, made.Definition.Defaults, made.Pipeline = nil, map[string]pipeline.Tree{}, nil
	l.config = &made
	l.file = newFile("routes", text)
	if l.root = l.routesOnly(); l.root != nil {
		if e, ok := l.root.get("routes"); ok {
			l.routes(e.value, e.key.at)
			l.compile()
		}
	}
	return l.result()
}

// routesOnly reads a text that holds routes and nothing else, as if they stood below the key routes.
func (l *loader) routesOnly() *node {
	parsed := l.parse()
	if parsed == nil {
		return nil
	}
	root := l.builder.build(parsed, 0)
	switch {
	case root == nil || l.builder.over:
		return nil
	case root.kind == mappingKind:
		for _, e := range root.entries {
			if e.key.text != "routes" {
				l.unknown(e.key, "key", []string{"routes"})
			}
		}
		return root
	}
	key := &node{kind: scalarKind, text: "routes", at: root.at, yaml: &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "routes"}}
	return &node{kind: mappingKind, at: root.at, yaml: parsed, entries: []entry{{key, root}}}
}
