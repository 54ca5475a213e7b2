// This file measures: acknowledgements and deliveries per second, as one process with a disk of its own makes them.

package sqlite

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
)

// chatHook is a hook of about 4 kB with forty messages of words.
func chatHook(random *rand.Rand, id string) ledger.Hook {
	words := []string{"hello", "order", "parcel", "invoice", "tomorrow", "thanks", "please", "where", "return", "blue", "size", "shop"}
	h := hook(id, "help", "crm")
	h.Conversation.Messages = nil
	h.Raw = []byte(`{"id":"` + id + `","messages":[`)
	for range 40 {
		text := fmt.Sprint(words[random.IntN(len(words))], " ", words[random.IntN(len(words))], " ", random.Uint64())
		h.Conversation.Messages = append(h.Conversation.Messages, chat.Message{At: time.Now(), Role: chat.Visitor, Text: text})
		h.Raw = fmt.Appendf(h.Raw, `{"type":"message","subType":"contact","content":{"type":"text","text":%q}},`, text)
	}
	return h
}

func BenchmarkAccept(b *testing.B) {
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			l := open(b, filepath.Join(b.TempDir(), "ledger.db"), Options{})
			random := rand.New(rand.NewPCG(1, 2))
			hooks := make([]ledger.Hook, b.N)
			for i := range hooks {
				hooks[i] = chatHook(random, fmt.Sprintf("c%x-%d", random.Uint64(), i))
			}
			took := make([]time.Duration, b.N)
			var next atomic.Int64
			var all sync.WaitGroup
			b.ResetTimer()
			for range callers {
				all.Go(func() {
					for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
						began := time.Now()
						if _, err := l.Accept(b.Context(), hooks[i]); err != nil {
							b.Error(err)
							return
						}
						took[i] = time.Since(began)
					}
				})
			}
			all.Wait()
			b.StopTimer()
			report(b, took)
			if s, err := l.Stats(b.Context()); err == nil {
				b.ReportMetric(float64(s.Bytes)/float64(b.N), "bytes/hook")
			}
		})
	}
}

// report adds what an acknowledgement took.
func report(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "hooks/s")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// Workers of one target claim ten at a time and settle each.
func BenchmarkClaimSettle(b *testing.B) {
	for _, workers := range []int{1, 16} {
		b.Run(fmt.Sprint(workers), func(b *testing.B) {
			l := open(b, filepath.Join(b.TempDir(), "ledger.db"), Options{})
			random := rand.New(rand.NewPCG(1, 2))
			var all sync.WaitGroup
			for worker := range 64 {
				hooks := make([]ledger.Hook, 0, b.N/64+1)
				for i := worker; i < b.N; i += 64 {
					hooks = append(hooks, chatHook(random, fmt.Sprintf("c%d", i)))
				}
				all.Go(func() {
					for _, h := range hooks {
						if _, err := l.Accept(b.Context(), h); err != nil {
							b.Error(err)
						}
					}
				})
			}
			all.Wait()
			b.ResetTimer()
			for range workers {
				all.Go(func() {
					for {
						c, err := l.Claim(b.Context(), ledger.Claim{Target: "help", Limit: 10, Lease: time.Hour})
						if err != nil || len(c.Deliveries) == 0 {
							return
						}
						var settling sync.WaitGroup
						for _, d := range c.Deliveries {
							settling.Go(func() {
								_, err := l.Settle(b.Context(), ledger.Settlement{
									ID: d.ID, Target: d.Target, Revision: d.Revision, Fence: d.Fence, State: ledger.Delivered, Tried: true,
									Attempt: &ledger.Attempt{At: time.Now(), Number: 1, Kind: "ok", Status: 201},
								})
								if err != nil {
									b.Error(err)
								}
							})
						}
						settling.Wait()
					}
				})
			}
			all.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
		})
	}
}
