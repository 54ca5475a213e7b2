// This file keeps a claim waiting for which nothing is due, and serves it in the transaction that makes something due: one
// commit, and no way through the engine, between a hook and its attempt.

package sqlite

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// await claims, and waits as long as it may if nothing is due.
func (l *Ledger) await(ctx context.Context, c *claims) error {
	unending := context.WithoutCancel(ctx)
	if c.asked.Wait <= 0 {
		return l.write(unending, c.do)
	}
	c.parked = make(chan time.Time, 1)
	op := &operation{ctx: unending, do: c.do, done: make(chan struct{}), claim: c}
	if err := l.enqueue(unending, op); err != nil {
		return err
	}
	end := time.Now().Add(c.asked.Wait)
	timer := time.NewTimer(c.asked.Wait)
	defer timer.Stop()
	for {
		select {
		case <-op.done:
			return endOf(ctx, op.err)
		case next := <-c.parked:
			wait := time.Until(end)
			if !next.IsZero() {
				wait = min(wait, next.Sub(l.clock()))
			}
			timer.Reset(wait)
			continue
		case <-timer.C:
		case <-ctx.Done():
		}
		// A ledger that is closed answers all who wait.
		_ = l.enqueue(unending, &operation{ctx: unending, withdrawn: op, done: make(chan struct{})})
		<-op.done
		return endOf(ctx, op.err)
	}
}

// endOf is the error of a claim that may have been called back. That is none: nothing was claimed.
func endOf(ctx context.Context, err error) error {
	if err != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// waits tells whether the claim found nothing and may wait.
func (c *claims) waits() bool {
	return c != nil && c.asked.Wait > 0 && len(c.leased)+len(c.crashed) == 0
}

// announce tells the claimant when something falls due by time alone.
func (c *claims) announce() {
	select {
	case <-c.parked: // nobody has looked at the one before
	default:
	}
	c.parked <- c.next
}

// park keeps a claim waiting.
func (w *writer) park(op *operation) {
	target := op.claim.asked.Target
	w.parked[target] = append(w.parked[target], op)
	op.claim.announce()
}

// leave takes a claim from those that wait, and tells whether it was one of them.
func (w *writer) leave(op *operation) bool {
	target := op.claim.asked.Target
	i := slices.Index(w.parked[target], op)
	if i >= 0 {
		w.parked[target] = slices.Delete(w.parked[target], i, i+1)
	}
	return i >= 0
}

// withdraw answers a claim that waits no longer, unless it has been answered.
func (w *writer) withdraw(op *operation) {
	if w.leave(op.withdrawn) {
		close(op.withdrawn.done)
	}
	close(op.done)
}

// unpark answers all claims that wait, at the end.
func (w *writer) unpark() {
	for _, waiting := range w.parked {
		for _, op := range waiting {
			op.err = ledger.ErrClosed
			close(op.done)
		}
	}
	clear(w.parked)
}

// unserve takes back what claims that wait have been given by a transaction that failed.
func (w *writer) unserve() {
	for _, waiting := range w.parked {
		for _, p := range waiting {
			p.claim.begin(0)
		}
	}
}

// serve leases what the operations of this transaction have made due to claims that wait for it, and returns those claims.
// One that cannot be served for the sake of its caller is among them, with its error.
func (t *tx) serve(batch []*operation) (served []*operation, err error) {
	for _, op := range batch {
		if op.err != nil {
			continue
		}
		for _, target := range op.due {
			for _, p := range t.parked[target] {
				if slices.Contains(served, p) {
					continue
				}
				t.op = p
				if p.err = p.claim.ctx.Err(); p.err == nil {
					err = p.claim.serve(t, p, batch)
				}
				if err != nil { // nothing of this transaction is kept; the claim need not be tried again with it
					p.err = t.explain(err)
					t.leave(p)
					close(p.done)
					return nil, err
				}
				served = append(served, p)
			}
		}
	}
	return served, nil
}

// serve leases what has fallen due for the claim of operation p. Most often that is what this transaction has planted, and
// nothing else can be due, for the claim has looked: then it need not look again.
func (c *claims) serve(t *tx, p *operation, batch []*operation) error {
	woken := 0
	for _, op := range batch {
		for _, target := range op.due {
			if target == c.asked.Target && op.err == nil {
				woken++
			}
		}
	}
	var due []int
	next := c.next
	for i, d := range t.planted {
		switch {
		case d.row.Target != c.asked.Target || !d.due:
			continue
		case d.row.Trying == 0 && d.row.DueAt <= row.Micros(t.now):
			due = append(due, i)
		case d.row.Trying == 0 && (next.IsZero() || d.row.DueAt < row.Micros(next)):
			next = row.FromMicros(d.row.DueAt)
		}
		woken--
	}
	if woken != 0 || t.touched || !c.next.IsZero() && !c.next.After(t.now) {
		return p.run(t)
	}
	c.next = next
	due = due[:min(len(due), c.asked.Limit)]
	c.begin(len(due))
	for _, i := range due {
		if err := c.lease(t, t.planted[i].row, t.planted[i].id, t.now.Add(c.asked.Lease), i < t.sown); err != nil {
			return err
		}
	}
	return nil
}

// keepServed sorts out, after the commit, who of those served has something and who goes on waiting.
func (w *writer) keepServed(served []*operation) {
	for _, p := range served {
		if p.err == nil && p.claim.waits() {
			p.claim.announce()
			continue
		}
		w.leave(p)
		w.served = append(w.served, p)
	}
}

// handOver answers the claims that have been served, and returns their targets: whoever claims for those need not be told
// that something is due.
func (w *writer) handOver() (targets []string) {
	for _, p := range w.served {
		targets = append(targets, p.claim.asked.Target)
		close(p.done)
	}
	clear(w.served)
	w.served = w.served[:0]
	return targets
}
