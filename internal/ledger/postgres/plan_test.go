// This file tests how the server reads what hooks and deliveries ask for.

package postgres

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/afterchat/afterchat/internal/ledger"
)

// In a ledger that has just been made, whose tables the server has not counted yet, no table is read as a whole for a
// hook, a claim or a settlement.
func TestE2EPostgresByIndex(t *testing.T) {
	t.Parallel()
	const conversations, callers = 400, 8
	at := url(t)
	l := open(t, at, Options{})
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			for i := range conversations / callers {
				h := hook(fmt.Sprint("c", caller, "-", i), "help", "crm")
				h.Session, h.SessionWindow = fmt.Sprint("s", caller, "-", i/2), time.Minute
				if _, err := l.Accept(t.Context(), h); err != nil {
					t.Error(err)
				}
				got, err := l.Claim(t.Context(), ledger.Claim{Target: "help", Limit: 2, Lease: time.Hour})
				if err != nil {
					t.Error(err)
				}
				for _, d := range got.Deliveries {
					s := ledger.Settlement{ID: d.ID, Target: d.Target, Revision: d.Revision, Fence: d.Fence, Tried: true, State: ledger.Delivered}
					if _, err := l.Settle(t.Context(), s); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()
	if err := l.Close(); err != nil { // its connections tell what they have read at their end
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), at)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); ; <-tick.C {
		var looked int64
		if err := conn.QueryRow(t.Context(), `SELECT sum(idx_scan) FROM pg_stat_user_tables WHERE schemaname = current_schema()`).Scan(&looked); err != nil {
			t.Fatal(err)
		}
		if looked >= conversations {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d looks into indexes are counted, want at least %d", looked, conversations)
		}
	}
	var whole string
	if err := conn.QueryRow(t.Context(), `SELECT coalesce(string_agg(format('%s rows of %s', seq_tup_read, relname), ', '), '') FROM pg_stat_user_tables
		WHERE schemaname = current_schema() AND seq_tup_read > $1`, conversations).Scan(&whole); err != nil {
		t.Fatal(err)
	}
	if whole != "" {
		t.Errorf("read row by row: %s", whole)
	}
	// Each version of a row has an entry until the server has cleaned up, so one look reads several.
	if err := conn.QueryRow(t.Context(), `SELECT coalesce(string_agg(format('%s entries of %s', idx_tup_read, indexrelname), ', '), '') FROM pg_stat_user_indexes
		WHERE schemaname = current_schema() AND indexrelname LIKE '%_pkey' AND idx_tup_read > $1`, 100*conversations).Scan(&whole); err != nil {
		t.Fatal(err)
	}
	if whole != "" {
		t.Errorf("read entry by entry: %s", whole)
	}
}

// What was accepted just now is delivered without its body being read back: one that nobody can read does not matter
// before the second attempt.
func TestE2EPostgresFresh(t *testing.T) {
	t.Parallel()
	at := url(t)
	l := open(t, at, Options{})
	accept(t, l, hook("c1", "help"))
	sql(t, at, `UPDATE body SET decoded = ''`)
	for n, readable := range []bool{true, false} {
		got, err := l.Claim(t.Context(), ledger.Claim{Target: "help", Limit: 1, Lease: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Deliveries) == 1 != readable || len(got.Crashed) == 1 == readable {
			t.Fatalf("claim %d: %+v, want it readable: %v", n+1, got, readable)
		}
		for _, d := range got.Deliveries {
			s := ledger.Settlement{ID: d.ID, Target: d.Target, Revision: d.Revision, Fence: d.Fence, Tried: true, DueAt: time.Now()}
			if _, err := l.Settle(t.Context(), s); err != nil {
				t.Fatal(err)
			}
		}
	}
}
