// This file fills the pages with lists, and the overview.

package console

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/console/page"
	"github.com/afterchat/afterchat/internal/ledger"
)

// ranges are the spans of the overview and the steps of their charts.
var ranges = map[string]struct{ span, step time.Duration }{
	"1h": {time.Hour, time.Minute}, "24h": {24 * time.Hour, 15 * time.Minute}, "7d": {7 * 24 * time.Hour, 2 * time.Hour},
}

func overviewPage(v *visit) (page.View, error) {
	o := page.Overview{Frame: v.frame("Overview", "overview"), Range: v.values.Get("range")}
	if _, known := ranges[o.Range]; !known {
		o.Range = "24h"
	}
	ctx := v.Request().Context()
	stats, err := v.console.Ledger.Stats(ctx)
	if err != nil {
		return nil, err
	}
	o.Stats = stats
	hooks, deliveries, err := v.history(o.Range)
	if err != nil {
		return nil, err
	}
	o.Hooks, o.Deliveries = hooks.chart, deliveries.chart
	o.HookCount, o.Delivered = o.Hooks.Total(0), o.Deliveries.Total(0)
	for _, t := range v.console.targets(stats) {
		o.Targets = append(o.Targets, v.targetView(t, stats.Targets[t.Name], deliveries))
		s := stats.Targets[t.Name]
		o.Pending, o.Dead = o.Pending+s.Pending, o.Dead+s.DeadRows
		if !s.OldestPending.IsZero() && (o.Oldest.IsZero() || s.OldestPending.Before(o.Oldest)) {
			o.Oldest = s.OldestPending
		}
	}
	for _, s := range v.console.sources(stats) {
		o.Sources = append(o.Sources, page.Source{
			Name: s.Name, Type: s.Type, Brand: s.Brand, LastHook: s.LastHookAt, Silent: s.Silent, Count: hooks.byName[s.Name],
			ExpectEvery: time.Duration(s.ExpectEverySeconds * float64(time.Second)),
		})
	}
	failures, err := v.console.failures(ctx, ledger.Filter{})
	if err != nil {
		return nil, err
	}
	o.Failures = failures[:min(len(failures), 8)]
	for i, a := range v.console.alerts(ctx, stats) {
		if i >= mostAlerts && a.Kind == "dead" {
			o.MoreAlerts++ // the smallest groups
			continue
		}
		o.Alerts = append(o.Alerts, page.Alert{Kind: a.Kind, Text: a.Text, Link: a.link(), Since: a.Since, Told: a.ToldAt, To: strings.Join(a.ToldTo, ", ")})
	}
	o.Alarms = v.alarms(stats)
	return o, nil
}

// mostAlerts is how many groups of dead deliveries the overview shows among the alerts.
const mostAlerts = 10

// link is where a person can do something about an alert.
func (a *Alert) link() string {
	switch a.Kind {
	case "dead":
		return "/failures?" + url.Values{"target": {a.Name}, "class": {a.Class}}.Encode()
	case "paused", "overdue":
		return "/targets#" + url.PathEscape(a.Name)
	case "silent":
		return "/conversations?" + url.Values{"from": {a.Name}}.Encode()
	case "quarantined":
		return "/quarantine"
	}
	return ""
}

// alarms is what should not stay as it is.
func (v *visit) alarms(stats ledger.Stats) []page.Alarm {
	var out []page.Alarm
	if err := v.console.ready(v.Request().Context()); err != nil {
		out = append(out, page.Alarm{Text: "No hook can be taken: " + err.Error(), Bad: true})
	}
	if stats.SetAside > 0 {
		out = append(out, page.Alarm{Text: "A damaged ledger is set aside; afterchat ledger repair takes what can be read of it into this one.", Bad: true})
	}
	if v.console.Config != nil {
		if config := v.console.Config(); config.LastError != "" {
			out = append(out, page.Alarm{Text: "The configuration files as they are now are not in force.", Link: "/configuration", Bad: true})
		}
	}
	return out
}

// history is what happened in a range.
type history struct {
	chart  page.Chart
	spark  map[string]page.Chart
	byName map[string]int64
}

// history reads the series of hooks and of attempts.
func (v *visit) history(name string) (hooks, attempts history, err error) {
	r := ranges[name]
	if hooks, err = v.seriesOf("source", r.span, r.step, []string{"plain"}, []string{"hooks"}, func(string) int { return 0 }); err != nil {
		return hooks, attempts, err
	}
	hooks.chart.Label = "hooks over the last " + name
	attempts, err = v.seriesOf("target", r.span, r.step, []string{"good", "warn", "bad"}, []string{"ok", "to be tried again", "refused"}, func(kind string) int {
		switch kind {
		case "ok":
			return 0
		case "temporary", "throttled", "denied", "shutdown", "panic":
			return 1
		}
		return 2
	})
	attempts.chart.Label = "attempts over the last " + name
	return hooks, attempts, err
}

