// This file tests lists, searches and replays where engines differ: the database's own limits, several replicas, an
// upgrade. What they promise is tested by the suite.

package postgres

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
)

// said is a hook of a conversation in which these texts were said.
func said(id string, texts ...string) ledger.Hook {
	h := hook(id, "help")
	for _, text := range texts {
		h.Conversation.Messages = append(h.Conversation.Messages, chat.Message{At: h.Conversation.EndedAt, Role: chat.Visitor, Text: text})
	}
	return h
}

// found lists the conversations that a filter selects.
func found(t testing.TB, l *Ledger, f ledger.Filter) []string {
	t.Helper()
	page, err := l.Conversations(t.Context(), f, ledger.Page{Limit: ledger.MaxPage})
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{}
	for _, c := range page.Items {
		ids = append(ids, c.ID)
	}
	slices.Sort(ids)
	return ids
}

// die makes everything due for a target dead.
func die(t testing.TB, l *Ledger, target, class string) {
	t.Helper()
	for {
		claimed := claim(t, l, target, time.Hour)
		if len(claimed.Deliveries) == 0 {
			return
		}
		var all sync.WaitGroup
		for _, d := range claimed.Deliveries {
			all.Go(func() {
				s := ledger.Settlement{
					ID: d.ID, Target: d.Target, Revision: d.Revision, Fence: d.Fence, State: ledger.Dead, Tried: true,
					Attempt: &ledger.Attempt{At: time.Now(), Number: d.Attempt, Kind: "rejected", Reason: "no", Detail: ledger.Detail{Class: class, Response: "a\x00b"}},
				}
				if _, err := l.Settle(t.Context(), s); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
}

// What a tsvector cannot take does not keep a conversation from being found.
func TestE2EPostgresSearchLimits(t *testing.T) {
	t.Parallel()
	l := open(t, url(t), Options{})
	common := strings.Repeat("the chat ", 7000)
	var many strings.Builder
	for i := range 30000 {
		fmt.Fprintf(&many, "w%dx%s ", i, strings.Repeat("á", 60))
	}
	accept(t, l, said("long", common+"refund please"))
	accept(t, l, said("many", many.String()))
	accept(t, l, said("odd", "a\x00b 'quo\\te' <-> :* & | ! ( \U0001f600 \u2028 "+strings.Repeat("y", 5000)))
	rating := 4.5
	h := said("rated", "fine")
	h.Conversation.Rating, h.Conversation.ExternalID = &rating, strings.Repeat("e", 20000)+"1"
	accept(t, l, h)
	least := 4.0
	for name, c := range map[string]struct {
		filter ledger.Filter
		want   []string
	}{
		"a common word":    {ledger.Filter{Text: []string{"the"}}, []string{"long"}},
		"a phrase":         {ledger.Filter{Text: []string{"chat the chat"}}, []string{"long"}},
		"one of many":      {ledger.Filter{Text: []string{"w17x"}}, []string{"many"}},
		"operators":        {ledger.Filter{Text: []string{"quo\\te' <-> :*"}}, []string{"odd"}},
		"a long word":      {ledger.Filter{Text: []string{strings.Repeat("y", 3000)}}, []string{"odd"}},
		"nothing to find":  {ledger.Filter{Text: []string{"absent"}}, []string{}},
		"no word":          {ledger.Filter{Text: []string{"!?"}}, []string{"long", "many", "odd", "rated"}},
		"a NUL":            {ledger.Filter{Sources: []string{"sh\x00op"}}, []string{"long", "many", "odd", "rated"}},
		"a long id":        {ledger.Filter{ExternalIDs: []string{h.Conversation.ExternalID}}, []string{"rated"}},
		"a rating":         {ledger.Filter{MinRating: &least}, []string{"rated"}},
		"state and target": {ledger.Filter{Targets: []string{"help"}, States: []ledger.State{ledger.Pending}, Text: []string{"fine"}}, []string{"rated"}},
	} {
		if got := found(t, l, c.filter); !slices.Equal(got, c.want) {
			t.Errorf("%s: found %v, want %v", name, got, c.want)
		}
	}
	sound(t, l)
}

// Two replicas that step through one job at once replay each delivery once.
func TestE2EPostgresReplicasReplay(t *testing.T) {
	t.Parallel()
	a, b := pair(t, Options{})
	const n = 300
	for i := range n {
		accept(t, a, hook(fmt.Sprint("c", i), "help", "crm"))
	}
	die(t, a, "help", "rejected 422")
	die(t, a, "crm", "rejected 422")
	job, err := a.CreateReplay(t.Context(), ledger.ReplayJob{By: "ann", Filter: ledger.Filter{Targets: []string{"help"}, Classes: []string{"rejected 422"}}})
	if err != nil || job.Total != n {
		t.Fatalf("%+v, %v; want %d deliveries", job, err, n)
	}
	if err := b.Drop(t.Context(), "c7", "help", "not wanted"); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for {
				got, err := []*Ledger{a, b}[i%2].StepReplay(t.Context(), job.ID, 7)
				if err != nil {
					t.Error(err)
					return
				}
				if got.State != ledger.JobRunning {
					return
				}
			}
		})
	}
	all.Wait()
	got, err := b.ReplayJob(t.Context(), job.ID)
	if err != nil || got.State != ledger.JobDone || got.Done != n-1 || got.Skipped != 1 || got.EndedAt.IsZero() {
		t.Errorf("the job is %+v, %v; want %d done and 1 skipped", got, err, n-1)
	}
	seen := map[string]int{}
	for _, d := range claim(t, b, "help", time.Hour).Deliveries {
		seen[d.ID]++
	}
	if len(seen) != n-1 {
		t.Errorf("%d deliveries are due, want %d", len(seen), n-1)
	}
	if got, err := b.Count(t.Context(), ledger.Filter{Targets: []string{"crm"}, States: []ledger.State{ledger.Dead}}, 0); err != nil || got != n {
		t.Errorf("%d of the other target are dead, want %d (%v)", got, n, err)
	}
	sound(t, a)
}
