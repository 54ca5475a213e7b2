// This file makes room in a ledger that is near its limit: finished conversations lose their bodies before their age, by
// retention, or at once for a hook that does not fit.

package sqlite

import (
	"context"
	"errors"
	"time"

	"modernc.org/sqlite"

	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

// endOfTime is later than any hook comes.
var endOfTime = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// makeRoom takes the bodies of finished conversations whatever their age, the oldest first, from when the ledger is near
// its limit until it is not.
func (l *Ledger) makeRoom() func(context.Context) (bool, error) {
	after, begun := &aged{}, false
	return func(ctx context.Context) (bool, error) {
		limit, roomy := l.retention.Load().MaxSize, false
		if limit <= 0 {
			return false, nil
		}
		err := l.write(ctx, func(t *tx) error {
			roomy = !begun && !row.Crowded(t.size, limit) || t.size <= row.Roomy(limit)
			if !roomy && !begun {
				begun = true
				l.crowd.Warn(l.options.Logger, t.size, limit)
			}
			return nil
		})
		if err != nil {
			return false, err
		}
		if roomy {
			l.crowd.Eased()
			return false, nil
		}
		_, _, end, err := l.stripPage(ctx, after, row.Roomy(limit))
		return err == nil && !end, err
	}
}

// stripPage takes the bodies of the next finished conversations until the ledger holds no more than goal. It tells how
// many lost them, whether it has come to the goal, and whether there are no more.
func (l *Ledger) stripPage(ctx context.Context, after *aged, goal int64) (stripped int, roomy, end bool, err error) {
	numbers, err := l.page(ctx, after, `SELECT seen_at, number FROM conversation c
		WHERE bodies = 1 AND seen_at <= ? AND (seen_at, number) > (?, ?)
		AND NOT EXISTS (SELECT 1 FROM delivery WHERE conversation = c.number AND state IN (0, 2))
		ORDER BY seen_at, number LIMIT ?`, endOfTime)
	if err != nil || len(numbers) == 0 {
		return 0, false, true, err
	}
	err = l.write(ctx, func(t *tx) error {
		stripped, roomy = 0, false
		for _, number := range numbers {
			if err := t.measure(); err != nil {
				return err
			}
			if roomy = t.size <= goal; roomy {
				return nil
			}
			var bodies int64
			if err := t.row(`SELECT count(*) FROM conversation WHERE number = ? AND bodies = 1`, []any{number}, &bodies); err != nil {
				return err
			}
			rows, err := t.deliveries(number)
			if err != nil {
				return err
			}
			if bodies == 0 || !row.Finished(rows) {
				continue // a hook or a replay came meanwhile
			}
			if err := t.strip(number, rows); err != nil {
				return err
			}
			stripped++
		}
		return t.measure()
	})
	return stripped, roomy, false, err
}

// squeezeMore is how much room is made beside that for the hook at hand, for those that come behind it.
const squeezeMore = 1 << 20

// writeRoomy is write for what needs so many bytes. If they do not fit, finished conversations lose their bodies for them:
// ledger.ErrFull means that none is left.
func (l *Ledger) writeRoomy(ctx context.Context, need int, do func(*tx) error) error {
	err := l.write(ctx, do)
	for l.crowdedOut(err) {
		again, failure := l.squeeze(ctx, int64(need))
		if failure != nil {
			return failure
		}
		if !again {
			return err
		}
		err = l.write(ctx, do)
	}
	return err
}

// crowdedOut tells whether something was refused because of max_size, and not because of the disk.
func (*Ledger) crowdedOut(err error) bool {
	if !errors.Is(err, ledger.ErrFull) {
		return false
	}
	_, disk := errors.AsType[*sqlite.Error](err)
	return !disk
}

// squeeze makes room for need bytes, if others have not, and tells whether it is worth trying again.
func (l *Ledger) squeeze(ctx context.Context, need int64) (again bool, err error) {
	limit := l.retention.Load().MaxSize
	if need > limit {
		return limit <= 0, nil // it would not fit into an empty one
	}
	select {
	case l.squeezing <- struct{}{}: // one at a time
		defer func() { <-l.squeezing }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	size := int64(0)
	err = l.write(ctx, func(t *tx) error { size = t.size; return nil })
	if err != nil || size+need <= limit {
		return err == nil, err
	}
	if !l.crowd.WorthALook() {
		return false, nil
	}
	l.crowd.Warn(l.options.Logger, size, limit)
	begun, after := time.Now(), &aged{}
	goal := max(limit-need-min(squeezeMore, limit/20), 0)
	for end, roomy := false, false; !end && !roomy; {
		var n int
		if n, roomy, end, err = l.stripPage(ctx, after, goal); err != nil {
			return false, err
		}
		again = again || n > 0 || roomy
	}
	if !again {
		l.crowd.Fruitless(time.Since(begun))
	}
	return again, nil
}
