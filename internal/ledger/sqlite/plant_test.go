// This file holds that the short way to write a new delivery drops nothing of it.

package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/connectors"
	"github.com/afterchat/afterchat/internal/ledger"
	"github.com/afterchat/afterchat/internal/ledger/row"
)

func TestPlantKeepsEverything(t *testing.T) {
	t.Parallel()
	l, err := Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	plain := row.Delivery{
		Conversation: 1, Target: "help", Want: 1, DueAt: 5, PendingSince: 6, Fence: 7, Planned: true, Ignore: true, Routes: `["a"]`, Config: "c1",
	}
	rows := []row.Delivery{plain}
	for i := range reflect.TypeFor[row.Delivery]().NumField() {
		other := plain
		field := reflect.ValueOf(&other).Elem().Field(i)
		switch {
		case field.Kind() == reflect.Bool:
			field.SetBool(!field.Bool())
		case field.CanInt():
			field.SetInt(field.Int() + 2)
		case field.Kind() == reflect.String:
			field.SetString(field.String() + "x")
		case field.Type() == reflect.TypeFor[connectors.Receipt]():
			other.Receipt = connectors.Receipt{ID: "12", Parts: map[string]string{"user": "3"}}
		default:
			t.Fatalf("this test does not know how to change a %s", field.Type())
		}
		if other.Routes != plain.Routes {
			other.Routes = `["b"]`
		}
		rows = append(rows, other)
	}
	for _, want := range rows {
		var got []*row.Delivery
		err := l.write(t.Context(), func(t *tx) error {
			t.plant("c1", row.Fanned{Delivery: &want})
			var err error
			if got, err = t.deliveries(want.Conversation); err != nil {
				return err
			}
			return t.exec(`DELETE FROM delivery`)
		})
		if err != nil || len(got) != 1 || !cmp.Equal(*got[0], want) {
			t.Errorf("%v, %s", err, cmp.Diff([]*row.Delivery{&want}, got))
		}
	}
}

