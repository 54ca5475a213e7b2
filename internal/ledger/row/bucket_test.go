// This file tests the token bucket.

package row

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/afterchat/afterchat/internal/ledger"
)

func TestBucket(t *testing.T) {
	t.Parallel()
	const second = 1_000_000
	rate := ledger.Rate{PerSecond: 2, Burst: 3}
	b := Bucket{Tokens: 3, FilledAt: 100 * second}
	for i, c := range []struct {
		n       int
		now     int64
		granted int
		wait    time.Duration
	}{
		{2, 100 * second, 2, 0},
		{2, 100 * second, 1, 0},
		{1, 100 * second, 0, 500*time.Millisecond + time.Microsecond},
		{1, 100*second + second/4, 0, 250*time.Millisecond + time.Microsecond},
		{5, 99 * second, 0, 250*time.Millisecond + time.Microsecond}, // a clock that was set back
		{5, 101 * second, 2, 0},
		{-1, 101 * second, -1, 0},
		{5, 101 * second, 1, 0},
		{-9, 101 * second, -9, 0},
		{9, 101 * second, 3, 0},
		{9, 999 * second, 3, 0},
	} {
		granted, wait := b.Take(rate, c.n, c.now)
		if granted != c.granted || wait != c.wait {
			t.Errorf("step %d: granted %d, wait %s; want %d and %s", i, granted, wait, c.granted, c.wait)
		}
	}
}

// However it is asked, a bucket grants no more than the rate and one burst.
func TestBucketHoldsTheRate(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rate := ledger.Rate{PerSecond: rapid.Float64Range(0.01, 100).Draw(t, "rate"), Burst: rapid.IntRange(1, 10).Draw(t, "burst")}
		b := Bucket{Tokens: float64(rate.Burst)}
		var now int64
		taken := 0
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			now += rapid.Int64Range(0, 5_000_000).Draw(t, "passes")
			granted, wait := b.Take(rate, rapid.IntRange(1, 20).Draw(t, "n"), now)
			if taken += granted; granted == 0 && wait <= 0 {
				t.Fatal("none is granted, and there is no wait")
			}
		}
		if most := float64(rate.Burst) + rate.PerSecond*float64(now)/1e6; float64(taken) > most+1e-6 {
			t.Fatalf("%d were granted, at most %f may be", taken, most)
		}
	})
}
