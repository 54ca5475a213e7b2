// This file loads and renders every configuration that stands in the documentation: examples, files of deploy, and the
// YAML blocks of every README.

package cmd_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/connectors/builtin"
	"github.com/afterchat/afterchat/internal/gateway"
)

// document is one configuration of the documentation.
type document struct {
	name string // path:line
	text string
}

// TestConfigurationsOfTheDocumentation: what somebody copies from the documentation passes check and renders hooks of
// both platforms. A block that is a part of a configuration is completed.
func TestConfigurationsOfTheDocumentation(t *testing.T) {
	t.Parallel()
	hooks := sampleHooks(t)
	var whole, parts, runs int
	for _, d := range documentedConfigurations(t) {
		cfg, completed, err := loadDocument(d)
		if err != nil {
			t.Errorf("%s: %v\nIf it is not meant to be a configuration, write %s in the line before it:\n%s", d.name, err, notAConfiguration, d.text)
			continue
		}
		if completed {
			parts++
		} else {
			whole++
		}
		runs += renderAll(t, d.name, cfg, hooks)
		runTests(t, d.name, cfg)
	}
	if whole < 10 || parts < 10 || runs < 200 {
		t.Errorf("only %d whole configurations, %d parts and %d renderings: the documentation is not found", whole, parts, runs)
	}
	t.Logf("%d whole configurations and %d parts loaded, %d requests rendered", whole, parts, runs)
}

// loadDocument loads a configuration, completed if it is a part.
func loadDocument(d document) (cfg *config.Config, completed bool, err error) {
	known := config.Known{Targets: builtin.Types(), Sources: gateway.SourceTypes()}
	path, _, _ := strings.Cut(d.name, ":")
	path = filepath.Join(filepath.Dir(path), "afterchat.yaml")
	if strings.Contains(d.text, "version: 1\n") {
		cfg, err = config.Parse(path, []byte(d.text), known, documentationEnvironment())
		return cfg, false, err
	}
	for _, helpDesk := range helpDesks {
		var text string
		if text, err = complete(d.text, helpDesk); err != nil {
			return nil, true, err
		}
		if cfg, err = config.Parse(path, []byte(text), known, documentationEnvironment()); err == nil {
			return cfg, true, nil
		}
	}
	return nil, true, err
}

// notAConfiguration marks a YAML block that nothing loads.
const notAConfiguration = "<!-- not a configuration -->"

var yamlBlock = regexp.MustCompile("(?ms)^```ya?ml\n(.*?)^```")

