// Command afterchat delivers finished live chats to help desks, CRMs and HTTP APIs.
//
// This file is also the pattern of a build with connector types of one's own: copy it, append them to builtin.Types,
// and build. Beside it lies default.pgo, by which the compiler arranges the program; copy that, too, and the copy is as fast.
package main

import (
	"os"

	"github.com/afterchat/afterchat/cmd"
	"github.com/afterchat/afterchat/connectors/builtin"
)

func main() { os.Exit(cmd.Run(os.Args[1:], builtin.Types()...)) }
