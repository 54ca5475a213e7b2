// This file holds the cases of what is kept beside conversations, and of retention.

package ledgertest

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

var keepCases = map[string]func(*desk){
	"configurations":      keepConfig,
	"the state of target": keepTargetState,
	"ready":               func(d *desk) { d.must(d.engine.Ready(d.Context())) },
	"closed":              keepClosed,
}

func keepConfig(d *desk) {
	if _, err := d.engine.Config(d.Context(), "h1"); !errors.Is(err, ledger.ErrNotFound) {
		d.Fatalf("%v, want ErrNotFound", err)
	}
	d.must(d.engine.SaveConfig(d.Context(), "h1", []byte(`{"routes":[]}`)))
	d.must(d.engine.SaveConfig(d.Context(), "h1", []byte(`{"routes":[]}`)))
	d.reopen()
	got, err := d.engine.Config(d.Context(), "h1")
	d.must(err)
	d.equal("snapshot", string(got), `{"routes":[]}`)
}

func keepTargetState(d *desk) {
	got, err := d.engine.TargetState(d.Context(), "help")
	d.must(err)
	d.equal("state of an unknown target", got, ledger.TargetState{})
	want := ledger.TargetState{
		Account: "f00", Paused: 90 * time.Second,
		Pause: ledger.Pause{Since: start, Until: start.Add(time.Minute), Reason: "401", ByOperator: true, Probes: 3},
	}
	d.must(d.engine.SaveTargetState(d.Context(), "help", want))
	d.reopen()
	got, err = d.engine.TargetState(d.Context(), "help")
	d.must(err)
	d.equal("state", got, want)
	d.must(d.engine.SaveTargetState(d.Context(), "help", ledger.TargetState{Paused: time.Hour}))
	got, err = d.engine.TargetState(d.Context(), "help")
	d.must(err)
	d.equal("state", got, ledger.TargetState{Paused: time.Hour})
}

func keepClosed(d *desk) {
	d.must(d.engine.Close())
	ctx := d.Context()
	_, accept := d.engine.Accept(ctx, hook("c1", 5, "a"))
	_, quarantine := d.engine.Quarantine(ctx, ledger.Unreadable{})
	_, claim := d.engine.Claim(ctx, ledger.Claim{Target: "help", Limit: 1})
	_, settle := d.engine.Settle(ctx, ledger.Settlement{})
	_, config := d.engine.Config(ctx, "h")
	_, state := d.engine.TargetState(ctx, "help")
	_, conversation := d.engine.Conversation(ctx, "c1")
	_, _, raw := d.engine.Raw(ctx, "c1", 1)
	_, attempts := d.engine.Attempts(ctx, "c1", "help")
	_, unreadable := d.engine.Unreadable(ctx, "q1")
	_, stats := d.engine.Stats(ctx)
	_, verify := d.engine.Verify(ctx)
	for name, err := range map[string]error{
		"Accept": accept, "Quarantine": quarantine, "Claim": claim, "Settle": settle, "Config": config, "TargetState": state,
		"Conversation": conversation, "Raw": raw, "Attempts": attempts, "Unreadable": unreadable, "Stats": stats, "Verify": verify,
		"Replay": d.engine.Replay(ctx, "c1", "help"), "SaveConfig": d.engine.SaveConfig(ctx, "h", nil),
		"SaveTargetState": d.engine.SaveTargetState(ctx, "help", ledger.TargetState{}),
		"Retain":          d.engine.Retain(ctx, time.Now()), "Ready": d.engine.Ready(ctx), "Close": d.engine.Close(),
	} {
		if !errors.Is(err, ledger.ErrClosed) {
			d.Errorf("%s after Close: %v, want ErrClosed", name, err)
		}
	}
	d.start()
}

var retainCases = map[string]func(*desk){
	"by age":                                 retainAges,
	"what outlives the bodies":               retainIdentity,
	"a conversation is forgotten in the end": retainForget,
	"quarantine":                             retainQuarantine,
	"configurations that nothing refers to":  retainConfigs,
	"nothing without limits":                 retainNothing,
	"space is given back":                    retainSpace,
	"no room":                                retainFull,
	"by size":                                retainCrowded,
	"by size, with nothing finished":         retainCrowdedPending,
	"by size, for a hook at once":            retainForHook,
	"by size, for a large hook":              retainForLargeHook,
	"by size, for many hooks at once":        retainForHooks,
}