// documentedConfigurations reads all files of the module, tests' data aside.
func documentedConfigurations(t *testing.T) []document {
	t.Helper()
	var out []document
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata" || d.Name() == "build") {
			return filepath.SkipDir
		}
		if d.IsDir() || (filepath.Ext(path) != ".md" && filepath.Ext(path) != ".yaml") {
			return nil
		}
		read, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text := string(read)
		switch {
		case filepath.Ext(path) == ".md":
			found, marked := blocks(path, text)
			if all := strings.Count(text, "```y"); all != len(found)+marked {
				t.Errorf("%s has %d YAML blocks, of which %d are read: begin each at the beginning of a line", path, all, len(found)+marked)
			}
			out = append(out, found...)
		case filepath.Dir(path) == filepath.Join("..", "config", "examples"), strings.HasPrefix(text, "# Configuration"), filepath.Base(path) == "afterchat.yaml":
			out = append(out, document{path + ":1", text})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// blocks returns the YAML blocks of a page that are not marked, and how many are.
func blocks(path, text string) (out []document, marked int) {
	for _, at := range yamlBlock.FindAllStringSubmatchIndex(text, -1) {
		if strings.HasSuffix(strings.TrimSpace(text[:at[0]]), notAConfiguration) {
			marked++
			continue
		}
		out = append(out, document{fmt.Sprintf("%s:%d", path, 1+strings.Count(text[:at[0]], "\n")), text[at[2]:at[3]]})
	}
	return out, marked
}

// completions are what a part of a configuration can leave out, by the key that it is under. The names are those that
// the documentation uses.
var completions = map[string]string{
	"sources": `
  shop: {type: smartsupp, secret: '${env.SHOP_SECRET}', brand: acme}
  desk: {type: proprofs, secret: '${env.DESK_SECRET}', brand: globo, time_zone: Asia/Kolkata}
`,
	"targets": `
  log: {type: file, path: outbox.jsonl}
`,
	"lookups": `
  brand_id: {acme: 360001234567, globo: 360007654321}
`,
}

// helpDesks are what the target help of a part can be: a part fits one of them.
var helpDesks = []string{
	"  help: {type: zendesk, subdomain: acme, oauth: {client_id: afterchat, client_secret: '${env.ZENDESK_SECRET}'}}\n",
	"  help: {type: http, url: https://desk.example.com/api/tickets}\n",
}

var topLevelKey = regexp.MustCompile(`(?m)^([a-z_]+):`)

// complete makes a whole configuration of a part: what it lacks of sources, targets and lookups is put before it. A part
// that shows tests gets the route that these name.
func complete(part, helpDesk string) (string, error) {
	known := []string{"version", "include", "server", "admin", "ledger", "log", "transcript", "sources", "targets", "lookups", "redact", "routes", "alerts", "tests"}
	has := map[string]bool{}
	for _, match := range topLevelKey.FindAllStringSubmatch(part, -1) {
		if !slices.Contains(known, match[1]) {
			return "", fmt.Errorf("%q is no section of a configuration", match[1])
		}
		has[match[1]] = true
	}
	if len(has) == 0 {
		return "", fmt.Errorf("no section of a configuration stands in it")
	}
	whole := "version: 1\n"
	for _, section := range slices.Sorted(maps.Keys(completions)) {
		if has[section] {
			continue
		}
		whole += section + ":" + completions[section]
		if section == "targets" {
			whole += helpDesk
		}
	}
	if has["tests"] && !has["routes"] {
		whole += "routes:\n  - name: everything\n    to:\n      help:\n        body: {priority: low, tags: [chat]}\n"
	}
	return whole + part, nil
}

// documentationEnvironment has every variable and secret, and the real files beside the documentation.
func documentationEnvironment() config.Environment {
	return config.Environment{
		LookupEnv: func(name string) (string, bool) {
			if strings.HasSuffix(name, "WEBHOOK") || strings.HasSuffix(name, "URL") {
				return "https://hooks.example.com/T0/B0/" + name, true
			}
			if strings.HasSuffix(name, "HASH") {
				return "$argon2id$v=19$m=65536,t=2,p=4$c29tZXNhbHQ$GpZ3sK/oH9p7VIiV56G/64Zo/8GaUw434IimaPqxwCo", true
			}
			return "0123456789abcdef-" + name, true
		},
		ReadFile: func(path string) ([]byte, error) {
			if strings.HasPrefix(path, "/run/") {
				return []byte("0123456789abcdef-" + filepath.Base(path)), nil
			}
			text, err := os.ReadFile(path)
			if err != nil && filepath.Ext(path) == ".yaml" { // an include that the page only names
				return []byte("x-part: 1\n"), nil
			}
			return text, err
		},
		Glob: func(pattern string) ([]string, error) {
			found, err := filepath.Glob(pattern)
			if len(found) == 0 && err == nil {
				found = []string{strings.ReplaceAll(pattern, "*", "a") + ".yaml"}
			}
			return found, err
		},
	}
}

// sampleHooks are hooks by platform: those of the examples, and some that lack what hooks can lack.
func sampleHooks(t *testing.T) map[string]map[string][]byte {
	t.Helper()
	hooks := map[string]map[string][]byte{
		"smartsupp": {
			"no visitor": []byte(`{"accountId": 1, "channel": {"id": 2}, "messages": [{"type": "visitor", "content": "Hi"}]}`),
			"a refund":   []byte(`{"accountId": 1, "channel": {"id": 3, "isMissed": true}, "visitor": {"email": "a@example.com"}, "messages": [{"type": "visitor", "content": "a refund"}]}`),
		},
		"proprofs": {
			"a lead": []byte(`{"l2s_sesid": "1", "l2s_id": "2", "l2s_date": "2026-01-05 10:31:00", "l2s_question": "Do you ship to Brno?"}`),
		},
	}
	names, err := filepath.Glob(filepath.Join("..", "config", "examples", "samples", "*.json"))
	if err != nil || len(names) < 4 {
		t.Fatalf("%d samples, %v", len(names), err)
	}
	for _, name := range names {
		body, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		platform := "smartsupp"
		if strings.Contains(string(body), "l2s_") {
			platform = "proprofs"
		}
		hooks[platform][filepath.Base(name)] = body
	}
	return hooks
}

// renderAll sends every hook to every source, which takes each platform in turn, and counts what is rendered. No
// condition and no mapping may fail; without a condition on the conversation each target gets something.
func renderAll(t *testing.T, name string, cfg *config.Config, hooks map[string]map[string][]byte) int {
	t.Helper()
	rendered := 0
	for i := range cfg.Sources {
		for platform, samples := range hooks {
			other := *cfg
			other.Sources = slices.Clone(cfg.Sources)
			s := &other.Sources[i]
			s.Type, s.TimeZone = platform, cmp.Or(s.TimeZone, "Asia/Kolkata")
			for sample, body := range samples {
				e, err := gateway.Explain(&other, s.Name, body, "", time.Date(2026, 1, 6, 0, 0, 0, 0, time.UTC))
				if err != nil {
					t.Errorf("%s, source %s, %s: %v", name, s.Name, sample, err)
					continue
				}
				rendered += checkExplained(t, fmt.Sprintf("%s, source %s, %s", name, s.Name, sample), e)
			}
		}
	}
	if rendered == 0 {
		t.Errorf("%s: none of the samples gets to a target", name)
	}
	return rendered
}

func checkExplained(t *testing.T, where string, e *gateway.Explained) int {
	t.Helper()
	for _, r := range e.Routes {
		if r.Error != "" {
			t.Errorf("%s: route %s: %s", where, r.Name, r.Error)
		}
	}
	for _, target := range e.Targets {
		if target.Error != "" || len(target.Fields) == 0 {
			t.Errorf("%s: target %s gets %v, %s", where, target.Target, target.Fields, target.Error)
		}
		if _, err := json.Marshal(target.Fields); err != nil {
			t.Errorf("%s: target %s: %v", where, target.Target, err)
		}
		preview, ok := e.Previews[target.Target]
		if !ok || preview.Error != "" || len(preview.Requests) == 0 && len(preview.NotSent) == 0 {
			t.Errorf("%s: target %s would be sent %+v", where, target.Target, preview)
		}
	}
	return len(e.Targets)
}

// runTests runs the tests of a configuration, as afterchat test does.
func runTests(t *testing.T, name string, cfg *config.Config) {
	t.Helper()
	for _, test := range cfg.Tests {
		body, err := os.ReadFile(cfg.Resolve(test.Sample))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if trial := gateway.Try(cfg, test, body, time.Now()); !trial.Passed {
			t.Errorf("%s: test %q: %+v", name, test.Name, trial.Mismatch)
		}
	}
}

// TestBlocksOfDocumentation keeps the reading of pages itself.
func TestBlocksOfDocumentation(t *testing.T) {
	t.Parallel()
	page := "# Page\n\n```yaml\nversion: 1\n```\n\n" + notAConfiguration + "\n```yaml\nwhen: true\n```\n\n```yaml\nwhen: true\n```\n"
	found, marked := blocks("page.md", page)
	if len(found) != 2 || marked != 1 || found[0].name != "page.md:3" || found[1].text != "when: true\n" {
		t.Fatalf("got %+v", found)
	}
	for part, want := range map[string]bool{"routes:\n  - to: help\n": true, "when: true\n": false, "- a\n": false} {
		if _, err := complete(part, helpDesks[0]); (err == nil) != want {
			t.Errorf("%q: %v", part, err)
		}
	}
}

var seriesName = regexp.MustCompile(`\bafterchat_[a-z_]+`)

// TestAlertsNameSeriesThatExist: an alert on a misspelt series never fires.
func TestAlertsNameSeriesThatExist(t *testing.T) {
	t.Parallel()
	series, err := os.ReadFile(filepath.Join("..", "internal", "metrics", "testdata", "series.txt"))
	if err != nil {
		t.Fatal(err)
	}
	alerts, err := os.ReadFile(filepath.Join("..", "deploy", "alerts.yml"))
	if err != nil {
		t.Fatal(err)
	}
	names := seriesName.FindAllString(string(alerts), -1)
	if len(names) < 8 {
		t.Errorf("only %d series in the alerts", len(names))
	}
	for _, name := range names {
		if !strings.Contains(string(series), "# "+name+": ") {
			t.Errorf("deploy/alerts.yml names %s, which there is not", name)
		}
	}
}
