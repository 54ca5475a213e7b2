// This file holds the figures of the benchmarks: what equal windows have measured, their spread, and the table.

package cmd_test

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// table collects lines. goal is "" where there is none; ok says whether it was met.
type table struct{ lines []string }

func (t *table) add(what, figure, share, goal string, ok bool) {
	verdict := ""
	if goal != "" {
		if verdict = "met"; !ok {
			verdict = "MISSED"
		}
	}
	t.lines = append(t.lines, strings.Join([]string{what, figure, share, goal, verdict}, "\t"))
}

func (t *table) print(title string) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "\n%s\tmeasured\tof the ceiling\tgoal\t\n", title)
	_, _ = io.WriteString(w, strings.Join(t.lines, "\n")+"\n")
	_ = w.Flush()
}

// values are one figure of equal windows.
type values []float64

func (v values) middle() float64 {
	sorted := slices.Sorted(slices.Values(v))
	return (sorted[(len(v)-1)/2] + sorted[len(v)/2]) / 2
}

// text is the median and, of several windows, the least and the most.
func (v values) text(unit string) string {
	if len(v) == 1 {
		return fmt.Sprintf("%.0f%s", v[0], unit)
	}
	return fmt.Sprintf("%.0f%s (%.0f–%.0f)", v.middle(), unit, slices.Min(v), slices.Max(v))
}

// percent is text of shares.
func (v values) percent() string {
	hundred := make(values, len(v))
	for i := range v {
		hundred[i] = 100 * v[i]
	}
	return hundred.text(" %")
}

// latencies are sorted.
type latencies []time.Duration

func (l latencies) at(share float64) time.Duration {
	if len(l) == 0 {
		return 0
	}
	return l[min(int(share*float64(len(l))), len(l)-1)]
}

// sample is what equal windows of an open loop have measured.
type sample []latencies

// whole is all windows as one.
func (s sample) whole() latencies {
	return slices.Sorted(slices.Values(slices.Concat(s...)))
}

func (s sample) at(share float64) time.Duration { return s.whole().at(share) }

// apart is how far the windows are from each other.
func (s sample) apart(share float64) time.Duration {
	least, most := s.extremes(share)
	return most - least
}

func (s sample) extremes(share float64) (least, most time.Duration) {
	least = s[0].at(share)
	for _, l := range s {
		least, most = min(least, l.at(share)), max(most, l.at(share))
	}
	return least, most
}

// text tells p50, p99 and p99.9 of all windows as one, and the windows' own.
func (s sample) text() string {
	whole := s.whole()
	one := func(name string, share float64) string {
		if len(s) == 1 {
			return name + " " + ms(whole.at(share))
		}
		least, most := s.extremes(share)
		return fmt.Sprintf("%s %s (%.2f–%.2f)", name, ms(whole.at(share)), inMS(least), inMS(most))
	}
	return one("p50", .5) + ", " + one("p99", .99) + ", p99.9 " + ms(whole.at(.999))
}

func inMS(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", inMS(d)) }
