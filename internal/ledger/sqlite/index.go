// This file makes what lists and searches know of conversations, in the background, so that no hook waits for it.

package sqlite

// outdate has a conversation indexed again.
func (t *tx) outdate(number int64) error {
	return t.exec(`INSERT OR IGNORE INTO outdated VALUES (?)`, number)
}
