// This file tests which explanations are findings.

package cmd

import (
	"testing"

	"github.com/afterchat/afterchat/internal/gateway"
	"github.com/afterchat/afterchat/internal/pipeline"
)

func TestExplainFinds(t *testing.T) {
	t.Parallel()
	help := pipeline.ExplainedTarget{Target: "help"}
	dead := pipeline.ExplainedTarget{Target: "help", Error: "required, but absent"}
	for name, c := range map[string]struct {
		routes   []pipeline.ExplainedRoute
		target   pipeline.ExplainedTarget
		preview  gateway.Previewed
		findings bool
	}{
		"nothing":                              {target: help},
		"a target that cannot be rendered":     {target: dead, findings: true},
		"a request that cannot be made":        {target: help, preview: gateway.Previewed{Error: "no such path"}, findings: true},
		"a route that cannot be decided":       {routes: []pipeline.ExplainedRoute{{}, {Error: "too costly"}}, target: help, findings: true},
		"a route that does not match is none":  {routes: []pipeline.ExplainedRoute{{Why: "its condition does not hold"}}, target: help},
		"a preview without an error is no one": {target: help, preview: gateway.Previewed{}},
	} {
		e := &gateway.Explained{Explanation: pipeline.Explanation{Routes: c.routes, Targets: []pipeline.ExplainedTarget{c.target}}}
		e.Previews = map[string]gateway.Previewed{"help": c.preview}
		if err := found(e); (err != nil) != c.findings {
			t.Errorf("%s: %v", name, err)
		}
	}
}
