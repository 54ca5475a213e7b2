// This file runs the tables in testdata: each line is an expression and, after =>, what comes of it. Run the tests with
// -update to write what comes of it now.

package rule

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/internal/chat"
)

var update = flag.Bool("update", false, "write golden files")

var testScope = Scope{Lookups: map[string]map[string]any{
	"brand_id": {"acme": 360001234567, "globo": 360007654321},
	"team":     {"2": "red", "true": "yes"},
	"mixed":    {"a": 1, "b": "x"},
}}

func load(t testing.TB, name string) *chat.Conversation {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	d.DisallowUnknownFields()
	c := &chat.Conversation{}
	if err := d.Decode(c); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return c
}

// runTable runs every line of a file. A line `conversation: name` chooses the conversation for those below.
func runTable(t *testing.T, file string, eval func(src string, c *chat.Conversation) string) {
	t.Helper()
	path := filepath.Join("testdata", file)
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c := load(t, "sample")
	var out strings.Builder
	for line := range strings.Lines(string(body)) {
		line = strings.TrimSuffix(line, "\n")
		name, chosen := strings.CutPrefix(line, "conversation: ")
		switch {
		case chosen:
			c = load(t, name)
			fallthrough
		case line == "" || strings.HasPrefix(line, "# "):
			out.WriteString(line + "\n")
			continue
		}
		src, _, _ := strings.Cut(line, " =>")
		fmt.Fprintf(&out, "%s => %s\n", src, eval(strings.TrimRight(src, " "), c))
	}
	if *update {
		if err := os.WriteFile(path, []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(body), out.String()); diff != "" {
		t.Errorf("%s (-file +now):\n%s", file, diff)
	}
}

func list(problems []Problem) string {
	var out []string
	for _, p := range problems {
		out = append(out, fmt.Sprintf("error %d+%d: %s", p.Offset, p.Length, p))
	}
	return strings.Join(out, " | ")
}

func evalExpression(src string, c *chat.Conversation) string {
	p, _, problems := compile(src, testScope)
	if problems != nil {
		return list(problems)
	}
	r := newRun(c)
	v := r.export(r.exec(p))
	switch {
	case r.over:
		return ErrTooCostly.Error()
	case v == nil:
		return "absent"
	}
	if _, ok := v.(chat.HTML); ok {
		return "html " + string(jsonOf(v))
	}
	return string(jsonOf(v))
}

func TestExpressions(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"expressions.txt", "absent.txt", "functions.txt", "errors.txt"} {
		runTable(t, file, evalExpression)
	}
}

func TestConditions(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"conditions.txt", "plain_expr.txt"} {
		runTable(t, file, matchCondition)
	}
}

func matchCondition(src string, c *chat.Conversation) string {
	condition, problems := CompileCondition(src, testScope)
	if problems != nil {
		return list(problems)
	}
	ok, err := condition.Match(c)
	if err != nil {
		return err.Error()
	}
	if ok {
		return "match"
	}
	return "no match"
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	runTable(t, "templates.txt", func(src string, c *chat.Conversation) string {
		tmpl, problems := CompileTemplate(src, testScope)
		if problems != nil {
			return list(problems)
		}
		v, err := tmpl.Render(c)
		if err != nil {
			return err.Error()
		}
		out := string(tmpl.Kind())
		if tmpl.MayBeAbsent() {
			out += "?"
		}
		if v.Absent {
			return out + " absent"
		}
		return out + " " + string(jsonOf(v.V))
	})
}

func TestTemplatesHTML(t *testing.T) {
	t.Parallel()
	runTable(t, "html.txt", func(src string, c *chat.Conversation) string {
		tmpl, problems := CompileTemplate(src, testScope)
		if problems != nil {
			return list(problems)
		}
		v, err := tmpl.RenderHTML(c)
		if err != nil {
			return err.Error()
		}
		if v.Absent {
			return "absent"
		}
		return fmt.Sprintf("%T %s", v.V, strings.ReplaceAll(string(v.V.(chat.HTML)), "\n", "⏎"))
	})
}

