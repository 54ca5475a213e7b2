// This file runs the cases in testdata/cases: what a user would write, and what comes of it.

package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/afterchat/afterchat/internal/chat"
)

var update = flag.Bool("update", false, "write what comes of the cases into them")

func testSources() []string { return []string{"shop", "desk"} }

func testTargets(t testing.TB) []Target {
	t.Helper()
	var targets []Target
	readJSON(t, "testdata/targets.json", &targets)
	return targets
}

func testConversation(t testing.TB, overlay []byte) *chat.Conversation {
	t.Helper()
	c := &chat.Conversation{}
	readJSON(t, "testdata/conversation.json", c)
	if len(overlay) > 0 {
		if bytes.Contains(overlay, []byte(`"messages"`)) {
			c.Messages = nil
		}
		if err := decodeJSON(overlay, c); err != nil {
			t.Fatalf("conversation.json: %v", err)
		}
	}
	c.Normalize()
	return c
}

// testDefinition reads a definition. Default mappings that it does not have are those of testdata/defaults.json.
func testDefinition(t testing.TB, data []byte) Definition {
	t.Helper()
	d, err := parseDefinition(data)
	if err != nil {
		t.Fatalf("definition.json: %v", err)
	}
	if !bytes.Contains(data, []byte(`"routes"`)) {
		d.Routes = nil
	}
	var defaults map[string]Mapping
	readJSON(t, "testdata/defaults.json", &defaults)
	for name, m := range defaults {
		if !has(d.Defaults, name) {
			d.Defaults[name] = m
		}
	}
	return d
}

func readJSON(t testing.TB, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := decodeJSON(data, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func decodeJSON(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	d.DisallowUnknownFields()
	return d.Decode(into)
}

// TestCases compiles each definition.json and compares its problems with problems.txt, or explains conversation.json
// (laid over testdata/conversation.json) and compares with want.json.
func TestCases(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/cases/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			in := map[string][]byte{}
			for _, f := range archive.Files {
				in[f.Name] = f.Data
			}
			name, got := runCase(t, in)
			if *update {
				writeCase(t, file, archive, name, got)
				return
			}
			if diff := cmp.Diff(string(in[name]), string(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		})
	}
}

func runCase(t *testing.T, in map[string][]byte) (name string, got []byte) {
	t.Helper()
	d := testDefinition(t, in["definition.json"])
	p, problems := Compile(d, testTargets(t), testSources())
	if len(problems) > 0 {
		var b bytes.Buffer
		for _, problem := range problems {
			fmt.Fprintf(&b, "%s:%d: %s\n", problem.Path.dotted(), problem.Offset, problem.Text)
			if problem.Hint != "" {
				fmt.Fprintf(&b, "    %s\n", problem.Hint)
			}
		}
		return "problems.txt", b.Bytes()
	}
	c := testConversation(t, in["conversation.json"])
	before := encoded(t, c)
	explanation := p.Explain(c)
	if diff := cmp.Diff(before, encoded(t, c)); diff != "" {
		t.Errorf("Explain changed the conversation:\n%s", diff)
	}
	sameAsExplained(t, p, c, explanation)
	reopened(t, p, c, explanation)
	return "want.json", []byte(encoded(t, explanation) + "\n")
}

// sameAsExplained checks that Route and Map do what Explain says.
func sameAsExplained(t *testing.T, p *Pipeline, c *chat.Conversation, e Explanation) {
	t.Helper()
	matches, err := p.Route(c)
	if err != nil {
		if _, ok := errors.AsType[*RouteError](err); !ok {
			t.Errorf("Route gave a %T", err)
		}
		return
	}
	if len(matches) != len(e.Targets) {
		t.Fatalf("Route gives %v, Explain %v", matches, e.Targets)
	}
	for i, m := range matches {
		if !p.Has(m.Target, m.Routes) {
			t.Errorf("Has(%s, %v) is false", m.Target, m.Routes)
		}
		rendered, err := p.Map(c, m.Target, m.Routes)
		want := e.Targets[i]
		if err != nil {
			var failed *MappingError
			if !errors.As(err, &failed) || failed.Target != m.Target {
				t.Errorf("Map gave %#v", err)
			}
			if err.Error() != want.Error {
				t.Errorf("Map gave %q, Explain %q", err, want.Error)
			}
			continue
		}
		if diff := cmp.Diff(encoded(t, want.Fields), encoded(t, rendered.Fields)); diff != "" {
			t.Errorf("Map and Explain differ:\n%s", diff)
		}
	}
}

// reopened checks that a snapshot renders the same bytes.
func reopened(t *testing.T, p *Pipeline, c *chat.Conversation, e Explanation) {
	t.Helper()
	again, err := Open(p.Snapshot(), testTargets(t))
	if err != nil {
		t.Fatal(err)
	}
	if again.Hash() != p.Hash() {
		t.Error("the hash of an opened snapshot differs")
	}
	if diff := cmp.Diff(encoded(t, e), encoded(t, again.Explain(c))); diff != "" {
		t.Errorf("the snapshot renders otherwise:\n%s", diff)
	}
}

func encoded(t testing.TB, v any) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func writeCase(t *testing.T, file string, archive *txtar.Archive, name string, got []byte) {
	t.Helper()
	kept := archive.Files[:0]
	for _, f := range archive.Files {
		if f.Name != "want.json" && f.Name != "problems.txt" {
			kept = append(kept, f)
		}
	}
	archive.Files = append(kept, txtar.File{Name: name, Data: got})
	if err := os.WriteFile(file, txtar.Format(archive), 0o600); err != nil {
		t.Fatal(err)
	}
}
