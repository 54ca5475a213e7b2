// This file measures durable acknowledgements beside the same server with the ledger switched off, in one run.

package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/intake"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/sqlite"
	"github.com/afterchat/afterchat/internal/source"
	"github.com/afterchat/afterchat/internal/source/smartsupp"
)

// noLedger acknowledges without storing anything.
type noLedger struct{}

func (noLedger) Accept(_ context.Context, h ledger.Hook) (ledger.Acceptance, error) {
	h.Plan(h.Conversation.ID, 1)
	return ledger.Acceptance{ID: h.Conversation.ID, Revision: 1, Result: ledger.Accepted}, nil
}

func (noLedger) Quarantine(context.Context, ledger.Unreadable) (ledger.Quarantined, error) {
	return ledger.Quarantined{}, nil
}

const (
	benchConnections = 64
	benchRound       = 2 * time.Second
	benchRounds      = 3
)

// benchBody is a hook of about 4 kB; every id is another conversation.
func benchBody(id int64) []byte {
	var b bytes.Buffer
	_, _ = fmt.Fprintf(&b, `{"accountId":208,"beginAt":1427470439703,"endAt":1427470476687,"channel":{"id":%d,"isCompleted":true,"rating":5},"visitor":{"id":1,"name":"Ada","email":"ada@example.com"},"messages":[`, id)
	for i := range 20 {
		if i > 0 {
			b.WriteByte(',')
		}
		_, _ = fmt.Fprintf(&b, `{"type":"visitor","name":"Ada","from":"visitor:a","content":"%s %d","sentAt":%d,"triggeredBy":null}`,
			strings.Repeat("words ", 15), id*31+int64(i), 1427470439703+i*1000)
	}
	b.WriteString("]}")
	return b.Bytes()
}

func BenchmarkGatewayAcknowledgements(b *testing.B) {
	store, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "ledger.db"), sqlite.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	durable, plain := benchServer(b, store), benchServer(b, noLedger{})
	var next atomic.Int64
	b.ResetTimer()
	var rates, ceilings, ratios []float64
	for range b.N {
		for range benchRounds {
			rate, ceiling := acknowledged(b, durable, &next), acknowledged(b, plain, &next)
			rates, ceilings, ratios = append(rates, rate), append(ceilings, ceiling), append(ratios, rate/ceiling)
		}
	}
	b.StopTimer()
	b.ReportMetric(median(rates), "durable-acks/s")
	b.ReportMetric(median(ceilings), "acks-without-ledger/s")
	b.ReportMetric(100*median(ratios), "%-of-it")
	b.ReportMetric(0, "ns/op")
}

func benchServer(b *testing.B, l intake.Ledger) string {
	b.Helper()
	handler := intake.New(intake.Options{
		Sources: []intake.Source{{
			Name: "shop", Path: "/in/shop", Secrets: []intake.Digest{intake.DigestOf(hookSecret)}, Decoder: smartsupp.Type().New(source.Options{}),
		}},
		Ledger: l, Logger: slog.New(slog.DiscardHandler), MaxBody: 16 << 20, MaxInFlight: 256 << 20,
		Plan: func(*chat.Conversation) ledger.Plan {
			return ledger.Plan{Config: "bench", Deliveries: []ledger.PlannedDelivery{{Target: "help", Routes: []string{"everything"}}}}
		},
	})
	listener, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	b.Cleanup(func() { _ = server.Close() })
	return "http://" + listener.Addr().String() + "/in/shop/" + hookSecret
}

// acknowledged sends hooks over benchConnections connections for one round and returns the answers per second.
func acknowledged(b *testing.B, url string, next *atomic.Int64) float64 {
	b.Helper()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: benchConnections}}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(b.Context(), benchRound)
	defer cancel()
	var answers atomic.Int64
	var work sync.WaitGroup
	start := time.Now()
	for range benchConnections {
		work.Go(func() {
			for ctx.Err() == nil {
				request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url, bytes.NewReader(benchBody(next.Add(1))))
				if err != nil {
					b.Error(err)
					return
				}
				response, err := client.Do(request)
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				if response.StatusCode != http.StatusOK {
					b.Errorf("%s", response.Status)
					return
				}
				answers.Add(1)
			}
		})
	}
	work.Wait()
	return float64(answers.Load()) / time.Since(start).Seconds()
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
