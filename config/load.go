// This file reads a whole configuration. It goes on after mistakes, so that one run reports all of them.

package config

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/afterchat/afterchat/internal/rule"
)

// Load reads the configuration at path: a file, with those that it includes, or a folder, whose YAML files together are
// the configuration. What can be read but has mistakes is an error of type Problems, which holds all of them.
func Load(path string, known Known, env Environment) (*Config, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if info.IsDir() {
		return loadFolder(path, known, env)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return Parse(path, text, known, env)
}

// Parse reads a configuration from text. name is the path of its file: relative paths start in that folder, and
// problems show it. A field of env that is nil stands for the process's own environment or the real files. The error is
// of type Problems.
func Parse(name string, text []byte, known Known, env Environment) (*Config, error) {
	l := newLoader(name, filepath.Dir(name), known, env)
	l.file = newFile(name, text)
	if root := l.topLevel(); root != nil && l.version(root, true) {
		l.root = root
		l.includes(root, filepath.Clean(name), nil)
		l.document()
	}
	return l.result()
}

// loadFolder reads all YAML files of a folder as one configuration.
func loadFolder(path string, known Known, env Environment) (*Config, error) {
	l := newLoader(path, path, known, env)
	names, err := l.yamlFiles(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	for _, name := range names {
		text, err := l.env.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("configuration: %w", err)
		}
		l.took(name, span{})
		l.append(name, text, nil)
	}
	if l.root != nil && l.version(l.root, true) {
		l.document()
	}
	return l.result()
}

func newLoader(path, folder string, known Known, env Environment) *loader {
	if env.LookupEnv == nil {
		env.LookupEnv = os.LookupEnv
	}
	if env.ReadFile == nil {
		env.ReadFile = os.ReadFile
	}
	if env.Glob == nil {
		env.Glob = filepath.Glob
	}
	made := Defaults()
	made.Path, made.Folder = path, folder
	l := &loader{known: known, env: env, config: &made, taken: map[string]span{}}
	l.decoder = &decoder{report: &report{}, expanded: map[*node]bool{}, settings: rule.Settings{Env: env.LookupEnv, File: l.readFile}}
	l.builder = &builder{report: l.report, open: map[*yaml.Node]bool{}}
	return l
}

func (l *loader) result() (*Config, error) {
	if len(l.found) > 0 {
		return nil, l.list(l.masks)
	}
	l.config.Warnings = l.list(l.masks)
	return l.config, nil
}

// loader fills one Config.
type loader struct {
	*decoder
	builder *builder
	known   Known
	env     Environment
	config  *Config
	root    *node
	taken   map[string]span // files that were read, and where they were included
	unread  bool            // a file could not be read or put together with the others
	broken  map[string]bool // targets with mistakes of their own: what depends on their settings is not checked

	alertsAt any // index of the route of alerts; nil: there is none
}

// readFile is file("…"): relative to the configuration's folder, without one trailing line feed. Its errors do not
// repeat the path.
func (l *loader) readFile(path string) (string, error) {
	path = l.config.Resolve(path)
	if !slices.Contains(l.config.Files, path) {
		l.config.Files = append(l.config.Files, path)
	}
	text, err := l.env.ReadFile(path)
	if err != nil {
		return "", cause(err)
	}
	return string(text), nil
}

// Resolve returns a path of the configuration as seen from the working directory: relative ones start in Folder.
func (c *Config) Resolve(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(c.Folder, path)
}

// section is one key at the top of the file.
type section struct {
	key  string
	doc  string
	read func(l *loader, n *node, at span) // nil: read before all others
}

// sections lists the keys at the top of the file, in the order in which they are read.
func sections() []section {
	plain := func(key, doc string, into func(c *Config) any) section {
		return section{key, doc, func(l *loader, n *node, at span) {
			l.structs(n, at, key, nil, reflect.ValueOf(into(l.config)).Elem())
		}}
	}
	return []section{
		{"version", "version of this format, always 1", nil},
		{"include", "files, folders and patterns of files that are part of the configuration, relative to this file", nil},
		plain("server", "the public listener, for hooks only", func(c *Config) any { return &c.Server }),
		plain("admin", "the listener for console, API, metrics and health", func(c *Config) any { return &c.Admin }),
		plain("ledger", "where conversations and deliveries are kept", func(c *Config) any { return &c.Ledger }),
		plain("log", "how to log, on standard error", func(c *Config) any { return &c.Log }),
		plain("transcript", "how transcripts are shown to people", func(c *Config) any { return &c.Transcript }),
		{"sources", "where hooks come from: one entry for each chat account", (*loader).sources},
		{"targets", "where conversations go: one entry for each help desk, CRM or API", (*loader).targets},
		{"lookups", "tables for the function lookup()", (*loader).lookups},
		{"redact", "redactions, to be named in the targets of routes", (*loader).redactions},
		{"routes", "what goes where, top to bottom; without it every conversation goes to every target", (*loader).routes},
		{"alerts", "what people are told of without Prometheus, through a target", (*loader).alerts},
		{"tests", "samples and what is expected of them, for afterchat test", (*loader).tests},
	}
}

// topLevel reads the only YAML document of the current file, nil after a problem that leaves nothing to look at.
func (l *loader) topLevel() *node {
	parsed := l.parse()
	if parsed == nil {
		return nil
	}
	root := l.builder.build(parsed, 0)
	if root == nil || l.builder.over {
		return nil
	}
	if root.kind != mappingKind {
		l.add(root.at, "start with version: 1", "a configuration is a mapping, but this is %s", root.kind)
		return nil
	}
	return root
}

// document reads the whole configuration. Where a part of it is not known, the rest is not looked at: it would seem to
// lack what stands there.
func (l *loader) document() {
	if l.unread {
		return
	}
	var known []string
	for _, s := range sections() {
		known = append(known, s.key)
	}
	for _, e := range l.root.entries {
		if !slices.Contains(known, e.key.text) && !strings.HasPrefix(e.key.text, "x-") {
			l.unknown(e.key, "key", known)
		}
	}
	for _, s := range sections() {
		if e, ok := l.root.get(s.key); ok && s.read != nil {
			s.read(l, e.value, e.key.at)
		}
	}
	l.together()
	l.compile()
	l.unused()
}

// version is looked at before anything else, so that a file of another version is one problem and not forty.
func (l *loader) version(root *node, needed bool) bool {
	e, ok := root.get("version")
	if !ok {
		if needed {
			l.add(root.at, fmt.Sprintf("add version: %d in the first line", Version), "the file does not say which version of the format it has")
		}
		return true
	}
	if e.value.kind != scalarKind || e.value.text != fmt.Sprint(Version) {
		l.add(e.value.at, fmt.Sprintf("write version: %d, or use a later afterchat", Version), "unsupported version %s; this afterchat reads version %d", e.value.shown(), Version)
		return false
	}
	return true
}

// together checks what concerns several sections.
func (l *loader) together() {
	for _, need := range []string{"sources", "targets"} {
		if e, ok := l.root.get(need); !ok || e.value.isNull() || (e.value.kind == mappingKind && len(e.value.entries) == 0) {
			at := span{l.root.at.from, l.root.at.from + 1}
			if ok {
				at = e.key.at
			}
			l.add(at, fmt.Sprintf("add %s: with one at least; afterchat init writes a file to start from", need), "no %s", need)
		}
	}
	l.server()
	l.admin()
	l.ledger()
	l.zone("transcript", l.config.Transcript.TimeZone)
}
