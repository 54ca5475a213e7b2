// This file ends leases and starts dead deliveries again.

package sqlite

import (
	"context"
	"errors"
	"fmt"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// Settle ends a lease with what the attempt came to. It returns ledger.ErrFenced if the lease is no longer the caller's.
// A lease that has run out but that nobody else has taken is still the caller's.
func (l *Ledger) Settle(ctx context.Context, s ledger.Settlement) (ledger.Settled, error) {
	var answer ledger.Settled
	err := l.writePatiently(ctx, func(t *tx) error {
		known, ok := t.recent.take(s.ID, s.Target)
		r := &known
		if !ok {
			var err error
			if r, _, err = t.delivery(s.ID, s.Target); err != nil {
				return fmt.Errorf("delivery of %s to %s: %w", s.ID, s.Target, err)
			}
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

const attemptColumns = `conversation, target, fence, revision, number, at, kind, duration, status, reason, class, config, response, known`

// log appends a line to the log of attempts. A lease has one.
func (t *tx) log(r *row.Delivery, revision int, a ledger.Attempt) error {
	known, err := row.PackKnowledge(a.Detail)
	if err != nil {
		return err
	}
	return t.exec(`INSERT INTO attempt (`+attemptColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, r.Conversation, r.Target, r.Fence,
		revision, a.Number, row.Micros(a.At), a.Kind, a.Duration.Microseconds(), a.Status, a.Reason, a.Class, a.Config, a.Response, known)
}

// Replay is ReplayDelivery with the configuration of the day, but returns ledger.ErrNotFound for a delivery that is not
// dead.
func (l *Ledger) Replay(ctx context.Context, id, target string) error {
	err := l.ReplayDelivery(ctx, id, target, ledger.Replay{})
	if errors.Is(err, ledger.ErrState) {
		return fmt.Errorf("%w as a dead one: %s", ledger.ErrNotFound, err.Error())
	}
	return err
}
