// This file tests when the indexer works.

package postgres

import (
	"testing"
	"time"
)

func TestGivesWay(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, c := range map[string]struct {
		busy, done time.Duration // ago
		want       bool
	}{
		"nobody was ever there":       {time.Since(time.Unix(0, 0)), time.Second, false},
		"a crowd now":                 {0, time.Second, true},
		"a crowd a moment ago":        {busyFor / 2, time.Second, true},
		"the crowd has gone":          {busyFor, time.Second, false},
		"a crowd for as long as ever": {0, giveWayFor, false},
	} {
		if got := givesWay(now, now.Add(-c.busy), now.Add(-c.done)); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
