// This file declares what the move of a ledger from one engine to another comes to.

package ledger

import "errors"

// ErrMoved means that the ledger was copied to another database, which has been in force since.
var ErrMoved = errors.New("the ledger was moved to another database")

// Copied is what is in a ledger that was copied: counted on the side of the copy, after it.
type Copied struct {
	Conversations int
	Bodies        int
	Deliveries    int
	Pending       int // of Deliveries
	Doubtful      int // of Pending: may have been taken; the target is looked at first
	Dead          int // of Deliveries
	Attempts      int
	Quarantined   int
	// Before: an earlier run had finished it, and nothing was left to do.
	Before bool
}
