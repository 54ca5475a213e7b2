// This file holds the cases of taking hooks in.

package ledgertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
)

var acceptCases = map[string]func(*desk){
	"a new conversation":                         acceptNew,
	"what was stored comes back whole":           acceptWhole,
	"the same body is a repeat":                  acceptRepeatedBody,
	"the same content in another body":           acceptRepeatedContent,
	"an earlier revision once more is a repeat":  acceptRepeatedEarlier,
	"identical hooks at once":                    acceptAtOnce,
	"different hooks at once":                    acceptManyAtOnce,
	"the plan is asked once per revision":        acceptPlan,
	"nobody wants it":                            acceptUnrouted,
	"nobody wants the revision":                  acceptUnroutedRevision,
	"an older snapshot is stale":                 acceptStale,
	"an older snapshot without an end":           acceptStaleWithoutEnd,
	"shorter but later is a revision":            acceptShorterLater,
	"same length is a revision":                  acceptSameLength,
	"a caller that has gone":                     acceptCanceled,
	"hooks are heard of per source":              acceptHeard,
	"unreadable hooks are kept once":             quarantineOnce,
	"a large body":                               acceptLarge,
	"a held delivery is not due and has its day": acceptHeld,
}

func acceptNew(d *desk) {
	a := d.accept(to(hook("c1", 5, "hello"), "help", "crm"), ledger.Accepted, 1)
	d.equal("the answer", a, ledger.Acceptance{ID: "c1", Revision: 1, Result: ledger.Accepted, Targets: []string{"help", "crm"}})
	d.counts("help", ledger.Counts{Accepted: 1, Pending: 1})
	d.counts("crm", ledger.Counts{Accepted: 1, Pending: 1})
	c := d.claim("help")
	c.DueAt, c.LeaseEnd = time.Time{}, time.Time{}
	want := ledger.Delivery{
		ID: "c1", Target: "help", Revision: 1, Fence: c.Fence, Attempt: 1, Routes: []string{"all"}, Accepted: "accepted-under",
		Conversation: hook("c1", 5, "hello").Conversation,
	}
	want.Conversation.Revision = 1
	d.equal("the delivery", c, want)
	d.equal("conversations", d.stats().Conversations, int64(1))
}

func acceptWhole(d *desk) {
	h := to(hook("c1", 5, "naïve 😀 \u2028 <b>"), "help")
	h.Raw = []byte{0, 0xff, '{', 0}
	h.ContentType = "text/plain; charset=x"
	rating := 4.5
	c := &h.Conversation
	c.Rating, c.Extra = &rating, map[string]any{"n": json.Number("12345678901234567890"), "deep": map[string]any{"list": []any{json.Number("1.50"), nil, true}}}
	c.Transcript = &chat.Transcript{Text: "is not stored"}
	c.ReceivedAt = time.Now().UTC()
	d.accept(h, ledger.Accepted, 1)
	d.reopen()
	got, err := d.engine.Conversation(d.Context(), "c1")
	d.must(err)
	want := *c
	want.Revision, want.Transcript = 1, nil
	d.equal("the conversation", got, want)
	d.equal("the claimed conversation", d.claim("help").Conversation, want)
	raw, contentType, err := d.engine.Raw(d.Context(), "c1", 1)
	d.must(err)
	d.equal("the body", raw, h.Raw)
	d.equal("its type", contentType, h.ContentType)
	for _, revision := range []int{0, 2, -1} {
		if _, _, err := d.engine.Raw(d.Context(), "c1", revision); !errors.Is(err, ledger.ErrNotFound) {
			d.Fatalf("the body of revision %d: %v, want ErrNotFound", revision, err)
		}
	}
	if _, err := d.engine.Conversation(d.Context(), "c2"); !errors.Is(err, ledger.ErrNotFound) {
		d.Fatalf("another conversation: %v, want ErrNotFound", err)
	}
}

func acceptRepeatedBody(d *desk) {
	h := to(hook("c1", 5, "hello"), "help")
	d.accept(h, ledger.Accepted, 1)
	h.Conversation.Brand = "decoded otherwise by now"
	h.Conversation.Question = "decoded otherwise by now"
	a := d.accept(h, ledger.Repeated, 1)
	d.equal("targets of a repeat", len(a.Targets), 0)
	d.counts("help", ledger.Counts{Accepted: 1, Pending: 1})
}

func acceptRepeatedContent(d *desk) {
	h := to(hook("c1", 5, "hello"), "help")
	d.accept(h, ledger.Accepted, 1)
	h.Raw = []byte("other spacing")
	h.Conversation.ReceivedAt = start
	d.accept(h, ledger.Repeated, 1)
	h.Conversation.Question = "decoded otherwise by now"
	d.accept(h, ledger.Repeated, 1) // the other body is known now
	h.Raw = []byte("third spacing")
	d.accept(h, ledger.Revised, 2)
}