const day = 24 * time.Hour

func keeping(o *Options) { o.Retention = ledger.Retention{Delivered: 30 * day, Dead: 90 * day} }

// in returns the time so many days from now.
func in(days int) time.Time { return time.Now().Add(time.Duration(days) * day) }

// kept lists the conversations whose newest revision can be read.
func (d *desk) kept() (ids []string) {
	d.Helper()
	for _, id := range []string{"delivered", "dead", "mixed", "pending", "leased", "unrouted"} {
		_, err := d.engine.Conversation(d.Context(), id)
		if err == nil {
			ids = append(ids, id)
		} else if !errors.Is(err, ledger.ErrNotFound) {
			d.Fatal(err)
		}
	}
	return ids
}

func retainAges(d *desk) {
	d.reopen(keeping)
	d.accept(to(hook("delivered", 5, "a"), "help"), ledger.Accepted, 1)
	d.settle(d.claim("help"), ledger.Delivered, delivered)
	d.accept(to(hook("dead", 5, "a"), "help"), ledger.Accepted, 1)
	d.settle(d.claim("help"), ledger.Dead, dead)
	d.accept(to(hook("mixed", 5, "a"), "help", "crm"), ledger.Accepted, 1)
	d.settle(d.claim("help"), ledger.Delivered, delivered)
	d.accept(to(hook("leased", 5, "a"), "help"), ledger.Accepted, 1)
	d.claim("help")
	d.accept(to(hook("pending", 5, "a"), "help"), ledger.Accepted, 1)
	d.accept(hook("unrouted", 5, "a"), ledger.Unrouted, 1)
	for _, step := range []struct {
		days int
		want []string
	}{
		{29, []string{"delivered", "dead", "mixed", "pending", "leased", "unrouted"}},
		{31, []string{"dead", "mixed", "pending", "leased"}},
		{91, []string{"mixed", "pending", "leased"}},
		{5000, []string{"mixed", "pending", "leased"}},
	} {
		d.must(d.engine.Retain(d.Context(), in(step.days)))
		d.equal(fmt.Sprintf("kept after %d days", step.days), d.kept(), step.want)
		d.audit()
	}
	d.counts("help", ledger.Counts{Accepted: 5, Pending: 2, Delivered: 2, Dead: 1})
	d.equal("dead deliveries", d.stats().Targets["help"].DeadRows, int64(0))
}

func retainIdentity(d *desk) {
	d.reopen(keeping)
	d.accept(to(hook("c1", 5, "a", "b"), "help", "crm"), ledger.Accepted, 1)
	d.settle(d.claim("help"), ledger.Delivered, delivered, func(s *ledger.Settlement) { s.Attempt = &ledger.Attempt{At: start, Kind: "ok"} })
	d.settle(d.claim("crm"), ledger.Dead, dead)
	d.must(d.engine.Retain(d.Context(), in(91)))
	if _, _, err := d.engine.Raw(d.Context(), "c1", 1); !errors.Is(err, ledger.ErrNotFound) {
		d.Fatalf("the body: %v, want ErrNotFound", err)
	}
	if err := d.engine.Replay(d.Context(), "c1", "crm"); !errors.Is(err, ledger.ErrNotFound) {
		d.Fatalf("replay: %v, want ErrNotFound", err)
	}
	attempts, err := d.engine.Attempts(d.Context(), "c1", "help")
	d.must(err)
	d.equal("attempts", len(attempts), 0)
	d.accept(to(hook("c1", 5, "a", "b"), "help"), ledger.Repeated, 1)
	d.accept(to(hook("c1", 4, "a"), "help"), ledger.Stale, 1)
	d.audit()
	d.accept(to(hook("c1", 6, "a", "b", "c"), "help", "crm"), ledger.Revised, 2)
	c := d.claim("help")
	if c.Held != 1 || c.Receipt.ID != "tc1" {
		d.Fatalf("claimed %+v, want the receipt", c)
	}
	d.equal("revision", d.claim("crm").Revision, 2)
	d.counts("crm", ledger.Counts{Accepted: 2, Pending: 1, Superseded: 1})
}

