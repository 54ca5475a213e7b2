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
		busy, done, wanted time.Duration // ago
		want               bool
	}{
		"nobody was ever there":       {time.Hour, time.Second, time.Hour, false},
		"a crowd now":                 {0, time.Second, time.Hour, true},
		"a crowd a moment ago":        {busyFor / 2, time.Second, time.Hour, true},
		"the crowd has gone":          {busyFor, time.Second, time.Hour, false},
		"a crowd for as long as ever": {0, giveWayFor, time.Hour, false},
		"a crowd, and somebody looks": {0, time.Second, giveWayFor / 2, false},
		"a crowd, somebody has gone":  {0, time.Second, giveWayFor, true},
	} {
		if got := givesWay(now, now.Add(-c.busy), now.Add(-c.done), now.Add(-c.wanted)); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
