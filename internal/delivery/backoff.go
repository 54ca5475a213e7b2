// This file says how long to wait: between the attempts of a delivery, between two tries of the ledger, and for a
// token of the target's rate.

package delivery

import (
	"math"
	"math/rand/v2"
	"time"

	"golang.org/x/time/rate"
)

// retryFloor is the least wait between two attempts, unless Policy.Min is even less.
const retryFloor = time.Second

// jitter returns a number in [0, 1). Retries need no unpredictable one.
func jitter() float64 { return rand.Float64() }

// backoff returns the wait after attempt n (1, 2, …): exponential with full jitter, that is, anything from 0 to a
// ceiling that starts at min and doubles up to limit. With random in [0, 1) the result is never below retryFloor or min,
// whichever is less, so nothing spins.
//
// See https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/ for why the jitter is full.
func backoff(minimum, limit time.Duration, n int, random float64) time.Duration {
	limit = max(minimum, limit)
	wait := time.Duration(random * float64(doubled(minimum, limit, n)))
	return max(wait, min(retryFloor, minimum))
}

// doubled returns d·2^(n-1), at most limit.
func doubled(d, limit time.Duration, n int) time.Duration {
	for ; n > 1 && d < limit; n-- {
		if d > math.MaxInt64/2 {
			return limit
		}
		d *= 2
	}
	return min(d, limit)
}

// ledgerWait returns how long to wait after n failures of the ledger in a row: 100 ms, doubling up to 5 s.
func ledgerWait(n int) time.Duration { return doubled(100*time.Millisecond, 5*time.Second, n) }

// newLimiter makes the token bucket of a rate. Its burst is small, so that no period sees more than 1.2 times the rate
// (a rate below 5 sees one attempt more); nil: no limit.
func newLimiter(r Rate) *rate.Limiter {
	if r.Count <= 0 || r.Per <= 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(float64(r.Count)/r.Per.Seconds()), burst(r))
}

// burst is how many attempts of a rate may come at once.
func burst(r Rate) int { return min(max(r.Count/20, 1), 10) }

// allowed returns how many of want attempts may start now, and if none may, when the next may. Taking them is up to
// the caller, who is the only user of l.
func allowed(l *rate.Limiter, want int, now time.Time) (int, time.Time) {
	if l == nil {
		return want, time.Time{}
	}
	tokens := l.TokensAt(now)
	if tokens >= 1 {
		return min(want, int(tokens)), time.Time{}
	}
	missing := (1 - tokens) / float64(l.Limit())
	return 0, now.Add(time.Duration(missing*float64(time.Second)) + time.Microsecond)
}
