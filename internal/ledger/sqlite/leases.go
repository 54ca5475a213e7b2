// This file remembers the rows of deliveries from their claim to their settlement, so that a settlement need not read
// again what its claim has written.

package sqlite

import "github.com/afterchat/afterchat/internal/ledger/row"

// leases holds rows as they are in the file, of leases that have not been settled. Whatever else changes deliveries
// empties it, see tx.change; so it is never wrong, only empty.
type leases map[leaseKey]row.Delivery

type leaseKey struct{ id, target string }

// mostLeases bounds it: leases of workers that never settle stay in it.
const mostLeases = 4096

// put remembers a row that has been leased. What a map in it points to is not changed by anybody.
func (l leases) put(id string, r *row.Delivery) {
	if len(l) >= mostLeases {
		clear(l)
	}
	l[leaseKey{id, r.Target}] = *r
}

// take returns the row of a lease, once.
func (l leases) take(id, target string) (row.Delivery, bool) {
	key := leaseKey{id, target}
	r, ok := l[key]
	delete(l, key)
	return r, ok
}
