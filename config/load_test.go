package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/jsonschema-go/jsonschema"
	"gopkg.in/yaml.v3"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/config/secret"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/pipeline"
)

// smallest is the smallest useful file.
const smallest = `version: 1
sources: {shop: {type: smartsupp, secret: '${env.SHOP_SECRET}'}}
targets: {log: {type: file, path: out.jsonl}}
`

func load(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("dir/afterchat.yaml", []byte(text), known(), environment())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSmallestFileHasTheDefaults(t *testing.T) {
	t.Parallel()
	c := load(t, smallest)
	want := config.Defaults()
	for _, diff := range []string{
		cmp.Diff(want.Server, c.Server), cmp.Diff(want.Admin, c.Admin, cmpopts.EquateComparable(secret.String{})), cmp.Diff(want.Ledger, c.Ledger),
		cmp.Diff(want.Log, c.Log), cmp.Diff(want.Transcript, c.Transcript),
		cmp.Diff(config.TargetDefaults(), c.Targets[0].TargetOptions),
		cmp.Diff("/in/shop", c.Sources[0].Path), cmp.Diff("dir/afterchat.db", c.LedgerFile()), cmp.Diff("dir", c.Folder),
	} {
		if diff != "" {
			t.Error(diff)
		}
	}
}

func TestDesignFileIsReadInFull(t *testing.T) {
	t.Parallel()
	c, err := config.Load("testdata/good/design.yaml", known(), environment())
	if err != nil {
		t.Fatal(err)
	}
	got := c.Definition
	want := pipeline.Definition{
		Routes: []pipeline.Route{
			{Name: "bad rating", When: "rating <= 2", To: []pipeline.RouteTarget{{
				Target: "slack", Fields: pipeline.Mapping{{Key: "body", Value: pipeline.Mapping{
					{Key: "text", Value: `:warning: ${brand}: ${rating}/5 from ${coalesce(visitor.name, "a visitor")}`},
				}}},
			}}},
			{Name: "everything", To: []pipeline.RouteTarget{
				{Target: "help", Redact: []string{"cards"}, Fields: pipeline.Mapping{
					{Key: "subject", Value: `${outcome} chat with ${coalesce(visitor.name, visitor.email, "a visitor") | truncate(60)}`},
					{Key: "tags", Value: []any{"chat", "${source}", "${brand}"}},
					{Key: "custom_fields", Value: pipeline.Mapping{
						{Key: "22001", Value: "${rating}"}, {Key: "22002", Value: "${first_response_seconds}"},
					}},
				}},
				{Target: "log"},
			}},
			{
				Name: "missed and offline", From: []string{"shop"}, Hold: 5 * time.Minute,
				When: `outcome in ["missed", "offline"] and visitor.email != ""`,
				To:   []pipeline.RouteTarget{{Target: "help", Fields: pipeline.Mapping{{Key: "priority", Value: "high"}}}},
			},
		},
		Lookups:  map[string]map[string]any{"brand_id": {"acme": int64(360001234567), "globo": int64(360007654321)}},
		Redact:   map[string]pipeline.Redaction{"cards": {Find: []pipeline.Find{{Name: "card"}, {Name: "iban"}}, Replace: "[removed]"}},
		TimeZone: "Europe/Prague", Language: "en",
		Defaults: map[string]pipeline.Tree{
			"help": pipeline.Mapping{
				{Key: "subject", Value: "${outcome} chat"}, {Key: "comment", Value: "${transcript.html}"},
			},
			"slack": pipeline.Mapping{{Key: "body", Value: "${conversation}"}},
			"log":   pipeline.Mapping{{Key: "line", Value: "${conversation}"}},
		},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("definition (-want +got):\n%s", diff)
	}
	help := c.Targets[0].Settings.(*deskSettings)
	if got := help.OAuth.ClientSecret.Reveal(); got != "desk-canary-secret-0123" {
		t.Errorf("the file's line feed is not trimmed: %q", got)
	}
	if diff := cmp.Diff(config.Rate{Count: 400, Per: time.Minute}, c.Targets[0].Rate); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{filepath.Join("testdata", "good", "desk.secret")}, c.Files); diff != "" {
		t.Error(diff)
	}
	wantTests := []config.Test{{
		Name: "missed chat becomes an urgent ticket", Source: "shop", Sample: "samples/missed.json",
		Expect: config.Expect{Routes: []string{"everything", "missed and offline"}, Fields: map[string]any{"help.priority": "high"}},
	}}
	if diff := cmp.Diff(wantTests, c.Tests); diff != "" {
		t.Error(diff)
	}
}

