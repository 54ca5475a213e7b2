// This file tests the names, labels and starting values of the series.

package metrics_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/metrics"
)

var update = flag.Bool("update", false, "write golden files anew")

// TestSeries writes down every series as /metrics shows it after a little of everything: what operators build upon.
func TestSeries(t *testing.T) {
	t.Parallel()
	m := metrics.New("v1", func() (metrics.Gauges, error) {
		return metrics.Gauges{
			Targets:     map[string]metrics.TargetGauges{"help": {Pending: 2, Dead: 1, OldestPending: 90 * time.Second, Overdue: time.Second, Paused: true}},
			Sources:     map[string]metrics.SourceGauges{"shop": {Silent: time.Minute, ExpectEvery: 24 * time.Hour}},
			Quarantined: 3, LedgerBytes: 4096, LedgerUsed: 3072, LedgerMax: 1 << 20,
		}, nil
	})
	m.Configured([]string{"shop"}, []string{"help"}, map[string][]string{"everything": {"help"}})
	m.Hook("shop", "accepted")
	m.Acked(2 * time.Millisecond)
	m.Conversation(&chat.Conversation{Source: "shop", Outcome: chat.Completed, Rating: new(4.0), FirstResponseSeconds: new(14.0)})
	m.Attempt("help", "ok", 30*time.Millisecond)
	m.Delivery("help", "delivered")
	m.ImportedDead("help")
	m.Uncertain("help")
	m.Fenced("help")
	m.MappingError("everything", "help")
	m.Committed(time.Millisecond, 3)
	m.Reloaded(true, time.UnixMilli(1500))
	m.Reloaded(false, time.UnixMilli(2500))
	families, err := m.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "afterchat_") || f.GetName() == "afterchat_build_info" {
			continue
		}
		got.WriteString("# " + f.GetName() + ": " + f.GetHelp() + "\n")
		for _, one := range f.GetMetric() {
			var labels []string
			for _, l := range one.GetLabel() {
				labels = append(labels, l.GetName()+"="+l.GetValue())
			}
			value := fmt.Sprint(one.GetCounter().GetValue() + one.GetGauge().GetValue())
			if h := one.GetHistogram(); h != nil {
				value = fmt.Sprintf("count:%d sum:%g", h.GetSampleCount(), h.GetSampleSum())
			}
			got.WriteString("{" + strings.Join(labels, ",") + "} " + strings.Join(strings.Fields(value), " ") + "\n")
		}
	}
	golden := filepath.Join("testdata", "series.txt")
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	problems, err := testutil.GatherAndLint(m.Registry())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestTheLedgerCannotBeRead: the gauges are left out, for 0 would look like nothing to do; what this process has counted
// is served, and the refused hooks among it.
func TestTheLedgerCannotBeRead(t *testing.T) {
	t.Parallel()
	m := metrics.New("v1", func() (metrics.Gauges, error) { return metrics.Gauges{}, errors.New("disk on fire") })
	m.Configured([]string{"shop"}, []string{"help"}, nil)
	m.Hook("shop", "unavailable")
	families, err := m.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, series := range f.GetMetric() {
			got[f.GetName()] += series.GetCounter().GetValue() + series.GetGauge().GetValue()
		}
	}
	if up, there := got["afterchat_ledger_up"]; !there || up != 0 {
		t.Errorf("afterchat_ledger_up: %v, there: %v", up, there)
	}
	if n := got["afterchat_hooks_total"]; n != 1 {
		t.Errorf("afterchat_hooks_total: %v", n)
	}
	for _, name := range []string{"afterchat_pending", "afterchat_dead", "afterchat_quarantined", "afterchat_ledger_bytes", "afterchat_source_silent_seconds"} {
		if _, there := got[name]; there {
			t.Errorf("%s is there", name)
		}
	}
}

// TestNilCountsNothing: an engine without metrics needs no checks.
func TestNilCountsNothing(t *testing.T) {
	t.Parallel()
	var m *metrics.Metrics
	m.Configured([]string{"shop"}, nil, nil)
	m.Hook("shop", "accepted")
	m.Acked(time.Second)
	m.Conversation(&chat.Conversation{})
	m.Attempt("help", "ok", 0)
	m.Delivery("help", "dead")
	m.Uncertain("help")
	m.Fenced("help")
	m.MappingError("a", "help")
	m.Committed(0, 1)
	m.Reloaded(true, time.Now())
}
