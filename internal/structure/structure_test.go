// Package structure_test keeps the shape of the code: which package may import which, what every package, connector
// and error must have. The rules are those of ARCHITECTURE.md; a test here fails on any other arrow.
package structure_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/afterchat/afterchat"

// arrows says what each package may import of the module, besides itself and what is below it where named with /….
var arrows = map[string][]string{
	"cmd/afterchat":                  {"cmd", "connectors/builtin"},
	"cmd":                            {"config", "connectors", "internal/gateway", "internal/demo"},
	"config":                         {"connectors", "config/secret", "config/password", "internal/rule", "internal/pipeline"},
	"config/secret":                  {},
	"config/password":                {},
	"connectors":                     {},
	"connectors/rest":                {"connectors", "config/secret"},
	"connectors/connectortest":       {"connectors"},
	"connectors/builtin":             {"connectors", "connectors/*"},
	"connectors/*":                   {"connectors", "connectors/rest", "config/secret"},
	"internal/chat":                  {},
	"internal/chat/chattest":         {"internal/chat"},
	"internal/source":                {"internal/chat"},
	"internal/source/*":              {"internal/chat", "internal/source"},
	"internal/rule":                  {"internal/chat"},
	"internal/pipeline":              {"internal/rule", "internal/chat", "connectors"},
	"internal/pipeline/pipelinetest": {"internal/pipeline", "internal/rule", "connectors"},
	"internal/ledger":                {"internal/chat", "connectors"},
	"internal/ledger/row":            {"internal/ledger", "internal/chat", "connectors"},
	"internal/ledger/ledgertest":     {"internal/ledger", "internal/chat", "internal/chat/chattest", "connectors"},
	"internal/ledger/*":              {"internal/ledger", "internal/ledger/row", "internal/chat", "connectors"},
	"internal/intake":                {"internal/chat", "internal/source", "internal/pipeline", "internal/ledger", "internal/metrics", "internal/trace"},
	"internal/delivery":              {"internal/chat", "internal/ledger", "internal/pipeline", "connectors", "internal/metrics", "internal/trace"},
	"internal/console":               {"internal/chat", "internal/ledger", "internal/console/page", "internal/pipeline", "connectors", "internal/metrics"},
	"internal/console/page":          {"internal/chat", "internal/ledger"},
	"internal/alert":                 {},
	"internal/metrics":               {"internal/chat"},
	"internal/trace":                 {},
	"internal/demo":                  {},
	"internal/structure":             {},
	"internal/gateway":               {"config", "config/secret", "config/password", "connectors", "internal/*", "internal/ledger/*", "internal/source/*"},
}

// only says which package alone may import a dependency.
var only = map[string][]string{
	"gopkg.in/yaml.v3":                      {"config"},
	"github.com/expr-lang/expr":             {"internal/rule"},
	"github.com/hashicorp/go-retryablehttp": {"connectors/rest"},
	"github.com/labstack/echo/v4":           {"internal/intake", "internal/console"},
	"github.com/prometheus/client_golang":   {"internal/metrics", "internal/console"},
	"github.com/alecthomas/kong":            {"cmd"},
	"modernc.org/sqlite":                    {"internal/ledger/sqlite"},
	"github.com/jackc/pgx":                  {"internal/ledger/postgres"},
	"github.com/google/jsonschema-go":       {"config"},
	"github.com/coreos/go-systemd":          {"internal/gateway"},
	"go.opentelemetry.io/otel":              {"internal/trace"},
	"golang.org/x/crypto":                   {"config/password"},
}

type goPackage struct {
	ImportPath   string
	Dir          string
	Doc          string
	GoFiles      []string
	TestGoFiles  []string
	XTestGoFiles []string
	Imports      []string
}

func (p goPackage) name() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "list", "-pgo=off", "-json=ImportPath,Dir,Doc,GoFiles,TestGoFiles,XTestGoFiles,Imports", module+"/...")
	out, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// rule returns the arrows of a package: its own, else those of its parent with /*.
func rule(name string) ([]string, bool) {
	if allowed, ok := arrows[name]; ok {
		return allowed, true
	}
	parent, _ := cutLast(name)
	if allowed, ok := arrows[parent+"/*"]; ok {
		return allowed, true
	}
	// A fake of a vendor lies below its connector and knows nothing of the module.
	grand, _ := cutLast(parent)
	if grand == "connectors" {
		return []string{"connectors"}, true
	}
	return nil, false
}

func cutLast(name string) (before, after string) {
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return "", name
	}
	return name[:i], name[i+1:]
}

func permitted(allowed []string, to string) bool {
	parent, _ := cutLast(to)
	return slices.Contains(allowed, to) || slices.Contains(allowed, parent+"/*")
}