func acceptRepeatedEarlier(d *desk) {
	d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
	d.accept(to(hook("c1", 6, "a", "b"), "help"), ledger.Revised, 2)
	d.accept(to(hook("c1", 7, "x"), "help"), ledger.Revised, 3)
	d.accept(to(hook("c1", 5, "a"), "help"), ledger.Repeated, 1)
	d.accept(to(hook("c1", 6, "a", "b"), "help"), ledger.Repeated, 2)
	d.accept(to(hook("c1", 7, "x"), "help"), ledger.Repeated, 3)
	d.counts("help", ledger.Counts{Accepted: 3, Pending: 1, Superseded: 2})
}

// concurrently calls f n times at once and returns the results.
func concurrently[T any](n int, f func(i int) (T, error)) ([]T, error) {
	results, failures := make([]T, n), make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { results[i], failures[i] = f(i) })
	}
	all.Wait()
	return results, errors.Join(failures...)
}

func acceptAtOnce(d *desk) {
	answers, err := concurrently(48, func(i int) (ledger.Acceptance, error) {
		h := to(hook("c1", 5, "hello"), "help")
		if i%3 == 0 {
			h.Raw = fmt.Appendf(nil, "spelling %d", i%6)
		}
		return d.engine.Accept(d.Context(), h)
	})
	d.must(err)
	results := map[ledger.Result]int{}
	for _, a := range answers {
		results[a.Result]++
	}
	d.equal("results", results, map[ledger.Result]int{ledger.Accepted: 1, ledger.Repeated: 47})
	d.counts("help", ledger.Counts{Accepted: 1, Pending: 1})
}

func acceptManyAtOnce(d *desk) {
	_, err := concurrently(200, func(i int) (ledger.Acceptance, error) {
		return d.engine.Accept(d.Context(), to(hook(fmt.Sprintf("c%d", i/2), i%2, fmt.Sprint(i)), "help", "crm"))
	})
	d.must(err)
	d.counts("help", ledger.Counts{Accepted: 200, Pending: 100, Superseded: 100})
	claimed := d.claimAll("crm", lease)
	d.equal("claimed", len(claimed.Deliveries), 100)
	for _, c := range claimed.Deliveries {
		d.equal("revision", c.Revision, 2)
	}
}

func acceptPlan(d *desk) {
	var asked []string
	plan := func(h ledger.Hook) ledger.Hook {
		h.Plan = func(id string, revision int) ledger.Plan {
			asked = append(asked, fmt.Sprint(id, " ", revision))
			return ledger.Plan{}
		}
		return h
	}
	d.accept(plan(hook("c1", 5, "a", "b")), ledger.Unrouted, 1)
	d.accept(plan(hook("c1", 5, "a", "b")), ledger.Repeated, 1)
	d.accept(plan(hook("c1", 4, "a")), ledger.Stale, 1)
	d.accept(plan(hook("c1", 6, "b")), ledger.Unrouted, 2)
	d.equal("plans", asked, []string{"c1 1", "c1 2"})
}

func acceptUnrouted(d *desk) {
	d.accept(hook("c1", 5, "a"), ledger.Unrouted, 1)
	d.accept(hook("c1", 5, "a"), ledger.Repeated, 1)
	_, err := d.engine.Conversation(d.Context(), "c1")
	d.must(err)
	a := d.accept(to(hook("c1", 6, "a", "b"), "help"), ledger.Revised, 2)
	d.equal("targets", a.Targets, []string{"help"})
	d.counts("help", ledger.Counts{Accepted: 1, Pending: 1})
}

func acceptUnroutedRevision(d *desk) {
	d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
	d.accept(hook("c1", 6, "a", "b"), ledger.Unrouted, 2)
	d.counts("help", ledger.Counts{Accepted: 1, Superseded: 1})
	d.nothing("help")
}

func acceptStale(d *desk) {
	d.accept(to(hook("c1", 5, "a", "b", "c"), "help"), ledger.Accepted, 1)
	a := d.accept(to(hook("c1", 4, "a", "b"), "help", "crm"), ledger.Stale, 1)
	d.equal("targets of a stale hook", len(a.Targets), 0)
	d.accept(hook("c1", 3, "a"), ledger.Stale, 1)
	d.accept(hook("c1", 4, "a", "b"), ledger.Repeated, 1)
	for i, want := range []string{`c1 4 ["a" "b"]`, `c1 3 ["a"]`} {
		body, _, err := d.engine.Raw(d.Context(), "c1", -i-1)
		d.must(err)
		d.equal("the stale body", string(body), want)
	}
	d.counts("help", ledger.Counts{Accepted: 1, Pending: 1})
	d.equal("messages", len(d.claim("help").Conversation.Messages), 3)
}

func acceptStaleWithoutEnd(d *desk) {
	d.accept(hook("c1", 5, "a", "b"), ledger.Unrouted, 1)
	d.accept(hook("c1", -1, "a"), ledger.Stale, 1)
}