func retainForget(d *desk) {
	d.reopen(keeping)
	d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
	old := d.claim("help")
	d.settle(old, ledger.Delivered, delivered)
	d.must(d.engine.Retain(d.Context(), in(360)))
	d.equal("conversations", d.stats().Conversations, int64(1))
	d.must(d.engine.Retain(d.Context(), in(366)))
	d.equal("conversations", d.stats().Conversations, int64(0))
	d.counts("help", ledger.Counts{Accepted: 1, Delivered: 1})
	d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
	d.counts("help", ledger.Counts{Accepted: 2, Pending: 1, Delivered: 1})
	d.claim("help")
	if _, err := d.engine.Settle(d.Context(), settlement(old, dead)); !errors.Is(err, ledger.ErrFenced) {
		d.Fatalf("settle of a lease from before: %v, want ErrFenced", err)
	}
}

func retainQuarantine(d *desk) {
	d.reopen(keeping)
	u := ledger.Unreadable{Source: "shop", Raw: []byte("?"), ReceivedAt: time.Now()}
	q, err := d.engine.Quarantine(d.Context(), u)
	d.must(err)
	d.must(d.engine.Retain(d.Context(), in(89)))
	_, err = d.engine.Unreadable(d.Context(), q.ID)
	d.must(err)
	d.must(d.engine.Retain(d.Context(), in(91)))
	if _, err = d.engine.Unreadable(d.Context(), q.ID); !errors.Is(err, ledger.ErrNotFound) {
		d.Fatalf("%v, want ErrNotFound", err)
	}
	d.equal("quarantined", d.stats().Quarantined, int64(0))
}

// retainConfigs: what a delivery was accepted under or tried with stays, and what an attempt was made with, and what is in
// force.
func retainConfigs(d *desk) {
	d.reopen(keeping)
	all := []string{"accepted-under", "today", "once", "of an attempt", "nobody's", "in force"}
	for _, hash := range all {
		d.must(d.engine.SaveConfig(d.Context(), hash, []byte(hash)))
	}
	d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
	d.settle(d.claim("help"), ledger.Pending, later)
	d.accept(to(hook("c3", 5, "c"), "log"), ledger.Accepted, 1)
	d.settle(d.claim("log"), ledger.Delivered, delivered, func(s *ledger.Settlement) {
		s.Attempt = &ledger.Attempt{At: start, Number: 1, Kind: "ok", Detail: ledger.Detail{Config: "of an attempt"}}
	})
	h := to(hook("c2", 5, "b"), "crm")
	p := h.Plan("", 0)
	p.Config = "once"
	h.Plan = func(string, int) ledger.Plan { return p }
	d.accept(h, ledger.Accepted, 1)
	d.settle(d.claim("crm"), ledger.Delivered, delivered)
	d.reopen()
	d.must(d.engine.SaveConfig(d.Context(), "in force", []byte("in force")))
	snapshots := func(what string, want ...string) {
		d.Helper()
		var got []string
		for _, hash := range all {
			snapshot, err := d.engine.Config(d.Context(), hash)
			if err == nil && string(snapshot) == hash {
				got = append(got, hash)
			} else if !errors.Is(err, ledger.ErrNotFound) {
				d.Fatal(err)
			}
		}
		d.equal(what, got, want)
	}
	d.must(d.engine.Retain(d.Context(), in(2)))
	snapshots("kept after two days", "accepted-under", "today", "once", "of an attempt", "in force")
	d.must(d.engine.Retain(d.Context(), in(400)))
	snapshots("kept while something is pending", "accepted-under", "today", "in force")
}

func retainNothing(d *desk) {
	d.accept(hook("unrouted", 5, "a"), ledger.Unrouted, 1)
	d.must(d.engine.SaveConfig(d.Context(), "h1", []byte("h1")))
	d.reopen()
	d.must(d.engine.Retain(d.Context(), in(100000)))
	d.equal("kept", d.kept(), []string{"unrouted"})
	_, err := d.engine.Config(d.Context(), "h1")
	d.must(err)
}

// bulk accepts n conversations with a body of 64 KiB that does not compress, and returns the first error.
func (d *desk) bulk(n int, targets ...string) error {
	random := rand.NewChaCha8([32]byte{1})
	for i := range n {
		if _, err := d.engine.Accept(d.Context(), noisy(fmt.Sprint("bulk", i), random, 64<<10, targets...)); err != nil {
			return err
		}
	}
	return nil
}

