// Package metrics holds every Prometheus series of afterchat in one place.
//
// Labels are configured names and closed enums only, never anything from a conversation. Every label set that can be
// known at the start is there at 0, so that an alert on a rate sees the first event. There are no globals: each gateway
// has its own registry.
package metrics

import (
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/afterchat/afterchat/internal/chat"
)

// HookResults are the values of result in afterchat_hooks_total.
func HookResults() []string {
	return []string{
		"accepted", "repeated", "revised", "stale", "quarantined", "probe", "unrouted",
		"too_large", "too_slow", "unauthorized", "unavailable", "bad_request",
	}
}

// Outcomes are the values of outcome in afterchat_deliveries_total.
func Outcomes() []string { return []string{"delivered", "dead", "superseded"} }

// Kinds are the values of kind in afterchat_attempts_total.
func Kinds() []string {
	return []string{"ok", "temporary", "throttled", "rejected", "denied", "mapping", "panic", "crash", "uncertain", "shutdown"}
}

// Gauges are read at every scrape.
type Gauges struct {
	Targets map[string]TargetGauges
	Sources map[string]SourceGauges

	Quarantined int64
	LedgerBytes int64
	LedgerUsed  int64 // bytes that count to LedgerMax
	LedgerMax   int64 // at which hooks are refused; 0: no limit

	LedgerSetAside bool // a damaged ledger lies beside the one in use
}

// TargetGauges are the gauges of one target.
type TargetGauges struct {
	Pending, Dead int64
	OldestPending time.Duration // age of the oldest pending delivery
	Overdue       time.Duration // how long the delivery that has waited longest could have been tried and was not
	Paused        bool
}

// SourceGauges are the gauges of one source.
type SourceGauges struct {
	Silent      time.Duration // since its last hook, or since the start
	ExpectEvery time.Duration // expect_every; 0: nothing is expected
}

// Metrics is the set of series of one gateway. A nil *Metrics counts nothing, for tests.
type Metrics struct {
	registry *prometheus.Registry

	hooks         *prometheus.CounterVec
	ack           prometheus.Histogram
	deliveries    *prometheus.CounterVec
	importedDead  *prometheus.CounterVec
	attempts      *prometheus.CounterVec
	own           *prometheus.CounterVec // of attempts, those of alerts; not served
	attempt       *prometheus.HistogramVec
	uncertain     *prometheus.CounterVec
	fenced        *prometheus.CounterVec
	mappingErrors *prometheus.CounterVec
	commit        prometheus.Histogram
	batch         prometheus.Histogram
	reloaded      prometheus.Gauge
	reloadedAt    prometheus.Gauge

	conversations *prometheus.CounterVec
	rating        *prometheus.HistogramVec
	firstResponse *prometheus.HistogramVec
}

// New makes the series. read is called at every scrape; nil leaves the gauges out, and an error all but
// afterchat_ledger_up.
func New(version string, read func() (Gauges, error)) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "afterchat_" + name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{Name: "afterchat_" + name, Help: help, Buckets: buckets}
	}
	fast := []float64{.0005, .001, .002, .005, .01, .02, .05, .1, .25, .5, 1, 3, 10}
	slow := []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	m := &Metrics{
		registry:      prometheus.NewRegistry(),
		hooks:         counter("hooks_total", "Hooks by what they turned out to be.", "source", "result"),
		ack:           prometheus.NewHistogram(histogram("ack_seconds", "Time to answer a hook that was stored, fsync included.", fast)),
		deliveries:    counter("deliveries_total", "Deliveries that came to an end.", "target", "outcome"),
		importedDead:  counter("imported_dead_total", "Of the deliveries that died, those that only imported hooks have asked for.", "target"),
		attempts:      counter("attempts_total", "Attempts by what they came to.", "target", "kind"),
		own:           counter("own_attempts", "Attempts of alerts.", "target", "kind"),
		attempt:       prometheus.NewHistogramVec(histogram("attempt_seconds", "Duration of an attempt.", slow), []string{"target"}),
		uncertain:     counter("uncertain_total", "Attempts that may have been taken although they failed.", "target"),
		fenced:        counter("fenced_total", "Attempts that ended after their lease had gone to another worker, so that what they came to was not written down.", "target"),
		mappingErrors: counter("mapping_errors_total", "Deliveries that could not be rendered.", "route", "target"),
		commit:        prometheus.NewHistogram(histogram("ledger_commit_seconds", "Duration of a ledger transaction, fsync included.", fast)),
		batch:         prometheus.NewHistogram(histogram("ledger_batch_size", "Operations that shared one transaction.", []float64{1, 2, 4, 8, 16, 32, 64, 128, 256})),
		reloaded:      prometheus.NewGauge(prometheus.GaugeOpts{Name: "afterchat_config_last_reload_successful", Help: "1 if the configuration file as it is now is in use."}),
		reloadedAt:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "afterchat_config_last_reload_success_timestamp_seconds", Help: "When the configuration in use was loaded."}),
		conversations: counter("conversations_total", "Conversations by outcome, each counted once.", "source", "outcome"),
		rating:        prometheus.NewHistogramVec(histogram("rating", "Ratings of conversations, each counted once.", []float64{1, 2, 3, 4, 5}), []string{"source"}),
		firstResponse: prometheus.NewHistogramVec(histogram("first_response_seconds", "Wait for the first answer of a person, each conversation counted once.", []float64{5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600}), []string{"source"}),
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "afterchat_build_info", Help: "1, with the version in its labels.",
		ConstLabels: prometheus.Labels{"version": version, "go_version": runtime.Version()},
	})
	info.Set(1)
	m.registry.MustRegister(
		m.hooks, m.ack, m.deliveries, m.importedDead, m.attempts, m.attempt, m.uncertain, m.fenced, m.mappingErrors, m.commit, m.batch,
		m.reloaded, m.reloadedAt, m.conversations, m.rating, m.firstResponse, info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	if read != nil {
		m.registry.MustRegister(newGaugeCollector(read))
	}
	return m
}

