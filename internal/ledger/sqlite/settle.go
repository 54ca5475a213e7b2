// This file ends leases and starts dead deliveries again.

package sqlite

import (
	"context"
	"fmt"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// Settle ends a lease with what the attempt came to. It returns ledger.ErrFenced if the lease is no longer the caller's.
// A lease that has run out but that nobody else has taken is still the caller's.
func (l *Ledger) Settle(ctx context.Context, s ledger.Settlement) (ledger.Settled, error) {
	var answer ledger.Settled
	err := l.write(ctx, func(t *tx) error {
		r, _, err := t.delivery(s.ID, s.Target)
		if err != nil {
			return fmt.Errorf("delivery of %s to %s: %w", s.ID, s.Target, err)
		}
		if !r.Leased(s) {
			return fmt.Errorf("delivery of %s to %s: %w", s.ID, s.Target, ledger.ErrFenced)
		}
		was := *r
		if err := t.update(r, &was, r.Settle(s, row.Micros(t.now))); err != nil {
			return err
		}
		if s.Attempt != nil {
			if err := t.log(r, s.Revision, *s.Attempt); err != nil {
				return err
			}
		}
		if r.State == ledger.Pending {
			t.wake(r.Target)
		}
		answer.State = r.State
		return nil
	})
	if err != nil {
		return ledger.Settled{}, err
	}
	return answer, nil
}

const attemptColumns = `conversation, target, fence, revision, number, at, kind, duration, status, reason, class, config, response`

// log appends a line to the log of attempts. A lease has one.
func (t *tx) log(r *row.Delivery, revision int, a ledger.Attempt) error {
	return t.exec(`INSERT INTO attempt (`+attemptColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, r.Conversation, r.Target, r.Fence,
		revision, a.Number, row.Micros(a.At), a.Kind, a.Duration.Microseconds(), a.Status, a.Reason, a.Class, a.Config, a.Response)
}

// Replay makes a dead delivery due now, with new attempts to spend. What is known of the target stays: its receipt, and
// that an attempt may have been taken. It returns ledger.ErrNotFound if there is no such dead delivery, or if retention
// has taken what it would send.
func (l *Ledger) Replay(ctx context.Context, id, target string) error {
	return l.write(ctx, func(t *tx) error {
		r, bodies, err := t.delivery(id, target)
		switch {
		case err != nil:
			return fmt.Errorf("delivery of %s to %s: %w", id, target, err)
		case r.State != ledger.Dead:
			return fmt.Errorf("dead delivery of %s to %s: %w, it is %s", id, target, ledger.ErrNotFound, r.State)
		case !bodies:
			return fmt.Errorf("delivery of %s to %s: %w, retention has removed the conversation", id, target, ledger.ErrNotFound)
		}
		t.wake(r.Target)
		return t.store(r, r.Replay(ledger.Replay{}, row.Micros(t.now)))
	})
}
