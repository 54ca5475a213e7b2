// This file tests the list and what every shipped type must have.

package builtin_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/connectors/builtin"
)

func TestTypes(t *testing.T) {
	t.Parallel()
	types := builtin.Types()
	byName := func(a, b connectors.Type) int { return strings.Compare(a.Name(), b.Name()) }
	if !slices.IsSortedFunc(types, byName) {
		t.Error("the types are not sorted by name")
	}
	for i, typ := range types {
		if i > 0 && types[i-1].Name() == typ.Name() {
			t.Errorf("%s is there twice", typ.Name())
		}
		readme, err := os.ReadFile(filepath.Join("..", typ.Name(), "README.md"))
		if err != nil {
			t.Errorf("%s: %v", typ.Name(), err)
		}
		if !strings.HasPrefix(string(readme), "# "+typ.Name()+"\n") {
			t.Errorf("%s: README.md does not begin with its name", typ.Name())
		}
	}
}

// TestAllFolders finds a connector that was written and then forgotten in the list.
func TestAllFolders(t *testing.T) {
	t.Parallel()
	readmes, err := filepath.Glob("../*/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range readmes {
		name := filepath.Base(filepath.Dir(path))
		if !slices.ContainsFunc(builtin.Types(), func(typ connectors.Type) bool { return typ.Name() == name }) {
			t.Errorf("connectors/%s has a README.md and is not in builtin.Types", name)
		}
	}
}

// TestListIsTheCallers: a custom build appends to it.
func TestListIsTheCallers(t *testing.T) {
	t.Parallel()
	first := builtin.Types()
	first[0] = connectors.Type{}
	if builtin.Types()[0].Name() == "" {
		t.Error("changing the list changed the next one")
	}
}