// Registry returns what /metrics serves.
func (m *Metrics) Registry() *prometheus.Registry { return m.registry }

// Configured sets every series of these sources, targets and routes to 0 if it is not there yet.
func (m *Metrics) Configured(sources, targets []string, routes map[string][]string) {
	if m == nil {
		return
	}
	for _, source := range sources {
		for _, result := range HookResults() {
			m.hooks.WithLabelValues(source, result)
		}
		for _, outcome := range chat.Outcomes() {
			m.conversations.WithLabelValues(source, string(outcome))
		}
		m.rating.WithLabelValues(source)
		m.firstResponse.WithLabelValues(source)
	}
	for _, target := range targets {
		for _, outcome := range Outcomes() {
			m.deliveries.WithLabelValues(target, outcome)
		}
		m.importedDead.WithLabelValues(target)
		for _, kind := range Kinds() {
			m.attempts.WithLabelValues(target, kind)
		}
		m.attempt.WithLabelValues(target)
		m.uncertain.WithLabelValues(target)
		m.fenced.WithLabelValues(target)
	}
	for route, to := range routes {
		for _, target := range to {
			m.mappingErrors.WithLabelValues(route, target)
		}
	}
}

// Hook counts a hook. result is one of HookResults.
func (m *Metrics) Hook(source, result string) {
	if m != nil {
		m.hooks.WithLabelValues(source, result).Inc()
	}
}

// Acked observes the time to answer a hook that was stored.
func (m *Metrics) Acked(d time.Duration) {
	if m != nil {
		m.ack.Observe(d.Seconds())
	}
}

// Conversation counts a conversation that is seen for the first time.
func (m *Metrics) Conversation(c *chat.Conversation) {
	if m == nil {
		return
	}
	outcome := c.Outcome
	if !slices.Contains(chat.Outcomes(), outcome) {
		outcome = chat.Unknown
	}
	m.conversations.WithLabelValues(c.Source, string(outcome)).Inc()
	if c.Rating != nil {
		m.rating.WithLabelValues(c.Source).Observe(*c.Rating)
	}
	if c.FirstResponseSeconds != nil {
		m.firstResponse.WithLabelValues(c.Source).Observe(*c.FirstResponseSeconds)
	}
}

// Attempt counts an attempt and observes its duration. kind is one of Kinds.
func (m *Metrics) Attempt(target, kind string, d time.Duration) {
	if m != nil {
		m.attempts.WithLabelValues(target, kind).Inc()
		m.attempt.WithLabelValues(target).Observe(d.Seconds())
	}
}

// OwnAttempt says that the attempt that is counted next is of an alert, so that Counts leaves it out.
func (m *Metrics) OwnAttempt(target, kind string) {
	if m != nil {
		m.own.WithLabelValues(target, kind).Inc()
	}
}

// Delivery counts a delivery that came to an end. outcome is one of Outcomes.
func (m *Metrics) Delivery(target, outcome string) {
	if m != nil {
		m.deliveries.WithLabelValues(target, outcome).Inc()
	}
}

// ImportedDead says that the delivery that died was only asked for by imported hooks: nobody is to be called.
func (m *Metrics) ImportedDead(target string) {
	if m != nil {
		m.importedDead.WithLabelValues(target).Inc()
	}
}

// Uncertain counts an attempt that may have been taken although it failed.
func (m *Metrics) Uncertain(target string) {
	if m != nil {
		m.uncertain.WithLabelValues(target).Inc()
	}
}

// Fenced counts an attempt that ended after its lease had gone to another worker.
func (m *Metrics) Fenced(target string) {
	if m != nil {
		m.fenced.WithLabelValues(target).Inc()
	}
}

// MappingError counts a delivery that could not be rendered.
func (m *Metrics) MappingError(route, target string) {
	if m != nil {
		m.mappingErrors.WithLabelValues(route, target).Inc()
	}
}

// Committed observes a ledger transaction.
func (m *Metrics) Committed(d time.Duration, operations int) {
	if m != nil {
		m.commit.Observe(d.Seconds())
		m.batch.Observe(float64(operations))
	}
}

// Reloaded tells whether the configuration as it is on disk is in use since now.
func (m *Metrics) Reloaded(ok bool, now time.Time) {
	if m == nil {
		return
	}
	if !ok {
		m.reloaded.Set(0)
		return
	}
	m.reloaded.Set(1)
	m.reloadedAt.Set(float64(now.UnixMilli()) / 1000)
}
