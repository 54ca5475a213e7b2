// This file looks for what was written in the language of another tool: it would reach the target as it stands.

package pipeline

import (
	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/rule"
)

// checkLookalikes reports {{ visitor.name }}, $visitor.name and their like in what routes map. Snapshots are not looked
// at: what was sent before goes on being sent.
func checkLookalikes(d Definition) []Problem {
	var problems []Problem
	for i, r := range d.Routes {
		for _, to := range r.To {
			problems = append(problems, lookalikes(to.Fields, Path{"routes", i, "to", to.Target})...)
		}
	}
	return problems
}

func lookalikes(t Tree, path Path) []Problem {
	var problems []Problem
	switch t := t.(type) {
	case string:
		return ruleProblems(path, rule.Lookalikes(t))
	case []any:
		for i, item := range t {
			problems = append(problems, lookalikes(item, path.at(i))...)
		}
	case Mapping:
		for _, e := range t {
			problems = append(problems, lookalikes(e.Value, path.at(e.Key))...)
		}
	}
	return problems
}

// anyFields stands for the fields of a target that does not exist: those that a route names, each of which may be
// anything. The name of the target is one mistake; what is wrong in an expression is another.
func anyFields(m Mapping) []connectors.Field {
	fields := make([]connectors.Field, len(m))
	for i, e := range m {
		fields[i] = connectors.Field{Name: e.Key, Type: connectors.Any}
	}
	return fields
}
