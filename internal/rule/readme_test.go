// This file keeps the tables of README.md equal to what the package does.

package rule

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var cell = strings.NewReplacer("|", `\|`)

func functionsTable() string {
	var b strings.Builder
	b.WriteString("| function | what it yields | example | result |\n|---|---|---|---|\n")
	for _, f := range Functions() {
		fmt.Fprintf(&b, "| `%s` | %s | `%s` | `%s` |\n", cell.Replace(f.Signature), cell.Replace(f.Doc), cell.Replace(f.Example.Expr), cell.Replace(f.Example.Result))
	}
	return b.String()
}

func namesTable() string {
	var b strings.Builder
	b.WriteString("| name | type | meaning |\n|---|---|---|\n")
	for _, n := range Names() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", n.Name, n.Type, cell.Replace(n.Doc))
	}
	return b.String()
}

func TestReadme(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(body)
	for mark, table := range map[string]string{"<!-- functions -->\n": functionsTable(), "<!-- names -->\n": namesTable()} {
		before, rest, ok := strings.Cut(text, mark)
		_, after, ok2 := strings.Cut(rest, "<!-- end -->")
		if !ok || !ok2 {
			t.Fatalf("no %s in README.md", mark)
		}
		text = before + mark + table + "<!-- end -->" + after
	}
	if *update {
		if err := os.WriteFile("README.md", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(body), text); diff != "" {
		t.Errorf("README.md (-file +now; run with -update):\n%s", diff)
	}
}

// The conditions of README.md compile and run.
func TestReadmeConditions(t *testing.T) {
	t.Parallel()
	body, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(body), "<!-- conditions -->\n```\n")
	block, _, ok := strings.Cut(block, "```\n<!-- end -->")
	if !ok {
		t.Fatal("no conditions in README.md")
	}
	c := load(t, "sample")
	for src := range strings.Lines(block) {
		condition, problems := CompileCondition(strings.TrimSpace(src), testScope)
		if problems != nil {
			t.Errorf("%s: %s", src, list(problems))
			continue
		}
		if _, err := condition.Match(c); err != nil {
			t.Errorf("%s: %v", src, err)
		}
	}
}

func TestNamesAreDocumented(t *testing.T) {
	t.Parallel()
	for _, n := range Names() {
		if n.Doc == "" || n.Type == "" || n.Type == "any" {
			t.Errorf("name %+v", n)
		}
	}
}