func acceptShorterLater(d *desk) {
	d.accept(hook("c1", 5, "a", "b"), ledger.Unrouted, 1)
	d.accept(to(hook("c1", 6, "a"), "help"), ledger.Revised, 2)
}

func acceptSameLength(d *desk) {
	d.accept(hook("c1", 5, "a", "b"), ledger.Unrouted, 1)
	d.accept(to(hook("c1", 4, "a", "b"), "help"), ledger.Revised, 2)
	d.accept(to(hook("c1", 3, "a", "x"), "help"), ledger.Revised, 3)
}

func acceptCanceled(d *desk) {
	ctx, cancel := context.WithCancel(d.Context())
	cancel()
	if _, err := d.engine.Accept(ctx, hook("c1", 5, "a")); !errors.Is(err, context.Canceled) {
		d.Fatalf("accept: %v, want context.Canceled", err)
	}
	if _, err := d.engine.Claim(ctx, ledger.Claim{Target: "help", Limit: 1, Lease: lease}); !errors.Is(err, context.Canceled) {
		d.Fatalf("claim: %v, want context.Canceled", err)
	}
}

func acceptHeard(d *desk) {
	at := func(h ledger.Hook, source string, minutes int) ledger.Hook {
		h.Conversation.Source, h.Conversation.ReceivedAt = source, start.Add(time.Duration(minutes)*time.Minute)
		return h
	}
	d.accept(at(hook("c1", 5, "a"), "shop", 1), ledger.Unrouted, 1)
	d.accept(at(hook("c1", 5, "a"), "shop", 7), ledger.Repeated, 1)
	d.accept(at(hook("c2", 5, "a"), "shop", 3), ledger.Unrouted, 1)
	_, err := d.engine.Quarantine(d.Context(), ledger.Unreadable{Source: "desk", Raw: []byte("?"), ReceivedAt: start})
	d.must(err)
	imported := func(h ledger.Hook) ledger.Hook {
		h.Import = true
		return h
	}
	d.accept(imported(at(hook("c3", 5, "a"), "shop", 9)), ledger.Unrouted, 1)
	d.accept(imported(at(hook("c3", 5, "a"), "shop", 10)), ledger.Repeated, 1)
	d.accept(imported(at(hook("c4", 5, "a"), "store", 9)), ledger.Unrouted, 1)
	d.reopen()
	d.equal("last hooks", d.stats().LastHook, map[string]time.Time{"shop": start.Add(7 * time.Minute), "desk": start})
}

func quarantineOnce(d *desk) {
	u := ledger.Unreadable{Source: "shop", Raw: []byte{'{', 0}, ContentType: "text/html", Reason: "no JSON", ReceivedAt: start}
	first, err := d.engine.Quarantine(d.Context(), u)
	d.must(err)
	again := u
	again.ReceivedAt, again.Reason = start.Add(time.Hour), "another"
	second, err := d.engine.Quarantine(d.Context(), again)
	d.must(err)
	d.equal("the second", second, ledger.Quarantined{ID: first.ID, Repeat: true})
	other := u
	other.Source = "desk"
	third, err := d.engine.Quarantine(d.Context(), other)
	d.must(err)
	if third.Repeat || third.ID == first.ID {
		d.Fatalf("another source: %+v, want an entry of its own", third)
	}
	d.reopen()
	got, err := d.engine.Unreadable(d.Context(), first.ID)
	d.must(err)
	d.equal("what is kept", got, u)
	if _, err := d.engine.Unreadable(d.Context(), "q0"); !errors.Is(err, ledger.ErrNotFound) {
		d.Fatalf("another: %v, want ErrNotFound", err)
	}
	d.equal("quarantined", d.stats().Quarantined, int64(2))
}

func acceptLarge(d *desk) {
	h := to(hook("c1", 5, "a"), "help")
	h.Raw = make([]byte, 16<<20)
	for i := range h.Raw {
		h.Raw[i] = byte(i * i >> 7)
	}
	d.accept(h, ledger.Accepted, 1)
	body, _, err := d.engine.Raw(d.Context(), "c1", 1)
	d.must(err)
	if !slices.Equal(body, h.Raw) {
		d.Fatal("the body is not what was sent")
	}
}

func acceptHeld(d *desk) {
	before := time.Now()
	d.accept(planned(to(hook("c1", 5, "a"), "help"), holding(time.Hour)), ledger.Accepted, 1)
	next := d.nothing("help")
	if next.Before(before.Add(time.Hour-time.Second)) || next.After(time.Now().Add(time.Hour)) {
		d.Fatalf("due at %v, want an hour from now", next)
	}
	d.accept(planned(to(hook("c1", 6, "a", "b"), "help"), holding(2*time.Hour)), ledger.Revised, 2)
	d.equal("due after a revision", d.nothing("help"), next)
	s := d.stats().Targets["help"]
	if !s.Overdue.IsZero() || s.OldestPending.Before(before.Truncate(time.Microsecond)) || s.OldestPending.After(time.Now()) {
		d.Fatalf("gauges of a held delivery: %+v", s)
	}
}
