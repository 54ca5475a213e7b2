// This file writes a configuration to start from, for any source and target type: from the tags of their settings.

package config

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/afterchat/afterchat/connectors"
)

// Starter is a configuration to start from. It passes check when its variables are set.
type Starter struct {
	Text      string
	Variables []Variable
	Hooks     []StarterHook
	Examples  []string // settings that hold an example and need a value of one's own, as target.key
}

// Variable is a variable of the environment that a Starter reads.
type Variable struct {
	Name    string
	Doc     string
	Example string // a value that passes check; "" for a hook's secret, for which any random text does
}

// StarterHook is an address for hooks: Path, a slash, and the value of the variable Secret.
type StarterHook struct {
	Type, Path, Secret string
}

// ErrUnknownType is the error of NewStarter for a type that the program was not built with.
var ErrUnknownType = errors.New("unknown type")

// placeholder is the value of a variable without a better example. Checks of length take it.
const placeholder = "change-me-0123456789"

// NewStarter writes a configuration with one source of each of these types and one target of each of those, named after
// their types. zone is for sources that send times without one.
func NewStarter(known Known, sources, targets []string, zone string) (Starter, error) {
	w := &starterWriter{known: known}
	w.line(0, "# yaml-language-server: $schema=./afterchat.schema.json")
	w.line(0, "# (afterchat schema > afterchat.schema.json makes that file; editors then complete and check while you type)")
	w.line(0, "#")
	w.line(0, "# A setting with # directly before it stands at its default or is an example: remove the # to use it.")
	w.line(0, "version: 1")
	w.line(0, "")
	w.line(0, "sources:")
	for _, name := range sources {
		if err := w.source(name, zone); err != nil {
			return Starter{}, err
		}
	}
	w.line(0, "")
	w.line(0, "targets:")
	for _, name := range targets {
		if err := w.target(name); err != nil {
			return Starter{}, err
		}
	}
	w.routes(targets)
	w.made.Text = w.text.String()
	return w.made, w.prove()
}

// starterWriter writes a Starter.
type starterWriter struct {
	known Known
	text  strings.Builder
	made  Starter
}

func (w *starterWriter) line(indent int, text string) {
	if text != "" {
		w.text.WriteString(strings.Repeat("  ", indent))
	}
	w.text.WriteString(text + "\n")
}

// source writes one source.
func (w *starterWriter) source(name, zone string) error {
	var names []string
	for _, t := range w.known.Sources {
		names = append(names, t.Name)
		if t.Name != name {
			continue
		}
		secret := variableName(name, "secret")
		w.made.Variables = append(w.made.Variables, Variable{Name: secret, Doc: "secret of the hook's address"})
		w.made.Hooks = append(w.made.Hooks, StarterHook{Type: name, Path: "/in/" + name, Secret: secret})
		w.line(1, fmt.Sprintf("%s: # hooks come to /in/%s/<secret>", name, name))
		w.doc(2, t.Doc)
		w.line(2, "type: "+name)
		w.doc(2, "last part of the hook's address: it keeps strangers out")
		w.line(2, "secret: '${env."+secret+"}'")
		if t.NeedsTimeZone {
			w.doc(2, "zone of the times in its hooks, which name none: as set in the chat account")
			w.line(2, "time_zone: "+zone)
		}
		for _, f := range fieldsOf(reflect.TypeFor[Source]()) {
			if slices.Contains([]string{"brand", "expect_every", "allow"}, f.key) {
				w.doc(2, f.doc)
				w.line(2, "#"+f.key+": "+cmp.Or(f.example, starterExamples[f.key]))
			}
		}
		return nil
	}
	text, hint := unknown("source", name, names)
	return fmt.Errorf("%w: %s", ErrUnknownType, strings.TrimSuffix(text+"; "+hint, "; "))
}

// starterExamples are for settings of every source whose tags give none.
var starterExamples = map[string]string{"brand": "acme", "expect_every": "24h"}

// target writes one target.
func (w *starterWriter) target(name string) error {
	var names []string
	for _, t := range w.known.Targets {
		names = append(names, t.Name())
		if t.Name() != name {
			continue
		}
		block := newStarterBlock(t)
		w.line(1, name+":")
		w.doc(2, t.Doc())
		w.line(2, "type: "+name)
		w.text.WriteString(block.text.String())
		w.options(t)
		w.made.Variables = append(w.made.Variables, block.variables...)
		w.made.Examples = append(w.made.Examples, block.examples...)
		return nil
	}
	text, hint := unknown("target", name, names)
	return fmt.Errorf("%w: %s", ErrUnknownType, strings.TrimSuffix(text+"; "+hint, "; "))
}

// options writes the settings that every target has, at their defaults.
func (w *starterWriter) options(t connectors.Type) {
	b := starterBlock{}
	w.line(0, "")
	w.doc(2, "As every target has them:")
	defaults := reflect.ValueOf(TargetDefaults())
	for _, f := range fieldsOf(defaults.Type()) {
		if f.key == "was" || f.key == "on_uncertain" && t.Once(t.Settings()) != connectors.OnceNone {
			continue
		}
		w.doc(2, f.doc)
		w.line(2, "#"+f.key+": "+b.inline(f, defaults.FieldByIndex(f.index)))
	}
}

// routes writes an example of routes and the start of a test, as comments.
func (w *starterWriter) routes(targets []string) {
	w.line(0, "")
	w.doc(0, "Without routes every conversation goes to every target with its default mapping. To choose, use:")
	w.line(0, "#routes:")
	w.line(0, "#  - name: bad rating")
	w.line(0, "#    when: rating <= 2            # an unrated chat never matches")
	w.line(0, "#    to: "+targets[0])
	w.line(0, "#  - name: everything else")
	w.line(0, "#    when: outcome != \"unknown\"")
	w.line(0, "#    to: ["+strings.Join(targets, ", ")+"]")
}

// doc writes a comment of lines that are not too long.
func (w *starterWriter) doc(indent int, text string) {
	for _, line := range wrapped(text, starterWidth-2*indent-2) {
		w.line(indent, "# "+line)
	}
}

const starterWidth = 110

func wrapped(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	if line == "" {
		return lines
	}
	return append(lines, line)
}

// prove loads what was written, so that a type whose declarations do not lead to a working file is an error here.
func (w *starterWriter) prove() error {
	_, err := Parse("afterchat.yaml", []byte(w.made.Text), w.known, Environment{LookupEnv: w.made.lookup, ReadFile: neverReads})
	if err != nil {
		return fmt.Errorf("no file to start from can be made of what the types declare: %w", err)
	}
	return nil
}

// lookup gives the variables values that pass check.
func (s Starter) lookup(name string) (string, bool) {
	for _, v := range s.Variables {
		if v.Name == name {
			return cmp.Or(v.Example, placeholder), true
		}
	}
	return "", false
}

func neverReads(string) ([]byte, error) { return nil, errors.ErrUnsupported }
