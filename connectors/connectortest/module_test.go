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
	if testing.Short() {
		t.Skip("builds a module")
	}
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("there is no go tool: ", err)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	// A copy, because the go tool writes to go.mod and go.sum.
	module := filepath.Join(t.TempDir(), "acme")
	if err := os.CopyFS(module, os.DirFS("testdata/acme")); err != nil {
		t.Fatal(err)
	}
	goMod := read(t, filepath.Join(module, "go.mod"))
	moved := strings.Replace(goMod, "=> ../../../..", "=> "+root, 1)
	if moved == goMod {
		t.Fatal("go.mod has no replace directive to ../../../..")
	}
	write(t, filepath.Join(module, "go.mod"), moved)
	write(t, filepath.Join(module, "go.sum"), read(t, filepath.Join(root, "go.sum")))
	for _, args := range [][]string{{"vet", "."}, {"test", "-v", "."}} {
		cmd := exec.CommandContext(t.Context(), tool, args...)
		cmd.Dir = module
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off", "GOTOOLCHAIN=local")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		if args[0] == "test" && !strings.Contains(string(out), "--- PASS: TestConnector/one_object_whatever_fails") {
			t.Errorf("the suite did not run:\n%s", out)
		}
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
