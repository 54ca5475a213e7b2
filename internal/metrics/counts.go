// This file reads counters back, for the series that the ledger keeps.

package metrics

import "github.com/prometheus/client_golang/prometheus"

// Count is one counter since the start of the process.
type Count struct {
	Kind string // source or target
	Name string
	What string // the result of hooks, or the kind of attempts
	N    int64
}

// Counts returns the hooks by source and result, and the attempts by target and kind.
func (m *Metrics) Counts() ([]Count, error) {
	if m == nil {
		return nil, nil
	}
	var out []Count
	for _, c := range []struct {
		kind, name, what string
		vector           *prometheus.CounterVec
	}{{"source", "source", "result", m.hooks}, {"target", "target", "kind", m.attempts}} {
		registry := prometheus.NewRegistry()
		if err := registry.Register(c.vector); err != nil {
			return nil, err
		}
		families, err := registry.Gather()
		if err != nil {
			return nil, err
		}
		for _, family := range families {
			for _, metric := range family.GetMetric() {
				one := Count{Kind: c.kind, N: int64(metric.GetCounter().GetValue())}
				for _, label := range metric.GetLabel() {
					switch label.GetName() {
					case c.name:
						one.Name = label.GetValue()
					case c.what:
						one.What = label.GetValue()
					}
				}
				out = append(out, one)
			}
		}
	}
	return out, nil
}
