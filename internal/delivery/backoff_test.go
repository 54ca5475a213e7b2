// This file tests how long things wait.

package delivery

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBackoff(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		minimum, limit time.Duration
		n              int
		random         float64
		want           time.Duration
	}{
		{5 * time.Second, time.Hour, 1, 0.999, 4995 * time.Millisecond},
		{5 * time.Second, time.Hour, 2, 0.5, 5 * time.Second},
		{5 * time.Second, time.Hour, 11, 0.5, 30 * time.Minute},
		{5 * time.Second, time.Hour, 1, 0, time.Second},
		{200 * time.Millisecond, time.Hour, 1, 0, 200 * time.Millisecond},
		{5 * time.Second, 0, 9, 0.5, 2500 * time.Millisecond},
		{0, 0, 1, 0.5, 0},
		{5 * time.Second, math.MaxInt64, math.MaxInt, 0.5, math.MaxInt64 / 2},
	} {
		got := backoff(c.minimum, c.limit, c.n, c.random)
		if diff := got - c.want; diff < -time.Second || diff > time.Second || c.want < time.Hour && diff != 0 {
			t.Errorf("backoff(%s, %s, %d, %v) = %s, want %s", c.minimum, c.limit, c.n, c.random, got, c.want)
		}
	}
}

func TestBackoffStaysInBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		minimum := time.Duration(rapid.Int64Range(1, int64(24*time.Hour)).Draw(t, "min"))
		limit := time.Duration(rapid.Int64Range(0, math.MaxInt64).Draw(t, "max"))
		n := rapid.IntRange(1, math.MaxInt).Draw(t, "n")
		got := backoff(minimum, limit, n, rapid.Float64Range(0, 0.999999).Draw(t, "random"))
		if got < min(minimum, retryFloor) || got > max(minimum, limit) {
			t.Errorf("backoff(%s, %s, %d) = %s", minimum, limit, n, got)
		}
	})
}

func TestLedgerWait(t *testing.T) {
	t.Parallel()
	var got []time.Duration
	for n := 1; n <= 8; n++ {
		got = append(got, ledgerWait(n))
	}
	if want := "[100ms 200ms 400ms 800ms 1.6s 3.2s 5s 5s]"; fmt.Sprint(got) != want {
		t.Errorf("ledgerWait = %v, want %s", got, want)
	}
}

// TestRateNeverExceeded takes tokens as greedily as a runner may and looks at every period.
func TestRateNeverExceeded(t *testing.T) {
	t.Parallel()
	for _, r := range []Rate{{1, time.Second}, {5, time.Second}, {10, time.Second}, {400, time.Minute}, {5000, time.Hour}, {100, time.Second}} {
		t.Run(fmt.Sprintf("%d per %s", r.Count, r.Per), func(t *testing.T) {
			t.Parallel()
			l := newLimiter(r)
			now, end := epoch, epoch.Add(5*r.Per)
			var taken []time.Time
			for now.Before(end) {
				n, next := allowed(l, 4, now)
				if n == 0 {
					if !next.After(now) {
						t.Fatalf("no token at %s and none to come: next is %s", now, next)
					}
					now = next
					continue
				}
				if !l.AllowN(now, n) {
					t.Fatalf("%d tokens were promised at %s and not there", n, now)
				}
				for range n {
					taken = append(taken, now)
				}
			}
			peak, from := 0, 0
			for to := range taken {
				for taken[to].Sub(taken[from]) >= r.Per {
					from++
				}
				peak = max(peak, to-from+1)
			}
			if limit := max(r.Count+r.Count/5, r.Count+1); peak > limit {
				t.Errorf("%d attempts within %s, at most %d are wanted", peak, r.Per, limit)
			}
			if least := 5*r.Count - 1; len(taken) < least {
				t.Errorf("%d attempts in five periods, at least %d are wanted", len(taken), least)
			}
		})
	}
}

func TestNoRate(t *testing.T) {
	t.Parallel()
	if n, _ := allowed(newLimiter(Rate{}), 7, epoch); n != 7 {
		t.Errorf("without a rate %d of 7 are allowed", n)
	}
}
