// This file remembers the rows of deliveries from when they are written to their settlement, so that a claim and a
// settlement need not read what has just been written.

package sqlite

import "github.com/afterchat/afterchat/internal/ledger/row"

// recent holds rows as they are in the file: of deliveries that wait for their first claim, and of leases that have not been
// settled. Whatever else changes deliveries empties it, see tx.change; so it is never wrong, only empty.
type recent map[recentKey]row.Delivery

type recentKey struct{ id, target string }

// mostRecent bounds it: what waits for a target that is down stays in it, and leases of workers that never settle.
const mostRecent = 4096

// put remembers a row that has been written. What a map in it points to is not changed by anybody.
func (l recent) put(id string, r *row.Delivery) {
	if len(l) >= mostRecent {
		clear(l)
	}
	l[recentKey{id, r.Target}] = *r
}

// take returns a row, once.
func (l recent) take(id, target string) (row.Delivery, bool) {
	key := recentKey{id, target}
	r, ok := l[key]
	delete(l, key)
	return r, ok
}
