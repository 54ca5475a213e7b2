// This file holds the look at eight bytes at a time against one at each.

package chat_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/afterchat/afterchat/internal/chat"
)

// TestEveryByteEverywhere puts each byte, and the worst that may follow it, at each place of a text.
func TestEveryByteEverywhere(t *testing.T) {
	t.Parallel()
	for c := range 256 {
		for at := range 17 {
			for _, next := range []string{"", "\x00", "\x80", "\xff", "\"", "#", "\\", "]", "=", "'", "\x7f", "\x1f", "?"} {
				text := strings.Repeat("!", at) + string([]byte{byte(c)}) + next + strings.Repeat("~", 17-at)
				want := strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' })
				if want < 0 {
					want = len(text)
				}
				if got := chat.Ordinary(text); got > want || got < want && got < len(text)-7 {
					t.Fatalf("%q: %d, want %d", text, got, want)
				}
				checkEncoding(t, &chat.Conversation{ID: text, Messages: []chat.Message{{Text: text}}})
			}
		}
	}
}

func TestEncodingOfInstants(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", 3600)
	for _, at := range slices.Concat([]time.Time{
		time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(999, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(1000, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(9999, 12, 31, 23, 59, 59, 999_000_000, time.UTC), time.Date(2024, 2, 29, 9, 9, 9, 0, zone), time.Date(2024, 2, 29, 9, 9, 9, 0, time.Local),
	}, fractions(1, 10, 100, 999, 1000, 100_000, 1_000_000, 10_000_000, 100_000_000, 120_000_000, 999_000_000, 999_999_999)) {
		checkEncoding(t, &chat.Conversation{StartedAt: at})
	}
}

func fractions(nanoseconds ...int) (at []time.Time) {
	for _, n := range nanoseconds {
		at = append(at, time.Date(2026, 11, 22, 1, 2, 3, n, time.UTC))
	}
	return at
}

func BenchmarkOrdinary(b *testing.B) {
	text := strings.Repeat("where is my order 4711, ", 200)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		chat.Ordinary(text)
	}
}
