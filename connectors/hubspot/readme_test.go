// This file keeps README.md true: its tables are made from the declaration, its configurations are read as such.

package hubspot_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/hubspot"
	"github.com/afterchat/afterchat/internal/gateway"
)

var update = flag.Bool("update", false, "write the tables of README.md and the golden files")

// load reads a configuration that knows this connector alone.
func load(t *testing.T, text string) *config.Config {
	t.Helper()
	cfg, err := config.Parse("afterchat.yaml", []byte(text),
		config.Known{Targets: []connectors.Type{hubspot.Type()}, Sources: gateway.SourceTypes()},
		config.Environment{
			LookupEnv: func(string) (string, bool) { return "some-secret-of-enough-length", true },
			ReadFile:  os.ReadFile,
		})
	if err != nil {
		t.Fatalf("configuration:\n%s\n%v", text, err)
	}
	return cfg
}

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestReadmeTables(t *testing.T) {
	t.Parallel()
	text := readme(t)
	now := text
	for name, table := range map[string]string{
		"settings": config.SettingsTable(hubspot.Type()), "fields": config.FieldsTable(hubspot.Type()),
	} {
		mark := "<!-- " + name + " -->\n"
		before, rest, found := strings.Cut(now, mark)
		_, after, ended := strings.Cut(rest, "<!-- end -->")
		if !found || !ended {
			t.Fatalf("README.md has no table of %s", name)
		}
		now = before + mark + table + "<!-- end -->" + after
	}
	if *update {
		if err := os.WriteFile("README.md", []byte(now), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want(t, "README.md; go test -update writes it", now, text)
}

// TestReadmeConfigurations: the first is whole and short, the others are targets for it.
func TestReadmeConfigurations(t *testing.T) {
	t.Parallel()
	blocks := strings.Split(readme(t), "```yaml\n")[1:]
	if len(blocks) < 2 {
		t.Fatalf("README.md has %d configurations", len(blocks))
	}
	var source string
	for i, block := range blocks {
		text, _, _ := strings.Cut(block, "```")
		if i == 0 {
			source, _, _ = strings.Cut(text, "targets:")
			if lines := strings.Count(text, "\n"); lines > 10 {
				t.Errorf("the first configuration has %d lines, want at most 10", lines)
			}
		} else {
			text = source + text
		}
		cfg := load(t, text)
		if len(cfg.Targets) != 1 || cfg.Targets[0].Type.Name() != "hubspot" {
			t.Errorf("configuration %d has no target of this type", i+1)
		}
	}
}