func TestExplain(t *testing.T) {
	t.Parallel()
	runTable(t, "explain.txt", func(src string, c *chat.Conversation) string {
		condition, problems := CompileCondition(src, testScope)
		if problems != nil {
			return list(problems)
		}
		return explained(condition.Explain(c))
	})
}

// explained writes a term on one line; a star marks what decides.
func explained(t Term) string {
	if t.Of != "" {
		var terms []string
		for _, inner := range t.Terms {
			terms = append(terms, explained(inner))
		}
		return fmt.Sprintf("%s of (%s) %s", t.Of, strings.Join(terms, ", "), t.Value)
	}
	s := fmt.Sprintf("[%s] %s", t.Source, t.Value)
	if t.Decides {
		s += "*"
	}
	for _, in := range t.Inputs {
		s += fmt.Sprintf(" {%s = %s}", in.Name, in.Value)
	}
	return s
}

func TestSettings(t *testing.T) {
	t.Parallel()
	environment := map[string]string{"TOKEN": "s3cret", "EMPTY": "", "TRICKY": "${env.TOKEN}"}
	files := map[string]string{"/run/secrets/a": "one\n", "/run/secrets/b": "two\n\n", "s3cret": "by name\r\n"}
	settings := Settings{
		Env: func(name string) (string, bool) { v, ok := environment[name]; return v, ok },
		File: func(path string) (string, error) {
			if text, ok := files[path]; ok {
				return text, nil
			}
			return "", fmt.Errorf("open %s: %w", path, os.ErrNotExist)
		},
	}
	runTable(t, "settings.txt", func(src string, _ *chat.Conversation) string {
		text, problems := ExpandSetting(src, settings)
		if problems != nil {
			return list(problems)
		}
		return fmt.Sprintf("%q", text)
	})
}

func TestExamples(t *testing.T) {
	t.Parallel()
	c := load(t, "sample")
	for _, f := range Functions() {
		tmpl, problems := CompileTemplate("${"+f.Example.Expr+"}", testScope)
		if problems != nil {
			t.Errorf("%s: %s", f.Name, list(problems))
			continue
		}
		v, err := tmpl.Render(c)
		if err != nil || FormatValue(v.V) != f.Example.Result {
			t.Errorf("%s: %s = %q (%v), documented as %q", f.Name, f.Example.Expr, FormatValue(v.V), err, f.Example.Result)
		}
		if !strings.HasPrefix(f.Signature, f.Name+"(") || f.Doc == "" {
			t.Errorf("%s: signature %q, doc %q", f.Name, f.Signature, f.Doc)
		}
	}
}

func TestComposes(t *testing.T) {
	t.Parallel()
	for src, want := range map[string]bool{
		"":                 false,
		"text":             false,
		"${visitor.email}": false,
		"${coalesce(visitor.name, visitor.email, \"x\")}":                  false,
		"${rating <= 2 ? visitor.email : visitor.phone}":                   false,
		"${lower(visitor.email)}":                                          false,
		"${string(visitor.phone)}":                                         false,
		"${len(messages) + 1}":                                             false,
		"${sha256(visitor.email + brand)}":                                 false,
		"${conversation}":                                                  false,
		" ${visitor.email}":                                                true,
		"${visitor.email}${visitor.ip}":                                    true,
		"${\"to \" + visitor.email}":                                       true,
		"${lower(\"to \" + visitor.email)}":                                true,
		"${visitor.email + sha256(\"x\")}":                                 true,
		"${visitor[\"email\"] + visitor[\"ip\"]}":                          true,
		"${join([visitor.email], \"\")}":                                   true,
		"${replace(\"X\", \"X\", visitor.email)}":                          true,
		"${string(visitor)}":                                               true,
		"${let m = visitor.email; upper(\"to \" + m)}":                     true,
		"${any(messages, .text == visitor.email + \"!\") ? \"a\" : \"b\"}": true,
	} {
		compiled, problems := CompileTemplate(src, Scope{})
		if len(problems) > 0 {
			t.Errorf("%s: %v", src, problems)
			continue
		}
		if got := compiled.Composes(); got != want {
			t.Errorf("Composes of %q is %t, want %t", src, got, want)
		}
	}
}
