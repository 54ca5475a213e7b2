// This file runs the command line as users type it: testdata/*.txtar are scripts with their files.

package cmd_test

import (
	"flag"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/afterchat/afterchat/cmd"
	"github.com/afterchat/afterchat/connectors/builtin"
)

var update = flag.Bool("update", false, "write golden files anew")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"afterchat": func() { os.Exit(cmd.Run(os.Args[1:], builtin.Types()...)) },
	})
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata", UpdateScripts: *update, RequireExplicitExec: true, Cmds: serverCommands(),
	})
}
