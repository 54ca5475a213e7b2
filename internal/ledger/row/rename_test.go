// This file tests what becomes of two deliveries of one conversation when their targets become one.

package row

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/ledger"
)

func TestMerge(t *testing.T) {
	t.Parallel()
	receipt := func(id string) connectors.Receipt { return connectors.Receipt{ID: id} }
	cases := map[string]struct {
		from, to, want Delivery
		ended          ledger.State
	}{
		"the newer revision is wanted, the older is held": {
			from:  Delivery{State: ledger.Delivered, Want: 1, Have: 1, Receipt: receipt("a"), Fence: 10},
			to:    Delivery{State: ledger.Pending, Want: 2, Fence: 20, DueAt: 7},
			want:  Delivery{State: ledger.Pending, Want: 2, Have: 1, Receipt: receipt("a"), Fence: 21, DueAt: 7},
			ended: ledger.Delivered,
		},
		"what has arrived is not sent again": {
			from:  Delivery{State: ledger.Pending, Want: 2, Fence: 10},
			to:    Delivery{State: ledger.Delivered, Want: 2, Have: 2, Receipt: receipt("b"), Fence: 20},
			want:  Delivery{State: ledger.Delivered, Want: 2, Have: 2, Receipt: receipt("b"), Fence: 21},
			ended: ledger.Pending,
		},
		"a superseded row says nothing": {
			from:  Delivery{State: ledger.Pending, Want: 1, Fence: 10},
			to:    Delivery{State: ledger.Superseded, Want: 2, Fence: 20},
			want:  Delivery{State: ledger.Pending, Want: 1, Fence: 21},
			ended: ledger.Superseded,
		},
		"of equal rows the new name's": {
			from:  Delivery{State: ledger.Delivered, Want: 1, Have: 1, Receipt: receipt("a"), Fence: 30},
			to:    Delivery{State: ledger.Delivered, Want: 1, Have: 1, Receipt: receipt("b"), Fence: 20},
			want:  Delivery{State: ledger.Delivered, Want: 1, Have: 1, Receipt: receipt("b"), Fence: 31},
			ended: ledger.Delivered,
		},
		"doubt stays": {
			from:  Delivery{State: ledger.Dead, Want: 1, Doubt: 1, Lapsed: true, Fence: 10},
			to:    Delivery{State: ledger.Pending, Want: 2, Fence: 20},
			want:  Delivery{State: ledger.Pending, Want: 2, Doubt: 1, Lapsed: true, Fence: 21},
			ended: ledger.Dead,
		},
		"nothing is sent while the other one is on its way": {
			from:  Delivery{State: ledger.Pending, Want: 1, Trying: 1, DueAt: 90, Fence: 10},
			to:    Delivery{State: ledger.Pending, Want: 2, DueAt: 50, Fence: 20},
			want:  Delivery{State: ledger.Pending, Want: 2, Trying: 1, DueAt: 90, Fence: 21},
			ended: ledger.Pending,
		},
		"an attempt under way to a target that has it": {
			from:  Delivery{State: ledger.Pending, Want: 2, Trying: 2, DueAt: 90, Fence: 10},
			to:    Delivery{State: ledger.Delivered, Want: 2, Have: 2, Receipt: receipt("b"), Fence: 20},
			want:  Delivery{State: ledger.Delivered, Want: 2, Have: 2, Doubt: 2, Receipt: receipt("b"), Fence: 21},
			ended: ledger.Pending,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ended := Merge(&c.from, &c.to)
			if diff := cmp.Diff(c.want, *got, cmp.AllowUnexported(Delivery{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if ended != c.ended {
				t.Errorf("%s has ended, want %s", ended, c.ended)
			}
		})
	}
}
