// This file tests what becomes of two deliveries of one conversation when their targets become one.

package sqlite

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
		from, to, want row
		ended          ledger.State
	}{
		"the newer revision is wanted, the older is held": {
			from:  row{state: ledger.Delivered, want: 1, have: 1, receipt: receipt("a"), fence: 10},
			to:    row{state: ledger.Pending, want: 2, fence: 20, dueAt: 7},
			want:  row{state: ledger.Pending, want: 2, have: 1, receipt: receipt("a"), fence: 21, dueAt: 7},
			ended: ledger.Delivered,
		},
		"what has arrived is not sent again": {
			from:  row{state: ledger.Pending, want: 2, fence: 10},
			to:    row{state: ledger.Delivered, want: 2, have: 2, receipt: receipt("b"), fence: 20},
			want:  row{state: ledger.Delivered, want: 2, have: 2, receipt: receipt("b"), fence: 21},
			ended: ledger.Pending,
		},
		"a superseded row says nothing": {
			from:  row{state: ledger.Pending, want: 1, fence: 10},
			to:    row{state: ledger.Superseded, want: 2, fence: 20},
			want:  row{state: ledger.Pending, want: 1, fence: 21},
			ended: ledger.Superseded,
		},
		"of equal rows the new name's": {
			from:  row{state: ledger.Delivered, want: 1, have: 1, receipt: receipt("a"), fence: 30},
			to:    row{state: ledger.Delivered, want: 1, have: 1, receipt: receipt("b"), fence: 20},
			want:  row{state: ledger.Delivered, want: 1, have: 1, receipt: receipt("b"), fence: 31},
			ended: ledger.Delivered,
		},
		"doubt stays": {
			from:  row{state: ledger.Dead, want: 1, doubt: 1, lapsed: true, fence: 10},
			to:    row{state: ledger.Pending, want: 2, fence: 20},
			want:  row{state: ledger.Pending, want: 2, doubt: 1, lapsed: true, fence: 21},
			ended: ledger.Dead,
		},
		"nothing is sent while the other one is on its way": {
			from:  row{state: ledger.Pending, want: 1, trying: 1, dueAt: 90, fence: 10},
			to:    row{state: ledger.Pending, want: 2, dueAt: 50, fence: 20},
			want:  row{state: ledger.Pending, want: 2, trying: 1, dueAt: 90, fence: 21},
			ended: ledger.Pending,
		},
		"an attempt under way to a target that has it": {
			from:  row{state: ledger.Pending, want: 2, trying: 2, dueAt: 90, fence: 10},
			to:    row{state: ledger.Delivered, want: 2, have: 2, receipt: receipt("b"), fence: 20},
			want:  row{state: ledger.Delivered, want: 2, have: 2, doubt: 2, receipt: receipt("b"), fence: 21},
			ended: ledger.Pending,
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ended := merge(&c.from, &c.to)
			if diff := cmp.Diff(c.want, *got, cmp.AllowUnexported(row{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if ended != c.ended {
				t.Errorf("%s has ended, want %s", ended, c.ended)
			}
		})
	}
}
