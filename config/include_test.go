// This file loads the configurations of several files in testdata/include: each folder is a case, with afterchat.yaml or
// as a folder, and want.txt says what comes of it: the configuration, masked, or all mistakes.

package config_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/config"
)

func TestIncludes(t *testing.T) {
	t.Parallel()
	for _, folder := range files(t, "testdata/include/*") {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(folder, "afterchat.yaml")
			if _, err := os.Stat(path); err != nil {
				path = folder
			}
			c, err := config.Load(path, known(), environment())
			var out bytes.Buffer
			if problems, ok := errors.AsType[config.Problems](err); ok {
				err = problems.Write(&out, "text")
			} else if err == nil {
				err = c.WriteMasked(&out)
			}
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(out.String(), canary) {
				t.Errorf("a secret is shown:\n%s", out.String())
			}
			golden(t, filepath.Join(folder, "want.txt"), out.String())
		})
	}
}

func TestIncludedFilesAreKnown(t *testing.T) {
	t.Parallel()
	c, err := config.Load("testdata/include/merged/afterchat.yaml", known(), environment())
	if err != nil {
		t.Fatal(err)
	}
	in := func(names ...string) []string {
		for i := range names {
			names[i] = filepath.Join("testdata/include/merged", names[i])
		}
		return names
	}
	want := in("common.yaml", "brands/10-acme.yaml", "brands/20-globo.yml", "extra.yaml", "rules/rated.yaml")
	if diff := cmp.Diff(want, c.Files); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(in("brands/*", "rules/*.yaml"), c.Patterns); diff != "" {
		t.Error(diff)
	}
	var routes []string
	for _, r := range c.Definition.Routes {
		routes = append(routes, r.Name)
	}
	if want := []string{"main", "acme", "globo", "rated"}; !slices.Equal(routes, want) {
		t.Errorf("routes %q, want %q", routes, want)
	}
	folder, err := config.Load("testdata/include/folder", known(), environment())
	if err != nil {
		t.Fatal(err)
	}
	if folder.Folder != "testdata/include/folder" || len(folder.Files) != 2 {
		t.Errorf("folder %q, files %q", folder.Folder, folder.Files)
	}
	if _, err := config.Load(t.TempDir(), known(), environment()); err == nil || !strings.Contains(err.Error(), "no file that ends in .yaml") {
		t.Errorf("an empty folder: %v", err)
	}
}
