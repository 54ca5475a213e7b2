// This file runs the command line as users type it: testdata/*.txtar are scripts with their files.

package cmd_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/afterchat/afterchat/cmd"
	"github.com/afterchat/afterchat/connectors/builtin"
)

var update = flag.Bool("update", false, "write golden files anew")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"afterchat":  func() { os.Exit(cmd.Run(os.Args[1:], builtin.Types()...)) },
		"bare-echo":  bareEcho,
		"slow-syncs": slowSyncs,
	})
}

func TestScripts(t *testing.T) {
	t.Parallel()
	fixtures, err := filepath.Abs("../../shared/fixtures") // hooks as vendors document them, beside the checkout
	if err != nil {
		t.Fatal(err)
	}
	examples, err := filepath.Abs("../config/examples")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata", UpdateScripts: *update, RequireExplicitExec: true, Cmds: serverCommands(),
		Setup: func(env *testscript.Env) error {
			env.Setenv("FIXTURES", fixtures)
			env.Setenv("EXAMPLES", examples)
			return nil
		},
		Condition: func(condition string) (bool, error) {
			if condition != "fixtures" {
				return false, fmt.Errorf("unknown condition %q", condition)
			}
			_, err := os.Stat(fixtures)
			return err == nil, nil
		},
	})
}
