// This file is --help: where a command does something without a further word, it shows what that takes.

package cmd

import (
	"bytes"
	"io"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/afterchat/afterchat/internal/gateway"
)

// commandsHeading is what kong writes above the commands below a command.
const commandsHeading = "\nCommands:\n"

// printHelp is kong's help. A command with a default shows the default's arguments and flags above its commands.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	node := ctx.Selected()
	text, err := helpOf(options, ctx, ctx.Path)
	if err != nil {
		return err
	}
	if command, ok := usageOf(node); ok {
		_, below, _ := strings.Cut(text, "\n")
		text = "Usage: " + ctx.Model.Name + " " + node.Path() + " " + command.usage() + "\n" + below
	}
	if _, below, ok := strings.Cut(text, commandsHeading); ok && node != nil && node.DefaultCmd != nil {
		path := append(append([]*kong.Path{}, ctx.Path...), &kong.Path{Parent: node, Command: node.DefaultCmd})
		if text, err = helpOf(options, ctx, path); err != nil {
			return err
		}
		text = strings.Replace(text, " "+node.Name+" "+node.DefaultCmd.Name+" ", " "+node.Name+" ["+node.DefaultCmd.Name+"] ", 1) + commandsHeading + below
	}
	_, err = io.WriteString(ctx.Stdout, text)
	return err
}

// ownUsage is a command whose flags kong's line of usage cannot tell.
type ownUsage interface{ usage() string }

func usageOf(node *kong.Node) (ownUsage, bool) {
	if node == nil || !node.Target.CanAddr() {
		return nil, false
	}
	command, ok := reflect.TypeAssert[ownUsage](node.Target.Addr())
	return command, ok
}

func (sendCommand) usage() string { return "(--source=NAME FILE | --target=NAME) [flags]" }

// helpOf is the help of the command at the end of a path.
func helpOf(options kong.HelpOptions, ctx *kong.Context, path []*kong.Path) (string, error) {
	var out bytes.Buffer
	parser, at := *ctx.Kong, *ctx
	parser.Stdout = &out
	at.Kong, at.Path = &parser, path
	err := kong.DefaultHelpPrinter(options, &at)
	return out.String(), err
}

// Help is the part of the help that says what can be searched for.
func (deliveriesListCommand) Help() string { return gateway.SearchHelp() }

// Help is the part of the help that says what can be searched for.
func (replayStartCommand) Help() string { return gateway.SearchHelp() }
