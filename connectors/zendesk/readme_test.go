// This file keeps README.md true: its tables come from the declaration, its examples are read as configurations.

package zendesk_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/zendesk"
	"github.com/afterchat/afterchat/internal/gateway"
)

var update = flag.Bool("update", false, "write README.md's tables and the golden files")

func known() config.Known {
	return config.Known{Targets: []connectors.Type{zendesk.Type()}, Sources: gateway.SourceTypes()}
}

func environment() config.Environment {
	return config.Environment{
		LookupEnv: func(string) (string, bool) { return "a-secret-of-some-length", true },
		ReadFile:  os.ReadFile,
	}
}

func TestReadmeTables(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	got := replaceTable(t, string(text), "settings", config.SettingsTable(zendesk.Type()))
	got = replaceTable(t, got, "fields", config.FieldsTable(zendesk.Type()))
	if got == string(text) {
		return
	}
	if !*update {
		t.Error("the tables of README.md differ from the declaration; go test -update writes them")
		return
	}
	if err := os.WriteFile("README.md", []byte(got), 0o600); err != nil {
		t.Fatal(err)
	}
}

func replaceTable(t *testing.T, text, name, table string) string {
	t.Helper()
	begin, end := "<!-- "+name+" -->\n", "<!-- end -->"
	before, rest, ok := strings.Cut(text, begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("README.md has no place for %s", name)
	}
	return before + begin + table + end + after
}

// TestReadmeExample reads the first example as it stands: ten lines below version are all that is needed.
func TestReadmeExample(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```yaml\n")
	example, _, _ := strings.Cut(rest, "```")
	if lines := strings.Count(example, "\n"); lines > 11 {
		t.Errorf("the example has %d lines", lines)
	}
	if _, err := config.Parse("example.yaml", []byte(example), known(), environment()); err != nil {
		t.Errorf("the example is no configuration:\n%v", err)
	}
}
