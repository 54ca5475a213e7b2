// This file is the token bucket that the replicas of a database share.

package row

import (
	"time"

	"github.com/afterchat/afterchat/internal/ledger"
)

// Bucket is what is left of a target's rate.
type Bucket struct {
	Tokens   float64
	FilledAt int64 // microseconds
}

// Take takes up to n tokens at now, in microseconds, and returns how long until there is one if it got none. n below 0
// gives tokens back. Time that goes backwards fills nothing.
func (b *Bucket) Take(rate ledger.Rate, n int, now int64) (granted int, wait time.Duration) {
	if passed := now - b.FilledAt; passed > 0 {
		b.Tokens += float64(passed) / 1e6 * rate.PerSecond
		b.FilledAt = now
	}
	b.Tokens = min(b.Tokens, float64(rate.Burst))
	if n < 0 {
		b.Tokens = min(b.Tokens-float64(n), float64(rate.Burst))
		return n, 0
	}
	granted = min(n, max(int(b.Tokens), 0))
	b.Tokens -= float64(granted)
	if granted > 0 || n == 0 || rate.PerSecond <= 0 {
		return granted, 0
	}
	return 0, time.Duration((1-b.Tokens)/rate.PerSecond*float64(time.Second)) + time.Microsecond
}
