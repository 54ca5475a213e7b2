// This file shows a connector type as small as it gets.

package connectors_test

import (
	"context"
	"fmt"

	"github.com/afterchat/afterchat/connectors"
)

// consoleSettings are the settings of a target of type console.
type consoleSettings struct {
	Prefix string `yaml:"prefix" doc:"text before each line"`
}

// console prints titles.
type console struct{ prefix string }

func (c console) Push(_ context.Context, rec connectors.Record) (connectors.Receipt, error) {
	fmt.Println(c.prefix, rec.Fields["title"])
	return connectors.Receipt{ID: rec.Object}, nil
}

func ExampleDefine() {
	typ := connectors.Define("console", connectors.Definition[consoleSettings]{
		Doc:      "prints the title of each conversation",
		Defaults: consoleSettings{Prefix: "chat:"},
		Fields: func(consoleSettings) []connectors.Field {
			return []connectors.Field{{Name: "title", Type: connectors.Text, Doc: "what is printed", Required: true}}
		},
		Once:    func(consoleSettings) connectors.Once { return connectors.OnceNone },
		Mapping: "title: 'Chat with ${coalesce(visitor.name, \"a visitor\")}'\n",
		New: func(s consoleSettings, _ connectors.Env) (connectors.Connector, error) {
			return console{s.Prefix}, nil
		},
	})

	target, err := typ.Open(typ.Settings(), connectors.Env{Target: "screen"})
	if err != nil {
		fmt.Println(err)
		return
	}
	receipt, err := target.Push(context.Background(), connectors.Record{
		Object: "abc", Request: "abc.1", Revision: 1, Attempt: 1,
		Fields: map[string]any{"title": "Chat with Ada"},
	})
	fmt.Println(receipt.ID, err)
	// Output:
	// chat: Chat with Ada
	// abc <nil>
}
