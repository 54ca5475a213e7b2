// This file tests how much garbage is left lying.

package cmd

import "testing"

func TestCollectorShare(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name            string
		allocated, live uint64
		want            int
	}{
		{"idle", 1 << 20, 8 << 20, 100},
		{"idle and nothing collected yet", 0, 0, 100},
		{"some load", 60 << 20, 8 << 20, 100},
		{"busy, nothing collected yet", 100 << 20, 0, 600},
		{"busy, small", 240 << 20, 8 << 20, 250},
		{"very busy, small", 1 << 30, 8 << 20, 250},
		{"very busy", 1 << 30, 16 << 20, 125},
		{"busy with large bodies", 1 << 30, 200 << 20, 100},
	} {
		if got := collectorShare(tt.allocated, tt.live); got != tt.want {
			t.Errorf("%s: %d %%, want %d %%", tt.name, got, tt.want)
		}
	}
}
