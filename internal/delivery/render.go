// This file says with which configuration a delivery is rendered.

package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/afterchat/afterchat/internal/ledger"
)

// keptMappers bounds the cache of earlier configurations.
const keptMappers = 16

// renderer knows today's configuration and opens earlier ones. Each setup has its own, for an earlier configuration is
// opened with the declared fields of today.
type renderer struct {
	ledger Ledger
	today  Mapper
	open   func([]byte) (Mapper, error)

	mu      sync.Mutex
	earlier map[string]Mapper // by hash
}

func newRenderer(l Ledger, s Setup) *renderer {
	return &renderer{ledger: l, today: s.Mapper, open: s.Open, earlier: make(map[string]Mapper)}
}

// mapper returns what renders d. That is the configuration of today, so that a corrected mapping heals, but:
//
//   - While an attempt on this very revision may have been taken, it is the one of that attempt, for the target may
//     remember the idempotency key and must see identical bytes under it.
//   - When an operator has asked for an earlier one, it is that one.
//   - When a route that sent the delivery is gone, it is the one that the delivery was accepted under.
func (r *renderer) mapper(ctx context.Context, d *ledger.Delivery) (Mapper, error) {
	wanted, earlier := r.today, d.Pinned
	if d.Uncertain && d.Resend && d.Tried != "" {
		earlier = d.Tried
	}
	if earlier != "" {
		tried, err := r.version(ctx, earlier)
		switch {
		case err == nil:
			wanted = tried
		case !errors.Is(err, errUnreadable):
			return nil, err
		}
	}
	if wanted.Has(d.Target, d.Routes) {
		return wanted, nil
	}
	accepted, err := r.version(ctx, d.Accepted)
	if errors.Is(err, errUnreadable) {
		return wanted, nil // whose Map says what is missing
	}
	return accepted, err
}

// errUnreadable means that an earlier configuration is not kept, or cannot be opened any more. Trying again is of no use.
var errUnreadable = errors.New("an earlier configuration cannot be read")

// version returns the configuration with a hash.
func (r *renderer) version(ctx context.Context, hash string) (Mapper, error) {
	if hash == r.today.Hash() {
		return r.today, nil
	}
	r.mu.Lock()
	m := r.earlier[hash]
	r.mu.Unlock()
	if m != nil {
		return m, nil
	}
	snapshot, err := r.ledger.Config(ctx, hash)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	if err != nil {
		return nil, err
	}
	if m, err = r.open(snapshot); err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.earlier) >= keptMappers {
		clear(r.earlier)
	}
	r.earlier[hash] = m
	return m, nil
}
