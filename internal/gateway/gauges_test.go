// This file tests what /metrics shows while the ledger cannot be read.

package gateway

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/internal/ledger"
)

// deafLedger is a ledger whose database is down.
type deafLedger struct{ Ledger }

func (deafLedger) Stats(context.Context) (ledger.Stats, error) {
	return ledger.Stats{}, errors.New("connection refused")
}

// TestMetricsWithoutLedger: the alert on refused hooks needs /metrics most while the database is down.
func TestMetricsWithoutLedger(t *testing.T) {
	t.Parallel()
	g := New(&config.Config{Sources: []config.Source{{Name: "shop"}}}, Options{Logger: slog.New(slog.DiscardHandler)})
	g.ledger = deafLedger{}
	g.metrics.Hook("shop", "unavailable")
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(g.metrics.Registry(), promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	text := answer.Body.String()
	if answer.Code != http.StatusOK {
		t.Errorf("%d %s", answer.Code, text)
	}
	for _, line := range []string{"afterchat_ledger_up 0", `afterchat_hooks_total{result="unavailable",source="shop"} 1`} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("%s is missing", line)
		}
	}
	if strings.Contains(text, "afterchat_quarantined") {
		t.Error("gauges of a ledger that cannot be read are there")
	}
}
