// This file finds out how much of a text needs no look at its characters, eight bytes at a time: every hook and every
// delivery goes through all of its text several times.

package chat

import "math/bits"

// ones has a one in each byte, tops the highest bit of each.
const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// Ordinary returns how many bytes at the start of s are printable ASCII but for the quotation mark and the backslash,
// which most texts are throughout. It may stop up to seven bytes early at the end of s.
func Ordinary(s string) int {
	i := 0
	for ; len(s)-i >= 8; i += 8 {
		if odd := strange(eight(s[i:])); odd != 0 {
			return i + bits.TrailingZeros64(odd)/8
		}
	}
	return i
}

// ordinaryHTML is Ordinary of texts in which < > & are no ordinary characters either.
func ordinaryHTML(s string) int {
	i := 0
	for ; len(s)-i >= 8; i += 8 {
		x := eight(s[i:])
		if odd := strange(x) | (equal(x, '<')|equal(x, '>')|equal(x, '&'))&tops; odd != 0 {
			return i + bits.TrailingZeros64(odd)/8
		}
	}
	return i
}

// eight returns the first eight bytes of s, the first as the lowest.
func eight(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// strange has the highest bit of a byte of x set if that is not printable ASCII, a quotation mark or a backslash. Above
// the lowest such byte it may be wrong, for sums carry and differences borrow.
func strange(x uint64) uint64 {
	return (x | (x + ones) | (x - ' '*ones) | equal(x, '"') | equal(x, '\\')) & tops
}

// equal has the highest bit of a byte of x set if that is c, and not if it is other ASCII. It says nothing of other bytes, nor
// of those above the first that is c or no ASCII.
func equal(x uint64, c byte) uint64 { return (x ^ uint64(c)*ones) - ones }