// TestPlantedInOneTransaction: whatever else happens in the transaction of a conversation that has just begun, the claim that
// waits gets what is due then, and the books balance.
func TestPlantedInOneTransaction(t *testing.T) {
	t.Parallel()
	revised := hook("c1", "help", "crm")
	revised.Raw, revised.Conversation.Question = []byte("more"), "more"
	held := hook("c2", "help")
	held.Plan = func(string, int) ledger.Plan {
		return ledger.Plan{Config: "c", Deliveries: []ledger.PlannedDelivery{{Target: "help", Hold: time.Hour}}}
	}
	for name, c := range map[string]struct {
		further []ledger.Hook
		do      func(*tx) error
		want    string // ids and revisions of what the claim gets
		claims  int64  // of c1 for help, as stored
	}{
		"nothing":              {want: "c1 1", claims: 1},
		"another conversation": {further: []ledger.Hook{hook("c2", "help")}, want: "c1 1, c2 1", claims: 1},
		"one that is held":     {further: []ledger.Hook{held}, want: "c1 1", claims: 1},
		"the hook again":       {further: []ledger.Hook{hook("c1", "help", "crm")}, want: "c1 1", claims: 1},
		"a revision":           {further: []ledger.Hook{revised}, want: "c1 2", claims: 1},
		"another, then a look": {further: []ledger.Hook{hook("c2", "help")}, want: "c1 1, c2 1", claims: 1, do: func(t *tx) error {
			return t.rows(`SELECT 1 FROM delivery`, nil, func(*sql.Rows) error { return nil })
		}},
		"another claim": {further: []ledger.Hook{held, hook("c3", "help"), hook("c4", "help")}, want: "c3 1, c4 1", claims: 1, do: func(t *tx) error {
			first := claims{ctx: context.Background(), asked: ledger.Claim{Target: "help", Limit: 1, Lease: time.Hour, Config: "today"}}
			err := first.do(t)
			if len(first.leased) != 1 || first.leased[0].delivery.ID != "c1" || first.next.After(t.now) {
				err = fmt.Errorf("leased %+v, next %s, %w", first.leased, first.next, err)
			}
			return err
		}},
		"a change of all": {want: "", do: func(t *tx) error {
			return t.exec(`UPDATE delivery SET due_at = due_at + 3600000000 WHERE target = 'help'`)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := open(t, filepath.Join(t.TempDir(), "ledger.db"), Options{})
			claimed, cancel := parkedClaim(t, l)
			defer cancel()
			err := l.write(t.Context(), func(tx *tx) error {
				for _, h := range append([]ledger.Hook{hook("c1", "help", "crm")}, c.further...) {
					packed, err := row.NewArrival(l.codec, h)
					if err == nil {
						err = (&arrival{Arrival: packed}).do(tx)
					}
					if err != nil {
						return err
					}
				}
				if c.do != nil {
					return c.do(tx)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "" {
				cancel() // or it waits for an hour
			}
			var got []string
			for _, d := range (<-claimed).Deliveries {
				got = append(got, fmt.Sprint(d.ID, " ", d.Revision))
			}
			if strings.Join(got, ", ") != c.want {
				t.Errorf("claimed %q, want %q", got, c.want)
			}
			var claims, rows int64
			err = l.read(t.Context(), `SELECT sum(CASE WHEN target = 'help' THEN claims END), count(*) FROM delivery WHERE conversation = 1`, nil, &claims, &rows)
			if err != nil || claims != c.claims || rows != 2 {
				t.Errorf("%d rows, help claimed %d times, %v", rows, claims, err)
			}
			sound(t, l)
			if n := len(claim(t, l, "crm", time.Hour).Deliveries); n != 1 {
				t.Errorf("%d deliveries to crm, want one", n)
			}
		})
	}
}

// TestServedInVain: a claim that waits gets nothing of a transaction that fails.
func TestServedInVain(t *testing.T) {
	t.Parallel()
	l := open(t, filepath.Join(t.TempDir(), "ledger.db"), Options{})
	accept(t, l, hook("c1", "help"))
	held := claim(t, l, "help", time.Hour).Deliveries[0]
	claimed, cancel := parkedClaim(t, l)
	err := l.write(t.Context(), func(tx *tx) error {
		tx.wake("help")
		tx.add("conversations", 1) // cannot be written at the end
		return errors.Join(tx.exec(`UPDATE delivery SET trying = 0, due_at = 0`), tx.exec(`DROP TABLE total`))
	})
	if err == nil {
		t.Fatal("the transaction did not fail")
	}
	cancel()
	if got := (<-claimed).Deliveries; len(got) > 0 {
		t.Errorf("got %+v, which is not leased", got)
	}
	_, err = l.Settle(t.Context(), ledger.Settlement{ID: held.ID, Target: "help", Revision: 1, Fence: held.Fence, State: ledger.Delivered, Tried: true})
	if err != nil {
		t.Errorf("the lease from before: %v", err)
	}
	sound(t, l)
}

// parkedClaim is a claim for help that waits, until cancel is called.
func parkedClaim(t *testing.T, l *Ledger) (claimed <-chan ledger.Claimed, cancel func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	answer := make(chan ledger.Claimed, 1)
	go func() {
		got, err := l.Claim(ctx, ledger.Claim{Target: "help", Limit: 10, Lease: time.Hour, Config: "today", Wait: time.Hour})
		if err != nil {
			t.Error(err)
		}
		answer <- got
	}()
	for parked := false; !parked; {
		if err := l.write(t.Context(), func(t *tx) error { parked = len(t.parked["help"]) > 0; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	return answer, cancel
}

// TestLeasesEnd looks at what is remembered of leases: nothing stays when they are settled, or when anything else writes to
// deliveries.
func TestLeasesEnd(t *testing.T) {
	t.Parallel()
	l := recent{}
	l.put("c1", &row.Delivery{Target: "help", Fence: 3})
	if r, ok := l.take("c1", "help"); !ok || r.Fence != 3 || len(l) != 0 {
		t.Errorf("%+v, %v, %d left", r, ok, len(l))
	}
	if _, ok := l.take("c1", "help"); ok {
		t.Error("a lease is remembered twice")
	}
	for i := range mostRecent + 10 {
		l.put(string(rune(i+256)), &row.Delivery{Target: "help"})
	}
	if len(l) > mostRecent {
		t.Errorf("%d leases are remembered", len(l))
	}

	store, err := Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	for _, change := range []string{`UPDATE delivery SET due_at = 1`, `DELETE FROM delivery`} {
		left := -1
		err := store.write(t.Context(), func(t *tx) error {
			t.recent.put("c1", &row.Delivery{Target: "help"})
			err := t.exec(change)
			left = len(t.recent)
			return err
		})
		if err != nil || left != 0 {
			t.Errorf("%s: %d leases are remembered after it, %v", change, left, err)
		}
	}
	_ = store.write(t.Context(), func(t *tx) error {
		t.recent.put("c1", &row.Delivery{Target: "help"})
		t.wrote = true
		return ledger.ErrState
	})
	left := -1
	if err := store.write(t.Context(), func(t *tx) error { left = len(t.recent); return nil }); err != nil || left != 0 {
		t.Errorf("%d leases of a transaction that was rolled back are remembered, %v", left, err)
	}
}