func TestScalarsKeepTheirText(t *testing.T) {
	t.Parallel()
	c := load(t, `version: 1
sources: {shop: {type: smartsupp, secret: '${env.SHOP_SECRET}', brand: 0123}}
targets:
  help: {type: desk, subdomain: 007, token: '${env.API_TOKEN}', brands: {a: 12}, limit: '${env.WORKERS}'}
routes:
  - to:
      help:
        phone: +420777123456
        priority: null
        tags: [0123, true, ~]
        score: 1.5
        custom_fields: {22001: 5, b: true, c: null, d: 3.10, e: 12345678901234567890, f: 2026-01-02, 0x10: 'x'}
`)
	want := pipeline.Mapping{
		{Key: "phone", Value: "+420777123456"},
		{Key: "priority", Value: nil},
		{Key: "tags", Value: []any{"0123", "true", nil}},
		{Key: "score", Value: 1.5},
		{Key: "custom_fields", Value: pipeline.Mapping{
			{Key: "22001", Value: int64(5)},
			{Key: "b", Value: true},
			{Key: "c", Value: nil},
			{Key: "d", Value: json.Number("3.10")},
			{Key: "e", Value: json.Number("12345678901234567890")},
			{Key: "f", Value: "2026-01-02"},
			{Key: "0x10", Value: "x"},
		}},
	}
	if diff := cmp.Diff(want, c.Definition.Routes[0].To[0].Fields); diff != "" {
		t.Error(diff)
	}
	if got := c.Sources[0].Brand; got != "0123" {
		t.Errorf("brand %q", got)
	}
	if s := c.Targets[0].Settings.(*deskSettings); s.Subdomain != "007" || s.Limit != 7 || s.Brands["a"] != 12 {
		t.Errorf("settings %+v", s)
	}
}

func TestSubstitutionHappensOnceAndAfterParsing(t *testing.T) {
	t.Parallel()
	c := load(t, `version: 1
sources: {shop: {type: smartsupp, secret: '${env.NESTED}-0123456789', basic: {user: '${env.INJECT}', password: '$${env.EMPTY}'}}}
targets: {log: {type: file, path: '${env.UNSET_NAME ?? "fallback.jsonl"}'}}
`)
	if got := c.Sources[0].Secret[0].Reveal(); got != "${env.SHOP_SECRET}-0123456789" {
		t.Errorf("a variable's value was read as an expression: %q", got)
	}
	if got := c.Sources[0].Basic.User; got != "x\ntype: file" {
		t.Errorf("a variable's value was read as YAML: %q", got)
	}
	if got := c.Sources[0].Basic.Password.Reveal(); got != "${env.EMPTY}" {
		t.Errorf("$${ is no literal: %q", got)
	}
}

func TestAnchorsAndMergeKeys(t *testing.T) {
	t.Parallel()
	c := load(t, `version: 1
x-common: &common {type: file, workers: 2, rate: 10/s}
sources: {shop: {type: smartsupp, secret: &s '${env.SHOP_SECRET}'}, two: {type: smartsupp, secret: *s}}
targets:
  a: {<<: *common, path: a.jsonl}
  b: {path: b.jsonl, <<: [*common, {timeout: 5s, rate: 1/s}], workers: 3}
`)
	if a := c.Targets[0]; a.Workers != 2 || a.Rate.Count != 10 || a.Timeout != 30*time.Second {
		t.Errorf("a: %+v", a.TargetOptions)
	}
	if b := c.Targets[1]; b.Workers != 3 || b.Rate.Count != 10 || b.Timeout != 5*time.Second {
		t.Errorf("b: %+v", b.TargetOptions)
	}
	if c.Sources[1].Secret[0].Reveal() != c.Sources[0].Secret[0].Reveal() {
		t.Error("alias of a scalar")
	}
}

func TestAccountChangesWithSettingsOnly(t *testing.T) {
	t.Parallel()
	account := func(target string) string {
		return load(t, strings.Replace(smallest, "log: {type: file, path: out.jsonl}", target, 1)).Targets[0].Account
	}
	base := account(`help: {type: desk, subdomain: acme, token: one}`)
	for target, same := range map[string]bool{
		`other: {type: desk, subdomain: acme, token: one, workers: 9}`:           true,
		`help: {type: desk, subdomain: acme, token: two}`:                        false,
		`help: {type: desk, subdomain: acm, token: one}`:                         false,
		`help: {type: desk, subdomain: acme, headers: {token: one}, token: one}`: false,
	} {
		if got := account(target) == base; got != same {
			t.Errorf("%s: same account %t, want %t", target, got, same)
		}
	}
	if strings.Contains(base, "one") || len(base) != 64 {
		t.Errorf("account %q", base)
	}
}

