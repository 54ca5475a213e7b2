// This file measures what a step costs, for the bounds in README.md.

package rule

import (
	"testing"

	"github.com/afterchat/afterchat/internal/chat"
)

func BenchmarkLoops(b *testing.B) {
	for _, src := range []string{
		`any(messages, .text == "x")`,
		`any(messages, any(messages, .text == "x"))`,
		`any(messages, lower(.text) contains "x" and .role == "bot")`,
		`all(messages, not mentions(.text, "nothing", "of", "this"))`,
		`any(messages, any(split(.text, " "), # == "x"))`,
		`none(messages, .text matches "(lorem|x)+(y|z)*q")`,
		`all(agents, let a = #; none(messages, .author == a.name + "x"))`,
	} {
		b.Run(src, func(b *testing.B) {
			c := long(5_000)
			c.Agents = c.Agents[:0]
			for _, name := range []string{"Jana", "Petr", "Eva"} {
				c.Agents = append(c.Agents, chat.Author{Name: name})
			}
			condition, problems := CompileCondition(src, testScope)
			if problems != nil {
				b.Fatal(list(problems))
			}
			steps := 0
			for b.Loop() {
				r := newRun(c)
				r.exec(condition.program)
				if r.over || r.raised {
					b.Fatal("more than 2 million steps")
				}
				steps += maxSteps - r.steps
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(steps), "ns/step")
			b.ReportMetric(float64(steps)/float64(b.N), "steps/op")
		})
	}
}