func TestArrows(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if len(p.GoFiles) == 0 {
			continue
		}
		allowed, known := rule(p.name())
		if !known {
			t.Errorf("%s has no arrows: add it to this test and to ARCHITECTURE.md", p.name())
			continue
		}
		for _, i := range p.Imports {
			if to, ours := strings.CutPrefix(i, module+"/"); ours && !permitted(allowed, to) {
				t.Errorf("%s must not import %s", p.name(), to)
			}
			for dependency, owners := range only {
				if (i == dependency || strings.HasPrefix(i, dependency+"/")) && !slices.Contains(owners, p.name()) {
					t.Errorf("%s must not import %s, only %s may", p.name(), i, strings.Join(owners, ", "))
				}
			}
		}
	}
}

// TestTestPackagesStayOutOfTheBinary: what is called …test below its package is imported by tests and by its like.
func TestTestPackagesStayOutOfTheBinary(t *testing.T) {
	t.Parallel()
	forTests := func(name string) bool {
		parent, last := cutLast(name)
		_, above := cutLast(parent)
		return strings.HasSuffix(last, "test") && (last == above+"test" || slices.Contains([]string{"connectortest", "chattest", "postgrestest"}, last))
	}
	for _, p := range packages(t) {
		if forTests(p.name()) {
			continue
		}
		for _, i := range p.Imports {
			if to, ours := strings.CutPrefix(i, module+"/"); ours && forTests(to) {
				t.Errorf("%s imports %s, which is for tests", p.name(), to)
			}
		}
	}
}

func TestContractIsStandardLibraryOnly(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if p.name() != "connectors" && p.name() != "config/secret" {
			continue
		}
		for _, i := range p.Imports {
			if first, _, _ := strings.Cut(i, "/"); strings.Contains(first, ".") {
				t.Errorf("%s imports %s", p.name(), i)
			}
		}
	}
}

func TestEveryPackageSaysWhatItDoes(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		if len(p.GoFiles) == 0 {
			continue
		}
		_, last := cutLast(p.ImportPath)
		if want := "Package " + last + " "; !strings.HasPrefix(p.Doc, want) && !strings.HasPrefix(p.Doc, "Command "+last+" ") {
			t.Errorf("%s: the package comment must begin with %q, it is %q", p.name(), want, p.Doc)
		}
	}
}

// TestEveryFileSaysWhatItIsFor: a file begins with the package comment or with a comment of its own before the package
// clause.
func TestEveryFileSaysWhatItIsFor(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		for _, name := range p.GoFiles {
			path := filepath.Join(p.Dir, name)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if head, _, found := strings.Cut(string(text), "\npackage "); !found || !strings.Contains(head, "// ") {
				t.Errorf("%s does not say in its first lines what it is for", filepath.Join(p.name(), name))
			}
		}
	}
}

func TestEveryConnectorHasItsFiles(t *testing.T) {
	t.Parallel()
	for _, p := range packages(t) {
		parent, last := cutLast(p.name())
		if parent != "connectors" || slices.Contains([]string{"rest", "connectortest", "builtin"}, last) {
			continue
		}
		for _, file := range []string{"README.md", "mapping.yaml"} {
			if _, err := os.Stat(filepath.Join(p.Dir, file)); err != nil {
				t.Errorf("connector %s: %v", last, err)
			}
		}
	}
}

// TestErrorsUnwrap: a struct with a method Error and a field of type error has a method Unwrap.
func TestErrorsUnwrap(t *testing.T) {
	t.Parallel()
	eachFile(t, func(t *testing.T, path string, file *ast.File) {
		methods := map[string][]string{}
		wrapping := map[string]bool{}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Recv != nil && len(n.Recv.List) == 1 {
					methods[receiver(n.Recv.List[0].Type)] = append(methods[receiver(n.Recv.List[0].Type)], n.Name.Name)
				}
			case *ast.TypeSpec:
				if s, ok := n.Type.(*ast.StructType); ok {
					for _, f := range s.Fields.List {
						if id, ok := f.Type.(*ast.Ident); ok && id.Name == "error" {
							wrapping[n.Name.Name] = true
						}
					}
				}
			}
			return true
		})
		for name := range wrapping {
			if slices.Contains(methods[name], "Error") && !slices.Contains(methods[name], "Unwrap") {
				t.Errorf("%s: %s wraps an error and has no Unwrap", path, name)
			}
		}
	})
}

func TestNoInit(t *testing.T) {
	t.Parallel()
	eachFile(t, func(t *testing.T, path string, file *ast.File) {
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s has an init function; register explicitly", path)
			}
		}
	})
}

func receiver(e ast.Expr) string {
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	if index, ok := e.(*ast.IndexExpr); ok {
		e = index.X
	}
	if id, ok := e.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}

func eachFile(t *testing.T, visit func(t *testing.T, path string, file *ast.File)) {
	t.Helper()
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == ".git" || d.Name() == "build") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		visit(t, path, file)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
