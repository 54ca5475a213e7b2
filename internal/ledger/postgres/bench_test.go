// This file measures acknowledgements and deliveries per second, with the database on the same machine, the way the
// SQLite engine is measured.

package postgres

import (
	"fmt"
	"math/rand/v2"
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

// hooks makes n of them.
func hooks(n int) []ledger.Hook {
	random := rand.New(rand.NewPCG(1, 2))
	all := make([]ledger.Hook, n)
	for i := range all {
		all[i] = chatHook(random, fmt.Sprintf("c%x-%d", random.Uint64(), i))
	}
	return all
}

// acceptEach has callers accept all, at the replicas in turn, and returns what each took.
func acceptEach(b *testing.B, all []ledger.Hook, callers int, replicas ...*Ledger) []time.Duration {
	b.Helper()
	took := make([]time.Duration, len(all))
	var next atomic.Int64
	var work sync.WaitGroup
	for caller := range callers {
		work.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(all)); i = next.Add(1) - 1 {
				began := time.Now()
				if _, err := replicas[caller%len(replicas)].Accept(b.Context(), all[i]); err != nil {
					b.Error(err)
					return
				}
				took[i] = time.Since(began)
			}
		})
	}
	work.Wait()
	return took
}

func BenchmarkAccept(b *testing.B) {
	for _, c := range []struct{ callers, replicas int }{{1, 1}, {16, 1}, {64, 1}, {64, 3}} {
		b.Run(fmt.Sprintf("%d-callers-%d-replicas", c.callers, c.replicas), func(b *testing.B) {
			at := url(b)
			var replicas []*Ledger
			for range c.replicas {
				replicas = append(replicas, open(b, at, Options{}))
			}
			all := hooks(b.N)
			b.ResetTimer()
			took := acceptEach(b, all, c.callers, replicas...)
			b.StopTimer()
			slices.Sort(took)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "hooks/s")
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			if s, err := replicas[0].Stats(b.Context()); err == nil {
				b.ReportMetric(float64(s.Bytes)/float64(b.N), "bytes/hook")
			}
		})
	}
}

// Workers of one target claim ten at a time and settle each.
func BenchmarkClaimSettle(b *testing.B) {
	for _, c := range []struct{ workers, replicas int }{{1, 1}, {16, 1}, {16, 3}} {
		b.Run(fmt.Sprintf("%d-workers-%d-replicas", c.workers, c.replicas), func(b *testing.B) {
			at := url(b)
			var replicas []*Ledger
			for range c.replicas {
				replicas = append(replicas, open(b, at, Options{}))
			}
			acceptEach(b, hooks(b.N), 64, replicas...)
			var all sync.WaitGroup
			b.ResetTimer()
			for worker := range c.workers {
				all.Go(func() { drain(b, replicas[worker%len(replicas)]) })
			}
			all.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
		})
	}
}

// drain claims and settles until nothing is due.
func drain(b *testing.B, l *Ledger) {
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
}
