// This file tells the tests which commands there are.

package cmd

import "github.com/alecthomas/kong"

// Leaves returns every command that can be run, in words.
func Leaves() ([]string, error) {
	parser, err := kong.New(&commands{}, kong.Vars{"version": "", "sources": "", "targets": ""})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, leaf := range parser.Model.Leaves(true) {
		name := leaf.Name
		for n := leaf.Parent; n != nil && n.Type == kong.CommandNode; n = n.Parent {
			name = n.Name + " " + name
		}
		names = append(names, name)
	}
	return names, nil
}