// seriesOf reads one kind of series into a chart of all and one for each name.
func (v *visit) seriesOf(kind string, span, step time.Duration, parts, names []string, part func(what string) int) (history, error) {
	begin := v.now.Add(-span).Truncate(step).Add(step)
	bars := int(span / step)
	empty := func() page.Chart {
		c := page.Chart{Step: step, Parts: parts, Names: names, Bars: make([]page.Bar, bars)}
		for i := range c.Bars {
			c.Bars[i] = page.Bar{At: begin.Add(time.Duration(i) * step), Values: make([]int64, len(parts))}
		}
		return c
	}
	h := history{chart: empty(), spark: map[string]page.Chart{}, byName: map[string]int64{}}
	s, err := v.console.series(v.Request().Context(), kind, begin, step)
	if err != nil {
		return h, err
	}
	for _, p := range s.Points {
		i := int(p.At.Sub(begin) / step)
		if i < 0 || i >= bars {
			continue
		}
		if _, ok := h.spark[p.Name]; !ok {
			h.spark[p.Name] = empty()
		}
		h.chart.Bars[i].Values[part(p.What)] += p.Count
		h.spark[p.Name].Bars[i].Values[part(p.What)] += p.Count
		h.byName[p.Name] += p.Count
	}
	return h, nil
}

func targetsPage(v *visit) (page.View, error) {
	stats, err := v.console.Ledger.Stats(v.Request().Context())
	if err != nil {
		return nil, err
	}
	_, attempts, err := v.history("24h")
	if err != nil {
		return nil, err
	}
	out := page.Targets{Frame: v.frame("Targets", "targets")}
	for _, t := range v.console.targets(stats) {
		out.Targets = append(out.Targets, v.targetView(t, stats.Targets[t.Name], attempts))
	}
	return out, nil
}

// targetView says how a target is.
func (v *visit) targetView(t Target, s ledger.TargetStats, attempts history) page.Target {
	t = maskTarget(t)
	out := page.Target{
		Name: t.Name, Type: t.Type, HeldUntil: t.HeldUntil, Stats: s, InFlight: t.InFlight, LastSuccess: t.LastSuccessAt,
		LastFailure: t.LastFailureAt, LastError: t.LastError, Rate: t.Rate, Workers: t.Workers, Gone: !t.Configured,
		Checkable: t.Configured, Spark: attempts.spark[t.Name],
	}
	out.Spark.Label = "attempts to " + t.Name + " over the last 24h"
	if use := t.RateUse; use != nil {
		over := time.Duration(use.OverSeconds * float64(time.Second))
		out.Used, out.UsedUp = fmt.Sprintf("%d of %.0f in %s", use.Used, use.Allowed, page.Span(over)), use.UsedUp
		out.Percent = int(100 * float64(use.Used) / use.Allowed)
	}
	if took := t.Attempts; took != nil {
		out.Took, out.P50, out.P95 = true, duration(took.P50Milliseconds), duration(took.P95Milliseconds)
	}
	if t.Pause != nil {
		out.Paused, out.Since, out.NextProbe, out.Reason = true, t.Pause.Since, t.Pause.NextProbeAt, t.Pause.Reason
		out.ByOperator = t.Pause.NextProbeAt.IsZero()
	}
	switch {
	case out.Gone:
		out.Health = "gone"
	case out.Paused:
		out.Health = "paused"
	case t.LastFailureAt.After(t.LastSuccessAt):
		out.Health = "failing"
	case !t.HeldUntil.IsZero():
		out.Health = "waiting"
	default:
		out.Health = "ok"
	}
	return out
}

func duration(milliseconds float64) time.Duration {
	return time.Duration(milliseconds * float64(time.Millisecond))
}

func conversationsPage(v *visit) (page.View, error) {
	l, f, p := v.list("Conversations", "conversations")
	out := page.Conversations{List: l}
	ctx := v.Request().Context()
	stats, err := v.console.Ledger.Stats(ctx)
	if err != nil {
		return nil, err
	}
	targets, sources := v.names(stats)
	out.Facets = []page.Facet{
		v.facet("from", "Source", sources), v.facet("target", "Target", targets), v.facet("state", "State", stateNames),
		v.facet("outcome", "Outcome", outcomes()), v.facet("is", "Is", []string{"unrouted"}),
	}
	if out.SearchE != "" {
		return out, nil
	}
	rows, err := v.console.Ledger.Conversations(ctx, withoutAlerts(f), p)
	if err != nil {
		return nil, err
	}
	out.Rows, out.Next = rows.Items, rows.Next
	if !v.revealed {
		out.Rows = each(out.Rows, maskRow)
	}
	out.Masked, out.Static = !v.revealed, v.revealed
	return out, nil
}

func outcomes() []string {
	var out []string
	for _, o := range chat.Outcomes() {
		out = append(out, string(o))
	}
	return out
}

func maskRow(r ledger.ConversationRow) ledger.ConversationRow {
	r.Visitor, r.Email = maskName(r.Visitor), maskEmail(r.Email)
	if r.Opening != "" {
		r.Opening = masked
	}
	return r
}

