// This file tests that an audit does not take what a connection remembers of the full-text index for damage.

package sqlite

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

// TestVerifyBesideTheIndexer: one connection writes and merges the index, another one has checked it before and checks it
// again.
func TestVerifyBesideTheIndexer(t *testing.T) {
	t.Parallel()
	l, err := Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	l.readers.Load().SetMaxOpenConns(1)
	watch, err := connect(l.path, 1, "_pragma=busy_timeout(10000)", "_pragma=query_only(1)")
	if err != nil {
		t.Fatal(err)
	}
	const rounds, each = 18, 5 // 16 segments are merged
	for round := range rounds {
		for i := range each {
			if _, err := l.Accept(context.Background(), hook(fmt.Sprintf("chat %d %d", round, i), "help")); err != nil {
				t.Fatal(err)
			}
		}
		deadline := time.Now().Add(2 * time.Minute)
		for indexed := 0; indexed < (round+1)*each; {
			if err := watch.QueryRowContext(t.Context(), `SELECT count(*) FROM summary`).Scan(&indexed); err != nil || time.Now().After(deadline) {
				t.Fatalf("%d are indexed: %v", indexed, err)
			}
		}
		findings, err := l.Verify(t.Context())
		if err != nil || len(findings) > 0 {
			t.Fatalf("round %d: %v %v", round, findings, err)
		}
	}
	if err := watch.Close(); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