func retainSpace(d *desk) {
	d.reopen(keeping)
	d.must(d.bulk(120))
	d.reopen()
	full := d.stats().Bytes
	d.must(d.engine.Retain(d.Context(), in(31)))
	d.reopen()
	if left := d.stats().Bytes; full < 7<<20 || left > full/3 {
		d.Fatalf("%d bytes of %d are left after retention", left, full)
	}
}

// retainCrowded: many times what fits comes, and all of it is taken, for what is finished goes, the oldest first.
func retainCrowded(d *desk) {
	var crowded atomic.Int64
	d.reopen(keeping, func(o *Options) {
		o.Retention.MaxSize = 8 << 20
		o.Observer.Crowded = func() { crowded.Add(1) }
	})
	d.accept(to(hook("delivered", 5, "a"), "help"), ledger.Accepted, 1)
	d.settle(d.claim("help"), ledger.Delivered, delivered)
	d.accept(to(hook("dead", 5, "a"), "help"), ledger.Accepted, 1)
	d.settle(d.claim("help"), ledger.Dead, dead)
	d.accept(to(hook("mixed", 5, "a"), "help", "crm"), ledger.Accepted, 1)
	d.settle(d.claim("help"), ledger.Delivered, delivered)
	d.accept(to(hook("leased", 5, "a"), "help"), ledger.Accepted, 1)
	d.claim("help")
	d.accept(to(hook("pending", 5, "a"), "later"), ledger.Accepted, 1)
	d.accept(hook("unrouted", 5, "a"), ledger.Unrouted, 1)
	q, err := d.engine.Quarantine(d.Context(), ledger.Unreadable{Source: "shop", Raw: []byte("?"), ReceivedAt: time.Now()})
	d.must(err)
	d.must(d.engine.Retain(d.Context(), time.Now()))
	d.equal("kept with much room", d.kept(), []string{"delivered", "dead", "mixed", "pending", "leased", "unrouted"})
	random, asked := rand.NewChaCha8([32]byte{2}), int64(0)
	const chats = 300 // of 64 KiB
	for i := range chats {
		h := to(hook(fmt.Sprint("bulk", i), 5, "a"), "log")
		h.Raw = make([]byte, 64<<10)
		_, _ = random.Read(h.Raw)
		d.accept(h, ledger.Accepted, 1)
		d.settle(d.claim("log"), ledger.Delivered, delivered)
		if n := crowded.Load(); n > asked {
			d.must(d.engine.Retain(d.Context(), time.Now()))
			asked = n
			if newest, _, err := d.engine.Raw(d.Context(), h.Conversation.ID, 1); err != nil || !bytes.Equal(newest, h.Raw) {
				d.Fatalf("the newest conversation: %v", err)
			}
		}
	}
	if asked < 2 {
		d.Fatalf("retention was asked for %d times", asked)
	}
	d.equal("kept", d.kept(), []string{"dead", "mixed", "pending", "leased"})
	_, err = d.engine.Unreadable(d.Context(), q.ID)
	d.must(err)
	d.counts("log", ledger.Counts{Accepted: chats, Delivered: chats})
	d.equal("dead deliveries", d.stats().Targets["help"].DeadRows, int64(1))
	d.equal("conversations", d.stats().Conversations, int64(chats+6))
	d.audit()
	// The receipt of what went is found, and what goes after it in full is an update.
	d.accept(to(hook("delivered", 6, "a", "b"), "help"), ledger.Revised, 2)
	if c := d.claim("help"); c.Held != 1 || c.Receipt.ID != "tdelivered" {
		d.Fatalf("claimed %+v, want the receipt", c)
	}
}

