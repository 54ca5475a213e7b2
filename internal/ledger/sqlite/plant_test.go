// This file holds that the short way to write a new delivery drops nothing of it.

package sqlite

import (
	"path/filepath"
	"reflect"
	"testing"

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
			if err := t.plant("c1", &want, nil); err != nil {
				return err
			}
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
