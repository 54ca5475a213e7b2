// This file loads every configuration that stands in the documentation.

package cmd_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/connectors/builtin"
	"github.com/afterchat/afterchat/internal/gateway"
)

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// TestConfigurationsInTheDocumentationLoad loads every YAML block that is a whole file: one with a version.
func TestConfigurationsInTheDocumentationLoad(t *testing.T) {
	t.Parallel()
	environment := config.Environment{
		LookupEnv: func(name string) (string, bool) {
			if strings.HasSuffix(name, "WEBHOOK") || strings.HasSuffix(name, "URL") {
				return "https://hooks.example.com/T0/B0/xyz", true
			}
			return "0123456789abcdef0123", true
		},
		ReadFile: func(path string) ([]byte, error) {
			if filepath.Ext(path) == ".yaml" { // included
				return []byte("x-part: 1\n"), nil
			}
			return []byte("0123456789abcdef0123"), nil
		},
		Glob: func(pattern string) ([]string, error) {
			return []string{strings.ReplaceAll(pattern, "*", "a") + ".yaml"}, nil
		},
	}
	known := config.Known{Targets: builtin.Types(), Sources: gateway.SourceTypes()}
	loaded := 0
	load := func(name, text string) {
		loaded++
		if _, err := config.Parse(name, []byte(text), known, environment); err != nil {
			t.Errorf("%s:\n%v\n%s", name, err, text)
		}
	}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) || d.IsDir() {
			return nil
		}
		switch {
		case strings.HasSuffix(path, ".md"):
			for _, block := range yamlBlock.FindAllStringSubmatch(string(text), -1) {
				if strings.Contains(block[1], "version: 1\n") {
					load(path, block[1])
				}
			}
		case filepath.Dir(path) == filepath.Join("..", "deploy") && strings.HasPrefix(string(text), "# Configuration"):
			load(path, string(text))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if loaded < 3 {
		t.Errorf("only %d configurations found", loaded)
	}
	t.Logf("%d configurations loaded", loaded)
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