// retainCrowdedPending: what is pending stays, and hooks are refused when nothing else is left; once it is delivered there
// is room again.
func retainCrowdedPending(d *desk) {
	d.reopen(keeping, func(o *Options) { o.Retention.MaxSize = 8 << 20 })
	random, taken := rand.NewChaCha8([32]byte{3}), int64(0)
	add := func() error {
		h := to(hook(fmt.Sprint("bulk", taken), 5, "a"), "log")
		h.Raw = make([]byte, 64<<10)
		_, _ = random.Read(h.Raw)
		_, err := d.engine.Accept(d.Context(), h)
		if err == nil {
			taken++
		}
		return err
	}
	var err error
	for range 200 {
		if err = add(); err != nil {
			break
		}
	}
	if !errors.Is(err, ledger.ErrFull) {
		d.Fatalf("%v, want ErrFull", err)
	}
	d.must(d.engine.Retain(d.Context(), time.Now()))
	if err := add(); !errors.Is(err, ledger.ErrFull) {
		d.Fatalf("%v, want ErrFull: nothing is finished", err)
	}
	d.counts("log", ledger.Counts{Accepted: taken, Pending: taken})
	for range taken / 2 {
		claimed, err := d.engine.Claim(d.Context(), ledger.Claim{Target: "log", Limit: 1, Lease: lease, Config: "today"})
		d.must(err)
		d.settle(d.one(claimed), ledger.Delivered, delivered)
	}
	d.must(d.engine.Retain(d.Context(), time.Now()))
	for range 10 {
		d.must(add())
	}
	d.audit()
	// What is pending outlives the day it came on.
	for range 200 {
		if err = add(); err != nil {
			break
		}
	}
	if !errors.Is(err, ledger.ErrFull) {
		d.Fatalf("%v, want ErrFull", err)
	}
	pending := d.stats().Targets["log"].Pending
	claimed, err := d.engine.Claim(d.Context(), ledger.Claim{Target: "log", Limit: 40, Lease: lease, Config: "today"})
	d.must(err)
	for _, c := range claimed.Deliveries {
		d.settle(c, ledger.Delivered, delivered)
	}
	d.must(d.engine.Retain(d.Context(), in(3)))
	d.must(add())
	claimed, err = d.engine.Claim(d.Context(), ledger.Claim{Target: "log", Limit: 200, Lease: lease, Config: "today"})
	d.must(err)
	d.equal("pending", int64(len(claimed.Deliveries)), pending-40+1)
	for _, c := range claimed.Deliveries {
		if raw, _, err := d.engine.Raw(d.Context(), c.ID, 1); err != nil || len(raw) != 64<<10 {
			d.Fatalf("what is pending: %d bytes, %v", len(raw), err)
		}
	}
}

func retainFull(d *desk) {
	d.reopen(keeping, func(o *Options) { o.Retention.MaxSize = 2 << 20 })
	if err := d.bulk(100, "help"); !errors.Is(err, ledger.ErrFull) {
		d.Fatalf("%v, want ErrFull", err)
	}
	if _, err := d.engine.Quarantine(d.Context(), ledger.Unreadable{Source: "shop", Raw: make([]byte, 1<<20), ReceivedAt: start}); err != nil {
		d.Logf("quarantine: %v", err) // a megabyte of zeros is small, it may fit
	}
	if err := d.bulk(100, "help"); !errors.Is(err, ledger.ErrFull) {
		d.Fatalf("again: %v, want ErrFull", err)
	}
	// Repeats take no room.
	before := d.stats()
	if err := d.bulk(3, "help"); err != nil {
		d.Fatalf("repeats: %v", err)
	}
	d.equal("conversations", d.stats().Conversations, before.Conversations)
	for _, c := range d.claimAll("help", lease).Deliveries {
		d.settle(c, ledger.Dead, dead)
	}
	if err := d.bulk(100, "help"); !errors.Is(err, ledger.ErrFull) {
		d.Fatalf("with dead deliveries: %v, want ErrFull", err)
	}
	d.must(d.engine.Retain(d.Context(), in(91)))
	d.accept(to(hook("c1", 5, "a"), "help"), ledger.Accepted, 1)
}

// noisy is a hook whose body does not get smaller when it is packed.
func noisy(id string, random *rand.ChaCha8, bytes int, targets ...string) ledger.Hook {
	h := to(hook(id, 5, "a"), targets...)
	h.Raw = make([]byte, bytes)
	_, _ = random.Read(h.Raw)
	return h
}

