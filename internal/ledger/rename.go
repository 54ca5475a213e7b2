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
