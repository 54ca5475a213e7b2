// This file fills the page that asks before a replay.

package console

import (
	"context"
	"regexp"
	"strings"

	"github.com/afterchat/afterchat/internal/console/page"
	"github.com/afterchat/afterchat/internal/ledger"
)

// newReplayPage asks before a replay: what it would take in, and what it would change. What the lines of a request say of a
// visitor is hidden until somebody asks.
func newReplayPage(v *visit) (page.View, error) {
	l, f, _ := v.list("Replay", "replays")
	f.States = []ledger.State{ledger.Dead}
	out := page.NewReplay{Frame: l.Frame, Query: FormatQuery(f), Filter: l.Filter, PerSecond: DefaultReplayRate}
	out.Search, out.Static = "", true
	if l.SearchE != "" {
		return out, nil
	}
	ctx := v.Request().Context()
	var err error
	if out.Count, err = v.console.Ledger.Count(ctx, f, 0); err != nil {
		return nil, err
	}
	if out.Groups, err = v.console.failures(ctx, f); err != nil {
		return nil, err
	}
	newest, err := v.console.Ledger.Deliveries(ctx, f, ledger.Page{Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(newest.Items) == 1 && v.console.Render != nil {
		d := newest.Items[0]
		sample := page.Delivery{DeliveryRow: maskDeliveryRow(d)}
		if rendered, err := v.console.rendered(ctx, d.ID, d.Target, false); err != nil {
			sample.Error = err.Error()
		} else {
			difference := rendered.Difference
			if !v.revealed {
				if difference, out.Masked, err = v.console.maskDifference(ctx, d, difference); err != nil {
					return nil, err
				}
			}
			sample.Error, sample.Changes = rendered.Error, changedLines(difference)
		}
		out.Sample = &sample
	}
	return out, nil
}

// aroundChange is how many equal lines are shown before and after a changed one.
const aroundChange = 2

// changedLines are the lines of a difference that changed, with some around them.
func changedLines(difference []string) []page.Line {
	keep := make([]bool, len(difference))
	for i, line := range difference {
		if line[0] != ' ' {
			for j := max(0, i-aroundChange); j <= min(len(difference)-1, i+aroundChange); j++ {
				keep[j] = true
			}
		}
	}
	var out []page.Line
	for i, line := range difference {
		if keep[i] {
			out = append(out, page.Line{Sign: line[:1], Text: line[1:]})
		} else if i > 0 && keep[i-1] {
			out = append(out, page.Line{Sign: " ", Text: "…"})
		}
	}
	return out
}

// maskDifference hides what the lines of a difference say of the visitor, and tells whether that is anything. A line that
// is the same for the conversation as everybody may see it says nothing.
func (c *console) maskDifference(ctx context.Context, d ledger.DeliveryRow, difference []string) (lines []string, hidden bool, err error) {
	said, err := c.Ledger.Revision(ctx, d.ID, d.Revision)
	if err != nil {
		return nil, false, err
	}
	said.Normalize()
	said = maskChat(said)
	known := map[string]bool{}
	for _, pinned := range []bool{false, true} {
		rendered, err := c.Render(ctx, d, said, pinned)
		if err != nil {
			return nil, false, err
		}
		for _, line := range renderedLines(rendered) {
			known[line] = true
		}
	}
	for _, line := range difference {
		if !known[line[1:]] {
			line, hidden = maskLine(line), true
		}
		lines = append(lines, line)
	}
	return lines, hidden, nil
}

// What of a line of a request can be shown to everybody: a method with a host, a key, brackets.
var (
	lineOfAddress = regexp.MustCompile(`^([A-Z]+ https?://[^/?]*).*$`)
	lineOfKey     = regexp.MustCompile(`^( *"(?:[^"\\]|\\.)*": )(.+)$`)
	lineOfNoValue = regexp.MustCompile(`^ *(?:[{}\[\]]|\{\}|\[\])?,?$`)
)

// maskLine hides the values in a line of a difference and keeps their names.
func maskLine(line string) string {
	sign, text := line[:1], line[1:]
	if lineOfNoValue.MatchString(text) {
		return line
	}
	if parts := lineOfAddress.FindStringSubmatch(text); parts != nil {
		return sign + parts[1] + "/" + masked
	}
	if parts := lineOfKey.FindStringSubmatch(text); parts != nil {
		if lineOfNoValue.MatchString(parts[2]) {
			return line
		}
		return sign + parts[1] + masked
	}
	return sign + text[:len(text)-len(strings.TrimLeft(text, " "))] + masked
}
