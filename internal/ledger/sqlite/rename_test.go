// This file tests names that change while rows are still moved to those before.

package sqlite

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/afterchat/afterchat/internal/chat"
	"github.com/afterchat/afterchat/internal/ledger"
)

// TestRenamedAgain: whoever still moves rows for the names before must not take what has a name of today for old.
func TestRenamedAgain(t *testing.T) {
	t.Parallel()
	l, err := Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	c := chat.Conversation{ID: "c1", Source: "shop", Platform: "smartsupp"}
	c.Normalize()
	plan := ledger.Plan{Deliveries: []ledger.PlannedDelivery{{Target: "help"}}}
	_, err = l.Accept(t.Context(), ledger.Hook{Raw: []byte("a"), Conversation: c, Plan: func(string, int) ledger.Plan { return plan }})
	if err != nil {
		t.Fatal(err)
	}
	there := ledger.Rename{Old: "help", New: "desk"}
	if err := l.Rename(t.Context(), ledger.Renames{Targets: []ledger.Rename{there}}); err != nil {
		t.Fatal(err)
	}
	stale := l.names.Load()
	if err := l.Rename(t.Context(), ledger.Renames{Targets: []ledger.Rename{{Old: "desk", New: "help"}}}); err != nil {
		t.Fatal(err)
	}
	if err := l.moveFinished(t.Context(), stale, there); !errors.Is(err, errRenamedAgain) {
		t.Errorf("moving for the names before: %v", err)
	}
	got, err := l.Claim(t.Context(), ledger.Claim{Target: "help", Limit: 1})
	if err != nil || len(got.Deliveries) != 1 {
		t.Errorf("claimed %+v, %v", got, err)
	}
}
