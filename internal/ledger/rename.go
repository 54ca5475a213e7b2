// This file declares how names of the configuration change.

package ledger

// Renames says which names have changed since they were first used: every earlier name that the configuration has,
// whether the ledger knows it or not.
type Renames struct {
	Targets []Rename
	Sources []Rename
}

// Rename is one earlier name and the one of today. No name is the Old of one and the New of another.
type Rename struct{ Old, New string }

// Merged tells of conversations that had a delivery under the old name and one under the new: they have one now.
type Merged struct {
	Rename
	Conversations int // in which that happened
	// Superseded were pending or dead: what they would have sent is not sent, for the delivery that stays wants as much
	// or more. The others had come to their end before.
	Superseded int
}
