// This file reads counters back, for the series that the ledger keeps.

package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// Count is one counter since the start of the process.
type Count struct {
	Kind string // source or target
	Name string
	What string // the result of hooks, or the kind of attempts
	N    int64
}

// Counts returns the hooks by source and result, and the attempts by target and kind, but for those of alerts.
func (m *Metrics) Counts() ([]Count, error) {
	if m == nil {
		return nil, nil
	}
	hooks, err := read(m.hooks, Count{Kind: "source"}, "source", "result")
	if err != nil {
		return nil, err
	}
	attempts, err := read(m.attempts, Count{Kind: "target"}, "target", "kind")
	if err != nil {
		return nil, err
	}
	own, err := read(m.own, Count{Kind: "target"}, "target", "kind")
	if err != nil {
		return nil, err
	}
	for _, o := range own {
		for i := range attempts {
			if a := &attempts[i]; a.Name == o.Name && a.What == o.What {
				a.N -= o.N
			}
		}
	}
	return slices.Concat(hooks, attempts), nil
}

// read returns the counters of a vector. name and what are its labels.
func read(vector *prometheus.CounterVec, base Count, name, what string) (out []Count, err error) {
	registry := prometheus.NewRegistry()
	if err := registry.Register(vector); err != nil {
		return nil, err
	}
	families, err := registry.Gather()
	if err != nil {
		return nil, err
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			one := base
			one.N = int64(metric.GetCounter().GetValue())
			for _, label := range metric.GetLabel() {
				switch label.GetName() {
				case name:
					one.Name = label.GetValue()
				case what:
					one.What = label.GetValue()
				}
			}
			out = append(out, one)
		}
	}
	return out, nil
}
