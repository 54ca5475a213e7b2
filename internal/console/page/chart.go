// This file draws charts as SVG, of attributes and classes alone: the policy of the pages allows no styles within.

package page

import (
	"fmt"
	"html/template"
	"strings"
	"time"
)

// Chart is a row of bars, each with its parts on top of each other.
type Chart struct {
	Label string // what a screen reader says
	Step  time.Duration
	Bars  []Bar
	Parts []string // classes of the parts, such as good and bad, from below
	Names []string // of the parts, for people
}

// Bar is one interval.
type Bar struct {
	At     time.Time
	Values []int64 // of the parts
}

// Total is the sum of one part.
func (c Chart) Total(part int) (sum int64) {
	for _, b := range c.Bars {
		if part < len(b.Values) {
			sum += b.Values[part]
		}
	}
	return sum
}

// Max is the highest bar.
func (c Chart) Max() int64 {
	highest := int64(0)
	for _, b := range c.Bars {
		sum := int64(0)
		for _, v := range b.Values {
			sum += v
		}
		highest = max(highest, sum)
	}
	return highest
}

const chartHeight = 100

// SVG draws the chart. Bars have a title each, so that a pointer tells the numbers.
func (c Chart) SVG() template.HTML {
	const slot, width = 10, 8
	var b strings.Builder
	highest := max(c.Max(), 1)
	fmt.Fprintf(&b, `<svg class="chart" viewBox="0 0 %d %d" preserveAspectRatio="none" role="img" aria-label="%s">`,
		max(len(c.Bars), 1)*slot, chartHeight, template.HTMLEscapeString(c.Label))
	for i, bar := range c.Bars {
		fmt.Fprintf(&b, `<g><title>%s</title>`, template.HTMLEscapeString(c.title(bar)))
		fmt.Fprintf(&b, `<rect class="slot" x="%d" y="0" width="%d" height="%d"/>`, i*slot, slot, chartHeight)
		y := float64(chartHeight)
		for part, value := range bar.Values {
			if value <= 0 {
				continue
			}
			height := max(float64(value)/float64(highest)*chartHeight, 2)
			y -= height
			fmt.Fprintf(&b, `<rect class="%s" x="%d" y="%.1f" width="%d" height="%.1f"/>`, c.Parts[part], i*slot+1, y, width, height)
		}
		b.WriteString(`</g>`)
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) //nolint:gosec // every text in it is escaped above
}

func (c Chart) title(bar Bar) string {
	layout := "15:04"
	if c.Step >= 24*time.Hour {
		layout = "2006-01-02"
	} else if c.Step >= time.Hour {
		layout = "2006-01-02 15:04"
	}
	lines := []string{bar.At.UTC().Format(layout) + " UTC"}
	for part, value := range bar.Values {
		lines = append(lines, number(value)+" "+c.Names[part])
	}
	return strings.Join(lines, "\n")
}