// TestHashChangesWithEverything: secrets and paths of targets, too, but not with comments.
func TestHashChangesWithEverything(t *testing.T) {
	t.Parallel()
	const text = `version: 1
admin: {tokens: {name: ci, token: 0123456789abcdef, role: admin}}
ledger: {url: "postgres://chat:canary-one@db.example.com/chat"}
sources: {shop: {type: smartsupp, secret: 0123456789abcdef}}
targets: {log: {type: file, path: out.jsonl}}
routes: [{to: log}]
`
	base := load(t, text).Hash()
	if len(base) != 64 || load(t, "# why\n"+text).Hash() != base {
		t.Errorf("%q is not that of the same configuration with a comment", base)
	}
	seen := map[string]string{base: "the configuration"}
	for _, c := range [][2]string{
		{"out.jsonl", "other.jsonl"},
		{"secret: 0123", "secret: 1123"},
		{"token: 0123", "token: 1123"},
		{"canary-one", "canary-two"},
		{"admin:", "server: {max_body: 1MiB}\nadmin:"},
		{"log: {", "log: {workers: 9, "},
		{"log: {", "log: {was: old, "},
		{"[{to: log}]", "[{to: log, final: true}]"},
		{"role: admin", "role: viewer"},
	} {
		hash := load(t, strings.Replace(text, c[0], c[1], 1)).Hash()
		if before, found := seen[hash]; found {
			t.Errorf("%s has the hash of %s", c[1], before)
		}
		seen[hash] = c[1]
	}
}

func TestMissingFileIsNoProblem(t *testing.T) {
	t.Parallel()
	if _, err := config.Load("testdata/none.yaml", known(), environment()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestHugeFileIsRefused(t *testing.T) {
	t.Parallel()
	text := smallest + "# " + strings.Repeat("x", 4<<20)
	_, err := config.Parse("a.yaml", []byte(text), known(), environment())
	if err == nil || !strings.Contains(err.Error(), "larger than 4 MiB") {
		t.Errorf("got %v", err)
	}
}

func TestFormats(t *testing.T) {
	t.Parallel()
	p := config.Problems{{Severity: config.Mistake, File: "a,b:c.yaml", Line: 2, Column: 3, Text: "50% wrong", Hint: "right", Source: "\tx: y", Width: 1}}
	for format, want := range map[string]string{
		"text":   "a,b:c.yaml:2:3: 50% wrong\n    \tx: y\n    ^\n    hint: right\n",
		"github": "::error file=a%2Cb%3Ac.yaml,line=2,col=3,endColumn=4::50%25 wrong%0Ahint: right\n",
		"json": `[
  {
    "severity": "error",
    "file": "a,b:c.yaml",
    "line": 2,
    "column": 3,
    "text": "50% wrong",
    "hint": "right",
    "source": "\tx: y",
    "width": 1
  }
]
`,
	} {
		var b bytes.Buffer
		if err := p.Write(&b, format); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, b.String()); diff != "" {
			t.Errorf("%s: %s", format, diff)
		}
	}
	if err := p.Write(&bytes.Buffer{}, "xml"); !errors.Is(err, config.ErrFormat) {
		t.Errorf("got %v", err)
	}
	var b bytes.Buffer
	if err := config.Problems(nil).Write(&b, "json"); err != nil || b.String() != "[]\n" {
		t.Errorf("no problems: %q, %v", b.String(), err)
	}
}

// TestLanguagesAreThoseOfTranscripts holds the schema and package chat together, which do not import each other.
func TestLanguagesAreThoseOfTranscripts(t *testing.T) {
	t.Parallel()
	for _, language := range chat.Languages() {
		load(t, smallest+"transcript: {language: "+language+"}\n")
	}
}

func TestWriteMaskedLoadsAgainAndShowsNoSecret(t *testing.T) {
	t.Parallel()
	for _, name := range examples(t) {
		c, err := config.Load(name, shipped(), environment())
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := c.WriteMasked(&out); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), canary) {
			t.Errorf("%s: a secret is shown:\n%s", name, out.String())
		}
		// With something in place of the secrets it is the same configuration.
		var text strings.Builder
		n := 0
		for line := range strings.Lines(out.String()) {
			n++
			stand := fmt.Sprintf("https://example.com/0123456789/%d", n)
			switch line := strings.TrimSpace(line); {
			case strings.HasPrefix(line, "secret: ["):
				stand = "0123456789abcdef"
			case strings.HasPrefix(line, "password: ") && n < 20: // of the admin listener
				stand = "'$argon2id$v=19$m=65536,t=2,p=4$c29tZXNhbHQ$GpZ3sK/oH9p7VIiV56G/64Zo/8GaUw434IimaPqxwCo'"
			}
			line = strings.ReplaceAll(line, "'"+secret.Mask+"'", secret.Mask)
			line = strings.Replace(line, secret.Mask, stand, 1)
			text.WriteString(strings.ReplaceAll(line, secret.Mask, stand+"0")) // two secrets differ
		}
		again, err := config.Parse(name, []byte(text.String()), shipped(), environment())
		if err != nil {
			t.Errorf("%s does not load again: %v\n%s", name, err, text.String())
			continue
		}
		ignore := cmpopts.IgnoreFields(pipeline.Definition{}, "Defaults")
		if diff := cmp.Diff(c.Definition, again.Definition, ignore, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if diff := cmp.Diff(c.Server, again.Server, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		readRoutesBack(t, name, c)
	}
}

// readRoutesBack: what the playground is given to edit is what is in force.
func readRoutesBack(t *testing.T, name string, c *config.Config) {
	t.Helper()
	routes, err := c.RoutesText()
	if err != nil {
		t.Fatal(err)
	}
	if routes == "" {
		return
	}
	again, err := c.WithRoutes([]byte(routes))
	if err != nil {
		t.Errorf("%s: %v\n%s", name, err, routes)
	} else if c.Alerts.To == nil && again.Pipeline.Hash() != c.Pipeline.Hash() {
		t.Errorf("%s: other routes than in the file:\n%s", name, routes)
	}
}

// instance reads YAML as JSON Schema sees it.
func instance(t *testing.T, text []byte) (any, bool) {
	t.Helper()
	var v any
	if err := yaml.NewDecoder(bytes.NewReader(text)).Decode(&v); err != nil {
		return nil, false
	}
	return jsonKeys(v), true
}

// jsonKeys makes every key text.
func jsonKeys(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = jsonKeys(v[k])
		}
		return v
	case map[any]any:
		out := make(map[string]any, len(v))
		for k := range v {
			out[fmt.Sprint(k)] = jsonKeys(v[k])
		}
		return out
	case []any:
		for i := range v {
			v[i] = jsonKeys(v[i])
		}
	case time.Time:
		return v.Format(time.DateOnly)
	}
	return v
}

