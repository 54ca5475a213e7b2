// This file tests the warning that comes before the ledger is full.

package gateway

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/afterchat/afterchat/config"
	"github.com/afterchat/afterchat/internal/ledger"
)

// fullLedger is a ledger of which so much is used.
type fullLedger struct {
	Ledger
	used int64
}

func (l *fullLedger) Ready(context.Context) error { return nil }

func (l *fullLedger) Stats(context.Context) (ledger.Stats, error) {
	return ledger.Stats{Used: l.used, Bytes: l.used}, nil
}

// TestNearlyFull: what retention cannot help is told before hooks are refused, in the log once an hour.
func TestNearlyFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		cfg := &config.Config{}
		cfg.Ledger.Retention.MaxSize = 100 << 20
		g := New(cfg, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		full := &fullLedger{}
		g.ledger = full
		g.setup.Store(&setup{config: cfg})
		minute := func(used int64) string {
			full.used = used << 20
			g.crowd.look(t.Context(), g) // as after each run of retention
			stats, err := full.Stats(t.Context())
			troubles := g.troubles(t.Context(), stats, err, time.Now())
			<-time.After(time.Minute)
			return strings.Join(troubles, "\n")
		}
		for i, c := range []struct {
			used int64
			told bool
		}{{89, false}, {95, false}, {96, true}, {96, true}, {85, false}, {95, false}, {80, false}} {
			if told := minute(c.used); (told != "") != c.told {
				t.Errorf("minute %d, %d %% used: %q", i, c.used, told)
			}
		}
		if told := minute(95) + minute(97); !strings.Contains(told, "nearly full, 97 of 100 MiB") {
			t.Error(told)
		}
		for range 120 {
			minute(97)
		}
		if n := strings.Count(log.String(), "nearly full"); n != 3 {
			t.Errorf("%d lines in two hours, want 3:\n%s", n, log.String())
		}
		cfg.Ledger.Retention.MaxSize = 0
		if told := minute(97) + minute(97); told != "" {
			t.Errorf("without a limit: %s", told)
		}
	})
}
