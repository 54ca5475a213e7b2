// Command acmechat is afterchat with one more connector.
package main

import (
	"os"

	"example.com/acme"

	"github.com/afterchat/afterchat/cmd"
	"github.com/afterchat/afterchat/connectors/builtin"
)

func main() {
	os.Exit(cmd.Run(os.Args[1:], append(builtin.Types(), acme.Type())...))
}
