// This file reads the gauges from the ledger at every scrape, so that they are right after a restart and never drift. If
// it cannot be read, they are left out, afterchat_ledger_up says so, and everything else is served all the same.

package metrics

import "github.com/prometheus/client_golang/prometheus"

type gaugeCollector struct {
	read func() (Gauges, error)

	up, pending, oldest, overdue, dead, paused, silent, expected, quarantined, bytes, used, limit, setAside *prometheus.Desc
}

func newGaugeCollector(read func() (Gauges, error)) *gaugeCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("afterchat_"+name, help, labels, nil)
	}
	return &gaugeCollector{
		read:        read,
		up:          desc("ledger_up", "1 if the ledger could be read for this scrape; else the series of what it holds are missing."),
		pending:     desc("pending", "Deliveries that wait or are being tried.", "target"),
		oldest:      desc("oldest_pending_seconds", "Age of the oldest pending delivery; 0 without one.", "target"),
		overdue:     desc("overdue_seconds", "How long the delivery that has waited longest could have been tried and was not; waiting for a pause, the target's rate or its wish for no more does not count.", "target"),
		dead:        desc("dead", "Dead deliveries that can be replayed.", "target"),
		paused:      desc("target_paused", "1 while the target is paused.", "target"),
		silent:      desc("source_silent_seconds", "Time since the source's last hook.", "source"),
		expected:    desc("source_expect_every_seconds", "How long the source may be silent at most; 0: not said.", "source"),
		quarantined: desc("quarantined", "Hooks in quarantine."),
		bytes:       desc("ledger_bytes", "Size of the ledger on disk."),
		used:        desc("ledger_used_bytes", "What of the ledger's size counts to ledger.retention.max_size: free pages and the log do not."),
		limit:       desc("ledger_max_bytes", "ledger.retention.max_size, at which hooks are refused; 0: no limit."),
		setAside:    desc("ledger_set_aside", "1 while a damaged ledger lies beside the one in use and has not been repaired."),
	}
}

// Describe implements prometheus.Collector.
func (g *gaugeCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.up, g.pending, g.oldest, g.overdue, g.dead, g.paused, g.silent, g.expected, g.quarantined, g.bytes, g.used, g.limit, g.setAside} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (g *gaugeCollector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	values, err := g.read()
	if err != nil {
		gauge(g.up, 0)
		return
	}
	gauge(g.up, 1)
	for name, t := range values.Targets {
		paused := 0.0
		if t.Paused {
			paused = 1
		}
		gauge(g.pending, float64(t.Pending), name)
		gauge(g.oldest, t.OldestPending.Seconds(), name)
		gauge(g.overdue, t.Overdue.Seconds(), name)
		gauge(g.dead, float64(t.Dead), name)
		gauge(g.paused, paused, name)
	}
	for name, s := range values.Sources {
		gauge(g.silent, s.Silent.Seconds(), name)
		gauge(g.expected, s.ExpectEvery.Seconds(), name)
	}
	gauge(g.quarantined, float64(values.Quarantined))
	gauge(g.bytes, float64(values.LedgerBytes))
	gauge(g.used, float64(values.LedgerUsed))
	gauge(g.limit, float64(values.LedgerMax))
	setAside := 0.0
	if values.LedgerSetAside {
		setAside = 1
	}
	gauge(g.setAside, setAside)
}