// retainForHook: nobody runs retention, and yet a hook is refused only when nothing finished is left.
func retainForHook(d *desk) {
	d.reopen(keeping, func(o *Options) { o.Retention.MaxSize = 8 << 20 })
	random := rand.NewChaCha8([32]byte{4})
	d.accept(to(hook("pending", 5, "a"), "later"), ledger.Accepted, 1)
	d.accept(to(hook("dead", 5, "a"), "help"), ledger.Accepted, 1)
	d.settle(d.claim("help"), ledger.Dead, dead)
	for i := range 250 {
		d.accept(noisy(fmt.Sprint("bulk", i), random, 64<<10, "log"), ledger.Accepted, 1)
		d.settle(d.claim("log"), ledger.Delivered, delivered)
	}
	d.equal("kept", d.kept(), []string{"dead", "pending"})
	d.must(d.engine.Ready(d.Context()))
	d.audit()
	var err error
	taken := 0
	for ; taken < 200 && err == nil; taken++ {
		_, err = d.engine.Accept(d.Context(), noisy(fmt.Sprint("waits", taken), random, 64<<10, "log"))
	}
	if !errors.Is(err, ledger.ErrFull) {
		d.Fatalf("%v, want ErrFull: nothing finished is left", err)
	}
	if size := d.stats().Bytes; taken < 40 {
		d.Fatalf("after %d hooks a ledger of %d bytes is full", taken, size)
	}
	for _, c := range d.claimAll("log", lease).Deliveries[:10] {
		d.settle(c, ledger.Delivered, delivered)
	}
	// For as long as ten searches take, what has just been finished may not be looked for.
	again := noisy("again", random, 64<<10, "log")
	for deadline := time.Now().Add(time.Minute); ; {
		_, err := d.engine.Accept(d.Context(), again)
		if err == nil {
			return
		}
		if !errors.Is(err, ledger.ErrFull) || time.Now().After(deadline) {
			d.Fatalf("with ten finished: %v", err)
		}
	}
}

// retainForLargeHook: one that takes a quarter of the ledger has its room made; one that is larger than the ledger costs
// nobody else's.
func retainForLargeHook(d *desk) {
	d.reopen(keeping, func(o *Options) { o.Retention.MaxSize = 8 << 20 })
	random := rand.NewChaCha8([32]byte{5})
	for i := range 110 {
		d.accept(noisy(fmt.Sprint("bulk", i), random, 64<<10, "log"), ledger.Accepted, 1)
		d.settle(d.claim("log"), ledger.Delivered, delivered)
	}
	if _, err := d.engine.Accept(d.Context(), noisy("huge", random, 9<<20, "log")); !errors.Is(err, ledger.ErrFull) {
		d.Fatalf("a hook larger than the ledger: %v, want ErrFull", err)
	}
	if _, _, err := d.engine.Raw(d.Context(), "bulk50", 1); err != nil {
		d.Fatalf("what was there before it: %v", err)
	}
	for i := range 6 {
		d.accept(noisy(fmt.Sprint("large", i), random, 2<<20, "log"), ledger.Accepted, 1)
		d.settle(d.claim("log"), ledger.Delivered, delivered)
	}
	if _, err := d.engine.Quarantine(d.Context(), ledger.Unreadable{Source: "shop", Raw: noisy("", random, 2<<20).Raw, ReceivedAt: start}); err != nil {
		d.Fatalf("a large hook in quarantine: %v", err)
	}
	if _, _, err := d.engine.Raw(d.Context(), "bulk50", 1); !errors.Is(err, ledger.ErrNotFound) {
		d.Fatalf("what was there before: %v, want ErrNotFound", err)
	}
	d.audit()
}

// retainForHooks: many wait for the same room.
func retainForHooks(d *desk) {
	d.reopen(keeping, func(o *Options) { o.Retention.MaxSize = 8 << 20 })
	_, err := concurrently(16, func(worker int) (ledger.Result, error) {
		random := rand.NewChaCha8([32]byte{6, byte(worker)})
		for i := range 20 {
			h := noisy(fmt.Sprintf("bulk%d-%d", worker, i), random, 64<<10)
			h.Plan = func(string, int) ledger.Plan { return ledger.Plan{} } // nobody wants it, so it is finished
			if _, err := d.engine.Accept(d.Context(), h); err != nil {
				return "", err
			}
		}
		return "", nil
	})
	d.must(err)
	d.equal("conversations", d.stats().Conversations, int64(320))
}
