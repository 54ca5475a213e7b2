// This file builds and tests a connector in a module of its own, as an outsider would.

package connectortest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestModuleOfItsOwn(t *testing.T) {
	t.Parallel()
	run := module(t)
	run("go", "vet", "./...")
	if out := run("go", "test", "-v", "."); !strings.Contains(out, "--- PASS: TestConnector/one_object_whatever_fails") {
		t.Errorf("the suite did not run:\n%s", out)
	}
}

// TestCustomBuild builds afterchat with one more connector and asks it what it has.
func TestCustomBuild(t *testing.T) {
	t.Parallel()
	run := module(t)
	run("go", "build", "-o", "acmechat", "./cmd/acmechat")
	out := run("./acmechat", "connectors")
	for _, name := range []string{"acme", "file", "http"} {
		if !strings.Contains("\n"+out, "\n"+name+" ") {
			t.Errorf("%s is not among the connectors:\n%s", name, out)
		}
	}
}

// module copies the module, because the go tool writes to go.mod and go.sum, and returns what runs a command there.
func module(t *testing.T) (run func(args ...string) string) {
	t.Helper()
	if testing.Short() {
		t.Skip("builds a module")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip("there is no go tool: ", err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(t.TempDir(), "acme")
	if err := os.CopyFS(folder, os.DirFS("testdata/acme")); err != nil {
		t.Fatal(err)
	}
	goMod := read(t, filepath.Join(folder, "go.mod"))
	moved := strings.Replace(goMod, "=> ../../../..", "=> "+root, 1)
	if moved == goMod {
		t.Fatal("go.mod has no replace directive to ../../../..")
	}
	write(t, filepath.Join(folder, "go.mod"), moved)
	write(t, filepath.Join(folder, "go.sum"), read(t, filepath.Join(root, "go.sum")))
	return func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
		cmd.Dir = folder
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off", "GOTOOLCHAIN=local")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
