// This file declares the rate of a target that replicas share.

package ledger

// Rate is how often a target may be tried, by all replicas of a shared ledger together. An engine that can be shared
// keeps what is left of it.
type Rate struct {
	PerSecond float64
	Burst     int // most attempts at once; at least 1
}