func maskDeliveryRow(d ledger.DeliveryRow) ledger.DeliveryRow {
	d.Visitor, d.Email, d.Reason = maskName(d.Visitor), maskEmail(d.Email), WithoutAnswer(d.Reason)
	return d
}

// failures are groups of failures as the pages show them: those have nothing to ask for what is hidden.
func (c *console) failures(ctx context.Context, f ledger.Filter) ([]ledger.Failure, error) {
	groups, err := c.Ledger.Failures(ctx, f)
	return each(groups, func(g ledger.Failure) ledger.Failure {
		g.Reason = WithoutAnswer(g.Reason)
		return g
	}), err
}

// mostCounted is how far the deliveries of a filter are counted.
const mostCounted = 10_000

func deliveriesPage(v *visit) (page.View, error) {
	l, f, p := v.list("Deliveries", "deliveries")
	out := page.Deliveries{List: l}
	if _, err := v.deliveryFacets(&out.List); err != nil {
		return nil, err
	}
	if out.SearchE != "" {
		return out, nil
	}
	ctx := v.Request().Context()
	rows, err := v.console.Ledger.Deliveries(ctx, f, p)
	if err != nil {
		return nil, err
	}
	out.Rows, out.Next = rows.Items, rows.Next
	if !v.revealed {
		out.Rows = each(out.Rows, maskDeliveryRow)
	}
	out.Masked, out.Static = !v.revealed, v.revealed
	if out.Total, err = v.console.Ledger.Count(ctx, f, mostCounted+1); err != nil {
		return nil, err
	}
	out.Total, out.More = min(out.Total, mostCounted), out.Total > mostCounted
	return out, nil
}

// deliveryFacets offers what deliveries can be filtered by, with the classes of what fails now. It returns all that fails.
func (v *visit) deliveryFacets(l *page.List) ([]ledger.Failure, error) {
	ctx := v.Request().Context()
	stats, err := v.console.Ledger.Stats(ctx)
	if err != nil {
		return nil, err
	}
	failures, err := v.console.failures(ctx, ledger.Filter{})
	if err != nil {
		return nil, err
	}
	var classes []string
	for _, f := range failures {
		if f.Class != "" && !slices.Contains(classes, f.Class) {
			classes = append(classes, f.Class)
		}
	}
	targets, sources := v.names(stats)
	l.Facets = []page.Facet{
		v.facet("target", "Target", targets), v.facet("state", "State", stateNames), v.facet("class", "Class", classes), v.facet("from", "Source", sources),
	}
	return failures, nil
}

func failuresPage(v *visit) (page.View, error) {
	l, f, _ := v.list("Failures", "failures")
	out := page.Failures{List: l}
	all, err := v.deliveryFacets(&out.List)
	if err != nil || out.SearchE != "" {
		return out, err
	}
	if len(out.Filter) == 0 {
		out.Groups = all
		return out, nil
	}
	out.Groups, err = v.console.failures(v.Request().Context(), f)
	return out, err
}

func quarantinePage(v *visit) (page.View, error) {
	l, _, p := v.list("Quarantine", "quarantine")
	out := page.Quarantine{List: l}
	out.Timeless = true
	ctx := v.Request().Context()
	stats, err := v.console.Ledger.Stats(ctx)
	if err != nil {
		return nil, err
	}
	_, sources := v.names(stats)
	out.Facets = []page.Facet{v.facet("from", "Source", sources)}
	rows, err := v.console.Ledger.Quarantined(ctx, l.Filter["from"], p) // without scripts an empty field is in the address, too
	if err != nil {
		return nil, err
	}
	out.Rows, out.Next = rows.Items, rows.Next
	return out, nil
}

func replaysPage(v *visit) (page.View, error) {
	l, _, p := v.list("Replays", "replays")
	out := page.Replays{List: l}
	rows, err := v.console.Ledger.ReplayJobs(v.Request().Context(), p)
	if err != nil {
		return nil, err
	}
	out.Next = rows.Next
	out.Rows = each(rows.Items, func(j ledger.ReplayJob) page.Job {
		job := page.Job{ReplayJob: j, Query: FormatQuery(j.Filter)}
		if v.mask() {
			job.Query = FormatQuery(maskFilter(j.Filter))
		}
		return job
	})
	return out, nil
}

// maskFilter hides what a filter says of a visitor.
func maskFilter(f ledger.Filter) ledger.Filter {
	f.Emails = each(f.Emails, maskEmail)
	f.Text = each(f.Text, func(string) string { return masked })
	return f
}

func auditPage(v *visit) (page.View, error) {
	p, err := v.page()
	if err != nil {
		return nil, err
	}
	lines, err := v.console.Ledger.AuditLog(v.Request().Context(), p)
	if err != nil {
		return nil, err
	}
	return page.AuditLog{
		List: page.List{Frame: v.frame("Audit log", "audit"), Filter: url.Values{}, First: p.After == "", Next: lines.Next},
		Rows: lines.Items,
	}, nil
}
