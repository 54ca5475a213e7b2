// This file puts several files together to one configuration: those of include:, and those of a folder. What stands in
// two of them is a conflict that names both places.

package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Bounds of includes.
const (
	maxIncludeDepth = 8
	maxIncluded     = 256
)

// includes reads what a file includes. path is the file's own, above are the files that included it.
func (l *loader) includes(n *node, path string, above []string) {
	e, ok := n.get("include")
	if !ok {
		return
	}
	items := e.value.items
	switch {
	case e.value.kind == scalarKind:
		items = []*node{e.value}
	case e.value.kind == mappingKind || len(items) == 0:
		l.unread = true
		l.add(e.value.at, "write include: [routes.yaml, brands/]", "include must be a list of files, but this is %s", e.value.kind)
		return
	}
	open := append(slices.Clip(above), path)
	for _, item := range items {
		if names, ok := l.included(item, path); ok {
			for _, name := range names {
				l.include(name, item.at, open)
			}
			continue
		}
		l.unread = true
	}
}

// included returns the files that one entry of include means.
func (l *loader) included(item *node, path string) ([]string, bool) {
	text, ok := l.text(item, "include")
	if !ok {
		return nil, false
	}
	full := text
	if !filepath.IsAbs(text) {
		full = filepath.Join(filepath.Dir(path), text)
	}
	switch {
	case text == "":
		l.add(item.at, "name a file, or remove the entry", "include is empty")
		return nil, false
	case strings.ContainsAny(text, "*?["):
		names, err := l.matching(full)
		if err != nil {
			l.add(item.at, "patterns are like brands/*.yaml", "include: %q is no pattern of files", item.shown())
			return nil, false
		}
		names = slices.DeleteFunc(names, func(name string) bool { return name == path })
		if len(names) == 0 {
			l.add(item.at, "paths start in the folder of this file", "include: %q matches no YAML file", item.shown())
		}
		return names, len(names) > 0
	case isYAML(text):
		return []string{filepath.Clean(full)}, true
	}
	names, err := l.yamlFiles(full)
	names = slices.DeleteFunc(names, func(name string) bool { return name == path })
	if err != nil || len(names) == 0 {
		l.add(item.at, "name a file that ends in .yaml or .yml, or a folder of such files", "include: there is no YAML file in %q", item.shown())
		return nil, false
	}
	return names, true
}

func isYAML(name string) bool {
	return slices.Contains([]string{".yaml", ".yml"}, filepath.Ext(name))
}

// matching returns the YAML files that a pattern matches, by name. Hidden ones are left out: editors and Kubernetes
// make them.
func (l *loader) matching(pattern string) ([]string, error) {
	names, err := l.env.Glob(pattern)
	if err != nil {
		return nil, err
	}
	l.config.Patterns = append(l.config.Patterns, pattern)
	var out []string
	for _, name := range names {
		if isYAML(name) && !strings.HasPrefix(filepath.Base(name), ".") {
			out = append(out, filepath.Clean(name))
		}
	}
	slices.Sort(out)
	return out, nil
}

// yamlFiles returns the YAML files of a folder by name, and an error if there are none.
func (l *loader) yamlFiles(folder string) ([]string, error) {
	escape := strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`)
	if filepath.Separator == '\\' {
		escape = strings.NewReplacer() // a backslash escapes nothing there
	}
	names, err := l.matching(filepath.Join(escape.Replace(folder), "*"))
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("no file that ends in .yaml or .yml in %s", folder)
	}
	return names, err
}

// took notes that a file is part of the configuration.
func (l *loader) took(name string, at span) {
	l.taken[name] = at
	if !slices.Contains(l.config.Files, name) {
		l.config.Files = append(l.config.Files, name)
	}
}

// include reads one file. at is the entry of include: that means it.
func (l *loader) include(name string, at span, open []string) {
	if i := slices.Index(open, name); i >= 0 {
		l.unread = true
		l.add(at, "remove one of the includes", "%s includes itself: %s", name, strings.Join(append(slices.Clone(open[i:]), name), " → "))
		return
	}
	if first, again := l.taken[name]; again {
		l.unread = true
		hint := "it is a file of the folder"
		if first != (span{}) {
			hint = "the first time is at " + l.file.where(first)
		}
		l.add(at, hint, "%s is included twice", name)
		return
	}
	if len(open) > maxIncludeDepth || len(l.taken) >= maxIncluded {
		l.unread = true
		l.add(at, "include these files from the first one", "includes are at most %d deep, and %d files", maxIncludeDepth, maxIncluded)
		return
	}
	l.took(name, at)
	text, err := l.env.ReadFile(name)
	if err != nil {
		l.unread = true
		l.add(at, "paths start in the folder of the file that includes", "include: %s cannot be read: %s", name, cause(err))
		return
	}
	l.append(name, text, open)
}

// append reads a file into the configuration: first what stands in it, then what it includes.
func (l *loader) append(name string, text []byte, open []string) {
	if l.file == nil {
		l.file = newFile(name, text)
	} else {
		l.file.append(name, text)
	}
	n := l.topLevel()
	if n == nil || !l.version(n, false) {
		l.unread = true
		return
	}
	if l.root == nil {
		l.root = &node{kind: mappingKind, yaml: n.yaml, at: n.at}
	}
	l.merge(l.root, n, "")
	l.includes(n, name, open)
}

// united are the sections whose entries come from several files; joined those whose lists do. All others are put
// together key by key.
var (
	united = []string{"sources", "targets", "lookups", "redact"}
	joined = []string{"routes", "tests"}
)

// merge puts the entries of a mapping to those that are known. path is that of the mapping, "" for the file.
func (l *loader) merge(to, from *node, path string) {
	for _, e := range from.entries {
		i := slices.IndexFunc(to.entries, func(known entry) bool { return known.key.text == e.key.text })
		if path == "" && (e.key.text == "include" || i >= 0 && (e.key.text == "version" || strings.HasPrefix(e.key.text, "x-"))) {
			continue
		}
		if i < 0 {
			to.entries = append(to.entries, e)
			continue
		}
		l.mergeEntry(&to.entries[i], e, path)
	}
}

// mergeEntry puts a value to the one that its key has already.
func (l *loader) mergeEntry(to *entry, e entry, path string) {
	inside := strings.TrimPrefix(path+"."+e.key.text, ".")
	section, _, deeper := strings.Cut(inside, ".")
	switch both := func(k kind) bool { return to.value.kind == k && e.value.kind == k }; {
	case e.value.isNull():
	case to.value.isNull():
		*to = e
	case both(listKind) && slices.Contains(joined, inside):
		to.value.items = append(to.value.items, e.value.items...)
	case both(mappingKind) && (!deeper || !slices.Contains(united, section)):
		l.merge(to.value, e.value, inside)
	default:
		l.unread = true
		l.add(e.key.at, "the first is at "+l.file.where(to.key.at), "%s is set in two places", inside)
	}
}