func schema(t *testing.T, known config.Known) *jsonschema.Resolved {
	t.Helper()
	text, err := config.Schema(known)
	if err != nil {
		t.Fatal(err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	r, err := s.Resolve(&jsonschema.ResolveOptions{ValidateDefaults: true})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestGoodFilesFitTheSchema(t *testing.T) {
	t.Parallel()
	r := schema(t, shipped())
	for _, name := range examples(t) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		v, ok := instance(t, text)
		if !ok {
			t.Fatalf("%s is no YAML", name)
		}
		if err := r.Validate(v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestIncludedFilesFitTheSchema: a part of a configuration fits all of the schema but what the whole must have.
func TestIncludedFilesFitTheSchema(t *testing.T) {
	t.Parallel()
	text, err := config.Schema(known())
	if err != nil {
		t.Fatal(err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	s.Required, s.AnyOf = nil, nil
	r, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(files(t, "examples/split/*.yaml"), files(t, "examples/split/*/*.yaml")...) {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if v, ok := instance(t, text); !ok || r.Validate(v) != nil {
			t.Errorf("%s: %v", name, r.Validate(v))
		}
	}
}

// TestBadFilesAndTheSchema keeps a list of the bad files that only check can find, and why; all others an editor shows
// too. What the schema finds by now is left out by -update, nothing is added.
func TestBadFilesAndTheSchema(t *testing.T) {
	t.Parallel()
	r := schema(t, known())
	var passed []string
	for _, name := range files(t, "testdata/bad/*.yaml") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if v, ok := instance(t, text); ok && r.Validate(v) == nil {
			passed = append(passed, strings.TrimSuffix(filepath.Base(name), ".yaml"))
		}
	}
	list, err := os.ReadFile("testdata/not-in-schema.txt")
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for line := range strings.Lines(string(list)) {
		name, reason, _ := strings.Cut(line, " ")
		if strings.TrimSpace(reason) == "" {
			t.Errorf("%s has no reason", name)
		}
		if i := slices.Index(passed, name); i >= 0 {
			passed = slices.Delete(passed, i, i+1)
			kept = append(kept, line)
		}
	}
	for _, name := range passed {
		t.Errorf("an editor does not show what is wrong with %s: let the schema say it, or write it and the reason into testdata/not-in-schema.txt", name)
	}
	golden(t, "testdata/not-in-schema.txt", strings.Join(kept, ""))
}

func TestSchemaIsGolden(t *testing.T) {
	t.Parallel()
	text, err := config.Schema(config.Known{Targets: []connectors.Type{deskType()}, Sources: known().Sources})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/schema.json", string(text)+"\n")
}

func TestSchemaRefusesCollidingSettings(t *testing.T) {
	t.Parallel()
	type settings struct {
		Rate string `yaml:"rate" doc:"a rate"`
	}
	bad := connectors.Define("bad", connectors.Definition[settings]{
		Doc: "x", Fields: func(settings) []connectors.Field { return nil },
		Once: func(settings) connectors.Once { return connectors.OnceNone },
		New:  func(settings, connectors.Env) (connectors.Connector, error) { return nil, errors.ErrUnsupported },
	})
	if _, err := config.Schema(config.Known{Targets: []connectors.Type{bad}}); err == nil {
		t.Error("no error")
	}
}

func TestDescribeIsGolden(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := config.Describe(&b, deskType()); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/describe.txt", b.String())
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/good/*.yaml", "testdata/bad/*.yaml", "testdata/include/*/*.yaml", "examples/*.yaml"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	env := environment()
	env.ReadFile = func(path string) ([]byte, error) {
		if filepath.Ext(path) == ".yaml" { // included: what stands in it may be shown
			return []byte(smallest), nil
		}
		return []byte("file-canary-0123456789"), nil
	}
	env.Glob = func(pattern string) ([]string, error) { return []string{pattern + ".yaml", "b.yaml"}, nil }
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := config.Parse("a.yaml", text, known(), env)
		if (c == nil) == (err == nil) {
			t.Fatalf("config %v, error %v", c, err)
		}
		problems, _ := errors.AsType[config.Problems](err)
		if !bytes.Contains(text, []byte(canary)) && strings.Contains(problems.Error(), canary) {
			t.Fatalf("a variable's value is shown:\n%s", problems.Error())
		}
		for _, p := range problems {
			if p.Line < 1 || p.Column < 1 || p.Width < 1 || p.Text == "" {
				t.Fatalf("problem without a place: %+v", p)
			}
		}
		if err := problems.Write(&bytes.Buffer{}, "text"); err != nil {
			t.Fatal(err)
		}
	})
}

// TestReadmeBlocksLoad loads every YAML block of README.md. A block that is a part of a file gets the rest from here.
func TestReadmeBlocksLoad(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	env := environment()
	env.LookupEnv = func(name string) (string, bool) {
		if strings.HasSuffix(name, "HASH") {
			return "$argon2id$v=19$m=65536,t=2,p=4$c29tZXNhbHQ$GpZ3sK/oH9p7VIiV56G/64Zo/8GaUw434IimaPqxwCo", true
		}
		return "canary-0123456789-" + name, name != "BRAND"
	}
	env.Glob = func(pattern string) ([]string, error) {
		return []string{strings.ReplaceAll(pattern, "*", "a") + ".yaml"}, nil
	}
	read := env.ReadFile
	env.ReadFile = func(path string) ([]byte, error) {
		if filepath.Ext(path) == ".yaml" {
			return []byte("x-part: 1\n"), nil
		}
		return read(path)
	}
	rest := []struct{ key, text string }{
		{"version:", "version: 1\n"},
		{"sources:", "sources: {shop: {type: smartsupp, secret: '${env.SHOP_SECRET}'}}\n"},
		{"targets:", "targets: {help: {type: http, url: 'https://help.example.com'}, log: {type: file, path: out.jsonl}}\n"},
	}
	blocks := 0
	for part := range strings.SplitSeq(string(text), "\n```yaml\n") {
		if blocks++; blocks == 1 {
			continue
		}
		block, _, _ := strings.Cut(part, "\n```")
		whole := block + "\n"
		for _, r := range rest {
			if !strings.Contains("\n"+block, "\n"+r.key) {
				whole += r.text
			}
		}
		if _, err := config.Parse("README.md", []byte(whole), known(), env); err != nil {
			t.Errorf("block %d: %v\n%s", blocks-1, err, whole)
		}
	}
	if blocks < 7 {
		t.Errorf("only %d blocks", blocks-1)
	}
}
